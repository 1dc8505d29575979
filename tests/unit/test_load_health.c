#include "load/health.h"

#include "base/mono.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { WORKERS = 2 };

static struct plan open_loop = {.pace = {.mode = PACE_OPEN, .rate_per_s = 1000, .connections = 4}};
static struct plan closed_loop = {.pace = {.mode = PACE_CLOSED, .connections = 4}};

/* What a second was like for a worker; shares of it. */
struct second {
    double cpu, wait;
    uint64_t lag_ms; /* of each tick timer */
    uint64_t own_ms; /* that `n_delayed` of 100 starts were seen late by the worker itself */
    unsigned n_delayed;
    uint64_t waited_ms; /* the oldest start in the backlog */
};

struct trial {
    struct health health;
    struct interval *total, *interval;
    struct machine_reading machine;
    uint64_t t_ns;
    char text[HEALTH_TEXT];
    struct run_generator found;
};

static void begin(struct trial *trial, const struct plan *plan)
{
    *trial = (struct trial){.total = interval_new(), .interval = interval_new()};
    health_init(&trial->health, plan, WORKERS, NS_PER_S / 5);
    trial->total->count[COUNTER_HANDSHAKE_FULL] = 4;
    trial->total->count[COUNTER_DIALED] = 4;
    trial->machine.cpu_ticks = 1000;
}

static void end(struct trial *trial)
{
    health_clear(&trial->health);
    interval_free(trial->total);
    interval_free(trial->interval);
}

static bool finish(struct trial *trial)
{
    return health_finish(&trial->health, trial->total, trial->text, &trial->found);
}

/* `n` such seconds of the first worker, while the other has little to do. */
static void pass(struct trial *trial, int n, struct second like)
{
    for (int i = 0; i < n; i++) {
        for (unsigned w = 0; w < WORKERS; w++) {
            struct second s = w == 0 ? like : (struct second){.cpu = 0.1};
            struct interval *interval = trial->interval;
            interval_clear(interval);
            interval->start_ns = trial->t_ns + 1;
            interval->end_ns = trial->t_ns + 1 + NS_PER_S;
            interval->count[COUNTER_CPU_NS] = (uint64_t)(s.cpu * 1e9);
            interval->count[COUNTER_WAIT_NS] = (uint64_t)(s.wait * 1e9);
            interval->count[COUNTER_LAG_NS] = 5 * s.lag_ms * NS_PER_MS;
            interval->gauge[GAUGE_BACKLOG_NS] = s.waited_ms * NS_PER_MS;
            interval->gauge[GAUGE_BACKLOG] = s.waited_ms;
            for (unsigned k = 0; k < 100; k++) {
                hist_record(&interval->latency[LATENCY_OWN_DELAY],
                            k < s.n_delayed ? s.own_ms * NS_PER_MS : 20 * NS_PER_US);
            }
            health_interval(&trial->health, w, interval);
            interval_add(trial->total, interval);
        }
        trial->t_ns += NS_PER_S;
        trial->machine.cpu_ticks += 200;
        health_tick(&trial->health, trial->total, trial->t_ns);
        health_second(&trial->health, &trial->machine, trial->t_ns);
        memset(trial->total->gauge, 0, sizeof trial->total->gauge);
    }
}

static const struct second calm = {.cpu = 0.2, .wait = 0.02};
/* The server keeps everything waiting, and the worker has nothing to do. */
static const struct second slow_server = {.cpu = 0.02, .waited_ms = 9000};
static const struct second starved = {
    .cpu = 0.03, .wait = 0.95, .lag_ms = 60, .own_ms = 200, .n_delayed = 60, .waited_ms = 2000};
/* All cores are the server's and ours: every wake-up waits, and yet the starts are made. */
static const struct second crowded = {
    .cpu = 0.45, .wait = 0.5, .lag_ms = 12, .own_ms = 40, .n_delayed = 30, .waited_ms = 60};

static void a_calm_run_is_healthy(void **state)
{
    (void)state;
    struct trial trial;
    begin(&trial, &open_loop);
    pass(&trial, 30, calm);
    assert_true(finish(&trial));
    assert_string_equal(trial.text, "");
    assert_true(trial.found.lagging_s == 0 && !trial.found.latency_is_own);
    assert_true(trial.found.busiest_share > 0.21 && trial.found.busiest_share < 0.23);
    assert_true(trial.found.cpu_share > 0.14 && trial.found.cpu_share < 0.16);
    end(&trial);
}

/* However slow it is, and for however long. */
static void a_slow_server_is_no_fault_of_ours(void **state)
{
    (void)state;
    struct trial trial;
    begin(&trial, &open_loop);
    pass(&trial, 2, calm);
    pass(&trial, 300, slow_server);
    assert_true(finish(&trial));
    assert_string_equal(trial.text, "");
    assert_int_equal(trial.found.backlog_ns, 9 * NS_PER_S);
    assert_true(trial.found.backlog_at_s == 3);
    end(&trial);
}

static void a_crowded_machine_is_not_a_starved_one(void **state)
{
    (void)state;
    struct trial trial;
    begin(&trial, &open_loop);
    pass(&trial, 30, crowded);
    assert_true(finish(&trial));
    end(&trial);
}

static void starved_of_cpu(void **state)
{
    (void)state;
    struct trial trial;
    begin(&trial, &open_loop);
    pass(&trial, 20, calm);
    trial.machine.n_throttled = 7;
    pass(&trial, 10, starved);
    assert_false(finish(&trial));
    assert_string_equal(
        trial.text,
        "the load generator could not keep up for 10 s of 29 s: it was starved of CPU: its "
        "workers ran 3 % of that time and waited for a core 95 %; the CPU quota of its control "
        "group ran out 7 times");
    assert_true(trial.found.latency_is_own && trial.found.n_throttled == 7);
    end(&trial);
}

/* Its loop comes round too seldom, whatever keeps it. */
static void seen_too_late(void **state)
{
    (void)state;
    struct second late = {.cpu = 0.2, .wait = 0.4, .lag_ms = 30, .own_ms = 90, .n_delayed = 12};
    struct trial trial;
    begin(&trial, &open_loop);
    pass(&trial, 20, late);
    assert_false(finish(&trial));
    end(&trial);
    late.n_delayed = 9;
    begin(&trial, &open_loop);
    pass(&trial, 20, late);
    assert_true(finish(&trial));
    end(&trial);
}

/* Starved only as little as a backup at night: told, and no more. */
static void a_hiccup_does_not_spoil_a_day(void **state)
{
    (void)state;
    struct trial trial;
    begin(&trial, &open_loop);
    pass(&trial, 1000, calm);
    pass(&trial, 20, starved);
    pass(&trial, 1000, calm);
    assert_true(finish(&trial));
    assert_non_null(strstr(trial.text, "it kept up, but for 20 s of 33m 39s: it was starved"));
    assert_true(trial.found.latency_is_own);
    end(&trial);
}

static void half_a_minute_spoils_it(void **state)
{
    (void)state;
    struct trial trial;
    begin(&trial, &open_loop);
    pass(&trial, 1000, calm);
    for (int i = 0; i < 30; i++) {
        pass(&trial, 1, calm);
        pass(&trial, 1, starved);
    }
    pass(&trial, 1000, calm);
    assert_false(finish(&trial));
    end(&trial);
}

/* More handshakes than its cores can do: it is never late to see what is due, and never ready. */
static void too_much_for_its_cores(void **state)
{
    (void)state;
    struct second full = {.cpu = 0.97, .wait = 0.01, .lag_ms = 15, .waited_ms = 4000};
    struct trial trial;
    begin(&trial, &open_loop);
    pass(&trial, 20, full);
    assert_false(finish(&trial));
    assert_non_null(strstr(trial.text, "its 2 threads had no time left (97 % CPU)"));
    end(&trial);
    begin(&trial, &closed_loop);
    full.waited_ms = 0;
    pass(&trial, 20, full);
    assert_true(finish(&trial));
    assert_non_null(strstr(trial.text, "as much as the server's"));
    assert_true(trial.found.latency_is_own);
    end(&trial);
}

static void a_closed_loop_can_starve(void **state)
{
    (void)state;
    struct trial trial;
    begin(&trial, &closed_loop);
    pass(&trial, 20, (struct second){.cpu = 0.3, .wait = 0.65});
    assert_true(finish(&trial));
    end(&trial);
    begin(&trial, &closed_loop);
    pass(&trial, 20, (struct second){.cpu = 0.01, .wait = 0.98});
    assert_false(finish(&trial));
    assert_non_null(strstr(trial.text, "it was starved of CPU"));
    end(&trial);
}

/* Stopped, swapped out, or on a machine that stood still: no CPU was used, and none waited for. */
static void timers_that_run_late(void **state)
{
    (void)state;
    struct trial trial;
    begin(&trial, &closed_loop);
    pass(&trial, 20, (struct second){.cpu = 0.1, .lag_ms = 90});
    assert_true(finish(&trial));
    end(&trial);
    begin(&trial, &closed_loop);
    pass(&trial, 20, (struct second){.cpu = 0.1, .lag_ms = 140});
    assert_false(finish(&trial));
    assert_non_null(strstr(trial.text, "its loops ran 140 ms late on average"));
    end(&trial);
}

static void a_silent_worker(void **state)
{
    (void)state;
    struct trial trial;
    begin(&trial, &open_loop);
    pass(&trial, 5, calm);
    for (int i = 1; i <= 4; i++) {
        health_silence(&trial.health, 1, (uint64_t)i * NS_PER_S);
        trial.t_ns += NS_PER_S;
        health_second(&trial.health, &trial.machine, trial.t_ns);
    }
    assert_false(finish(&trial));
    assert_true(trial.found.lagging_s == 3);
    end(&trial);
}

/* Until the connections stood, handshakes take what there is. */
static void the_ramp_is_not_judged(void **state)
{
    (void)state;
    struct trial trial;
    begin(&trial, &open_loop);
    trial.total->count[COUNTER_HANDSHAKE_FULL] = 1;
    pass(&trial, 4, starved);
    trial.total->count[COUNTER_HANDSHAKE_FULL] = 4;
    pass(&trial, 5, calm);
    assert_true(finish(&trial));
    assert_true(trial.found.lagging_s == 0);
    end(&trial);
    begin(&trial, &open_loop);
    trial.total->count[COUNTER_HANDSHAKE_FULL] = 1;
    pass(&trial, 12, starved); /* not for ever */
    assert_false(finish(&trial));
    end(&trial);
}

/* Nobody who was never looked at is healthy: a run may be over before its connections stand. */
static void a_run_that_is_all_ramp(void **state)
{
    (void)state;
    static const struct second late = {.cpu = 0.5, .own_ms = 200, .n_delayed = 45},
                               full = {.cpu = 0.9, .wait = 0.08, .waited_ms = 1500};
    struct trial trial;
    begin(&trial, &open_loop);
    trial.total->count[COUNTER_HANDSHAKE_FULL] = 1;
    pass(&trial, 2, full);
    assert_false(finish(&trial));
    assert_string_equal(trial.text,
                        "the load generator could not keep up for 2 s of 2 s: its 2 threads had no "
                        "time left (90 % CPU): the plan asks for more than they can do");
    end(&trial);
    begin(&trial, &open_loop); /* stands with its last second, and drains in a fifth */
    pass(&trial, 1, starved);
    trial.t_ns += NS_PER_S / 5;
    health_second(&trial.health, &trial.machine, trial.t_ns);
    assert_false(finish(&trial));
    assert_non_null(strstr(trial.text, "it was starved of CPU"));
    end(&trial);
    begin(&trial, &open_loop); /* handshakes hold starts up, as they may */
    pass(&trial, 1, late);
    assert_true(finish(&trial));
    assert_true(trial.found.busiest_share > 0.4);
    end(&trial);
}

/* A machine that was suspended before anything was judged. */
static void a_first_second_that_took_seven(void **state)
{
    (void)state;
    struct trial trial;
    begin(&trial, &closed_loop);
    trial.interval->end_ns = 7 * NS_PER_S;
    trial.interval->count[COUNTER_LAG_NS] = 6 * NS_PER_S;
    trial.machine.stolen_ticks = 1000000; /* since it was booted */
    trial.machine.cpu_ticks = 2000000;
    for (unsigned w = 0; w < WORKERS; w++) {
        health_interval(&trial.health, w, trial.interval);
    }
    health_tick(&trial.health, trial.interval, 7 * NS_PER_S);
    health_second(&trial.health, &trial.machine, 7 * NS_PER_S);
    assert_false(finish(&trial));
    assert_true(trial.found.lagging_s == 7);
    assert_string_equal(trial.text, "the load generator could not keep up for 7 s of 7 s: it "
                                    "stood still for up to 6 s");
    end(&trial);
}

static void stolen_cores_are_named(void **state)
{
    (void)state;
    struct trial trial;
    begin(&trial, &open_loop);
    pass(&trial, 1, calm);
    for (int i = 0; i < 10; i++) {
        trial.machine.stolen_ticks += 100;
        pass(&trial, 1, (struct second){.cpu = 0.5, .lag_ms = 150});
    }
    assert_false(finish(&trial));
    assert_non_null(strstr(trial.text, "starved of CPU"));
    assert_non_null(strstr(trial.text, "the hypervisor took 50 % of the cores"));
    end(&trial);
}

static void ports_run_out(void **state)
{
    (void)state;
    struct trial trial;
    begin(&trial, &closed_loop);
    pass(&trial, 10, calm);
    trial.total->count[COUNTER_DIALED] = 1000;
    trial.total->outcome[OUTCOME_NO_PORTS] = 10;
    assert_true(finish(&trial));
    assert_string_equal(trial.text,
                        "it kept up, but 10 of 1,000 dials failed for want of local ports");
    trial.total->outcome[OUTCOME_NO_PORTS] = 5;
    trial.total->outcome[OUTCOME_NO_DESCRIPTORS] = 6;
    assert_false(finish(&trial));
    assert_string_equal(trial.text, "the load generator ran out of what it needs: 11 of 1,000 "
                                    "dials failed for want of descriptors");
    end(&trial);
}

static void credentials_too_slow(void **state)
{
    (void)state;
    struct trial trial;
    begin(&trial, &open_loop);
    pass(&trial, 11, calm);
    trial.total->count[COUNTER_DUE] = 10000;
    trial.total->count[COUNTER_MINT_WAIT] = 5000; /* of 20,000 ms */
    assert_true(finish(&trial));                  /* who waited did not hold anything up */
    trial.total->count[COUNTER_LATE] = 2000;
    assert_false(finish(&trial));
    assert_string_equal(trial.text, "credentials could not be made fast enough: the workers waited "
                                    "5,000 times for one");
    trial.total->count[COUNTER_MINT_WAIT] = 3000;
    assert_true(finish(&trial));
    end(&trial);
    begin(&trial, &closed_loop);
    pass(&trial, 11, calm);
    trial.total->count[COUNTER_MINT_WAIT] = 5000;
    assert_true(finish(&trial));
    assert_non_null(strstr(trial.text, "set the pace"));
    end(&trial);
}

static void its_own_delay_is_told(void **state)
{
    (void)state;
    struct trial trial;
    begin(&trial, &open_loop);
    pass(&trial, 20, (struct second){.cpu = 0.2, .own_ms = 8, .n_delayed = 5});
    for (int i = 0; i < 1000; i++) {
        hist_record(&trial.total->latency[LATENCY_SERVICE], 5 * NS_PER_MS);
        hist_record(&trial.total->latency[LATENCY_RESPONSE], 12 * NS_PER_MS);
    }
    assert_true(finish(&trial));
    assert_string_equal(trial.text,
                        "it kept up, but 8.0 ms of the response time's p99 of 12 ms may "
                        "be its own delay");
    assert_true(trial.found.latency_is_own);
    end(&trial);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_calm_run_is_healthy),
        cmocka_unit_test(a_slow_server_is_no_fault_of_ours),
        cmocka_unit_test(a_crowded_machine_is_not_a_starved_one),
        cmocka_unit_test(starved_of_cpu),
        cmocka_unit_test(seen_too_late),
        cmocka_unit_test(a_hiccup_does_not_spoil_a_day),
        cmocka_unit_test(half_a_minute_spoils_it),
        cmocka_unit_test(too_much_for_its_cores),
        cmocka_unit_test(a_closed_loop_can_starve),
        cmocka_unit_test(timers_that_run_late),
        cmocka_unit_test(a_silent_worker),
        cmocka_unit_test(the_ramp_is_not_judged),
        cmocka_unit_test(a_run_that_is_all_ramp),
        cmocka_unit_test(a_first_second_that_took_seven),
        cmocka_unit_test(stolen_cores_are_named),
        cmocka_unit_test(ports_run_out),
        cmocka_unit_test(credentials_too_slow),
        cmocka_unit_test(its_own_delay_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
