/* Settled: has memory come to rest while the load is idle?  It has when what it still moves is of
 * no account: over the next minute, or half as long again as it has been idle where that is more,
 * by less than 256 KiB, a thousandth of itself or three times its own noise, in either direction,
 * by an interval that allows for noise which remembers.  A slow give-back is seen by its slope,
 * however slow it is against the time waited; noise alone is told from it the sooner the shorter
 * its memory.  What is given back in steps that lie further apart than the last half of the wait
 * can't be foreseen. */
#ifndef JUDGE_SETTLED_H
#define JUDGE_SETTLED_H

#include <stdbool.h>
#include <stddef.h>

/* With fewer readings nothing is said to be settled. */
#define SETTLED_MIN_READINGS 12

struct settled {
    bool settled;
    size_t from;        /* first reading of the tail that level and slope are of */
    double level;       /* bytes at the middle of the tail */
    double uncertainty; /* half of the level's 95 % interval */
    double slope;       /* bytes a second in the tail */
    double moves;       /* bytes that it may still move in half as long again */
};

/* `n` readings of y bytes at t seconds, rising, all of them since the load stopped.  Pure and
 * cheap: may be asked at every reading. */
void judge_settled(const double *t, const double *y, size_t n, struct settled *ret_settled);

#endif
