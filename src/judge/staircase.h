/* Staircase: an array or a hash table that doubles grows in steps whose sizes and distances both
 * double, and lies flat in between for up to half the run.  Three such steps with the next one not
 * overdue are growth without bound, however flat the tail is. */
#ifndef JUDGE_STAIRCASE_H
#define JUDGE_STAIRCASE_H

#include "judge/levels.h"

#include <stdbool.h>

/* True with the mean growth per unit of exposure: last step / (2 x last distance). */
bool staircase_find(const struct window *window, double *ret_slope)
    __attribute__((warn_unused_result));

#endif
