#include "judge/series.h"

#include "base/file.h"
#include "base/mem.h"
#include "base/sink.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#define KIB 1024.0

struct loaded {
    size_t n;
    struct series *series;
    struct diag *diag;
    char path[64];
    char notes[2048];
};

static void gather(const char *text, void *context)
{
    struct loaded *l = context;
    size_t len = strlen(l->notes);
    snprintf(l->notes + len, sizeof l->notes - len, "%s\n", text);
}

static struct loaded load_bytes(const char *text, size_t len)
{
    struct loaded l = {.diag = diag_new()};
    snprintf(l.path, sizeof l.path, "/tmp/series-XXXXXX");
    int fd = mkstemp(l.path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, len), (ssize_t)len);
    close(fd);
    l.n = series_load(l.path, &l.series, gather, &l, l.diag);
    return l;
}

static struct loaded load(const char *text)
{
    return load_bytes(text, strlen(text));
}

static void unload(struct loaded *l)
{
    unlink(l->path);
    if (l->n > 0) {
        free(l->series);
    }
    diag_free(l->diag);
}

static void expect_mistake(const char *text, int line, const char *what)
{
    struct loaded l = load(text);
    char where[80];
    snprintf(where, sizeof where, "%s:%d: ", l.path, line);
    assert_int_equal(l.n, 0);
    assert_true(diag_count(l.diag) >= 1);
    if (strncmp(diag_text(l.diag, 0), where, strlen(where)) != 0 ||
        strstr(diag_text(l.diag, 0), what) == NULL) {
        fail_msg("\"%s\" is not the mistake expected (%s%s)", diag_text(l.diag, 0), where, what);
    }
    unload(&l);
}

static void store_halves_when_full(void **state)
{
    static struct series s;
    double x[DRIVER_COUNT] = {0};
    (void)state;
    series_init(&s);
    for (size_t i = 0; i < 5 * SERIES_BUCKETS; i++) {
        x[DRIVER_REQUEST] = (double)(10 * i);
        series_add(&s, (double)i, i == 4000 ? 1 : 1000 + (double)i, x, 7, 0);
    }
    assert_int_equal(s.width, 8);
    assert_int_equal(s.n, 5 * SERIES_BUCKETS / 8);
    assert_int_equal(s.n_readings, 5 * SERIES_BUCKETS);
    for (size_t i = 0; i < s.n; i++) {
        double last = (double)(8 * i + 7);
        assert_int_equal(s.count[i], 8);
        assert_true(s.t[i] == last);
        assert_true(s.x[DRIVER_REQUEST][i] == 10 * last);
        assert_true(s.open[i] == 7);
        if (i != 500) {
            assert_float_equal(s.y[i], 1000 + last - 3.5, 1e-6);
            assert_true(s.y_min[i] == 1000 + last - 7);
        }
    }
    assert_true(s.y_min[500] == 1);
}

static void store_keeps_incarnations_apart(void **state)
{
    static struct series s;
    double x[DRIVER_COUNT] = {0};
    (void)state;
    series_init(&s);
    for (size_t i = 0; i < 3 * SERIES_BUCKETS; i++) {
        series_add(&s, (double)i, i < 1001 ? 100 : 900, x, 0, i >= 1001);
    }
    for (size_t i = 0; i < s.n; i++) {
        assert_true(s.y[i] == (s.part[i] == 0 ? 100 : 900));
    }
}

/* A server that restarts at every reading must not make the store overflow or loop. */
static void store_survives_restarts_without_end(void **state)
{
    static struct series s;
    double x[DRIVER_COUNT] = {0};
    (void)state;
    series_init(&s);
    for (int i = 0; i < 3 * SERIES_BUCKETS; i++) {
        series_add(&s, i, 100, x, 0, i);
    }
    assert_in_range(s.n, 1, SERIES_BUCKETS);
}

static void append_rows(struct sink *sink, int n)
{
    for (int i = 0; i < n; i++) {
        sink_printf(sink, "%d,%d,%d,%d\n", i, 5000 + i, 2000 + i, 10 * i);
    }
}

static void reads_aliases_units_and_the_best_metric_first(void **state)
{
    (void)state;
    struct sink *sink = sink_new();
    sink_printf(
        sink,
        "# runtime jvm\n# source web\n\xEF\xBB\xBFtime_s, \"rss_kb\",anon_kb,unique_certs,x\n");
    for (int i = 0; i < 50; i++) {
        sink_printf(sink, "%d,%d,%d,%d,9\r\n", i, 5000 + i, 2000 + i, 10 * i);
    }
    struct loaded l = load(sink_text(sink, NULL));
    assert_int_equal(l.n, 2);
    assert_string_equal(l.series[0].metric, "anon_kb");
    assert_string_equal(l.series[1].metric, "rss_kb");
    assert_string_equal(l.series[0].source, "web");
    assert_string_equal(l.series[0].runtime, "jvm");
    assert_true(l.series[0].collected);
    assert_true(l.series[0].y[3] == 2003 * KIB);
    assert_true(l.series[1].y[3] == 5003 * KIB);
    assert_true(l.series[0].has[DRIVER_CLIENT_CERTIFICATE]);
    assert_false(l.series[0].has[DRIVER_JWT]);
    assert_true(l.series[0].x[DRIVER_CLIENT_CERTIFICATE][3] == 30);
    assert_non_null(strstr(l.notes, ":3: \"x\": unknown column"));
    unload(&l);
    sink_free(sink);
}

static void leaves_out_a_metric_that_is_read_too_seldom(void **state)
{
    (void)state;
    struct sink *sink = sink_new();
    sink_printf(sink, "time_s,anon_bytes,private_dirty_bytes,rss_bytes,source\n");
    for (int i = 0; i < 100; i++) {
        sink_printf(sink, i % 10 == 0 ? "%d,500,,900,a\n" : "%d,,,900,a\n", i);
    }
    struct loaded l = load(sink_text(sink, NULL));
    assert_int_equal(l.n, 1);
    assert_string_equal(l.series[0].metric, "rss_bytes");
    assert_string_equal(l.series[0].source, "a");
    unload(&l);
    sink_free(sink);
}

static void hands_over_a_short_series_all_the_same(void **state)
{
    (void)state;
    struct loaded l = load("time_s,rss_kb,anon_kb\n0,5,\n1,6,2\n2,,3\n3,0,4\n4,7,");
    assert_int_equal(l.n, 1);
    assert_int_equal(l.series[0].n_readings + l.series[0].n_gaps, 5);
    assert_int_equal(l.series[0].n_readings, 3);
    unload(&l);
}

static void sees_restarts(void **state)
{
    (void)state;
    struct loaded l = load("time_s,rss_kb,incarnation,requests,open\n"
                           "0,5,11:90,0,4\n1,5,11:90,10,4\n2,,,20,4\n3,5,11:90,30,4\n"
                           "4,5,12:95,40,4\n5,5,12:95,3,4\n6,5,12:95,4,4\n");
    assert_int_equal(l.n, 1);
    assert_int_equal(l.series[0].part[2], 0);
    assert_int_equal(l.series[0].part[3], 1);
    assert_int_equal(l.series[0].part[4], 2);
    assert_int_equal(l.series[0].part[5], 2);
    assert_true(l.series[0].open[0] == 4);
    assert_non_null(strstr(l.notes, ":7: \"requests\": the counter begins again"));
    unload(&l);
}

static void goes_on_when_the_clock_steps_back(void **state)
{
    (void)state;
    struct loaded l = load("time_s,rss_kb\n100,1\n101,2\n41,3\n42,4\n43,5\n43,6\n44,7\n");
    assert_int_equal(l.n, 1);
    assert_int_equal(l.series[0].n, 5);
    assert_int_equal(l.series[0].n_gaps, 2);
    assert_true(l.series[0].t[2] == 102);
    assert_true(l.series[0].t[4] == 104);
    assert_non_null(strstr(l.notes, ":4: \"time_s\": the clock steps back"));
    unload(&l);
}

static void drops_a_torn_last_line(void **state)
{
    (void)state;
    struct loaded l = load("time_s,rss_kb,requests\n0,1,10\n1,2,20\n2,3");
    assert_int_equal(l.series[0].n, 2);
    unload(&l);
    l = load("time_s,rss_kb,requests\n0,1,10\n1,2,20\n2,3,2");
    assert_int_equal(l.series[0].n, 2);
    unload(&l);
    l = load("time_s,rss_kb,requests\n0,1,10\n1,2,20\n2,3,30");
    assert_int_equal(l.series[0].n, 3);
    unload(&l);
}

static void names_mistakes_with_their_line(void **state)
{
    (void)state;
    expect_mistake("", 1, "no header line");
    expect_mistake("# only a comment\n", 1, "no header line");
    expect_mistake("time_s,rss_kb\n", 1, "no readings");
    expect_mistake("rss_kb,requests\n1,2\n", 1, "no column time_s");
    expect_mistake("time_s,requests\n1,2\n", 1, "no memory column");
    expect_mistake("time_s,rss_mb\n1,2\n", 1, "_bytes or _kb");
    expect_mistake("time_s,rss\n1,2\n", 1, "_bytes or _kb");
    expect_mistake("time_s,rss_kb,rss_kb\n1,2,3\n", 1, "named twice");
    expect_mistake("time_s,rss_kb,requests,requests_done\n1,2,3,4\n", 1, "named twice");
    expect_mistake("time_s,rss_kb\n1,2\nnan,2\n", 3, "not a finite number");
    expect_mistake("time_s,rss_kb\n1,2\n2,inf\n", 3, "column rss_kb is not a finite number");
    expect_mistake("time_s,rss_kb\n1,2\n2,1e999\n", 3, "not a finite number");
    expect_mistake("time_s,rss_kb\n1,2\n,3\n", 3, "time_s is missing");
    expect_mistake("time_s,rss_kb\n1,2,3\n", 2, "3 fields where the header has 2 columns");
}

static void stops_after_twenty_mistakes(void **state)
{
    (void)state;
    struct sink *sink = sink_new();
    sink_printf(sink, "time_s,rss_kb\n");
    for (int i = 0; i < 1000; i++) {
        sink_printf(sink, "x,1\n");
    }
    struct loaded l = load(sink_text(sink, NULL));
    assert_int_equal(l.n, 0);
    assert_int_equal(diag_count(l.diag), 21);
    unload(&l);
    sink_free(sink);
}

static void refuses_a_line_without_end_and_binary(void **state)
{
    (void)state;
    size_t len = 200000;
    CLEANUP_FREE char *line = xmalloc(len);
    memset(line, '1', len);
    struct loaded l = load_bytes(line, len);
    assert_int_equal(l.n, 0);
    assert_non_null(strstr(diag_text(l.diag, 0), "longer than 64 KiB"));
    unload(&l);
    memset(line, 0, len);
    l = load_bytes(line, len);
    assert_int_equal(l.n, 0);
    assert_true(diag_count(l.diag) > 0);
    unload(&l);
}

static void says_that_a_file_is_missing(void **state)
{
    struct series *series = NULL;
    struct diag *diag = diag_new();
    (void)state;
    assert_int_equal(series_load("/nonexistent/series.csv", &series, NULL, NULL, diag), 0);
    assert_non_null(strstr(diag_text(diag, 0), "No such file"));
    diag_free(diag);
}

static void reads_any_length_into_the_same_memory(void **state)
{
    (void)state;
    const int rows = 300000;
    struct sink *sink = sink_new();
    sink_printf(sink, "time_s,rss_bytes,anon_bytes,requests\n");
    append_rows(sink, rows);
    struct loaded l = load(sink_text(sink, NULL));
    assert_int_equal(l.n, 2);
    assert_int_equal(l.series[0].n_readings, rows);
    assert_in_range(l.series[0].n, SERIES_BUCKETS / 2, SERIES_BUCKETS);
    assert_true(l.series[0].t[l.series[0].n - 1] == rows - 1);
    assert_true(l.series[0].x[DRIVER_REQUEST][l.series[0].n - 1] == 10 * (rows - 1));
    unload(&l);
    sink_free(sink);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(store_halves_when_full),
        cmocka_unit_test(store_keeps_incarnations_apart),
        cmocka_unit_test(store_survives_restarts_without_end),
        cmocka_unit_test(reads_aliases_units_and_the_best_metric_first),
        cmocka_unit_test(leaves_out_a_metric_that_is_read_too_seldom),
        cmocka_unit_test(hands_over_a_short_series_all_the_same),
        cmocka_unit_test(sees_restarts),
        cmocka_unit_test(goes_on_when_the_clock_steps_back),
        cmocka_unit_test(drops_a_torn_last_line),
        cmocka_unit_test(names_mistakes_with_their_line),
        cmocka_unit_test(stops_after_twenty_mistakes),
        cmocka_unit_test(refuses_a_line_without_end_and_binary),
        cmocka_unit_test(says_that_a_file_is_missing),
        cmocka_unit_test(reads_any_length_into_the_same_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
