#include "judge/reason.h"

#include "base/mono.h"
#include "base/sink.h"
#include "base/str.h"
#include "base/unit.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* Drivers with fewer events do not explain growth that was even all along. */
#define MENTION_EVENTS 100
/* Below this a cut-off idle time is not worth a word, in seconds. */
#define MENTION_IDLE_S 1.5

const char *reason_metric(const char *metric)
{
    static const char *const names[][2] = {
        {"anon", "anonymous memory"},
        {"private_dirty", "private dirty memory"},
        {"pss", "proportional memory (PSS)"},
        {"rss", "resident memory (RSS)"},
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (str_has_prefix(metric, names[i][0])) {
            return names[i][1];
        }
    }
    return metric;
}

static void say_rate(struct sink *s, const struct memory_finding *f)
{
    char slope[UNIT_TEXT], low[UNIT_TEXT], high[UNIT_TEXT];
    sink_printf(s, "%s/s", unit_bytes(slope, f->slope));
    if (isfinite(f->slope_low) && isfinite(f->slope_high)) {
        sink_printf(s, " (99 %% %s to %s)", unit_bytes(low, f->slope_low),
                    unit_bytes(high, f->slope_high));
    }
}

/* ", 2.0 KiB per new client certificate (95 % 1.9 KiB to 2.1 KiB)" for each that is blamed. */
static bool say_blamed(struct sink *s, const struct memory_finding *f)
{
    bool any = false;
    for (size_t i = 0; i < f->n_drivers; i++) {
        const struct driver_finding *d = &f->drivers[i];
        char each[UNIT_TEXT], low[UNIT_TEXT], high[UNIT_TEXT];
        if (d->blamed) {
            sink_printf(s, "%s %s per %s (95 %% %s to %s)", any ? " and" : ",",
                        unit_bytes(each, d->bytes_per_event), driver_info(d->driver)->event,
                        unit_bytes(low, d->low), unit_bytes(high, d->high));
            any = true;
        }
    }
    return any;
}

/* "that is 130 B per request or 2.0 KiB per new connection: not separable ..." */
static void say_unseparated(struct sink *s, const struct memory_finding *f)
{
    const char *before = "; that is ";
    bool any = false;
    for (size_t i = 0; i < f->n_drivers; i++) {
        const struct driver_finding *d = &f->drivers[i];
        char each[UNIT_TEXT];
        if (d->driver == DRIVER_TIME || d->separable || d->events < MENTION_EVENTS) {
            continue;
        }
        sink_printf(s, "%s%s per %s", before,
                    unit_bytes(each, f->slope * f->duration_s / d->events),
                    driver_info(d->driver)->event);
        before = " or ";
        any = true;
    }
    if (any) {
        sink_printf(s, "; which of them is not separable, since they moved together");
    }
}

static void say_leak(struct sink *s, const struct memory_finding *f, enum growth_reason why,
                     bool designed)
{
    sink_printf(s, "%s grows ", reason_metric(f->metric));
    say_rate(s, f);
    bool named = say_blamed(s, f);
    if (why == GROWTH_STAIRCASE) {
        sink_printf(s, ", in steps whose sizes and distances double, as a table does that is "
                       "never emptied");
    } else if (designed) {
        sink_printf(s, ", in step with these events and with no sign of slowing");
    } else {
        sink_printf(s, ", evenly and with no sign of slowing");
    }
    if (!named) {
        say_unseparated(s, f);
    }
}

static void say_pass(struct sink *s, const struct memory_finding *f)
{
    char high[UNIT_TEXT], budget[UNIT_TEXT], seen[UNIT_TEXT], grew[UNIT_TEXT];
    if (f->class == MEMORY_BOUNDED) {
        sink_printf(s, "%s grew by %s and then stopped: now ", reason_metric(f->metric),
                    unit_bytes(grew, f->growth_bytes));
    } else {
        sink_printf(s, "%s is stable: ", reason_metric(f->metric));
    }
    sink_printf(s, "at most %s/s, below the budget of %s/s",
                unit_bytes(high, fmax(0, f->slope_high)), unit_bytes(budget, f->budget));
    if (isfinite(f->smallest_visible)) {
        bool short_run = f->smallest_visible > 1.5 * f->budget;
        sink_printf(s, "; %sa leak from %s/s on would have shown%s", short_run ? "but only " : "",
                    unit_bytes(seen, f->smallest_visible),
                    short_run ? ", a smaller one needs a longer run" : "");
    }
}

/* A pass speaks only of what happened often enough to show.  What happened before the first reading
 * counts as nothing: a fresh certificate for a connection that is never replaced, for example. */
static void say_unexposed(struct sink *s, const struct series *series,
                          const struct stretch *stretch)
{
    const char *before = "; it says nothing of what happened so seldom: ";
    for (int d = DRIVER_TIME + 1; d < DRIVER_COUNT; d++) {
        if (series->has[d] && series->x[d][series->n - 1] > 0 &&
            stretch->events[d] < EXPOSURE_MIN_EVENTS) {
            sink_printf(s, "%s%s (%.0f)", before, driver_info((enum driver)d)->event,
                        stretch->events[d]);
            before = ", ";
        }
    }
}

static const char *why_undecided(enum growth_reason why)
{
    static const char *const texts[GROWTH_REASON_COUNT] = {
        [GROWTH_NOISY] = "the readings vary too much for this length to show that growth stays "
                         "below the budget, or that it does not",
        [GROWTH_TOO_SHORT] = "there are too few readings",
        [GROWTH_DECELERATING] = "it grew, but more slowly towards the end, as a warm-up or a "
                                "filling cache does",
        [GROWTH_STEP] = "one jump explains the growth",
        [GROWTH_UNEVEN] = "it grew in some parts of the run and hardly in others",
        [GROWTH_FEW_CYCLES] = "memory is given back in few large steps, fewer than 12 in the run",
        [GROWTH_RESTART] = "the server restarted, and no part of the run shows a leak",
        [GROWTH_SMALL] = "it grew by less than 256 KiB",
        [GROWTH_TREND] = "it grew, but the events do not account for it",
        [GROWTH_STAIRCASE] = "it grew in steps",
        [GROWTH_UNSEEN] = "no growth was seen, but all that the budget allows in this time is less "
                          "than 64 KiB, which an allocator can hide in pages that it has already",
        [GROWTH_WITHIN_BUDGET] = "total growth is within the budget, but not shown to be for each "
                                 "kind of event",
    };
    return texts[why];
}

static void say_needed(struct sink *s, const struct memory_finding *f)
{
    char text[UNIT_TEXT];
    if (f->needed_driver >= 0 && f->needed_events > 0) {
        sink_printf(s, "; needs %s more of: %s", unit_grouped(text, (uint64_t)f->needed_events),
                    driver_info((enum driver)f->needed_driver)->event);
    } else if (f->needed_seconds > 0) {
        sink_printf(s, "; needs %s more",
                    unit_duration(text, f->needed_seconds * (double)NS_PER_S));
    }
}

static void say_undecided(struct sink *s, const struct memory_finding *f, enum growth_reason why)
{
    char seen[UNIT_TEXT], budget[UNIT_TEXT];
    sink_printf(s, "%s: %s", reason_metric(f->metric), why_undecided(why));
    if (why != GROWTH_TOO_SHORT) {
        sink_printf(s, "; growth ");
        say_rate(s, f);
        sink_printf(s, ", budget %s/s", unit_bytes(budget, f->budget));
    }
    if (isfinite(f->smallest_visible)) {
        sink_printf(s, "; a leak from %s/s on would have shown",
                    unit_bytes(seen, f->smallest_visible));
    }
    say_needed(s, f);
}

static void say_unreached(struct sink *s, const struct memory_finding *f,
                          const struct unreached *bounds, bool grows)
{
    char size[UNIT_TEXT], text[UNIT_TEXT];
    sink_printf(s, "%s ", reason_metric(f->metric));
    if (grows) {
        sink_printf(s, "grows ");
        say_rate(s, f);
        sink_printf(s, ", but ");
    } else {
        sink_printf(s, "can't be judged yet: ");
    }
    if (bounds->driver >= 0) {
        sink_printf(s, "the run has not passed the bound of %s entries (%s)",
                    unit_grouped(size, (uint64_t)f->known_bound_size), f->known_bound);
    } else {
        sink_printf(s, "the run is shorter than twice the time to live of %s (expect_ttl)",
                    unit_duration(text, f->known_bound_size * (double)NS_PER_S));
    }
    sink_printf(s, ", and a bounded store looks like a leak until it is full");
    say_needed(s, f);
}

static void say_garbage(struct sink *s, const struct series *series, const struct memory_finding *f)
{
    sink_printf(s,
                "%s of a %s process holds garbage that its collector has not taken yet, and no "
                "full collections were seen; add a floor probe (memory after a forced full "
                "collection), or settle before each reading",
                reason_metric(f->metric), series->runtime);
}

/* A leak per connection that a session cache of the usual size would look like. */
static void say_no_bound(struct sink *s, const struct stretch *stretch,
                         const struct memory_finding *f)
{
    double connections = stretch->events[DRIVER_CONNECTION];
    char n[UNIT_TEXT];
    bool suspect = false;
    for (size_t i = 0; i < f->n_drivers; i++) {
        const struct driver_finding *d = &f->drivers[i];
        suspect |= d->driver == DRIVER_CONNECTION && (d->blamed || !d->separable);
    }
    if (suspect && connections > 0 && connections < 20480 / 0.6) {
        sink_printf(s, "; no bound seen up to %s new connections",
                    unit_grouped(n, (uint64_t)connections));
    }
}

static void say_idle(struct sink *s, const struct stretch *stretch)
{
    bool before = stretch->idle_before > MENTION_IDLE_S;
    bool after = stretch->idle_after > MENTION_IDLE_S;
    char text[UNIT_TEXT];
    if (before) {
        sink_printf(s, " (without %s idle before",
                    unit_duration(text, stretch->idle_before * (double)NS_PER_S));
    }
    if (after) {
        sink_printf(s, "%s %s%s after", before ? " and" : " (without",
                    unit_duration(text, stretch->idle_after * (double)NS_PER_S),
                    before ? "" : " idle");
    }
    if (before || after) {
        sink_printf(s, " the load)");
    }
}

static const char *code_of(const struct series *series, enum growth_reason why,
                           const struct unreached *bounds, enum memory_class class)
{
    if (class != MEMORY_INCONCLUSIVE) {
        return growth_reason_name(why);
    }
    if (exposure_hidden_by_garbage(series)) {
        return "few_gc";
    }
    if (bounds->is) {
        return "bound_not_reached";
    }
    return why == GROWTH_WITHIN_BUDGET || why == GROWTH_TREND ? "not_attributed"
                                                              : growth_reason_name(why);
}

void reason_write(const struct series *series, const struct stretch *stretch,
                  enum growth_reason why, const struct unreached *bounds, bool designed,
                  struct memory_finding *finding)
{
    struct sink *s = sink_new();
    (void)str_copy(finding->reason_code, sizeof finding->reason_code,
                   code_of(series, why, bounds, finding->class));
    if (finding->class == MEMORY_LEAK) {
        say_leak(s, finding, why, designed);
        say_no_bound(s, stretch, finding);
    } else if (finding->class != MEMORY_INCONCLUSIVE) {
        say_pass(s, finding);
        say_unexposed(s, series, stretch);
    } else if (exposure_hidden_by_garbage(series)) {
        say_garbage(s, series, finding);
    } else if (bounds->is) {
        say_unreached(s, finding, bounds, why == GROWTH_TREND || why == GROWTH_STAIRCASE);
    } else {
        say_undecided(s, finding, why);
    }
    say_idle(s, stretch);
    snprintf(finding->reason, sizeof finding->reason, "%s", sink_text(s, NULL));
    sink_free(s);
}
