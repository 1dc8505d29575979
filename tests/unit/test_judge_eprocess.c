/* The early stop: what a pair bets, when it is called, and how often it errs. */
#include "judge/eprocess.h"

#include "base/rng.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#define KIB   1024.0
#define PAIRS 90 /* 1800 s of dwells of 10 s */
#define RUNS  2000

static double mean_of_bets(double high, double low)
{
    return 0.75 * high + 0.25 * low;
}

static void bets_on_the_fresh_dwell(void **state)
{
    struct eprocess e;
    (void)state;
    eprocess_init(&e);
    assert_float_equal(e.e, 1, 1e-12);
    eprocess_add(&e, true, 10, 2);
    assert_float_equal(e.e, mean_of_bets(1.8, 1.4), 1e-12);
    eprocess_add(&e, false, 2, 10);
    assert_float_equal(e.e, mean_of_bets(1.8 * 1.8, 1.4 * 1.4), 1e-12);
    eprocess_add(&e, false, 10, 2);
    double bet = mean_of_bets(1.8 * 1.8 * 0.2, 1.4 * 1.4 * 0.6);
    assert_float_equal(e.e, bet, 1e-12);
    eprocess_add(&e, true, 5, 5); /* as much in both */
    eprocess_add(&e, true, NAN, 10);
    assert_float_equal(e.e, bet, 1e-12);
    assert_int_equal(e.n_pairs, 5);
    assert_false(e.reached);
}

static void calls_at_a_thousand_and_stays(void **state)
{
    struct eprocess e;
    (void)state;
    eprocess_init(&e);
    for (size_t i = 1; i <= EPROCESS_LEAST_PAIRS; i++) {
        bool fresh_first = i % 2 == 0;
        assert_false(e.reached);
        eprocess_add(&e, fresh_first, fresh_first ? 10 : 2, fresh_first ? 2 : 10);
    }
    assert_true(e.reached);
    assert_int_equal(e.called_at, EPROCESS_LEAST_PAIRS);
    eprocess_add(&e, true, 2, 10);
    assert_true(e.e < EPROCESS_LIMIT);
    assert_true(e.reached);
}

/* A server that warms up, breathes and keeps `kept` bytes a fresh dwell; returns the pair at which
 * it is called, 0 for never. */
static size_t call(unsigned seed, double kept)
{
    struct rng rng;
    struct eprocess e;
    double noise = 0;
    double total = 0;
    rng_init(&rng, seed, "pairs", 0);
    eprocess_init(&e);
    for (size_t pair = 0; pair < PAIRS; pair++) {
        bool fresh_first = rng_below(&rng, 2) == 0;
        double level[3];
        for (size_t dwell = 0; dwell < 3; dwell++) {
            double at = (double)(2 * pair + dwell);
            if (dwell > 0) {
                noise = 0.4 * noise + 500 * KIB * rng_normal(&rng);
                total += (dwell == 1) == fresh_first ? kept : 0;
            }
            level[dwell] = total + noise + 20e6 * (1 - exp(-at / 20)) + 64 * KIB * at;
        }
        eprocess_add(&e, fresh_first, level[1] - level[0], level[2] - level[1]);
    }
    return e.called_at;
}

static void errs_seldom_and_finds_most(void **state)
{
    unsigned wrong = 0, found = 0;
    size_t pairs = 0;
    (void)state;
    for (unsigned seed = 0; seed < RUNS; seed++) {
        wrong += call(seed, 0) > 0;
        size_t at = call(seed, 3072 * 1000.0);
        found += at > 0;
        pairs += at;
    }
    print_message("wrong %u of %d, 3 MB a dwell found %u after %.1f pairs on average\n", wrong,
                  RUNS, found, (double)pairs / found);
    assert_in_range(wrong, 0, RUNS / 200);
    assert_in_range(found, RUNS * 99 / 100, RUNS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bets_on_the_fresh_dwell),
        cmocka_unit_test(calls_at_a_thousand_and_stays),
        cmocka_unit_test(errs_seldom_and_finds_most),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
