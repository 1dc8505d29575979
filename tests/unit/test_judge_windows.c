/* Windows: the worst one of invented parts against a search that forgets nothing. */
#include "judge/limits.h"

#include "base/mem.h"
#include "base/mono.h"
#include "base/rng.h"
#include "record/hist.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define PARTS  90
#define VALUES 40

static struct limit limit_of(const char *key, double bound, uint64_t window_s)
{
    struct limit limit;
    assert_true(limit_from_key(key, &limit));
    limit.bound = bound;
    limit.window_ns = window_s * NS_PER_S;
    return limit;
}

static struct hist *hist_made(void)
{
    struct hist *hist = xmalloc(sizeof *hist);
    hist_init(hist);
    return hist;
}

/* Each second's values; some seconds have none. */
struct load {
    uint64_t ns[PARTS][VALUES];
    size_t n[PARTS];
};

static struct load *invent(uint64_t seed)
{
    struct load *load = xcalloc(1, sizeof *load);
    struct rng rng;
    rng_init(&rng, seed, "windows", 0);
    for (size_t i = 0; i < PARTS; i++) {
        load->n[i] = rng_below(&rng, 5) == 0 ? 0 : rng_below(&rng, VALUES);
        for (size_t k = 0; k < load->n[i]; k++) {
            load->ns[i][k] =
                100000 + rng_below(&rng, rng_below(&rng, 50) == 0 ? 900000000 : 900000);
        }
    }
    return load;
}

static struct worst_window by_search(const struct load *load, const struct limit *limit,
                                     size_t first, size_t last)
{
    size_t length = limit->window_ns / NS_PER_S;
    struct worst_window worst = {.value = NAN};
    const struct limit_counts none = {.n_done = 0};
    for (size_t from = first; from + length <= last + 1; from++) {
        CLEANUP_FREE struct hist *hist = hist_made();
        double value;
        for (size_t i = from; i < from + length; i++) {
            for (size_t k = 0; k < load->n[i]; k++) {
                hist_record(hist, load->ns[i][k]);
            }
        }
        if (limit_measure_span(limit, hist, &none, (double)length, &value) &&
            !(value <= worst.value)) {
            worst = (struct worst_window){value, (double)from, (double)(from + length)};
        }
    }
    return worst;
}

static struct worst_window by_windows(const struct load *load, const struct limit *limit,
                                      double from_s, double to_s, bool jitter)
{
    struct windows *windows = windows_new(limit, NS_PER_S, from_s, to_s);
    const struct limit_counts none = {.n_done = 0};
    struct rng rng;
    rng_init(&rng, 7, "jitter", 0);
    for (size_t i = 0; i < PARTS; i++) {
        CLEANUP_FREE struct hist *hist = hist_made();
        for (size_t k = 0; k < load->n[i]; k++) {
            hist_record(hist, load->ns[i][k]);
        }
        /* the log leaves out what is empty, and rows come a little early or late */
        double late = jitter ? 0.8 * (rng_double(&rng) - 0.5) : 0;
        if (load->n[i] > 0) {
            windows_add(windows, (double)i + 1 + late, hist, &none, false);
        }
    }
    windows_end(windows);
    struct worst_window worst = windows_worst(windows);
    windows_free(windows);
    return worst;
}

static void the_worst_is_that_of_all_windows(void **state)
{
    static const char *const keys[] = {"latency.response.p99.max", "latency.service.p50.max",
                                       "latency.connect.max.max", "latency.response.mean.max"};
    (void)state;
    for (uint64_t seed = 1; seed <= 40; seed++) {
        CLEANUP_FREE struct load *load = invent(seed);
        struct limit limit = limit_of(keys[seed % 4], 1e6, 1 + seed % 13);
        struct worst_window want = by_search(load, &limit, 0, PARTS - 1);
        struct worst_window got = by_windows(load, &limit, 0, PARTS, seed % 2 == 0);
        assert_true(got.value == want.value && got.from_s == want.from_s && got.to_s == want.to_s);
        want = by_search(load, &limit, 10, 49);
        /* what comes after the end is of the last part, so it is no part of this comparison */
        for (size_t i = 50; i < PARTS; i++) {
            load->n[i] = 0;
        }
        got = by_windows(load, &limit, 9.5, 50.9, false);
        assert_true(got.value == want.value && got.from_s == want.from_s && got.to_s == want.to_s);
    }
}

static void what_comes_late_is_of_the_last_part(void **state)
{
    struct limit limit = limit_of("latency.response.max.max", 1e6, 2);
    struct windows *windows = windows_new(&limit, NS_PER_S, 0, 3.2);
    const struct limit_counts none = {.n_done = 0};
    CLEANUP_FREE struct hist *hist = hist_made();

    (void)state;
    hist_record(hist, 5000);
    windows_add(windows, 1, hist, &none, false);
    assert_true(isnan(windows_worst(windows).value));
    windows_add(windows, 2, hist, &none, false);
    windows_add(windows, 3, hist, &none, false);
    assert_true(windows_worst(windows).value == 5000);
    hist_record(hist, 7000000);
    windows_add(windows, 4.7, hist, &none, false);
    windows_end(windows);
    struct worst_window worst = windows_worst(windows);
    assert_true(worst.value == 7000000 && worst.from_s == 1 && worst.to_s == 3);
    windows_free(windows);
}

static void add_row(struct windows *windows, double end_s, uint64_t done, uint64_t errors,
                    bool idle)
{
    const struct limit_counts counts = {.n_done = done, .n_errors = errors};
    windows_add(windows, end_s, NULL, &counts, idle);
}

/* 10 a second, but 4 in the seconds 3 and 4, and none in the idle ones from 6 to 8. */
static void rates_and_errors_have_windows_too(void **state)
{
    static const uint64_t done[] = {10, 10, 10, 4, 4, 10, 0, 0, 10, 10, 10};
    struct limit rate = limit_of("rate.reached.min", 5, 2);
    struct limit errors = limit_of("errors.ratio.max", 0.1, 3);
    struct windows *rates = windows_new(&rate, NS_PER_S, 0, 11);
    struct windows *ratios = windows_new(&errors, NS_PER_S, 0, 11);

    (void)state;
    for (size_t i = 0; i < sizeof done / sizeof *done; i++) {
        bool idle = i == 6 || i == 7;
        add_row(rates, (double)i + 1, done[i], 0, idle);
        add_row(ratios, (double)i + 1, done[i], i == 4 ? 2 : 0, idle);
    }
    windows_end(rates);
    windows_end(ratios);
    struct worst_window worst = windows_worst(rates);
    assert_true(worst.value == 4 && worst.from_s == 3 && worst.to_s == 5);
    worst = windows_worst(ratios);
    assert_true(worst.value == 2.0 / 16 && worst.from_s == 4);
    windows_free(rates);
    windows_free(ratios);
}

/* 10 a second; that of 3 to 5 came as one row, and so did the first three, and a hundred later. */
static void a_row_that_is_late_stands_for_all_its_seconds(void **state)
{
    static const int ends[] = {3, 4, 6, 7, 107, 108};

    (void)state;
    for (uint64_t length = 1; length <= 3; length++) {
        struct limit rate = limit_of("rate.reached.min", 5, length);
        struct windows *windows = windows_new(&rate, NS_PER_S, 0, 108);
        for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
            int seconds = ends[i] - (i > 0 ? ends[i - 1] : 0);
            add_row(windows, ends[i], 10 * (uint64_t)seconds, 0, false);
        }
        windows_end(windows);
        assert_true(windows_worst(windows).value == 10);
        windows_free(windows);
    }
}

static void a_run_without_a_whole_window_has_none(void **state)
{
    struct limit limit = limit_of("errors.ratio.max", 0, 5);
    struct windows *windows = windows_new(&limit, NS_PER_S, 0, 4.9);
    char text[256];

    (void)state;
    for (int i = 1; i <= 5; i++) {
        add_row(windows, i, 10, 10, false);
    }
    windows_end(windows);
    struct worst_window worst = windows_worst(windows);
    assert_true(isnan(worst.value));
    struct limit_finding finding = limits_find_window(&limit, &worst);
    limits_sentence(&finding, text, sizeof text);
    assert_int_equal(finding.state, LIMIT_UNKNOWN);
    assert_non_null(strstr(text, "can't be judged: no whole window"));
    windows_free(windows);
}

/* An hour of parts of 10 s with a million values each would be 3.6e8; memory holds one window. */
static void a_pause_of_days_is_passed_over(void **state)
{
    struct limit limit = limit_of("errors.ratio.max", 0.1, 60);
    struct windows *windows = windows_new(&limit, NS_PER_S, 0, HUGE_VAL);

    (void)state;
    for (int i = 1; i <= 60; i++) {
        add_row(windows, i, 10, 0, false);
    }
    for (int i = 1; i <= 61; i++) {
        add_row(windows, 1e9 + i, 9, 1, false);
    }
    assert_true(windows_worst(windows).value == 0.1);
    windows_free(windows);
}

static void broken_says_when(void **state)
{
    struct limit limit = limit_of("latency.response.p99.max", 25e6, 10);
    struct worst_window window = {.value = 31e6, .from_s = 130, .to_s = 140};
    struct limit_finding finding = limits_find_window(&limit, &window);
    char text[LIMIT_MEASURED];

    (void)state;
    assert_int_equal(finding.state, LIMIT_BROKEN);
    assert_string_equal(limits_measured(&finding, text), "31 ms from 2:10 to 2:20");
    window = (struct worst_window){.value = 20e6, .from_s = 3599, .to_s = 3609};
    finding = limits_find_window(&limit, &window);
    assert_string_equal(limits_measured(&finding, text),
                        "20 ms at the worst, from 59:59 to 1:00:09");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_worst_is_that_of_all_windows),
        cmocka_unit_test(what_comes_late_is_of_the_last_part),
        cmocka_unit_test(rates_and_errors_have_windows_too),
        cmocka_unit_test(a_row_that_is_late_stands_for_all_its_seconds),
        cmocka_unit_test(a_run_without_a_whole_window_has_none),
        cmocka_unit_test(a_pause_of_days_is_passed_over),
        cmocka_unit_test(broken_says_when),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
