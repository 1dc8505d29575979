/* Soaks of days: the day is taken out, so that a leak of little a second shows beside it and a
 * clean server passes; and thirty days of one reading a second take the memory and the time of one
 * hour. */
#include "shapes.h"

#include "base/mem.h"
#include "base/mono.h"
#include "judge/growth.h"
#include "judge/verdict.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#define SEEDS  60
#define DAY    86400.0
#define EACH_S 180.0 /* between readings of the compressed soaks */
#define DAYS   3
#define LEAK   100.0 /* bytes a second: 26 MB in three days */
#define BUDGET 40.0

static struct series series;
static struct memory_finding finding;

/* A server whose memory follows the load of the day, with a lesser wave of half a day, and warms
 * up in its first hour. */
static double memory_at(double t, double bytes_per_s, double swing, double phase)
{
    double day = 2 * M_PI * t / DAY + phase;
    return 200 * MB + swing * (sin(day) + 0.3 * sin(2 * day + 1)) + 20 * MB * (1 - exp(-t / 3600)) +
           bytes_per_s * t;
}

static struct growth judge_days(unsigned seed, double bytes_per_s, double period)
{
    size_t n = (size_t)(DAYS * DAY / EACH_S);
    struct trace t = trace_new(n);
    CLEANUP_FREE double *x = xmalloc(n * sizeof *x);
    struct noise noise = {.sigma = 512 * KB, .phi = 0.6};
    struct growth_options options = growth_options(BUDGET);
    struct growth g;
    struct rng rng;
    rng_init(&rng, seed, "days", 0);
    double swing = log_uniform(&rng, MB, 30 * MB);
    double phase = uniform(&rng, 0, 2 * M_PI);
    for (size_t i = 0; i < n; i++) {
        x[i] = (double)i * EACH_S;
        t.y[i] = memory_at(x[i], bytes_per_s, swing, phase);
    }
    add_noise(&rng, &t, noise, 1);
    trace_round_to_pages(&t);
    struct growth_input input = {.y = t.y, .y_min = t.y, .x = x, .part = t.part, .n = n};
    options.period = period;
    growth_judge(&input, &options, &g);
    trace_free(&t);
    return g;
}

static void count_days(double bytes_per_s, double period, unsigned *ret_leaks, unsigned *ret_passes)
{
    *ret_leaks = *ret_passes = 0;
    for (unsigned seed = 0; seed < SEEDS; seed++) {
        struct growth g = judge_days(61000 + seed, bytes_per_s, period);
        *ret_leaks += g.class == MEMORY_LEAK;
        *ret_passes += g.class == MEMORY_STABLE || g.class == MEMORY_BOUNDED;
        assert_int_equal(g.season_removed, period > 0);
    }
    print_message("%.0f B/s, the day %s: %u leaks, %u passes of %d\n", bytes_per_s,
                  period > 0 ? "removed" : "left in", *ret_leaks, *ret_passes, SEEDS);
}

static void the_day_hides_no_leak(void **state)
{
    unsigned leaks, passes;
    (void)state;
    count_days(LEAK, DAY, &leaks, &passes);
    assert_in_range(leaks, SEEDS * 9 / 10, SEEDS);
    assert_int_equal(passes, 0);
    count_days(LEAK, 0, &leaks, &passes);
    assert_in_range(leaks, 0, SEEDS / 3);
}

static void the_day_is_no_leak(void **state)
{
    unsigned leaks, passes;
    (void)state;
    count_days(0, DAY, &leaks, &passes);
    assert_int_equal(leaks, 0);
    assert_in_range(passes, SEEDS * 9 / 10, SEEDS);
    count_days(0, 0, &leaks, &passes);
    assert_int_equal(leaks, 0);
    assert_in_range(passes, 0, SEEDS / 2);
}

/* 1.75 days are enough, less are not. */
static void a_season_wants_enough_of_it(void **state)
{
    (void)state;
    assert_true(judge_days(1, 0, DAYS * DAY / 1.76).season_removed);
    assert_false(judge_days(1, 0, DAYS * DAY / 1.74).season_removed);
}

/* Days at one reading a second through the store; options as a run has them.  Milliseconds that the
 * verdict took. */
static double judge_store(int days, double bytes_per_s, double budget, double period_s)
{
    struct judge_options options = judge_options_none();
    struct rng rng;
    double u = 0;
    double x[DRIVER_COUNT] = {0};
    options.period_s = period_s;
    options.judge.budget[DRIVER_TIME] = budget;
    rng_init(&rng, 62000, "month", 0);
    series_init(&series);
    snprintf(series.metric, sizeof series.metric, "anon_bytes");
    for (int i = 0; i < days * (int)DAY; i++) {
        u = 0.9 * u + 220 * KB * rng_normal(&rng);
        series_add(&series, i, memory_at(i, bytes_per_s, 10 * MB, 1) + u, x, 10, 0);
    }
    uint64_t start = mono_thread_cpu_ns();
    judge_series(&series, &options, &finding);
    return (double)(mono_thread_cpu_ns() - start) * 1e-6;
}

/* Nobody has to name the day; a load with another period does. */
static void the_day_is_the_usual_period(void **state)
{
    (void)state;
    (void)judge_store(DAYS, LEAK, BUDGET, 0);
    print_message("three days: %s\n", finding.reason);
    assert_int_equal(finding.class, MEMORY_LEAK);
    assert_true(finding.slope_low < LEAK && finding.slope_high > LEAK);
    (void)judge_store(DAYS, LEAK, BUDGET, 7 * 3600.0);
    assert_int_not_equal(finding.class, MEMORY_LEAK);
}

static void a_month_is_judged_like_an_hour(void **state)
{
    (void)state;
    double ms = judge_store(30, 8, 2, 0);
    print_message("a month with a leak of 8 B/s: %.1f ms: %s\n", ms, finding.reason);
    assert_int_equal(finding.class, MEMORY_LEAK);
    assert_true(finding.slope_low < 8 && finding.slope_high > 8);
    assert_true(finding.smallest_visible < 8);
    assert_in_range(series.n, SERIES_BUCKETS / 2, SERIES_BUCKETS);
    assert_int_equal(finding.n_readings, 30 * (size_t)DAY);
    ms = judge_store(30, 0, 2, 0);
    print_message("a clean month: %.1f ms: %s\n", ms, finding.reason);
    assert_int_equal(finding.class, MEMORY_STABLE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_day_hides_no_leak),
        cmocka_unit_test(the_day_is_no_leak),
        cmocka_unit_test(a_season_wants_enough_of_it),
        cmocka_unit_test(the_day_is_the_usual_period),
        cmocka_unit_test(a_month_is_judged_like_an_hour),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
