/* Floors: where memory settles when the load pauses, and whether it settles higher after each load.
 * A rise says that what the load left is not given back; it is no proof of a leak, since allocators
 * keep pages and runtimes keep heap, so it is told beside the class and never changes it. */
#ifndef JUDGE_FLOORS_H
#define JUDGE_FLOORS_H

#include "judge/verdict.h"

/* One floor for each of options->idle that has readings: level and uncertainty are those of the
 * last half of the phase's readings, of the incarnation that it ended with, and settled is what
 * judge_settled says of them at its end (judge/settled.h).  The rise is from the first to the last
 * floor that settled, of one incarnation. */
void floors_judge(const struct series *series, const struct judge_options *options,
                  struct floors_finding *ret_floors);
/* "rose", "settled_back", "unclear"; NULL when nothing was compared. */
const char *floors_change_name(enum floors_change change);

#endif
