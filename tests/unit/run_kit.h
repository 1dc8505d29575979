/* A run of invented seconds in a directory of its own, for the tests of the run directory. */
#ifndef TESTS_RUN_KIT_H
#define TESTS_RUN_KIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/rng.h"
#include "base/str.h"
#include "record/run.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#define SECOND   1000000000ULL
#define START_NS (5000 * SECOND)

static char base[] = "/tmp/tlsoak-run-XXXXXX";
static char dir[64];

static inline int make_base(void **state)
{
    (void)state;
    if (mkdtemp(base) == NULL) {
        return -1;
    }
    (void)snprintf(dir, sizeof dir, "%s/run", base);
    return 0;
}

static inline int remove_base(void **state)
{
    (void)state;
    return rmdir(base);
}

static inline int remove_run(void **state)
{
    (void)state;
    DIR *entries = opendir(dir);
    struct dirent *entry;

    while (entries != NULL && (entry = readdir(entries)) != NULL) {
        CLEANUP_FREE char *path = xasprintf("%s/%s", dir, entry->d_name);
        (void)unlink(path);
    }
    if (entries != NULL) {
        (void)closedir(entries);
    }
    (void)rmdir(dir);
    (void)unlink(dir);
    return 0;
}

static inline struct run_meta example_meta(void)
{
    return (struct run_meta){
        .id = "20261121-013142-7f3a",
        .start_wall_s = 1795224702.125,
        .start_ns = START_NS,
        .duration_ns = 60 * SECOND,
        .tick_ns = SECOND,
        .seed = 18446744073709551557ULL,
        .threads = 4,
        .version = "0.1.0",
        .tls_library = "BoringSSL (API 19)",
        .p256_signs_per_s = 41234.5,
        .p256_verifies_per_s = 15678.25,
        .target = "https://127.0.0.1:8443/\"odd\"",
        .verify = "always",
        .server = "nginx (pid 4711\nand 2 children)",
        .n_sources = 2,
        .source = {"server", "cache"},
    };
}

static inline struct run *create(const struct run_meta *meta)
{
    struct diag *diag = diag_new();
    struct run *run = run_create(dir, meta, "[target]\nurl = https://127.0.0.1:8443/\n", diag);

    if (run == NULL) {
        fail_msg("%s", diag_text(diag, 0));
    }
    diag_free(diag);
    return run;
}

/* A second of load, the n-th.  It ends a little before or after the full second, as real ones do;
 * every third (n = 1, 4, ...) ends on it exactly, for tests that look at the text. */
static inline void fill_tick(struct interval *tick, uint64_t n, struct rng *rng)
{
    interval_clear(tick);
    tick->start_ns = START_NS + n * SECOND;
    tick->end_ns = tick->start_ns + SECOND + (n % 3 == 1 ? 0 : rng_below(rng, 1000000) - 500000);
    tick->count[COUNTER_STARTED] = 100;
    tick->count[COUNTER_COMPLETED] = 97;
    tick->count[COUNTER_FAILED] = 3;
    tick->count[COUNTER_DIALED] = 5;
    tick->count[COUNTER_HANDSHAKE_FULL] = 4;
    tick->count[COUNTER_HANDSHAKE_RESUMED] = 1;
    tick->count[COUNTER_CLOSED] = 4;
    tick->count[COUNTER_CERT_NEW] = 2;
    tick->count[COUNTER_LAG_NS] = rng_below(rng, 5000000);
    tick->outcome[OUTCOME_OK] = 97;
    tick->outcome[OUTCOME_HTTP_RESET] = 3;
    tick->status[2] = 96;
    tick->status[5] = 1;
    tick->gauge[GAUGE_OPEN] = n + 1;
    for (int i = 0; i < 97; i++) {
        hist_record(&tick->latency[LATENCY_RESPONSE], 100000 + rng_below(rng, 90000000));
        hist_record(&tick->latency[LATENCY_SERVICE], 90000 + rng_below(rng, 9000000));
    }
    for (int i = 0; i < 4; i++) {
        hist_record(&tick->latency[LATENCY_HANDSHAKE_FULL], 900000 + rng_below(rng, 1000000));
    }
}

static inline void add_tick(struct interval *sums, const struct interval *tick)
{
    memset(sums->gauge, 0, sizeof sums->gauge);
    interval_add(sums, tick);
    interval_check(sums);
}

static inline struct reading example_reading(uint64_t t_ns, int source)
{
    struct reading reading = {.t_ns = t_ns, .source = source, .ok = true, .incarnation = 4711};

    for (int i = 0; i < MEMORY_METRIC_COUNT; i++) {
        reading.value[i] = 1000 + i;
    }
    return reading;
}

/* Appends seconds [from, to) and their readings. */
static inline void append(struct run *run, struct interval *sums, uint64_t from, uint64_t to)
{
    struct interval *tick = interval_new();
    struct rng rng;

    for (uint64_t n = from; n < to; n++) {
        rng_init(&rng, 3, "tick", n);
        fill_tick(tick, n, &rng);
        add_tick(sums, tick);
        assert_true(run_tick(run, tick, sums));
        for (int source = 0; source < 2; source++) {
            struct reading reading = example_reading(tick->end_ns, source);
            assert_true(run_reading(run, &reading, sums));
        }
    }
    interval_free(tick);
}

/* Makes a run of `n` seconds and returns what it holds. */
static inline struct interval *make_run(uint64_t n, bool finish)
{
    struct run_meta meta = example_meta();
    struct run *run = create(&meta);
    struct interval *sums = interval_new();

    append(run, sums, 0, n);
    if (finish) {
        meta.interrupted = true;
        meta.healthy = false;
        (void)str_copy(meta.health, sizeof meta.health, "it was late");
        (void)str_copy(meta.invalid, sizeof meta.invalid, "the server was lost");
        assert_true(run_finish(run, &meta, sums));
    }
    run_free(run);
    return sums;
}

static inline char *path_of(const char *name)
{
    return xasprintf("%s/%s", dir, name);
}

static inline char *text_of(const char *name, size_t *ret_len)
{
    CLEANUP_FREE char *path = path_of(name);
    char *text = file_read(path, 64u << 20, ret_len);

    if (text == NULL) {
        fail_msg("%s: %s", path, strerror(errno));
    }
    return text;
}

static inline struct stored_run *load(void)
{
    struct diag *diag = diag_new();
    struct stored_run *stored = run_load(dir, diag);

    if (stored == NULL) {
        fail_msg("%s", diag_text(diag, 0));
    }
    assert_int_equal(diag_count(diag), 0);
    diag_free(diag);
    return stored;
}

static inline void assert_same_counts(const struct interval *a, const struct interval *b)
{
    assert_memory_equal(a->count, b->count, sizeof a->count);
    assert_memory_equal(a->gauge, b->gauge, sizeof a->gauge);
    assert_memory_equal(a->outcome, b->outcome, sizeof a->outcome);
    assert_memory_equal(a->status, b->status, sizeof a->status);
}

#define TEST(name) cmocka_unit_test_teardown(name, remove_run)

#endif
