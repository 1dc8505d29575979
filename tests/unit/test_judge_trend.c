#include "judge/numeric.h"
#include "judge/regress.h"
#include "judge/staircase.h"
#include "judge/trend.h"

#include "base/rng.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#define N 400

static const struct trend_limits limits = {.alpha = 0.001, .likelihood_cut = 2.5, .line_nats = 4};

static void knows_order_statistics(void **state)
{
    double v[100];
    (void)state;
    for (size_t i = 0; i < 100; i++) {
        v[i] = (double)((i * 37) % 100);
    }
    assert_float_equal(numeric_median(v, 100), 49.5, 1e-12);
    assert_float_equal(numeric_quantile(v, 100, 0.25), 24.75, 1e-12);
    assert_float_equal(numeric_quantile(v, 1, 0.9), v[0], 1e-12);
    assert_float_equal(numeric_quantile(v, 0, 0.5), 0, 1e-12);
    assert_float_equal(numeric_median3(3, 1, 2), 2, 1e-12);
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Against a full sort, with many ties, at every length around the switch of methods. */
static void selects_as_a_sort_would(void **state)
{
    double v[300], sorted[300];
    struct rng rng;
    (void)state;
    rng_init(&rng, 21, "select", 0);
    for (size_t n = 1; n <= 300; n++) {
        for (size_t i = 0; i < n; i++) {
            v[i] = sorted[i] = (double)rng_below(&rng, n % 3 == 0 ? 4 : 1000);
        }
        qsort(sorted, n, sizeof *sorted, compare);
        for (int q = 0; q <= 20; q++) {
            double at = q / 20.0 * (double)(n - 1);
            size_t i = (size_t)at;
            double next = i + 1 < n ? sorted[i + 1] : sorted[i];
            assert_float_equal(numeric_quantile(v, n, q / 20.0),
                               sorted[i] + (at - (double)i) * (next - sorted[i]), 1e-9);
        }
    }
}

/* Values of the usual tables. */
static void knows_students_t(void **state)
{
    (void)state;
    assert_float_equal(numeric_t_quantile(0.025, 10), 2.228139, 1e-5);
    assert_float_equal(numeric_t_quantile(0.001, 11), 4.024701, 1e-5);
    assert_float_equal(numeric_t_quantile(0.05, 1), 6.313752, 1e-5);
    assert_float_equal(numeric_t_quantile(0.025, 1e6), 1.959964, 1e-4);
}

static void median_slope_ignores_outliers(void **state)
{
    double x[32], y[32];
    (void)state;
    for (size_t i = 0; i < 32; i++) {
        x[i] = (double)(i / 2);
        y[i] = 3 * x[i] + (i % 9 == 4 ? 1e6 : 0);
    }
    assert_float_equal(numeric_median_slope(y, x, 32), 3, 1e-9);
}

static void make_levels(struct levels *l, double slope, double bend, double noise)
{
    struct rng rng;
    rng_init(&rng, 5, "levels", 0);
    l->n = 32;
    l->n_falls = 0;
    for (size_t i = 0; i < 32; i++) {
        l->x[i] = 10 + (double)i;
        l->level[i] = slope * (double)i + bend * log((double)i + 1) + noise * rng_normal(&rng);
    }
}

static void fits_the_slope_of_a_line(void **state)
{
    struct levels l;
    struct trend t;
    (void)state;
    make_levels(&l, 1000, 0, 500);
    trend_fit(&l, 0, 42, &limits, &t);
    assert_float_equal(t.slope, 1000, 50);
    assert_true(t.low > 700 && t.low < 1000 && t.high > 1000 && t.high < 1300);
    assert_true(t.line_nats > 4);
    assert_int_equal(t.n_cosines, 12);
}

static void prefers_a_logarithm_where_there_is_one(void **state)
{
    struct levels l;
    struct trend t;
    (void)state;
    make_levels(&l, 0, 10000, 100);
    trend_fit(&l, 10, 31, &limits, &t);
    assert_true(t.line_nats < 0);
}

static bool find_steps(const double sizes[], const size_t at[], size_t n, double *slope)
{
    static double y[N], x[N];
    struct rng rng;
    rng_init(&rng, 9, "stairs", 0);
    for (size_t i = 0; i < N; i++) {
        x[i] = (double)i;
        y[i] = 5e7 + 2e4 * rng_normal(&rng);
        for (size_t s = 0; s < n; s++) {
            y[i] += i >= at[s] ? sizes[s] : 0;
        }
    }
    struct window w = {.y = y, .y_min = y, .smooth = y, .x = x, .n = N};
    return staircase_find(&w, slope);
}

static void finds_doubling_steps_only(void **state)
{
    const double doubling[] = {2e6, 4e6, 8e6};
    const double equal[] = {4e6, 4e6, 4e6};
    const size_t doubled[] = {50, 100, 200};
    const size_t even[] = {100, 200, 300};
    const size_t early[] = {10, 20, 40};
    double slope = 0;
    (void)state;
    assert_true(find_steps(doubling, doubled, 3, &slope));
    assert_float_equal(slope, 8e6 / 200, 1e3);
    assert_false(find_steps(equal, even, 3, &slope));
    assert_false(find_steps(doubling, even, 3, &slope));
    assert_false(find_steps(equal, doubled, 3, &slope));
    assert_false(find_steps(doubling, early, 3, &slope)); /* the next step is long overdue */
    assert_false(find_steps(doubling, doubled, 2, &slope));
}

static void regression_finds_coefficients(void **state)
{
    static double design[4 * N], y[N];
    struct regress fit;
    struct rng rng;
    double u = 0;
    double beta, t;
    (void)state;
    rng_init(&rng, 11, "regress", 0);
    for (size_t i = 0; i < N; i++) {
        design[i] = (double)i;
        design[N + i] = sin((double)i / 7) * 100;
        design[2 * N + i] = 1;
        design[3 * N + i] = 2 * (double)i; /* adds nothing */
        u = 0.7 * u + rng_normal(&rng);
        y[i] = 3 * design[i] - 2 * design[N + i] + 50 + u + (i == 200 ? 6 : 0);
    }
    assert_true(regress_fit(design, y, N, 4, 4, &fit));
    assert_float_equal(fit.beta[0], 3, 0.05);
    assert_float_equal(fit.beta[1], -2, 0.05);
    assert_true(fit.beta[3] == 0 && isinf(fit.se[3]));
    assert_true(fit.se[0] > 0 && fit.se[0] < 0.02);
    assert_float_equal(fit.rho, 0.7, 0.2);
    assert_false(regress_added(&fit, design, &beta, &t));
    regress_end(&fit);
    assert_float_equal(regress_explained(design, N, 4, 3), 1, 1e-9);
    assert_true(regress_explained(design, N, 3, 1) < 0.1);
    assert_false(regress_fit(design, y, 9, 4, 4, &fit));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(knows_order_statistics),
        cmocka_unit_test(selects_as_a_sort_would),
        cmocka_unit_test(knows_students_t),
        cmocka_unit_test(median_slope_ignores_outliers),
        cmocka_unit_test(fits_the_slope_of_a_line),
        cmocka_unit_test(prefers_a_logarithm_where_there_is_one),
        cmocka_unit_test(finds_doubling_steps_only),
        cmocka_unit_test(regression_finds_coefficients),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
