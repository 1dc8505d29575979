#include "judge/leak_limits.h"

#include "base/mem.h"
#include "base/mono.h"
#include "base/str.h"
#include "base/unit.h"
#include "judge/exposure.h"

#include <math.h>
#include <stdio.h>

/* As of the judge's own budgets: less than this in all need not show in the readings. */
#define SHOWS_BYTES (64.0 * 1024)
/* What is asked for stays between these multiples of the run's length. */
#define LEAST_MORE 0.25
#define MOST_MORE  100.0

/* The judge's finding where this is all that is allowed, per event of that driver. */
static struct memory_finding *judge_with(const struct series *series,
                                         const struct judge_options *options, enum driver driver,
                                         double bound)
{
    struct memory_finding *finding = xcalloc(1, sizeof *finding);
    struct judge_options held_to = *options;

    for (int d = 0; d < DRIVER_COUNT; d++) {
        held_to.judge.budget[d] = d == (int)driver ? bound : -1;
    }
    judge_series(series, &held_to, finding);
    return finding;
}

static const struct driver_finding *driver_of(const struct memory_finding *f, enum driver driver)
{
    for (size_t i = 0; i < f->n_drivers; i++) {
        if (f->drivers[i].driver == driver) {
            return &f->drivers[i];
        }
    }
    return NULL;
}

static bool is_finite_interval(double low, double high)
{
    return isfinite(low) && isfinite(high);
}

static void say_needed(struct limit_finding *to)
{
    char more[UNIT_TEXT], events[UNIT_TEXT];

    (void)unit_duration(more, to->needed_seconds * (double)NS_PER_S);
    if (to->needed_driver >= 0) {
        (void)snprintf(to->why, sizeof to->why,
                       "so little would not show in the readings; needs %s more events (%s), which "
                       "take %s",
                       unit_grouped(events, (uint64_t)to->needed_events),
                       driver_info((enum driver)to->needed_driver)->event, more);
    } else {
        (void)snprintf(to->why, sizeof to->why,
                       "the limit lies within the uncertainty; needs %s more", more);
    }
}

static void take_needed(const struct memory_finding *f, struct limit_finding *to)
{
    to->needed_seconds = f->needed_seconds;
    to->needed_driver = f->needed_driver;
    to->needed_events = f->needed_events;
}

/* By growth in all, which is `events_per_s` times what it would be of each event. */
static void judge_growth(const struct memory_finding *f, double events_per_s, bool may_break,
                         struct limit_finding *to)
{
    bool pass = f->class == MEMORY_STABLE || f->class == MEMORY_BOUNDED;

    to->measured = f->slope / events_per_s;
    to->low = f->slope_low / events_per_s;
    to->high = f->slope_high / events_per_s;
    if (pass && to->high < to->limit.bound) {
        to->state = LIMIT_HELD;
    } else if (may_break && f->class == MEMORY_LEAK && to->low > to->limit.bound) {
        to->state = LIMIT_BROKEN;
    } else {
        take_needed(f, to);
        (void)str_copy(to->why, sizeof to->why, f->reason);
    }
}

/* By the interval of the driver alone, where the load told it from the others. */
static void judge_separable(const struct memory_finding *f, const struct driver_finding *d,
                            struct limit_finding *to)
{
    double bound = to->limit.bound, unseen = ceil(SHOWS_BYTES / bound - d->events);

    to->measured = d->bytes_per_event;
    to->low = d->lower;
    to->high = d->upper;
    if (f->class == MEMORY_LEAK && d->blamed && d->lower > bound) {
        to->state = LIMIT_BROKEN;
    } else if (!f->usable) {
        take_needed(f, to);
        (void)str_copy(to->why, sizeof to->why, f->reason);
    } else if (d->upper < bound && unseen <= 0) {
        to->state = LIMIT_HELD;
    } else if (d->upper < bound) {
        to->needed_driver = (int)d->driver;
        to->needed_events = unseen;
        to->needed_seconds = ceil(f->duration_s * unseen / d->events);
        say_needed(to);
    } else {
        bool below = d->bytes_per_event < bound;
        double wide = below ? d->upper - d->bytes_per_event : d->bytes_per_event - d->lower;
        double more = pow(fmax(1, wide / fabs(bound - d->bytes_per_event)), 2.0 / 3) - 1;
        to->needed_seconds = ceil(f->duration_s * fmin(MOST_MORE, fmax(LEAST_MORE, more)));
        say_needed(to);
    }
}

/* Not separable: all growth, were it of these events alone, is less than the limit; that it is of
 * them nobody can say. */
static void judge_together(const struct memory_finding *f, const struct driver_finding *d,
                           struct limit_finding *to)
{
    double events_per_s = d->driver == DRIVER_TIME ? 1 : d->events / f->duration_s;

    judge_growth(f, events_per_s, false, to);
    if (to->state == LIMIT_UNKNOWN && f->class == MEMORY_LEAK) {
        (void)snprintf(to->why, sizeof to->why,
                       "memory grows, and what it grows with was not told apart ([attribution] "
                       "does that)");
    }
}

struct limit_finding leak_limits_judge(const struct limit *limit, const struct series *series,
                                       const struct judge_options *options)
{
    struct limit_finding to = limits_find(limit, NAN);
    bool growth = limit->metric == LIMIT_GROWTH;
    enum driver driver = growth ? DRIVER_TIME : (enum driver)limit->driver;
    CLEANUP_FREE struct memory_finding *f = judge_with(series, options, driver, limit->bound);
    const struct driver_finding *d = growth ? NULL : driver_of(f, driver);

    if (growth) {
        judge_growth(f, 1, true, &to);
    } else if (d == NULL || (d->driver != DRIVER_TIME && d->events < EXPOSURE_MIN_EVENTS)) {
        (void)snprintf(to.why, sizeof to.why, "the run had too few of these events (%s: %.0f)",
                       driver_info(driver)->event, d != NULL ? d->events : 0);
    } else if (options->designed && d->separable && is_finite_interval(d->lower, d->upper)) {
        judge_separable(f, d, &to);
    } else {
        judge_together(f, d, &to);
    }
    return to;
}

struct limit_finding leak_limits_unread(const struct limit *limit)
{
    struct limit_finding to = limits_find(limit, NAN);

    (void)str_copy(to.why, sizeof to.why, "the run has no memory source");
    return to;
}

const struct limit_finding *leak_limits_graver(const struct limit_finding *a,
                                               const struct limit_finding *b)
{
    static const int rank[LIMIT_STATES] = {
        [LIMIT_HELD] = 0, [LIMIT_UNKNOWN] = 1, [LIMIT_BROKEN] = 2};

    if (rank[a->state] != rank[b->state]) {
        return rank[a->state] > rank[b->state] ? a : b;
    }
    return b->measured > a->measured ? b : a;
}
