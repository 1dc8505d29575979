#include "record/search.h"

#include "base/jsonw.h"
#include "base/str.h"
#include "record/lines.h"

#include <math.h>
#include <string.h>

#define MAX_LINE 2048

static const char *const results[STEP_RESULTS] = {
    [STEP_HELD] = "held", [STEP_BROKEN] = "broken", [STEP_GENERATOR] = "generator"};

static const char *const ends[SEARCH_ENDS] = {
    [SEARCH_NONE] = "none",
    [SEARCH_GOES_ON] = "unfinished",
    [SEARCH_FOUND] = "found",
    [SEARCH_TOP_HELD] = "top_held",
    [SEARCH_NOTHING_HELD] = "nothing_held",
    [SEARCH_SATURATED] = "generator",
};

const char *step_result_name(enum step_result result)
{
    return results[result];
}

void search_header(struct sink *sink, const struct limit *limits, size_t n_limits)
{
    sink_printf(sink, "step,start_s,asked_per_s,reached_per_s");
    for (size_t i = 0; i < n_limits; i++) {
        sink_printf(sink, ",");
        limit_column(&limits[i], sink);
    }
    sink_printf(sink, ",result,reason\n");
}

void search_row(struct sink *sink, size_t number, const struct run_step *step)
{
    struct sink *plain = sink_new();

    sink_printf(sink, "%zu,%.3f,%.9g,%.9g", number, step->start_s, step->asked_per_s,
                step->reached_per_s);
    for (size_t i = 0; i < step->n_limits; i++) {
        if (isnan(step->measured[i])) {
            sink_printf(sink, ",");
        } else {
            sink_printf(sink, ",%.9g", step->measured[i]);
        }
    }
    sink_printf(sink, ",%s,", results[step->result]);
    sink_plain(plain, step->reason);
    sink_csv(sink, sink_text(plain, NULL));
    sink_printf(sink, "\n");
    sink_free(plain);
}

void search_json_write(struct jsonw *w, const struct run_search *search, const char *reason)
{
    if (search->end == SEARCH_NONE) {
        return;
    }
    jsonw_object(w, "search");
    jsonw_string(w, "end", ends[search->end]);
    jsonw_number(w, "held_per_s", search->held_per_s > 0 ? search->held_per_s : NAN);
    jsonw_number(w, "beyond_per_s", search->beyond_per_s > 0 ? search->beyond_per_s : NAN);
    if (reason != NULL) {
        jsonw_string(w, "reason", reason);
    }
    jsonw_end(w);
}

struct table {
    struct run_step *steps;
    size_t n;
};

/* Takes the quotes off a field of ours (RFC 4180) in place. */
static void unquote(char *field)
{
    char *to = field;

    if (field[0] != '"') {
        return;
    }
    for (const char *from = field + 1; *from != '\0' && !(from[0] == '"' && from[1] != '"');) {
        from += from[0] == '"';
        *to++ = *from++;
    }
    *to = '\0';
}

static bool parse_numbers(char **rest, struct run_step *step)
{
    double *const numbers[] = {&step->start_s, &step->asked_per_s, &step->reached_per_s};

    (void)strsep(rest, ",");
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        const char *field = strsep(rest, ",");
        if (field == NULL || !str_to_double(field, numbers[i])) {
            return false;
        }
    }
    return step->asked_per_s > 0;
}

/* What stands before the result are the limits' values, however many. */
static bool parse_limits(char **rest, struct run_step *step)
{
    for (char *field; (field = strsep(rest, ",")) != NULL;) {
        int result = str_index(field, results, STEP_RESULTS);
        if (result >= 0) {
            step->result = (enum step_result)result;
            return *rest != NULL;
        }
        double value = NAN;
        if (step->n_limits == LIMITS_MAX || (field[0] != '\0' && !str_to_double(field, &value))) {
            return false;
        }
        step->measured[step->n_limits++] = value;
    }
    return false;
}

static bool add(char *line, void *context)
{
    struct table *table = context;
    struct run_step step = {.n_limits = 0};
    char *rest = line;

    if (table->n == SEARCH_STEPS_MAX) {
        return true;
    }
    if (!parse_numbers(&rest, &step) || !parse_limits(&rest, &step)) {
        return false;
    }
    unquote(rest);
    (void)str_copy(step.reason, sizeof step.reason, rest);
    table->steps[table->n++] = step;
    return true;
}

bool search_load(const char *path, struct run_step steps[SEARCH_STEPS_MAX], size_t *ret_n,
                 int *torn_lines, struct diag *diag)
{
    struct table table = {.steps = steps};
    bool ok = lines_rows(path, MAX_LINE, "not a step of a search", add, &table, torn_lines, diag);

    *ret_n = table.n;
    return ok;
}
