/* The exposure rule: bounds that are declared or known must be passed before growth is judged. */
#include "judge/exposure.h"
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

static struct series series;
static struct judge_options options;
static struct memory_finding finding;

static int begin(void **state)
{
    (void)state;
    options = judge_options_none();
    return 0;
}

/* 100 connections with a certificate each a second; the server keeps 3 KiB for each of the first
 * `bound`. */
static void serve(double seconds, double bound, const char *runtime)
{
    struct rng rng;
    rng_init(&rng, 5, "served", 0);
    series_init(&series);
    snprintf(series.metric, sizeof series.metric, "%s",
             runtime != NULL ? "heap_floor_bytes" : "anon_bytes");
    snprintf(series.runtime, sizeof series.runtime, "%s", runtime != NULL ? runtime : "");
    series.collected = runtime != NULL;
    series.has[DRIVER_CONNECTION] = true;
    series.has[DRIVER_CLIENT_CERTIFICATE] = true;
    for (int i = 0; i < (int)seconds; i++) {
        double x[DRIVER_COUNT] = {0};
        double n = 100.0 * i;
        x[DRIVER_CONNECTION] = n;
        x[DRIVER_CLIENT_CERTIFICATE] = n;
        series_add(&series, i, 50 * MIB + 3 * KIB * fmin(n, bound) + 50 * KIB * rng_normal(&rng), x,
                   10, 0);
    }
    judge_series(&series, &options, &finding);
}

static void expect(enum memory_class class, const char *words)
{
    if (finding.class != class || strstr(finding.reason, words) == NULL) {
        fail_msg("%s, not %s with \"%s\": %s", memory_class_name(finding.class),
                 memory_class_name(class), words, finding.reason);
    }
}

static void waits_for_a_declared_bound(void **state)
{
    (void)state;
    options.judge.expect_bound[DRIVER_CONNECTION] = 20000;
    serve(150, 20000, NULL);
    expect(MEMORY_INCONCLUSIVE, "bound of 20,000 entries (expect_bound.connection)");
    assert_string_equal(finding.reason_code, "bound_not_reached");
    assert_int_equal(finding.needed_driver, DRIVER_CONNECTION);
    /* 20,000 / 0.6 less the 14,900 that were seen, at 100 a second */
    assert_float_equal(finding.needed_events, 33334 - 14900, 1);
    assert_float_equal(finding.needed_seconds, 185, 2);
    /* a flat server is no pass either: the store may not have begun */
    serve(150, 0, NULL);
    expect(MEMORY_INCONCLUSIVE, "can't be judged yet");
}

static void judges_beyond_a_declared_bound(void **state)
{
    (void)state;
    options.judge.expect_bound[DRIVER_CONNECTION] = 20000;
    serve(800, 20000, NULL);
    assert_int_equal(finding.class, MEMORY_BOUNDED);
    assert_string_equal(finding.known_bound, "expect_bound.connection");
    serve(800, 1e9, NULL);
    expect(MEMORY_LEAK, "anonymous memory grows");
}

static void calls_a_leak_without_a_declared_bound(void **state)
{
    (void)state;
    serve(150, 20000, NULL);
    expect(MEMORY_LEAK, "no bound seen up to 14,900 new connections");
    assert_string_equal(finding.known_bound, "");
}

static void knows_the_session_cache_of_a_jvm(void **state)
{
    (void)state;
    serve(150, 20480, "jvm");
    expect(MEMORY_INCONCLUSIVE, "TLS session cache of the JDK");
    assert_float_equal(finding.known_bound_size, 20480, 0);
    serve(800, 1e9, "jvm");
    assert_int_equal(finding.class, MEMORY_LEAK);
}

/* It keeps 750 parsed certificates, however small its session cache is said to be. */
static void knows_the_certificate_cache_of_a_jvm(void **state)
{
    (void)state;
    options.judge.expect_bound[DRIVER_CONNECTION] = 100;
    serve(12, 1e9, "jvm");
    expect(MEMORY_INCONCLUSIVE, "bound of 750 entries (certificate cache of the JDK)");
    assert_int_equal(finding.needed_driver, DRIVER_CLIENT_CERTIFICATE);
    assert_float_equal(finding.needed_events, 150, 1); /* 750 / 0.6 less 1,100 */
    serve(150, 1e9, "jvm");
    assert_int_equal(finding.class, MEMORY_LEAK);
    serve(12, 1e9, NULL);
    assert_null(strstr(finding.reason, "JDK"));
}

/* A load of one certificate and some requests would fill none of the JDK's stores in a lifetime. */
static void waits_for_no_store_that_hardly_fills(void **state)
{
    (void)state;
    options.judge.expect_bound[DRIVER_CONNECTION] = 100;
    serve(300, 0, "jvm");
    assert_int_equal(finding.class, MEMORY_STABLE);
    for (size_t i = 0; i < series.n; i++) {
        series.x[DRIVER_CLIENT_CERTIFICATE][i] = i >= 20 ? EXPOSURE_MIN_EVENTS - 1 : 0;
    }
    judge_series(&series, &options, &finding);
    assert_int_equal(finding.class, MEMORY_STABLE);
    for (size_t i = 0; i < series.n; i++) {
        series.x[DRIVER_CLIENT_CERTIFICATE][i] = i >= 20 ? EXPOSURE_MIN_EVENTS : 0;
    }
    judge_series(&series, &options, &finding);
    expect(MEMORY_INCONCLUSIVE, "certificate cache of the JDK");
}

/* Sessions hold certificates, whatever the service's own bound is. */
static void waits_for_each_store_of_certificates(void **state)
{
    (void)state;
    options.judge.expect_bound[DRIVER_CLIENT_CERTIFICATE] = 1000;
    serve(150, 20480, "jvm");
    expect(MEMORY_INCONCLUSIVE, "TLS session cache of the JDK");
}

static void waits_for_twice_the_time_to_live(void **state)
{
    (void)state;
    options.judge.expect_ttl_ns = 300ull * 1000000000;
    serve(400, 1e9, NULL);
    expect(MEMORY_INCONCLUSIVE, "shorter than twice the time to live of 5m");
    assert_float_equal(finding.needed_seconds, 201, 2);
    serve(700, 1e9, NULL);
    assert_int_equal(finding.class, MEMORY_LEAK);
}

/* Two bounds: the one that needs more is named, with its own size. */
static void names_the_bound_that_needs_most(void **state)
{
    (void)state;
    options.judge.expect_bound[DRIVER_CONNECTION] = 10000;
    options.judge.expect_bound[DRIVER_CLIENT_CERTIFICATE] = 30000;
    serve(150, 1e9, NULL);
    expect(MEMORY_INCONCLUSIVE, "bound of 30,000 entries (expect_bound.client_certificate)");
    assert_int_equal(finding.needed_driver, DRIVER_CLIENT_CERTIFICATE);
    options.judge.expect_ttl_ns = 3600ull * 1000000000;
    serve(150, 1e9, NULL);
    expect(MEMORY_INCONCLUSIVE, "time to live of 1h");
    assert_int_equal(finding.needed_driver, -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(waits_for_a_declared_bound, begin),
        cmocka_unit_test_setup(judges_beyond_a_declared_bound, begin),
        cmocka_unit_test_setup(calls_a_leak_without_a_declared_bound, begin),
        cmocka_unit_test_setup(knows_the_session_cache_of_a_jvm, begin),
        cmocka_unit_test_setup(knows_the_certificate_cache_of_a_jvm, begin),
        cmocka_unit_test_setup(waits_for_no_store_that_hardly_fills, begin),
        cmocka_unit_test_setup(waits_for_each_store_of_certificates, begin),
        cmocka_unit_test_setup(waits_for_twice_the_time_to_live, begin),
        cmocka_unit_test_setup(names_the_bound_that_needs_most, begin),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
