#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/rng.h"
#include "record/hist.h"

#include <math.h>

#define NS_OF_A_MINUTE 60000000000ULL

static struct hist *new_hist(void)
{
    struct hist *hist = xmalloc(sizeof *hist);

    memset(hist, 0xa5, sizeof *hist);
    hist_init(hist);
    return hist;
}

/* Log-uniform from 1 ns to 1 h. */
static uint64_t any_duration(struct rng *rng)
{
    return (uint64_t)exp(rng_double(rng) * log((double)HIST_MAX_NS));
}

static int by_value(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return x < y ? -1 : x > y;
}

static void assert_empty(const struct hist *hist)
{
    for (uint32_t i = 0; i < HIST_SLOTS; i++) {
        assert_int_equal(hist->slots[i], 0);
    }
    assert_int_equal(hist->n, 0);
    assert_true(hist->first > hist->last);
    assert_true(hist->min_ns == UINT64_MAX);
    assert_int_equal(hist->max_ns, 0);
}

static void assert_same(const struct hist *a, const struct hist *b)
{
    assert_int_equal(a->n, b->n);
    assert_int_equal(a->n_clipped, b->n_clipped);
    assert_int_equal(a->sum_ns, b->sum_ns);
    assert_int_equal(a->min_ns, b->min_ns);
    assert_int_equal(a->max_ns, b->max_ns);
    assert_int_equal(a->first, b->first);
    assert_int_equal(a->last, b->last);
    assert_memory_equal(a->slots, b->slots, sizeof a->slots);
}

static void test_slots_tile_the_whole_range(void **state)
{
    (void)state;
    uint64_t expected_low = 0;

    for (uint32_t slot = 0; slot < HIST_SLOTS; slot++) {
        uint64_t width, low = hist_slot_low(slot, &width);
        assert_int_equal(low, expected_low);
        assert_int_equal(hist_slot(low), slot);
        assert_int_equal(hist_slot(low + width - 1), slot);
        /* Three significant digits: a slot is never wider than a thousandth of its values. */
        assert_true(width == 1 || (double)width / (double)low < 1e-3);
        expected_low = low + width;
    }
    assert_true(expected_low > HIST_MAX_NS);
    assert_true(hist_slot(HIST_MAX_NS) < HIST_SLOTS);
}

static void test_quantiles_agree_with_a_sorted_array(void **state)
{
    (void)state;
    static const double quantiles[] = {0,    0.01, 0.07, 0.1,  0.25,  0.29,   0.5,
                                       0.57, 0.75, 0.9,  0.99, 0.999, 0.9999, 1};
    static const size_t sizes[] = {1, 2, 3, 10, 100, 1000, 50000};
    struct hist *hist = new_hist();
    struct rng rng;

    rng_init(&rng, 7, "hist", 0);
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        size_t n = sizes[s];
        uint64_t *values = xcalloc(n, sizeof *values);
        long double sum = 0;
        hist_clear(hist);
        for (size_t i = 0; i < n; i++) {
            values[i] = any_duration(&rng);
            sum += (long double)values[i];
            hist_record(hist, values[i]);
        }
        qsort(values, n, sizeof *values, by_value);
        for (size_t i = 0; i < sizeof quantiles / sizeof *quantiles; i++) {
            /* The ceil(q n)-th in exact arithmetic: quantiles have at most four digits. */
            size_t rank = ((size_t)(quantiles[i] * 10000 + 0.5) * n + 9999) / 10000;
            uint64_t exact = values[rank > 0 ? rank - 1 : 0];
            uint64_t got = hist_quantile(hist, quantiles[i]);
            assert_true(got >= exact);
            assert_true((double)(got - exact) <= (double)exact * 1e-3);
            assert_int_equal(hist_slot(got), hist_slot(exact));
        }
        assert_int_equal(hist->n, n);
        assert_int_equal(hist->min_ns, values[0]);
        assert_int_equal(hist->max_ns, values[n - 1]);
        assert_int_equal(hist_quantile(hist, 1.0), values[n - 1]);
        assert_true(fabs(hist_mean_ns(hist) - (double)(sum / n)) <= 1e-9 * (double)(sum / n));
        free(values);
    }
    free(hist);
}

static void test_every_magnitude_keeps_three_digits(void **state)
{
    (void)state;
    struct hist *hist = new_hist();

    for (uint64_t power = 1; power <= HIST_MAX_NS; power *= 10) {
        for (uint64_t digits = 1000; digits <= 9999; digits += 7) {
            uint64_t value = power >= 1000 ? digits * (power / 1000) : power;
            if (value > HIST_MAX_NS) {
                continue;
            }
            hist_clear(hist);
            hist_record(hist, value);
            hist_record(hist, HIST_MAX_NS); /* so that max_ns does not give the answer away */
            double got = (double)hist_quantile(hist, 0.5);
            assert_true(fabs(got - (double)value) <= (double)value * 1e-3);
        }
    }
    free(hist);
}

static void test_merging_equals_recording_in_one(void **state)
{
    (void)state;
    struct hist *parts[4], *whole = new_hist(), *merged = new_hist();
    struct rng rng;

    rng_init(&rng, 11, "hist", 0);
    for (size_t i = 0; i < 4; i++) {
        parts[i] = new_hist();
    }
    hist_add(merged, parts[0]); /* empty into empty */
    assert_empty(merged);
    for (size_t i = 0; i < 20000; i++) {
        uint64_t value = any_duration(&rng);
        hist_record(parts[rng_below(&rng, 3)], value); /* the fourth stays empty */
        hist_record(whole, value);
    }
    hist_record(parts[1], UINT64_MAX);
    hist_record(whole, UINT64_MAX);
    for (size_t i = 0; i < 4; i++) {
        hist_add(merged, parts[i]);
        free(parts[i]);
    }
    assert_same(merged, whole);
    free(whole);
    free(merged);
}

static void test_clear_leaves_nothing_behind(void **state)
{
    (void)state;
    struct hist *hist = new_hist(), *narrow = new_hist();
    struct rng rng;

    rng_init(&rng, 13, "hist", 0);
    for (int round = 0; round < 50; round++) {
        for (uint64_t i = rng_below(&rng, 100); i > 0; i--) {
            hist_record(hist, any_duration(&rng));
        }
        hist_record(narrow, 1 + rng_below(&rng, 1u << (round % 30)));
        hist_add(hist, narrow);
        hist_clear(narrow);
        hist_clear(hist);
        assert_empty(hist);
        assert_empty(narrow);
    }
    free(hist);
    free(narrow);
}

static void test_longer_than_an_hour_is_clipped_and_counted(void **state)
{
    (void)state;
    struct hist *hist = new_hist();

    hist_record(hist, HIST_MAX_NS);
    assert_int_equal(hist->n_clipped, 0);
    hist_record(hist, HIST_MAX_NS + 1);
    hist_record(hist, UINT64_MAX);
    assert_int_equal(hist->n, 3);
    assert_int_equal(hist->n_clipped, 2);
    assert_int_equal(hist->slots[hist_slot(HIST_MAX_NS)], 3);
    assert_int_equal(hist->max_ns, HIST_MAX_NS);
    assert_int_equal(hist_quantile(hist, 0.5), HIST_MAX_NS);
    free(hist);
}

static void test_empty_and_zero(void **state)
{
    (void)state;
    struct hist *hist = new_hist();

    assert_int_equal(hist_quantile(hist, 0.99), 0);
    assert_true(hist_mean_ns(hist) == 0.0);
    hist_record(hist, 0);
    assert_int_equal(hist->n, 1);
    assert_int_equal(hist_quantile(hist, 0.99), 0);
    assert_int_equal(hist->min_ns, 0);
    free(hist);
}

/* A sum beyond 64 bits (584 years) must give a mean from the slots, not a wrapped one. */
static void test_mean_survives_a_saturated_sum(void **state)
{
    (void)state;
    struct hist *hist = new_hist(), *twice = new_hist();

    hist_record(hist, NS_OF_A_MINUTE);
    for (int i = 0; i < 32; i++) { /* 2^32 minutes */
        hist_clear(twice);
        hist_add(twice, hist);
        hist_add(hist, twice);
    }
    assert_true(hist->n == 1ULL << 32);
    assert_true(hist->sum_ns == UINT64_MAX);
    assert_true(fabs(hist_mean_ns(hist) - NS_OF_A_MINUTE) <= NS_OF_A_MINUTE * 1e-3);
    assert_int_equal(hist_quantile(hist, 0.99), NS_OF_A_MINUTE);
    free(hist);
    free(twice);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_slots_tile_the_whole_range),
        cmocka_unit_test(test_quantiles_agree_with_a_sorted_array),
        cmocka_unit_test(test_every_magnitude_keeps_three_digits),
        cmocka_unit_test(test_merging_equals_recording_in_one),
        cmocka_unit_test(test_clear_leaves_nothing_behind),
        cmocka_unit_test(test_longer_than_an_hour_is_clipped_and_counted),
        cmocka_unit_test(test_empty_and_zero),
        cmocka_unit_test(test_mean_survives_a_saturated_sum),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
