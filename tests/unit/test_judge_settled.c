/* Has memory settled?  By rates: over decays, give-back at a constant rate and noise, asked again
 * and again as a live view does. */
#include "judge/settled.h"

#include "base/rng.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#define KIB     1024.0
#define MIB     (1024 * KIB)
#define ROWS    1200 /* seconds */
#define IDLE_S  600
#define LEVEL   (100 * MIB)
#define ASKED_S 3

enum shape { STILL, DECAYS, FALLS, RISES };

static double t[ROWS], y[ROWS], truth[ROWS];

/* What is given back, 1 to 100 MiB with a time constant of 1 to 600 s, under noise of which `phi`
 * is left after a second. */
static void draw(unsigned seed, enum shape shape, double sigma, double phi)
{
    struct rng r;
    rng_init(&r, seed, "idle", shape);
    double size = MIB * exp(log(100) * rng_double(&r));
    double tau = exp(log(600) * rng_double(&r));
    double u = sigma * rng_normal(&r);
    for (int i = 0; i < ROWS; i++) {
        u = phi * u + sqrt(1 - phi * phi) * sigma * rng_normal(&r);
        t[i] = i;
        truth[i] = shape == DECAYS  ? size * exp(-t[i] / tau)
                   : shape == FALLS ? size * fmax(0, 1 - t[i] / (2 * tau))
                   : shape == RISES ? size * fmin(1, t[i] / (2 * tau))
                                    : 0;
        y[i] = 4096 * round((LEVEL + truth[i] + u) / 4096);
    }
}

/* The second at which it is first said to have settled; 0 for never while idle. */
static int first_said(struct settled *s)
{
    for (int i = SETTLED_MIN_READINGS; i <= IDLE_S; i += ASKED_S) {
        judge_settled(t, y, (size_t)i, s);
        if (s->settled) {
            return i - 1;
        }
    }
    return 0;
}

struct rates {
    unsigned runs, said, wrong, missed_level;
    double waited_s; /* mean of those that were said */
};

/* Wrong: what then moves in a minute, or half as long again, is more than the header says. */
static struct rates rates_of(enum shape shape, double sigma, double phi, unsigned runs)
{
    struct rates rates = {.runs = runs};
    for (unsigned seed = 0; seed < runs; seed++) {
        struct settled s;
        draw(seed, shape, sigma, phi);
        int at = first_said(&s);
        if (at == 0) {
            continue;
        }
        int ahead = at + (at > 120 ? at / 2 : 60);
        double moves = fabs(truth[ahead] - truth[at]);
        rates.said++;
        rates.wrong += moves > fmax(256 * KIB, 3 * sigma);
        rates.missed_level += fabs(s.level - LEVEL - truth[at]) > fmax(s.uncertainty, 4096);
        rates.waited_s += at;
    }
    rates.waited_s /= fmax(1, rates.said);
    print_message("shape %d, %4.0f KiB: said %u of %u after %3.0f s, wrong %u, level missed %u\n",
                  shape, sigma / KIB, rates.said, runs, rates.waited_s, rates.wrong,
                  rates.missed_level);
    return rates;
}

static void does_not_wait_for_ever_in_noise(void **state)
{
    (void)state;
    struct rates none = rates_of(STILL, 0, 0, 20);
    struct rates little = rates_of(STILL, 4 * KIB, 0.3, 100);
    struct rates quiet = rates_of(STILL, 64 * KIB, 0.8, 100);
    struct rates typical = rates_of(STILL, 512 * KIB, 0.9, 60);
    assert_int_equal(none.said, none.runs);
    assert_int_equal(little.said, little.runs);
    assert_int_equal(quiet.said, quiet.runs);
    assert_true(typical.said >= typical.runs * 6 / 10);
    assert_true(none.waited_s < 13);
    assert_true(little.waited_s < 20);
    assert_true(quiet.waited_s < 120);
}

static void is_not_said_of_a_slow_change(void **state)
{
    static const double sigmas[] = {1 * KIB, 4 * KIB, 64 * KIB, 512 * KIB};
    static const double phis[] = {0.3, 0.3, 0.8, 0.9};
    unsigned wrong = 0, runs = 0, missed = 0, said = 0;
    (void)state;
    for (size_t k = 0; k < 4; k++) {
        for (enum shape shape = DECAYS; shape <= RISES; shape++) {
            struct rates r = rates_of(shape, sigmas[k], phis[k], k < 3 ? 80 : 30);
            wrong += r.wrong;
            missed += r.missed_level;
            runs += r.runs;
            said += r.said;
        }
    }
    assert_in_range(wrong, 0, runs / 50);
    assert_in_range(missed, 0, said / 10);
    assert_true(said > runs / 2);
}

static void says_nothing_of_few_readings(void **state)
{
    struct settled s;
    (void)state;
    draw(1, STILL, 0, 0);
    judge_settled(t, y, 0, &s);
    assert_false(s.settled);
    judge_settled(t, y, SETTLED_MIN_READINGS - 1, &s);
    assert_false(s.settled);
    assert_float_equal(s.level, LEVEL, 4096);
    assert_true(isinf(s.uncertainty));
    judge_settled(t, y, SETTLED_MIN_READINGS, &s);
    assert_true(s.settled);
    assert_float_equal(s.uncertainty, 0, 1);
    for (int i = 0; i < ROWS; i++) {
        t[i] *= 0.2; /* a dozen readings in two seconds say nothing of the next minute */
    }
    judge_settled(t, y, SETTLED_MIN_READINGS, &s);
    assert_false(s.settled);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(does_not_wait_for_ever_in_noise),
        cmocka_unit_test(is_not_said_of_a_slow_change),
        cmocka_unit_test(says_nothing_of_few_readings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
