#include "record/interval.h"

#include "base/bug.h"
#include "base/mem.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

struct interval *interval_new(void)
{
    struct interval *interval = xcalloc(1, sizeof *interval);

    for (int i = 0; i < LATENCY_COUNT; i++) {
        hist_init(&interval->latency[i]);
    }
    return interval;
}

void interval_free(struct interval *interval)
{
    free(interval);
}

void interval_clear(struct interval *interval)
{
    interval->start_ns = 0;
    interval->end_ns = 0;
    memset(interval->count, 0, sizeof interval->count);
    memset(interval->outcome, 0, sizeof interval->outcome);
    memset(interval->status, 0, sizeof interval->status);
    memset(interval->gauge, 0, sizeof interval->gauge);
    memset(interval->refusal, 0, sizeof interval->refusal);
    memset(interval->misuse, 0, sizeof interval->misuse);
    for (int i = 0; i < LATENCY_COUNT; i++) {
        hist_clear(&interval->latency[i]);
    }
}

static void add_all(uint64_t *to, const uint64_t *from, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        to[i] += from[i];
    }
}

/* An interval that covers no time yet takes the times of the first that is added. */
static void widen(struct interval *to, const struct interval *from)
{
    bool empty = to->start_ns == 0 && to->end_ns == 0;

    if (empty || from->start_ns < to->start_ns) {
        to->start_ns = from->start_ns;
    }
    if (empty || from->end_ns > to->end_ns) {
        to->end_ns = from->end_ns;
    }
}

void interval_add_gauges(uint64_t to[GAUGE_COUNT], const uint64_t from[GAUGE_COUNT])
{
    for (int i = 0; i < GAUGE_COUNT; i++) {
        if (!metric_gauge_is_largest((enum gauge)i)) {
            to[i] += from[i];
        } else if (from[i] > to[i]) {
            to[i] = from[i];
        }
    }
}

void interval_between(struct interval *ret, const uint64_t before[COUNTER_COUNT],
                      uint64_t before_ns, const struct interval *now, uint64_t t_ns)
{
    uint64_t to_ns = now->end_ns;
    double part = 1;
    if (t_ns <= before_ns || to_ns <= before_ns) {
        part = t_ns < to_ns ? 0 : 1;
    } else if (t_ns < to_ns) {
        part = (double)(t_ns - before_ns) / (double)(to_ns - before_ns);
    }
    for (int i = 0; i < COUNTER_COUNT; i++) {
        double more = (double)(now->count[i] - before[i]) * part;
        ret->count[i] = before[i] + (uint64_t)(more + 0.5);
    }
    memcpy(ret->gauge, now->gauge, sizeof ret->gauge);
    ret->start_ns = now->start_ns;
    ret->end_ns = t_ns;
}

void interval_add(struct interval *to, const struct interval *from)
{
    widen(to, from);
    add_all(to->count, from->count, COUNTER_COUNT);
    add_all(to->outcome, from->outcome, OUTCOME_COUNT);
    add_all(to->status, from->status, sizeof to->status / sizeof *to->status);
    interval_add_gauges(to->gauge, from->gauge);
    for (int i = 0; i < REFUSALS_MAX; i++) {
        refusal_add(&to->refusal[i], &from->refusal[i]);
    }
    for (int i = 0; i < MISUSES_MAX; i++) {
        misuse_add(&to->misuse[i], &from->misuse[i]);
    }
    for (int i = 0; i < LATENCY_COUNT; i++) {
        hist_add(&to->latency[i], &from->latency[i]);
    }
}

void interval_check(const struct interval *cumulative)
{
    const uint64_t *n = cumulative->count;
    const uint64_t *now = cumulative->gauge;
    uint64_t ready = n[COUNTER_HANDSHAKE_FULL] + n[COUNTER_HANDSHAKE_RESUMED];

    BUG_ON(n[COUNTER_STARTED] != n[COUNTER_COMPLETED] + n[COUNTER_FAILED] + now[GAUGE_IN_FLIGHT]);
    BUG_ON(n[COUNTER_DIALED] != ready + n[COUNTER_DIAL_FAILED] + now[GAUGE_HANDSHAKING]);
    BUG_ON(ready != n[COUNTER_CLOSED] + now[GAUGE_OPEN]);
    BUG_ON(n[COUNTER_REFUSAL_TRIED] != n[COUNTER_REFUSED] + n[COUNTER_LET_IN] +
                                           n[COUNTER_REFUSAL_UNCLEAR] + now[GAUGE_REFUSING]);
    BUG_ON(n[COUNTER_MISUSE_TRIED] !=
           n[COUNTER_MISUSE_DONE] + n[COUNTER_MISUSE_UNDONE] + now[GAUGE_MISUSING]);
}

uint64_t interval_driver(const struct interval *cumulative, enum driver driver)
{
    enum counter counters[METRIC_DRIVER_COUNTERS];
    int n = metric_driver_counters(driver, counters);
    uint64_t events = 0;

    for (int i = 0; i < n; i++) {
        events += cumulative->count[counters[i]];
    }
    return events;
}
