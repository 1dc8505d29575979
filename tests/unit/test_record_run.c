#include "run_kit.h"

#include <math.h>

static void test_finished_run_comes_back(void **state)
{
    (void)state;
    struct interval *sums = make_run(7, true);
    struct stored_run *stored = load();
    struct run_meta expected = example_meta();

    assert_string_equal(stored->meta.id, expected.id);
    assert_true(fabs(stored->meta.start_wall_s - expected.start_wall_s) < 1e-3);
    assert_int_equal(stored->meta.duration_ns, expected.duration_ns);
    assert_int_equal(stored->meta.tick_ns, expected.tick_ns);
    assert_true(stored->meta.seed == expected.seed);
    assert_int_equal(stored->meta.threads, 4);
    assert_string_equal(stored->meta.version, expected.version);
    assert_string_equal(stored->meta.tls_library, expected.tls_library);
    assert_true(stored->meta.p256_signs_per_s == expected.p256_signs_per_s);
    assert_true(stored->meta.p256_verifies_per_s == expected.p256_verifies_per_s);
    assert_string_equal(stored->meta.target, expected.target);
    assert_string_equal(stored->meta.verify, expected.verify);
    assert_string_equal(stored->meta.server, expected.server);
    assert_int_equal(stored->meta.n_sources, 2);
    assert_string_equal(stored->meta.source[1], "cache");
    assert_true(stored->meta.finished && stored->meta.interrupted && !stored->meta.healthy);
    assert_string_equal(stored->meta.health, "it was late");
    assert_string_equal(stored->meta.invalid, "the server was lost");
    assert_int_equal(stored->n_ticks, 7);
    assert_int_equal(stored->torn_lines, 0);
    assert_true(stored->elapsed_ns / 1000000 == (sums->end_ns - START_NS) / 1000000);
    assert_non_null(strstr(stored->memory_csv, "/memory.csv"));
    assert_same_counts(stored->total, sums);
    for (int i = 0; i < LATENCY_COUNT; i++) {
        const struct hist *a = &stored->total->latency[i], *b = &sums->latency[i];
        assert_int_equal(a->n, b->n);
        assert_int_equal(a->min_ns, b->min_ns);
        assert_int_equal(a->max_ns, b->max_ns);
        assert_true(fabs(hist_mean_ns(a) - hist_mean_ns(b)) <= 1e-6 * hist_mean_ns(b));
        assert_memory_equal(a->slots, b->slots, sizeof a->slots);
    }
    run_unload(stored);
    interval_free(sums);
    CLEANUP_FREE char *reserve = path_of(".reserve");
    assert_int_not_equal(access(reserve, F_OK), 0);
    CLEANUP_FREE char *json = text_of("run.json", NULL);
    assert_non_null(strstr(json, "\"schema\": \"tlsoak.run/1\""));
    assert_non_null(strstr(json, "\"start\": \"2026-11-21T01:31:42.125Z\""));
    assert_non_null(strstr(json, "\"http_reset\": 21"));
    assert_null(strstr(json, "\"refused\""));
    CLEANUP_FREE char *profile = text_of("profile.ini", NULL);
    assert_string_equal(profile, "[target]\nurl = https://127.0.0.1:8443/\n");
}

static void test_unfinished_run_is_recovered(void **state)
{
    (void)state;
    struct interval *sums = make_run(7, false);
    struct stored_run *stored = load();

    assert_false(stored->meta.finished);
    assert_true(stored->meta.healthy); /* nothing is known to the contrary */
    assert_string_equal(stored->meta.invalid, "");
    assert_int_equal(stored->n_ticks, 7);
    assert_true(stored->elapsed_ns / 1000000 == (sums->end_ns - START_NS) / 1000000);
    assert_same_counts(stored->total, sums);
    for (int i = 0; i < LATENCY_COUNT; i++) {
        const struct hist *a = &stored->total->latency[i], *b = &sums->latency[i];
        assert_int_equal(a->max_ns, b->max_ns);
        assert_memory_equal(a->slots, b->slots, sizeof a->slots);
        assert_true(fabs(hist_mean_ns(a) - hist_mean_ns(b)) <= 1e-3 * hist_mean_ns(b));
    }
    run_unload(stored);
    interval_free(sums);
}

static void test_run_without_a_second(void **state)
{
    (void)state;
    interval_free(make_run(0, false));
    struct stored_run *stored = load();

    assert_int_equal(stored->n_ticks, 0);
    assert_int_equal(stored->elapsed_ns, 0);
    assert_int_equal(stored->total->count[COUNTER_STARTED], 0);
    run_unload(stored);
}

static void test_a_run_is_never_overwritten(void **state)
{
    (void)state;
    struct run_meta meta = example_meta();
    struct diag *diag = diag_new();

    interval_free(make_run(1, true));
    assert_null(run_create(dir, &meta, "", diag));
    assert_int_equal(diag_count(diag), 1);
    assert_non_null(strstr(diag_text(diag, 0), "already holds a run; name another with -o"));
    /* What a run that was killed while it began has left behind. */
    CLEANUP_FREE char *json = path_of("run.json");
    assert_int_equal(unlink(json), 0);
    assert_null(run_create(dir, &meta, "", diag));
    assert_non_null(strstr(diag_text(diag, 1), "ticks.csv: exists already"));
    diag_free(diag);
}

static void test_impossible_directories(void **state)
{
    (void)state;
    struct run_meta meta = example_meta();
    struct diag *diag = diag_new();

    assert_true(file_write(dir, "x", 1, 0600));
    assert_null(run_create(dir, &meta, "", diag));
    assert_non_null(strstr(diag_text(diag, 0), "can't be made a directory"));
    assert_int_equal(unlink(dir), 0);
    (void)str_copy(meta.source[1], sizeof meta.source[1], "../../etc/x");
    assert_null(run_create(dir, &meta, "", diag));
    assert_non_null(strstr(diag_text(diag, 1), "can't name a file"));
    diag_free(diag);
}

/* The format that `tlsoak analyse` reads, letter by letter. */
static void test_memory_csv(void **state)
{
    (void)state;
    struct run_meta meta = example_meta();
    meta.floors[1] = true;
    (void)str_copy(meta.metric[1], sizeof meta.metric[1], "heap_bytes");
    meta.limit_bytes[1] = 1 << 30;
    struct run *run = create(&meta);
    struct interval *sums = interval_new();
    struct reading reading = example_reading(START_NS + 1500 * 1000000, 0);

    sums->count[COUNTER_STARTED] = 10;
    sums->count[COUNTER_HANDSHAKE_FULL] = 20;
    sums->count[COUNTER_HANDSHAKE_RESUMED] = 30;
    sums->count[COUNTER_CERT_NEW] = 40;
    sums->count[COUNTER_KEY_NEW] = 50;
    sums->count[COUNTER_JWT_NEW] = 60;
    sums->gauge[GAUGE_OPEN] = 9;
    reading.value[MEMORY_CPU_NS] = 1250000000;
    reading.value[MEMORY_PSS] = -1;
    assert_true(run_reading(run, &reading, sums));
    reading.ok = false;
    reading.incarnation = 0;
    reading.t_ns += SECOND;
    assert_true(run_reading(run, &reading, sums));
    reading = example_reading(START_NS - 5, 1);
    assert_true(run_reading(run, &reading, sums));
    run_free(run);
    interval_free(sums);
    CLEANUP_FREE char *first = text_of("memory.csv", NULL);
    CLEANUP_FREE char *second = text_of("memory.cache.csv", NULL);
    assert_string_equal(
        first, "# tlsoak.series/1\n"
               "# source server\n"
               "# server nginx (pid 4711\\x0aand 2 children)\n"
               "time_s,command_bytes,anon_bytes,private_dirty_bytes,pss_bytes,rss_bytes,fds,"
               "threads,cpu_s,processes,incarnation,open,requests,connections,resumptions,"
               "client_certificates,api_keys,jwts,refused,aborted,rotations\n"
               "1.500,1008,1001,1003,,1000,1004,1005,1.250,1007,4711,9,10,20,30,40,50,60,0,0,0\n"
               "2.500,,,,,,,,,,,9,10,20,30,40,50,60,0,0,0\n");
    assert_non_null(strstr(second, "# source cache\n"));
    assert_non_null(strstr(second, "\n# floors yes\n# metric heap_bytes\n# limit 1073741824\n"
                                   "time_s,heap_bytes,command_bytes,anon_bytes,"));
    assert_non_null(strstr(second, "\n0.000,1009,1008,1001,"));
}

static void test_ticks_csv(void **state)
{
    (void)state;
    interval_free(make_run(2, false));
    CLEANUP_FREE char *text = text_of("ticks.csv", NULL);

    assert_non_null(strstr(text, "time_s,started,completed,failed,"));
    assert_non_null(strstr(text, ",open,handshaking,in_flight,backlog,refusing,misusing,"));
    assert_non_null(strstr(text, ",status_other,status_1xx,status_2xx,"));
    assert_non_null(strstr(text, ",response_p50_us,response_p99_us,response_max_us,"));
    assert_non_null(strstr(text, ",100,97,3,"));
    assert_non_null(strstr(text, ",200,194,6,"));
}

static int lines_in(const char *name)
{
    CLEANUP_FREE char *text = text_of(name, NULL);
    int n = 0;

    for (const char *p = text; *p != '\0'; p++) {
        n += *p == '\n';
    }
    return n;
}

/* Longer runs have longer log intervals; nothing is lost or doubled at their edges. */
static void test_log_intervals_follow_the_planned_duration(void **state)
{
    (void)state;
    static const struct {
        uint64_t duration_s, ticks;
        int lines;
    } plans[] = {{3600, 65, 65}, {3601, 65, 7}, {86400, 65, 7}, {86401, 125, 3}};

    for (size_t i = 0; i < sizeof plans / sizeof *plans; i++) {
        struct run_meta meta = example_meta();
        meta.duration_ns = plans[i].duration_s * SECOND;
        struct run *run = create(&meta);
        struct interval *sums = interval_new();
        append(run, sums, 0, plans[i].ticks);
        assert_true(run_finish(run, &meta, sums));
        run_free(run);
        assert_int_equal(lines_in("latency.response.hlog"), 5 + plans[i].lines);
        assert_int_equal(lines_in("latency.connect.hlog"), 5); /* nothing happened there */
        struct stored_run *stored = load();
        assert_int_equal(stored->total->latency[LATENCY_RESPONSE].n, 97 * plans[i].ticks);
        run_unload(stored);
        interval_free(sums);
        (void)remove_run(NULL);
    }
}

static void test_the_drain_is_no_load(void **state)
{
    struct stored_run stored = {.elapsed_ns = 13 * SECOND,
                                .meta = {.duration_ns = 10 * SECOND, .load_ns = 4 * SECOND}};

    (void)state;
    assert_true(run_load_ns(&stored) == 4 * SECOND); /* ended early */
    stored.meta.load_ns = 0;
    assert_true(run_load_ns(&stored) == 10 * SECOND); /* of an earlier version */
    stored.elapsed_ns = 3 * SECOND;
    assert_true(run_load_ns(&stored) == 3 * SECOND); /* killed */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_finished_run_comes_back),
        TEST(test_unfinished_run_is_recovered),
        TEST(test_run_without_a_second),
        TEST(test_a_run_is_never_overwritten),
        TEST(test_impossible_directories),
        TEST(test_memory_csv),
        TEST(test_ticks_csv),
        TEST(test_log_intervals_follow_the_planned_duration),
        TEST(test_the_drain_is_no_load),
    };
    return cmocka_run_group_tests(tests, make_base, remove_base);
}
