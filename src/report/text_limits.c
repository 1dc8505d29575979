#include "report/text.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define TABLE_LIMITS   2 /* that the table has columns for; the others are in search.csv */
#define COLUMN_LEAST   9
#define COLUMN_LONGEST 24

void text_limits(struct sink *sink, const struct verdict *verdict)
{
    static const char *const marks[LIMIT_STATES] = {
        [LIMIT_HELD] = "\u2713", [LIMIT_BROKEN] = "\u2717", [LIMIT_UNKNOWN] = "?"};
    double rate = verdict->search.answer.held_per_s;
    char text[LIMIT_MEASURED];

    if (verdict->n_limits == 0) {
        return;
    }
    sink_printf(sink, "\nLimits");
    if (verdict->search.answer.end != SEARCH_NONE && rate > 0) {
        sink_printf(sink, ", at %s", search_rate(rate, text));
    }
    sink_printf(sink, "\n");
    for (size_t i = 0; i < verdict->n_limits; i++) {
        const struct limit_finding *finding = &verdict->limits[i];
        sink_printf(sink, "  %s %-44s %s\n", marks[finding->state], finding->limit.rule,
                    isnan(finding->measured) ? "nothing of it to measure"
                                             : limits_measured(finding, text));
        if (finding->why[0] != '\0') {
            text_prose(sink, "      ", finding->why);
        }
    }
}

/* "response.p99" of "latency.response.p99.max" */
static void put_title(const struct limit *limit, char text[COLUMN_LONGEST])
{
    const char *name = limit->key;
    size_t skipped = limit->metric == LIMIT_LATENCY ? strlen("latency.") : 0;

    (void)snprintf(text, COLUMN_LONGEST, "%.*s",
                   (int)(strrchr(name, '.') - name - (ptrdiff_t)skipped), name + skipped);
}

static int width_of(const char *title)
{
    size_t n = strlen(title);

    return (int)(n > COLUMN_LEAST ? n : COLUMN_LEAST);
}

/* The values of a step; of the head (NULL) the titles. */
static void put_columns(struct sink *sink, const struct verdict *verdict,
                        const struct run_step *step)
{
    for (size_t i = 0; i < verdict->n_limits && i < TABLE_LIMITS; i++) {
        const struct limit *limit = &verdict->limits[i].limit;
        char title[COLUMN_LONGEST], text[UNIT_TEXT];
        put_title(limit, title);
        double number = step != NULL && i < step->n_limits ? step->measured[i] : NAN;
        sink_printf(sink, "  %*s", width_of(title),
                    step == NULL ? title
                                 : limit_value(limit, limit_from_number(limit, number), text));
    }
}

void text_search(struct sink *sink, const struct stored_run *run, const struct verdict *verdict)
{
    char asked[UNIT_TEXT], reached[UNIT_TEXT];

    if (verdict->search.answer.end == SEARCH_NONE) {
        return;
    }
    sink_printf(sink, "\nSearch\n  step      asked    reached");
    put_columns(sink, verdict, NULL);
    sink_printf(sink, "\n");
    for (size_t i = 0; i < run->n_steps; i++) {
        const struct run_step *step = &run->steps[i];
        sink_printf(sink, "  %4zu %10s %10s", i + 1, search_rate(step->asked_per_s, asked),
                    search_rate(step->reached_per_s, reached));
        put_columns(sink, verdict, step);
        sink_printf(sink, "  %s\n", step_result_name(step->result));
    }
    if (run->meta.n_sources > 0) {
        text_prose(sink, "  ",
                   "memory was sampled and is in memory.csv; it is not judged, since "
                   "the load of a search never stays as it is");
    }
}
