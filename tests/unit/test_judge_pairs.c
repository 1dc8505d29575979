/* The early stop on a series: which pairs count, what they prove, and what the verdict says. */
#include "judge/pairs.h"

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
#define PAIRS   40
#define DWELL_S 10.0
#define START_S 15.0
#define CERT    DRIVER_CLIENT_CERTIFICATE

/* What the server does with 100 connections a second, fresh certificates in one dwell of two. */
struct habits {
    double kept;           /* bytes of a certificate, for ever */
    double bound;          /* at most so many of them; 0: without */
    double held_s;         /* seconds for which a certificate's 3 KiB stay */
    double per_connection; /* bytes, for ever */
    double noise;          /* bytes */
    double rate;           /* connections a second; 0: 100 */
    double restart;        /* time of a restart, which empties everything; 0: none */
    double gap;            /* begin of a pause of a dwell in the readings; 0: none */
    double every_s;        /* between readings; 0: 1 */
};

static struct series series;
static struct judge_options options;
static struct pairs_finding pairs;
static uint8_t fresh_first[PAIRS];

static int begin(void **state)
{
    struct rng rng;
    (void)state;
    rng_init(&rng, 3, "coins", 0);
    for (size_t i = 0; i < PAIRS; i++) {
        fresh_first[i] = rng_below(&rng, 2) == 0;
    }
    options = judge_options_none();
    options.designed = true;
    options.warmup_s = START_S;
    options.dwell_s = DWELL_S;
    options.pairs = (struct judge_pairs){.start_s = START_S,
                                         .dwell_s = DWELL_S,
                                         .n = PAIRS,
                                         .fresh_first = fresh_first,
                                         .factor = CERT};
    return 0;
}

/* Certificates up to time t. */
static double certificates(double t, double rate)
{
    double n = 0;
    for (size_t dwell = 0; dwell < (size_t)2 * PAIRS; dwell++) {
        double from = START_S + (double)dwell * DWELL_S;
        bool fresh = (dwell % 2 == 0) == (fresh_first[dwell / 2] != 0);
        n += fresh ? rate * fmin(DWELL_S, fmax(0, t - from)) : 0;
    }
    return n;
}

static double kept_at(const struct habits *h, double t, double rate)
{
    double since = t >= h->restart ? certificates(h->restart, rate) : 0;
    double entries = certificates(t, rate) - (h->restart > 0 ? since : 0);
    double held = h->held_s > 0 ? certificates(t, rate) - certificates(t - h->held_s, rate) : 0;
    return h->kept * (h->bound > 0 ? fmin(entries, h->bound) : entries) + 3 * KIB * held;
}

static void serve(struct habits h, double seconds)
{
    struct rng rng;
    double rate = h.rate > 0 ? h.rate : 100;
    rng_init(&rng, 5, "served", 0);
    series_init(&series);
    snprintf(series.metric, sizeof series.metric, "anon_bytes");
    series.has[DRIVER_REQUEST] = series.has[DRIVER_CONNECTION] = series.has[CERT] = true;
    for (double t = 0; t <= seconds; t += h.every_s > 0 ? h.every_s : 1) {
        double x[DRIVER_COUNT] = {0};
        double warm = 20 * MIB * (1 - exp(-t / 30));
        bool again = h.restart > 0 && t >= h.restart;
        x[DRIVER_REQUEST] = 4 * rate * t;
        x[DRIVER_CONNECTION] = rate * t;
        x[CERT] = certificates(t, rate);
        if (h.gap > 0 && t > h.gap && t < h.gap + DWELL_S) {
            continue;
        }
        series_add(&series, t,
                   50 * MIB + warm + kept_at(&h, t, rate) + h.per_connection * rate * t +
                       h.noise * rng_normal(&rng),
                   x, 10, again);
    }
    judge_pairs(&series, &options, &pairs);
}

static void proves_what_is_kept(void **state)
{
    (void)state;
    serve((struct habits){.kept = 3 * KIB, .noise = 16 * KIB}, 400);
    assert_true(pairs.reached);
    assert_true(pairs.e >= 1000);
    assert_int_equal(pairs.n_pairs, 13);
    assert_int_equal(pairs.n_more, 13);
    assert_float_equal(pairs.called_s, START_S + 13 * 2 * DWELL_S, 1e-6);
    assert_true(pairs.low < 3 * KIB && 3 * KIB < pairs.high && pairs.high < 4 * KIB);
    assert_non_null(strstr(pairs.reason, "per new client certificate (95 %"));
    assert_non_null(strstr(pairs.reason, "in 13 of 13 pairs"));
}

/* Asked at the end of each dwell, it says the same as when it is asked once. */
static void stays_once_it_is_reached(void **state)
{
    double called = 0;
    (void)state;
    for (double seconds = 20; seconds < 700; seconds += DWELL_S) {
        serve((struct habits){.kept = 3 * KIB, .noise = 300 * KIB}, seconds);
        assert_true(called == 0 || pairs.reached);
        assert_true(called == 0 || pairs.called_s == called);
        called = pairs.called_s;
        assert_true(called <= seconds);
    }
    assert_true(called > 0);
}

static void does_not_take_what_is_held_for_kept(void **state)
{
    (void)state;
    serve((struct habits){.held_s = 4, .noise = 4 * KIB}, 900);
    assert_false(pairs.reached);
    assert_int_equal(pairs.n_pairs, PAIRS);
    assert_true(pairs.low < 100 && pairs.high > -100);
    /* longer than a dwell: the dwells differ, but memory does not grow */
    serve((struct habits){.held_s = 15, .noise = 4 * KIB}, 900);
    assert_true(pairs.e >= 1000);
    assert_false(pairs.reached);
}

static void waits_until_a_bound_is_passed(void **state)
{
    const struct habits full = {.kept = 3 * KIB, .bound = 20000, .noise = 4 * KIB};
    (void)state;
    serve(full, 900);
    assert_true(pairs.reached); /* nobody said that it is bounded */
    options.judge.expect_bound[CERT] = 20000;
    serve(full, 900);
    assert_false(pairs.reached);
    assert_int_equal(pairs.n_too_early, 21);
    assert_int_equal(pairs.n_pairs, 19);
    assert_non_null(strstr(pairs.reason, "21 came before"));
    /* of the same bound, but it goes on */
    serve((struct habits){.kept = 3 * KIB, .noise = 4 * KIB}, 900);
    assert_true(pairs.reached);
    assert_true(pairs.called_s > START_S + 33 * 2 * DWELL_S - 1);
}

/* The JDK's TLS session cache holds what clients showed; connections fill it. */
static void knows_a_runtime_s_own_bound(void **state)
{
    (void)state;
    serve((struct habits){.kept = 3 * KIB, .noise = 4 * KIB}, 900);
    assert_int_equal(pairs.n_too_early, 0);
    snprintf(series.runtime, sizeof series.runtime, "jvm");
    judge_pairs(&series, &options, &pairs);
    assert_int_equal(pairs.n_too_early, 10); /* 20,480 connections, 100 a second */
    series.collected = true;
    judge_pairs(&series, &options, &pairs);
    assert_false(pairs.reached); /* garbage */
}

static void waits_until_a_time_to_live_has_passed(void **state)
{
    (void)state;
    options.judge.expect_ttl_ns = 200000000000;
    serve((struct habits){.held_s = 200, .noise = 4 * KIB}, 900);
    assert_false(pairs.reached);
    assert_int_equal(pairs.n_too_early, 11);
    serve((struct habits){.kept = 3 * KIB, .noise = 4 * KIB}, 900);
    assert_true(pairs.reached);
}

static void leaves_out_restarts_and_gaps(void **state)
{
    (void)state;
    serve((struct habits){.kept = 3 * KIB, .restart = 101, .noise = 4 * KIB}, 600);
    assert_int_equal(pairs.n_unusable, 1);
    assert_true(pairs.reached);
    serve((struct habits){.kept = 3 * KIB, .gap = 121, .noise = 4 * KIB}, 600);
    assert_int_equal(pairs.n_unusable, 1);
    assert_true(pairs.reached);
    assert_non_null(strstr(pairs.reason, "1 could not be used"));
    /* a restart empties the store, which then fills again */
    options.judge.expect_bound[CERT] = 5000;
    serve((struct habits){.kept = 3 * KIB, .bound = 5000, .restart = 315, .noise = 4 * KIB}, 900);
    assert_false(pairs.reached);
}

static void allows_what_the_budget_allows(void **state)
{
    (void)state;
    options.judge.budget[CERT] = 4 * KIB;
    serve((struct habits){.kept = 3 * KIB, .noise = 4 * KIB}, 900);
    assert_false(pairs.reached);
    assert_int_equal(pairs.n_more, 0);
}

static void judges_one_floor_a_dwell(void **state)
{
    (void)state;
    options.floors = true;
    serve((struct habits){.kept = 3 * KIB, .noise = 16 * KIB, .every_s = 5}, 400);
    assert_true(pairs.reached);
    assert_true(pairs.low < 3 * KIB && 3 * KIB < pairs.high && pairs.high < 4 * KIB);
}

static void fails_the_run_whatever_the_gates_say(void **state)
{
    struct memory_finding f;
    (void)state;
    serve((struct habits){.kept = 3 * KIB, .noise = 200 * KIB}, 300);
    judge_series(&series, &options, &f);
    assert_int_equal(f.class, MEMORY_LEAK);
    assert_string_equal(f.reason_code, "early_stop");
    for (size_t i = 0; i < f.n_drivers; i++) {
        assert_int_equal(f.drivers[i].blamed, f.drivers[i].driver == CERT);
        if (f.drivers[i].driver == CERT) {
            assert_true(f.drivers[i].low < 3 * KIB && 3 * KIB < f.drivers[i].high);
        }
    }
    assert_non_null(strstr(f.reason, "no bound seen up to"));
    judge_provisional(&series, &options, &f);
    assert_int_equal(f.class, MEMORY_LEAK);
}

/* A store that nobody declared is proven to fill; when it is full, that is no leak. */
static void takes_back_what_has_ceased(void **state)
{
    struct memory_finding f;
    (void)state;
    serve((struct habits){.kept = 3 * KIB, .bound = 20000, .noise = 4 * KIB}, 815);
    assert_true(pairs.reached && pairs.ceased);
    assert_int_equal(pairs.n_later, 27);
    assert_non_null(strstr(pairs.reason, "in the 27 pairs after that it grew so no longer"));
    judge_series(&series, &options, &f);
    assert_int_not_equal(f.class, MEMORY_LEAK);
    serve((struct habits){.kept = 3 * KIB, .noise = 4 * KIB}, 815);
    assert_true(pairs.reached && !pairs.ceased);
    judge_series(&series, &options, &f);
    assert_int_equal(f.class, MEMORY_LEAK);
    assert_string_equal(f.reason_code, "early_stop");
}

/* Only the factor moved apart from time. */
static void goes_on_as_a_designed_run_where_nothing_is_proven(void **state)
{
    struct memory_finding f;
    (void)state;
    for (int leaks = 0; leaks <= 1; leaks++) {
        serve((struct habits){.per_connection = leaks * 2 * KIB, .noise = 16 * KIB}, 800);
        judge_series(&series, &options, &f);
        assert_int_equal(f.class == MEMORY_LEAK, leaks);
        assert_string_not_equal(f.reason_code, "early_stop");
        for (size_t i = 0; i < f.n_drivers; i++) {
            assert_int_equal(f.drivers[i].separable, f.drivers[i].driver == CERT);
            assert_false(f.drivers[i].blamed);
        }
    }
}

static void says_when_nothing_counts_yet(void **state)
{
    (void)state;
    serve((struct habits){.kept = 3 * KIB}, 20);
    assert_false(pairs.reached);
    assert_int_equal(pairs.n_pairs, 0);
    assert_true(isnan(pairs.bytes_per_event));
    assert_string_equal(pairs.reason, "no pair of dwells counts yet for new client certificate");
    series_init(&series);
    judge_pairs(&series, &options, &pairs);
    assert_int_equal(pairs.n_pairs, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(proves_what_is_kept, begin),
        cmocka_unit_test_setup(stays_once_it_is_reached, begin),
        cmocka_unit_test_setup(does_not_take_what_is_held_for_kept, begin),
        cmocka_unit_test_setup(waits_until_a_bound_is_passed, begin),
        cmocka_unit_test_setup(knows_a_runtime_s_own_bound, begin),
        cmocka_unit_test_setup(waits_until_a_time_to_live_has_passed, begin),
        cmocka_unit_test_setup(leaves_out_restarts_and_gaps, begin),
        cmocka_unit_test_setup(allows_what_the_budget_allows, begin),
        cmocka_unit_test_setup(judges_one_floor_a_dwell, begin),
        cmocka_unit_test_setup(fails_the_run_whatever_the_gates_say, begin),
        cmocka_unit_test_setup(takes_back_what_has_ceased, begin),
        cmocka_unit_test_setup(goes_on_as_a_designed_run_where_nothing_is_proven, begin),
        cmocka_unit_test_setup(says_when_nothing_counts_yet, begin),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
