/* Baselines: the trend tests that people use on memory, to be measured beside the judge.  Each
 * says whether it alarms at 5 %, two-sided, on rising readings. */
#ifndef STATS_BASELINES_H
#define STATS_BASELINES_H

#include <stdbool.h>
#include <stddef.h>

/* Mann 1945 and Kendall 1975, corrected for ties; O(n log n) by counting inversions. */
bool baseline_mann_kendall(const double *y, size_t n);
/* Student's t of the least-squares slope, the errors taken as independent. */
bool baseline_ols(const double *y, size_t n);
/* Mann-Kendall with the variance of Hamed and Rao 1998 (doi 10.1016/S0022-1694(97)00125-X): the
 * significant autocorrelations of the ranks of what Sen's slope leaves. */
bool baseline_hamed_rao(const double *y, size_t n);

#endif
