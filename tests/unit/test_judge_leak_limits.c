/* Limits on memory: held below, broken above, and unknown between, with what is still needed. */
#include "judge/leak_limits.h"

#include "base/mem.h"
#include "base/rng.h"
#include "base/str.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#define KIB   1024.0
#define MIB   (1024 * KIB)
#define ROWS  640
#define DWELL 10

static struct series series;
static struct judge_options options;

static struct limit limit_of(const char *key, double bound)
{
    struct limit limit;
    assert_true(limit_from_key(key, &limit));
    limit.bound = bound;
    (void)str_copy(limit.rule, sizeof limit.rule, key);
    return limit;
}

static struct limit_finding judged(const char *key, double bound)
{
    struct limit limit = limit_of(key, bound);
    return leak_limits_judge(&limit, &series, &options);
}

static void expect(const char *key, double bound, enum limit_state state, const char *says)
{
    struct limit_finding finding = judged(key, bound);
    char text[1024];
    limits_sentence(&finding, text, sizeof text);
    if (finding.state != state || strstr(text, says) == NULL) {
        fail_msg("%s %g: %s, not %s %s", key, bound, text, limit_state_name(state), says);
    }
}

/* 64 dwells of 2 s: requests fast or slow, keys and tokens on or off; bytes kept of each. */
static void serve_designed(double key, double jwt, double noise)
{
    struct rng rng;
    double x[DRIVER_COUNT] = {0};
    unsigned cell = 0;
    rng_init(&rng, 9, "limits", 0);
    series_init(&series);
    (void)str_copy(series.metric, sizeof series.metric, "anon_bytes");
    series.has[DRIVER_REQUEST] = series.has[DRIVER_API_KEY] = series.has[DRIVER_JWT] = true;
    for (size_t i = 0; i < ROWS; i++) {
        cell = i % DWELL == 0 ? (unsigned)rng_below(&rng, 8) : cell;
        double requests = cell & 1 ? 120 : 12;
        x[DRIVER_REQUEST] += requests;
        x[DRIVER_API_KEY] += cell & 2 ? requests : 0;
        x[DRIVER_JWT] += cell & 4 ? requests : 0;
        double y = key * x[DRIVER_API_KEY] + jwt * x[DRIVER_JWT] + noise * rng_normal(&rng);
        series_add(&series, 0.2 * (double)i, 50 * MIB + y, x, 10, 0);
    }
    options = judge_options_none();
    options.designed = true;
    options.dwell_s = 2;
}

/* 100 requests a second, at 5 Hz. */
static void serve_steady(int seconds, double bytes_per_s, double noise)
{
    struct rng rng;
    rng_init(&rng, 3, "limits", 0);
    series_init(&series);
    (void)str_copy(series.metric, sizeof series.metric, "anon_bytes");
    series.has[DRIVER_REQUEST] = true;
    for (int i = 0; i < 5 * seconds; i++) {
        double x[DRIVER_COUNT] = {0}, t = i / 5.0;
        x[DRIVER_REQUEST] = floor(100 * t);
        series_add(&series, t, 50 * MIB + bytes_per_s * t + noise * rng_normal(&rng), x, 10, 0);
    }
    options = judge_options_none();
}

static void a_driver_that_was_told_apart(void **state)
{
    (void)state;
    serve_designed(0, 1000, 20 * KIB);
    expect("leak.jwt.max", 500, LIMIT_BROKEN, " at the least");
    expect("leak.jwt.max", 1500, LIMIT_HELD, " at the most");
    /* the judge's leak is one still; the limit is of another driver, and holds */
    expect("leak.api_key.max", 200, LIMIT_HELD, " at the most");
    struct limit_finding close = judged("leak.jwt.max", 1001);
    assert_int_equal(close.state, LIMIT_UNKNOWN);
    assert_true(close.low < 1001 && close.high > 1001 && close.needed_seconds > 0);
    expect("leak.jwt.max", 1001, LIMIT_UNKNOWN, "lies within the uncertainty; needs ");
    expect("leak.client_certificate.max", 64, LIMIT_UNKNOWN, "too few of these events");
}

/* A verdict that was made with a large budget says nothing of a small limit. */
static void a_limit_below_the_budget(void **state)
{
    struct memory_finding finding;

    (void)state;
    serve_designed(0, 1000, 20 * KIB);
    options.judge.budget[DRIVER_JWT] = 4000;
    judge_series(&series, &options, &finding);
    assert_int_equal(finding.class, MEMORY_STABLE);
    expect("leak.jwt.max", 500, LIMIT_BROKEN, " at the least");
    serve_steady(60, 0, 8 * KIB);
    options.judge.budget[DRIVER_TIME] = 1 * MIB;
    judge_series(&series, &options, &finding);
    assert_int_equal(finding.class, MEMORY_STABLE);
    expect("memory.growth.max", 16, LIMIT_UNKNOWN, "; needs ");
}

static void so_little_that_it_would_not_show(void **state)
{
    (void)state;
    serve_designed(0, 0, 100);
    struct limit_finding finding = judged("leak.jwt.max", 2);
    assert_int_equal(finding.state, LIMIT_UNKNOWN);
    assert_int_equal(finding.needed_driver, DRIVER_JWT);
    assert_true(finding.needed_events > 100);
    expect("leak.jwt.max", 16, LIMIT_HELD, " at the most");
}

static void growth_in_all(void **state)
{
    (void)state;
    serve_steady(120, 0, 4 * KIB);
    expect("memory.growth.max", 2 * KIB, LIMIT_HELD, "/h at the most");
    /* were all of it of requests, it would be less than that of each */
    expect("leak.request.max", 20, LIMIT_HELD, " at the most");
    serve_steady(120, 200 * KIB, 20 * KIB);
    expect("memory.growth.max", 2 * KIB, LIMIT_BROKEN, "703 MiB/h");
    expect("memory.growth.max", 1 * MIB, LIMIT_HELD, "703 MiB/h");
    expect("memory.growth.max", 200 * KIB, LIMIT_UNKNOWN, "can't be judged: ");
    expect("leak.request.max", 20, LIMIT_UNKNOWN, "not told apart ([attribution] does that)");
}

static void readings_that_say_nothing(void **state)
{
    (void)state;
    serve_steady(5, 0, 4 * KIB);
    expect("memory.growth.max", 1 * MIB, LIMIT_UNKNOWN, "too few readings");
    serve_designed(0, 0, 20 * KIB);
    (void)str_copy(series.runtime, sizeof series.runtime, "jvm");
    series.collected = true;
    expect("leak.jwt.max", 100, LIMIT_UNKNOWN, "garbage");
    options.judge.expect_bound[DRIVER_JWT] = 1e6;
    series.collected = false;
    expect("leak.jwt.max", 100, LIMIT_UNKNOWN, "has not passed the bound");
    struct limit limit = limit_of("leak.jwt.max", 100);
    assert_int_equal(leak_limits_unread(&limit).state, LIMIT_UNKNOWN);
}

static void the_graver_of_two(void **state)
{
    struct limit limit = limit_of("memory.growth.max", 100);
    struct limit_finding held = limits_find(&limit, 20), more = limits_find(&limit, 30);
    struct limit_finding unknown = limits_find(&limit, NAN), broken = limits_find(&limit, 200);

    (void)state;
    assert_ptr_equal(leak_limits_graver(&held, &more), &more);
    assert_ptr_equal(leak_limits_graver(&unknown, &more), &unknown);
    assert_ptr_equal(leak_limits_graver(&unknown, &broken), &broken);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_driver_that_was_told_apart),
        cmocka_unit_test(a_limit_below_the_budget),
        cmocka_unit_test(so_little_that_it_would_not_show),
        cmocka_unit_test(growth_in_all),
        cmocka_unit_test(readings_that_say_nothing),
        cmocka_unit_test(the_graver_of_two),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
