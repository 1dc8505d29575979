/* Misuses beside the load, as the server sees them. */
#include "load_bench.h"

#include "load/misuse.h"
#include "load/phase.h"

#include <math.h>
#include <signal.h>

static const struct misuse_tally *tally(const struct bench *bench, size_t i)
{
    return &bench->result.total->misuse[i];
}

/* What the load has of its own must not change for what is beside it, and sums must hold. */
static void check_load(const struct bench *bench)
{
    const struct interval *total = bench->result.total;
    const struct target *target = &bench->target;
    uint64_t tried = 0;
    interval_check(total);
    for (int i = 0; i < GAUGE_COUNT; i++) {
        assert_true(total->gauge[i] == 0 || i == GAUGE_BACKLOG_NS);
    }
    for (size_t i = 0; i < bench->plan->n_misuses; i++) {
        assert_int_equal(tally(bench, i)->tried, tally(bench, i)->done + tally(bench, i)->undone);
        tried += tally(bench, i)->tried;
    }
    assert_int_equal(count(bench, COUNTER_MISUSE_TRIED), tried);
    assert_int_equal(target->n_accepted, count(bench, COUNTER_DIALED) + tried);
    assert_int_equal(count(bench, COUNTER_DIALED), 4);
    assert_int_equal(count(bench, COUNTER_COMPLETED), count(bench, COUNTER_STARTED));
    assert_int_equal(count(bench, COUNTER_FAILED), 0);
    assert_int_equal(target->n_full,
                     count(bench, COUNTER_HANDSHAKE_FULL) + count(bench, COUNTER_MISUSE_HANDSHAKE));
    assert_int_equal(count(bench, COUNTER_CERT_USED), target->n_full);
    assert_int_equal(count(bench, COUNTER_CERT_NEW), target->n_seen[0]);
    assert_string_equal(bench->result.invalid, "");
}

enum { ABORT, ABANDON, HURRIED, RESET, CUT, STOP, LARGE, PLAIN };

static void quick_ones(const char *newest)
{
    struct bench *bench = bench_new();
    const struct target *target = &bench->target;
    CLEANUP_FREE char *version = xasprintf("target.tls_max=%s", newest);
    target_start(&bench->target);
    load_beside(bench,
                "[misuse abort]\nkind = abort-body\nshare = 5%\n"
                "[misuse abandon]\nkind = abandon-response\nshare = 5%\n"
                "[misuse hurried]\nkind = early-close\nshare = 5%\n"
                "[misuse reset]\nkind = reset\nshare = 5%\n"
                "[misuse cut]\nkind = no-close-notify\nshare = 5%\n"
                "[misuse stop]\nkind = handshake-stop\nstage = client-flight\nshare = 5%\n"
                "[misuse large]\nkind = oversized-header\nshare = 5%\n"
                "[misuse plain]\nkind = plain-http\nshare = 5%\n",
                (const char *const[]){version, NULL});
    perform(bench, NULL);
    check_load(bench);
    for (size_t i = 0; i < bench->plan->n_misuses; i++) {
        check_share(bench, tally(bench, i)->tried, 0.05 / 0.6);
        assert_int_equal(tally(bench, i)->done, tally(bench, i)->tried);
        assert_int_equal(tally(bench, i)->forgone, 0);
    }
    assert_int_equal(target->n_partial, tally(bench, ABORT)->done);
    assert_int_equal(count(bench, COUNTER_MISUSE_HANDSHAKE),
                     count(bench, COUNTER_MISUSE_DONE) - tally(bench, PLAIN)->done);
    uint64_t whole = tally(bench, ABANDON)->done + tally(bench, HURRIED)->done +
                     tally(bench, RESET)->done + tally(bench, CUT)->done;
    assert_int_equal(target->n_requests, count(bench, COUNTER_STARTED) + whole);
    assert_int_equal(count(bench, COUNTER_MISUSE_REQUEST), whole + tally(bench, ABORT)->done);
    /* A LARGE head is refused before its key is looked at. */
    assert_int_equal(count(bench, COUNTER_KEY_USED),
                     target->n_requests + tally(bench, ABORT)->done);
    assert_int_equal(target->n_reset, tally(bench, ABORT)->done + tally(bench, ABANDON)->done +
                                          tally(bench, RESET)->done);
    assert_int_equal(target->n_cut, tally(bench, CUT)->done + tally(bench, STOP)->done);
    /* What is no misuse ends politely. */
    assert_int_equal(target->n_notified, 4 + tally(bench, HURRIED)->done);
    assert_int_equal(tally(bench, HURRIED)->status[2], tally(bench, HURRIED)->done);
    assert_int_equal(tally(bench, RESET)->status[2], tally(bench, RESET)->done);
    bench_free(bench);
}

static void as_the_server_sees_them(void **state)
{
    (void)state;
    quick_ones("1.2");
    quick_ones("1.3");
}

static void each_stage_in_turn(void **state)
{
    (void)state;
    struct bench *bench = bench_new();
    target_start(&bench->target);
    load_beside(bench,
                "[misuse each]\nkind = handshake-stop\nshare = 15%\n"
                "[misuse hello]\nkind = handshake-stop\nstage = hello\nshare = 5%\n"
                "[misuse server]\nkind = handshake-stop\nstage = server-flight\nshare = 5%\n",
                (const char *const[]){"run.duration=1s", NULL});
    perform(bench, NULL);
    check_load(bench);
    assert_int_equal(count(bench, COUNTER_MISUSE_DONE), count(bench, COUNTER_MISUSE_TRIED));
    double shaken = (double)count(bench, COUNTER_MISUSE_HANDSHAKE);
    assert_true(fabs(shaken - (double)tally(bench, 0)->done / 3) < 2);
    assert_int_equal(count(bench, COUNTER_MISUSE_REQUEST), 0);
    bench_free(bench);
}

static void fin_and_bodies_of_the_profile(void **state)
{
    (void)state;
    struct bench *bench = bench_new();
    const struct target *target = &bench->target;
    target_start(&bench->target);
    load_beside(bench,
                "[request get]\n[request post]\nmethod = POST\nbody = 1234567890\n"
                "[misuse abort]\nkind = abort-body\nend = fin\nshare = 10%\n",
                (const char *const[]){"run.duration=1s", NULL});
    perform(bench, NULL);
    check_load(bench);
    assert_true(tally(bench, 0)->done > 10);
    assert_int_equal(target->n_partial, tally(bench, 0)->done);
    assert_int_equal(target->n_cut, tally(bench, 0)->done);
    bench_free(bench);
}

/* They end when their time is up, or with the load. */
static void slow_ones(void **state)
{
    (void)state;
    struct bench *bench = bench_new();
    const struct target *target = &bench->target;
    target_start(&bench->target);
    load_beside(bench,
                "[misuse silent]\nkind = half-open\nshare = 5%\nhold = 150ms\n"
                "[misuse send]\nkind = slow-send\nshare = 5%\nhold = 300ms\n"
                "[misuse read]\nkind = slow-read\nshare = 5%\nhold = 400ms\n"
                "[misuse wait]\nkind = half-open\nshare = 1%\n",
                (const char *const[]){NULL});
    uint64_t begin_ns = mono_now_ns();
    perform(bench, NULL);
    assert_true(mono_now_ns() - begin_ns < 8 * NS_PER_S); /* of `wait` each would take 10 s */
    check_load(bench);
    for (size_t i = 0; i < 4; i++) {
        assert_true(tally(bench, i)->tried > 2);
        assert_int_equal(tally(bench, i)->done, tally(bench, i)->tried);
    }
    assert_int_equal(target->n_partial, tally(bench, 1)->done);
    assert_int_equal(count(bench, COUNTER_MISUSE_REQUEST), tally(bench, 2)->done);
    bench_free(bench);
}

static void no_more_than_there_are_places(void **state)
{
    (void)state;
    struct bench *bench = bench_new();
    target_start(&bench->target);
    load_beside(bench,
                "[misuse silent]\nkind = half-open\nshare = 45%\n"
                "[misuse reset]\nkind = reset\nshare = 10%\n",
                (const char *const[]){"pace.rate=400/s", "run.duration=1s", NULL});
    perform(bench, NULL);
    check_load(bench);
    const struct misuse_tally *silent = tally(bench, 0);
    assert_int_equal(silent->tried, 2 * MISUSE_LASTING_SLOTS);
    assert_int_equal(silent->done, silent->tried);
    /* Nothing is lost without being told, but for what was still due at the end. */
    double due = 0.45 / 0.45 * (double)count(bench, COUNTER_STARTED);
    double untold = due - (double)(silent->tried + silent->forgone);
    assert_true(untold >= 2 * (MISUSE_CREDIT_MAX - 1) && untold <= 2 * (MISUSE_CREDIT_MAX + 1));
    /* And those that last leave room to those that do not. */
    check_share(bench, tally(bench, 1)->tried, 0.10 / 0.45);
    assert_int_equal(tally(bench, 1)->done, tally(bench, 1)->tried);
    bench_free(bench);
}

/* A server that does not answer cannot have its connection reset after an answer. */
static void undone(void **state)
{
    (void)state;
    struct bench *bench = bench_new();
    bench->target.silent = true;
    target_start(&bench->target);
    load_beside(bench, "[misuse reset]\nkind = reset\nshare = 20%\nhold = 50ms\n",
                (const char *const[]){"target.timeout.first_byte=50ms", NULL});
    perform(bench, NULL);
    assert_true(tally(bench, 0)->tried > 4);
    assert_int_equal(tally(bench, 0)->undone, tally(bench, 0)->tried);
    assert_int_equal(tally(bench, 0)->why, OUTCOME_TIMEOUT_EXCHANGE);
    assert_int_equal(count(bench, COUNTER_MISUSE_UNDONE), tally(bench, 0)->tried);
    bench_free(bench);
}

static void nobody_listens(void **state)
{
    (void)state;
    struct bench *bench = bench_new();
    bench->target.refuse_first = UINT32_MAX;
    target_start(&bench->target);
    load_beside(bench, "[misuse abort]\nkind = abort-body\nshare = 20%\n",
                (const char *const[]){"run.duration=1s", NULL});
    perform(bench, NULL);
    interval_check(bench->result.total);
    assert_int_equal(count(bench, COUNTER_MISUSE_TRIED), 0); /* no exchange, no misuse */
    bench_free(bench);
}

static void ends_abruptly(void **state)
{
    (void)state;
    struct bench *bench = bench_new();
    bench->target.silent = true;
    bench->stop_at_second = 1;
    bench->stop_level = 2;
    target_start(&bench->target);
    load_beside(bench, "[misuse reset]\nkind = reset\nshare = 50%\n",
                (const char *const[]){"run.duration=60s", "pace.connections=40", NULL});
    perform(bench, NULL);
    interval_check(bench->result.total);
    assert_in_range(tally(bench, 0)->tried, 5, 2 * MISUSE_SLOTS);
    assert_int_equal(tally(bench, 0)->undone, tally(bench, 0)->tried);
    assert_int_equal(tally(bench, 0)->why, OUTCOME_STOPPED);
    bench_free(bench);
}

static void shares_beside_refusals(void **state)
{
    (void)state;
    struct bench *bench = bench_new();
    target_start(&bench->target);
    load_beside(
        bench,
        "[refuse nobody]\ncert = none\nshare = 20%\n"
        "[misuse reset]\nkind = reset\nshare = 30%\n",
        (const char *const[]){"pace.mode=closed", "pace.think_time=20ms", "run.duration=1s", NULL});
    perform(bench, NULL);
    double exchanges = (double)count(bench, COUNTER_STARTED);
    double refusals = (double)count(bench, COUNTER_REFUSAL_TRIED);
    double misuses = (double)tally(bench, 0)->tried;
    assert_true(misuses > 20);
    assert_true(fabs(misuses - 0.3 * (exchanges + refusals + misuses)) < 3);
    assert_true(fabs(refusals - 0.2 * (exchanges + refusals)) < 3);
    bench_free(bench);
}

/* On in one dwell of each pair, and it is there that all of them are. */
static void switched_by_design(void **state)
{
    (void)state;
    struct bench *bench = bench_new();
    target_start(&bench->target);
    load_beside(bench, "[misuse reset]\nkind = reset\nshare = 20%\n",
                (const char *const[]){"attribution.mode=pairs", "attribution.factor=aborted",
                                      "attribution.dwell=500ms", "attribution.warmup=0s",
                                      "run.duration=3s", NULL});
    perform(bench, NULL);
    double all = 0.25 * (double)count(bench, COUNTER_STARTED);
    double share = (double)tally(bench, 0)->done / all;
    /* Always on it would be 1; a machine that stalls moves starts from one dwell to the next. */
    assert_true(all > 40 && share > 0.3 && share < 0.7);
    bench_free(bench);
}

static void told_while_they_are_on(void **state)
{
    (void)state;
    struct bench *bench = bench_new();
    struct schedule schedule;
    struct timeline timeline;
    size_t n_on = 0;
    target_bind(&bench->target);
    load_beside(bench, "[misuse reset]\nkind = reset\n[refuse nobody]\ncert = none\n",
                (const char *const[]){"attribution.mode=crossover", "run.duration=200s", NULL});
    schedule_init(&schedule, bench->plan);
    timeline_init(&timeline, bench->plan);
    for (uint64_t t_s = 7; t_s < 7 + 64; t_s += 2) {
        size_t dwell;
        char text[PHASE_TEXT];
        struct switches on = schedule_at(&schedule, t_s * NS_PER_S, &dwell);
        phase_text(&timeline, &schedule, t_s * NS_PER_S, true, false, text);
        assert_int_equal(on.misuses, strstr(text, ", misuses") != NULL);
        assert_int_equal(on.refusals, strstr(text, ", bad identities") != NULL);
        n_on += on.misuses;
    }
    assert_int_equal(n_on, 16); /* of one block of 32 */
    schedule_clear(&schedule);
    bench_free(bench);
}

static void clients_by_weight(void **state)
{
    (void)state;
    struct bench *bench = bench_new();
    const char *dir = bench->target.dir;
    bench->target.names[0] = "often-";
    bench->target.names[1] = "seldom-";
    target_start(&bench->target);
    CLEANUP_FREE char *text = xasprintf(
        "[run]\nduration = 1s\nthreads = 2\ndrain = 10s\n"
        "[target]\nurl = https://127.0.0.1:%u/\nserver_ca = %s/ca.pem\n"
        "[pace]\nmode = open\nrate = 300/s\nconnections = 4\n"
        "[cert c]\nca = %s/ca.pem\nca_key = %s/ca.key\ncount = 40\nsubject = CN=often-{n}\n"
        "[cert d]\nca = %s/ca.pem\nca_key = %s/ca.key\ncount = 40\nsubject = CN=seldom-{n}\n"
        "[apikey k]\nsecret = @%s/apikey.secret\n"
        "[identity often]\ncert = c\nweight = 3\n[identity seldom]\ncert = d\napikey = k\n"
        "[misuse reset]\nkind = reset\nshare = 30%%\n",
        bench->target.port, dir, dir, dir, dir, dir, dir);
    load_text(bench, text, (const char *const[]){NULL});
    perform(bench, NULL);
    check_load(bench);
    double all = (double)tally(bench, 0)->done + 4;
    assert_true(all > 50);
    assert_true(fabs((double)bench->target.n_named[0] - 0.75 * all) < 4);
    assert_int_equal(count(bench, COUNTER_KEY_NEW), bench->target.n_seen[1]);
    bench_free(bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_the_server_sees_them),
        cmocka_unit_test(each_stage_in_turn),
        cmocka_unit_test(fin_and_bodies_of_the_profile),
        cmocka_unit_test(slow_ones),
        cmocka_unit_test(no_more_than_there_are_places),
        cmocka_unit_test(undone),
        cmocka_unit_test(nobody_listens),
        cmocka_unit_test(ends_abruptly),
        cmocka_unit_test(shares_beside_refusals),
        cmocka_unit_test(switched_by_design),
        cmocka_unit_test(told_while_they_are_on),
        cmocka_unit_test(clients_by_weight),
    };
    (void)signal(SIGPIPE, SIG_IGN);
    return run_patiently(tests);
}
