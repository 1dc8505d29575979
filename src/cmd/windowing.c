#include "cmd/windowing.h"

#include "base/mem.h"
#include "base/mono.h"
#include "base/str.h"
#include "record/hlog.h"
#include "record/ticks.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A whole run's value may still change, so it ends a run only when so many more than one that
 * breaks it would be allowed. */
#define TELLING      10.0
#define TELLING_MEAN 100.0
#define TELLING_S    10.0

struct reader {
    const struct stored_run *stored;
    const struct limit *limit;
    struct windows *windows;
    struct limit_counts before; /* of the row before */
    double before_s;
    size_t phase; /* the first that was not over by then */
};

static double seconds(uint64_t ns)
{
    return (double)ns / (double)NS_PER_S;
}

/* The warm-up of an experiment is no part of it, and nor is its cool-down. */
static double begin_s(const struct plan *plan)
{
    return plan->attribution.mode != ATTRIBUTION_OFF ? seconds(plan->attribution.warmup_ns) : 0;
}

static double end_s(const struct plan *plan)
{
    uint64_t cooldown_ns =
        plan->attribution.mode != ATTRIBUTION_OFF ? plan->attribution.cooldown_ns : 0;

    return seconds(plan->run.duration_ns) - seconds(cooldown_ns);
}

static bool was_idle(struct reader *r, double from_s, double to_s)
{
    const struct stored_run *stored = r->stored;

    while (r->phase < stored->n_phases && stored->phases[r->phase].to_s <= from_s) {
        r->phase++;
    }
    for (size_t i = r->phase; i < stored->n_phases && stored->phases[i].from_s < to_s; i++) {
        if (stored->phases[i].idle) {
            return true;
        }
    }
    return false;
}

static void on_row(double time_s, const struct interval *cumulative, void *context)
{
    struct reader *r = context;
    struct limit_counts all = limit_count(r->limit, cumulative);
    const struct limit_counts row = {
        .n_done = all.n_done - r->before.n_done,
        .n_errors = all.n_errors - r->before.n_errors,
        .n_unexpected = all.n_unexpected - r->before.n_unexpected,
    };

    windows_add(r->windows, time_s, NULL, &row, was_idle(r, r->before_s, time_s));
    r->before = all;
    r->before_s = time_s;
}

static void on_interval(double from_s, double to_s, const struct hist *hist, void *context)
{
    struct reader *r = context;
    const struct limit_counts none = {.n_done = 0};

    (void)from_s;
    windows_add(r->windows, to_s, hist, &none, false);
}

static bool read_latency(struct reader *r, struct diag *diag)
{
    const char *name = metric_latency((enum latency)r->limit->latency)->name;
    CLEANUP_FREE char *path = xasprintf("%s/latency.%s.hlog", r->stored->dir, name);
    CLEANUP_FREE struct hist *one = xmalloc(sizeof *one);
    struct hlog_listener listener = {on_interval, r};
    int torn = 0;

    hist_init(one);
    return hlog_load(path, &listener, one, &torn, diag);
}

static bool read_ticks(struct reader *r, struct diag *diag)
{
    CLEANUP_FREE char *path = xasprintf("%s/ticks.csv", r->stored->dir);
    struct ticks_listener listener = {on_row, r};
    struct interval *last = interval_new();
    struct ticks_end end;

    bool ok = ticks_load(path, &listener, last, &end, diag);
    interval_free(last);
    return ok;
}

bool windowing_judge(const struct stored_run *stored, const struct plan *plan,
                     const struct limit *limit, struct worst_window *ret_worst, struct diag *diag)
{
    /* of a killed run nobody knows when its load ended: it had not */
    uint64_t load_ns = run_load_ns(stored);
    struct reader r = {
        .stored = stored,
        .limit = limit,
        .windows = windows_new(limit, limit_part_ns(limit, plan->run.duration_ns), begin_s(plan),
                               fmin(seconds(load_ns), end_s(plan))),
    };

    bool ok = limit->metric == LIMIT_LATENCY ? read_latency(&r, diag) : read_ticks(&r, diag);
    if (ok) {
        windows_end(r.windows);
        *ret_worst = windows_worst(r.windows);
    }
    windows_free(r.windows);
    return ok;
}

struct aborting {
    const struct plan *plan;
    struct windows *windows[LIMITS_MAX]; /* NULL: not of that limit */
};

struct aborting *aborting_new(const struct plan *plan)
{
    struct aborting *aborting = xcalloc(1, sizeof *aborting);

    aborting->plan = plan;
    for (size_t i = 0; i < plan->limit.n; i++) {
        const struct limit *limit = &plan->limit.list[i];
        if (limit->aborts && limit->window_ns > 0) {
            aborting->windows[i] =
                windows_new(limit, limit_part_ns(limit, plan->run.duration_ns),
                            fmax(begin_s(plan), seconds(limit->after_ns)), end_s(plan));
        }
    }
    return aborting;
}

void aborting_free(struct aborting *aborting)
{
    if (aborting == NULL) {
        return;
    }
    for (size_t i = 0; i < LIMITS_MAX; i++) {
        windows_free(aborting->windows[i]);
    }
    free(aborting);
}

/* Of so few a whole run's value says nothing of what it will be. */
static bool is_telling(const struct limit *limit, const struct interval *total, double elapsed_s)
{
    const struct limit_counts counts = limit_count(limit, total);
    double n = (double)total->latency[limit->latency].n;

    switch (limit->metric) {
    case LIMIT_LATENCY:
        return limit->stat == LIMIT_LARGEST || /* the largest only grows */
               (limit->stat == LIMIT_MEAN ? n >= TELLING_MEAN
                                          : n * (1 - limit->quantile) >= TELLING);
    case LIMIT_ERRORS:
        return limit->bound <= 0 ||
               (double)(counts.n_done + counts.n_errors) * limit->bound >= TELLING;
    default:
        return elapsed_s >= TELLING_S;
    }
}

static bool window_breaks(struct windows *windows, const struct limit *limit, double row_end_s,
                          const struct interval *row, struct run_abort *abort)
{
    const struct limit_counts counts = limit_count(limit, row);
    const struct hist *hist = limit->metric == LIMIT_LATENCY ? &row->latency[limit->latency] : NULL;

    windows_add(windows, row_end_s, hist, &counts, false);
    struct worst_window worst = windows_worst(windows);
    if (isnan(worst.value) || limit_holds(limit, worst.value)) {
        return false;
    }
    *abort =
        (struct run_abort){.measured = worst.value, .from_s = worst.from_s, .to_s = worst.to_s};
    return true;
}

static bool whole_breaks(const struct limit *limit, double elapsed_s, const struct interval *total,
                         struct run_abort *abort)
{
    double value;

    if (elapsed_s < seconds(limit->after_ns) || !is_telling(limit, total, elapsed_s) ||
        !limit_measure(limit, total, elapsed_s, &value) || limit_holds(limit, value)) {
        return false;
    }
    *abort = (struct run_abort){.measured = value};
    return true;
}

bool aborting_row(struct aborting *aborting, double row_end_s, const struct interval *row,
                  const struct interval *total, struct run_abort *ret_abort)
{
    const struct plan *plan = aborting->plan;

    for (size_t i = 0; i < plan->limit.n; i++) {
        const struct limit *limit = &plan->limit.list[i];
        struct windows *windows = aborting->windows[i];
        if (limit->aborts &&
            (windows != NULL
                 ? window_breaks(windows, limit, row_end_s, row, ret_abort)
                 : row_end_s <= end_s(plan) && whole_breaks(limit, row_end_s, total, ret_abort))) {
            (void)str_copy(ret_abort->limit, sizeof ret_abort->limit, limit->key);
            return true;
        }
    }
    return false;
}
