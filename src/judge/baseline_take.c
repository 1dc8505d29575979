#include "judge/baseline.h"

#include "base/mem.h"
#include "base/mono.h"
#include "base/str.h"
#include "judge/verdict.h"
#include "record/hlog.h"
#include "record/limit.h"
#include "record/lines.h"
#include "record/run.h"
#include "record/ticks.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define QUANTILES      3
#define CSV_LINE_BYTES 4096
#define TICK_LATE      0.1 /* of a tick */
#define CALM_RATIO     0.5 /* of waiting to running, up to which a machine is calm */

static const double quantiles[QUANTILES] = {0.50, 0.90, 0.99};
static const char *const quantile_names[QUANTILES] = {"p50", "p90", "p99"};

static struct baseline_sample *add_sample(struct baseline_run *run, enum baseline_kind kind,
                                          const char *name)
{
    struct baseline_sample *sample = &run->sample[run->n];

    *sample = (struct baseline_sample){.kind = kind, .value = NAN};
    (void)str_copy(sample->name, sizeof sample->name, name);
    run->n += run->n + 1 < BASELINE_SAMPLES;
    return sample;
}

static void cut_interval(double from_s, double to_s, const struct hist *hist, void *context)
{
    struct sections_cut *cuts = context;

    (void)from_s;
    (void)to_s;
    for (int q = 0; q < QUANTILES; q++) {
        sections_cut_add(&cuts[q], hist);
    }
}

static bool take_latency(struct baseline_run *run, const struct stored_run *stored,
                         enum latency latency, struct diag *diag)
{
    const struct hist *all = &stored->total->latency[latency];
    const char *series = metric_latency(latency)->name;
    CLEANUP_FREE char *path = xasprintf("%s/latency.%s.hlog", stored->dir, series);
    struct sections_cut cuts[QUANTILES];
    struct hlog_listener listener = {cut_interval, cuts};
    int torn = 0;

    if (all->n == 0) {
        return true;
    }
    CLEANUP_FREE struct hist *one = xmalloc(sizeof *one);
    hist_init(one);
    for (int q = 0; q < QUANTILES; q++) {
        sections_cut_begin(&cuts[q], quantiles[q], all->n);
    }
    bool ok = hlog_load(path, &listener, one, &torn, diag);
    for (int q = 0; q < QUANTILES; q++) {
        char name[BASELINE_NAME];
        (void)snprintf(name, sizeof name, "latency.%s.%s", series, quantile_names[q]);
        struct baseline_sample *sample = add_sample(run, BASELINE_LATENCY, name);
        sample->value = (double)hist_quantile(all, quantiles[q]);
        sample->n = (double)all->n;
        sample->sections = sections_cut_end(&cuts[q]);
    }
    return ok;
}

/* What the ticks say of one section, or of the whole run; NAN: nothing. */
enum tally { TALLY_RATE, TALLY_ERRORS, TALLY_SENT, TALLY_RECEIVED, TALLY_HANDSHAKES, TALLIES };

static const struct {
    const char *name;
    enum baseline_kind kind;
} tallies[TALLIES] = {
    [TALLY_RATE] = {"rate.reached", BASELINE_RATE},
    [TALLY_ERRORS] = {"errors.ratio", BASELINE_RATIO},
    [TALLY_SENT] = {"cost.bytes_sent", BASELINE_COST},
    [TALLY_RECEIVED] = {"cost.bytes_received", BASELINE_COST},
    [TALLY_HANDSHAKES] = {"cost.handshakes", BASELINE_RATIO},
};

struct tick_cutter {
    uint64_t n_rows, n_seen; /* n_rows 0: rows are counted */
    double end_s;            /* of the load: rows beyond it are the drain's */
    bool handshakes;         /* all that the load asks for */
    double from_s;
    struct interval *before, *since; /* cumulative at the section's begin; of the section */
    struct sections sections[TALLIES];
};

static void count_tallies(const struct interval *interval, double seconds, bool handshakes,
                          double ret[TALLIES])
{
    struct limit rate = {.metric = LIMIT_RATE, .handshakes = handshakes};
    struct limit errors = {.metric = LIMIT_ERRORS, .handshakes = handshakes};
    const uint64_t *count = interval->count;
    double done = (double)count[COUNTER_COMPLETED];

    for (int i = 0; i < TALLIES; i++) {
        ret[i] = NAN;
    }
    if (!limit_measure(&rate, interval, seconds, &ret[TALLY_RATE]) || ret[TALLY_RATE] <= 0) {
        ret[TALLY_RATE] = NAN;
    }
    if (!limit_measure(&errors, interval, seconds, &ret[TALLY_ERRORS])) {
        ret[TALLY_ERRORS] = NAN;
    }
    if (done > 0) {
        ret[TALLY_SENT] = (double)count[COUNTER_BYTES_SENT] / done;
        ret[TALLY_RECEIVED] = (double)count[COUNTER_BYTES_RECEIVED] / done;
        ret[TALLY_HANDSHAKES] = (double)count[COUNTER_HANDSHAKE_FULL] / done;
    }
}

/* What happened between two cumulative sums. */
static void subtract(struct interval *since, const struct interval *now,
                     const struct interval *before)
{
    for (int c = 0; c < COUNTER_COUNT; c++) {
        since->count[c] = now->count[c] - before->count[c];
    }
    for (int i = 0; i < OUTCOME_COUNT; i++) {
        since->outcome[i] = now->outcome[i] - before->outcome[i];
    }
}

static void keep(struct interval *before, const struct interval *now)
{
    memcpy(before->count, now->count, sizeof before->count);
    memcpy(before->outcome, now->outcome, sizeof before->outcome);
}

static void close_section(struct tick_cutter *cutter, double seconds)
{
    double values[TALLIES];

    count_tallies(cutter->since, seconds, cutter->handshakes, values);
    for (int i = 0; i < TALLIES; i++) {
        struct sections *sections = &cutter->sections[i];
        bool is_log = tallies[i].kind != BASELINE_RATIO;
        if (isfinite(values[i]) && (!is_log || values[i] > 0) && sections->n < SECTIONS_MAX) {
            sections->value[sections->n++] = is_log ? log(values[i]) : values[i];
        }
    }
}

static void on_row(double time_s, const struct interval *cumulative, void *context)
{
    struct tick_cutter *cutter = context;
    uint64_t n_sections = cutter->n_rows < SECTIONS_MAX ? cutter->n_rows : SECTIONS_MAX;

    if (time_s > cutter->end_s) {
        return;
    }
    cutter->n_seen++;
    if (n_sections > 0 && cutter->n_seen * n_sections / cutter->n_rows >
                              (cutter->n_seen - 1) * n_sections / cutter->n_rows) {
        subtract(cutter->since, cumulative, cutter->before);
        close_section(cutter, time_s - cutter->from_s);
        keep(cutter->before, cumulative);
        cutter->from_s = time_s;
    }
}

/* What a tally is of: exchanges, or the connections of a load that asks for nothing else. */
static double n_of(enum tally tally, const struct interval *total, bool handshakes)
{
    struct limit limit = {.metric = LIMIT_RATE, .handshakes = handshakes};
    struct limit_counts counts = limit_count(&limit, total);

    switch (tally) {
    case TALLY_RATE:
        return (double)counts.n_done;
    case TALLY_ERRORS:
        return (double)counts.n_done + (double)counts.n_errors - (double)counts.n_unexpected;
    default:
        return (double)total->count[COUNTER_COMPLETED];
    }
}

/* Twice: rows are counted first. */
static bool cut_ticks(struct tick_cutter *cutter, const struct stored_run *stored,
                      struct diag *diag)
{
    CLEANUP_FREE char *path = xasprintf("%s/ticks.csv", stored->dir);
    struct ticks_listener listener = {on_row, cutter};
    struct interval *last = interval_new();
    struct ticks_end end;
    bool ok = true;

    for (int pass = 0; pass < 2 && ok && stored->n_ticks > 0; pass++) {
        cutter->n_rows = cutter->n_seen;
        cutter->n_seen = 0;
        ok = ticks_load(path, &listener, last, &end, diag);
    }
    interval_free(last);
    return ok;
}

static bool take_tallies(struct baseline_run *run, const struct stored_run *stored,
                         struct diag *diag)
{
    /* the load's last row may be a little late */
    double end_ns = (double)run_load_ns(stored) + TICK_LATE * (double)stored->meta.tick_ns;
    struct tick_cutter cutter = {.end_s = end_ns / (double)NS_PER_S,
                                 .handshakes = stored->meta.dials_due,
                                 .before = interval_new(),
                                 .since = interval_new()};
    double values[TALLIES];

    bool ok = cut_ticks(&cutter, stored, diag);
    count_tallies(stored->total, run->seconds, cutter.handshakes, values);
    for (int i = 0; i < TALLIES; i++) {
        if (isfinite(values[i])) {
            struct baseline_sample *sample = add_sample(run, tallies[i].kind, tallies[i].name);
            sample->value = values[i];
            sample->n = n_of((enum tally)i, stored->total, cutter.handshakes);
            sample->sections = cutter.sections[i];
        }
    }
    interval_free(cutter.before);
    interval_free(cutter.since);
    return ok;
}

/* The server's CPU time an exchange, from the first source's readings. */
struct cpu_reader {
    int cpu_column, requests_column; /* -1: the header was not seen */
    bool spoiled;                    /* a restart, or a field that is no number */
    uint64_t n_rows, n_seen;         /* n_rows 0: rows are counted */
    double cpu_s, requests;          /* at the section's begin; < 0: none yet */
    double first_cpu_s, first_requests, last_cpu_s, last_requests;
    struct sections sections;
};

static int column_of(char *header, const char *name)
{
    char *rest = header;

    for (int i = 0; rest != NULL; i++) {
        size_t len = strcspn(rest, ",");
        if (len == strlen(name) && strncmp(rest, name, len) == 0) {
            return i;
        }
        rest = rest[len] == ',' ? rest + len + 1 : NULL;
    }
    return -1;
}

static bool field_at(const char *line, int column, double *ret_value)
{
    char text[32];

    for (; column > 0 && line != NULL; column--) {
        line = strchr(line, ',');
        line = line != NULL ? line + 1 : NULL;
    }
    size_t len = line != NULL ? strcspn(line, ",") : sizeof text;
    if (len >= sizeof text) {
        return false;
    }
    memcpy(text, line, len);
    text[len] = '\0';
    return str_to_double(text, ret_value);
}

static void add_cpu_section(struct cpu_reader *reader, double cpu_s, double requests)
{
    uint64_t n = reader->n_rows < SECTIONS_MAX ? reader->n_rows : SECTIONS_MAX;

    if (reader->n_seen * n / reader->n_rows == (reader->n_seen - 1) * n / reader->n_rows) {
        return;
    }
    double cost = (cpu_s - reader->cpu_s) / (requests - reader->requests);
    if (isfinite(cost) && cost > 0 && reader->sections.n < SECTIONS_MAX) {
        reader->sections.value[reader->sections.n++] = log(cost);
    }
    reader->cpu_s = cpu_s;
    reader->requests = requests;
}

static void take_cpu_row(struct cpu_reader *reader, const char *line)
{
    double cpu_s, requests;

    reader->n_seen++;
    if (!field_at(line, reader->cpu_column, &cpu_s) ||
        !field_at(line, reader->requests_column, &requests)) {
        return; /* a gap */
    }
    if (reader->cpu_s < 0) {
        reader->first_cpu_s = reader->last_cpu_s = reader->cpu_s = cpu_s;
        reader->first_requests = reader->last_requests = reader->requests = requests;
    }
    reader->spoiled |= cpu_s < reader->last_cpu_s;
    reader->last_cpu_s = cpu_s;
    reader->last_requests = requests;
    if (reader->n_rows > 0) {
        add_cpu_section(reader, cpu_s, requests);
    }
}

static bool read_cpu(const char *path, struct cpu_reader *reader)
{
    struct lines lines;

    if (!lines_open(&lines, path, CSV_LINE_BYTES)) {
        return false;
    }
    reader->cpu_column = reader->requests_column = -1;
    reader->cpu_s = -1;
    for (char *line; (line = lines_next(&lines)) != NULL;) {
        if (line[0] == '#') {
            continue;
        }
        if (reader->cpu_column < 0) {
            reader->cpu_column = column_of(line, metric_memory(MEMORY_CPU_NS)->name);
            reader->requests_column = column_of(line, driver_info(DRIVER_REQUEST)->column);
            if (reader->cpu_column < 0 || reader->requests_column < 0) {
                break;
            }
        } else {
            take_cpu_row(reader, line);
        }
    }
    lines_close(&lines);
    return reader->cpu_column >= 0 && reader->requests_column >= 0 && !reader->spoiled;
}

/* Twice: rows are counted first. */
static void take_cpu(struct baseline_run *run, const struct stored_run *stored)
{
    struct cpu_reader count = {.n_rows = 0}, reader = {.n_rows = 0};

    if (stored->memory_csv == NULL || !read_cpu(stored->memory_csv, &count) || count.n_seen == 0) {
        return;
    }
    reader.n_rows = count.n_seen;
    if (!read_cpu(stored->memory_csv, &reader)) {
        return;
    }
    double cost =
        (reader.last_cpu_s - reader.first_cpu_s) / (reader.last_requests - reader.first_requests);
    if (isfinite(cost) && cost > 0) {
        struct baseline_sample *sample = add_sample(run, BASELINE_COST, "cost.cpu");
        sample->value = cost;
        sample->n = reader.last_requests - reader.first_requests;
        sample->sections = reader.sections;
    }
}

/* What runs for r and waits for w takes 1 + w / r times as long as without waiting.  On a machine
 * of two cores that does nothing else, tlsoak and its server make each other wait for 0.2 to 0.3 r.
 */
double baseline_drift(const struct run_generator *own)
{
    double ratio = own->cpu_share > 0 ? fmax(0, own->wait_share) / own->cpu_share : 0;

    return fmax(0, log1p(ratio) - log1p(CALM_RATIO));
}

/* Of durations, of the server's time, and of the rate where that is not the plan's. */
static void take_drift(struct baseline_run *run, const struct stored_run *stored)
{
    bool is_open = stored->total->count[COUNTER_DUE] > 0;

    for (size_t i = 0; i < run->n; i++) {
        struct baseline_sample *sample = &run->sample[i];
        if (sample->kind == BASELINE_LATENCY || str_equal(sample->name, "cost.cpu") ||
            (sample->kind == BASELINE_RATE && !is_open)) {
            sample->drift = baseline_drift(&stored->meta.generator);
        }
    }
}

static void take_leaks(struct baseline_run *run, const struct verdict *verdict)
{
    for (size_t i = 0; i < verdict->n_memory; i++) {
        const struct memory_finding *finding = &verdict->memory[i];
        bool known = finding->class != MEMORY_INCONCLUSIVE;
        for (size_t d = 0; d < finding->n_drivers; d++) {
            const struct driver_finding *driver = &finding->drivers[d];
            const char *name = driver_info(driver->driver)->name;
            char text[BASELINE_NAME];
            if (!known || !driver->separable || !isfinite(driver->bytes_per_event)) {
                continue;
            }
            if (i == 0) {
                (void)snprintf(text, sizeof text, "leak.%s", name);
            } else {
                (void)snprintf(text, sizeof text, "leak.%s.%s", finding->source, name);
            }
            struct baseline_sample *sample = add_sample(run, BASELINE_LEAK, text);
            sample->value = driver->bytes_per_event;
            sample->low = driver->low;
            sample->high = driver->high;
            sample->n = driver->events;
        }
    }
}

static void take_problem(struct baseline_run *run, const struct stored_run *stored)
{
    run->invalid = stored->meta.invalid[0] != '\0';
    if (run->invalid) {
        (void)snprintf(run->problem, sizeof run->problem, "is invalid: %s", stored->meta.invalid);
    } else if (!stored->meta.finished) {
        (void)snprintf(run->problem, sizeof run->problem, "was killed");
    } else if (stored->meta.interrupted) {
        (void)snprintf(run->problem, sizeof run->problem, "was interrupted");
    } else if (stored->meta.ended[0] != '\0') {
        (void)snprintf(run->problem, sizeof run->problem, "ended early: %s", stored->meta.ended);
    }
}

struct baseline_run *baseline_take(const struct stored_run *stored, const struct verdict *verdict,
                                   struct diag *diag)
{
    struct baseline_run *run = xcalloc(1, sizeof *run);
    bool ok = true;

    if (stored == NULL) {
        take_leaks(run, verdict);
        return run;
    }
    (void)str_copy(run->name, sizeof run->name, stored->dir);
    (void)str_copy(run->id, sizeof run->id, stored->meta.id);
    (void)str_copy(run->version, sizeof run->version, stored->meta.version);
    run->seconds = (double)run_load_ns(stored) / (double)NS_PER_S;
    take_problem(run, stored);
    for (int i = 0; i <= LATENCY_FIRST_BYTE && ok; i++) {
        ok = take_latency(run, stored, (enum latency)i, diag);
    }
    if (!ok || !take_tallies(run, stored, diag)) {
        baseline_free(run);
        return NULL;
    }
    take_cpu(run, stored);
    take_drift(run, stored);
    take_leaks(run, verdict);
    return run;
}
