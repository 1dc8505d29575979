#include "load/pacer.h"

#include "base/mono.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

static struct plan plan_of(double per_s, enum arrivals arrivals, uint64_t seed)
{
    return (struct plan){.run.seed = seed, .pace = {.rate_per_s = per_s, .arrivals = arrivals}};
}

static void constant_is_exact(void **state)
{
    (void)state;
    struct plan plan = plan_of(200, ARRIVALS_CONSTANT, 1);
    struct pacer pacer;
    pacer_init(&pacer, &plan, 0, 1);
    for (uint64_t i = 0; i < 200000; i++) {
        assert_int_equal(pacer_due(&pacer), i * 5 * NS_PER_MS);
        pacer_next(&pacer);
    }
}

/* A rate whose step is no whole number of ns must not drift: after a day it is still on time. */
static void constant_does_not_drift(void **state)
{
    (void)state;
    struct plan plan = plan_of(3, ARRIVALS_CONSTANT, 1);
    struct pacer pacer;
    pacer_init(&pacer, &plan, 0, 1);
    for (uint64_t i = 0; i < 3 * 86400; i++) {
        pacer_next(&pacer);
    }
    assert_int_equal(pacer_due(&pacer), 86400 * NS_PER_S);
}

static void workers_interleave(void **state)
{
    (void)state;
    for (unsigned n = 2; n <= 5; n++) {
        struct plan plan = plan_of(700, ARRIVALS_CONSTANT, 1);
        struct pacer alone, worker[5];
        pacer_init(&alone, &plan, 0, 1);
        for (unsigned w = 0; w < n; w++) {
            pacer_init(&worker[w], &plan, w, n);
        }
        for (unsigned i = 0; i < 10000; i++) {
            /* Exchange i belongs to worker i mod n. */
            int64_t off = (int64_t)(pacer_due(&worker[i % n]) - pacer_due(&alone));
            assert_in_range(off + 1, 0, 2);
            pacer_next(&worker[i % n]);
            pacer_next(&alone);
        }
    }
}

static double mean_gap_ns(struct pacer *pacer, int n, double *ret_variance)
{
    double sum = 0, squares = 0;
    uint64_t last = pacer_due(pacer);
    for (int i = 0; i < n; i++) {
        pacer_next(pacer);
        double gap = (double)(pacer_due(pacer) - last);
        last = pacer_due(pacer);
        sum += gap;
        squares += gap * gap;
    }
    *ret_variance = squares / n - (sum / n) * (sum / n);
    return sum / n;
}

static void poisson_has_its_moments(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct plan plan = plan_of(1000, ARRIVALS_POISSON, seed);
        struct pacer pacer;
        double variance;
        pacer_init(&pacer, &plan, 0, 2);
        double mean = mean_gap_ns(&pacer, 40000, &variance);
        /* Worker's share 500/s: mean 2 ms, standard deviation the same; 5 sigma each. */
        assert_true(fabs(mean / 2e6 - 1) < 5 / sqrt(40000));
        assert_true(fabs(variance / 4e12 - 1) < 5 * sqrt(8.0 / 40000));
    }
}

static void poisson_streams_differ(void **state)
{
    (void)state;
    struct plan plan = plan_of(1000, ARRIVALS_POISSON, 7);
    struct pacer a, again, b;
    pacer_init(&a, &plan, 0, 2);
    pacer_init(&again, &plan, 0, 2);
    pacer_init(&b, &plan, 1, 2);
    int same = 0;
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(pacer_due(&a), pacer_due(&again));
        same += pacer_due(&a) == pacer_due(&b);
        pacer_next(&a);
        pacer_next(&again);
        pacer_next(&b);
    }
    assert_int_equal(same, 0);
}

static void rate_change_keeps_the_interleave(void **state)
{
    (void)state;
    struct plan plan = plan_of(1000, ARRIVALS_CONSTANT, 1);
    struct pacer w[2];
    uint64_t boundary = 10500 * NS_PER_US;
    for (unsigned i = 0; i < 2; i++) {
        pacer_init(&w[i], &plan, i, 2);
        while (pacer_due(&w[i]) < boundary) {
            pacer_next(&w[i]);
        }
        pacer_set_rate(&w[i], 100, 2, boundary);
    }
    /* Due at 11 and 12 ms: half and one and a half steps of 1 ms become 5 and 15 ms. */
    assert_int_equal(pacer_due(&w[1]), boundary + 5 * NS_PER_MS);
    assert_int_equal(pacer_due(&w[0]), boundary + 15 * NS_PER_MS);
    pacer_next(&w[1]);
    assert_int_equal(pacer_due(&w[1]), boundary + 25 * NS_PER_MS);
}

static void rate_change_spares_a_due_time_that_passed(void **state)
{
    (void)state;
    struct plan plan = plan_of(1000, ARRIVALS_CONSTANT, 1);
    struct pacer pacer;
    pacer_init(&pacer, &plan, 0, 1);
    pacer_next(&pacer);
    pacer_set_rate(&pacer, 10, 1, 5 * NS_PER_MS);
    assert_int_equal(pacer_due(&pacer), NS_PER_MS);
    pacer_next(&pacer);
    assert_int_equal(pacer_due(&pacer), 101 * NS_PER_MS);
}

static void rate_of_zero_rests(void **state)
{
    (void)state;
    struct plan plan = plan_of(0, ARRIVALS_CONSTANT, 1);
    struct pacer pacer;
    pacer_init(&pacer, &plan, 1, 2);
    assert_true(pacer_due(&pacer) == UINT64_MAX);
    pacer_set_rate(&pacer, 100, 2, NS_PER_S);
    assert_int_equal(pacer_due(&pacer), NS_PER_S + 10 * NS_PER_MS);
    pacer_set_rate(&pacer, 0, 2, NS_PER_S);
    assert_true(pacer_due(&pacer) == UINT64_MAX);
}

static void poisson_change_of_rate_stays_poisson(void **state)
{
    (void)state;
    /* The stretched rest of a gap is exponential with the new mean: 20,000 seeds, 5 sigma. */
    double sum = 0;
    for (uint64_t seed = 0; seed < 20000; seed++) {
        struct plan plan = plan_of(1000, ARRIVALS_POISSON, seed);
        struct pacer pacer;
        pacer_init(&pacer, &plan, 0, 1);
        while (pacer_due(&pacer) <= 3 * NS_PER_MS) {
            pacer_next(&pacer);
        }
        pacer_set_rate(&pacer, 100, 1, 3 * NS_PER_MS);
        sum += (double)(pacer_due(&pacer) - 3 * NS_PER_MS);
    }
    assert_true(fabs(sum / 20000 / 1e7 - 1) < 5 / sqrt(20000));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(constant_is_exact),
        cmocka_unit_test(constant_does_not_drift),
        cmocka_unit_test(workers_interleave),
        cmocka_unit_test(poisson_has_its_moments),
        cmocka_unit_test(poisson_streams_differ),
        cmocka_unit_test(rate_change_keeps_the_interleave),
        cmocka_unit_test(rate_change_spares_a_due_time_that_passed),
        cmocka_unit_test(rate_of_zero_rests),
        cmocka_unit_test(poisson_change_of_rate_stays_poisson),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
