/* How often a comparison of runs is wrong, and what it finds: of invented runs whose latencies wander,
 * all series together, as those of one machine do. */
#include "resample.h"

#include "base/mem.h"
#include "record/metrics.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#define RUNS    200 /* each is compared with the next one */
#define SECONDS 60
#define GROUP   5

/* A second's level: how far it wanders (a standard deviation), and how much of it stays. */
#define WANDER 0.03
#define STAYS  0.8

static const struct {
    int series;
    double ns, spread;
    unsigned each_s;
} kinds[] = {
    {LATENCY_RESPONSE, 220e3, 0.35, 60},
    {LATENCY_SERVICE, 200e3, 0.3, 60},
    {LATENCY_HANDSHAKE_FULL, 1300e3, 0.2, 10},
};

static struct baseline_run *runs[RUNS];

static void fill_second(struct resample *run, double level, struct rng *rng)
{
    for (size_t k = 0; k < sizeof kinds / sizeof kinds[0]; k++) {
        for (unsigned i = 0; i < kinds[k].each_s; i++) {
            /* a mode of its own, at the very quantile that is asked for */
            double tail = rng_double(rng) < 0.01 ? 1.5 : 0;
            double noise = kinds[k].spread * rng_normal(rng) + tail;
            resample_add(run, kinds[k].series, (uint64_t)(kinds[k].ns * exp(level + noise)));
        }
    }
}

static int make_runs(void **state)
{
    (void)state;
    for (unsigned i = 0; i < RUNS; i++) {
        struct resample *run = resample_new();
        struct rng rng;
        rng_init(&rng, 83000, "compared", i);
        double level = WANDER * rng_normal(&rng);
        while (run->n < SECONDS) {
            run->n++;
            fill_second(run, level, &rng);
            level = STAYS * level + WANDER * sqrt(1 - STAYS * STAYS) * rng_normal(&rng);
        }
        runs[i] = resample_draw(run, SECONDS, 0, 1, NULL);
        resample_free(run);
    }
    return 0;
}

static int free_runs(void **state)
{
    (void)state;
    for (unsigned i = 0; i < RUNS; i++) {
        baseline_free(runs[i]);
    }
    return 0;
}

static void count_pairs(double scale, unsigned ret_count[COMPARE_STATES])
{
    for (unsigned i = 0; i < RUNS; i++) {
        struct baseline_run *new = resample_slowed(runs[(i + 1) % RUNS], scale);
        ret_count[resample_compare(&runs[i], 1, &new, 1)]++;
        baseline_free(new);
    }
    print_message("%g times as slow: worse %u, can't tell %u, better %u, same %u of %d pairs\n",
                  scale, ret_count[COMPARE_WORSE], ret_count[COMPARE_UNCLEAR],
                  ret_count[COMPARE_BETTER], ret_count[COMPARE_SAME], RUNS);
}

static void the_same_server_is_not_worse(void **state)
{
    unsigned count[COMPARE_STATES] = {0};
    (void)state;
    count_pairs(1, count);
    assert_in_range(count[COMPARE_WORSE], 0, RUNS * 2 / 100);
    assert_in_range(count[COMPARE_BETTER], 0, RUNS * 2 / 100);
}

static void a_slower_server_is_found(void **state)
{
    unsigned tenth[COMPARE_STATES] = {0}, fifth[COMPARE_STATES] = {0};
    (void)state;
    count_pairs(1.1, tenth);
    count_pairs(1.2, fifth);
    assert_in_range(tenth[COMPARE_WORSE], RUNS * 80 / 100, RUNS);
    assert_in_range(fifth[COMPARE_WORSE], RUNS * 98 / 100, RUNS);
    assert_int_equal(tenth[COMPARE_BETTER] + fifth[COMPARE_BETTER], 0);
}

static void a_quicker_server_is_not_worse(void **state)
{
    unsigned count[COMPARE_STATES] = {0};
    (void)state;
    count_pairs(0.8, count);
    assert_int_equal(count[COMPARE_WORSE], 0);
}

/* Runs of one server differ by more than their seconds tell: `drift` is that, a standard
 * deviation. */
static void count_groups(double drift, double scale, unsigned ret_count[COMPARE_STATES])
{
    for (unsigned pair = 0; pair < RUNS; pair++) {
        struct baseline_run *all[2 * GROUP];
        struct rng rng;
        rng_init(&rng, 84000 + pair, "drift", 0);
        for (unsigned i = 0; i < 2 * GROUP; i++) {
            double level = exp(drift * rng_normal(&rng));
            all[i] =
                resample_slowed(runs[(pair + 19 * i) % RUNS], i < GROUP ? level : level * scale);
        }
        ret_count[resample_compare(all, GROUP, all + GROUP, GROUP)]++;
        for (unsigned i = 0; i < 2 * GROUP; i++) {
            baseline_free(all[i]);
        }
    }
    print_message("drift %g, %g times as slow: worse %u, can't tell %u of %d pairs of %d runs\n",
                  drift, scale, ret_count[COMPARE_WORSE], ret_count[COMPARE_UNCLEAR], RUNS, GROUP);
}

static void several_runs_know_how_runs_differ(void **state)
{
    unsigned same[COMPARE_STATES] = {0}, slower[COMPARE_STATES] = {0};
    (void)state;
    count_groups(0.05, 1, same);
    count_groups(0.015, 1.1, slower);
    assert_in_range(same[COMPARE_WORSE], 0, RUNS * 2 / 100);
    assert_in_range(slower[COMPARE_WORSE], RUNS * 80 / 100, RUNS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_same_server_is_not_worse),
        cmocka_unit_test(a_slower_server_is_found),
        cmocka_unit_test(a_quicker_server_is_not_worse),
        cmocka_unit_test(several_runs_know_how_runs_differ),
    };
    return cmocka_run_group_tests(tests, make_runs, free_runs);
}
