#include "judge/verdict.h"

#include "base/rng.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#define KIB 1024.0
#define MIB (1024 * KIB)

/* A run at 5 Hz: 100 requests and 20 connections, with a certificate each, a second. */
struct story {
    int seconds;
    int idle_before, idle_after;
    double bytes_per_s;
    double step; /* bytes, in the middle */
    double noise;
    int restart_at; /* second; 0: none */
    const char *runtime;
    const char *metric;
    bool kept_open; /* all 20 connections before the first reading, none later */
};

static struct series series;
static struct judge_options options;
static struct memory_finding finding;

static int begin(void **state)
{
    (void)state;
    options = judge_options_none();
    return 0;
}

static void tell(const struct story *s)
{
    struct rng rng;
    int rows = 5 * (s->idle_before + s->seconds + s->idle_after);
    rng_init(&rng, 3, "story", 0);
    series_init(&series);
    snprintf(series.metric, sizeof series.metric, "%s",
             s->metric != NULL ? s->metric : "anon_bytes");
    if (s->runtime != NULL) {
        snprintf(series.runtime, sizeof series.runtime, "%s", s->runtime);
        series.collected = true;
    }
    series.has[DRIVER_REQUEST] = true;
    series.has[DRIVER_CONNECTION] = true;
    series.has[DRIVER_CLIENT_CERTIFICATE] = true;
    for (int i = 0; i < rows; i++) {
        double x[DRIVER_COUNT] = {0};
        double t = i / 5.0;
        double load = fmin(fmax(0, t - s->idle_before), s->seconds);
        int part = s->restart_at > 0 && t >= s->restart_at;
        double y = 50 * MIB + s->bytes_per_s * (load - (part ? s->restart_at : 0)) +
                   (load > s->seconds / 2.0 ? s->step : 0) + s->noise * rng_normal(&rng);
        x[DRIVER_REQUEST] = floor(100 * load);
        x[DRIVER_CONNECTION] = s->kept_open ? 20 : floor(20 * load);
        x[DRIVER_CLIENT_CERTIFICATE] = x[DRIVER_CONNECTION];
        series_add(&series, t, y, x, 10, part);
    }
    judge_series(&series, &options, &finding);
}

static void expect(enum memory_class class, const char *code)
{
    if (finding.class != class || strcmp(finding.reason_code, code) != 0) {
        fail_msg("%s [%s], not %s [%s]: %s", memory_class_name(finding.class), finding.reason_code,
                 memory_class_name(class), code, finding.reason);
    }
}

static void expect_said(const char *words)
{
    if (strstr(finding.reason, words) == NULL) {
        fail_msg("\"%s\" does not say \"%s\"", finding.reason, words);
    }
}

static void calls_even_growth_a_leak(void **state)
{
    (void)state;
    tell(&(struct story){.seconds = 60, .bytes_per_s = 200 * KIB, .noise = 20 * KIB});
    expect(MEMORY_LEAK, "trend");
    assert_float_equal(finding.slope, 200 * KIB, 4 * KIB);
    assert_true(finding.slope_low < 200 * KIB && finding.slope_high > 200 * KIB);
    assert_true(finding.smallest_visible > 0 && finding.smallest_visible < 200 * KIB);
    assert_float_equal(finding.duration_s, 60, 0.5);
    expect_said("anonymous memory grows 200 KiB/s");
    expect_said("10.0 KiB per new connection or 10.0 KiB per new client certificate");
    expect_said("not separable");
    expect_said("no bound seen up to");
    assert_int_equal(finding.n_drivers, 4);
    for (size_t i = 0; i < finding.n_drivers; i++) {
        assert_false(finding.drivers[i].separable);
        assert_false(finding.drivers[i].blamed);
        assert_true(isnan(finding.drivers[i].bytes_per_event));
        assert_true(finding.drivers[i].confounded_with[0] != '\0');
    }
}

static void passes_only_below_the_budget(void **state)
{
    (void)state;
    tell(&(struct story){.seconds = 60, .noise = 8 * KIB});
    expect(MEMORY_STABLE, "within_budget");
    /* 64 bytes for each of 20 connections a second is the least of the default budgets. */
    assert_float_equal(finding.budget, 64 * 20, 15);
    assert_true(finding.slope_high < finding.budget);
    expect_said("below the budget of 1.2");
    assert_true(finding.needed_seconds == 0);

    tell(&(struct story){.seconds = 60, .noise = 8 * KIB, .kept_open = true});
    expect(MEMORY_STABLE, "within_budget");
    expect_said(
        "nothing of what happened so seldom: new connection (0), new client certificate (0)");

    options.judge.budget[DRIVER_CONNECTION] = 1;
    tell(&(struct story){.seconds = 60, .noise = 8 * KIB});
    expect(MEMORY_INCONCLUSIVE, "noisy");
    assert_float_equal(finding.budget, 20, 1);
    assert_true(finding.needed_seconds > 60);
    expect_said("needs ");

    begin(NULL);
    options.judge.budget[DRIVER_TIME] = 1 * MIB;
    tell(&(struct story){.seconds = 60, .bytes_per_s = 200 * KIB, .noise = 8 * KIB});
    expect(MEMORY_STABLE, "within_budget");
    assert_float_equal(finding.budget, 1 * MIB, 1);

    /* A budget of a driver that had no events says nothing. */
    begin(NULL);
    options.judge.budget[DRIVER_JWT] = 1 * MIB;
    tell(&(struct story){.seconds = 60, .bytes_per_s = 200 * KIB, .noise = 8 * KIB});
    expect(MEMORY_LEAK, "trend");
}

static void calls_no_step_a_leak(void **state)
{
    (void)state;
    tell(&(struct story){.seconds = 60, .step = 30 * MIB, .noise = 8 * KIB});
    assert_int_not_equal(finding.class, MEMORY_LEAK);
}

static void waits_for_a_declared_bound(void **state)
{
    (void)state;
    struct story leak = {.seconds = 60, .bytes_per_s = 200 * KIB, .noise = 20 * KIB};
    options.judge.expect_bound[DRIVER_CLIENT_CERTIFICATE] = 1200;
    tell(&leak);
    expect(MEMORY_INCONCLUSIVE, "bound_not_reached");
    assert_string_equal(finding.known_bound, "expect_bound.client_certificate");
    assert_true(finding.known_bound_size == 1200);
    assert_int_equal(finding.needed_driver, DRIVER_CLIENT_CERTIFICATE);
    assert_float_equal(finding.needed_events, 2000 - 1199, 4);
    assert_true(finding.needed_seconds > 35 && finding.needed_seconds < 45);
    expect_said("has not passed the bound of 1,200 entries");
    expect_said("more new client certificates, which take ");

    options.judge.expect_bound[DRIVER_CLIENT_CERTIFICATE] = 700;
    tell(&leak);
    expect(MEMORY_LEAK, "trend");
    assert_string_equal(finding.known_bound, "expect_bound.client_certificate");

    /* Nor is there a pass below the bound. */
    options.judge.expect_bound[DRIVER_CLIENT_CERTIFICATE] = 1200;
    leak.bytes_per_s = 0;
    tell(&leak);
    expect(MEMORY_INCONCLUSIVE, "bound_not_reached");
}

static void waits_for_a_declared_time_to_live(void **state)
{
    (void)state;
    struct story leak = {.seconds = 60, .bytes_per_s = 200 * KIB, .noise = 20 * KIB};
    options.judge.expect_ttl_ns = 45ULL * 1000000000;
    tell(&leak);
    expect(MEMORY_INCONCLUSIVE, "bound_not_reached");
    assert_int_equal(finding.needed_driver, -1);
    assert_float_equal(finding.needed_seconds, 30, 2);
    options.judge.expect_ttl_ns = 29ULL * 1000000000;
    tell(&leak);
    expect(MEMORY_LEAK, "trend");
}

static void does_not_judge_garbage(void **state)
{
    (void)state;
    struct story leak = {
        .seconds = 60, .bytes_per_s = 200 * KIB, .noise = 20 * KIB, .runtime = "jvm"};
    tell(&leak);
    expect(MEMORY_INCONCLUSIVE, "few_gc");
    expect_said("settle = command, command = sh -c \"printf '%s\\n' GC.run");
    leak.runtime = "go";
    tell(&leak);
    expect(MEMORY_LEAK, "trend");
    /* Floors are judged, but the JDK's session cache of 20,480 must be passed. */
    leak.runtime = "jvm";
    leak.metric = "heap_floor_bytes";
    tell(&leak);
    expect(MEMORY_INCONCLUSIVE, "bound_not_reached");
    assert_int_equal(finding.needed_driver, DRIVER_CONNECTION);
    assert_true(finding.known_bound_size == 20480);
}

static void never_passes_a_restart(void **state)
{
    (void)state;
    tell(&(struct story){.seconds = 60, .noise = 8 * KIB, .restart_at = 30});
    expect(MEMORY_INCONCLUSIVE, "restart");
    assert_int_equal(finding.n_restarts, 1);
    tell(&(struct story){
        .seconds = 120, .bytes_per_s = 500 * KIB, .noise = 8 * KIB, .restart_at = 80});
    expect(MEMORY_LEAK, "trend");
    assert_int_equal(finding.n_restarts, 1);
}

static void asks_for_more_readings(void **state)
{
    (void)state;
    tell(&(struct story){.seconds = 5, .bytes_per_s = 1 * MIB});
    expect(MEMORY_INCONCLUSIVE, "too_short");
    assert_true(finding.needed_seconds >= 3 && finding.needed_seconds < 10);
    series_init(&series);
    judge_series(&series, &options, &finding);
    expect(MEMORY_INCONCLUSIVE, "too_short");
}

static void judges_the_loaded_stretch_only(void **state)
{
    (void)state;
    tell(&(struct story){.seconds = 60,
                         .idle_before = 20,
                         .idle_after = 60,
                         .bytes_per_s = 200 * KIB,
                         .noise = 20 * KIB});
    expect(MEMORY_LEAK, "trend");
    assert_float_equal(finding.duration_s, 60, 1);
    expect_said("20 s idle before and 59.8 s after the load");
}

static void forecasts_the_limit(void **state)
{
    (void)state;
    struct story leak = {.seconds = 60, .bytes_per_s = 200 * KIB, .noise = 20 * KIB};
    tell(&leak);
    assert_true(isnan(finding.seconds_to_limit_low) && isnan(finding.seconds_to_limit_high));
    options.limit_bytes = 50 * MIB + 600 * 200 * KIB;
    tell(&leak);
    assert_true(finding.seconds_to_limit_low < 545 && finding.seconds_to_limit_low > 400);
    assert_true(finding.seconds_to_limit_high > 540 && finding.seconds_to_limit_high < 700);
}

static void says_when_the_limit_is_reached(void **state)
{
    (void)state;
    struct story leak = {.seconds = 60, .bytes_per_s = 200 * KIB, .noise = 20 * KIB};
    options.limit_bytes = 512 * MIB;
    tell(&leak);
    expect_said("; at this rate the limit of 512 MiB is reached in 3");
    leak.bytes_per_s = 0;
    leak.noise = 1 * MIB;
    tell(&leak);
    expect(MEMORY_INCONCLUSIVE, "noisy");
    expect_said(" at the earliest; needs ");
    options.limit_bytes = 1 * MIB;
    tell(&leak);
    expect_said("; the limit of 1.00 MiB is reached; needs ");
}

/* A live view asks each minute, and the verdict is what it would have been. */
static void a_provisional_verdict_changes_nothing(void **state)
{
    static struct series grown, asked;
    static struct memory_finding provisional, after;
    double x[DRIVER_COUNT] = {0};
    struct rng rng;
    (void)state;
    rng_init(&rng, 6, "provisional", 0);
    series_init(&grown);
    series_init(&asked);
    for (int i = 0; i < 3000; i++) {
        double y = 60 * MIB + 3000.0 * i + 300 * KIB * rng_normal(&rng);
        x[DRIVER_REQUEST] = 100.0 * i;
        series_add(&grown, i, y, x, 5, 0);
        series_add(&asked, i, y, x, 5, 0);
        if (i % 60 == 0) {
            judge_provisional(&asked, &options, &provisional);
            assert_int_equal(provisional.n_drivers, 0);
            assert_int_equal(strncmp(provisional.reason, "so far: ", 8), 0);
        }
    }
    assert_memory_equal(&grown, &asked, sizeof grown);
    judge_series(&grown, &options, &finding);
    judge_series(&asked, &options, &after);
    expect(MEMORY_LEAK, "trend");
    assert_string_equal(after.reason, finding.reason);
    assert_int_equal(provisional.class, MEMORY_LEAK);
    assert_float_equal(provisional.slope, finding.slope, 200);
}

static void judges_without_any_events(void **state)
{
    (void)state;
    double x[DRIVER_COUNT] = {0};
    struct rng rng;
    rng_init(&rng, 4, "plain", 0);
    series_init(&series);
    for (int i = 0; i < 300; i++) {
        series_add(&series, i, 5e7 + 2000 * rng_normal(&rng), x, 0, 0);
    }
    judge_series(&series, &options, &finding);
    expect(MEMORY_STABLE, "within_budget");
    assert_float_equal(finding.budget, 1024, 1e-9);
    assert_int_equal(finding.n_drivers, 1);
    assert_int_equal(finding.drivers[0].driver, DRIVER_TIME);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(calls_even_growth_a_leak, begin),
        cmocka_unit_test_setup(passes_only_below_the_budget, begin),
        cmocka_unit_test_setup(calls_no_step_a_leak, begin),
        cmocka_unit_test_setup(waits_for_a_declared_bound, begin),
        cmocka_unit_test_setup(waits_for_a_declared_time_to_live, begin),
        cmocka_unit_test_setup(does_not_judge_garbage, begin),
        cmocka_unit_test_setup(never_passes_a_restart, begin),
        cmocka_unit_test_setup(asks_for_more_readings, begin),
        cmocka_unit_test_setup(judges_the_loaded_stretch_only, begin),
        cmocka_unit_test_setup(forecasts_the_limit, begin),
        cmocka_unit_test_setup(says_when_the_limit_is_reached, begin),
        cmocka_unit_test_setup(a_provisional_verdict_changes_nothing, begin),
        cmocka_unit_test_setup(judges_without_any_events, begin),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
