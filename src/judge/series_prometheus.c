#include "judge/series_formats.h"

#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"
#include "record/reading.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Prometheus gives at most 11,000 points a series; this holds about a hundred of them.  Parsed it
 * takes eleven times as much memory. */
#define MAX_BYTES   ((size_t)32 << 20)
#define MAX_RESULTS 512
#define START_TIME  "process_start_time_seconds"
#define MOST_EVENTS 1e18

/* One time series of the answer. */
struct result {
    const struct json *values; /* [[seconds, "value"], ...], in time's order */
    size_t i;                  /* in the answer, for messages */
    size_t n, at;
    double next_t; /* of values[at]; HUGE_VAL past the end */
    double next;   /* NAN: a gap */
    double value;  /* of counters and start times: the latest so far */
    enum column_kind kind;
    enum driver driver;
    size_t column; /* memory */
    char source[64];
};

struct answer {
    struct rows *rows;
    struct result result[MAX_RESULTS];
    size_t n;
};

static char *read_whole(struct rows *r, FILE *file, size_t *ret_len)
{
    size_t len = 0;
    size_t capacity = 65536;
    char *text = xmalloc(capacity);
    size_t got;
    while ((got = fread(text + len, 1, capacity - len, file)) > 0) {
        len += got;
        if (len > MAX_BYTES) {
            rows_mistake(r, NULL, "more than 32 MiB of JSON; ask with a longer step");
            free(text);
            return NULL;
        }
        if (len == capacity) {
            capacity *= 2;
            text = xrealloc(text, capacity);
        }
    }
    *ret_len = len;
    return text;
}

/* The parser says "line 3: why". */
static void refuse_json(struct rows *r, const char *why)
{
    uint64_t line;
    CLEANUP_FREE char *copy = xstrdup(why);
    char *colon = strchr(copy, ':');
    if (colon != NULL && str_has_prefix(copy, "line ")) {
        *colon = '\0';
        if (str_to_u64(copy + strlen("line "), &line) && line < INT32_MAX) {
            r->line = (int)line;
            why += colon + 1 - copy;
        }
    }
    CLEANUP_FREE char *text = xasprintf("is no whole JSON: %s", why + strspn(why, " "));
    rows_mistake(r, NULL, text);
}

/* Adds a mistake about one result or, with at >= 0, about one of its values. */
static void refuse_value(struct rows *r, size_t result, long at, const char *why)
{
    CLEANUP_FREE char *text = at >= 0
                                  ? xasprintf("data.result[%zu].values[%ld]: %s", result, at, why)
                                  : xasprintf("data.result[%zu]: %s", result, why);
    rows_mistake(r, NULL, text);
}

/* The list of results; NULL with a mistake. */
static const struct json *find_results(struct rows *r, const struct json *document)
{
    const struct json *data = json_get(document, "data");
    data = data != NULL ? data : document;
    const char *type = json_get_string(data, "resultType", "matrix");
    if (!str_equal(json_get_string(document, "status", "success"), "success")) {
        rows_mistake(r, json_get_string(document, "error", "no reason given"),
                     "the query had failed");
        return NULL;
    }
    if (!str_equal(type, "matrix")) {
        rows_mistake(r, type,
                     "not the answer to a range query (resultType matrix); ask query_range");
        return NULL;
    }
    const struct json *results = json_is_map(data) ? json_get(data, "result") : data;
    if (results == NULL || json_is_map(results)) {
        rows_mistake(r, NULL, "is no answer of Prometheus: it has no data.result");
        return NULL;
    }
    return results;
}

static bool ends_in(const char *s, const char *end)
{
    size_t len = strlen(s);
    size_t end_len = strlen(end);
    return len >= end_len && str_equal(s + len - end_len, end);
}

/* Memory in use, by the names that client libraries, JMX, cAdvisor and we ourselves give it. */
static bool is_memory(const char *name, const struct json *labels)
{
    static const char *const families[] = {
        "go_memstats_", "container_memory_", "process_", "nodejs_", "jvm_", "dotnet_"};
    bool of_family = false;
    if (str_equal(json_get_string(labels, "area", "heap"), "nonheap") || ends_in(name, "_total") ||
        series_rank(name) == SERIES_NO_MEMORY) {
        return false;
    }
    for (size_t i = 0; i < sizeof families / sizeof *families; i++) {
        of_family |= str_has_prefix(name, families[i]);
    }
    return of_family ? series_rank(name) < SERIES_OTHER ||
                           (str_has_prefix(name, "go_memstats_") && ends_in(name, "_bytes"))
                     : series_rank(name) < SERIES_OTHER && ends_in(name, "_bytes");
}

/* "requests" or, as OpenMetrics wants it, "requests_total". */
static bool is_counter(const char *name, enum driver *ret_driver)
{
    CLEANUP_FREE char *bare =
        xstrndup(name, strlen(name) - (ends_in(name, "_total") ? strlen("_total") : 0));
    return driver_from_column(bare, ret_driver) && *ret_driver != DRIVER_TIME;
}

/* What the labels say that was watched: "pod/container", else the instance, else the job. */
static void name_source(const struct json *labels, char *to, size_t size)
{
    const char *pod = json_get_string(labels, "pod", "");
    const char *container = json_get_string(labels, "container", "");
    const char *instance = json_get_string(labels, "instance", "");
    if (*pod != '\0' && *container != '\0') {
        (void)snprintf(to, size, "%s/%s", pod, container);
    } else if (*pod != '\0' || *instance != '\0') {
        (void)str_copy(to, size, *pod != '\0' ? pod : instance);
    } else {
        (void)str_copy(to, size, json_get_string(labels, "job", ""));
    }
}

/* The index of the memory column of this name, made when it is new; ROWS_COLUMNS with a mistake. */
static size_t memory_column(struct rows *r, const char *name)
{
    for (size_t i = 0; i < r->n_columns; i++) {
        if (str_equal(r->column[i].name, name)) {
            return i;
        }
    }
    if (r->n_columns == ROWS_COLUMNS) {
        rows_mistake(r, name, "more than 64 memory metrics in one export");
        return ROWS_COLUMNS;
    }
    struct column *c = &r->column[r->n_columns];
    c->kind = COLUMN_MEMORY;
    c->scale = 1;
    (void)str_copy(c->name, sizeof c->name, name);
    return r->n_columns++;
}

static void recognise_runtime(struct rows *r, const char *name)
{
    const char *runtime = reading_runtime(r->runtime[0] != '\0' ? r->runtime : NULL, name);

    if (runtime != NULL && runtime != r->runtime) {
        (void)str_copy(r->runtime, sizeof r->runtime, runtime);
    }
}

/* Looks at the value under `at`; false with a mistake. */
static bool look(struct rows *r, struct result *s)
{
    const struct json *pair = json_at(s->values, s->at);
    double t = json_as_number(json_at(pair, 0), NAN);
    const char *text = json_as_string(json_at(pair, 1), NULL);
    s->next = NAN;
    s->next_t = HUGE_VAL;
    if (s->at >= s->n) {
        return true;
    }
    if (!(fabs(t) < 1e11) || text == NULL) {
        refuse_value(r, s->i, (long)s->at, "not [seconds, \"value\"]");
        return false;
    }
    static const char *const no_numbers[] = {"NaN", "+Inf", "-Inf", "Inf"};
    s->next_t = t;
    if (!str_to_double(text, &s->next) &&
        str_index(text, no_numbers, sizeof no_numbers / sizeof *no_numbers) < 0) {
        refuse_value(r, s->i, (long)s->at, "the value is no number");
        return false;
    }
    if (s->kind == COLUMN_DRIVER && (s->next < 0 || s->next > MOST_EVENTS)) {
        refuse_value(r, s->i, (long)s->at,
                     "a cumulative count is neither negative nor beyond 1e18");
        return false;
    }
    return true;
}

/* Takes one result into the answer, if it is of use.  False with a mistake. */
static bool take(struct answer *a, const struct json *result, size_t i)
{
    struct rows *r = a->rows;
    const struct json *labels = json_get(result, "metric");
    const char *name = json_get_string(labels, "__name__", "");
    struct result s = {.values = json_get(result, "values"), .i = i, .value = NAN};
    name_source(labels, s.source, sizeof s.source);
    recognise_runtime(r, name);
    if (str_equal(json_get_string(labels, "container", ""), "POD")) {
        return true;
    }
    if (str_equal(name, START_TIME)) {
        s.kind = COLUMN_INCARNATION;
    } else if (is_counter(name, &s.driver)) {
        s.kind = COLUMN_DRIVER;
        r->has[s.driver] = true;
    } else if (is_memory(name, labels)) {
        s.kind = COLUMN_MEMORY;
        s.column = memory_column(r, name);
    } else {
        rows_leave_out(r, name);
        return true;
    }
    if (s.values == NULL || json_is_map(s.values)) {
        refuse_value(r, i, -1, "has no values; is this the answer to a range query?");
        return false;
    }
    if (a->n == MAX_RESULTS) {
        rows_mistake(r, NULL, "more than 512 results of use; ask for one server");
        return false;
    }
    s.n = json_size(s.values);
    a->result[a->n] = s;
    return s.column < ROWS_COLUMNS && look(r, &a->result[a->n++]);
}

static bool advance(struct rows *r, struct result *s)
{
    s->at++;
    return look(r, s);
}

static bool has_own(const struct answer *a, enum driver driver, const char *source)
{
    for (size_t i = 0; i < a->n; i++) {
        const struct result *s = &a->result[i];
        if (s->kind == COLUMN_DRIVER && s->driver == driver && str_equal(s->source, source)) {
            return true;
        }
    }
    return false;
}

/* Counters with the labels of this source are its own; where it has none of a kind, all count: the
 * load was counted elsewhere. */
static bool concerns(const struct answer *a, const struct result *s, const char *source)
{
    return str_equal(s->source, source) ||
           (s->kind == COLUMN_DRIVER && !has_own(a, s->driver, source));
}

/* When the next reading of this source was taken; HUGE_VAL after the last. */
static double next_time(const struct answer *a, const char *source)
{
    double t = HUGE_VAL;
    for (size_t i = 0; i < a->n; i++) {
        const struct result *s = &a->result[i];
        if (s->kind == COLUMN_MEMORY && str_equal(s->source, source)) {
            t = fmin(t, s->next_t);
        }
    }
    return t;
}

/* Readings of one name at one time are parts of one whole, such as the pools of a heap. */
static bool gather(struct answer *a, struct result *s, struct row *row)
{
    if (s->kind == COLUMN_MEMORY) {
        if (s->next_t == row->t) {
            double before = isnan(row->memory[s->column]) ? 0 : row->memory[s->column];
            row->memory[s->column] = before + s->next;
            return advance(a->rows, s);
        }
        return true;
    }
    while (s->next_t <= row->t) {
        s->value = isnan(s->next) ? s->value : s->next;
        if (!advance(a->rows, s)) {
            return false;
        }
    }
    if (s->kind == COLUMN_DRIVER && !isnan(s->value)) {
        row->x[s->driver] += s->value;
    }
    return true;
}

/* Rows of one source; the counters of others may be wanted again, so all begin anew. */
static bool read_source(struct answer *a, const char *name, const bool *mine)
{
    struct rows *r = a->rows;
    struct source *source = rows_source(r, name);
    double t;
    for (size_t i = 0; i < a->n; i++) {
        struct result *s = &a->result[i];
        s->at = s->kind == COLUMN_MEMORY ? s->at : 0;
        s->value = NAN;
        if (source == NULL || !look(r, s)) {
            return false;
        }
    }
    while ((t = next_time(a, name)) < HUGE_VAL) {
        struct row row;
        char incarnation[32] = "";
        rows_begin(source, &row);
        memset(row.x, 0, sizeof row.x);
        row.t = t;
        for (size_t i = 0; i < a->n; i++) {
            struct result *s = &a->result[i];
            if (mine[i] && !gather(a, s, &row)) {
                return false;
            }
            if (mine[i] && s->kind == COLUMN_INCARNATION && !isnan(s->value)) {
                (void)snprintf(incarnation, sizeof incarnation, "%.0f", s->value);
            }
        }
        row.incarnation = incarnation[0] != '\0' ? incarnation : NULL;
        rows_add(r, source, &row);
    }
    return true;
}

static void read_sources(struct answer *a)
{
    bool mine[MAX_RESULTS];
    for (size_t i = 0; i < a->n; i++) {
        const struct result *s = &a->result[i];
        if (s->kind != COLUMN_MEMORY || s->at > 0 || s->n == 0) {
            continue;
        }
        for (size_t k = 0; k < a->n; k++) {
            mine[k] = concerns(a, &a->result[k], s->source);
        }
        if (!read_source(a, s->source, mine)) {
            return;
        }
    }
}

static void read_document(struct rows *r, const struct json *document)
{
    const struct json *results = find_results(r, document);
    size_t n = results != NULL ? json_size(results) : 0;
    struct answer *a = xcalloc(1, sizeof *a);
    bool ok = results != NULL;
    a->rows = r;
    for (size_t i = 0; i < n && ok; i++) {
        ok = take(a, json_at(results, i), i);
    }
    if (ok && n == 0) {
        rows_mistake(r, NULL, "the answer is empty: no series fitted the query");
    } else if (ok && r->n_columns == 0) {
        CLEANUP_FREE char *text = xasprintf(
            "no result is a memory metric, such as process_resident_memory_bytes (there are: %s)",
            r->left_out[0] != '\0' ? r->left_out : "counters");
        rows_mistake(r, NULL, text);
    } else if (ok) {
        read_sources(a);
    }
    free(a);
}

void series_prometheus_read(struct rows *r, FILE *file)
{
    char why[256] = "";
    size_t len;
    CLEANUP_FREE char *text = read_whole(r, file, &len);
    if (text == NULL) {
        return;
    }
    struct json *document = json_parse(text, len, why, sizeof why);
    r->line = 0;
    if (document == NULL) {
        refuse_json(r, why);
        return;
    }
    read_document(r, document);
    json_free(document);
}
