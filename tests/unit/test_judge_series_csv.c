#include "series_kit.h"

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
    sink_printf(sink, "\xEF\xBB\xBF# runtime jvm\n# source web\n"
                      "time_s, \"rss_kb\",limit_kb,anon_kb,unique_certs,x,\"a, \"\"b\"\"\"\n");
    for (int i = 0; i < 50; i++) {
        sink_printf(sink, "%d,%d,90000,\"%d\",%d,9,\"p,q\"\r\n", i, 5000 + i, 2000 + i, 10 * i);
    }
    struct loaded l = load(sink_text(sink, NULL));
    assert_int_equal(diag_count(l.diag), 0);
    assert_int_equal(l.n, 3);
    assert_string_equal(l.series[0].metric, "anon_kb");
    assert_string_equal(l.series[1].metric, "rss_kb");
    assert_string_equal(l.series[2].metric, "limit_kb");
    assert_string_equal(l.series[0].source, "web");
    assert_string_equal(l.series[0].runtime, "jvm");
    assert_true(l.series[0].collected);
    assert_true(l.series[0].y[3] == 2003 * KIB);
    assert_true(l.series[1].y[3] == 5003 * KIB);
    assert_true(l.series[0].has[DRIVER_CLIENT_CERTIFICATE]);
    assert_false(l.series[0].has[DRIVER_JWT]);
    assert_true(l.series[0].x[DRIVER_CLIENT_CERTIFICATE][3] == 30);
    assert_string_equal(l.series[0].left_out, "x, a, \"b\"");
    assert_string_equal(l.notes, "");
    unload(&l);
    sink_free(sink);
}

/* What a profile chose goes before what is better by its name, however little was read of it. */
static void takes_the_metric_that_was_chosen(void **state)
{
    (void)state;
    struct sink *sink = sink_new();
    sink_printf(sink, "# metric cgroup_sock_bytes\n# limit 123456\n# limit none\n# limit 5e8\n"
                      "time_s,anon_bytes,cgroup_sock_bytes\n");
    for (int i = 0; i < 50; i++) {
        sink_printf(sink, "%d,%d,%s\n", i, 5000000 + i, i < 5 ? "0" : "");
    }
    struct loaded l = load(sink_text(sink, NULL));
    assert_int_equal(diag_count(l.diag), 0);
    assert_int_equal(l.n, 2);
    assert_string_equal(l.series[0].metric, "cgroup_sock_bytes");
    assert_true(l.series[0].chosen && !l.series[1].chosen);
    assert_true(l.series[0].limit_bytes == 5e8);
    assert_int_equal(l.series[0].n_readings, 5); /* nothing is an amount here, and no gap */
    assert_int_equal(l.series[0].n_gaps, 45);
    unload(&l);
    sink_free(sink);
}

static void reads_lines_that_end_in_cr(void **state)
{
    (void)state;
    struct loaded l = load("time_s,rss_kb\r0,5000\r1,5001\r");
    assert_int_equal(l.n, 1);
    assert_int_equal(l.series[0].n_readings, 2);
    unload(&l);
}

/* All that was left out is told, in bounded room. */
static void names_what_it_left_out(void **state)
{
    (void)state;
    struct sink *sink = sink_new();
    sink_printf(sink, "time_s,rss_kb");
    for (int i = 0; i < 50; i++) {
        sink_printf(sink, ",unknown_%d", i);
    }
    sink_printf(sink, "\n0,5000");
    for (int i = 0; i < 50; i++) {
        sink_printf(sink, ",%d", i);
    }
    sink_printf(sink, "\n");
    struct loaded l = load(sink_text(sink, NULL));
    assert_int_equal(l.n, 1);
    assert_non_null(strstr(l.series[0].left_out, "unknown_0, unknown_1, "));
    assert_string_equal(l.series[0].left_out + strlen(l.series[0].left_out) - 5, ", ...");
    unload(&l);
    sink_free(sink);
}

static void leaves_out_a_metric_that_is_read_too_seldom(void **state)
{
    (void)state;
    struct sink *sink = sink_new();
    sink_printf(sink, "time_s,anon_bytes,private_dirty_bytes,rss_bytes,source\n");
    for (int i = 0; i < 100; i++) {
        sink_printf(sink, i % 10 == 0 ? "%d,50000,,90000,a\n" : "%d,,,90000,a\n", i);
    }
    struct loaded l = load(sink_text(sink, NULL));
    assert_int_equal(l.n, 1);
    assert_string_equal(l.series[0].metric, "rss_bytes");
    assert_string_equal(l.series[0].source, "a");
    unload(&l);
    sink_free(sink);
}

static void keeps_sources_apart(void **state)
{
    (void)state;
    struct sink *sink = sink_new();
    sink_printf(sink, "# source own\ntime_s,source,anon_bytes,rss_bytes,requests\n");
    for (int i = 0; i < 100; i++) {
        sink_printf(sink, "%d,a,50000,90000,%d\n%d,,60000,80000,%d\n%d,b,70000,,%d\n", i, 10 * i, i,
                    20 * i, i, 30 * i);
    }
    struct loaded l = load(sink_text(sink, NULL));
    assert_int_equal(l.n, 5);
    assert_string_equal(l.series[0].source, "a");
    assert_string_equal(l.series[1].source, "a");
    assert_string_equal(l.series[2].source, "own");
    assert_string_equal(l.series[4].source, "b");
    assert_true(l.series[2].y[7] == 60000);
    assert_true(l.series[4].y[7] == 70000);
    assert_true(l.series[4].x[DRIVER_REQUEST][7] == 210);
    assert_int_equal(l.series[4].part[99], 0);
    unload(&l);
    sink_free(sink);
}

static void hands_over_a_short_series_all_the_same(void **state)
{
    (void)state;
    struct loaded l = load("time_s,rss_kb,anon_kb\n0,5,\n1,6,2\n2,,3\n3,0,4\n4,7,\n5,-9,7\n");
    assert_int_equal(l.n, 1);
    assert_int_equal(l.series[0].n_readings + l.series[0].n_gaps, 6);
    assert_int_equal(l.series[0].n_readings, 4);
    unload(&l);
}

static void gives_a_series_without_readings_for_zeros(void **state)
{
    (void)state;
    struct loaded l = load("time_s,rss_kb\n0,0\n1,0\n2,\n");
    assert_int_equal(l.n, 1);
    assert_int_equal(l.series[0].n_readings, 0);
    assert_int_equal(l.series[0].n_gaps, 3);
    unload(&l);
}

static void sees_restarts(void **state)
{
    (void)state;
    struct loaded l = load("time_s,rss_kb,requests,open\n"
                           "0,50,0,4\n1,50,10,4\n2,,20,4\n3,50,3,4\n4,50,4,4\n");
    assert_int_equal(l.n, 1);
    assert_int_equal(l.series[0].part[1], 0);
    assert_int_equal(l.series[0].part[2], 1);
    assert_int_equal(l.series[0].part[3], 1);
    assert_true(l.series[0].open[0] == 4);
    assert_non_null(
        strstr(l.notes, ":5: \"requests\": the counter begins again: taken as a restart"));
    unload(&l);
}

/* Incarnations say when the server restarted; then a counter that falls is the load's own. */
static void believes_incarnations_before_counters(void **state)
{
    (void)state;
    struct loaded l = load("time_s,rss_kb,incarnation,requests\n"
                           "0,50,11:90,0\n1,50,11:90,10\n2,,,20\n3,50,11:90,3\n4,50,11:90,5\n"
                           "5,50,12:95,6\n6,50,12:95,7\n");
    assert_int_equal(l.n, 1);
    assert_int_equal(l.series[0].part[3], 0);
    assert_int_equal(l.series[0].part[4], 1);
    assert_int_equal(l.series[0].part[5], 1);
    assert_true(l.series[0].x[DRIVER_REQUEST][2] == 23);
    assert_true(l.series[0].x[DRIVER_REQUEST][5] == 27);
    assert_non_null(strstr(l.notes, ":5: \"requests\": the counter begins again in the same"));
    unload(&l);
}

static void goes_on_when_the_clock_steps_back(void **state)
{
    (void)state;
    struct loaded l = load("time_s,rss_kb\n100,10\n101,20\n41,30\n42,40\n43,50\n43,60\n44,70\n");
    assert_int_equal(l.n, 1);
    assert_int_equal(l.series[0].n, 5);
    assert_int_equal(l.series[0].n_gaps, 2);
    assert_true(l.series[0].t[2] == 102);
    assert_true(l.series[0].t[4] == 104);
    assert_non_null(strstr(l.notes, ":4: \"time_s\": the clock steps back"));
    unload(&l);
}

/* A year between two readings would make any growth look slow. */
static void takes_out_a_step_forward(void **state)
{
    (void)state;
    struct sink *sink = sink_new();
    sink_printf(sink, "time_s,rss_kb\n");
    for (int i = 0; i < 100; i++) {
        sink_printf(sink, "%d,%d\n",
                    i < 60   ? 2 * i
                    : i < 80 ? 2 * i + 1000
                             : 2 * i + 31536000,
                    5000 + i);
    }
    struct loaded l = load(sink_text(sink, NULL));
    assert_int_equal(l.n, 1);
    for (size_t i = 0; i < 100; i++) {
        assert_float_equal(l.series[0].t[i], 2.0 * (double)i, 0.1);
        assert_true(l.series[0].x[DRIVER_TIME][i] == l.series[0].t[i]);
    }
    assert_non_null(strstr(l.notes, "taken as a step of the clock"));
    unload(&l);
    sink_free(sink);
}

/* Seconds since 1970 lose no digits. */
static void counts_far_times_from_the_first_row(void **state)
{
    (void)state;
    struct loaded l = load("time_s,rss_kb\n1763700000.25,50\n1763700001.25,50\n1763700003.25,50\n");
    assert_int_equal(l.n, 1);
    assert_true(l.series[0].t[0] == 0);
    assert_true(l.series[0].t[2] == 3);
    unload(&l);
}

/* A number that is cut short is another number, so a line without its end is not believed. */
static void drops_a_torn_last_line(void **state)
{
    static const char *const ends[] = {"2,3", "2,3,2", "2,30,30", "2,30,\"3"};
    (void)state;
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        CLEANUP_FREE char *text =
            xasprintf("time_s,rss_kb,requests\n0,10,10\n1,20,20\n%s", ends[i]);
        struct loaded l = load(text);
        assert_int_equal(l.n, 1);
        assert_int_equal(l.series[0].n, 2);
        assert_non_null(strstr(l.notes, ":4: \"2\": the last line has no end"));
        unload(&l);
    }
}

static void names_mistakes_with_their_line(void **state)
{
    (void)state;
    expect_mistake("", 1, "no header line");
    expect_mistake("# only a comment\n", 1, "no header line");
    expect_mistake("time_s,rss_kb\n", 1, "no readings");
    expect_mistake("time_s,rss_kb", 1, "no readings");
    expect_mistake("\n\nrss_kb,requests\n1,2\n", 3, "no column time_s");
    expect_mistake("time_s,requests\n1,2\n", 1, "no memory column");
    expect_mistake("time_s,rss_mb\n1,2\n", 1, "_bytes or _kb");
    expect_mistake("time_s,rss\n1,2\n", 1, "_bytes or _kb");
    expect_mistake("time_s;rss_kb\n1;2\n", 1, "separated by commas");
    expect_mistake("time_s,rss_kb,rss_kb\n1,2,3\n", 1, "named twice");
    expect_mistake("time_s,time_s,rss_kb\n1,2,3\n", 1, "named twice");
    expect_mistake("time_s,rss_kb,requests,requests_done\n1,2,3,4\n", 1, "named twice");
    expect_mistake("time_s,\"rss_kb\n1,2\n", 1, "a quote does not end");
    expect_mistake("time_s,rss_kb\n1,\"2\"3\n", 2, "a quote does not end");
}

static void names_mistaken_values_with_their_line(void **state)
{
    (void)state;
    expect_mistake("time_s,rss_kb\n1,2\nnan,2\n", 3, "not a finite number");
    expect_mistake("time_s,rss_kb\n1,2\n2,inf\n", 3, "column rss_kb is not a finite number");
    expect_mistake("time_s,rss_kb\n1,2\n2,1e999\n", 3, "not a finite number");
    expect_mistake("time_s,rss_kb\n1,2\n2,0x10\n", 3, "not a finite number");
    expect_mistake("time_s,rss_kb\n1,2\n,3\n", 3, "time_s is missing");
    expect_mistake("time_s,rss_kb\n1,2,3\n", 2, "3 fields where the header has 2 columns");
    expect_mistake("time_s,rss_kb,requests\n1,2\n", 2, "2 fields where the header has 3 columns");
    expect_mistake("time_s,rss_kb,requests\n1,2,-1\n", 2, "neither negative");
    expect_mistake("time_s,rss_kb,requests\n1,2,NaN\n", 2, "column requests is not a finite");
    expect_mistake("time_s,rss_kb\n1763700000250,50\n", 2, "milliseconds");
}

static void refuses_another_unit(void **state)
{
    (void)state;
    expect_mistake("# megabytes\ntime_s,anon_bytes\n1,35.2\n2,35.3\n", 2, "less than a page");
    expect_mistake("time_s,anon_kb\n1,5000000000000\n2,5000000000000\n", 1, "more than a PiB");
    expect_mistake("time_s,limit_bytes\n1,536870912\n2,536870912\n", 1, "show no growth");
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

static void stops_after_twenty_notes(void **state)
{
    (void)state;
    struct sink *sink = sink_new();
    sink_printf(sink, "time_s,rss_kb\n");
    for (int i = 1000; i > 0; i--) {
        sink_printf(sink, "%d,50\n", i);
    }
    struct loaded l = load(sink_text(sink, NULL));
    size_t lines = 0;
    for (const char *c = l.notes; *c != '\0'; c++) {
        lines += *c == '\n';
    }
    assert_int_equal(l.n, 1);
    assert_int_equal(l.series[0].n_readings, 1);
    assert_int_equal(l.series[0].n_gaps, 999);
    assert_int_equal(lines, 21);
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
    assert_non_null(strstr(diag_text(l.diag, 0), ":1: holds a NUL byte"));
    unload(&l);
    static const char hidden[] = "time_s,rss_kb\n0,5000\n1,5000\0,7\n";
    l = load_bytes(hidden, sizeof hidden - 1);
    assert_int_equal(l.n, 0);
    assert_non_null(strstr(diag_text(l.diag, 0), ":3: holds a NUL byte"));
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
        cmocka_unit_test(reads_aliases_units_and_the_best_metric_first),
        cmocka_unit_test(takes_the_metric_that_was_chosen),
        cmocka_unit_test(reads_lines_that_end_in_cr),
        cmocka_unit_test(names_what_it_left_out),
        cmocka_unit_test(leaves_out_a_metric_that_is_read_too_seldom),
        cmocka_unit_test(keeps_sources_apart),
        cmocka_unit_test(hands_over_a_short_series_all_the_same),
        cmocka_unit_test(gives_a_series_without_readings_for_zeros),
        cmocka_unit_test(sees_restarts),
        cmocka_unit_test(believes_incarnations_before_counters),
        cmocka_unit_test(goes_on_when_the_clock_steps_back),
        cmocka_unit_test(takes_out_a_step_forward),
        cmocka_unit_test(counts_far_times_from_the_first_row),
        cmocka_unit_test(drops_a_torn_last_line),
        cmocka_unit_test(names_mistakes_with_their_line),
        cmocka_unit_test(names_mistaken_values_with_their_line),
        cmocka_unit_test(refuses_another_unit),
        cmocka_unit_test(stops_after_twenty_mistakes),
        cmocka_unit_test(stops_after_twenty_notes),
        cmocka_unit_test(refuses_a_line_without_end_and_binary),
        cmocka_unit_test(says_that_a_file_is_missing),
        cmocka_unit_test(reads_any_length_into_the_same_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
