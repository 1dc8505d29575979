#include "record/curves.h"

#include "base/mem.h"
#include "base/mono.h"
#include "record/hlog.h"
#include "record/ticks.h"

#include <math.h>
#include <stdlib.h>

_Static_assert(LATENCY_RESPONSE == 0 && LATENCY_SERVICE == 1, "the first two are drawn");

struct reader {
    struct curves *curves;
    double width_s;
    /* of ticks.csv: what the last row of the point before said */
    uint64_t count[COUNTER_COUNT];
    double at_s;
    enum counter begun; /* of what falls due */
    /* of a histogram log */
    int latency;
    size_t i; /* of the point that is gathered */
    struct hist *hist;
};

/* The point that a time span lies in, by its middle. */
static size_t point_of(const struct reader *reader, double from_s, double to_s)
{
    double i = floor((from_s + to_s) / 2 / reader->width_s);

    if (!(i > 0)) {
        return 0;
    }
    return i < CURVES_MAX ? (size_t)i : CURVES_MAX - 1;
}

static double per_second(const struct reader *reader, const struct interval *now,
                         enum counter counter, double seconds)
{
    double n = (double)now->count[counter] - (double)reader->count[counter];

    return seconds > 0 ? n / seconds : 0;
}

/* Each row counts from the row before, so a point holds its rows' rates weighted by their time. */
static void on_row(double time_s, const struct interval *cumulative, void *context)
{
    struct reader *reader = context;
    double seconds = time_s - reader->at_s;
    size_t i = point_of(reader, reader->at_s, time_s);
    struct curve_point *point = &reader->curves->point[i];
    bool begins = point->to_s <= point->from_s;

    if (begins) {
        point->from_s = point->to_s = reader->at_s;
    }
    double before = point->to_s - point->from_s, all = before + seconds;
    struct {
        double *rate;
        double now;
    } rates[] = {
        {&point->due_per_s, per_second(reader, cumulative, COUNTER_DUE, seconds)},
        {&point->begun_per_s, per_second(reader, cumulative, reader->begun, seconds)},
        {&point->completed_per_s, per_second(reader, cumulative, COUNTER_COMPLETED, seconds)},
        {&point->failed_per_s, per_second(reader, cumulative, COUNTER_FAILED, seconds) +
                                   per_second(reader, cumulative, COUNTER_DIAL_FAILED, seconds)},
    };
    for (size_t k = 0; k < sizeof rates / sizeof rates[0] && all > 0; k++) {
        *rates[k].rate = (*rates[k].rate * before + rates[k].now * seconds) / all;
    }
    point->to_s = time_s;
    point->open = (double)cumulative->gauge[GAUGE_OPEN];
    for (int c = 0; c < COUNTER_COUNT; c++) {
        reader->count[c] = cumulative->count[c];
    }
    reader->at_s = time_s;
}

static void flush(struct reader *reader)
{
    const struct hist *hist = reader->hist;

    if (hist->n > 0) {
        struct curve_point *point = &reader->curves->point[reader->i];
        point->latency[reader->latency].n = hist->n;
        point->latency[reader->latency].p50_ns = hist_quantile(hist, 0.50);
        point->latency[reader->latency].p99_ns = hist_quantile(hist, 0.99);
        point->latency[reader->latency].max_ns = hist->max_ns;
    }
    hist_clear(reader->hist);
}

static void on_interval(double from_s, double to_s, const struct hist *hist, void *context)
{
    struct reader *reader = context;
    size_t i = point_of(reader, from_s, to_s);

    if (i != reader->i) {
        flush(reader);
        reader->i = i;
    }
    hist_add(reader->hist, hist);
}

static bool load_latency(struct reader *reader, const struct stored_run *stored, int latency,
                         struct diag *diag)
{
    CLEANUP_FREE char *path =
        xasprintf("%s/latency.%s.hlog", stored->dir, metric_latency((enum latency)latency)->name);
    struct hlog_listener listener = {on_interval, reader};
    struct hist *one = xmalloc(sizeof *one);
    int torn = 0;

    hist_init(one);
    reader->latency = latency;
    reader->i = 0;
    bool ok = hlog_load(path, &listener, one, &torn, diag);
    flush(reader);
    free(one);
    return ok;
}

/* Points that no row fell into (the run stood still) are left out. */
static void close_ranks(struct curves *curves)
{
    size_t n = 0;

    for (size_t i = 0; i < CURVES_MAX; i++) {
        if (curves->point[i].to_s > curves->point[i].from_s) {
            curves->point[n++] = curves->point[i];
        }
    }
    curves->n = n;
}

struct curves *curves_load(const struct stored_run *stored, struct diag *diag)
{
    struct curves *curves = xcalloc(1, sizeof *curves);
    double elapsed_s = (double)stored->elapsed_ns / (double)NS_PER_S;
    double tick_s = stored->n_ticks > 0 ? elapsed_s / (double)stored->n_ticks : 1;
    struct reader reader = {
        .curves = curves,
        .width_s = tick_s * fmax(1, ceil((double)stored->n_ticks / CURVES_MAX)),
        .begun = stored->meta.dials_due ? COUNTER_DIALED : COUNTER_STARTED,
        .hist = xmalloc(sizeof *reader.hist),
    };
    struct interval *last = interval_new();
    struct ticks_listener listener = {on_row, &reader};
    struct ticks_end end;
    CLEANUP_FREE char *path = xasprintf("%s/ticks.csv", stored->dir);

    hist_init(reader.hist);
    bool ok = ticks_load(path, &listener, last, &end, diag);
    for (int i = 0; i < CURVES_LATENCIES && ok; i++) {
        ok = load_latency(&reader, stored, i, diag);
    }
    close_ranks(curves);
    interval_free(last);
    free(reader.hist);
    if (!ok) {
        free(curves);
        return NULL;
    }
    return curves;
}
