/* The search for the highest rate that holds, as a pure function of the steps so far: which rate is
 * next, or what the answer is.  The rate is doubled from search.from on until one does not hold or
 * search.to does; then the geometric mean of the highest that holds and the lowest that does not is
 * tried, until they are no further apart than search.precision.
 *
 * Of a rate two tries of a kind decide: that held, that the server broke, that the generator did.
 * But one try that held is enough to go on, and the answer's is tried again at the end.  Where
 * noise makes a rate hold above one that does not, the lower one counts.  One that is beyond the
 * generator says nothing of the server, but the search goes on below it, since the server may break
 * there. */
#ifndef LOAD_SEARCH_H
#define LOAD_SEARCH_H

#include "profile/plan.h"
#include "record/search.h"

#include <stdbool.h>
#include <stddef.h>

struct search_answer {
    struct run_search so_far; /* `end` is SEARCH_GOES_ON until there is an answer */
    double next_per_s;        /* of SEARCH_GOES_ON: the rate of the next step; 0: no more steps */
    size_t n_held;            /* tries at so_far.held_per_s that held */
    size_t n_beyond;          /* at beyond_per_s that did not, by whoever's fault it is */
    bool own_fault;           /* the generator's */
};

struct search_answer search_decide(const struct plan_search *search, const struct run_step *steps,
                                   size_t n);

#endif
