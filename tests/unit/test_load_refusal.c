/* Bad identities beside the load, and the question before it whether mutual TLS is enforced. */
#include "load_bench.h"

#include "load/refusal.h"
#include "load/selfcheck.h"

#include <math.h>
#include <signal.h>

static const struct refusal_tally *tally(const struct bench *bench, size_t i)
{
    return &bench->result.total->refusal[i];
}

/* What the load has of its own must not change for the attempts beside it. */
static void check_load(const struct bench *bench)
{
    const struct interval *total = bench->result.total;
    const struct target *target = &bench->target;
    uint64_t tried = 0;
    interval_check(total);
    for (int i = 0; i < GAUGE_COUNT; i++) {
        assert_int_equal(total->gauge[i], 0);
    }
    for (size_t i = 0; i < bench->plan->n_refuses; i++) {
        uint64_t ended = 0;
        for (int result = 0; result < REFUSAL_RESULTS; result++) {
            ended += tally(bench, i)->n[result];
        }
        assert_int_equal(tally(bench, i)->tried, ended);
        tried += ended;
    }
    assert_int_equal(count(bench, COUNTER_REFUSAL_TRIED), tried);
    assert_int_equal(target->n_accepted, count(bench, COUNTER_DIALED) + tried);
    assert_int_equal(total->latency[LATENCY_REFUSAL].n, count(bench, COUNTER_REFUSED));
    assert_int_equal(count(bench, COUNTER_DIALED), 4);
}

static void refused_as_expected(void **state)
{
    (void)state;
    struct bench *bench = bench_new();
    const struct target *target = &bench->target;
    bench->target.checks_keys = true;
    target_start(&bench->target);
    load_beside(bench,
                "[refuse nobody]\ncert = none\nshare = 10%\nexpect = alert certificate_required\n"
                "[refuse thief]\ncert = wrong-key\nshare = 5%\nexpect = alert\n"
                "[refuse guess]\napikey = unknown\nshare = 15%\nexpect = 401, 403\n"
                "[refuse bare]\napikey = none\njwt = none\nshare = 10%\n",
                (const char *const[]){NULL});
    perform(bench, NULL);
    check_load(bench);
    check_share(bench, tally(bench, 0)->tried, 0.10 / 0.6);
    check_share(bench, tally(bench, 1)->tried, 0.05 / 0.6);
    check_share(bench, tally(bench, 2)->tried, 0.15 / 0.6);
    check_share(bench, tally(bench, 3)->tried, 0.10 / 0.6);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(tally(bench, i)->n[REFUSAL_REFUSED], tally(bench, i)->tried);
    }
    assert_int_equal(tally(bench, 2)->first[REFUSAL_REFUSED].status, 401);
    assert_int_equal(tally(bench, 0)->first[REFUSAL_REFUSED].outcome,
                     OUTCOME_ALERT_CERTIFICATE_REQUIRED);
    /* Handshakes and requests count where the certificate is good, whatever the rest. */
    assert_int_equal(count(bench, COUNTER_REFUSAL_REQUEST),
                     tally(bench, 2)->tried + tally(bench, 3)->tried);
    assert_int_equal(count(bench, COUNTER_REFUSAL_REQUEST), target->n_unauthorized);
    assert_int_equal(target->n_full, count(bench, COUNTER_HANDSHAKE_FULL) +
                                         count(bench, COUNTER_REFUSAL_HANDSHAKE));
    assert_int_equal(target->n_requests,
                     count(bench, COUNTER_STARTED) + count(bench, COUNTER_REFUSAL_REQUEST));
    assert_int_equal(count(bench, COUNTER_COMPLETED), count(bench, COUNTER_STARTED));
    assert_int_equal(count(bench, COUNTER_UNEXPECTED), 0);
    assert_string_equal(bench->result.invalid, "");
    bench_free(bench);
}

static void let_in(void **state)
{
    (void)state;
    struct bench *bench = bench_new();
    bench->target.lets_all_in = true;
    target_start(&bench->target);
    load_beside(bench,
                "[refuse nobody]\ncert = none\nshare = 10%\n"
                "[refuse guess]\napikey = unknown\nshare = 10%\nexpect = 401\n",
                (const char *const[]){NULL});
    perform(bench, NULL);
    check_load(bench);
    assert_int_equal(count(bench, COUNTER_LET_IN), count(bench, COUNTER_REFUSAL_TRIED));
    for (size_t i = 0; i < 2; i++) {
        assert_true(tally(bench, i)->tried > 10);
        assert_int_equal(tally(bench, i)->n[REFUSAL_LET_IN], tally(bench, i)->tried);
        assert_int_equal(tally(bench, i)->first[REFUSAL_LET_IN].status, 200);
    }
    bench_free(bench);
}

static void refused_otherwise(void **state)
{
    (void)state;
    struct bench *bench = bench_new();
    bench->target.checks_keys = true;
    target_start(&bench->target);
    load_beside(bench,
                "[refuse guess]\napikey = unknown\nshare = 10%\nexpect = alert\n"
                "[refuse nobody]\ncert = none\nshare = 10%\nexpect = alert unknown_ca\n",
                (const char *const[]){NULL});
    perform(bench, NULL);
    check_load(bench);
    assert_int_equal(count(bench, COUNTER_REFUSED), count(bench, COUNTER_REFUSAL_TRIED));
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(tally(bench, i)->n[REFUSAL_OTHERWISE], tally(bench, i)->tried);
    }
    bench_free(bench);
}

static void unclear(void **state)
{
    (void)state;
    struct bench *bench = bench_new();
    bench->target.lets_all_in = true;
    bench->target.silent = true;
    target_start(&bench->target);
    load_beside(bench, "[refuse nobody]\ncert = none\nshare = 20%\n",
                (const char *const[]){"target.timeout.first_byte=50ms", NULL});
    perform(bench, NULL);
    assert_true(tally(bench, 0)->tried > 4);
    assert_int_equal(tally(bench, 0)->n[REFUSAL_UNCLEAR], tally(bench, 0)->tried);
    assert_int_equal(tally(bench, 0)->first[REFUSAL_UNCLEAR].outcome, OUTCOME_TIMEOUT_FIRST_BYTE);
    bench_free(bench);
}

/* What the server never saw, it can't have refused. */
static void not_presented(void **state)
{
    (void)state;
    struct bench *bench = bench_new();
    bench->target.never_asks = true;
    bench->target.status = 403;
    target_start(&bench->target);
    load_beside(bench,
                "[refuse nobody]\ncert = none\nshare = 20%\n"
                "[refuse guess]\ncert = none\napikey = unknown\nshare = 20%\n",
                (const char *const[]){"run.duration=1s", NULL});
    perform(bench, NULL);
    assert_true(tally(bench, 0)->tried > 10);
    assert_int_equal(tally(bench, 0)->n[REFUSAL_UNCLEAR], tally(bench, 0)->tried);
    assert_int_equal(tally(bench, 1)->n[REFUSAL_REFUSED], tally(bench, 1)->tried);
    bench_free(bench);
}

/* A certificate that is meant to be good and is refused says nothing about the key. */
static void refused_before_the_key(void **state)
{
    (void)state;
    static const char *const newest[] = {"1.2", "1.3"};
    for (int i = 0; i < 2; i++) {
        struct bench *bench = bench_new(), *other = bench_new();
        const char *dir = bench->target.dir, *theirs = other->target.dir;
        target_start(&bench->target);
        CLEANUP_FREE char *text =
            xasprintf("[run]\nduration = 1s\nthreads = 2\ndrain = 10s\n"
                      "[target]\nurl = https://127.0.0.1:%u/\nserver_ca = %s/ca.pem\ntls_max = %s\n"
                      "[pace]\nmode = open\nrate = 200/s\nconnections = 10\n"
                      "[cert c]\nca = %s/ca.pem\nca_key = %s/ca.key\ncount = 40\n"
                      "[cert d]\nca = %s/ca.pem\nca_key = %s/ca.key\ncount = 40\n"
                      "[apikey k]\nsecret = @%s/apikey.secret\n"
                      "[identity good]\ncert = c\nweight = 4\n"
                      "[identity stranger]\ncert = d\napikey = k\nweight = 1\n"
                      "[refuse guess]\nidentity = stranger\napikey = unknown\nshare = 20%%\n",
                      bench->target.port, dir, newest[i], dir, dir, theirs, theirs, dir);
        load_text(bench, text, (const char *const[]){NULL});
        perform(bench, NULL);
        assert_true(tally(bench, 0)->tried > 10);
        assert_int_equal(tally(bench, 0)->n[REFUSAL_UNCLEAR], tally(bench, 0)->tried);
        bench_free(bench);
        bench_free(other);
    }
}

/* The end comes while attempts are under way: the sums hold, and nothing is made up. */
static void ends_abruptly(void **state)
{
    (void)state;
    struct bench *bench = bench_new();
    bench->target.lets_all_in = true;
    bench->target.silent = true;
    bench->stop_at_second = 1;
    bench->stop_level = 2;
    target_start(&bench->target);
    load_beside(bench, "[refuse nobody]\ncert = none\nshare = 50%\n",
                (const char *const[]){"run.duration=60s", "pace.connections=40", NULL});
    perform(bench, NULL);
    interval_check(bench->result.total);
    /* As many as there is room for, on each worker. */
    assert_int_equal(tally(bench, 0)->tried, 2 * REFUSAL_SLOTS);
    assert_int_equal(tally(bench, 0)->n[REFUSAL_UNCLEAR], tally(bench, 0)->tried);
    assert_int_equal(tally(bench, 0)->first[REFUSAL_UNCLEAR].outcome, OUTCOME_STOPPED);
    bench_free(bench);
}

static void closed_loop_share(void **state)
{
    (void)state;
    struct bench *bench = bench_new();
    bench->target.checks_keys = true;
    target_start(&bench->target);
    load_beside(
        bench, "[refuse guess]\napikey = unknown\nshare = 20%\n",
        (const char *const[]){"pace.mode=closed", "pace.think_time=20ms", "run.duration=1s", NULL});
    perform(bench, NULL);
    check_load(bench);
    check_share(bench, tally(bench, 0)->tried, 0.25);
    bench_free(bench);
}

/* What an answer means, in a table. */

static enum refusal_result judge(struct expect expect, enum outcome outcome, int status, int alert)
{
    struct refusal_answer answer = {.outcome = outcome, .status = status};
    return refusal_judge(&expect, &answer, alert);
}

static void judged(void **state)
{
    (void)state;
    static char name[] = "unknown_ca";
    const struct expect any = {.any = true}, alert = {.alert = true},
                        named = {.alert = true, .alert_name = name},
                        status = {.status = {401, 302}, .n_status = 2};
    enum { UNKNOWN_CA = 48, BAD_CERTIFICATE = 42 };
    static const int refusals[] = {400, 401, 403, 495, 496};
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(judge(any, OUTCOME_OK, refusals[i], 0), REFUSAL_REFUSED);
        assert_int_equal(judge(alert, OUTCOME_OK, refusals[i], -1), REFUSAL_OTHERWISE);
    }
    assert_int_equal(judge(any, OUTCOME_OK, 200, -1), REFUSAL_LET_IN);
    assert_int_equal(judge(any, OUTCOME_OK, 302, -1), REFUSAL_LET_IN);
    assert_int_equal(judge(any, OUTCOME_OK, 404, -1), REFUSAL_UNCLEAR);
    assert_int_equal(judge(any, OUTCOME_OK, 503, -1), REFUSAL_UNCLEAR);
    assert_int_equal(judge(any, OUTCOME_ALERT_UNKNOWN_CA, 0, UNKNOWN_CA), REFUSAL_REFUSED);
    assert_int_equal(judge(any, OUTCOME_HTTP_CLOSED, 0, 0), REFUSAL_REFUSED);
    assert_int_equal(judge(any, OUTCOME_HTTP_RESET, 0, -1), REFUSAL_REFUSED);
    assert_int_equal(judge(any, OUTCOME_TLS_CLOSED, 0, -1), REFUSAL_REFUSED);
    assert_int_equal(judge(any, OUTCOME_TLS_RESET, 0, -1), REFUSAL_REFUSED);
    assert_int_equal(judge(any, OUTCOME_HTTP_TRUNCATED, 0, -1), REFUSAL_UNCLEAR);
    assert_int_equal(judge(any, OUTCOME_REFUSED, 0, -1), REFUSAL_UNCLEAR);
    assert_int_equal(judge(any, OUTCOME_TIMEOUT_HANDSHAKE, 0, -1), REFUSAL_UNCLEAR);
    assert_int_equal(judge(any, OUTCOME_STOPPED, 0, -1), REFUSAL_UNCLEAR);
    assert_int_equal(judge(alert, OUTCOME_ALERT_OTHER, 0, 51), REFUSAL_REFUSED);
    assert_int_equal(judge(alert, OUTCOME_HTTP_CLOSED, 0, 0), REFUSAL_OTHERWISE);
    assert_int_equal(judge(named, OUTCOME_ALERT_UNKNOWN_CA, 0, UNKNOWN_CA), REFUSAL_REFUSED);
    assert_int_equal(judge(named, OUTCOME_ALERT_BAD_CERTIFICATE, 0, BAD_CERTIFICATE),
                     REFUSAL_OTHERWISE);
    assert_int_equal(judge(status, OUTCOME_OK, 401, -1), REFUSAL_REFUSED);
    assert_int_equal(judge(status, OUTCOME_OK, 302, -1), REFUSAL_REFUSED);
    assert_int_equal(judge(status, OUTCOME_OK, 403, -1), REFUSAL_OTHERWISE);
    assert_int_equal(judge(status, OUTCOME_OK, 200, -1), REFUSAL_LET_IN);
    assert_int_equal(judge(status, OUTCOME_ALERT_UNKNOWN_CA, 0, UNKNOWN_CA), REFUSAL_OTHERWISE);
}

/* The self-check. */

static enum selfcheck ask(struct bench *bench, const char *const *sets, char *text)
{
    load_beside(bench, "", sets);
    struct mint *mint = bench_mint(bench);
    enum selfcheck result =
        selfcheck_perform(bench->plan, &bench->addr, 1, mint, text, bench->diag);
    mint_free(mint);
    target_stop(&bench->target);
    return result;
}

static void check_selfcheck(const struct target *like, enum selfcheck expected, const char *says)
{
    struct bench *bench = bench_new();
    char text[SELFCHECK_TEXT] = "";
    bench->target.lets_all_in = like->lets_all_in;
    bench->target.checks_keys = like->checks_keys;
    bench->target.never_asks = like->never_asks;
    bench->target.status = like->status;
    target_start(&bench->target);
    assert_int_equal(ask(bench, (const char *const[]){NULL}, text), expected);
    assert_string_equal(text, says);
    assert_int_equal(diag_count(bench->diag), 0);
    bench_free(bench);
}

static void is_mutual_tls_enforced(void **state)
{
    (void)state;
    CLEANUP_FREE struct target *like = xcalloc(1, sizeof *like);
    check_selfcheck(like, SELFCHECK_ENFORCED, "the alert certificate_required");
    like->lets_all_in = true;
    check_selfcheck(like, SELFCHECK_NOT_ENFORCED, "status 200");
    /* One that looks at keys and tokens would refuse a request without: that proves nothing. */
    like->checks_keys = true;
    check_selfcheck(like, SELFCHECK_NOT_ENFORCED, "status 200");
    like->status = 403;
    check_selfcheck(like, SELFCHECK_ENFORCED, "status 403");
    like->never_asks = true;
    check_selfcheck(like, SELFCHECK_UNCLEAR, "status 403 and was not asked for one");
    like->status = 404;
    check_selfcheck(like, SELFCHECK_UNCLEAR, "status 404");
}

static void selfcheck_not_asked(void **state)
{
    (void)state;
    struct bench *bench = bench_new();
    char text[SELFCHECK_TEXT] = "";
    bench->target.lets_all_in = true;
    target_start(&bench->target);
    assert_int_equal(ask(bench, (const char *const[]){"target.expect_mtls=no", NULL}, text),
                     SELFCHECK_NOT_ASKED);
    assert_int_equal(bench->target.n_accepted, 0);
    bench_free(bench);
}

static void selfcheck_of_nobody(void **state)
{
    (void)state;
    struct bench *bench = bench_new();
    char text[SELFCHECK_TEXT] = "";
    target_bind(&bench->target);
    assert_int_equal(ask(bench, (const char *const[]){NULL}, text), SELFCHECK_UNCLEAR);
    assert_string_equal(text, outcome_info(OUTCOME_REFUSED)->text);
    bench_free(bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(judged),
        cmocka_unit_test(refused_as_expected),
        cmocka_unit_test(let_in),
        cmocka_unit_test(refused_otherwise),
        cmocka_unit_test(unclear),
        cmocka_unit_test(not_presented),
        cmocka_unit_test(refused_before_the_key),
        cmocka_unit_test(ends_abruptly),
        cmocka_unit_test(closed_loop_share),
        cmocka_unit_test(is_mutual_tls_enforced),
        cmocka_unit_test(selfcheck_not_asked),
        cmocka_unit_test(selfcheck_of_nobody),
    };
    (void)signal(SIGPIPE, SIG_IGN);
    return run_patiently(tests);
}
