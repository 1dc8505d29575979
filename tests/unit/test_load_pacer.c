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

static void steady(struct pacer *pacer, double per_s, uint64_t from_ns)
{
    struct course course = {.start_ns = (double)from_ns, .from = per_s, .to = per_s};
    pacer_steer(pacer, &course);
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
        steady(&w[i], 100, boundary);
    }
    /* Due at 11 and 12 ms: half and one and a half steps of 1 ms become 5 and 15 ms. */
    assert_int_equal(pacer_due(&w[1]), boundary + 5 * NS_PER_MS);
    assert_int_equal(pacer_due(&w[0]), boundary + 15 * NS_PER_MS);
    pacer_next(&w[1]);
    assert_int_equal(pacer_due(&w[1]), boundary + 25 * NS_PER_MS);
}

static void rate_of_zero_rests(void **state)
{
    (void)state;
    struct plan plan = plan_of(0, ARRIVALS_CONSTANT, 1);
    struct pacer pacer;
    pacer_init(&pacer, &plan, 1, 2);
    assert_true(pacer_due(&pacer) == UINT64_MAX);
    steady(&pacer, 100, NS_PER_S);
    assert_int_equal(pacer_due(&pacer), NS_PER_S + 10 * NS_PER_MS);
    steady(&pacer, 0, NS_PER_S);
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
        steady(&pacer, 100, 3 * NS_PER_MS);
        sum += (double)(pacer_due(&pacer) - 3 * NS_PER_MS);
    }
    assert_true(fabs(sum / 20000 / 1e7 - 1) < 5 / sqrt(20000));
}

/* Due times before `end_ns`, by the second; all of the workers'. */
static void count_seconds(struct pacer *pacer, uint64_t end_ns, unsigned *seconds)
{
    for (uint64_t due_ns; (due_ns = pacer_due(pacer)) < end_ns; pacer_next(pacer)) {
        seconds[due_ns / NS_PER_S]++;
    }
}

/* 10 s up from 0 to 100/s, 5 s there, a step to 200/s for 5 s, 4 s down to 0, 2 s of rest, then
 * 10/s for 2 s. */
static const struct course hills[] = {
    {.start_ns = 0, .ramp_ns = 10e9, .from = 0, .to = 100},
    {.start_ns = 15e9, .from = 200, .to = 200},
    {.start_ns = 20e9, .ramp_ns = 4e9, .from = 200, .to = 0},
    {.start_ns = 26e9, .from = 10, .to = 10},
};

static const uint64_t hill_ends[] = {15 * NS_PER_S, 20 * NS_PER_S, 26 * NS_PER_S, 28 * NS_PER_S};

static void go_over_hills(struct pacer *pacer, unsigned *seconds)
{
    for (size_t i = 0; i < 4; i++) {
        pacer_steer(pacer, &hills[i]);
        count_seconds(pacer, hill_ends[i], seconds);
    }
}

/* The count in each second is the integral's, by hand: N is 5 t t on the way up, so second s has
 * 5 (2 s + 1) of them. */
static void ramps_and_steps_are_exact(void **state)
{
    (void)state;
    for (unsigned n_workers = 1; n_workers <= 7; n_workers++) {
        unsigned seconds[28] = {0};
        struct plan plan = plan_of(0, ARRIVALS_CONSTANT, 1);
        for (unsigned w = 0; w < n_workers; w++) {
            struct pacer pacer;
            pacer_init(&pacer, &plan, w, n_workers);
            go_over_hills(&pacer, seconds);
        }
        for (unsigned s = 0; s < 28; s++) {
            unsigned by_hand = s < 10   ? 5 * (2 * s + 1)
                               : s < 15 ? 100
                               : s < 20 ? 200
                               : s < 24 ? 25 * (2 * (23 - s) + 1)
                               : s < 26 ? 0
                                        : 10;
            assert_int_equal(seconds[s], by_hand);
        }
    }
}

static void ramp_has_no_drift(void **state)
{
    (void)state;
    /* A day from 1/s to 3/s: half a step of time for each due time must come out to the ns. */
    struct plan plan = plan_of(0, ARRIVALS_CONSTANT, 1);
    struct course day = {.ramp_ns = 86400e9, .from = 1, .to = 3};
    struct pacer pacer;
    pacer_init(&pacer, &plan, 0, 1);
    pacer_steer(&pacer, &day);
    for (unsigned i = 0; i < 2 * 86400; i++) {
        pacer_next(&pacer);
    }
    assert_true(pacer_due(&pacer) == 86400 * NS_PER_S);
}

static void poisson_follows_the_ramp(void **state)
{
    (void)state;
    /* 2,000 seeds of two workers: each second's count has the integral as mean and variance; 5
     * sigma of the mean. */
    unsigned seconds[28] = {0};
    for (uint64_t seed = 0; seed < 2000; seed++) {
        struct plan plan = plan_of(0, ARRIVALS_POISSON, seed);
        for (unsigned w = 0; w < 2; w++) {
            struct pacer pacer;
            pacer_init(&pacer, &plan, w, 2);
            go_over_hills(&pacer, seconds);
        }
    }
    assert_int_equal(seconds[24] + seconds[25], 0);
    for (unsigned s = 0; s < 10; s++) {
        double mean = 2000.0 * 5 * (2 * s + 1);
        assert_true(fabs(seconds[s] - mean) < 5 * sqrt(mean));
    }
    assert_true(fabs(seconds[17] - 400000.0) < 5 * sqrt(400000));
}

/* The union over the workers is the file, whatever their number, and again each period. */
static void replay_is_split_and_begins_again(void **state)
{
    (void)state;
    uint64_t times_ns[] = {0, 5, 5, 7, 100};
    for (uint64_t every_ns = 0; every_ns <= 150; every_ns += 150) {
        struct plan plan = {.pace = {.arrivals = ARRIVALS_REPLAY,
                                     .replay_ns = times_ns,
                                     .n_replay = 5,
                                     .replay_every_ns = every_ns}};
        for (unsigned n = 1; n <= 4; n++) {
            struct pacer worker[4];
            for (unsigned w = 0; w < n; w++) {
                pacer_init(&worker[w], &plan, w, n);
            }
            for (uint64_t k = 0; k < 1000; k++) {
                uint64_t due = times_ns[k % 5] + k / 5 * every_ns;
                assert_true(pacer_due(&worker[k % n]) ==
                            (k < 5 || every_ns > 0 ? due : UINT64_MAX));
                pacer_next(&worker[k % n]);
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(constant_is_exact),
        cmocka_unit_test(replay_is_split_and_begins_again),
        cmocka_unit_test(constant_does_not_drift),
        cmocka_unit_test(workers_interleave),
        cmocka_unit_test(poisson_has_its_moments),
        cmocka_unit_test(poisson_streams_differ),
        cmocka_unit_test(rate_change_keeps_the_interleave),
        cmocka_unit_test(rate_of_zero_rests),
        cmocka_unit_test(poisson_change_of_rate_stays_poisson),
        cmocka_unit_test(ramps_and_steps_are_exact),
        cmocka_unit_test(ramp_has_no_drift),
        cmocka_unit_test(poisson_follows_the_ramp),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
