/* Attribution under the two designs, the crossover of 70 s and the modulation of minutes: the right
 * drivers are blamed and only they, what does not leak is not called a leak, intervals hold the
 * truth, and what can't be told is not told. */
#include "trials.h"

#include "judge/reason.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#define SEED 61000

static struct score tried(const struct scenarios *scenarios, struct experiment e, unsigned n)
{
    static const char *const noises[NOISE_COUNT] = {"still", "calm", "quiet", "typical", "forced"};
    struct score s = trial_all(scenarios, &e, SEED, n);
    print_message("%-12s %4.0f s %-7s: exact %u, innocent blamed %u, leaks %u, passes %u, bounded "
                  "%u of %u; intervals miss %u of %u\n",
                  scenarios->name, e.seconds, noises[e.noise], s.exact, s.innocent_blamed, s.leaks,
                  s.passes, s.bounded, s.runs, s.missed, s.intervals);
    return s;
}

static struct experiment with_switches(struct experiment e, size_t n_extra)
{
    static const enum driver further[] = {DRIVER_REFUSED, DRIVER_ABORTED, DRIVER_ROTATION};
    e.n_extra = n_extra;
    memcpy(e.extra, further, n_extra * sizeof *further);
    return e;
}

static void assert_share(unsigned of, unsigned all, double least, double most)
{
    double share = (double)of / all;
    if (share < least || share > most) {
        fail_msg("%u of %u is not within %.3f to %.3f", of, all, least, most);
    }
}

static void finds_small_leaks_in_70_s(void **state)
{
    (void)state;
    struct score still = tried(&scenarios_crossover, experiment_crossover(NOISE_STILL), 20);
    struct score calm = tried(&scenarios_crossover, experiment_crossover(NOISE_CALM), 20);
    assert_share(still.exact, still.runs, 0.97, 1);
    assert_share(calm.exact, calm.runs, 0.75, 1);
    assert_in_range(still.innocent_blamed + calm.innocent_blamed, 0, 1);
    assert_int_equal(still.passes + calm.passes, 0);
    assert_share(still.missed + calm.missed, still.intervals + calm.intervals, 0, 0.07);
}

static void blames_no_innocent_in_70_s(void **state)
{
    (void)state;
    struct score still = tried(&scenarios_innocent, experiment_crossover(NOISE_STILL), 10);
    struct score calm = tried(&scenarios_innocent, experiment_crossover(NOISE_CALM), 10);
    assert_in_range(still.innocent_blamed + calm.innocent_blamed, 0, 3);
    assert_in_range(still.leaks + calm.leaks, 0, 3);
    assert_in_range(still.bounded, 40, 120);
}

static void calls_no_clean_server_a_leak(void **state)
{
    const struct scenarios none = {"none", scenarios_leaks.server, 1};
    (void)state;
    assert_int_equal(tried(&none, experiment_crossover(NOISE_STILL), 60).leaks, 0);
    assert_int_equal(tried(&none, experiment_crossover(NOISE_CALM), 60).leaks, 0);
    assert_int_equal(tried(&none, experiment_modulation(NOISE_QUIET, 300), 60).leaks, 0);
    assert_int_equal(tried(&none, experiment_modulation(NOISE_TYPICAL, 300), 60).leaks, 0);
}

/* All counters grow together then: a leak is still a leak, but nobody is named. */
static void separates_nothing_in_steady_load(void **state)
{
    struct experiment e = experiment_crossover(NOISE_CALM);
    (void)state;
    e.steady = true;
    struct score s = tried(&scenarios_crossover, e, 12);
    assert_int_equal(s.separable, 0);
    assert_share(s.leaks, s.runs, 0.9, 1);
}

static void finds_the_exact_set_in_minutes(void **state)
{
    (void)state;
    struct score quiet = tried(&scenarios_leaks, experiment_modulation(NOISE_QUIET, 300), 12);
    struct score typical = tried(&scenarios_leaks, experiment_modulation(NOISE_TYPICAL, 300), 12);
    struct score longer = tried(&scenarios_leaks, experiment_modulation(NOISE_TYPICAL, 600), 8);
    struct score longest = tried(&scenarios_leaks, experiment_modulation(NOISE_TYPICAL, 1800), 2);
    assert_share(quiet.exact, quiet.runs, 0.95, 1);
    assert_share(typical.exact, typical.runs, 0.55, 1);
    assert_share(longer.exact, longer.runs, 0.82, 1);
    assert_share(longest.exact, longest.runs, 0.95, 1);
    assert_in_range(quiet.innocent_blamed, 0, 2);
    assert_in_range(typical.innocent_blamed + longer.innocent_blamed, 0, 2);
    assert_share(quiet.missed, quiet.intervals, 0, 0.07);
    assert_share(typical.missed + longer.missed, typical.intervals + longer.intervals, 0, 0.07);
    assert_true(quiet.error < 0.05 * quiet.errors);
}

/* Six to eight switches in the same 32 dwells. */
static void finds_more_drivers(void **state)
{
    struct experiment quiet = experiment_modulation(NOISE_QUIET, 300);
    struct experiment typical = experiment_modulation(NOISE_TYPICAL, 1800);
    unsigned exact = 0, wrong = 0, runs = 0;
    (void)state;
    for (size_t n_extra = 1; n_extra <= 3; n_extra++) {
        struct score extra = tried(&scenarios_extra, with_switches(quiet, n_extra), 6);
        struct score usual = tried(&scenarios_leaks, with_switches(quiet, n_extra), 3);
        exact += extra.exact + usual.exact;
        wrong += extra.innocent_blamed + usual.innocent_blamed;
        runs += extra.runs + usual.runs;
    }
    struct score longest = tried(&scenarios_extra, with_switches(typical, 3), 2);
    assert_share(exact, runs, 0.95, 1);
    assert_in_range(wrong, 0, 2);
    assert_share(longest.exact, longest.runs, 0.9, 1);
}

/* Full handshakes are then the new certificates and a share of the resumed: no leak of these is
 * pinned on one of the others. */
static void names_nobody_whom_no_switch_tells_apart(void **state)
{
    static const struct server servers[] = {
        {"connection", {{FAULT_KEEPS, DRIVER_CONNECTION, 2048, 0}}},
        {"token", {{FAULT_KEEPS, DRIVER_JWT, 1024, 0}}}};
    const struct scenarios connection = {"connection", servers, 1};
    const struct scenarios token = {"token", servers + 1, 1};
    struct experiment e = with_switches(experiment_modulation(NOISE_QUIET, 300), 3);
    (void)state;
    e.resumes = true;
    struct score unnamed = tried(&connection, e, 12);
    struct score named = tried(&token, e, 12);
    assert_in_range(unnamed.innocent_blamed + named.innocent_blamed, 0, 1);
    assert_int_equal(unnamed.exact, 0);
    assert_share(unnamed.leaks, unnamed.runs, 0.9, 1);
    assert_share(named.exact, named.runs, 0.9, 1);
}

/* In long runs the level wanders, and intervals allow for it. */
static void knows_how_little_it_knows(void **state)
{
    (void)state;
    struct score quiet = tried(&scenarios_leaks, experiment_modulation(NOISE_QUIET, 1800), 8);
    assert_share(quiet.missed, quiet.intervals, 0, 0.055);
    assert_share(quiet.exact, quiet.runs, 0.97, 1);
}

static void knows_stores_from_leaks(void **state)
{
    (void)state;
    struct score quiet = tried(&scenarios_traps, experiment_modulation(NOISE_QUIET, 300), 8);
    struct score typical = tried(&scenarios_traps, experiment_modulation(NOISE_TYPICAL, 600), 6);
    assert_share(quiet.exact, quiet.runs, 0.92, 1);
    assert_share(typical.exact, typical.runs, 0.92, 1);
    assert_share(quiet.bounded, quiet.runs, 0.5, 1);
}

/* A store that has just become full can't always be told; then the verdict says how far it saw. */
static void says_how_far_a_late_store_was_seen(void **state)
{
    (void)state;
    struct score quiet = tried(&scenarios_late, experiment_modulation(NOISE_QUIET, 300), 20);
    assert_share(quiet.leaks, quiet.runs, 0, 0.1);
    struct score leaking = tried(&scenarios_leaks, experiment_modulation(NOISE_QUIET, 300), 2);
    assert_int_equal(quiet.unbounded_said, quiet.leaks);
    /* all but the leak that time alone drives */
    assert_in_range(leaking.unbounded_said, leaking.leaks - 2, leaking.leaks);
}

static void calls_no_fading_store_a_leak(void **state)
{
    unsigned leaks = 0, said = 0, runs = 0;
    (void)state;
    for (enum server_noise noise = NOISE_STILL; noise < NOISE_COUNT; noise++) {
        struct experiment e = experiment_short(noise);
        struct score s = tried(&scenarios_fading, e, 10);
        leaks += s.leaks;
        runs += s.runs;
        said += s.slowing_said;
        assert_int_equal(s.passes, 0);
    }
    print_message("of %u fading stores %u are leaks, and of %u it is said what may slow\n", runs,
                  leaks, said);
    assert_share(leaks, runs, 0, 0.02);
}

/* Growth per event that sinks to half of what it began with within the run, and no further: mostly
 * it is seen to slow down. */
static void seldom_convicts_what_slows_to_half(void **state)
{
    static const struct server slowing[] = {
        {"slowing connections", {{FAULT_SLOWS, DRIVER_CONNECTION, 3400, 0.5}}},
        {"slowing certificates", {{FAULT_SLOWS, DRIVER_CLIENT_CERTIFICATE, 3072, 0.5}}}};
    const struct scenarios scenarios = {"slowing", slowing, 2};
    (void)state;
    struct score still = tried(&scenarios, experiment_crossover(NOISE_STILL), 20);
    struct score quiet = tried(&scenarios, experiment_modulation(NOISE_QUIET, 300), 20);
    assert_share(still.leaks + quiet.leaks, still.runs + quiet.runs, 0, 0.35);
}

/* What slows down beside a leak hides none, and is not named with it. */
static void convicts_beside_a_fading_store(void **state)
{
    static const struct server servers[] = {
        {"fading certificates, token leak",
         {{FAULT_FADES, DRIVER_CLIENT_CERTIFICATE, 3072, 0.3}, {FAULT_KEEPS, DRIVER_JWT, 1024, 0}}},
        {"fading connections, key leak",
         {{FAULT_FADES, DRIVER_CONNECTION, 3400, 0.5}, {FAULT_KEEPS, DRIVER_API_KEY, 400, 0}}}};
    const struct scenarios scenarios = {"fading and leak", servers, 2};
    (void)state;
    struct score still = tried(&scenarios, experiment_crossover(NOISE_STILL), 20);
    struct score quiet = tried(&scenarios, experiment_modulation(NOISE_QUIET, 300), 20);
    assert_share(still.leaks + quiet.leaks, still.runs + quiet.runs, 0.95, 1);
    assert_share(still.exact + quiet.exact, still.runs + quiet.runs, 0.9, 1);
}

/* Tokens come in more often, so that they cost more, though each is the smaller. */
static void names_the_gravest_first(void **state)
{
    static const struct server server = {
        "connection and token",
        {{FAULT_KEEPS, DRIVER_CONNECTION, 2048, 0}, {FAULT_KEEPS, DRIVER_JWT, 1024, 0}}};
    static struct series series;
    static struct memory_finding f;
    const struct driver_finding *blamed[DRIVER_COUNT];
    struct experiment e = experiment_modulation(NOISE_QUIET, 300);
    struct judge_options options = trial_options(&e);
    (void)state;
    server_run(&server, &e, SEED, &series);
    judge_series(&series, &options, &f);
    assert_int_equal(reason_blamed(&f, blamed), 2);
    assert_int_equal(blamed[0]->driver, DRIVER_JWT);
    assert_int_equal(blamed[1]->driver, DRIVER_CONNECTION);
    const char *token = strstr(f.reason, "per new JWT (");
    const char *connection = strstr(f.reason, "per new connection (");
    assert_non_null(token);
    assert_non_null(connection);
    assert_true(token < connection);
}

static void judges_one_collected_reading_a_dwell(void **state)
{
    (void)state;
    struct score s = tried(&scenarios_leaks, experiment_collected(300), 6);
    assert_share(s.exact, s.runs, 0.95, 1);
    assert_in_range(s.innocent_blamed, 0, 1);
}

static void refuses_a_metric_that_is_seldom_refreshed(void **state)
{
    struct experiment e = experiment_modulation(NOISE_FORCED, 600);
    (void)state;
    e.refresh_s = 20;
    struct score s = tried(&scenarios_leaks, e, 2);
    assert_int_equal(s.separable, 0);
    assert_int_equal(s.innocent_blamed, 0);
    assert_int_equal(s.refresh_said, s.runs);
    e.refresh_s = 1;
    assert_in_range(tried(&scenarios_leaks, e, 2).separable, 100, 200);
}

/* Remedies, each held to a quarter of what its leaky twin keeps: of 9 budgets the share of runs
 * that pass. */
static double passes(struct experiment e, double times, unsigned n)
{
    struct score score = {0};
    for (size_t i = 0; i < TRIAL_BUDGETS; i++) {
        struct experiment budgeted = trial_budgeted(e, i);
        struct server server = trial_times_budget(i, times);
        trial_server(&server, &budgeted, SEED, n, &score);
    }
    print_message("%.2f times the budget: %u of %u pass\n", times, score.passes, score.runs);
    return (double)score.passes / score.runs;
}

static void passes_remedies_and_no_leaks(void **state)
{
    struct experiment quiet = experiment_modulation(NOISE_QUIET, 320);
    struct experiment typical = experiment_modulation(NOISE_TYPICAL, 320);
    struct experiment forced = experiment_collected(320);
    (void)state;
    assert_true(passes(quiet, 0, 8) >= 0.9);
    assert_true(passes(forced, 0, 8) >= 0.6);
    double wrong = passes(quiet, 2, 8) + passes(typical, 2, 24) + passes(forced, 2, 8);
    assert_true(wrong / 3 <= 0.01);
    wrong = passes(quiet, 4, 4) + passes(typical, 4, 8) + passes(forced, 4, 4);
    assert_true(wrong / 3 <= 0.005);
}

static double passes_caches(const struct experiment *e, double lives, double kept_share)
{
    struct score score = trial_caches(e, lives, kept_share, SEED, 10);
    print_message("entries live for %.0f s, %.0f %% of them stays: %u of %u pass, %u leaks\n",
                  lives * e->seconds, 100 * kept_share, score.passes, score.runs, score.leaks);
    assert_true(kept_share > 0 || score.leaks == 0);
    return (double)score.passes / score.runs;
}

static void passes_caches_whose_entries_expire(void **state)
{
    static const double lives[] = {0.06, 0.2};
    double wrong = 0;
    (void)state;
    for (enum server_noise noise = NOISE_STILL; noise < NOISE_COUNT; noise++) {
        struct experiment e =
            noise == NOISE_FORCED ? experiment_collected(320) : experiment_modulation(noise, 320);
        for (size_t i = 0; i < 2; i++) {
            double all_expire = passes_caches(&e, lives[i], 0);
            assert_true(noise > NOISE_QUIET || all_expire >= 0.95);
            /* of a dwell of 5 s there is one reading: most entries are gone between two */
            assert_true(noise != NOISE_FORCED || i > 0 || all_expire >= 0.55);
            wrong += passes_caches(&e, lives[i], 0.5) / (2 * NOISE_COUNT);
        }
    }
    assert_true(wrong <= 0.01);
}

/* What chance allows of so many runs: 1 in 1000, and three standard deviations more. */
static void stops_early_only_with_reason(void **state)
{
    enum { SERVERS = 7, RUNS = 100 };
    static const struct server innocents[SERVERS] = {
        {"none", {{FAULT_NONE, DRIVER_TIME, 0, 0}}},
        {"time", {{FAULT_KEEPS, DRIVER_TIME, 40960, 0}}},
        {"connection", {{FAULT_KEEPS, DRIVER_CONNECTION, 2048, 0}}},
        {"request", {{FAULT_KEEPS, DRIVER_REQUEST, 200, 0}}},
        {"fills", {{FAULT_LRU, DRIVER_CLIENT_CERTIFICATE, 3072, 0.3}}},
        {"fills late", {{FAULT_LRU, DRIVER_CLIENT_CERTIFICATE, 3072, 0.6}}},
        {"expires", {{FAULT_TTL, DRIVER_CLIENT_CERTIFICATE, 3072, 0.05}}}};
    unsigned wrong = 0, runs = 0;
    (void)state;
    for (enum server_noise noise = NOISE_STILL; noise <= NOISE_TYPICAL; noise++) {
        struct experiment e = experiment_modulation(noise, 900);
        for (size_t i = 0; i < SERVERS; i++) {
            struct early early = trial_early(&innocents[i], &e, SEED, RUNS);
            wrong += early.called;
            runs += early.runs;
        }
    }
    print_message("early stop: wrong %u of %u\n", wrong, runs);
    assert_in_range(wrong, 0, (unsigned)(0.001 * runs + 3 * sqrt(0.001 * runs)));
}

static void stops_early_with_every_reason(void **state)
{
    enum { RUNS = 40 };
    static const struct server guilty = {"certificate",
                                         {{FAULT_KEEPS, DRIVER_CLIENT_CERTIFICATE, 3072, 0}}};
    unsigned covered = 0, runs = 0;
    (void)state;
    for (enum server_noise noise = NOISE_STILL; noise < NOISE_COUNT; noise++) {
        struct experiment e = experiment_modulation(noise, 1800);
        e.floors = noise == NOISE_FORCED;
        struct early early = trial_early(&guilty, &e, SEED, RUNS);
        print_message("early stop: found %u of %u after %.0f s, intervals hold %u\n", early.called,
                      early.runs, early.seconds / early.runs, early.covered);
        assert_int_equal(early.called, RUNS);
        assert_true(early.seconds < 400.0 * RUNS);
        covered += e.floors ? 0 : early.covered;
        runs += e.floors ? 0 : early.runs;
    }
    assert_share(covered, runs, 0.88, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_small_leaks_in_70_s),
        cmocka_unit_test(blames_no_innocent_in_70_s),
        cmocka_unit_test(calls_no_clean_server_a_leak),
        cmocka_unit_test(separates_nothing_in_steady_load),
        cmocka_unit_test(finds_the_exact_set_in_minutes),
        cmocka_unit_test(finds_more_drivers),
        cmocka_unit_test(knows_how_little_it_knows),
        cmocka_unit_test(knows_stores_from_leaks),
        cmocka_unit_test(says_how_far_a_late_store_was_seen),
        cmocka_unit_test(calls_no_fading_store_a_leak),
        cmocka_unit_test(seldom_convicts_what_slows_to_half),
        cmocka_unit_test(convicts_beside_a_fading_store),
        cmocka_unit_test(names_the_gravest_first),
        cmocka_unit_test(judges_one_collected_reading_a_dwell),
        cmocka_unit_test(refuses_a_metric_that_is_seldom_refreshed),
        cmocka_unit_test(names_nobody_whom_no_switch_tells_apart),
        cmocka_unit_test(passes_remedies_and_no_leaks),
        cmocka_unit_test(passes_caches_whose_entries_expire),
        cmocka_unit_test(stops_early_only_with_reason),
        cmocka_unit_test(stops_early_with_every_reason),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
