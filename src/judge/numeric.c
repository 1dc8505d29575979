#include "judge/numeric.h"

#include "base/bug.h"
#include "base/mem.h"

#include <math.h>
#include <string.h>

/* Samples up to this many are ordered on the stack. */
#define STACK_VALUES 64

static void sort_few(double *v, size_t n)
{
    for (size_t i = 1; i < n; i++) {
        double value = v[i];
        size_t j = i;
        for (; j > 0 && v[j - 1] > value; j--) {
            v[j] = v[j - 1];
        }
        v[j] = value;
    }
}

/* Puts the k-th smallest value in its place, none larger before it and none smaller behind (Hoare
 * 1961, with the median of three as the pivot). */
static void select_kth(double *v, size_t n, size_t k)
{
    size_t low = 0;
    size_t high = n - 1;
    while (low < high) {
        double pivot = numeric_median3(v[low], v[low + (high - low) / 2], v[high]);
        size_t i = low;
        size_t j = high;
        for (;;) {
            while (v[i] < pivot) {
                i++;
            }
            while (v[j] > pivot) {
                j--;
            }
            if (i >= j) {
                break;
            }
            double swapped = v[i];
            v[i++] = v[j];
            v[j--] = swapped;
        }
        /* All up to j are at most the pivot, all behind it at least. */
        if (k <= j) {
            high = j < high ? j : high - 1;
        } else {
            low = j + 1;
        }
    }
}

static double quantile_of_sorted(const double *v, size_t n, double p)
{
    double at = p * (double)(n - 1);
    size_t i = (size_t)at;
    return i + 1 < n ? v[i] + (at - (double)i) * (v[i + 1] - v[i]) : v[n - 1];
}

double numeric_quantile(const double *values, size_t n, double p)
{
    double few[STACK_VALUES];
    if (n == 0) {
        return 0;
    }
    if (n <= STACK_VALUES) {
        memcpy(few, values, n * sizeof *few);
        sort_few(few, n);
        return quantile_of_sorted(few, n, p);
    }
    CLEANUP_FREE double *copy = xmalloc(n * sizeof *copy);
    memcpy(copy, values, n * sizeof *copy);
    size_t k = (size_t)(p * (double)(n - 1));
    select_kth(copy, n, k);
    for (size_t i = k + 2; i < n; i++) {
        if (copy[i] < copy[k + 1]) {
            copy[k + 1] = copy[i];
        }
    }
    return quantile_of_sorted(copy, n, p);
}

double numeric_median(const double *values, size_t n)
{
    return numeric_quantile(values, n, 0.5);
}

double numeric_median3(double a, double b, double c)
{
    return fmax(fmin(a, b), fmin(fmax(a, b), c));
}

/* Continued fraction of the incomplete beta function, by Lentz's method (Press et al., Numerical
 * Recipes, section 6.4). */
static double beta_fraction(double a, double b, double x)
{
    double c = 1;
    double d = 1 / (1 - (a + b) * x / (a + 1));
    double sum = d;
    for (int m = 1; m < 300; m++) {
        double even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
        double odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
        d = 1 / (1 + even * d);
        c = 1 + even / c;
        sum *= d * c;
        d = 1 / (1 + odd * d);
        c = 1 + odd / c;
        sum *= d * c;
        if (fabs(d * c - 1) < 1e-12) {
            break;
        }
    }
    return sum;
}

static double incomplete_beta(double a, double b, double x)
{
    if (x <= 0 || x >= 1) {
        return x > 0;
    }
    double front = exp(lgamma(a + b) - lgamma(a) - lgamma(b) + a * log(x) + b * log(1 - x));
    if (x < (a + 1) / (a + b + 2)) {
        return front * beta_fraction(a, b, x) / a;
    }
    return 1 - front * beta_fraction(b, a, 1 - x) / b;
}

/* Newton's method for the tail's logarithm over that of t, which is concave: from the right it only
 * comes nearer. */
double numeric_t_quantile(double p, double df)
{
    double scale =
        lgamma(0.5 * (df + 1)) - lgamma(0.5 * df) - 0.5 * log(df * M_PI); /* of the density */
    double t = 1;
    for (int i = 0; i < 100; i++) {
        double tail = 0.5 * incomplete_beta(0.5 * df, 0.5, df / (df + t * t));
        double density = exp(scale - 0.5 * (df + 1) * log1p(t * t / df));
        double step = tail > 0 ? log(tail / p) * tail / (density * t) : -1;
        t *= exp(fmax(-0.7, fmin(0.7, step)));
        if (fabs(step) < 1e-10) {
            break;
        }
    }
    return t;
}

double numeric_median_slope(const double *y, const double *x, size_t n)
{
    double slope[NUMERIC_SLOPE_POINTS * NUMERIC_SLOPE_POINTS / 2];
    size_t n_slopes = 0;
    BUG_ON(n > NUMERIC_SLOPE_POINTS);
    for (size_t i = 0; i < n; i++) {
        for (size_t j = i + 1; j < n; j++) {
            if (x[j] > x[i]) {
                slope[n_slopes++] = (y[j] - y[i]) / (x[j] - x[i]);
            }
        }
    }
    return numeric_median(slope, n_slopes);
}
