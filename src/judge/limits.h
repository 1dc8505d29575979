/* Limits of the load, judged over a whole run; of a search they are those of the step that its
 * answer rests on.  A limit on what was never measured is not held: nobody knows. */
#ifndef JUDGE_LIMITS_H
#define JUDGE_LIMITS_H

#include "record/limit.h"

#include <stddef.h>

enum limit_state { LIMIT_HELD, LIMIT_BROKEN, LIMIT_UNKNOWN, LIMIT_STATES };

struct limit_finding {
    struct limit limit;
    double measured; /* in the unit of its bound; NAN: there was nothing to measure */
    enum limit_state state;
};

/* One finding a limit, of a load that took `seconds`. */
void limits_judge(const struct limit *limits, size_t n, const struct interval *interval,
                  double seconds, struct limit_finding *ret_findings);
/* The finding of a limit of which that was measured; NAN: nothing. */
struct limit_finding limits_find(const struct limit *limit, double measured);
const char *limit_state_name(enum limit_state state);
/* "latency.response.p99.max = 25ms is broken: 31 ms", or why nobody knows; one that is held gives
 * what was measured. */
void limits_sentence(const struct limit_finding *finding, char *text, size_t size);

#endif
