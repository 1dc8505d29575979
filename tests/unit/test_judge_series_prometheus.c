#include "series_kit.h"

#define HEAD "{\"status\":\"success\",\"data\":{\"resultType\":\"matrix\",\"result\":["
#define TAIL "]}}"
#define T0   1763700000.25

/* One result: `labels` as in {"__name__":...}; values first + each * i, `n` of them, 15 s apart. */
static void put(struct sink *sink, const char *labels, int n, double first, double each)
{
    size_t len;
    const char *text = sink_text(sink, &len);
    sink_printf(sink, "%s{\"metric\":{%s},\"values\":[", text[len - 1] == '}' ? "," : "", labels);
    for (int i = 0; i < n; i++) {
        sink_printf(sink, "%s[%.2f,\"%.17g\"]", i > 0 ? "," : "", T0 + 15 * i, first + each * i);
    }
    sink_printf(sink, "]}");
}

static struct loaded load_answer(struct sink *sink)
{
    sink_printf(sink, TAIL);
    struct loaded l = load(sink_text(sink, NULL));
    sink_free(sink);
    return l;
}

static struct sink *begin(void)
{
    struct sink *sink = sink_new();
    sink_printf(sink, HEAD);
    return sink;
}

static void reads_memory_and_counters(void **state)
{
    (void)state;
    struct sink *sink = begin();
    put(sink, "\"__name__\":\"process_resident_memory_bytes\",\"instance\":\"a:1\"", 50, 5e7, 4096);
    put(sink, "\"__name__\":\"process_virtual_memory_max_bytes\",\"instance\":\"a:1\"", 50, 1.8e19,
        0);
    put(sink, "\"__name__\":\"requests_total\",\"instance\":\"a:1\",\"code\":\"200\"", 50, 10, 10);
    put(sink, "\"__name__\":\"requests_total\",\"instance\":\"a:1\",\"code\":\"500\"", 50, 0, 1);
    put(sink, "\"__name__\":\"unique_certs\",\"job\":\"load\"", 50, 0, 2);
    struct loaded l = load_answer(sink);
    assert_int_equal(diag_count(l.diag), 0);
    assert_int_equal(l.n, 1);
    const struct series *s = &l.series[0];
    assert_string_equal(s->metric, "process_resident_memory_bytes");
    assert_string_equal(s->source, "a:1");
    assert_string_equal(s->left_out, "process_virtual_memory_max_bytes");
    assert_int_equal(s->n_readings, 50);
    assert_true(s->t[0] == 0);
    assert_true(s->t[49] == 49 * 15);
    assert_true(s->y[49] == 5e7 + 49 * 4096);
    assert_true(s->has[DRIVER_REQUEST]);
    assert_true(s->x[DRIVER_REQUEST][49] == 10 + 490 + 49);
    assert_true(s->x[DRIVER_CLIENT_CERTIFICATE][49] == 98);
    assert_false(s->has[DRIVER_JWT]);
    assert_int_equal(s->part[49], 0);
    unload(&l);
}

static void judges_the_best_metric_of_each_server(void **state)
{
    (void)state;
    struct sink *sink = begin();
    put(sink,
        "\"__name__\":\"container_memory_working_set_bytes\",\"pod\":\"p\",\"container\":\"c\"", 50,
        9e7, 0);
    put(sink, "\"__name__\":\"container_memory_rss\",\"pod\":\"p\",\"container\":\"c\"", 50, 5e7,
        0);
    put(sink, "\"__name__\":\"container_memory_rss\",\"pod\":\"p\",\"container\":\"POD\"", 50, 1e6,
        0);
    put(sink, "\"__name__\":\"process_resident_memory_bytes\",\"instance\":\"b:1\"", 50, 6e7, 0);
    put(sink, "\"__name__\":\"go_memstats_heap_inuse_bytes\",\"instance\":\"b:1\"", 50, 2e7, 0);
    put(sink, "\"__name__\":\"go_memstats_alloc_bytes_total\",\"instance\":\"b:1\"", 50, 2e7, 5e6);
    struct loaded l = load_answer(sink);
    assert_int_equal(l.n, 4);
    assert_string_equal(l.series[0].source, "p/c");
    assert_string_equal(l.series[0].metric, "container_memory_rss");
    assert_true(l.series[0].y[0] == 5e7);
    assert_string_equal(l.series[1].metric, "container_memory_working_set_bytes");
    assert_string_equal(l.series[2].source, "b:1");
    assert_string_equal(l.series[2].metric, "go_memstats_heap_inuse_bytes");
    assert_string_equal(l.series[2].runtime, "go");
    assert_string_equal(l.series[3].metric, "process_resident_memory_bytes");
    assert_non_null(strstr(l.series[0].left_out, "go_memstats_alloc_bytes_total"));
    unload(&l);
}

static void sums_the_pools_of_a_heap(void **state)
{
    (void)state;
    struct sink *sink = begin();
    put(sink, "\"__name__\":\"jvm_memory_used_bytes\",\"area\":\"heap\",\"id\":\"Eden\"", 50, 5e7,
        0);
    put(sink, "\"__name__\":\"jvm_memory_used_bytes\",\"area\":\"heap\",\"id\":\"Old\"", 50, 2e7,
        1e3);
    put(sink, "\"__name__\":\"jvm_memory_used_bytes\",\"area\":\"nonheap\",\"id\":\"x\"", 50, 9e7,
        0);
    struct loaded l = load_answer(sink);
    assert_int_equal(l.n, 1);
    assert_true(l.series[0].y[10] == 7e7 + 1e4);
    assert_string_equal(l.series[0].runtime, "jvm");
    assert_true(l.series[0].collected);
    unload(&l);
}

static void sees_restarts_by_the_start_time(void **state)
{
    (void)state;
    struct loaded l = load(HEAD "{\"metric\":{\"__name__\":\"process_start_time_seconds\"},"
                                "\"values\":[[100,\"1\"],[115,\"1\"],[130,\"99\"]]},"
                                "{\"metric\":{\"__name__\":\"process_resident_memory_bytes\"},"
                                "\"values\":[[100,\"50000\"],[115,\"NaN\"],[130,\"+Inf\"],[145,"
                                "\"60000\"],[160,\"0\"]]}" TAIL);
    assert_int_equal(l.n, 1);
    assert_int_equal(l.series[0].n, 2);
    assert_int_equal(l.series[0].n_gaps, 3);
    assert_int_equal(l.series[0].part[0], 0);
    assert_int_equal(l.series[0].part[1], 1);
    unload(&l);
}

/* promtool prints the list of results alone. */
static void reads_a_bare_list(void **state)
{
    (void)state;
    struct loaded l = load(" \n[{\"metric\":{\"__name__\":\"process_resident_memory_bytes\"},"
                           "\"values\":[[100,\"50000\"],[115,\"50000\"]]}]\n");
    assert_int_equal(l.n, 1);
    assert_int_equal(l.series[0].n, 2);
    unload(&l);
}

static void names_what_is_wrong(void **state)
{
#define RSS "{\"metric\":{\"__name__\":\"process_resident_memory_bytes\"},"
    (void)state;
    expect_mistake("{\"status\":\n\"success\"", 2, "no whole JSON");
    expect_mistake("{}", 0, "no data.result");
    expect_mistake("[]", 0, "no series fitted");
    expect_mistake("{\"status\":\"error\",\"error\":\"timed out\"}", 0, "\"timed out\": the query");
    expect_mistake("{\"status\":\"success\",\"data\":{\"resultType\":\"vector\",\"result\":[]}}", 0,
                   "\"vector\": not the answer to a range query");
    expect_mistake(HEAD TAIL, 0, "no series fitted");
    expect_mistake(HEAD "{\"metric\":{\"__name__\":\"up\"},\"values\":[[1,\"1\"]]}" TAIL, 0,
                   "no result is a memory metric");
    expect_mistake(HEAD "{\"metric\":{},\"values\":[[1,\"1\"]]}" TAIL, 0, "(there are: (no name))");
    expect_mistake(HEAD RSS "\"values\":[[1,\"5000\"],[2,5000]]}" TAIL, 0,
                   "data.result[0].values[1]: not [seconds, \"value\"]");
    expect_mistake(HEAD RSS "\"values\":[[1,\"5000\"],[2,\"x\"]]}" TAIL, 0,
                   "the value is no number");
    expect_mistake(HEAD RSS "\"values\":[[1e13,\"5000\"]]}" TAIL, 0, "not [seconds");
    expect_mistake(HEAD RSS "\"value\":[1,\"5000\"]}" TAIL, 0, "has no values");
    expect_mistake(HEAD RSS "\"values\":[]}" TAIL, 0, "no readings");
    expect_mistake(HEAD "7" TAIL, 0, "no result is a memory metric");
    expect_mistake(HEAD RSS "\"values\":[[1,\"35\"],[2,\"35\"]]}" TAIL, 0, "less than a page");
}

static void refuses_too_many_servers(void **state)
{
    (void)state;
    struct sink *sink = begin();
    for (int i = 0; i < 9; i++) {
        CLEANUP_FREE char *labels =
            xasprintf("\"__name__\":\"process_resident_memory_bytes\",\"instance\":\"h%d\"", i);
        put(sink, labels, 3, 5e7, 0);
    }
    struct loaded l = load_answer(sink);
    assert_int_equal(l.n, 0);
    assert_non_null(strstr(diag_text(l.diag, 0), "more than 8 memory sources"));
    unload(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_memory_and_counters),
        cmocka_unit_test(judges_the_best_metric_of_each_server),
        cmocka_unit_test(sums_the_pools_of_a_heap),
        cmocka_unit_test(sees_restarts_by_the_start_time),
        cmocka_unit_test(reads_a_bare_list),
        cmocka_unit_test(names_what_is_wrong),
        cmocka_unit_test(refuses_too_many_servers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
