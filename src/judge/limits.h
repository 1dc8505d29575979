/* Limits, judged over a whole run or in each window of it; of a search they are those of the step
 * that its answer rests on.  A limit on what was never measured is not held: nobody knows.  A limit
 * on memory is held or broken by an interval that lies on one side of it (leak_limits.h), and the
 * interval that holds the limit itself decides nothing. */
#ifndef JUDGE_LIMITS_H
#define JUDGE_LIMITS_H

#include "judge/windows.h"
#include "record/limit.h"

#include <stdbool.h>
#include <stddef.h>

enum limit_state { LIMIT_HELD, LIMIT_BROKEN, LIMIT_UNKNOWN, LIMIT_STATES };

#define LIMIT_MEASURED 128 /* bytes of what limits_measured writes */

struct limit_finding {
    struct limit limit;
    double measured; /* in the unit of its bound; NAN: there was nothing to measure */
    enum limit_state state;
    bool ended;            /* it ended the run */
    double from_s, to_s;   /* of the worst window; to_s 0: there are none */
    double low, high;      /* of memory: what it is at the least and at the most; else NAN */
    char why[512];         /* unknown: why; "": there was nothing of it to measure */
    double needed_seconds; /* unknown: what would tell, as in struct memory_finding */
    int needed_driver;     /* -1: none */
    double needed_events;
};

/* One finding a limit of the load, of a load that took `seconds`; those of memory are unknown. */
void limits_judge(const struct limit *limits, size_t n, const struct interval *interval,
                  double seconds, struct limit_finding *ret_findings);
/* The finding of a limit of which that was measured; NAN: nothing. */
struct limit_finding limits_find(const struct limit *limit, double measured);
/* The same by the worst of its windows. */
struct limit_finding limits_find_window(const struct limit *limit,
                                        const struct worst_window *worst);
const char *limit_state_name(enum limit_state state);
/* "31 ms", "31 ms from 2:10 to 2:20", "2.1 B, 3.0 B at the most". */
const char *limits_measured(const struct limit_finding *finding, char text[LIMIT_MEASURED]);
/* "latency.response.p99.max = 25ms is broken: 31 ms", or why nobody knows; one that is held gives
 * what was measured. */
void limits_sentence(const struct limit_finding *finding, char *text, size_t size);

#endif
