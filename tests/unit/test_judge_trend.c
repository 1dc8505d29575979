#include "judge/numeric.h"
#include "judge/season.h"
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

static const struct trend_limits limits = {.alpha = 0.001, .likelihood_cut = 2.5, .log_nats = 4};

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
    assert_true(t.log_nats > 4);
    assert_float_equal(t.df, 15, 0);
}

static void prefers_a_logarithm_where_there_is_one(void **state)
{
    struct levels l;
    struct trend t;
    (void)state;
    make_levels(&l, 0, 10000, 100);
    trend_fit(&l, 10, 31, &limits, &t);
    assert_true(t.log_nats < 0);
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
    assert_false(
        find_steps((double[]){3e6, 2e6, 4e6, 8e6}, (size_t[]){5, 50, 100, 200}, 4, &slope));
    assert_true(find_steps((double[]){1e6, 2e6, 4e6, 8e6}, (size_t[]){5, 50, 100, 200}, 4, &slope));
    assert_false(find_steps(doubling, (size_t[]){150, 200, 300}, 3, &slope)); /* begun too late */
}

static void project_walk(struct levels *l, unsigned seed, double slope, double walk, double white)
{
    struct rng rng;
    double at = 0;
    rng_init(&rng, seed, "walk", 0);
    l->n = LEVELS_MAX;
    l->n_falls = 0;
    for (size_t i = 0; i < LEVELS_MAX; i++) {
        at += walk * rng_normal(&rng);
        l->x[i] = (double)i;
        l->level[i] = slope * (double)i + at + white * rng_normal(&rng);
    }
}

/* White noise of 2000 moves levels as far as a few steps of 1000, but says more of a slope; the
 * intervals hold in either. */
static void widens_where_noise_remembers(void **state)
{
    unsigned right = 0;
    double se_white = 0;
    double se_walk = 0;
    struct levels l;
    struct trend t;
    (void)state;
    for (unsigned seed = 0; seed < 200; seed++) {
        project_walk(&l, seed, 1000, 0, 2000);
        trend_fit(&l, -1, 65, &limits, &t);
        se_white += t.se;
        right += t.low <= 1000 && t.high >= 1000;
        project_walk(&l, seed, 1000, 1000, 0);
        trend_fit(&l, -1, 65, &limits, &t);
        se_walk += t.se;
        right += t.low <= 1000 && t.high >= 1000;
    }
    assert_in_range(right, 396, 400);
    assert_true(se_walk / 200 > 0.9 * 1000 / sqrt(LEVELS_MAX));
    assert_true(se_white < 0.7 * se_walk);
}

static void tells_a_line_from_one_that_stops(void **state)
{
    struct levels l;
    struct trend t;
    (void)state;
    project_walk(&l, 1, 1000, 200, 100);
    trend_fit(&l, 0, 63, &limits, &t);
    assert_true(t.stop_nats > 2);
    for (size_t i = 0; i < l.n; i++) {
        l.level[i] -= 1000 * fmax(0, (double)i - 0.85 * 63);
    }
    trend_fit(&l, 0, 63, &limits, &t);
    assert_true(t.stop_nats < -2);
    assert_true(t.low > 0);
}

/* Coefficients that were fitted before leave fewer degrees of freedom. */
static void removed_coefficients_cost_freedom(void **state)
{
    struct trend_limits removed = limits;
    struct levels l;
    struct trend t, u;
    (void)state;
    project_walk(&l, 2, 0, 0, 1000);
    removed.n_removed = 4;
    trend_fit(&l, 0, 63, &limits, &t);
    trend_fit(&l, 0, 63, &removed, &u);
    assert_true(u.df == t.df - 4);
    assert_true(u.high - u.low > 1.05 * (t.high - t.low));
}

static void removes_the_day_and_nothing_else(void **state)
{
    static double y[N], y_min[N], x[N];
    struct rng rng;
    double worst = 0;
    (void)state;
    rng_init(&rng, 3, "season", 0);
    for (size_t i = 0; i < N; i++) {
        double day = 2 * M_PI * (double)i / 190;
        x[i] = 50 + (double)i + 0.3 * rng_double(&rng);
        y[i] = 5e7 + 30 * (double)i + 1e6 * sin(day + 0.4) + 3e5 * cos(2 * day);
        y_min[i] = y[i] - 100;
    }
    assert_false(season_remove(y, y_min, x, N, N / 1.7));
    assert_true(season_remove(y, y_min, x, N, 190));
    for (size_t i = 0; i < N; i++) {
        worst = fmax(worst, fabs(y[i] - (5e7 + 30 * (double)i)));
        if (fabs(y[i] - y_min[i] - 100) > 1e-6)
            print_message("%zu %f %f %f\n", i, y[i], y_min[i], y[i] - y_min[i]);
    }
    assert_true(worst < 2e4);
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
        cmocka_unit_test(widens_where_noise_remembers),
        cmocka_unit_test(tells_a_line_from_one_that_stops),
        cmocka_unit_test(removed_coefficients_cost_freedom),
        cmocka_unit_test(removes_the_day_and_nothing_else),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
