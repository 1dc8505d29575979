#include "judge/floors.h"

#include "base/sink.h"
#include "base/unit.h"
#include "judge/exposure.h"
#include "judge/reason.h"
#include "judge/settled.h"

#include <math.h>
#include <stdio.h>

/* What moves by less is said to be settled, so that a smaller rise says nothing. */
#define LEAST_RISE (256.0 * 1024)
/* A level that is known no better tells nothing either. */
#define KNOWN_BYTES (1024.0 * 1024)
#define EPSILON_S   1e-6

const char *floors_change_name(enum floors_change change)
{
    static const char *const names[] = {[FLOORS_NOT_COMPARED] = NULL,
                                        [FLOORS_ROSE] = "rose",
                                        [FLOORS_SETTLED_BACK] = "settled_back",
                                        [FLOORS_UNCLEAR] = "unclear"};
    return names[change];
}

static void take_floor(const struct series *s, const struct judge_idle *idle,
                       struct floors_finding *f)
{
    size_t from = 0, to;
    struct settled settled;
    while (from < s->n && s->t[from] < idle->from_s - EPSILON_S) {
        from++;
    }
    for (to = from; to < s->n && s->t[to] <= idle->to_s + EPSILON_S;) {
        to++;
    }
    while (from < to && s->part[from] != s->part[to - 1]) {
        from++;
    }
    if (from == to || f->n == JUDGE_IDLES) {
        return;
    }
    judge_settled(s->t + from, s->y + from, to - from, &settled);
    f->floor[f->n++] = (struct idle_floor){.from_s = s->t[from + settled.from],
                                           .to_s = s->t[to - 1],
                                           .level_bytes = settled.level,
                                           .uncertainty_bytes = settled.uncertainty,
                                           .settled = settled.settled,
                                           .part = s->part[to - 1]};
}

/* Events of a driver from one time to another; a counter may begin again with the server. */
static double events_between(const struct series *s, int driver, double from_s, double to_s)
{
    double events = 0;
    for (size_t i = 1; i < s->n; i++) {
        if (s->t[i] > from_s && s->t[i] <= to_s) {
            events += fmax(0, s->x[driver][i] - s->x[driver][i - 1]);
        }
    }
    return events;
}

static void compare(const struct series *s, struct floors_finding *f)
{
    size_t last = f->n;
    while (last > 0 && !f->floor[last - 1].settled) {
        last--;
    }
    size_t first = 0;
    while (first + 1 < last &&
           !(f->floor[first].settled && f->floor[first].part == f->floor[last - 1].part)) {
        first++;
    }
    if (first + 1 >= last) {
        return;
    }
    f->first = first;
    f->last = last - 1;
    const struct idle_floor *a = &f->floor[f->first], *b = &f->floor[f->last];
    double known = hypot(a->uncertainty_bytes, b->uncertainty_bytes);
    f->rise = b->level_bytes - a->level_bytes;
    f->rise_low = f->rise - known;
    f->rise_high = f->rise + known;
    f->change = f->rise_low > 0 && f->rise >= LEAST_RISE ? FLOORS_ROSE
                : f->rise_high <= KNOWN_BYTES            ? FLOORS_SETTLED_BACK
                                                         : FLOORS_UNCLEAR;
    for (int d = DRIVER_TIME + 1; d < DRIVER_COUNT; d++) {
        f->events[d] = events_between(s, d, a->to_s, b->from_s);
    }
}

static const char *ordinal(size_t n)
{
    static const char *const words[] = {"",      "first", "second",  "third", "fourth",
                                        "fifth", "sixth", "seventh", "eighth"};
    return words[n];
}

/* "after the second load"; "before the load" where nothing had come. */
static void say_when(struct sink *sink, const struct series *s, const struct floors_finding *f,
                     size_t i, bool short_of_load)
{
    bool loaded = false;
    for (int d = DRIVER_TIME + 1; d < DRIVER_COUNT; d++) {
        loaded |= s->has[d] && (s->x[d][0] > 0 || events_between(s, d, 0, f->floor[0].from_s) > 0);
    }
    size_t load = i + loaded;
    if (load == 0) {
        sink_printf(sink, "before the load");
    } else {
        sink_printf(sink, "after the %s%s", ordinal(load), short_of_load ? "" : " load");
    }
}

static void say_per_event(struct sink *sink, const struct floors_finding *f)
{
    const char *before = ", which is ";
    for (int d = DRIVER_TIME + 1; d < DRIVER_COUNT; d++) {
        char each[UNIT_TEXT];
        if (f->events[d] >= EXPOSURE_MIN_EVENTS) {
            sink_printf(sink, "%s%s per %s", before, unit_bytes(each, f->rise / f->events[d]),
                        driver_info((enum driver)d)->event);
            before = " or ";
        }
    }
}

static void say_change(struct sink *sink, const struct series *s, const struct floors_finding *f)
{
    char rise[UNIT_TEXT], low[UNIT_TEXT], high[UNIT_TEXT];
    say_when(sink, s, f, f->last, false);
    if (f->change == FLOORS_SETTLED_BACK) {
        sink_printf(sink, " %s settled back to where it had settled ", reason_metric(s->metric));
        say_when(sink, s, f, f->first, true);
        sink_printf(sink, " (%s, 95 %% %s to %s)", unit_bytes(rise, f->rise),
                    unit_bytes(low, f->rise_low), unit_bytes(high, f->rise_high));
        return;
    }
    sink_printf(sink, " %s settled %s (%s to %s) above where it had settled ",
                reason_metric(s->metric), unit_bytes(rise, f->rise), unit_bytes(low, f->rise_low),
                unit_bytes(high, f->rise_high));
    say_when(sink, s, f, f->first, true);
    if (f->change == FLOORS_UNCLEAR) {
        sink_printf(sink, ": it varies too much to say whether what the load left is given back");
        return;
    }
    say_per_event(sink, f);
    sink_printf(sink, ": what the load left is not given back");
}

static void say(const struct series *s, struct floors_finding *f)
{
    struct sink *sink = sink_new();
    char level[UNIT_TEXT];
    size_t n_settled = 0;
    for (size_t i = 0; i < f->n; i++) {
        n_settled += f->floor[i].settled;
    }
    if (f->change != FLOORS_NOT_COMPARED) {
        say_change(sink, s, f);
    } else if (n_settled >= 2) {
        sink_printf(sink, "the server restarted between the idle phases in which memory settled");
    } else if (f->n > 0) {
        size_t i = f->n - 1;
        sink_printf(sink, "%s %s ", reason_metric(s->metric),
                    f->floor[i].settled ? "settled" : "was not surely at rest");
        if (f->floor[i].settled) {
            sink_printf(sink, "at %s ", unit_bytes(level, f->floor[i].level_bytes));
        }
        say_when(sink, s, f, i, false);
        sink_printf(sink, f->floor[i].settled ? ""
                                              : ", so that what it left can't be told; a "
                                                "longer idle phase would tell");
    }
    (void)snprintf(f->reason, sizeof f->reason, "%s", sink_text(sink, NULL));
    sink_free(sink);
}

void floors_judge(const struct series *series, const struct judge_options *options,
                  struct floors_finding *ret_floors)
{
    *ret_floors = (struct floors_finding){.n = 0};
    for (size_t i = 0; i < options->n_idles; i++) {
        take_floor(series, &options->idle[i], ret_floors);
    }
    compare(series, ret_floors);
    say(series, ret_floors);
}
