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

static void bets_on_the_fresh_dwell(void **state)
{
    struct eprocess e;
    (void)state;
    eprocess_init(&e);
    eprocess_add(&e, true, 0, 10, 12); /* the first grew by 10, the second by 2 */
    assert_float_equal(e.e, 1.8, 1e-12);
    eprocess_add(&e, false, 0, 2, 12);
    assert_float_equal(e.e, 1.8 * 1.8, 1e-12);
    eprocess_add(&e, false, 0, 10, 12);
    assert_float_equal(e.e, 1.8 * 1.8 * 0.2, 1e-12);
    eprocess_add(&e, true, 0, 5, 10); /* as much in both */
    eprocess_add(&e, true, 0, NAN, 10);
    assert_float_equal(e.e, 1.8 * 1.8 * 0.2, 1e-12);
    assert_int_equal(e.n_pairs, 5);
    assert_false(e.reached);
}

static void calls_at_a_thousand_and_stays(void **state)
{
    struct eprocess e;
    (void)state;
    eprocess_init(&e);
    for (size_t i = 1; i <= EPROCESS_LEAST_PAIRS; i++) {
        assert_false(e.reached);
        eprocess_add(&e, i % 2 == 0, 0, i % 2 == 0 ? 10 : 2, 12);
    }
    assert_true(e.reached);
    assert_int_equal(e.called_at, EPROCESS_LEAST_PAIRS);
    eprocess_add(&e, true, 0, 2, 12);
    assert_true(e.e < EPROCESS_LIMIT);
    assert_true(e.reached);
}

static void takes_levels_at_the_border(void **state)
{
    const double before[] = {900, 10, 12};
    const double behind[] = {14, 16, 900};
    (void)state;
    assert_float_equal(eprocess_level(before, 3, behind, 3), 13, 1e-12);
    assert_float_equal(eprocess_level(before, 3, NULL, 0), 11, 1e-12);
    assert_true(isnan(eprocess_level(NULL, 0, NULL, 0)));
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
        eprocess_add(&e, fresh_first, level[0], level[1], level[2]);
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
        cmocka_unit_test(takes_levels_at_the_border),
        cmocka_unit_test(errs_seldom_and_finds_most),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
