#include "record/ticks.h"

#include "base/mem.h"
#include "base/mono.h"
#include "base/str.h"
#include "record/lines.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINE_BYTES 16384
#define MAX_FIELDS 512

/* The numbers of an interval, in the order of their columns. */
#define N_STATUS 6
_Static_assert(offsetof(struct interval, count) > 0, "offset 0 stands for no cell");
#define NAME_BYTES 64
#define N_CELLS    (COUNTER_COUNT + GAUGE_COUNT + OUTCOME_COUNT + N_STATUS)

static size_t cell_offset(size_t i)
{
    const size_t word = sizeof(uint64_t);

    if (i < COUNTER_COUNT) {
        return offsetof(struct interval, count) + i * word;
    }
    i -= COUNTER_COUNT;
    if (i < GAUGE_COUNT) {
        return offsetof(struct interval, gauge) + i * word;
    }
    i -= GAUGE_COUNT;
    if (i < OUTCOME_COUNT) {
        return offsetof(struct interval, outcome) + i * word;
    }
    return offsetof(struct interval, status) + (i - OUTCOME_COUNT) * word;
}

static void cell_name(size_t i, char name[NAME_BYTES])
{
    static const char *const statuses[N_STATUS] = {"other", "1xx", "2xx", "3xx", "4xx", "5xx"};
    const char *prefix = "", *rest;

    if (i < COUNTER_COUNT) {
        rest = metric_counter((enum counter)i)->name;
    } else if (i < COUNTER_COUNT + GAUGE_COUNT) {
        rest = metric_gauge((enum gauge)(i - COUNTER_COUNT))->name;
    } else if (i < N_CELLS - N_STATUS) {
        prefix = "outcome_";
        rest = outcome_info((enum outcome)(i - COUNTER_COUNT - GAUGE_COUNT))->name;
    } else {
        prefix = "status_";
        rest = statuses[i - (N_CELLS - N_STATUS)];
    }
    (void)snprintf(name, NAME_BYTES, "%s%s", prefix, rest);
}

void ticks_header(struct sink *sink)
{
    char name_of_cell[NAME_BYTES];

    sink_printf(sink, "time_s");
    for (size_t i = 0; i < N_CELLS; i++) {
        cell_name(i, name_of_cell);
        sink_printf(sink, ",%s", name_of_cell);
    }
    for (int i = 0; i < LATENCY_COUNT; i++) {
        const char *name = metric_latency((enum latency)i)->name;
        sink_printf(sink, ",%s_p50_us,%s_p99_us,%s_max_us", name, name, name);
    }
    sink_write(sink, "\n", 1);
}

static void put_us(struct sink *sink, uint64_t ns)
{
    sink_printf(sink, ",%" PRIu64 ".%03" PRIu64, ns / 1000, ns % 1000);
}

void ticks_row(struct sink *sink, uint64_t time_ns, const struct interval *tick,
               const struct interval *cumulative)
{
    uint64_t time_ms = time_ns / NS_PER_MS;

    sink_printf(sink, "%" PRIu64 ".%03" PRIu64, time_ms / 1000, time_ms % 1000);
    for (size_t i = 0; i < N_CELLS; i++) {
        uint64_t value;
        memcpy(&value, (const char *)cumulative + cell_offset(i), sizeof value);
        sink_printf(sink, ",%" PRIu64, value);
    }
    for (int i = 0; i < LATENCY_COUNT; i++) {
        const struct hist *hist = &tick->latency[i];
        if (hist->n == 0) {
            sink_printf(sink, ",,,");
            continue;
        }
        put_us(sink, hist_quantile(hist, 0.50));
        put_us(sink, hist_quantile(hist, 0.99));
        put_us(sink, hist->max_ns);
    }
    sink_write(sink, "\n", 1);
}

struct reader {
    size_t n_fields;
    int time_field;
    size_t offset[MAX_FIELDS]; /* of each field; 0: a column that we do not need */
    uint64_t n_rows;
    double time_s;
};

/* Cuts `line` at its commas in place; returns the number of fields, 0 when there are too many. */
static size_t split(char *line, char *fields[MAX_FIELDS])
{
    size_t n = 0;

    for (char *field; (field = strsep(&line, ",")) != NULL; n++) {
        if (n == MAX_FIELDS) {
            return 0;
        }
        fields[n] = field;
    }
    return n;
}

/* N_CELLS for an unknown name. */
static size_t cell_named(const char *wanted)
{
    char name[NAME_BYTES];

    for (size_t i = 0; i < N_CELLS; i++) {
        cell_name(i, name);
        if (str_equal(name, wanted)) {
            return i;
        }
    }
    return N_CELLS;
}

static const char *read_header(struct reader *reader, char *line)
{
    char *fields[MAX_FIELDS];
    bool seen[N_CELLS + 1] = {false};

    reader->n_fields = split(line, fields);
    reader->time_field = -1;
    for (size_t i = 0; i < reader->n_fields; i++) {
        size_t cell = cell_named(fields[i]);
        if (cell < N_CELLS && seen[cell]) {
            return "the same column twice";
        }
        seen[cell] = true;
        reader->offset[i] = cell < N_CELLS ? cell_offset(cell) : 0;
        if (str_equal(fields[i], "time_s")) {
            reader->time_field = (int)i;
        }
    }
    return reader->time_field < 0 ? "no column time_s: these are not the ticks of a run" : NULL;
}

/* Fills the interval from a row, or says what is wrong with it. */
static const char *read_row(struct reader *reader, char *line, struct interval *to)
{
    char *fields[MAX_FIELDS];
    double time_s;

    if (split(line, fields) != reader->n_fields) {
        return "not as many fields as the header has";
    }
    if (!str_to_double(fields[reader->time_field], &time_s) || time_s < reader->time_s ||
        time_s > 1e10) {
        return "time_s is not a time after that of the row before";
    }
    reader->time_s = time_s;
    for (size_t i = 0; i < reader->n_fields; i++) {
        uint64_t value;
        if (reader->offset[i] == 0) {
            continue;
        }
        if (!str_to_u64(fields[i], &value)) {
            return "a counter that is not a whole number";
        }
        memcpy((char *)to + reader->offset[i], &value, sizeof value);
    }
    reader->n_rows++;
    return NULL;
}

static const char *read_ticks(struct reader *reader, struct lines *lines, struct interval *to,
                              const struct ticks_listener *listener)
{
    char *line = lines_next(lines);
    const char *problem = line != NULL ? read_header(reader, line) : NULL;

    while (problem == NULL && (line = lines_next(lines)) != NULL) {
        problem = read_row(reader, line, to);
        if (problem == NULL && listener != NULL) {
            listener->row(reader->time_s, to, listener->context);
        }
    }
    if (problem != NULL) {
        return problem;
    }
    switch (lines->end) {
    case LINES_TOO_LONG:
        return "a line too long for the ticks of a run";
    case LINES_ERROR:
        return strerror(errno);
    default:
        return lines->number == 0 ? "no header" : NULL;
    }
}

bool ticks_load(const char *path, const struct ticks_listener *listener, struct interval *ret_last,
                struct ticks_end *ret_end, struct diag *diag)
{
    struct reader reader = {0};
    struct lines lines;

    if (!lines_open(&lines, path, LINE_BYTES)) {
        diag_add(diag, (struct origin){path, 0}, "can't be read: %s", strerror(errno));
        return false;
    }
    const char *problem = read_ticks(&reader, &lines, ret_last, listener);
    if (problem != NULL) {
        diag_add(diag, (struct origin){path, lines.number}, "%s", problem);
    } else {
        *ret_end = (struct ticks_end){
            .n = reader.n_rows,
            .time_ns = (uint64_t)llround(reader.time_s * (double)NS_PER_S),
            .torn = lines.end == LINES_TORN,
        };
    }
    lines_close(&lines);
    return problem == NULL;
}
