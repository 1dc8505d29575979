/* Season: a soak of days shows the day.  A period that is known (a day, or one that is declared)
 * and its first overtone are fitted together with a line, and removed. */
#ifndef JUDGE_SEASON_H
#define JUDGE_SEASON_H

#include <stdbool.h>
#include <stddef.h>

/* Coefficients that season_remove fits beside the line. */
#define SEASON_COEFFICIENTS 4
/* With fewer readings in a period, it and its harmonic pass for growth. */
#define SEASON_READINGS 8
/* Fewer periods than this can't be told from growth. */
#define SEASON_PERIODS 1.75

/* Subtracts the season from y and from y_min (n readings at x, the period in units of x).  False,
 * and nothing is changed, when x holds fewer than SEASON_PERIODS periods. */
bool season_remove(double *y, double *y_min, const double *x, size_t n, double period)
    __attribute__((warn_unused_result));

#endif
