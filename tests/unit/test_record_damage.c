#include "run_kit.h"

#include <math.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

static void write_text(const char *name, const char *text, size_t len)
{
    CLEANUP_FREE char *path = path_of(name);

    (void)unlink(path);
    assert_true(file_write(path, text, len, 0600));
}

/* Replaces the first `old` in a file. */
static void change(const char *name, const char *old, const char *new)
{
    CLEANUP_FREE char *text = text_of(name, NULL);
    char *at = strstr(text, old);

    if (at == NULL) {
        fail_msg("no \"%s\" in %s", old, name);
    }
    CLEANUP_FREE char *changed =
        xasprintf("%.*s%s%s", (int)(at - text), text, new, at + strlen(old));
    write_text(name, changed, strlen(changed));
}

static void assert_unreadable(const char *expected)
{
    struct diag *diag = diag_new();

    assert_null(run_load(dir, diag));
    assert_int_equal(diag_count(diag), 1);
    if (strstr(diag_text(diag, 0), expected) == NULL) {
        fail_msg("\"%s\" does not say \"%s\"", diag_text(diag, 0), expected);
    }
    diag_free(diag);
}

static void test_torn_last_lines_are_dropped(void **state)
{
    (void)state;
    static const char *const files[] = {"ticks.csv", "memory.cache.csv", "latency.service.hlog"};

    interval_free(make_run(3, false));
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        size_t len;
        CLEANUP_FREE char *text = text_of(files[i], &len);
        write_text(files[i], text, len - 1 - i * 7);
        struct stored_run *stored = load();
        assert_int_equal(stored->torn_lines, i + 1);
        assert_int_equal(stored->n_ticks, 2);
        assert_int_equal(stored->total->count[COUNTER_STARTED], 200);
        run_unload(stored);
    }
}

static void test_malformed_ticks_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *old, *new, *expected;
    } changes[] = {
        {"\n2.000,200,", "\n2.000,200,7,", "ticks.csv:3: not as many fields"},
        {"\n2.000,200,", "\n2.000,-200,", "ticks.csv:3: a counter that is not"},
        {"\n2.000,200,", "\n2.000,,", "ticks.csv:3: a counter that is not"},
        {"\n2.000,200,", "\n2.000,99999999999999999999,", "ticks.csv:3: a counter that is not"},
        {"\n2.000,200,", "\n0.500,200,", "ticks.csv:3: time_s"},
        {"\n2.000,200,", "\n2e300,200,", "ticks.csv:3: time_s"},
        {"\n2.000,200,", "\n\n2.000,200,", "ticks.csv:3: not as many fields"},
        {"time_s,", "time,", "ticks.csv:1: no column time_s"},
        {",completed,", ",started,", "ticks.csv:1: the same column twice"},
    };

    interval_free(make_run(3, false));
    CLEANUP_FREE char *good = text_of("ticks.csv", NULL);
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        change("ticks.csv", changes[i].old, changes[i].new);
        assert_unreadable(changes[i].expected);
        write_text("ticks.csv", good, strlen(good));
    }
    size_t len = 1u << 20;
    CLEANUP_FREE char *commas = xmalloc(len);
    memset(commas, ',', len);
    write_text("ticks.csv", commas, len);
    assert_unreadable("too long");
    memcpy(commas + 5000, "\n", 1);
    write_text("ticks.csv", commas, 5001);
    assert_unreadable("no column time_s");
    write_text("ticks.csv", "", 0);
    assert_unreadable("no header");
    CLEANUP_FREE char *path = path_of("ticks.csv");
    assert_int_equal(unlink(path), 0);
    assert_unreadable("can't be read");
}

/* A version that adds columns must stay readable, and one that had fewer too. */
static void test_other_columns_are_tolerated(void **state)
{
    (void)state;
    interval_free(make_run(1, false));
    write_text("ticks.csv", "time_s,new_thing,started\n1.0,x,5\n", 34);
    struct stored_run *stored = load();

    assert_int_equal(stored->total->count[COUNTER_STARTED], 5);
    assert_int_equal(stored->total->count[COUNTER_COMPLETED], 0);
    assert_int_equal(stored->elapsed_ns, SECOND);
    run_unload(stored);
}

static void test_what_is_no_run_is_refused(void **state)
{
    (void)state;
    assert_unreadable("No such file");
    assert_true(file_write(dir, "x", 1, 0600));
    assert_unreadable("not a directory");
    assert_int_equal(unlink(dir), 0);
    assert_true(file_make_dir(dir));
    assert_unreadable("holds no run of tlsoak");
    write_text("run.json", "{\"schema\": \"k6.summary\"}", 24);
    assert_unreadable("not a run of tlsoak (its schema is \"k6.summary\")");
    write_text("run.json", "[1, 2]", 6);
    assert_unreadable("not a run of tlsoak");
    write_text("run.json", "17", 2);
    assert_unreadable("not a run of tlsoak");
    write_text("run.json", "{\"schema\": \"tlsoak.run/2\"}", 26);
    assert_unreadable("another version of tlsoak (tlsoak.run/2)");
    write_text("run.json", "{\"schema\": ", 11);
    assert_unreadable("not JSON");
    write_text("run.json", "", 0);
    assert_unreadable("not JSON");
    size_t len = 2u << 20;
    CLEANUP_FREE char *deep = xmalloc(len);
    memset(deep, '[', len);
    write_text("run.json", deep, len);
    assert_unreadable("can't be read");
    write_text("run.json", deep, 100000);
    assert_unreadable("not JSON");
    CLEANUP_FREE char *path = path_of("run.json");
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_unreadable("not a file");
}

static void test_hostile_run_json_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *old, *new, *expected;
    } changes[] = {
        {"\"name\": \"cache\"", "\"name\": \"../../../etc/x\"", "`sources`"},
        {"\"name\": \"cache\"", "\"name\": 7", "`sources`"},
        {"\"sources\": [", "\"sources\": [1,2,3,4,5,6,7,", "`sources`"},
        {"\"threads\": 4", "\"threads\": -4", "`threads`"},
        {"\"threads\": 4", "\"threads\": 1e300", "`threads`"},
        {"\"duration_s\": 60", "\"duration_s\": 1e11", "`duration_s`"},
        {"\"duration_s\": 60", "\"duration_s\": \"60\"", "`duration_s`"},
        {"\"elapsed_s\": ", "\"elapsed_s\": -", "`elapsed_s`"},
        {"\"seed\": \"1", "\"seed\": \"x", "`seed`"},
        {"\"version\": \"0.1.0\"", "\"version\": \"0.1.0 and much too long\"", "`version`"},
        {"\"started\": 300", "\"started\": -1", "`started`"},
        {"\"started\": 300", "\"started\": 1.5", "`started`"},
        {"\"started\": 300", "\"started\": 1e19", "`started`"},
        {"\"http_reset\": 9", "\"http_reset\": null", "`http_reset`"},
        {"\"2xx\": ", "\"2xx\": -", "`2xx`"},
        {"\"totals\": {", "\"totals\": [], \"x\": {", "`totals`"},
    };

    interval_free(make_run(3, true));
    CLEANUP_FREE char *good = text_of("run.json", NULL);
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        change("run.json", changes[i].old, changes[i].new);
        assert_unreadable(changes[i].expected);
        write_text("run.json", good, strlen(good));
    }
    run_unload(load());
    CLEANUP_FREE char *path = path_of("memory.cache.csv");
    assert_int_equal(unlink(path), 0);
    assert_unreadable("memory.cache.csv: is missing");
}

static void assert_latencies_as_logged(const struct interval *sums)
{
    struct stored_run *stored = load();
    const struct hist *hist = &stored->total->latency[LATENCY_RESPONSE];
    assert_int_equal(hist->max_ns, sums->latency[LATENCY_RESPONSE].max_ns);
    assert_true(fabs(hist_mean_ns(hist) / hist_mean_ns(&sums->latency[LATENCY_RESPONSE]) - 1) <
                1e-3);
    run_unload(stored);
}

/* Latency summaries that are not of these logs change nothing. */
static void test_foreign_latency_summary_is_not_believed(void **state)
{
    (void)state;
    struct interval *sums = make_run(3, true);

    change("run.json", "\"n\": 291", "\"n\": 290");
    change("run.json", "\"mean_us\": ", "\"mean_us\": 1, \"x\": ");
    assert_latencies_as_logged(sums);
    change("run.json", "\"n\": 290", "\"n\": 291");
    change("run.json", "\"max_us\": ", "\"max_us\": 9");
    assert_latencies_as_logged(sums);
    interval_free(sums);
}

/* The child: appends for ever and tells each whole second on the pipe. */
static _Noreturn void append_for_ever(int to_parent)
{
    struct run_meta meta = example_meta();
    struct diag *diag = diag_new();
    struct run *run = run_create(dir, &meta, "", diag);
    struct interval *sums = interval_new();

    for (uint64_t n = 0; run != NULL; n++) {
        append(run, sums, n, n + 1);
        if (write(to_parent, "x", 1) != 1) {
            break;
        }
    }
    _exit(1);
}

static void test_killed_at_any_moment_the_run_is_readable(void **state)
{
    (void)state;
    struct rng rng;

    rng_init(&rng, 17, "kill", 0);
    for (int round = 0; round < 25; round++) {
        int pipe_fds[2], status;
        uint64_t told = 0, wanted = 1 + rng_below(&rng, 25);
        char byte;
        assert_int_equal(pipe(pipe_fds), 0);
        pid_t child = fork();
        if (child == 0) {
            (void)close(pipe_fds[0]);
            append_for_ever(pipe_fds[1]);
        }
        assert_true(child > 0);
        (void)close(pipe_fds[1]);
        while (told < wanted && read(pipe_fds[0], &byte, 1) == 1) {
            told++;
        }
        for (volatile uint64_t spin = rng_below(&rng, 300000); spin > 0; spin--) {
        } /* so that the signal meets every part of a second's work */
        assert_int_equal(kill(child, SIGKILL), 0);
        while (read(pipe_fds[0], &byte, 1) == 1) {
            told++;
        }
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status));
        (void)close(pipe_fds[0]);
        assert_true(told >= wanted);

        struct stored_run *stored = load();
        assert_false(stored->meta.finished);
        assert_in_range(stored->n_ticks, told, told + 1);
        assert_int_equal(stored->total->count[COUNTER_STARTED], 100 * stored->n_ticks);
        assert_in_range(stored->total->latency[LATENCY_RESPONSE].n, 97 * told, 97 * (told + 1));
        assert_in_range(stored->torn_lines, 0, 1);
        run_unload(stored);
        (void)remove_run(NULL);
    }
}

static void limit_files(rlim_t bytes)
{
    struct rlimit limit;

    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = bytes == 0 ? limit.rlim_max : bytes;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

/* A disk that takes no more: said once, the run goes on, and its end still fits. */
static void test_full_disk(void **state)
{
    (void)state;
    struct run_meta meta = example_meta();
    struct run *run = create(&meta);
    struct interval *sums = interval_new(), *tick = interval_new();
    struct rng rng;
    uint64_t n_refused = 0, first_refused = 0;
    struct stat st;

    (void)signal(SIGXFSZ, SIG_IGN);
    limit_files(12000);
    rng_init(&rng, 1, "full", 0);
    for (uint64_t n = 0; n < 100; n++) {
        fill_tick(tick, n, &rng);
        add_tick(sums, tick);
        if (!run_tick(run, tick, sums)) {
            n_refused++;
            first_refused = n;
        }
        struct reading reading = example_reading(tick->end_ns, 0);
        assert_true(run_reading(run, &reading, sums));
    }
    meta.finished = true;
    CLEANUP_FREE char *reserve = path_of(".reserve");
    assert_int_equal(stat(reserve, &st), 0);
    assert_true(st.st_size >= 1 << 20);
    bool finished = run_finish(run, &meta, sums);
    limit_files(0);
    assert_int_not_equal(stat(reserve, &st), 0); /* given up for run.json */
    run_free(run);
    assert_true(finished);
    assert_int_equal(n_refused, 1);
    assert_in_range(first_refused, 2, 90);
    struct stored_run *stored = load();
    assert_true(stored->meta.finished);
    assert_non_null(strstr(stored->meta.invalid, "the disk refused a record after "));
    assert_in_range(stored->n_ticks, first_refused, first_refused + 1);
    assert_int_equal(stored->torn_lines, 0);
    assert_same_counts(stored->total, sums);
    run_unload(stored);
    interval_free(sums);
    interval_free(tick);
}

/* A disk without room for the reserve is told before the start. */
static void test_no_room_at_the_start(void **state)
{
    (void)state;
    struct run_meta meta = example_meta();
    struct diag *diag = diag_new();

    (void)signal(SIGXFSZ, SIG_IGN);
    limit_files(100000);
    struct run *run = run_create(dir, &meta, "", diag);
    limit_files(0);
    assert_null(run);
    assert_int_equal(diag_count(diag), 1);
    assert_non_null(strstr(diag_text(diag, 0), "can't be written: File too large"));
    diag_free(diag);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_torn_last_lines_are_dropped),
        TEST(test_malformed_ticks_are_refused),
        TEST(test_other_columns_are_tolerated),
        TEST(test_what_is_no_run_is_refused),
        TEST(test_hostile_run_json_is_refused),
        TEST(test_foreign_latency_summary_is_not_believed),
        TEST(test_killed_at_any_moment_the_run_is_readable),
        TEST(test_full_disk),
        TEST(test_no_room_at_the_start),
    };
    return cmocka_run_group_tests(tests, make_base, remove_base);
}
