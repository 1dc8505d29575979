/* The generator's health: it judges itself by what its workers measured of themselves, second by
 * second, since what a generator measures that cannot keep up says nothing of the server.  Pure
 * arithmetic; it is told what happened and asked at the end.
 *
 * A second is lagging when in some worker
 *   - more than a tenth of the starts of an open loop were seen more than 50 ms after they were due
 *     (seen: before any connection is looked for, so a slow server has no part in it), or
 *   - it had no time left (on a core or waiting for one for 95 % of the second) while starts of an
 *     open loop waited for more than 100 ms; in a closed loop, it waited for a core for all that
 *     time, or
 *   - its own timers ran 100 ms late on average, or it stood or was silent for more than a second.
 * A slow server does the opposite: it leaves the workers idle.  A worker of a closed loop that is
 * on its core all the time is no fault: nothing was due, and the load is counted as it was; but its
 * latencies are its own then, and said to be so.  Until all connections stood (5 s at most) nothing
 * is judged, nor is the first second, unless it took two; what is left of the last one is.  A run
 * that leaves less than half a second to judge is judged by its beginning, too, as one span: there
 * more than half of the starts must have been late, or no time left.
 *
 * The generator did not keep up when lagging seconds made up a tenth of the run and 3 s (half of a
 * run of less than 6 s), or half of some minute; fewer are told and no more: a hiccup must not
 * spoil a day.  Nor did it keep up when one dial in a hundred failed for want of local ports or
 * descriptors, or when an open loop's workers spent a fifth of their time without a credential.
 * The thresholds lie far above what a busy machine of two cores does that has to carry the server
 * too, as tests/bench/HEALTH.md shows. */
#ifndef LOAD_HEALTH_H
#define LOAD_HEALTH_H

#include "load/machine.h"
#include "profile/plan.h"
#include "record/interval.h"
#include "record/run.h"

#include <stdbool.h>
#include <stdint.h>

#define HEALTH_TEXT   256
#define HEALTH_MINUTE 60

/* Of one worker, or summed, over a span of its time. */
struct health_span {
    uint64_t span_ns, cpu_ns, wait_ns, lag_ns;
    uint64_t n_due, n_delayed; /* starts; of them seen late by the generator's own fault */
    uint64_t waited_ns;        /* the longest that a start waited, whoever's fault */
};

struct health_worker {
    struct health_span now;   /* since the last second */
    struct health_span total; /* of the seconds that were judged */
    struct health_span ramp;  /* of those before */
    uint64_t silent_ns;       /* until now */
    uint64_t stood_ns;        /* the longest that it was late in an interval of the second */
};

struct health {
    const struct plan *plan;       /* borrows */
    struct health_worker *workers; /* owns */
    unsigned n_workers;
    uint64_t tick_ns;
    bool begun, judging;         /* the connections stood; since the second after that */
    uint64_t judged_ns, ramp_ns; /* judged in all; what went before that */
    uint64_t last_ns;            /* the end of the last second */
    uint64_t lagging_ns, minute[HEALTH_MINUTE]; /* of the last seconds, in a ring */
    bool lagged;                                /* the last second */
    uint64_t stood_ns;                          /* the longest that a worker was late */
    uint64_t n_seconds, worst_minute_ns;
    struct health_span lagging;                /* of the workers that lagged */
    struct machine_reading machine, at_begin;  /* the newest; when judging began */
    uint64_t n_throttled, stolen_ticks, ticks; /* in lagging seconds */
    struct run_generator found;
};

/* `n_workers` share the plan; they hand over an interval each `tick_ns`. */
void health_init(struct health *health, const struct plan *plan, unsigned n_workers,
                 uint64_t tick_ns);
void health_clear(struct health *health);
/* Judges from `t_ns` on, as `machine` was about then: the connections stand already. */
void health_begin(struct health *health, const struct machine_reading *machine, uint64_t t_ns);
/* An interval that `worker` handed over. */
void health_interval(struct health *health, unsigned worker, const struct interval *interval);
/* `worker` has not handed over an interval for `silent_ns`. */
void health_silence(struct health *health, unsigned worker, uint64_t silent_ns);
/* After the intervals of a tick, `t_ns` after the load's start: the sums of all workers. */
void health_tick(struct health *health, const struct interval *total, uint64_t t_ns);
/* Once a second while there is load, and when it ends. */
void health_second(struct health *health, const struct machine_reading *machine, uint64_t t_ns);
/* At the end: did the generator keep up?  `text` gets why not, or what it has to say though it did,
 * or nothing. */
bool health_finish(struct health *health, const struct interval *total, char text[HEALTH_TEXT],
                   struct run_generator *ret_found);

#endif
