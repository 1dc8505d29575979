/* What happened between two ticks on one worker: counts, outcomes and histograms.  The worker fills
 * it alone; at a tick the pointer changes owner through a one-slot mailbox, main adds it to the
 * totals and gives it back cleared.  Accounting identities hold over cumulative sums and are
 * checked on every merge in every build:
 *   started  = completed + failed + in flight
 *   dialed   = handshake_full + handshake_resumed + dial_failed + handshaking
 *   refusals tried = refused + let in + unclear + refusing
 *   misuses tried = done + undone + misusing
 *   ready connections = handshake_full + handshake_resumed - closed = open */
#ifndef RECORD_INTERVAL_H
#define RECORD_INTERVAL_H

#include "record/hist.h"
#include "record/metrics.h"
#include "record/misuse.h"
#include "record/outcome.h"
#include "record/refusal.h"

#include <stdint.h>

struct interval {
    uint64_t start_ns; /* monotonic */
    uint64_t end_ns;
    uint64_t count[COUNTER_COUNT];
    uint64_t outcome[OUTCOME_COUNT]; /* of exchanges, and of dials that failed */
    uint64_t status[6];              /* completed by status class: [1] 1xx .. [5] 5xx, [0] other */
    uint64_t gauge[GAUGE_COUNT];     /* at end_ns */
    struct refusal_tally refusal[REFUSALS_MAX]; /* of plan->refuses */
    struct misuse_tally misuse[MISUSES_MAX];    /* of plan->misuses */
    struct hist latency[LATENCY_COUNT];
};

struct interval *interval_new(void) __attribute__((warn_unused_result));
void interval_free(struct interval *interval);
void interval_clear(struct interval *interval);
/* Adds counts and histograms of `from`, and its gauges as interval_add_gauges does.  Widens
 * start/end. */
void interval_add(struct interval *to, const struct interval *from);
/* Gauges of another worker: they add (or the larger stays, metric_gauge_is_largest), so clear those
 * of `to` before the first worker of a tick. */
void interval_add_gauges(uint64_t to[GAUGE_COUNT], const uint64_t from[GAUGE_COUNT]);
/* Counters and gauges at `t_ns`, on the line between the counts of `before_ns` and the cumulative
 * `now`. */
void interval_between(struct interval *ret, const uint64_t before[COUNTER_COUNT],
                      uint64_t before_ns, const struct interval *now, uint64_t t_ns);
/* Stops the process (a bug) when an accounting identity of cumulative sums does not hold. */
void interval_check(const struct interval *cumulative);
/* Cumulative events of a driver (DRIVER_TIME: 0, the caller has the time). */
uint64_t interval_driver(const struct interval *cumulative, enum driver driver);

#endif
