/* Several kinds of clients, and such whose certificate, key and token belong together. */
#include "load_bench.h"

#include "base/sink.h"
#include "load/once.h"
#include "load/slot.h"
#include "load/worker_inside.h"

#include <math.h>
#include <signal.h>

/* The sections that the identities in `more` name: certificate, key and token of alpha (a) or beta
 * (b). */
static void load_identities(struct bench *bench, const char *more, const char *const *sets)
{
    const char *dir = bench->target.dir;
    struct sink *text = sink_new();
    sink_printf(text,
                "[run]\nduration = 1s\nthreads = 2\ndrain = 10s\n"
                "[target]\nurl = https://127.0.0.1:%u/\nserver_ca = %s/ca.pem\n"
                "[pace]\nmode = open\nrate = 300/s\nconnections = 4\n%s",
                bench->target.port, dir, more);
    for (char name = 'a'; name <= 'b'; name++) {
        const char *word = name == 'a' ? "alpha" : "beta";
        char uses[] = "cert = ?";
        uses[sizeof uses - 2] = name;
        if (strstr(more, uses) != NULL) {
            sink_printf(text,
                        "[cert %c]\nca = %s/ca.pem\nca_key = %s/ca.key\ncount = 40\n"
                        "subject = CN=%s-{n}\n",
                        name, dir, dir, word);
        }
        if (name == 'a' || strstr(more, uses) != NULL) {
            sink_printf(text,
                        "[apikey %c]\nsecret = @%s/apikey.secret\ntemplate = %s-{n}.{hmac}\n"
                        "[jwt %c]\nkey = @%s/jwt.secret\nclaims = {\"sub\":\"%s-{n}\"}\n",
                        name, dir, word, name, dir, word);
        }
    }
    load_text(bench, sink_text(text, NULL), sets);
    sink_free(text);
}

#define BOTH                                                                                       \
    "[identity one]\ncert = a\napikey = a\njwt = a\nweight = 3\n"                                  \
    "[identity two]\ncert = b\napikey = b\njwt = b\nweight = 1\n"

/* A connection each draws its identity in proportion to the weights. */
static void drawn_by_weight(void **state)
{
    (void)state;
    struct bench *bench = bench_new();
    bench->target.names[0] = "alpha-";
    bench->target.names[1] = "beta-";
    target_start(&bench->target);
    load_identities(bench, BOTH, (const char *const[]){"pace.requests_per_connection=1", NULL});
    perform(bench, NULL);
    check_both_ends(bench);
    double n = (double)bench->target.n_full, alpha = (double)bench->target.n_named[0];
    assert_int_equal(bench->target.n_named[0] + bench->target.n_named[1], bench->target.n_full);
    assert_true(n > 50);
    assert_true(fabs(alpha - 0.75 * n) < 6);
    bench_free(bench);
}

/* Connections that are never closed have their shares, too, however few there are and whoever of
 * the workers holds them. */
static void held_by_weight(void **state)
{
    (void)state;
    for (int seed = 1; seed <= 3; seed++) {
        CLEANUP_FREE char *set = xasprintf("run.seed=%d", seed);
        struct bench *bench = bench_new();
        bench->target.names[0] = "alpha-";
        target_start(&bench->target);
        load_identities(bench, BOTH,
                        (const char *const[]){"pace.connections=8", "run.duration=1s", set, NULL});
        perform(bench, NULL);
        check_both_ends(bench);
        assert_int_equal(bench->target.n_full, 8);
        assert_in_range(bench->target.n_named[0], 5, 7);
        bench_free(bench);
    }
}

/* Whoever asks with certificate n has key n and token n, of the same identity: as many threesomes
 * as certificates, keys and tokens. */
static void check_threesomes(const struct bench *bench)
{
    const struct target *target = &bench->target;
    check_both_ends(bench);
    assert_true(target->n_seen[3] > 8);
    assert_int_equal(target->n_seen[3], target->n_seen[4]);
    assert_int_equal(target->n_seen[3], target->n_seen[1]);
    assert_int_equal(target->n_seen[3], target->n_seen[2]);
}

static void parts_go_together(void **state)
{
    (void)state;
    struct bench *bench = bench_new();
    target_start(&bench->target);
    load_identities(bench, BOTH, (const char *const[]){"pace.requests_per_connection=3", NULL});
    perform(bench, NULL);
    check_threesomes(bench);
    bench_free(bench);
}

/* A session is resumed by the client that it was made with, and by no other. */
static void sessions_stay_with_their_client(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        struct bench *bench = bench_new();
        bench->target.tls12 = i == 1;
        target_start(&bench->target);
        load_identities(bench, BOTH,
                        (const char *const[]){"pace.requests_per_connection=3",
                                              "pace.resume_ratio=0.5", "cert.a.count=10",
                                              "cert.b.count=10", NULL});
        perform(bench, NULL);
        check_threesomes(bench);
        assert_true(bench->target.n_resumed > 20);
        bench_free(bench);
    }
}

/* The same, sent again on another connection when the server dropped one: perhaps by another
 * client, but then with all that is that client's. */
static void sends_again_as_one(void **state)
{
    (void)state;
    struct bench *bench = bench_new();
    bench->target.drop_after = 3;
    target_start(&bench->target);
    load_identities(bench, BOTH, (const char *const[]){NULL});
    perform(bench, NULL);
    check_threesomes(bench);
    assert_true(count(bench, COUNTER_RETRIED) > 20);
    bench_free(bench);
}

/* Not bound: each rotates for itself, and per request where there is no certificate in it. */
static void each_for_itself(void **state)
{
    (void)state;
    struct bench *bench = bench_new();
    target_start(&bench->target);
    load_identities(bench,
                    "[identity one]\ncert = a\napikey = a\njwt = a\nbound = no\n"
                    "[identity two]\ncert = b\napikey = b\njwt = b\nbound = no\n",
                    (const char *const[]){"pace.requests_per_connection=10", NULL});
    perform(bench, NULL);
    check_both_ends(bench);
    assert_true(bench->target.n_seen[3] > bench->target.n_seen[4]);
    bench_free(bench);
}

/* Clients without a certificate take the next for each request where the profile says so. */
static void without_certificates(void **state)
{
    (void)state;
    struct bench *bench = bench_new();
    const struct target *target = &bench->target;
    bench->target.lets_all_in = true;
    target_start(&bench->target);
    load_identities(bench, "[identity one]\napikey = a\njwt = a\n",
                    (const char *const[]){"apikey.a.rotate=request", "apikey.a.count=40", NULL});
    perform(bench, NULL);
    assert_int_equal(count(bench, COUNTER_DIALED), 4);
    assert_int_equal(count(bench, COUNTER_CERT_USED), 0);
    assert_int_equal(target->n_seen[0], 0);
    assert_int_equal(target->n_seen[1], 40);
    assert_int_equal(target->n_seen[2], 40);
    assert_int_equal(target->n_seen[3], 40);
    assert_int_equal(count(bench, COUNTER_KEY_NEW), 40);
    assert_int_equal(count(bench, COUNTER_JWT_NEW), 40);
    assert_int_equal(count(bench, COUNTER_KEY_USED), target->n_requests);
    assert_int_equal(count(bench, COUNTER_COMPLETED), target->n_requests);
    bench_free(bench);
}

static void keys_in_the_query(void **state)
{
    (void)state;
    struct bench *bench = bench_new();
    bench->target.query = "?api_key=";
    bench->target.checks_keys = true;
    target_start(&bench->target);
    load_identities(
        bench, "[identity one]\ncert = a\napikey = a\njwt = a\n",
        (const char *const[]){"apikey.a.query=api_key", "pace.requests_per_connection=5", NULL});
    perform(bench, NULL);
    check_threesomes(bench);
    assert_int_equal(bench->target.n_unauthorized, 0);
    bench_free(bench);
}

static void once_hides_the_query(void **state)
{
    (void)state;
    struct bench *bench = bench_new();
    struct sink *show = sink_new();
    enum outcome outcome = OUTCOME_STOPPED;
    bench->target.query = "?api_key=";
    bench->target.checks_keys = true;
    target_start(&bench->target);
    load_identities(bench, "[identity one]\ncert = a\napikey = a\njwt = a\n",
                    (const char *const[]){"apikey.a.query=api_key", NULL});
    struct mint *mint = bench_mint(bench);
    assert_true(once_perform(bench->plan, &bench->addr, 1, mint, show, &outcome, bench->diag));
    const char *text = sink_text(show, NULL);
    assert_int_equal(outcome, OUTCOME_OK);
    assert_non_null(strstr(text, "> GET /?api_key=(not shown) HTTP/1.1\n"));
    assert_non_null(strstr(text, "> Authorization: Bearer (not shown)\n"));
    assert_null(strstr(text, "alpha-1."));
    mint_free(mint);
    target_stop(&bench->target);
    sink_free(show);
    bench_free(bench);
}

/* Tokens whose end the profile sets itself, in the past: each request is counted. */
static void expired_ones_are_counted(void **state)
{
    (void)state;
    struct bench *bench = bench_new();
    target_start(&bench->target);
    load_identities(
        bench, "[identity one]\ncert = a\napikey = a\njwt = a\nbound = no\n",
        (const char *const[]){"jwt.a.claims={\"sub\":\"{n}\",\"exp\":1000000000}", NULL});
    perform(bench, NULL);
    check_both_ends(bench);
    assert_int_equal(count(bench, COUNTER_IDENTITY_EXPIRED), count(bench, COUNTER_STARTED));
    bench_free(bench);
}

/* A client whose token ends dials anew with its next one: no expired token is ever presented. */
static void tokens_end_before_their_connections(void **state)
{
    (void)state;
    struct bench *bench = bench_new();
    target_start(&bench->target);
    load_identities(bench, "[identity one]\ncert = a\napikey = a\njwt = a\n",
                    (const char *const[]){"jwt.a.lifetime=3s", "jwt.a.renew_before=1s",
                                          "cert.a.count=4", "pace.rate=50/s", "run.duration=4s",
                                          NULL});
    perform(bench, NULL);
    check_both_ends(bench);
    assert_int_equal(count(bench, COUNTER_IDENTITY_EXPIRED), 0);
    assert_true(count(bench, COUNTER_DIALED) > 4);
    assert_true(count(bench, COUNTER_JWT_NEW) > 4);
    bench_free(bench);
}

/* What befalls an identity is in the run's events. */
static void events_are_recorded(void **state)
{
    (void)state;
    struct bench *bench = bench_new();
    const char *dir = bench->target.dir;
    CLEANUP_FREE char *path = xasprintf("%s/clients/client-1.pem", dir);
    target_start(&bench->target);
    CLEANUP_FREE char *text =
        xasprintf("[run]\nduration = 4s\nthreads = 1\n"
                  "[target]\nurl = https://127.0.0.1:%u/\nserver_ca = %s/ca.pem\n"
                  "[pace]\nconnections = 1\nthink_time = 50ms\n"
                  "[cert c]\nsource = files\npath = %s/clients\n",
                  bench->target.port, dir, dir);
    load_text(bench, text, (const char *const[]){NULL});
    bench->spoil = path;
    perform(bench, NULL);
    CLEANUP_FREE char *run = xasprintf("%s/run", dir);
    struct stored_run *stored = run_load(run, bench->diag);
    assert_non_null(stored);
    assert_int_equal(stored->n_events, 1);
    assert_string_equal(stored->events[0].kind, "identity");
    assert_non_null(strstr(stored->events[0].text, "client-1.pem"));
    assert_in_range((uint64_t)stored->events[0].at_s, 1, 4);
    run_unload(stored);
    bench_free(bench);
}

/* In the dwells of reused credentials all of a client rests. */
static void crossover_of_clients(void **state)
{
    (void)state;
    struct bench *bench = bench_new();
    target_start(&bench->target);
    load_identities(bench, BOTH,
                    (const char *const[]){"pace.resume_ratio=0", "cert.a.count=400",
                                          "cert.b.count=400", "run.duration=2s",
                                          "pace.requests_per_connection=1", NULL});
    bench->plan->attribution = (struct plan_attribution){
        .mode = ATTRIBUTION_CROSSOVER, .dwell_ns = 100 * NS_PER_MS, .warmup_ns = 100 * NS_PER_MS};
    perform(bench, NULL);
    check_threesomes(bench);
    assert_true(count(bench, COUNTER_CERT_NEW) < count(bench, COUNTER_CERT_USED));
    assert_non_null(strstr(bench->phases[0], "dwell "));
    bench_free(bench);
}

/* Who starves keeps its turn, and holds nobody up. */
static void starving_slots(void **state)
{
    (void)state;
    struct plan_identity plans[2] = {{.weight = 1}, {.weight = 1}};
    struct plan plan = {.identities = plans, .n_identities = 2};
    struct worker_identity identities[2] = {{.plan = &plans[0]}, {.plan = &plans[1]}};
    CLEANUP_FREE struct worker *worker = xcalloc(1, sizeof *worker);
    struct slot slots[5] = {{.worker = worker},
                            {.worker = worker},
                            {.worker = worker},
                            {.worker = worker},
                            {.worker = worker}};
    worker->job.plan = &plan;
    worker->identities = identities;
    for (int i = 0; i < 5; i++) {
        slot_put(&slots[i], SLOT_IDLE);
    }
    slot_starve(slot_next(worker, SLOT_IDLE), &identities[0]);
    slot_starve(slot_next(worker, SLOT_IDLE), &identities[1]);
    slot_starve(slot_next(worker, SLOT_IDLE), &identities[0]);
    assert_ptr_equal(slot_next(worker, SLOT_IDLE), &slots[3]);
    assert_null(slot_next(worker, SLOT_TO_DIAL));
    assert_int_equal(worker->n_starving, 3);
    identities[0].blocked[SLOT_IDLE] = false;
    assert_ptr_equal(slot_next(worker, SLOT_IDLE), &slots[0]);
    slot_starve(&slots[0], &identities[0]); /* still nothing: it stays the first */
    assert_ptr_equal(slot_next(worker, SLOT_IDLE), &slots[3]);
    identities[0].blocked[SLOT_IDLE] = identities[1].blocked[SLOT_IDLE] = false;
    slot_put(&slots[0], SLOT_NOWHERE);
    assert_ptr_equal(slot_next(worker, SLOT_IDLE), &slots[2]);
    slot_put(&slots[2], SLOT_IDLE);
    assert_ptr_equal(slot_next(worker, SLOT_IDLE), &slots[1]);
    slot_put(&slots[1], SLOT_TO_DIAL);
    assert_int_equal(worker->n_starving, 0);
    assert_ptr_equal(slot_next(worker, SLOT_IDLE), &slots[3]);
    slot_put_first(&slots[4], SLOT_IDLE);
    assert_ptr_equal(slot_next(worker, SLOT_IDLE), &slots[4]);
    assert_ptr_equal(slot_next(worker, SLOT_TO_DIAL), &slots[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(drawn_by_weight),
        cmocka_unit_test(held_by_weight),
        cmocka_unit_test(parts_go_together),
        cmocka_unit_test(sessions_stay_with_their_client),
        cmocka_unit_test(sends_again_as_one),
        cmocka_unit_test(each_for_itself),
        cmocka_unit_test(without_certificates),
        cmocka_unit_test(keys_in_the_query),
        cmocka_unit_test(once_hides_the_query),
        cmocka_unit_test(expired_ones_are_counted),
        cmocka_unit_test(tokens_end_before_their_connections),
        cmocka_unit_test(events_are_recorded),
        cmocka_unit_test(crossover_of_clients),
        cmocka_unit_test(starving_slots),
    };
    (void)signal(SIGPIPE, SIG_IGN);
    return run_patiently(tests);
}
