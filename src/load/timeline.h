/* The timeline: which phase of the plan is under way, and how its rate and its connections move.  A
 * pure function of the plan, gone through from phase to phase by main and by every worker alike, so
 * that nothing is shared; only where main cuts an idle phase short is told to all of them.  A plan
 * without phases has one, the whole run.
 *
 * A search is a rest, a step, a rest, a step and so on.  A rest lasts until main cuts it short,
 * which has said by then how much load the step behind it has. */
#ifndef LOAD_TIMELINE_H
#define LOAD_TIMELINE_H

#include "load/course.h"
#include "profile/plan.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TIMELINE_NAME 48

/* Of the steps of a search.  Main appends; what is there never changes. */
struct timeline_rates {
    double per_s[PLAN_SEARCH_STEPS];
    atomic_size_t n;
};

struct timeline {
    const struct plan *plan; /* borrows */
    struct plan_phase whole; /* of a plan without phases; of a search the one under way */
    /* of a search, set by the caller before the first step; borrows */
    const struct timeline_rates *rates;
    size_t n;                        /* phases in all: those of the plan times run.repeat_phases */
    size_t i;                        /* the one under way, from 0 on; n: the run is over */
    uint64_t start_ns, end_ns;       /* of it, since the start of the load */
    uint64_t run_end_ns;             /* of the last */
    struct course rate, connections; /* of all workers together; the rate is 0 in the closed loop */
};

/* At the start of the first phase. */
void timeline_init(struct timeline *timeline, const struct plan *plan);
/* On to the next phase, whose courses begin where those of this one have come to. */
void timeline_next(struct timeline *timeline);
/* The phase under way ends at `at_ns` and all that follows comes that much earlier, but for the end
 * of a search.  Nothing happens unless that lies within it. */
void timeline_cut(struct timeline *timeline, uint64_t at_ns);
/* The phase under way; of a run that is over the last one. */
const struct plan_phase *timeline_phase(const struct timeline *timeline);
/* Its name; in a search "search 400/s" or "rest".  Returns `text`. */
const char *timeline_name(const struct timeline *timeline, char text[TIMELINE_NAME]);
/* Main says the rate of one more step. */
void timeline_append(struct timeline_rates *rates, double per_s);

#endif
