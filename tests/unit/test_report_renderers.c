#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/mono.h"
#include "base/str.h"
#include "report/renderer.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* An invented run and its verdict. */
struct story {
    struct stored_run run;
    struct verdict verdict;
};

static void record_many(struct hist *hist, uint64_t from_ns, uint64_t step_ns, int n)
{
    for (int i = 0; i < n; i++) {
        hist_record(hist, from_ns + (uint64_t)i * step_ns);
    }
}

static void set_run(struct stored_run *run)
{
    static const struct {
        enum counter counter;
        uint64_t n;
    } counts[] = {
        {COUNTER_STARTED, 396012},
        {COUNTER_COMPLETED, 396000},
        {COUNTER_FAILED, 12},
        {COUNTER_UNEXPECTED, 3},
        {COUNTER_RETRIED, 7},
        {COUNTER_DUE, 396100},
        {COUNTER_LATE, 41},
        {COUNTER_SKIPPED, 88},
        {COUNTER_HANDSHAKE_FULL, 14000},
        {COUNTER_HANDSHAKE_RESUMED, 310},
        {COUNTER_RECONNECTED, 6310},
        {COUNTER_RESUME_ASKED, 6310 * 50000},
        {COUNTER_RESUME_EXPIRED, 1},
        {COUNTER_RESUME_REFUSED, 12},
        {COUNTER_KEY_UPDATED, 1234},
        {COUNTER_DIAL_FAILED, 5},
        {COUNTER_CERT_NEW, 8000},
        {COUNTER_CERT_USED, 14000},
        {COUNTER_KEY_NEW, 32},
        {COUNTER_KEY_USED, 396012},
        {COUNTER_BYTES_SENT, 60000000},
        {COUNTER_BYTES_RECEIVED, 123456},
    };

    (void)str_copy(run->meta.target, sizeof run->meta.target, "https://127.0.0.1:8443/hello");
    (void)str_copy(run->meta.verify, sizeof run->meta.verify, "always");
    (void)str_copy(run->meta.tls_library, sizeof run->meta.tls_library,
                   "BoringSSL API 19 (static)");
    run->meta.p256_signs_per_s = 41234.5;
    run->meta.p256_verifies_per_s = 15678.25;
    (void)str_copy(run->meta.server, sizeof run->meta.server, "nginx (pid 4711 and 2 children)");
    run->meta.finished = true;
    run->meta.duration_ns = 660 * NS_PER_S;
    run->elapsed_ns = 660 * NS_PER_S;
    run->dir = xstrdup("tlsoak-run-20261121-013142-7f3a");
    run->total = interval_new();
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        run->total->count[counts[i].counter] = counts[i].n;
    }
    run->total->gauge[GAUGE_OPEN] = 200;
    run->total->status[2] = 395997;
    run->total->status[5] = 3;
    run->total->outcome[OUTCOME_OK] = 395997;
    run->total->outcome[OUTCOME_STATUS] = 3;
    run->total->outcome[OUTCOME_TIMEOUT_FIRST_BYTE] = 12;
    run->total->outcome[OUTCOME_ALERT_UNKNOWN_CA] = 5;
    record_many(&run->total->latency[LATENCY_RESPONSE], 900000, 1000, 1000);
    record_many(&run->total->latency[LATENCY_SERVICE], 800000, 1000, 1000);
    record_many(&run->total->latency[LATENCY_CONNECT], 30000, 100, 100);
    record_many(&run->total->latency[LATENCY_HANDSHAKE_FULL], 2000000, 3000000, 100);
}

static void set_driver(struct memory_finding *finding, enum driver driver, double size, double half,
                       double events)
{
    finding->drivers[finding->n_drivers++] = (struct driver_finding){
        .driver = driver,
        .separable = true,
        .bytes_per_event = size,
        .low = size - half,
        .high = size + half,
        .events = events,
    };
}

static void set_finding(struct memory_finding *finding, const char *metric)
{
    (void)str_copy(finding->source, sizeof finding->source, "server");
    (void)str_copy(finding->metric, sizeof finding->metric, metric);
    (void)str_copy(finding->reason, sizeof finding->reason,
                   "anonymous memory grows 24.2 KiB/s (99 % 23 KiB/s to 26 KiB/s), 2.0 KiB per new "
                   "client certificate, in step with these events and with no sign of slowing");
    (void)str_copy(finding->reason_code, sizeof finding->reason_code, "trend");
    finding->class = MEMORY_LEAK;
    finding->needed_driver = -1;
    finding->slope = 24824;
    finding->slope_low = 23500;
    finding->slope_high = 26100;
    finding->smallest_visible = 1200;
    finding->seconds_to_limit_low = 7200;
    finding->seconds_to_limit_high = 8100;
    finding->growth_bytes = 16384000;
    finding->level_bytes = 25000000;
    finding->noise_bytes = 12000;
    finding->duration_s = 660;
    finding->n_readings = 660;
    set_driver(finding, DRIVER_TIME, 12, 60, 660);
    set_driver(finding, DRIVER_REQUEST, 0.4, 3, 396000);
    set_driver(finding, DRIVER_CONNECTION, NAN, NAN, 14000);
    finding->drivers[2].separable = false;
    (void)str_copy(finding->drivers[2].confounded_with, sizeof finding->drivers[2].confounded_with,
                   "client_certificate");
    set_driver(finding, DRIVER_CLIENT_CERTIFICATE, 2048, 100, 8000);
    finding->drivers[3].blamed = true;
}

static int set_up(void **state)
{
    struct story *story = xcalloc(1, sizeof *story);
    struct verdict *verdict = &story->verdict;

    set_run(&story->run);
    set_finding(&verdict->memory[0], "anon_bytes");
    verdict->n_memory = 1;
    verdict->kind = VERDICT_FAIL;
    verdict->exit_code = 1;
    (void)str_copy(verdict->reason, sizeof verdict->reason, verdict->memory[0].reason);
    verdict->generator_healthy = true;
    *state = story;
    return 0;
}

static int tear_down(void **state)
{
    struct story *story = *state;

    free(story->run.dir);
    interval_free(story->run.total);
    free(story);
    return 0;
}

static void expect_golden(const struct sink *sink, const char *name)
{
    CLEANUP_FREE char *path = xasprintf("%s/tests/golden/%s", TEST_SOURCE, name);
    size_t len;
    const char *text = sink_text(sink, &len);

    if (getenv("TLSOAK_GOLDEN_UPDATE") != NULL) {
        assert_true(file_write(path, text, len, 0644));
    }
    CLEANUP_FREE char *golden = file_read(path, 1u << 20, NULL);
    assert_non_null(golden);
    assert_string_equal(text, golden);
}

static void expect_columns(const struct sink *sink)
{
    size_t columns = 0;

    for (const char *s = sink_text(sink, NULL); *s != '\0'; s++) {
        assert_true(*s == '\n' || (unsigned char)*s >= 0x20);
        columns = *s == '\n' ? 0 : columns + (((unsigned char)*s & 0xc0) != 0x80);
        assert_true(columns <= 80);
    }
}

static void check(const char *format, const struct stored_run *run, const struct verdict *verdict,
                  const char *golden)
{
    struct sink *sink = sink_new();

    renderer_find(format)->write(sink, run, verdict);
    expect_golden(sink, golden);
    if (str_equal(format, "text")) {
        expect_columns(sink);
    }
    sink_free(sink);
}

static void a_leak(void **state)
{
    struct story *story = *state;

    check("text", &story->run, &story->verdict, "report-leak.txt");
    check("json", &story->run, &story->verdict, "report-leak.json");
    check("csv", &story->run, &story->verdict, "report-leak.csv");
}

static void a_series_alone(void **state)
{
    struct story *story = *state;
    struct verdict *verdict = &story->verdict;
    struct memory_finding *finding = &verdict->memory[0];

    finding->class = MEMORY_INCONCLUSIVE;
    finding->needed_seconds = 5400;
    finding->needed_driver = DRIVER_JWT;
    finding->needed_events = 25000;
    finding->seconds_to_limit_low = finding->seconds_to_limit_high = NAN;
    finding->n_gaps = 3;
    finding->n_restarts = 1;
    finding->drivers[3].blamed = false;
    finding->drivers[3].bounded = true;
    (void)str_copy(finding->known_bound, sizeof finding->known_bound, "TLS session cache");
    finding->known_bound_size = 20480;
    verdict->memory[1] = *finding;
    verdict->n_memory = 2;
    (void)str_copy(verdict->memory[1].metric, sizeof finding->metric, "rss, \"all\"");
    verdict->memory[1].n_drivers = 0;
    verdict->kind = VERDICT_INCONCLUSIVE;
    verdict->exit_code = 3;
    (void)str_copy(verdict->reason, sizeof verdict->reason,
                   "one jump explains the growth; needs 25,000 more of: new JWT");
    check("text", NULL, verdict, "report-series.txt");
    check("json", NULL, verdict, "report-series.json");
    check("csv", NULL, verdict, "report-series.csv");
}

static void a_spoiled_run(void **state)
{
    struct story *story = *state;
    struct verdict *verdict = &story->verdict;

    verdict->n_memory = 0;
    verdict->kind = VERDICT_INVALID;
    verdict->exit_code = 4;
    verdict->generator_healthy = false;
    (void)str_copy(verdict->generator_reason, sizeof verdict->generator_reason,
                   "a worker ran 1.4 s late: more threads or a lower rate are needed");
    (void)str_copy(verdict->reason, sizeof verdict->reason, "the target never answered");
    (void)str_copy(story->run.meta.target, sizeof story->run.meta.target,
                   "https://example.test/\033[2J\033]0;title\a\n");
    (void)str_copy(story->run.meta.verify, sizeof story->run.meta.verify, "no");
    story->run.meta.finished = false;
    story->run.elapsed_ns = 12 * NS_PER_S;
    interval_clear(story->run.total);
    memset(story->run.total->count, 0, sizeof story->run.total->count);
    check("text", &story->run, verdict, "report-spoiled.txt");
    check("json", &story->run, verdict, "report-spoiled.json");
}

static void the_json_says_what_ci_reads(void **state)
{
    struct story *story = *state;
    struct sink *sink = sink_new();
    char error[128];
    size_t len;

    renderer_json_line(sink, &story->verdict);
    const char *text = sink_text(sink, &len);
    assert_ptr_equal(strchr(text, '\n'), text + len - 1);
    struct json *document = json_parse(text, len, error, sizeof error);
    assert_non_null(document);
    assert_string_equal(json_get_string(document, "schema", ""), "tlsoak.verdict/1");
    assert_string_equal(json_get_string(document, "verdict", ""), "fail");
    assert_int_equal(json_get_number(document, "exit_code", -1), 1);
    const struct json *memory = json_at(json_get(document, "memory"), 0);
    assert_string_equal(json_get_string(memory, "class", ""), "leak");
    assert_int_equal(json_get_number(json_get(memory, "slope_bytes_per_second"), "low", 0), 23500);
    assert_int_equal(json_get_number(json_get(memory, "seconds_to_limit"), "high", 0), 8100);
    const struct json *driver = json_at(json_get(memory, "drivers"), 3);
    assert_string_equal(json_get_string(driver, "driver", ""), "client_certificate");
    assert_int_equal(json_get_number(driver, "bytes_per_event", 0), 2048);
    assert_true(json_get_bool(driver, "blamed", false));
    assert_false(json_get_bool(json_at(json_get(memory, "drivers"), 2), "separable", true));
    assert_int_equal(json_size(json_get(document, "limits")), 0);
    assert_true(json_get_bool(json_get(document, "generator"), "healthy", false));
    json_free(document);
    sink_free(sink);
}

static void the_table_is_whole(void **state)
{
    size_t n = 0;

    (void)state;
    for (; renderer_at(n) != NULL; n++) {
        assert_ptr_equal(renderer_find(renderer_at(n)->name), renderer_at(n));
        assert_non_null(renderer_at(n)->help);
    }
    assert_true(n >= 3);
    assert_null(renderer_find("tex"));
}

#define WITH_STORY(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_STORY(a_leak),
        WITH_STORY(a_series_alone),
        WITH_STORY(a_spoiled_run),
        WITH_STORY(the_json_says_what_ci_reads),
        cmocka_unit_test(the_table_is_whole),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
