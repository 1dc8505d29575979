#include "load/fleet.h"

#include "base/file.h"
#include "base/mem.h"
#include "base/mono.h"
#include "load/once.h"
#include "load/pacer.h"
#include "load/schedule.h"
#include "load_bench.h"
#include "net/tls.h"

#include <signal.h>

static void closed_loop(void **state)
{
    (void)state;
    struct bench *bench = bench_new();
    target_start(&bench->target);
    perform(bench, (const char *const[]){"pace.think_time=5ms", NULL});
    check_both_ends(bench);
    assert_int_equal(count(bench, COUNTER_DIALED), 4);
    assert_int_equal(count(bench, COUNTER_CERT_NEW), 4);
    assert_int_equal(count(bench, COUNTER_DUE), 0);
    assert_false(bench->result.interrupted);
    assert_true(bench->n_seconds >= 1);
    CLEANUP_FREE char *dir = xasprintf("%s/run", bench->target.dir);
    struct stored_run *stored = run_load(dir, bench->diag);
    assert_non_null(stored);
    assert_int_equal(stored->n_ticks, bench->n_seconds);
    assert_int_equal(stored->total->count[COUNTER_STARTED], count(bench, COUNTER_STARTED));
    run_unload(stored);
    bench_free(bench);
}

/* In the cooldown nothing is dialed, whatever the server closed before. */
static void cooldown_rests(void **state)
{
    (void)state;
    struct bench *bench = bench_new();
    bench->target.say_close_after = 1;
    bench->target.delay_ms = 50;
    target_start(&bench->target);
    perform(bench,
            (const char *const[]){"run.duration=2s", "attribution.mode=crossover",
                                  "attribution.dwell=100ms", "attribution.warmup=0s",
                                  "attribution.duration=400ms", "attribution.cooldown=1s", NULL});
    check_both_ends(bench);
    assert_true(count(bench, COUNTER_STARTED) > 8);
    /* But for handshakes that were under way. */
    assert_true(count(bench, COUNTER_DIALED) < count(bench, COUNTER_STARTED) + 4);
    bench_free(bench);
}

/* A source that is read far more often than the fleet takes its readings: none stays behind. */
static void takes_every_reading(void **state)
{
    (void)state;
    enum { MOST = 4096 };
    struct bench *bench = bench_new();
    CLEANUP_FREE struct reading *left = xcalloc(MOST, sizeof *left);
    CLEANUP_FREE char *pid = xasprintf("memory.m.pid=%d", (int)getpid());
    CLEANUP_FREE char *path = xasprintf("%s/run/memory.csv", bench->target.dir);
    bool refused_it = false;
    target_start(&bench->target);
    load_plan(bench, (const char *const[]){"pace.think_time=100ms", "run.duration=2s", pid,
                                           "memory.m.every=1ms", NULL});
    bench->sampler = sampler_new(bench->plan, &bench->addr, 1, &refused_it, bench->diag);
    assert_non_null(bench->sampler);
    perform(bench, NULL);
    CLEANUP_FREE char *rows = file_read(path, 16 << 20, NULL);
    size_t n_rows = 0;
    assert_non_null(rows);
    for (const char *at = rows; (at = strchr(at, '\n')) != NULL; at++) {
        n_rows++;
    }
    /* It goes on being read until it is freed, so those of the last moments may be there. */
    assert_true(sampler_take(bench->sampler, left, MOST) < n_rows / 2);
    sampler_free(bench->sampler);
    bench_free(bench);
}

/* Every exchange of the schedule is started, over all connections, and answered. */
static void open_loop(void **state)
{
    (void)state;
    struct bench *bench = bench_new();
    target_start(&bench->target);
    perform(bench,
            (const char *const[]){"pace.mode=open", "pace.rate=200/s", "run.duration=2s", NULL});
    check_both_ends(bench);
    assert_int_equal(count(bench, COUNTER_DUE), 400);
    assert_int_equal(count(bench, COUNTER_STARTED) + count(bench, COUNTER_SKIPPED), 400);
    /* The keys of the pool, all of them, and no others. */
    assert_int_equal(count(bench, COUNTER_KEY_NEW), 20);
    assert_int_equal(count(bench, COUNTER_JWT_NEW), 10);
    assert_int_equal(count(bench, COUNTER_DIALED), 4);
    bench_free(bench);
}

/* A slow server: what is due waits, and its response time counts from when it was due. */
static void backlog_is_in_the_response_time(void **state)
{
    (void)state;
    struct bench *bench = bench_new();
    bench->target.delay_ms = 100;
    target_start(&bench->target);
    perform(bench,
            (const char *const[]){"pace.mode=open", "pace.rate=100/s", "pace.connections=2", NULL});
    const struct hist *latency = bench->result.total->latency;
    check_both_ends(bench);
    assert_int_equal(count(bench, COUNTER_DUE), 100);
    assert_int_equal(count(bench, COUNTER_STARTED) + count(bench, COUNTER_SKIPPED), 100);
    assert_true(count(bench, COUNTER_SKIPPED) > 0);
    assert_true(count(bench, COUNTER_LATE) > 0);
    /* 20 of 100 a second can be answered: the last that is begun was due long before. */
    assert_true(latency[LATENCY_RESPONSE].max_ns > 2 * latency[LATENCY_SERVICE].min_ns);
    bench_free(bench);
}

static void reconnects(void **state)
{
    (void)state;
    struct bench *bench = bench_new();
    target_start(&bench->target);
    perform(bench, (const char *const[]){"pace.mode=open", "pace.rate=200/s",
                                         "pace.requests_per_connection=5", NULL});
    check_both_ends(bench);
    assert_true(count(bench, COUNTER_DIALED) >= count(bench, COUNTER_STARTED) / 5);
    assert_true(count(bench, COUNTER_CERT_NEW) > 4);
    assert_int_equal(count(bench, COUNTER_HANDSHAKE_RESUMED), 0);
    bench_free(bench);
}

static void resumes(bool tls12, const char *ratio)
{
    struct bench *bench = bench_new();
    CLEANUP_FREE char *set = xasprintf("pace.resume_ratio=%s", ratio);
    bench->target.tls12 = tls12;
    target_start(&bench->target);
    perform(bench, (const char *const[]){"pace.mode=open", "pace.rate=200/s", "cert.c.count=8",
                                         "pace.requests_per_connection=4", set, NULL});
    check_both_ends(bench);
    uint64_t full = count(bench, COUNTER_HANDSHAKE_FULL);
    uint64_t resumed = count(bench, COUNTER_HANDSHAKE_RESUMED);
    assert_int_equal(count(bench, COUNTER_CERT_NEW), 8);
    /* Each client comes again, in whatever slot, and its first time is no reconnect. */
    assert_int_equal(count(bench, COUNTER_RECONNECTED), full + resumed - 8);
    if (strcmp(ratio, "1") == 0) {
        assert_int_equal(full, 8);
        assert_int_equal(count(bench, COUNTER_RESUME_ASKED), resumed * 1000000);
    } else {
        assert_true(full > 12);
    }
    assert_int_equal(count(bench, COUNTER_RESUME_NO_TICKET), 0);
    assert_int_equal(count(bench, COUNTER_RESUME_EXPIRED), 0);
    assert_int_equal(count(bench, COUNTER_RESUME_REFUSED), 0);
    assert_true(resumed > 4);
    bench_free(bench);
}

static void resumes_always(void **state)
{
    (void)state;
    resumes(false, "1");
    resumes(true, "1");
}

static void resumes_half(void **state)
{
    (void)state;
    resumes(false, "0.5");
}

/* The server resets kept connections under the next request: nothing is lost and nothing
 * doubled. */
static void sends_again(void **state)
{
    (void)state;
    struct bench *bench = bench_new();
    bench->target.drop_after = 3;
    target_start(&bench->target);
    perform(bench, (const char *const[]){"pace.mode=open", "pace.rate=100/s", NULL});
    check_both_ends(bench);
    assert_int_equal(count(bench, COUNTER_DUE), 100);
    assert_true(count(bench, COUNTER_RETRIED) > 10);
    bench_free(bench);
}

/* A POST must not be sent twice on our own accord. */
static void never_sends_a_post_again(void **state)
{
    (void)state;
    struct bench *bench = bench_new();
    bench->target.drop_after = 3;
    target_start(&bench->target);
    perform(bench, (const char *const[]){"pace.mode=open", "pace.rate=100/s",
                                         "request.r.method=POST", "request.r.body=hello", NULL});
    interval_check(bench->result.total);
    assert_int_equal(count(bench, COUNTER_RETRIED), 0);
    assert_true(count(bench, COUNTER_FAILED) > 10);
    assert_int_equal(count(bench, COUNTER_COMPLETED), bench->target.n_requests);
    assert_int_equal(bench->target.n_body_bytes, 5 * bench->target.n_requests);
    bench_free(bench);
}

static void server_that_announces_its_close(void **state)
{
    (void)state;
    struct bench *bench = bench_new();
    bench->target.say_close_after = 3;
    target_start(&bench->target);
    perform(bench, (const char *const[]){"pace.mode=open", "pace.rate=100/s", NULL});
    check_both_ends(bench);
    assert_int_equal(count(bench, COUNTER_RETRIED), 0);
    assert_true(count(bench, COUNTER_DIALED) > 20);
    bench_free(bench);
}

static void wrong_status(void **state)
{
    (void)state;
    struct bench *bench = bench_new();
    bench->target.status = 503;
    target_start(&bench->target);
    perform(bench, (const char *const[]){"pace.think_time=20ms", NULL});
    assert_int_equal(count(bench, COUNTER_UNEXPECTED), bench->target.n_requests);
    assert_int_equal(count(bench, COUNTER_COMPLETED), bench->target.n_requests);
    assert_int_equal(bench->result.total->outcome[OUTCOME_STATUS], bench->target.n_requests);
    assert_int_equal(bench->result.total->status[5], bench->target.n_requests);
    assert_non_null(strstr(bench->result.invalid, "more than half of the exchanges of the run"));
    bench_free(bench);
}

static void fresh_per_connection(void **state)
{
    (void)state;
    struct bench *bench = bench_new();
    target_start(&bench->target);
    perform(bench, (const char *const[]){"pace.mode=open", "pace.rate=100/s",
                                         "pace.requests_per_connection=2", "cert.c.pick=fresh",
                                         "apikey.k.pick=fresh", "apikey.k.rotate=connection",
                                         "jwt.j.pick=fresh", "jwt.j.rotate=request", NULL});
    check_both_ends(bench);
    assert_int_equal(count(bench, COUNTER_CERT_NEW), count(bench, COUNTER_HANDSHAKE_FULL));
    assert_int_equal(count(bench, COUNTER_JWT_NEW), count(bench, COUNTER_STARTED));
    assert_true(count(bench, COUNTER_KEY_NEW) <= count(bench, COUNTER_DIALED));
    assert_true(2 * count(bench, COUNTER_KEY_NEW) >= count(bench, COUNTER_STARTED));
    bench_free(bench);
}

/* The dwells change the load at their nominal times: the number of exchanges that fall due is
 * that of the pure functions, and identities rest where the design says so. */
static void crossover(void **state)
{
    (void)state;
    struct bench *bench = bench_new();
    struct schedule schedule;
    uint64_t due = 0;
    target_start(&bench->target);
    load_plan(bench, (const char *const[]){"pace.mode=open", "pace.rate=300/s", "run.duration=2s",
                                           "pace.resume_ratio=0", "cert.c.pick=fresh",
                                           "apikey.k.pick=fresh", "jwt.j.pick=fresh", NULL});
    bench->plan->attribution = (struct plan_attribution){
        .mode = ATTRIBUTION_CROSSOVER, .dwell_ns = 100 * NS_PER_MS, .warmup_ns = 200 * NS_PER_MS};
    schedule_init(&schedule, bench->plan);
    assert_int_equal(schedule.n_dwells, 18);
    for (unsigned w = 0; w < 2; w++) {
        struct pacer pacer;
        size_t dwell;
        pacer_init(&pacer, bench->plan, w, 2);
        for (uint64_t t = 200 * NS_PER_MS; t <= 2 * NS_PER_S; t += 100 * NS_PER_MS) {
            for (; pacer_due(&pacer) < t; due++) {
                pacer_next(&pacer);
            }
            bool high = schedule_at(&schedule, t, &dwell).high_rate;
            double per_s = high ? 300 : 30;
            pacer_steer(&pacer,
                        &(struct course){.start_ns = (double)t, .from = per_s, .to = per_s});
        }
    }
    schedule_clear(&schedule);
    assert_true(due < 600);
    perform(bench, NULL);
    check_both_ends(bench);
    assert_int_equal(count(bench, COUNTER_DUE), due);
    /* Reused in half of the dwells. */
    assert_true(count(bench, COUNTER_KEY_NEW) < count(bench, COUNTER_STARTED));
    assert_true(count(bench, COUNTER_JWT_NEW) < count(bench, COUNTER_STARTED));
    assert_true(count(bench, COUNTER_KEY_NEW) > 20);
    assert_true(count(bench, COUNTER_DIALED) > 4); /* four a connection while reconnecting */
    assert_non_null(strstr(bench->phases[0], "dwell "));
    bench_free(bench);
}

/* The first seed whose dwells go low, high, low, high. */
static uint64_t alternating_seed(struct plan *plan)
{
    for (plan->run.seed = 1;; plan->run.seed++) {
        struct schedule schedule;
        unsigned pattern = 0;
        schedule_init(&schedule, plan);
        for (size_t i = 0; i < 4; i++) {
            size_t dwell;
            pattern = pattern << 1 |
                      schedule_at(&schedule, i * plan->attribution.dwell_ns, &dwell).high_rate;
        }
        schedule_clear(&schedule);
        if (pattern == 5) {
            return plan->run.seed;
        }
    }
}

/* The long think time of a dwell of low rate must not outlive the dwell. */
static void closed_crossover(void **state)
{
    (void)state;
    struct bench *bench = bench_new();
    target_start(&bench->target);
    load_plan(bench, (const char *const[]){"pace.think_time=100ms", "run.duration=2s", NULL});
    bench->plan->attribution = (struct plan_attribution){
        .mode = ATTRIBUTION_CROSSOVER, .dwell_ns = 500 * NS_PER_MS, .warmup_ns = 0};
    assert_true(alternating_seed(bench->plan) > 0);
    perform(bench, NULL);
    check_both_ends(bench);
    /* 4 connections: about 5 exchanges in each of the two high dwells, 1 in the low ones; with
     * rests of a second that run over the high dwells there would be 2 or 3 altogether. */
    assert_true(count(bench, COUNTER_STARTED) > 4 * 4);
    assert_true(count(bench, COUNTER_STARTED) <= 4 * 16);
    bench_free(bench);
}

/* Answers that come after the end of the run are waited for. */
static void drains(void **state)
{
    (void)state;
    struct bench *bench = bench_new();
    bench->target.delay_ms = 700;
    target_start(&bench->target);
    perform(bench, (const char *const[]){NULL});
    check_both_ends(bench);
    assert_int_equal(bench->result.total->outcome[OUTCOME_STOPPED], 0);
    assert_true(count(bench, COUNTER_STARTED) >= 4);
    bench_free(bench);
}

static void gives_up_draining(void **state)
{
    (void)state;
    struct bench *bench = bench_new();
    bench->target.silent = true;
    target_start(&bench->target);
    perform(bench, (const char *const[]){"run.drain=100ms", NULL});
    interval_check(bench->result.total);
    assert_int_equal(count(bench, COUNTER_STARTED), 4);
    assert_int_equal(count(bench, COUNTER_FAILED), 4);
    assert_int_equal(bench->result.total->outcome[OUTCOME_STOPPED], 4);
    assert_string_equal(
        bench->result.invalid,
        "the target answered none of 4 requests: the run ended before the server had answered");
    bench_free(bench);
}

static void stop_drains(void **state)
{
    (void)state;
    struct bench *bench = bench_new();
    bench->stop_at_second = 1;
    bench->stop_level = 1;
    target_start(&bench->target);
    uint64_t start_ns = mono_now_ns();
    perform(bench,
            (const char *const[]){"run.duration=300s", "pace.mode=open", "pace.rate=100/s", NULL});
    check_both_ends(bench);
    assert_true(bench->result.interrupted);
    assert_true(mono_now_ns() - start_ns < 60 * NS_PER_S);
    bench_free(bench);
}

static void second_stop_ends_at_once(void **state)
{
    (void)state;
    struct bench *bench = bench_new();
    bench->stop_at_second = 1;
    bench->stop_level = 2;
    bench->target.silent = true;
    target_start(&bench->target);
    uint64_t start_ns = mono_now_ns();
    perform(bench, (const char *const[]){"run.duration=300s", "run.drain=300s", NULL});
    interval_check(bench->result.total);
    assert_true(bench->result.interrupted);
    assert_int_equal(count(bench, COUNTER_FAILED), 4);
    assert_int_equal(bench->result.total->outcome[OUTCOME_STOPPED], 4);
    assert_string_equal(bench->result.invalid, "");
    assert_true(mono_now_ns() - start_ns < 60 * NS_PER_S);
    bench_free(bench);
}

static void refused(void **state)
{
    (void)state;
    struct bench *bench = bench_new();
    target_bind(&bench->target);
    perform(bench, (const char *const[]){"pace.mode=open", "pace.rate=50/s", NULL});
    interval_check(bench->result.total);
    assert_int_equal(count(bench, COUNTER_STARTED), 0);
    assert_int_equal(count(bench, COUNTER_DUE), 50);
    assert_int_equal(count(bench, COUNTER_SKIPPED), 50);
    assert_true(count(bench, COUNTER_DIAL_FAILED) >= 4);
    /* The pause doubles up to a second: four slots can't have dialed often. */
    assert_true(count(bench, COUNTER_DIALED) <= 4 * 10);
    assert_int_equal(count(bench, COUNTER_CERT_USED), 0);
    assert_ptr_equal(strstr(bench->result.invalid, "the target never answered: "),
                     bench->result.invalid);
    assert_non_null(strstr(bench->result.invalid, outcome_info(OUTCOME_REFUSED)->text));
    bench_free(bench);
}

/* A certificate that was chosen for a dial that failed is still new to the server. */
static void first_uses_survive_failed_dials(void **state)
{
    (void)state;
    struct bench *bench = bench_new();
    bench->target.refuse_first = 8;
    target_start(&bench->target);
    perform(bench, (const char *const[]){"cert.c.count=6", "pace.requests_per_connection=2",
                                         "pace.think_time=10ms", NULL});
    check_both_ends(bench);
    assert_int_equal(count(bench, COUNTER_DIAL_FAILED), 8);
    assert_int_equal(count(bench, COUNTER_CERT_NEW), 6);
    bench_free(bench);
}

/* A server that does not trust our CA says so by an alert, which is what the reason names. */
static void refused_by_alert(bool tls12)
{
    struct bench *bench = bench_new();
    struct bench *other = bench_new();
    CLEANUP_FREE char *ca = xasprintf("%s/ca.pem", other->target.dir);
    bench->target.client_ca = ca;
    bench->target.tls12 = tls12;
    target_start(&bench->target);
    perform(bench, (const char *const[]){NULL});
    interval_check(bench->result.total);
    assert_int_equal(count(bench, COUNTER_COMPLETED), 0);
    assert_int_equal(bench->target.n_full, 0);
    assert_true(bench->result.total->outcome[OUTCOME_ALERT_UNKNOWN_CA] > 0);
    assert_non_null(strstr(bench->result.invalid, outcome_info(OUTCOME_ALERT_UNKNOWN_CA)->text));
    assert_true(count(bench, COUNTER_DIALED) <= 4 * 10);
    assert_true(count(bench, COUNTER_CERT_NEW) <= count(bench, COUNTER_CERT_USED));
    bench_free(other);
    bench_free(bench);
}

static void alert_in_handshake(void **state)
{
    (void)state;
    refused_by_alert(true);
}

static void alert_after_handshake(void **state)
{
    (void)state;
    refused_by_alert(false);
}

static void ramps_at_the_connect_rate(void **state)
{
    (void)state;
    struct bench *bench = bench_new();
    target_start(&bench->target);
    /* One connection every 100 ms: 10 at 0, 100, .. 900 ms of 50. */
    perform(bench, (const char *const[]){"pace.connections=50", "pace.connect_rate=10/s",
                                         "pace.think_time=50ms", NULL});
    check_both_ends(bench);
    assert_in_range(count(bench, COUNTER_DIALED), 5, 10);
    bench_free(bench);
}

static void limits_handshakes_in_flight(void **state)
{
    (void)state;
    struct bench *bench = bench_new();
    bench->target.accept_delay_ms = 100;
    target_start(&bench->target);
    perform(bench, (const char *const[]){"pace.connections=40", "run.max_in_flight_handshakes=2",
                                         "pace.think_time=50ms", NULL});
    check_both_ends(bench);
    /* A tenth of a second each, one at a time on each of the two workers. */
    assert_in_range(count(bench, COUNTER_DIALED), 2, 22);
    bench_free(bench);
}

static void once(struct bench *bench, struct sink *show, enum outcome *ret_outcome)
{
    CLEANUP_FREE char *cookie =
        xasprintf("request.r.header.Cookie=@%s/apikey.secret", bench->target.dir);
    load_plan(bench, (const char *const[]){cookie, "request.r.header.Accept=text/plain", NULL});
    struct mint *mint = bench_mint(bench);
    assert_true(once_perform(bench->plan, &bench->addr, 1, mint, show, ret_outcome, bench->diag));
    mint_free(mint);
    target_stop(&bench->target);
}

static void once_shows_everything_but_secrets(void **state)
{
    (void)state;
    struct bench *bench = bench_new();
    struct sink *show = sink_new();
    enum outcome outcome = OUTCOME_STOPPED;
    target_start(&bench->target);
    once(bench, show, &outcome);
    const char *text = sink_text(show, NULL);
    assert_int_equal(outcome, OUTCOME_OK);
    assert_int_equal(bench->target.n_requests, 1);
    assert_non_null(strstr(text, "GET / HTTP/1.1"));
    assert_non_null(strstr(text, "tcp connect"));
    assert_non_null(strstr(text, "tls handshake"));
    assert_non_null(strstr(text, "first byte"));
    assert_non_null(strstr(text, "total"));
    assert_non_null(strstr(text, "X-API-Key: (not shown)\n"));
    assert_non_null(strstr(text, "Authorization: Bearer (not shown)\n"));
    assert_null(strstr(text, "eyJ"));
    assert_non_null(strstr(text, "> Cookie: (not shown)\n"));
    assert_non_null(strstr(text, "> Accept: text/plain\n"));
    sink_free(show);
    bench_free(bench);
}

static void once_says_why_not(void **state)
{
    (void)state;
    struct bench *bench = bench_new();
    struct sink *show = sink_new();
    enum outcome outcome = OUTCOME_OK;
    target_bind(&bench->target);
    once(bench, show, &outcome);
    assert_int_equal(outcome, OUTCOME_REFUSED);
    sink_free(show);
    bench_free(bench);
}

/* "localhost" is two addresses on most machines, and the server listens at one of them. */
static void tries_each_address(void **state)
{
    (void)state;
    struct bench *bench = bench_new();
    struct sink *show = sink_new();
    struct addr addrs[3];
    enum outcome outcome = OUTCOME_STOPPED;
    target_start(&bench->target);
    load_plan(bench, (const char *const[]){NULL});
    for (int i = 0; i < 3; i++) {
        addrs[i] = bench->addr;
        ((struct sockaddr_in *)&addrs[i].sa)->sin_addr.s_addr = htonl(0x7f000003u - (uint32_t)i);
    }
    struct mint *mint = bench_mint(bench);
    assert_true(once_perform(bench->plan, addrs, 2, mint, show, &outcome, bench->diag));
    assert_int_equal(outcome, OUTCOME_REFUSED);
    assert_true(once_perform(bench->plan, addrs, 3, mint, show, &outcome, bench->diag));
    assert_int_equal(outcome, OUTCOME_OK);
    mint_free(mint);
    target_stop(&bench->target);
    sink_free(show);
    bench_free(bench);
}

static void a_mistake_is_told(void **state)
{
    (void)state;
    struct bench *bench = bench_new();
    target_bind(&bench->target);
    load_plan(bench, (const char *const[]){NULL});
    char *ca = bench->plan->target.server_ca;
    CLEANUP_FREE char *no_ca = xasprintf("%s/ca.key", bench->target.dir);
    bench->plan->target.server_ca = no_ca;
    struct fleet_job job = {.plan = bench->plan, .addrs = &bench->addr, .n_addrs = 1};
    assert_false(fleet_perform(&job, &bench->result, bench->diag));
    assert_true(diag_count(bench->diag) > 0);
    bench->plan->target.server_ca = ca;
    bench_free(bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(closed_loop),
        cmocka_unit_test(cooldown_rests),
        cmocka_unit_test(takes_every_reading),
        cmocka_unit_test(open_loop),
        cmocka_unit_test(backlog_is_in_the_response_time),
        cmocka_unit_test(reconnects),
        cmocka_unit_test(resumes_always),
        cmocka_unit_test(resumes_half),
        cmocka_unit_test(sends_again),
        cmocka_unit_test(never_sends_a_post_again),
        cmocka_unit_test(server_that_announces_its_close),
        cmocka_unit_test(wrong_status),
        cmocka_unit_test(fresh_per_connection),
        cmocka_unit_test(crossover),
        cmocka_unit_test(closed_crossover),
        cmocka_unit_test(drains),
        cmocka_unit_test(gives_up_draining),
        cmocka_unit_test(stop_drains),
        cmocka_unit_test(second_stop_ends_at_once),
        cmocka_unit_test(refused),
        cmocka_unit_test(first_uses_survive_failed_dials),
        cmocka_unit_test(alert_in_handshake),
        cmocka_unit_test(alert_after_handshake),
        cmocka_unit_test(ramps_at_the_connect_rate),
        cmocka_unit_test(limits_handshakes_in_flight),
        cmocka_unit_test(once_shows_everything_but_secrets),
        cmocka_unit_test(once_says_why_not),
        cmocka_unit_test(tries_each_address),
        cmocka_unit_test(a_mistake_is_told),
    };
    (void)signal(SIGPIPE, SIG_IGN);
    return run_patiently(tests);
}
