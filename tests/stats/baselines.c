#include "baselines.h"

#include "base/mem.h"
#include "base/rng.h"
#include "judge/numeric.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define Z_5_PERCENT 1.959964
/* Pairs whose slopes stand for all in Sen's median. */
#define SLOPE_PAIRS 20000

/* Sorts v and counts the pairs that stood in falling order. */
static double count_inversions(double *v, double *spare, size_t n)
{
    if (n < 2) {
        return 0;
    }
    size_t half = n / 2;
    double count = count_inversions(v, spare, half) + count_inversions(v + half, spare, n - half);
    size_t left = 0;
    size_t right = half;
    for (size_t i = 0; i < n; i++) {
        bool from_left = right >= n || (left < half && v[left] <= v[right]);
        count += from_left ? 0 : (double)(half - left);
        spare[i] = from_left ? v[left++] : v[right++];
    }
    memcpy(v, spare, n * sizeof *v);
    return count;
}

/* Kendall's S (rising pairs less falling ones) and its variance without autocorrelation. */
static double kendall(const double *y, size_t n, double *ret_variance)
{
    CLEANUP_FREE double *v = xmalloc(2 * n * sizeof *v);
    memcpy(v, y, n * sizeof *v);
    double falling = count_inversions(v, v + n, n);
    double m = (double)n;
    double variance = m * (m - 1) * (2 * m + 5);
    double tied = 0;
    for (size_t i = 0, run; i < n; i += run) {
        for (run = 1; i + run < n && v[i + run] == v[i]; run++) {
        }
        double c = (double)run;
        variance -= c * (c - 1) * (2 * c + 5);
        tied += c * (c - 1) / 2;
    }
    *ret_variance = variance / 18;
    return m * (m - 1) / 2 - tied - 2 * falling;
}

static bool is_significant(double s, double variance)
{
    return s > 0 && variance > 0 && (s - 1) / sqrt(variance) > Z_5_PERCENT;
}

bool baseline_mann_kendall(const double *y, size_t n)
{
    double variance;
    double s = kendall(y, n, &variance);
    return is_significant(s, variance);
}

bool baseline_ols(const double *y, size_t n)
{
    double xx = 0, xy = 0, yy = 0, mean = 0;
    double middle = ((double)n - 1) / 2;
    for (size_t i = 0; i < n; i++) {
        mean += y[i] / (double)n;
    }
    for (size_t i = 0; i < n; i++) {
        double x = (double)i - middle;
        xx += x * x;
        xy += x * (y[i] - mean);
        yy += (y[i] - mean) * (y[i] - mean);
    }
    double left = (yy - xy * xy / xx) / ((double)n - 2);
    return xy > 0 && xy / sqrt(xx * left) > numeric_t_quantile(0.025, (double)n - 2);
}

static double sen_slope(const double *y, size_t n)
{
    struct rng rng;
    CLEANUP_FREE double *slope = xmalloc(SLOPE_PAIRS * sizeof *slope);
    rng_init(&rng, 1, "sen", n);
    for (size_t k = 0; k < SLOPE_PAIRS;) {
        size_t i = (size_t)rng_below(&rng, n);
        size_t j = (size_t)rng_below(&rng, n);
        if (i != j) {
            slope[k++] = (y[i] - y[j]) / ((double)i - (double)j);
        }
    }
    return numeric_median(slope, SLOPE_PAIRS);
}

static int by_value(const void *a, const void *b, void *values)
{
    const double *v = values;
    double x = v[*(const size_t *)a];
    double y = v[*(const size_t *)b];
    return (x > y) - (x < y);
}

/* Ranks around their mean, ties sharing theirs. */
static void centred_ranks(double *v, size_t n)
{
    CLEANUP_FREE size_t *order = xmalloc(n * sizeof *order);
    CLEANUP_FREE double *rank = xmalloc(n * sizeof *rank);
    for (size_t i = 0; i < n; i++) {
        order[i] = i;
    }
    qsort_r(order, n, sizeof *order, by_value, v);
    for (size_t i = 0, run; i < n; i += run) {
        for (run = 1; i + run < n && v[order[i + run]] == v[order[i]]; run++) {
        }
        for (size_t k = i; k < i + run; k++) {
            rank[order[k]] = (double)i + ((double)run - (double)n) / 2;
        }
    }
    memcpy(v, rank, n * sizeof *v);
}

bool baseline_hamed_rao(const double *y, size_t n)
{
    double variance;
    double s = kendall(y, n, &variance);
    double slope = sen_slope(y, n);
    CLEANUP_FREE double *r = xmalloc(n * sizeof *r);
    double m = (double)n;
    double power = 0;
    double factor = 0;
    for (size_t i = 0; i < n; i++) {
        r[i] = y[i] - slope * (double)i;
    }
    centred_ranks(r, n);
    for (size_t i = 0; i < n; i++) {
        power += r[i] * r[i];
    }
    for (size_t lag = 1; lag < n && power > 0; lag++) {
        double sum = 0;
        for (size_t i = lag; i < n; i++) {
            sum += r[i] * r[i - lag];
        }
        double left = m - (double)lag;
        if (fabs(sum / power) > Z_5_PERCENT / sqrt(m)) {
            factor += left * (left - 1) * (left - 2) * sum / power;
        }
    }
    factor = 1 + 2 / (m * (m - 1) * (m - 2)) * factor;
    return is_significant(s, variance * fmax(factor, 1e-9));
}
