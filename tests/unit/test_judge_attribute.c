/* Attribution: what is told apart and what is not, and the least squares under it. */
#include "judge/attribute.h"

#include "base/mem.h"
#include "base/rng.h"
#include "judge/regress.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#define KIB   1024.0
#define MIB   (1024 * KIB)
#define ROWS  320
#define DWELL 10

static struct series series;
static struct judge_options options;
static struct attribution attribution;

/* 32 dwells of 10 readings: requests fast or slow, keys and tokens on or off. */
struct load {
    bool together;   /* keys and tokens */
    double key, jwt; /* bytes that are kept for each */
    size_t refresh;  /* readings; 0: each */
    double page;     /* memory without noise, in pages of that many bytes */
};

static void serve(const struct load *load)
{
    struct rng rng;
    double x[DRIVER_COUNT] = {0};
    double y = 0, shown = 0;
    unsigned cell = 0;
    rng_init(&rng, 9, "load", 0);
    series_init(&series);
    series.has[DRIVER_REQUEST] = series.has[DRIVER_API_KEY] = series.has[DRIVER_JWT] = true;
    for (size_t i = 0; i < ROWS; i++) {
        cell = i % DWELL == 0 ? (unsigned)rng_below(&rng, 8) : cell;
        double requests = cell & 1 ? 120 : 12;
        bool keys = cell & 2;
        bool tokens = load->together ? keys : (cell & 4) != 0;
        x[DRIVER_REQUEST] += requests;
        x[DRIVER_API_KEY] += keys ? requests : 0;
        x[DRIVER_JWT] += tokens ? requests : 0;
        y = load->key * x[DRIVER_API_KEY] + load->jwt * x[DRIVER_JWT] + 20 * KIB * rng_normal(&rng);
        if (load->page > 0) {
            y = floor((load->key * x[DRIVER_API_KEY] + load->jwt * x[DRIVER_JWT]) / load->page) *
                load->page;
        }
        shown = load->refresh == 0 || i % load->refresh == 0 ? y : shown;
        series_add(&series, 0.2 * (double)i, 50 * MIB + shown, x, 10, 0);
    }
    options = (struct judge_options){.designed = true, .dwell_s = 2};
    attribution_make(&series, 0, series.n, &options, &attribution);
}

static void blames_the_one_that_is_kept(void **state)
{
    (void)state;
    serve(&(struct load){.key = 1000});
    const struct driver_finding *key = &attribution.driver[DRIVER_API_KEY];
    assert_true(attribution.fitted);
    assert_true(key->blamed && key->separable && !key->bounded);
    assert_true(key->low < 1000 && 1000 < key->high && key->high - key->low < 200);
    assert_true(key->seen > 0.8 * key->events);
    assert_false(attribution.driver[DRIVER_REQUEST].blamed);
    assert_false(attribution.driver[DRIVER_JWT].blamed);
    assert_false(attribution.driver[DRIVER_TIME].blamed);
    assert_false(attribution.driver[DRIVER_CONNECTION].separable);
    attribution_end(&attribution);
}

static void names_the_pair_that_moved_together(void **state)
{
    (void)state;
    serve(&(struct load){.key = 1000, .together = true});
    const struct driver_finding *key = &attribution.driver[DRIVER_API_KEY];
    const struct driver_finding *jwt = &attribution.driver[DRIVER_JWT];
    assert_false(key->separable || jwt->separable);
    assert_false(key->blamed || jwt->blamed);
    assert_string_equal(key->confounded_with, "jwt");
    assert_string_equal(jwt->confounded_with, "api_key");
    assert_true(isnan(key->bytes_per_event));
    assert_true(attribution.driver[DRIVER_REQUEST].separable);
    /* the pair stands as one in the judgement */
    assert_true(attribution.explains[DRIVER_API_KEY] || attribution.explains[DRIVER_JWT]);
    attribution_end(&attribution);
}

static void refuses_what_is_refreshed_too_seldom(void **state)
{
    (void)state;
    serve(&(struct load){.key = 1000, .refresh = 4});
    assert_false(attribution.fitted);
    assert_float_equal(attribution.refresh_s, 0.8, 0.05);
    for (int d = 0; d < DRIVER_COUNT; d++) {
        assert_false(attribution.driver[d].separable);
    }
    attribution_end(&attribution);
    serve(&(struct load){.key = 1000, .refresh = 2});
    assert_true(attribution.fitted);
    assert_float_equal(attribution.refresh_s, 0, 0);
    attribution_end(&attribution);
    /* readings that stand still because nothing happens are up to date, for a while or always */
    serve(&(struct load){.key = 1000, .page = 64 * KIB});
    assert_true(attribution.fitted);
    assert_float_equal(attribution.refresh_s, 0, 0);
    assert_true(attribution.driver[DRIVER_API_KEY].blamed);
    attribution_end(&attribution);
    serve(&(struct load){.key = 0, .refresh = ROWS});
    assert_true(attribution.fitted);
    attribution_end(&attribution);
}

/* y = 3 a + 5 + AR(1) noise with 0.9 of it left, and one absurd row. */
static void fits_a_line_in_noise_that_remembers(void **state)
{
    enum { N = 400 };
    CLEANUP_FREE double *table = xcalloc(3 * N, sizeof *table);
    struct regress fit;
    struct rng rng;
    double u = 0;
    (void)state;
    rng_init(&rng, 4, "line", 0);
    for (size_t i = 0; i < N; i++) {
        u = 0.9 * u + rng_normal(&rng);
        table[N + i] = (double)i;
        table[2 * N + i] = 1;
        table[i] = 3.0 * (double)i + 5 + u + (i == 200 ? 1000 : 0);
    }
    assert_true(regress_fit(table, N, 2, 1, NULL, &fit));
    assert_float_equal(fit.beta[0], 3, 4 * fit.se[0]);
    /* the drift of a level that may wander by 0.02 of what the noise adds up to, 10 / sqrt(N) */
    assert_in_range((uintmax_t)(1e4 * fit.se[0]), 80, 150);
    assert_float_equal(fit.rho, 0.9, 0.06);
    regress_end(&fit);
    assert_false(regress_fit(table, 4, 2, 1, NULL, &fit));
}

static void knows_what_a_column_would_bring(void **state)
{
    enum { N = 200 };
    CLEANUP_FREE double *table = xcalloc(3 * N, sizeof *table);
    CLEANUP_FREE double *stopped = xcalloc(N, sizeof *stopped);
    CLEANUP_FREE double *whitened = xcalloc(N, sizeof *whitened);
    struct regress fit;
    struct addition a;
    struct rng rng;
    (void)state;
    rng_init(&rng, 6, "column", 0);
    for (size_t i = 0; i < N; i++) {
        stopped[i] = fmin((double)i, 80);
        table[N + i] = (double)i;
        table[2 * N + i] = 1;
        table[i] = 2 * stopped[i] + 0.1 * rng_normal(&rng);
    }
    assert_true(regress_fit(table, N, 2, 1, NULL, &fit));
    regress_whiten(&fit, stopped, whitened);
    assert_true(regress_add(&fit, whitened, 0, &a));
    assert_float_equal(a.beta, 2, 0.1);
    assert_float_equal(a.rest, 0, 0.1);
    regress_whiten(&fit, table + N, whitened);
    assert_false(regress_add(&fit, whitened, 0, &a));
    regress_end(&fit);
}

static void says_what_others_leave_of_a_column(void **state)
{
    enum { N = 100 };
    CLEANUP_FREE double *design = xcalloc(3 * N, sizeof *design);
    double left[REGRESS_COLUMNS];
    struct gram centred;
    struct rng rng;
    (void)state;
    rng_init(&rng, 8, "left", 0);
    for (size_t i = 0; i < N; i++) {
        design[i] = (double)i;
        design[N + i] = 100 * rng_double(&rng);
        design[2 * N + i] = 3 * design[i] + 7;
    }
    regress_centre(design, N, 2, &centred);
    regress_left(&centred, NULL, left);
    assert_true(left[0] > 0.9 && left[1] > 0.9);
    regress_centre(design, N, 3, &centred);
    regress_left(&centred, NULL, left);
    assert_true(left[1] > 0.9);
    assert_float_equal(left[2], 0, 1e-9);
    regress_left(&centred, &(size_t){0}, left);
    assert_true(left[2] > 0.9);
    assert_float_equal(left[0], 0, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blames_the_one_that_is_kept),
        cmocka_unit_test(names_the_pair_that_moved_together),
        cmocka_unit_test(refuses_what_is_refreshed_too_seldom),
        cmocka_unit_test(fits_a_line_in_noise_that_remembers),
        cmocka_unit_test(knows_what_a_column_would_bring),
        cmocka_unit_test(says_what_others_leave_of_a_column),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
