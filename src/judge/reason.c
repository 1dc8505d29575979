#include "judge/reason.h"

#include "base/mono.h"
#include "base/sink.h"
#include "base/str.h"
#include "base/unit.h"

#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

/* Drivers with fewer events do not explain growth that was even all along. */
#define MENTION_EVENTS 100
/* A load that is more times this run's is no advice. */
#define MAX_TIMES_RATE 10
/* Below this a cut-off idle time is not worth a word, in seconds. */
#define MENTION_IDLE_S 1.5
/* Entries of a TLS session cache as it comes. */
#define SESSION_CACHE 20480

const char *reason_metric(const char *metric)
{
    static const char *const names[][2] = {
        {"anon", "anonymous memory"},
        {"cgroup_anon", "anonymous memory of the control group"},
        {"cgroup_current", "memory of the control group"},
        {"cgroup_kernel", "kernel memory of the control group"},
        {"cgroup_sock", "socket memory of the control group"},
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

/* Soaks tell rates of less than ten bytes a second from one another. */
static const char *rate_text(char text[UNIT_TEXT], double bytes_per_s)
{
    if (fabs(bytes_per_s) >= 0.01 && fabs(bytes_per_s) < 10) {
        snprintf(text, UNIT_TEXT, "%.2g B", bytes_per_s);
        return text;
    }
    return unit_bytes(text, bytes_per_s);
}

static void say_rate(struct sink *s, const struct memory_finding *f)
{
    char slope[UNIT_TEXT], low[UNIT_TEXT], high[UNIT_TEXT];
    sink_printf(s, "%s/s", rate_text(slope, f->slope));
    if (isfinite(f->slope_low) && isfinite(f->slope_high)) {
        sink_printf(s, " (99 %% %s to %s)", rate_text(low, f->slope_low),
                    rate_text(high, f->slope_high));
    }
}

size_t reason_blamed(const struct memory_finding *finding,
                     const struct driver_finding *ret_blamed[DRIVER_COUNT])
{
    size_t n = 0;
    for (size_t i = 0; i < finding->n_drivers; i++) {
        const struct driver_finding *d = &finding->drivers[i];
        size_t at = n;
        if (!d->blamed) {
            continue;
        }
        for (; at > 0 && ret_blamed[at - 1]->bytes_per_event * ret_blamed[at - 1]->events <
                             d->bytes_per_event * d->events;
             at--) {
            ret_blamed[at] = ret_blamed[at - 1];
        }
        ret_blamed[at] = d;
        n++;
    }
    return n;
}

bool reason_say_blamed(struct sink *sink, const char *before, const struct memory_finding *finding)
{
    const struct driver_finding *blamed[DRIVER_COUNT];
    size_t n = reason_blamed(finding, blamed);
    for (size_t i = 0; i < n; i++) {
        const struct driver_finding *d = blamed[i];
        char each[UNIT_TEXT], low[UNIT_TEXT], high[UNIT_TEXT];
        sink_printf(sink, "%s %s per %s (95 %% %s to %s)", i > 0 ? " and" : before,
                    unit_bytes(each, d->bytes_per_event), driver_info(d->driver)->event,
                    unit_bytes(low, d->low), unit_bytes(high, d->high));
    }
    return n > 0;
}

/* "that is 130 B per request or 2.0 KiB per new connection: not separable ..." */
static void say_unseparated(struct sink *s, const struct memory_finding *f)
{
    const char *before = "; that is ";
    unsigned n = 0;
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
        n++;
    }
    if (n > 0 && f->refresh_s <= 0) {
        sink_printf(s, n > 1 ? " (not separable: they moved together)"
                             : " (not separable from time: they moved together)");
    }
}

/* When the growth reaches the limit: at the earliest where it may be no growth at all. */
static void say_forecast(struct sink *s, const struct memory_finding *f)
{
    char limit[UNIT_TEXT], early[UNIT_TEXT], late[UNIT_TEXT];
    if (f->limit_bytes <= 0 || !isfinite(f->seconds_to_limit_low)) {
        return;
    }
    unit_bytes(limit, f->limit_bytes);
    unit_duration(early, f->seconds_to_limit_low * (double)NS_PER_S);
    if (f->level_bytes >= f->limit_bytes) {
        sink_printf(s, "; the limit of %s is reached", limit);
    } else if (isfinite(f->seconds_to_limit_high)) {
        sink_printf(s, "; at this rate the limit of %s is reached in %s to %s", limit, early,
                    unit_duration(late, f->seconds_to_limit_high * (double)NS_PER_S));
    } else {
        sink_printf(s, "; the limit of %s is reached in %s at the earliest", limit, early);
    }
}

static void say_leak(struct sink *s, const struct memory_finding *f, enum growth_reason why,
                     bool designed)
{
    sink_printf(s, "%s grows ", reason_metric(f->metric));
    say_rate(s, f);
    bool named = reason_say_blamed(s, ",", f);
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
    sink_printf(s, "it grows by at most %s/s, below the budget of %s/s",
                rate_text(high, fmax(0, f->slope_high)), rate_text(budget, f->budget));
    if (isfinite(f->smallest_visible)) {
        sink_printf(s, "; to be called a leak, growth would have had to reach %s/s in this run",
                    rate_text(seen, f->smallest_visible));
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
        [GROWTH_NOISY] = "it varies too much for a run of this length",
        [GROWTH_TOO_SHORT] = "there are too few readings",
        [GROWTH_STEP] = "one jump explains its growth",
        [GROWTH_UNEVEN] = "it grew in some parts of the run and hardly in others",
        [GROWTH_FEW_CYCLES] = "it is given back in large steps, and there were too few of them to "
                              "see what stays",
        [GROWTH_RESTART] = "the server restarted, and no part of the run shows a leak",
        [GROWTH_SMALL] = "it grew by less than 256 KiB",
        [GROWTH_TREND] = "it grew, but the events do not account for it",
        [GROWTH_STAIRCASE] = "it grew in steps",
        [GROWTH_UNSEEN] = "it did not grow, but all that the budget allows in this time is less "
                          "than 64 KiB, which an allocator can take from pages that it has already",
        [GROWTH_WITHIN_BUDGET] = "in all it grows less than the budget, but this is not shown for "
                                 "each kind of event",
        [GROWTH_GAPS] = "too much of the run was not read",
        [GROWTH_STUCK] = "all of its readings are the same, as of a metric that nobody refreshes",
        [GROWTH_UNIT] = "no process has so little, so the readings may be in another unit",
    };
    return texts[why];
}

/* "12,000 more new client certificates" */
static void say_events(struct sink *s, double n, const char *more, enum driver driver)
{
    const char *event = driver_info(driver)->event;
    const char *end = strstr(event, "identity");
    char text[UNIT_TEXT];
    sink_printf(s, "%s %s%.*s%s", unit_grouped(text, (uint64_t)n), more,
                (int)(end != NULL ? end - event : (ptrdiff_t)strlen(event)), event,
                end != NULL ? "identities" : "s");
}

static void say_needed(struct sink *s, const struct memory_finding *f)
{
    char text[UNIT_TEXT];
    bool by_events = f->needed_driver >= 0 && f->needed_events > 0;
    if (by_events) {
        sink_printf(s, "; needs ");
        say_events(s, f->needed_events, "more ", (enum driver)f->needed_driver);
    }
    if (f->needed_seconds > 0) {
        sink_printf(s, "%s%s%s", by_events ? ", which take " : "; needs ",
                    unit_duration(text, f->needed_seconds * (double)NS_PER_S),
                    by_events ? " at the rate of this run" : " more");
    }
}

/* Budgets are given per event, so a higher rate allows more bytes a second: an alternative to
 * time where noise is what stands in the way. */
static void say_needed_rate(struct sink *s, const struct memory_finding *f)
{
    double times = ceil((f->slope_high - fmax(0, f->slope)) / fmax(f->budget, 1));
    bool any_events = false;
    for (size_t i = 0; i < f->n_drivers; i++) {
        any_events |= f->drivers[i].driver != DRIVER_TIME && f->drivers[i].events > 0;
    }
    if (any_events && f->needed_seconds > 0 && times >= 2 && times <= MAX_TIMES_RATE) {
        sink_printf(s, ", or the same length with %.0f times the load", times);
    }
}

static bool is_about_growth(enum growth_reason why)
{
    return why != GROWTH_TOO_SHORT && why != GROWTH_STUCK && why != GROWTH_UNIT;
}

static void say_bounds_of_growth(struct sink *s, const struct memory_finding *f)
{
    char budget[UNIT_TEXT];
    if (!isfinite(f->slope_low) || !isfinite(f->slope_high)) {
        return;
    }
    sink_printf(s, "; growth is ");
    say_rate(s, f);
    sink_printf(s, ", and %s/s are allowed", rate_text(budget, f->budget));
}

/* "it grew with 13,306 new connections, by 308 B each, but ..." */
static void say_slowing(struct sink *s, const struct memory_finding *f)
{
    const char *before = " with ";
    sink_printf(s, "it grew");
    for (size_t i = 0; i < f->n_drivers; i++) {
        const struct driver_finding *d = &f->drivers[i];
        char each[UNIT_TEXT];
        if (d->may_slow && d->separable) {
            sink_printf(s, "%s", before);
            say_events(s, d->events, "", d->driver);
            sink_printf(s, ", by %s each", unit_bytes(each, d->bytes_per_event));
            before = " and with ";
        }
    }
    sink_printf(s, ", but this can't be told from growth that slows down, as in a warm-up or a "
                   "filling cache");
}

static void say_undecided(struct sink *s, const struct memory_finding *f, enum growth_reason why)
{
    char text[UNIT_TEXT], seen[UNIT_TEXT];
    sink_printf(s, "it is not clear whether %s leaks: ", reason_metric(f->metric));
    if (why == GROWTH_DECELERATING) {
        say_slowing(s, f);
    } else {
        sink_printf(s, "%s", why_undecided(why));
    }
    if (why == GROWTH_TOO_SHORT) {
        sink_printf(s, " (%zu)", f->n_readings);
    } else if (why == GROWTH_UNIT) {
        sink_printf(s, " (%s)", unit_bytes(text, f->level_bytes));
    } else if (why == GROWTH_GAPS) {
        sink_printf(s, " (%zu readings, %zu failed)", f->n_readings, f->n_gaps);
    }
    if (is_about_growth(why)) {
        say_bounds_of_growth(s, f);
        if (isfinite(f->smallest_visible)) {
            sink_printf(s, "; steady growth from %s/s on would have been called a leak",
                        rate_text(seen, f->smallest_visible));
        }
        say_forecast(s, f);
    }
    say_needed(s, f);
    if (why == GROWTH_RESTART && f->needed_seconds > 0) {
        sink_printf(s, " without a restart");
    }
    if (why == GROWTH_NOISY) {
        say_needed_rate(s, f);
    }
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
    sink_printf(
        s,
        "%s of a %s process holds garbage that its collector has not taken yet; let [memory] "
        "read the live heap after a forced collection: source = command, settle = command, ",
        reason_metric(f->metric), series->runtime);
    if (str_equal(series->runtime, "jvm")) {
        /* of four collections of the JDK one leaves no dead objects
         * (MarkSweepAlwaysCompactCount) */
        sink_printf(s,
                    "command = sh -c \"printf '%%s\\n' GC.run GC.run GC.run GC.class_histogram | "
                    "jcmd {pid} -f /dev/stdin | sed -n 's/^Total *[0-9]* *//p'\"");
    } else {
        sink_printf(s, "command = one that collects and prints the bytes of the heap");
    }
}

/* A store that is larger than the run looks like a leak: up to where was growth seen to go on?
 * Where nobody is blamed, for connections, as a session cache of the usual size would look. */
static void say_no_bound(struct sink *s, const struct stretch *stretch,
                         const struct memory_finding *f)
{
    const char *before = "; no bound seen up to ";
    for (size_t i = 0; i < f->n_drivers; i++) {
        const struct driver_finding *d = &f->drivers[i];
        double events = stretch->events[d->driver];
        bool suspect = d->blamed || (d->driver == DRIVER_CONNECTION && !d->separable &&
                                     events < SESSION_CACHE / 0.6);
        if (d->driver != DRIVER_TIME && events > 0 && suspect) {
            sink_printf(s, "%s", before);
            say_events(s, d->seen > 0 ? fmin(d->seen, events) : events, "", d->driver);
            before = " and ";
        }
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

static void say_refresh(struct sink *s, const struct memory_finding *f)
{
    char text[UNIT_TEXT];
    if (f->refresh_s > 0) {
        sink_printf(s,
                    "; the metric is refreshed only every %s, "
                    "too seldom to tell what it grows with",
                    unit_duration(text, f->refresh_s * (double)NS_PER_S));
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
        say_forecast(s, finding);
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
    say_refresh(s, finding);
    say_idle(s, stretch);
    snprintf(finding->reason, sizeof finding->reason, "%s", sink_text(s, NULL));
    sink_free(s);
}

void reason_write_early(const struct stretch *stretch, const char *proof,
                        struct memory_finding *finding)
{
    struct sink *s = sink_new();
    (void)str_copy(finding->reason_code, sizeof finding->reason_code, "early_stop");
    sink_printf(s, "%s", proof);
    say_no_bound(s, stretch, finding);
    say_forecast(s, finding);
    snprintf(finding->reason, sizeof finding->reason, "%s", sink_text(s, NULL));
    sink_free(s);
}
