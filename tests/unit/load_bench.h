/* A load on a target of the test's own: profile, run, and what must hold of both ends. */
#ifndef TESTS_LOAD_BENCH_H
#define TESTS_LOAD_BENCH_H

#include "base/mem.h"
#include "base/mono.h"
#include "load/fleet.h"
#include "load_target.h"
#include "profile/profile.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/wait.h>
#include <cmocka.h>

/* A busy machine left a run of this process no CPU: what failed then says nothing of the code. */
static bool bench_starved;

/* A target, a profile for it, and what a run of it gave. */
struct bench {
    struct target target;
    struct diag *diag;
    struct plan *plan;
    struct addr addr;
    struct fleet_result result;
    struct sampler *sampler; /* NULL: no memory source */
    volatile int stop;
    int stop_at_second; /* 0: never */
    int stop_level;
    const char *spoil; /* a file that is no more what it was from the first second on; or NULL */
    int n_seconds;
    char phases[4][64];
};

static inline struct bench *bench_new(void)
{
    struct bench *bench = xcalloc(1, sizeof *bench);
    target_init(&bench->target);
    bench->diag = diag_new();
    return bench;
}

static inline void bench_free(struct bench *bench)
{
    target_free(&bench->target);
    interval_free(bench->result.total);
    plan_free(bench->plan);
    diag_free(bench->diag);
    free(bench);
}

/* The plan of this profile, which knows its target. */
static inline void load_text(struct bench *bench, const char *text, const char *const *sets)
{
    size_t n_sets = 0;
    while (sets[n_sets] != NULL) {
        n_sets++;
    }
    bench->plan = profile_load_text("test.ini", text, sets, n_sets, bench->diag);
    if (bench->plan == NULL) {
        diag_print(bench->diag, stderr);
    }
    assert_non_null(bench->plan);
    assert_int_equal(addr_resolve("127.0.0.1", bench->target.port, NS_PER_S,
                                  (struct origin){"test", 0}, &bench->addr, 1, bench->diag),
                     1);
}

/* One client with whatever there is, each rotating for itself. */
static inline void load_plan(struct bench *bench, const char *const *sets)
{
    const char *dir = bench->target.dir;
    CLEANUP_FREE char *text =
        xasprintf("[run]\nduration = 1s\nthreads = 2\ndrain = 10s\n"
                  "[target]\nurl = https://127.0.0.1:%u/\nserver_ca = %s/ca.pem\n"
                  "[pace]\nconnections = 4\n"
                  "[cert c]\nca = %s/ca.pem\nca_key = %s/ca.key\ncount = 40\n"
                  "[apikey k]\nsecret = @%s/apikey.secret\ncount = 20\n"
                  "[jwt j]\nkey = @%s/jwt.secret\ncount = 10\n",
                  bench->target.port, dir, dir, dir, dir, dir);
    load_text(bench, text, sets);
}

/* Two seconds of an open load with what the text says beside it. */
static inline void load_beside(struct bench *bench, const char *beside, const char *const *sets)
{
    const char *dir = bench->target.dir;
    CLEANUP_FREE char *text =
        xasprintf("[run]\nduration = 2s\nthreads = 2\ndrain = 10s\n"
                  "[target]\nurl = https://127.0.0.1:%u/\nserver_ca = %s/ca.pem\n"
                  "[pace]\nmode = open\nrate = 200/s\nconnections = 4\n"
                  "[cert c]\nca = %s/ca.pem\nca_key = %s/ca.key\ncount = 40\n"
                  "[apikey k]\nsecret = @%s/apikey.secret\ncount = 40\n"
                  "[jwt j]\nkey = @%s/jwt.secret\ncount = 40\n%s",
                  bench->target.port, dir, dir, dir, dir, dir, beside);
    load_text(bench, text, sets);
}

static inline bool on_second(const struct fleet_second *second, void *context)
{
    struct bench *bench = context;
    if (bench->n_seconds < 4) {
        (void)snprintf(bench->phases[bench->n_seconds], sizeof bench->phases[0], "%s",
                       second->phase);
    }
    bench->n_seconds++;
    if (bench->spoil != NULL && bench->n_seconds == 1) {
        FILE *file = fopen(bench->spoil, "w");
        assert_non_null(file);
        assert_true(fputs("not what it was\n", file) >= 0);
        assert_int_equal(fclose(file), 0);
    }
    if (bench->stop_at_second == bench->n_seconds) {
        bench->stop = bench->stop_level;
    }
    return true;
}

static inline struct mint *bench_mint(struct bench *bench)
{
    struct mint_job job = {
        .plan = bench->plan, .n_workers = (unsigned)bench->plan->run.threads, .run_id = "test"};
    struct mint *mint = mint_new(&job, bench->diag);
    if (mint == NULL) {
        diag_print(bench->diag, stderr);
    }
    assert_non_null(mint);
    return mint;
}

/* Runs the profile with these settings to its end. */
static inline void perform(struct bench *bench, const char *const *sets)
{
    if (bench->plan == NULL) {
        load_plan(bench, sets);
    }
    CLEANUP_FREE char *dir = xasprintf("%s/run", bench->target.dir);
    struct run_meta meta = {.id = "test",
                            .start_ns = mono_now_ns(),
                            .duration_ns = bench->plan->run.duration_ns,
                            .tick_ns = NS_PER_S,
                            .threads = (unsigned)bench->plan->run.threads,
                            .n_sources = bench->sampler != NULL ? 1 : 0};
    struct run *run = run_create(dir, &meta, "", bench->diag);
    struct mint *mint = bench_mint(bench);
    struct fleet_job job = {.plan = bench->plan,
                            .addrs = &bench->addr,
                            .n_addrs = 1,
                            .mint = mint,
                            .sampler = bench->sampler,
                            .run = run,
                            .start_ns = meta.start_ns,
                            .stop = &bench->stop,
                            .second = on_second,
                            .context = bench};
    assert_non_null(run);
    assert_true(fleet_perform(&job, &bench->result, bench->diag));
    assert_true(run_finish(run, &meta, bench->result.total));
    bench_starved = bench_starved || strstr(bench->result.invalid, "starved of CPU") != NULL ||
                    strstr(bench->result.invalid, "could not be made fast enough") != NULL;
    run_free(run);
    mint_free(mint);
    target_stop(&bench->target);
}

static inline uint64_t count(const struct bench *bench, enum counter counter)
{
    return bench->result.total->count[counter];
}

/* What is tried beside the load keeps its share, as far as a credit can be off that each worker
 * keeps. */
static inline void check_share(const struct bench *bench, uint64_t tried, double per_exchange)
{
    double expected = per_exchange * (double)count(bench, COUNTER_STARTED);
    assert_true(expected > 5);
    assert_true(fabs((double)tried - expected) < 2);
}

/* What must hold of any run whose target was well and which had time to drain. */
static inline void check_both_ends(const struct bench *bench)
{
    const struct interval *total = bench->result.total;
    const struct target *target = &bench->target;
    interval_check(total);
    for (int i = 0; i < GAUGE_COUNT; i++) {
        if (!metric_gauge_is_largest((enum gauge)i)) { /* else of the last interval as a whole */
            assert_int_equal(total->gauge[i], 0);
        }
    }
    /* What was to be sent again when the load ended. */
    uint64_t stopped = target->drop_after != 0 ? total->outcome[OUTCOME_STOPPED] : 0;
    assert_int_equal(count(bench, COUNTER_FAILED), stopped);
    assert_true(count(bench, COUNTER_STARTED) > 0);
    assert_int_equal(count(bench, COUNTER_STARTED), target->n_requests + stopped);
    assert_int_equal(count(bench, COUNTER_COMPLETED), target->n_requests);
    assert_int_equal(count(bench, COUNTER_HANDSHAKE_FULL), target->n_full);
    assert_int_equal(count(bench, COUNTER_HANDSHAKE_RESUMED), target->n_resumed);
    assert_int_equal(count(bench, COUNTER_DIALED), target->n_accepted + target->n_refused);
    assert_int_equal(count(bench, COUNTER_DIAL_FAILED), target->n_refused);
    assert_int_equal(count(bench, COUNTER_CLOSED), target->n_closed);
    assert_int_equal(count(bench, COUNTER_CERT_USED), target->n_full);
    assert_int_equal(count(bench, COUNTER_CERT_NEW), target->n_seen[0]);
    assert_int_equal(count(bench, COUNTER_KEY_NEW), target->n_seen[1]);
    assert_int_equal(count(bench, COUNTER_JWT_NEW), target->n_seen[2]);
    assert_int_equal(count(bench, COUNTER_KEY_USED), target->n_requests);
    assert_int_equal(count(bench, COUNTER_JWT_USED), target->n_requests);
    assert_int_equal(total->latency[LATENCY_SERVICE].n, target->n_requests);
    assert_int_equal(total->latency[LATENCY_RESPONSE].n, target->n_requests);
    assert_int_equal(total->latency[LATENCY_FIRST_BYTE].n, target->n_requests);
    assert_int_equal(total->latency[LATENCY_CONNECT].n, target->n_accepted);
    assert_int_equal(total->latency[LATENCY_HANDSHAKE_FULL].n, target->n_full);
    assert_int_equal(total->latency[LATENCY_HANDSHAKE_RESUMED].n, target->n_resumed);
    assert_string_equal(bench->result.invalid, "");
}

enum { PATIENCE = 5, EXIT_STARVED = 77 };

/* Runs each test in a process of its own, once more where it failed and was starved, but not for
 * ever; returns how many failed. */
static inline int run_each(const struct CMUnitTest *tests, size_t n_tests)
{
    int n_failed = 0;
    for (size_t i = 0; i < n_tests; i++) {
        int status = EXIT_STARVED;
        for (int left = PATIENCE; left > 0 && status == EXIT_STARVED; left--) {
            (void)fflush(NULL);
            pid_t child = fork();
            if (child == 0) {
                const struct CMUnitTest one[] = {tests[i]};
                bool failed = cmocka_run_group_tests_name(tests[i].name, one, NULL, NULL) != 0;
                if (failed && bench_starved) {
                    (void)fflush(NULL);
                    _exit(EXIT_STARVED);
                }
                exit(failed ? EXIT_FAILURE : EXIT_SUCCESS);
            }
            int how = 0;
            bool ended = child > 0 && waitpid(child, &how, 0) == child && WIFEXITED(how);
            status = ended ? WEXITSTATUS(how) : EXIT_FAILURE;
        }
        n_failed += status != EXIT_SUCCESS;
    }
    return n_failed;
}

#define run_patiently(tests) run_each((tests), sizeof(tests) / sizeof((tests)[0]))

#endif
