/* The page that dashboards read, in both of its formats, and what Accept asks for. */
#include "base/mem.h"
#include "base/mono.h"
#include "base/str.h"
#include "report/exposition.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct scene {
    struct interval *total;
    struct reading reading;
    struct memory_finding finding;
    struct exposition_source sources[2];
    struct exposition_frame frame;
};

static int set_up(void **state)
{
    struct scene *scene = xcalloc(1, sizeof *scene);

    scene->total = interval_new();
    scene->total->count[COUNTER_BYTES_SENT] = 4711;
    scene->total->count[COUNTER_LAG_NS] = 1500000001;
    scene->total->count[COUNTER_RESUME_ASKED] = 2500000;
    scene->total->outcome[OUTCOME_TLS_RESET] = 3;
    scene->total->status[2] = 7;
    for (int i = 1; i <= 4; i++) {
        hist_record(&scene->total->latency[LATENCY_RESPONSE], (uint64_t)i * NS_PER_MS);
    }
    hist_record(&scene->total->latency[LATENCY_RESPONSE], 90 * NS_PER_S);
    memset(scene->reading.value, 0xff, sizeof scene->reading.value);
    scene->reading.ok = true;
    scene->reading.value[MEMORY_ANON] = 8 << 20;
    scene->reading.value[MEMORY_CPU_NS] = 2 * (int64_t)NS_PER_S;
    scene->sources[0] = (struct exposition_source){.name = "we\"b\\", .newest = &scene->reading};
    scene->sources[1] = (struct exposition_source){.name = "db"};
    scene->finding = (struct memory_finding){
        .class = MEMORY_LEAK, .slope = 12.5, .slope_low = NAN, .slope_high = INFINITY};
    scene->frame = (struct exposition_frame){
        .version = "1.2",
        .tls_library = "library",
        .run_id = "id",
        .phase = "burst",
        .sources = scene->sources,
        .n_sources = 2,
        .total = scene->total,
        .finding = &scene->finding,
    };
    *state = scene;
    return 0;
}

static int tear_down(void **state)
{
    struct scene *scene = *state;

    interval_free(scene->total);
    free(scene);
    return 0;
}

static void expect(const char *page, const char *const *parts)
{
    for (; *parts != NULL; parts++) {
        if (strstr(page, *parts) == NULL) {
            fail_msg("not in the page: %s", *parts);
        }
    }
}

static void text_has_what_was_counted(void **state)
{
    const struct scene *scene = *state;
    struct sink *sink = sink_new();

    exposition_write(sink, EXPOSITION_TEXT, &scene->frame);
    expect(sink_text(sink, NULL),
           (const char *const[]){
               "# TYPE tlsoak_sent_bytes_total counter\ntlsoak_sent_bytes_total 4711\n",
               "\ntlsoak_lag_seconds_total 1.500000001\n", "\ntlsoak_resume_asked_total 2.500000\n",
               "# TYPE tlsoak_run_info gauge\ntlsoak_run_info{run=\"id\"} 1\n",
               "\ntlsoak_outcomes_total{class=\"tls\",outcome=\"tls_reset\"} 3\n",
               "\ntlsoak_responses_total{status=\"2xx\"} 7\n",
               "\ntlsoak_server_anon_bytes{source=\"we\\\"b\\\\\"} 8388608\n",
               "\ntlsoak_server_cpu_seconds_total{source=\"we\\\"b\\\\\"} 2.000000000\n",
               "\ntlsoak_server_readable{source=\"db\"} 0\n", "\ntlsoak_phase{phase=\"burst\"} 1\n",
               "\ntlsoak_provisional_verdict{class=\"leak\"} 1\n",
               "\ntlsoak_provisional_verdict{class=\"stable\"} 0\n", "{estimate=\"low\"} NaN\n",
               "{estimate=\"value\"} 12.5\n", "{estimate=\"high\"} +Inf\n", NULL});
    assert_null(strstr(sink_text(sink, NULL), "# UNIT"));
    assert_null(strstr(sink_text(sink, NULL), "# EOF"));
    assert_null(strstr(sink_text(sink, NULL), "tlsoak_server_rss_bytes")); /* was not read */
    sink_free(sink);
}

static void open_metrics_names_families_and_units(void **state)
{
    const struct scene *scene = *state;
    struct sink *sink = sink_new();
    size_t len;

    exposition_write(sink, EXPOSITION_OPENMETRICS, &scene->frame);
    const char *text = sink_text(sink, &len);
    expect(text, (const char *const[]){"# TYPE tlsoak_sent_bytes counter\n"
                                       "# UNIT tlsoak_sent_bytes bytes\n"
                                       "tlsoak_sent_bytes_total 4711\n",
                                       "# TYPE tlsoak_run info\ntlsoak_run_info{run=\"id\"} 1\n",
                                       "# UNIT tlsoak_latency_response_seconds seconds\n", NULL});
    assert_string_equal(text + len - strlen("\n# EOF\n"), "\n# EOF\n");
    sink_free(sink);
}

static void buckets_are_cumulative(void **state)
{
    const struct scene *scene = *state;
    struct sink *sink = sink_new();

    exposition_write(sink, EXPOSITION_TEXT, &scene->frame);
#define BUCKET "\ntlsoak_latency_response_seconds_"
    expect(
        sink_text(sink, NULL),
        (const char *const[]){BUCKET "bucket{le=\"0.0005\"} 0\n", BUCKET "bucket{le=\"0.001\"} 1\n",
                              BUCKET "bucket{le=\"0.0025\"} 2\n", BUCKET "bucket{le=\"0.005\"} 4\n",
                              BUCKET "bucket{le=\"60.0\"} 4\n", BUCKET "bucket{le=\"+Inf\"} 5\n",
                              BUCKET "count 5\n", BUCKET "sum 90.010000000\n", NULL});
    sink_free(sink);
}

static void before_the_load_there_is_who_and_no_count(void **state)
{
    const struct scene *scene = *state;
    struct exposition_frame frame = scene->frame;
    struct sink *sink = sink_new();

    frame.total = NULL;
    frame.finding = NULL;
    frame.phase = NULL;
    exposition_write(sink, EXPOSITION_TEXT, &frame);
    assert_non_null(strstr(sink_text(sink, NULL), "tlsoak_build_info{version=\"1.2\""));
    assert_null(strstr(sink_text(sink, NULL), "tlsoak_started"));
    sink_free(sink);
}

static void accept_decides(void **state)
{
    static const struct {
        const char *accept;
        enum exposition_format format;
    } rows[] = {
        {"", EXPOSITION_TEXT},
        {"*/*", EXPOSITION_TEXT},
        {"application/openmetrics-text", EXPOSITION_OPENMETRICS},
        {"application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;"
         "q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
         EXPOSITION_OPENMETRICS},
        {"application/openmetrics-text; version=0.0.1, text/plain", EXPOSITION_TEXT},
        {"application/openmetrics-text;q=0.4, text/plain ; version=0.0.4 ; q=0.5", EXPOSITION_TEXT},
        {"Application/OpenMetrics-Text;q=0, */*", EXPOSITION_TEXT},
        {"text/html, application/openmetrics-text ;q=0.2,", EXPOSITION_OPENMETRICS},
        {",;,;;q=,q", EXPOSITION_TEXT},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (exposition_wanted(rows[i].accept) != rows[i].format) {
            fail_msg("%s", rows[i].accept);
        }
    }
    assert_true(str_has_prefix(exposition_type(EXPOSITION_TEXT), "text/plain; version=0.0.4;"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_has_what_was_counted),
        cmocka_unit_test(open_metrics_names_families_and_units),
        cmocka_unit_test(buckets_are_cumulative),
        cmocka_unit_test(before_the_load_there_is_who_and_no_count),
        cmocka_unit_test(accept_decides),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
