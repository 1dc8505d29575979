/* Arithmetic that several parts of the judge share: order statistics, Student's t, median slopes.
 * Nothing here knows what a memory or a leak is. */
#ifndef JUDGE_NUMERIC_H
#define JUDGE_NUMERIC_H

#include <stddef.h>

/* Levels that numeric_median_slope takes at most. */
#define NUMERIC_SLOPE_POINTS 64

/* The p-quantile (0..1) by linear interpolation between order statistics; 0 when n is 0. */
double numeric_quantile(const double *values, size_t n, double p);
double numeric_median(const double *values, size_t n);
double numeric_median3(double a, double b, double c);
/* The t with P(T > t) = p for Student's distribution; df may be a fraction. */
double numeric_t_quantile(double p, double df);
/* Median of the slopes between all pairs of points (Sen 1968); pairs of equal x are left out. */
double numeric_median_slope(const double *y, const double *x, size_t n);

#endif
