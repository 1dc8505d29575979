/* The steps of a search as main goes through them: it gathers what the workers measured of the step
 * under way, judges that against the limits when the rest behind it has gone on for long enough,
 * writes it down, and says what comes next.
 *
 * What counts is what fell due and ended in the measured part of a step; latencies and errors also
 * of what was in flight at its end and came home in the rest, since those are the slow ones. */
#ifndef LOAD_STEPS_H
#define LOAD_STEPS_H

#include "load/health.h"
#include "load/search.h"
#include "load/timeline.h"
#include "record/run.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct steps {
    const struct plan *plan; /* borrows, as the next two */
    struct run *run;
    const struct interval *total; /* with the gauges of now */
    uint64_t zero_ns;             /* the caller's to set before the load */
    uint64_t tick_ns;
    unsigned n_workers;
    struct timeline_rates rates; /* for the workers */
    struct run_step step[PLAN_SEARCH_STEPS];
    size_t n; /* that are over */
    struct search_answer answer;
    bool over; /* there is an answer, or none to be had */
    /* the step under way, or in the rest behind it */
    bool under_way;
    double asked_per_s;
    uint64_t from_ns, to_ns;        /* its measured part, since the start of the load */
    struct interval *measured;      /* owns */
    uint64_t n_due, n_ended;        /* in that part */
    uint64_t first_ns, last_ns;     /* which the intervals cover */
    struct health health;           /* of the generator in this step */
    struct machine_reading machine; /* the newest */
    char trouble[HEALTH_TEXT];      /* what spoilt the last step that it did spoil; "": none */
    int disk_error;                 /* errno of a record that could not be written; 0: none */
};

void steps_init(struct steps *steps, const struct plan *plan, struct run *run, unsigned n_workers,
                uint64_t tick_ns, const struct interval *total);
void steps_clear(struct steps *steps);
/* An interval that `worker` handed over. */
void steps_interval(struct steps *steps, unsigned worker, const struct interval *interval);
/* Once a second, `t_ns` after the start of the load. */
void steps_second(struct steps *steps, const struct machine_reading *machine, uint64_t t_ns);
/* In a rest that began at `rest_ns`: when the next step begins, `least_ns` at the least; 0: not
 * yet, or the search is over.  Its rate is in `rates` then. */
uint64_t steps_follow(struct steps *steps, uint64_t rest_ns, uint64_t t_ns, uint64_t least_ns)
    __attribute__((warn_unused_result));
/* The load has ended: a step that is complete counts still. */
void steps_end(struct steps *steps, uint64_t t_ns);

#endif
