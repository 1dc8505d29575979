/* Bad readings inside the judge: whatever is wrong with them, there is a verdict with the right
 * reason, a leak stays a leak where the rest shows it, and nothing passes by default. */
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

#define KIB     1024.0
#define MIB     (1024 * KIB)
#define SECONDS 600
#define LEAK    (100 * KIB) /* a second */

static struct series series;
static struct judge_options options;
static struct memory_finding finding;

/* One reading a second, as it should be; a test spoils some. */
struct reading {
    double t, y, x[DRIVER_COUNT], open;
    int part;
};

static int begin(void **state)
{
    (void)state;
    options = judge_options_none();
    return 0;
}

static void begin_series(const char *metric)
{
    series_init(&series);
    snprintf(series.metric, sizeof series.metric, "%s", metric);
    series.has[DRIVER_REQUEST] = true;
}

static void judge_spoiled(double bytes_per_s, void (*spoil)(int i, struct reading *reading))
{
    struct rng rng;
    rng_init(&rng, 12, "bad", 0);
    begin_series("anon_bytes");
    for (int i = 0; i < SECONDS; i++) {
        struct reading r = {.t = i, .y = 80 * MIB + bytes_per_s * i + 32 * KIB * rng_normal(&rng)};
        r.x[DRIVER_REQUEST] = 200.0 * i;
        r.open = 10;
        spoil(i, &r);
        series_add(&series, r.t, r.y, r.x, r.open, r.part);
    }
    judge_series(&series, &options, &finding);
}

static void expect(enum memory_class class, const char *code, const char *said)
{
    if (finding.class != class || strcmp(finding.reason_code, code) != 0 ||
        strstr(finding.reason, said) == NULL) {
        fail_msg("%s [%s], not %s [%s] with \"%s\": %s", memory_class_name(finding.class),
                 finding.reason_code, memory_class_name(class), code, said, finding.reason);
    }
}

static void leave(int i, struct reading *r)
{
    (void)i;
    (void)r;
}

static void some_not_finite(int i, struct reading *r)
{
    static const double bad[] = {NAN, INFINITY, -INFINITY, -5e6, 0};
    if (i % 7 == 3) {
        r->y = bad[(i / 7) % 5];
    }
    if (i % 11 == 5) {
        r->x[DRIVER_REQUEST] = NAN;
        r->open = INFINITY;
    }
    r->t = i % 50 == 20 ? NAN : r->t;
}

static void readings_that_are_no_numbers_are_left_out(void **state)
{
    (void)state;
    judge_spoiled(LEAK, some_not_finite);
    expect(MEMORY_LEAK, "trend", "grows 100 KiB/s");
    assert_int_equal(finding.n_readings + finding.n_gaps, SECONDS);
    assert_in_range(finding.n_gaps, 90, 100);
    assert_true(isfinite(finding.slope_low) && isfinite(finding.slope_high));
    for (size_t i = 0; i < series.n; i++) {
        assert_true(isfinite(series.y[i]) && isfinite(series.open[i]));
        assert_true(isfinite(series.x[DRIVER_REQUEST][i]));
    }
    judge_spoiled(0, some_not_finite);
    expect(MEMORY_STABLE, "within_budget", "is stable");
}

static void mostly_failed(int i, struct reading *r)
{
    r->y = i % 3 == 0 ? r->y : 0;
}

static void no_pass_when_most_readings_failed(void **state)
{
    (void)state;
    judge_spoiled(0, mostly_failed);
    expect(MEMORY_INCONCLUSIVE, "gaps", "200 readings, 400 failed");
    assert_true(finding.needed_seconds > 0);
    judge_spoiled(LEAK, mostly_failed);
    expect(MEMORY_LEAK, "trend", "grows");
}

static void all_failed(int i, struct reading *r)
{
    r->y = i % 2 == 0 ? 0 : NAN;
}

static void no_verdict_without_readings(void **state)
{
    (void)state;
    judge_spoiled(0, all_failed);
    expect(MEMORY_INCONCLUSIVE, "too_short", "too few readings (0)");
}

static void long_pause(int i, struct reading *r)
{
    r->t += i > 200 ? 400 : 0;
}

static void short_pause(int i, struct reading *r)
{
    r->t += i > 200 ? 200 : 0;
}

static void no_pass_across_a_long_pause(void **state)
{
    (void)state;
    judge_spoiled(0, long_pause);
    expect(MEMORY_INCONCLUSIVE, "gaps", "too much of the run was not read");
    judge_spoiled(0, short_pause);
    expect(MEMORY_STABLE, "within_budget", "is stable");
}

static void fails_from_the_middle(int i, struct reading *r)
{
    r->y = i > 320 ? 0 : r->y;
}

static void fails_at_the_end(int i, struct reading *r)
{
    r->y = i > 450 ? 0 : r->y;
}

/* The pause after the last reading counts as any other, though most readings were good. */
static void no_pass_for_an_end_that_nobody_saw(void **state)
{
    (void)state;
    judge_spoiled(0, fails_from_the_middle);
    expect(MEMORY_INCONCLUSIVE, "gaps", "too much of the run was not read");
    judge_spoiled(LEAK, fails_from_the_middle);
    expect(MEMORY_LEAK, "trend", "grows");
    judge_spoiled(0, fails_at_the_end);
    expect(MEMORY_STABLE, "within_budget", "is stable");
}

static void back_and_forth(int i, struct reading *r)
{
    r->t -= i >= 300 && i < 340 ? 3600 : 0;
    r->t = i % 40 == 39 ? r->t - 1 : r->t;
}

static void a_clock_that_steps_back_costs_readings_only(void **state)
{
    (void)state;
    judge_spoiled(LEAK, back_and_forth);
    expect(MEMORY_LEAK, "trend", "grows ");
    assert_in_range(finding.n_gaps, 40, 60);
    for (size_t i = 1; i < series.n; i++) {
        assert_true(series.t[i] > series.t[i - 1]);
    }
}

static void counter_begins_again(int i, struct reading *r)
{
    r->x[DRIVER_REQUEST] -= i >= 300 ? 60000 : 0;
}

static void a_counter_that_resets_changes_no_verdict(void **state)
{
    (void)state;
    judge_spoiled(LEAK, counter_begins_again);
    expect(MEMORY_LEAK, "trend", "grows 100 KiB/s");
    double events = finding.drivers[1].events;
    assert_int_equal(finding.drivers[1].driver, DRIVER_REQUEST);
    assert_float_equal(events, 200.0 * (SECONDS - 1), 250);
    judge_spoiled(0, counter_begins_again);
    expect(MEMORY_STABLE, "within_budget", "is stable");
}

static void restarts_often(int i, struct reading *r)
{
    r->part = i / 30;
}

static void a_server_that_restarts_all_the_time_never_passes(void **state)
{
    (void)state;
    judge_spoiled(0, restarts_often);
    expect(MEMORY_INCONCLUSIVE, "restart", "the server restarted");
    assert_int_equal(finding.n_restarts, SECONDS / 30 - 1);
}

static void kilobytes(int i, struct reading *r)
{
    (void)i;
    r->y /= 1024;
}

static void no_process_is_that_small(void **state)
{
    (void)state;
    judge_spoiled(LEAK, kilobytes);
    expect(MEMORY_INCONCLUSIVE, "unit", "no process has so little");
    assert_true(finding.needed_seconds == 0);
    judge_spoiled(LEAK, leave);
    expect(MEMORY_LEAK, "trend", "grows 100 KiB/s");
}

static void judge_constant(const char *metric)
{
    double x[DRIVER_COUNT] = {0};
    begin_series(metric);
    for (int i = 0; i < SECONDS; i++) {
        x[DRIVER_REQUEST] = 200.0 * i;
        series_add(&series, i, 20 * MIB, x, 10, 0);
    }
    judge_series(&series, &options, &finding);
}

/* Pages of a small server do stay as they are; a heap gauge that never moves is not refreshed. */
static void a_gauge_that_never_moves_does_not_pass(void **state)
{
    (void)state;
    judge_constant("go_heap_bytes");
    expect(MEMORY_INCONCLUSIVE, "stuck", "all of its readings are the same");
    judge_constant("anon_bytes");
    expect(MEMORY_STABLE, "within_budget", "is stable");
    assert_true(isfinite(finding.slope_high) && isfinite(finding.smallest_visible));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(readings_that_are_no_numbers_are_left_out, begin),
        cmocka_unit_test_setup(no_pass_when_most_readings_failed, begin),
        cmocka_unit_test_setup(no_verdict_without_readings, begin),
        cmocka_unit_test_setup(no_pass_across_a_long_pause, begin),
        cmocka_unit_test_setup(no_pass_for_an_end_that_nobody_saw, begin),
        cmocka_unit_test_setup(a_clock_that_steps_back_costs_readings_only, begin),
        cmocka_unit_test_setup(a_counter_that_resets_changes_no_verdict, begin),
        cmocka_unit_test_setup(a_server_that_restarts_all_the_time_never_passes, begin),
        cmocka_unit_test_setup(no_process_is_that_small, begin),
        cmocka_unit_test_setup(a_gauge_that_never_moves_does_not_pass, begin),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
