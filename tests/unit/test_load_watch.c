#include "load/watch.h"

#include "base/mono.h"
#include "load/phase.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static struct plan_memory memories[] = {{.name = (char[]){"first"}}, {.name = (char[]){"second"}}};
static struct plan plan = {.memories = memories, .n_memories = 2};

/* A second more with so many exchanges, of which `n_failed` fail. */
static void pass(struct watch *watch, struct interval *total, uint64_t n, uint64_t n_failed)
{
    uint64_t second = watch->n_seconds + 1;
    total->count[COUNTER_STARTED] += n;
    total->count[COUNTER_FAILED] += n_failed;
    total->count[COUNTER_COMPLETED] += n - n_failed;
    total->outcome[OUTCOME_HTTP_RESET] += n_failed;
    watch_second(watch, total, second * NS_PER_S);
}

static struct interval *begin(struct watch *watch)
{
    struct interval *total = interval_new();
    watch_init(watch, &plan);
    total->count[COUNTER_DIALED] = 4;
    total->count[COUNTER_HANDSHAKE_FULL] = 4;
    return total;
}

static void a_good_run_is_valid(void **state)
{
    (void)state;
    struct watch watch;
    struct interval *total = begin(&watch);
    for (int i = 0; i < 300; i++) {
        pass(&watch, total, 100, 40);
    }
    watch_finish(&watch, total, false, NULL);
    assert_string_equal(watch.invalid, "");
    assert_false(watch.over);
    interval_free(total);
}

static void a_bad_minute_is_enough(void **state)
{
    (void)state;
    struct watch watch;
    struct interval *total = begin(&watch);
    for (int i = 0; i < 300; i++) {
        pass(&watch, total, 100, i >= 130 && i < 162 ? 100 : 0);
    }
    watch_finish(&watch, total, false, NULL);
    assert_ptr_equal(strstr(watch.invalid, "more than half of the exchanges of a minute failed"),
                     watch.invalid);
    assert_non_null(strstr(watch.invalid, outcome_info(OUTCOME_HTTP_RESET)->text));
    assert_false(watch.over);
    interval_free(total);
}

/* How many may fail is for a limit to say, where the profile has one. */
static void a_limit_on_errors_judges_a_bad_minute(void **state)
{
    (void)state;
    struct plan limited = {.limit = {.n = 1, .list = {{.metric = LIMIT_ERRORS}}}};
    struct watch watch;
    struct interval *total = begin(&watch);
    watch_init(&watch, &limited);
    for (int i = 0; i < 100; i++) {
        pass(&watch, total, 100, 90);
    }
    watch_finish(&watch, total, false, NULL);
    assert_string_equal(watch.invalid, "");
    interval_free(total);
}

/* Nothing but errors to the end, after `n_bad` of 300 seconds and `idle` in which nothing ended. */
static void bad_at_the_end(struct watch *watch, int n_bad, int idle)
{
    struct interval *total = begin(watch);
    for (int i = 0; i < 300; i++) {
        bool rests = i >= 300 - idle;
        uint64_t n_bad_now = !rests && i >= 300 - idle - n_bad ? 100 : 0;
        total->count[COUNTER_UNEXPECTED] += n_bad_now; /* answered, with an error */
        total->outcome[OUTCOME_STATUS] += n_bad_now;
        pass(watch, total, rests ? 0 : 100, 0);
    }
    watch_finish(watch, total, false, NULL);
    interval_free(total);
}

static void errors_alone_at_the_end_are_enough(void **state)
{
    (void)state;
    struct watch watch;

    bad_at_the_end(&watch, 10, 0);
    assert_ptr_equal(strstr(watch.invalid, "all exchanges of the last 10 s of the load failed: "),
                     watch.invalid);
    assert_non_null(strstr(watch.invalid, outcome_info(OUTCOME_STATUS)->text));
    bad_at_the_end(&watch, 3, 20); /* a cool-down does not hide them */
    assert_ptr_equal(strstr(watch.invalid, "all exchanges of the last 23 s"), watch.invalid);
    bad_at_the_end(&watch, 2, 0);
    assert_string_equal(watch.invalid, "");
}

static void a_limit_on_errors_judges_the_end_too(void **state)
{
    (void)state;
    struct plan limited = {.limit = {.n = 1, .list = {{.metric = LIMIT_ERRORS}}}};
    struct watch watch;
    struct interval *total = begin(&watch);
    watch_init(&watch, &limited);
    for (int i = 0; i < 300; i++) {
        total->count[COUNTER_UNEXPECTED] += i >= 290 ? 100 : 0;
        pass(&watch, total, 100, 0);
    }
    watch_finish(&watch, total, false, NULL);
    assert_string_equal(watch.invalid, "");
    interval_free(total);
}

/* What we stop ourselves is taken from all failures, so that their sum may be less than a minute
 * ago. */
static void a_sum_that_falls_is_no_failure(void **state)
{
    (void)state;
    struct watch watch;
    struct interval *total = begin(&watch);
    for (int i = 0; i < 300; i++) {
        pass(&watch, total, 100, i == 5 ? 5 : 0);
    }
    total->outcome[OUTCOME_STOPPED] += 20;
    watch_second(&watch, total, 301 * NS_PER_S);
    watch_finish(&watch, total, false, NULL);
    assert_string_equal(watch.invalid, "");
    interval_free(total);
}

static void half_a_bad_minute_is_not(void **state)
{
    (void)state;
    struct watch watch;
    struct interval *total = begin(&watch);
    for (int i = 0; i < 300; i++) {
        pass(&watch, total, 100, i >= 130 && i < 160 ? 100 : 0);
    }
    watch_finish(&watch, total, false, NULL);
    assert_string_equal(watch.invalid, "");
    interval_free(total);
}

static void a_short_run_is_judged_whole(void **state)
{
    (void)state;
    struct watch watch;
    struct interval *total = begin(&watch);
    for (int i = 0; i < 10; i++) {
        pass(&watch, total, 100, 51);
    }
    assert_string_equal(watch.invalid, "");
    watch_finish(&watch, total, false, NULL);
    assert_ptr_equal(strstr(watch.invalid, "more than half of the exchanges of the run failed"),
                     watch.invalid);
    interval_free(total);
}

static void a_target_that_went_away(void **state)
{
    (void)state;
    struct watch watch;
    struct interval *total = begin(&watch);
    for (int i = 0; i < 100; i++) {
        bool there = i < 20;
        total->count[COUNTER_DIALED] += !there;
        total->count[COUNTER_DIAL_FAILED] += !there;
        total->outcome[OUTCOME_REFUSED] += !there;
        pass(&watch, total, there ? 100 : 0, 0);
    }
    assert_ptr_equal(strstr(watch.invalid, "the target did not answer for a minute"),
                     watch.invalid);
    interval_free(total);
}

static void a_dead_target_ends_the_run(void **state)
{
    (void)state;
    struct watch watch;
    struct interval *total = begin(&watch);
    total->count[COUNTER_HANDSHAKE_FULL] = 0;
    total->count[COUNTER_DIAL_FAILED] = 3;
    total->outcome[OUTCOME_REFUSED] = 2;
    total->outcome[OUTCOME_UNREACHABLE] = 1;
    for (int i = 0; i < 9; i++) {
        pass(&watch, total, 0, 0);
    }
    assert_false(watch.over);
    pass(&watch, total, 0, 0);
    assert_true(watch.over);
    assert_non_null(strstr(watch.invalid, outcome_info(OUTCOME_REFUSED)->text));
    assert_non_null(strstr(watch.invalid, "(3 of 4 dials failed)"));
    interval_free(total);
}

/* A second with so many dials, of which `n_failed` fail; exchanges there are none. */
static void dial(struct watch *watch, struct interval *total, uint64_t n, uint64_t n_failed)
{
    total->count[COUNTER_DIALED] += n;
    total->count[COUNTER_HANDSHAKE_FULL] += n - n_failed;
    total->count[COUNTER_DIAL_FAILED] += n_failed;
    total->outcome[OUTCOME_TLS_RESET] += n_failed;
    pass(watch, total, 0, 0);
}

static void dials_count_where_connections_fall_due(void **state)
{
    (void)state;
    static const struct {
        enum pace_mode mode;
        uint64_t n_failed;
        bool valid;
    } cases[] = {
        {PACE_HANDSHAKE, 90, false}, {PACE_CHURN, 90, false}, {PACE_HANDSHAKE, 40, true},
        {PACE_CHURN, 40, true},      {PACE_CLOSED, 90, true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct plan due = {.pace = {.mode = cases[i].mode}};
        struct watch watch;
        struct interval *total = interval_new();
        watch_init(&watch, &due);
        for (int second = 0; second < 5; second++) {
            dial(&watch, total, 100, cases[i].n_failed);
        }
        watch_finish(&watch, total, false, NULL);
        assert_string_equal(watch.invalid,
                            cases[i].valid ? ""
                                           : "more than half of the connections of the run failed "
                                             "(450 of 500): the server reset the "
                                             "connection inside the TLS handshake");
        interval_free(total);
    }
}

/* 20 good seconds of `n_a_second` exchanges, 4 in which nothing is answered, and what the drain then makes of it. */
static void gone_at_the_end(uint64_t n_a_second, bool dials, uint64_t n_stopped, uint64_t n_late,
                            bool interrupted, bool valid)
{
    struct watch watch;
    struct interval *total = begin(&watch);
    for (int i = 0; i < 24; i++) {
        bool there = i < 20;
        total->count[COUNTER_DIAL_FAILED] += dials && !there;
        total->outcome[OUTCOME_REFUSED] += dials && !there;
        pass(&watch, total, there ? n_a_second : 0, 0);
    }
    total->count[COUNTER_FAILED] += n_stopped;
    total->outcome[OUTCOME_STOPPED] += n_stopped;
    total->count[COUNTER_COMPLETED] += n_late;
    watch_finish(&watch, total, interrupted, NULL);
    assert_true((watch.invalid[0] == '\0') == valid);
    assert_true(valid || strstr(watch.invalid, "did not answer at the end of the run") != NULL);
    interval_free(total);
}

static void a_target_that_is_gone_at_the_end(void **state)
{
    (void)state;
    gone_at_the_end(100, true, 0, 0, false, false);
    gone_at_the_end(100, false, 4, 0, false, false); /* it hangs */
    gone_at_the_end(100, false, 1, 0, false, false);
    gone_at_the_end(0, false, 1, 0, false, true);   /* hardly ever asked */
    gone_at_the_end(100, false, 0, 0, false, true); /* nothing was wanted */
    gone_at_the_end(100, false, 4, 1, false, true); /* it is slow */
    gone_at_the_end(100, true, 4, 0, true, true);   /* the user ended it, for a reason of theirs */
}

static void who_was_slow_before_is_not_gone(void **state)
{
    (void)state;
    for (uint64_t slow_s = 2; slow_s <= 4; slow_s += 2) {
        struct watch watch;
        struct interval *total = begin(&watch);
        hist_record(&total->latency[LATENCY_SERVICE], slow_s * NS_PER_S);
        for (int i = 0; i < 8; i++) {
            pass(&watch, total, i == 3 ? 8 : 0, 0);
        }
        total->count[COUNTER_FAILED] = total->outcome[OUTCOME_STOPPED] = 8;
        watch_finish(&watch, total, false, NULL);
        assert_true((watch.invalid[0] == '\0') == (slow_s == 4));
        interval_free(total);
    }
}

static void what_we_stopped_is_no_failure(void **state)
{
    (void)state;
    struct watch watch;
    struct interval *total = begin(&watch);
    total->count[COUNTER_STARTED] = 10;
    total->count[COUNTER_COMPLETED] = 1;
    total->count[COUNTER_FAILED] = 9;
    total->outcome[OUTCOME_STOPPED] = 9;
    watch_finish(&watch, total, true, NULL);
    assert_string_equal(watch.invalid, "");
    interval_free(total);
}

static void interrupted_before_the_first_handshake(void **state)
{
    (void)state;
    struct watch watch;
    struct interval *total = begin(&watch);
    total->count[COUNTER_HANDSHAKE_FULL] = 0;
    total->count[COUNTER_DIAL_FAILED] = 4;
    total->outcome[OUTCOME_STOPPED] = 4;
    watch_finish(&watch, total, true, NULL);
    assert_string_equal(watch.invalid, "");
    watch_finish(&watch, total, false, NULL);
    assert_ptr_equal(strstr(watch.invalid, "the target never answered"), watch.invalid);
    interval_free(total);
}

static void read_at(struct watch *watch, uint64_t t_ms, int source, bool lost)
{
    watch_reading(
        watch,
        &(struct reading){.t_ns = t_ms * NS_PER_MS, .source = source, .ok = !lost, .lost = lost});
}

static void a_restart_is_no_loss(void **state)
{
    (void)state;
    struct watch watch;
    struct interval *total = begin(&watch);
    for (uint64_t t = 1000; t < 20000; t += 200) {
        /* Gone for 2.8 s, back, and gone again for 2.8 s. */
        read_at(&watch, t, 1, (t >= 2000 && t <= 4800) || (t >= 5200 && t <= 8000));
    }
    assert_false(watch.over);
    read_at(&watch, 30000, 1, true);
    read_at(&watch, 33000, 1, true);
    assert_false(watch.over);
    read_at(&watch, 33001, 1, true);
    assert_true(watch.over);
    assert_string_equal(watch.invalid,
                        "the server's process is gone: memory source second is lost");
    interval_free(total);
}

static void what_settles_no_more_is_a_loss_too(void **state)
{
    (void)state;
    struct watch watch;
    struct interval *total = begin(&watch);
    struct plan_memory settled[2] = {memories[0], memories[1]};
    struct plan with_settled = {.memories = settled, .n_memories = 2};
    settled[1].settle_by = SETTLE_COMMAND;
    watch.plan = &with_settled;
    read_at(&watch, 1000, 1, true);
    read_at(&watch, 4001, 1, true);
    assert_true(watch.over);
    assert_string_equal(watch.invalid, "the server's process is gone, or does not settle any more: "
                                       "memory source second is lost");
    interval_free(total);
}

static void the_first_reason_stays(void **state)
{
    (void)state;
    struct watch watch;
    struct interval *total = begin(&watch);
    watch_disk(&watch, ENOSPC);
    for (int i = 0; i < 10; i++) {
        pass(&watch, total, 100, 100);
    }
    watch_finish(&watch, total, false, NULL);
    assert_string_equal(watch.invalid,
                        "the run directory could not be written: No space left on device");
    interval_free(total);
}

static void an_unhealthy_generator_comes_last(void **state)
{
    (void)state;
    struct watch watch;
    struct interval *total = begin(&watch);
    pass(&watch, total, 100, 0);
    watch_finish(&watch, total, false, NULL);
    assert_string_equal(watch.invalid, "");
    watch_finish(&watch, total, false, "it was starved");
    assert_string_equal(watch.invalid, "it was starved");
    interval_free(total);
    total = begin(&watch);
    pass(&watch, total, 100, 60);
    watch_finish(&watch, total, false, "it was starved");
    assert_ptr_equal(strstr(watch.invalid, "more than half of the exchanges"), watch.invalid);
    interval_free(total);
}

static void phases_in_words(void **state)
{
    (void)state;
    uint8_t cells[] = {31, 0, 4};
    struct schedule schedule = {.start_ns = NS_PER_S,
                                .dwell_ns = NS_PER_S,
                                .end_ns = 4 * NS_PER_S,
                                .cooldown_ns = UINT64_MAX,
                                .n_dwells = 3,
                                .cells = cells};
    const struct plan_cert cert = {.count = 1};
    const struct plan_apikey key = {.count = 1};
    const struct plan_jwt jwt = {.count = 1};
    struct plan_identity alone = {.with_cert = &cert, .with_jwt = &jwt};
    struct plan_identity bound = {
        .with_cert = &cert, .with_apikey = &key, .with_jwt = &jwt, .bound = true};
    struct schedule none = {.cooldown_ns = UINT64_MAX};
    struct plan load = {.run.duration_ns = 10 * NS_PER_S,
                        .pace = {.mode = PACE_OPEN, .rate_per_s = 100},
                        .judge.warmup = 0.2,
                        .attribution.warmup_ns = NS_PER_S,
                        .identities = &alone,
                        .n_identities = 1};
    char text[PHASE_TEXT];
    struct timeline timeline;
    timeline_init(&timeline, &load);
    assert_string_equal(phase_text(&timeline, &schedule, 0, false, false, text), "ramp");
    assert_string_equal(phase_text(&timeline, &schedule, 0, true, false, text), "warm-up");
    assert_string_equal(phase_text(&timeline, &schedule, NS_PER_S, true, false, text),
                        "dwell 1 of 3: full rate, reconnecting, fresh certificates, fresh tokens");
    assert_string_equal(phase_text(&timeline, &schedule, 2 * NS_PER_S, true, false, text),
                        "dwell 2 of 3: low rate");
    assert_string_equal(phase_text(&timeline, &schedule, 3 * NS_PER_S, true, false, text),
                        "dwell 3 of 3: low rate, fresh certificates");
    load.identities = &bound;
    assert_string_equal(phase_text(&timeline, &schedule, NS_PER_S, true, false, text),
                        "dwell 1 of 3: full rate, reconnecting, fresh clients");
    load.identities = &alone;
    assert_string_equal(phase_text(&timeline, &schedule, 3 * NS_PER_S, true, true, text),
                        "draining");
    assert_string_equal(phase_text(&timeline, &none, NS_PER_S, true, false, text), "warm-up");
    assert_string_equal(phase_text(&timeline, &none, 2 * NS_PER_S, true, false, text), "steady");
    assert_true(phase_rate(&timeline, &schedule, 0) == 100);
    assert_true(phase_rate(&timeline, &schedule, NS_PER_S) == 100);
    assert_true(phase_rate(&timeline, &schedule, 2 * NS_PER_S) == 10);
    load.pace.mode = PACE_CLOSED;
    timeline_init(&timeline, &load);
    assert_true(phase_rate(&timeline, &schedule, 0) == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_good_run_is_valid),
        cmocka_unit_test(a_bad_minute_is_enough),
        cmocka_unit_test(a_limit_on_errors_judges_a_bad_minute),
        cmocka_unit_test(errors_alone_at_the_end_are_enough),
        cmocka_unit_test(a_limit_on_errors_judges_the_end_too),
        cmocka_unit_test(a_sum_that_falls_is_no_failure),
        cmocka_unit_test(half_a_bad_minute_is_not),
        cmocka_unit_test(a_short_run_is_judged_whole),
        cmocka_unit_test(a_target_that_went_away),
        cmocka_unit_test(a_dead_target_ends_the_run),
        cmocka_unit_test(dials_count_where_connections_fall_due),
        cmocka_unit_test(a_target_that_is_gone_at_the_end),
        cmocka_unit_test(who_was_slow_before_is_not_gone),
        cmocka_unit_test(what_we_stopped_is_no_failure),
        cmocka_unit_test(interrupted_before_the_first_handshake),
        cmocka_unit_test(a_restart_is_no_loss),
        cmocka_unit_test(what_settles_no_more_is_a_loss_too),
        cmocka_unit_test(the_first_reason_stays),
        cmocka_unit_test(an_unhealthy_generator_comes_last),
        cmocka_unit_test(phases_in_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
