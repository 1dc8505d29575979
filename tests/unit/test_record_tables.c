#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "record/interval.h"

#include <ctype.h>
#include <errno.h>
#include <sys/wait.h>
#include <unistd.h>

static bool is_name(const char *s)
{
    return s != NULL && *s != '\0' &&
           strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789_") == strlen(s);
}

static void assert_distinct(const char *const *names, int n)
{
    for (int i = 0; i < n; i++) {
        for (int j = 0; j < i; j++) {
            assert_string_not_equal(names[i], names[j]);
        }
    }
}

static void test_drivers(void **state)
{
    (void)state;
    enum driver driver;

    for (int i = 0; i < DRIVER_COUNT; i++) {
        const struct driver_info *info = driver_info((enum driver)i);
        assert_true(is_name(info->name) && is_name(info->column));
        assert_non_null(info->event);
        assert_true(info->floor_bytes > 0);
        assert_true(driver_from_name(info->name, &driver));
        assert_int_equal(driver, i);
        assert_true(driver_from_column(info->column, &driver));
        assert_int_equal(driver, i);
        if (info->alias != NULL) {
            assert_true(driver_from_column(info->alias, &driver));
            assert_int_equal(driver, i);
        }
    }
    assert_false(driver_from_name("requests", &driver));
    assert_false(driver_from_column("request", &driver));
    assert_false(driver_from_column("", &driver));
}

/* The published series format: these names are what people's files hold. */
static void test_columns_of_the_series_format(void **state)
{
    (void)state;
    static const struct {
        const char *column;
        enum driver driver;
    } published[] = {
        {"time_s", DRIVER_TIME},
        {"requests", DRIVER_REQUEST},
        {"connections", DRIVER_CONNECTION},
        {"client_certificates", DRIVER_CLIENT_CERTIFICATE},
        {"api_keys", DRIVER_API_KEY},
        {"jwts", DRIVER_JWT},
        {"refused", DRIVER_REFUSED},
        {"aborted", DRIVER_ABORTED},
        {"resumptions", DRIVER_RESUMPTION},
        {"rotations", DRIVER_ROTATION},
        {"requests_done", DRIVER_REQUEST},
        {"unique_certs", DRIVER_CLIENT_CERTIFICATE},
        {"unique_keys", DRIVER_API_KEY},
        {"unique_jwts", DRIVER_JWT},
    };
    enum driver driver;

    for (size_t i = 0; i < sizeof published / sizeof *published; i++) {
        assert_true(driver_from_column(published[i].column, &driver));
        assert_int_equal(driver, published[i].driver);
    }
}

static void test_metrics(void **state)
{
    (void)state;
    const char *names[COUNTER_COUNT + GAUGE_COUNT];
    const char *latencies[LATENCY_COUNT], *memories[MEMORY_METRIC_COUNT];

    for (int i = 0; i < COUNTER_COUNT; i++) {
        const struct metric *metric = metric_counter((enum counter)i);
        assert_true(is_name(metric->name) && metric->unit != NULL && metric->help != NULL);
        assert_int_equal(metric->kind, METRIC_COUNTER);
        names[i] = metric->name;
    }
    for (int i = 0; i < GAUGE_COUNT; i++) {
        const struct metric *metric = metric_gauge((enum gauge)i);
        assert_true(is_name(metric->name) && metric->unit != NULL && metric->help != NULL);
        assert_int_equal(metric->kind, METRIC_GAUGE);
        names[COUNTER_COUNT + i] = metric->name;
    }
    for (int i = 0; i < LATENCY_COUNT; i++) {
        latencies[i] = metric_latency((enum latency)i)->name;
        assert_true(is_name(latencies[i]));
        assert_int_equal(metric_latency((enum latency)i)->kind, METRIC_HISTOGRAM);
    }
    for (int i = 0; i < MEMORY_METRIC_COUNT; i++) {
        memories[i] = metric_memory((enum memory_metric)i)->name;
        assert_true(is_name(memories[i]));
    }
    /* Counters and gauges are columns of one file. */
    assert_distinct(names, COUNTER_COUNT + GAUGE_COUNT);
    assert_distinct(latencies, LATENCY_COUNT);
    assert_distinct(memories, MEMORY_METRIC_COUNT);
}

static void test_drivers_are_counted(void **state)
{
    (void)state;
    struct interval *interval = interval_new();

    for (int i = 0; i < COUNTER_COUNT; i++) {
        interval->count[i] = 100 + (uint64_t)i;
    }
    assert_int_equal(interval_driver(interval, DRIVER_TIME), 0);
    assert_int_equal(interval_driver(interval, DRIVER_REQUEST),
                     300 + COUNTER_STARTED + COUNTER_REFUSAL_REQUEST + COUNTER_MISUSE_REQUEST);
    assert_int_equal(interval_driver(interval, DRIVER_CONNECTION), 300 + COUNTER_HANDSHAKE_FULL +
                                                                       COUNTER_REFUSAL_HANDSHAKE +
                                                                       COUNTER_MISUSE_HANDSHAKE);
    assert_int_equal(interval_driver(interval, DRIVER_REFUSED), 100 + COUNTER_REFUSED);
    assert_int_equal(interval_driver(interval, DRIVER_ABORTED), 100 + COUNTER_MISUSE_DONE);
    assert_int_equal(interval_driver(interval, DRIVER_RESUMPTION), 100 + COUNTER_HANDSHAKE_RESUMED);
    assert_int_equal(interval_driver(interval, DRIVER_CLIENT_CERTIFICATE), 100 + COUNTER_CERT_NEW);
    assert_int_equal(interval_driver(interval, DRIVER_API_KEY), 100 + COUNTER_KEY_NEW);
    assert_int_equal(interval_driver(interval, DRIVER_JWT), 100 + COUNTER_JWT_NEW);
    interval_free(interval);
}

static void test_outcomes(void **state)
{
    (void)state;
    const char *names[OUTCOME_COUNT], *texts[OUTCOME_COUNT];

    for (int i = 0; i < OUTCOME_COUNT; i++) {
        const struct outcome_info *info = outcome_info((enum outcome)i);
        assert_true(is_name(info->name));
        assert_int_equal(info->class == OUTCOME_CLASS_OK, i == OUTCOME_OK);
        assert_true(is_name(outcome_class_name(info->class)));
        /* A sentence that others can embed: no capital, no full stop. */
        assert_true(strchr(info->text, ' ') != NULL && !isupper((unsigned char)info->text[0]));
        assert_int_not_equal(info->text[strlen(info->text) - 1], '.');
        names[i] = info->name;
        texts[i] = info->text;
    }
    assert_distinct(names, OUTCOME_COUNT);
    assert_distinct(texts, OUTCOME_COUNT);
}

static void test_outcomes_of_alerts(void **state)
{
    (void)state;
    assert_int_equal(outcome_from_alert(40), OUTCOME_ALERT_HANDSHAKE_FAILURE);
    assert_int_equal(outcome_from_alert(45), OUTCOME_ALERT_CERTIFICATE_EXPIRED);
    assert_int_equal(outcome_from_alert(48), OUTCOME_ALERT_UNKNOWN_CA);
    assert_int_equal(outcome_from_alert(116), OUTCOME_ALERT_CERTIFICATE_REQUIRED);
    assert_int_equal(outcome_from_alert(10), OUTCOME_ALERT_OTHER);
    assert_int_equal(outcome_from_alert(255), OUTCOME_ALERT_OTHER);
    assert_int_equal(outcome_from_alert(-1), OUTCOME_ALERT_OTHER);
    assert_string_equal(outcome_alert_name(48), "unknown_ca");
    assert_string_equal(outcome_alert_name(120), "no_application_protocol");
    assert_string_equal(outcome_alert_name(99), "alert 99");
    assert_string_equal(outcome_alert_name(-7), "alert -7");
    /* Every alert outcome is reached by the alert of its name. */
    for (int i = 0; i < 256; i++) {
        enum outcome outcome = outcome_from_alert(i);
        if (outcome != OUTCOME_ALERT_OTHER) {
            assert_string_equal(outcome_info(outcome)->name + strlen("alert_"),
                                outcome_alert_name(i));
        }
    }
}

static void test_outcomes_of_errno(void **state)
{
    (void)state;
    assert_int_equal(outcome_from_errno(ECONNREFUSED, true), OUTCOME_REFUSED);
    assert_int_equal(outcome_from_errno(EHOSTUNREACH, true), OUTCOME_UNREACHABLE);
    assert_int_equal(outcome_from_errno(ECONNRESET, true), OUTCOME_DIAL_RESET);
    assert_int_equal(outcome_from_errno(ECONNRESET, false), OUTCOME_HTTP_RESET);
    assert_int_equal(outcome_from_errno(EPIPE, false), OUTCOME_HTTP_RESET);
    assert_int_equal(outcome_from_errno(ETIMEDOUT, true), OUTCOME_TIMEOUT_CONNECT);
    /* What we lack is never the server's fault. */
    static const int ours[] = {EMFILE, ENFILE, EADDRNOTAVAIL, ENOMEM, ENOBUFS, EACCES, 9999};
    for (size_t i = 0; i < sizeof ours / sizeof *ours; i++) {
        enum outcome outcome = outcome_from_errno(ours[i], i % 2 == 0);
        assert_int_equal(outcome_info(outcome)->class, OUTCOME_CLASS_CLIENT);
    }
}

static void test_intervals_add(void **state)
{
    (void)state;
    struct interval *a = interval_new(), *b = interval_new(), *sum = interval_new();

    a->start_ns = 500;
    a->end_ns = 900;
    b->start_ns = 400;
    b->end_ns = 1000;
    a->count[COUNTER_STARTED] = 3;
    b->count[COUNTER_STARTED] = 4;
    b->outcome[OUTCOME_STATUS] = 2;
    b->status[5] = 2;
    a->gauge[GAUGE_OPEN] = 10;
    b->gauge[GAUGE_OPEN] = 20;
    hist_record(&a->latency[LATENCY_SERVICE], 1000);
    hist_record(&b->latency[LATENCY_SERVICE], 2000);
    interval_add(sum, a);
    assert_int_equal(sum->start_ns, 500);
    interval_add(sum, b);
    assert_int_equal(sum->start_ns, 400);
    assert_int_equal(sum->end_ns, 1000);
    assert_int_equal(sum->count[COUNTER_STARTED], 7);
    assert_int_equal(sum->outcome[OUTCOME_STATUS], 2);
    assert_int_equal(sum->status[5], 2);
    assert_int_equal(sum->gauge[GAUGE_OPEN], 30);
    assert_int_equal(sum->latency[LATENCY_SERVICE].n, 2);
    assert_int_equal(sum->latency[LATENCY_SERVICE].max_ns, 2000);
    interval_clear(sum);
    interval_clear(a);
    interval_free(b);
    b = interval_new();
    assert_memory_equal(sum, b, sizeof *b);
    assert_memory_equal(a, b, sizeof *b);
    interval_free(a);
    interval_free(b);
    interval_free(sum);
}

/* The exit code of a process that checks the interval. */
static int check_in_child(const struct interval *interval)
{
    int status;
    pid_t child = fork();

    assert_true(child >= 0);
    if (child == 0) {
        (void)close(STDERR_FILENO);
        interval_check(interval);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void test_identities_are_checked(void **state)
{
    (void)state;
    static const enum counter counters[] = {
        COUNTER_STARTED,     COUNTER_COMPLETED, COUNTER_FAILED,         COUNTER_DIALED,
        COUNTER_DIAL_FAILED, COUNTER_CLOSED,    COUNTER_HANDSHAKE_FULL, COUNTER_HANDSHAKE_RESUMED,
    };
    static const enum gauge gauges[] = {GAUGE_OPEN, GAUGE_HANDSHAKING, GAUGE_IN_FLIGHT};
    struct interval *sums = interval_new();

    sums->count[COUNTER_STARTED] = 100;
    sums->count[COUNTER_COMPLETED] = 90;
    sums->count[COUNTER_FAILED] = 7;
    sums->gauge[GAUGE_IN_FLIGHT] = 3;
    sums->count[COUNTER_DIALED] = 50;
    sums->count[COUNTER_HANDSHAKE_FULL] = 30;
    sums->count[COUNTER_HANDSHAKE_RESUMED] = 12;
    sums->count[COUNTER_DIAL_FAILED] = 6;
    sums->gauge[GAUGE_HANDSHAKING] = 2;
    sums->count[COUNTER_CLOSED] = 22;
    sums->gauge[GAUGE_OPEN] = 20;
    assert_int_equal(check_in_child(sums), 0);
    for (size_t i = 0; i < sizeof counters / sizeof *counters; i++) {
        sums->count[counters[i]]++;
        assert_int_equal(check_in_child(sums), 70);
        sums->count[counters[i]]--;
    }
    for (size_t i = 0; i < sizeof gauges / sizeof *gauges; i++) {
        sums->gauge[gauges[i]]--;
        assert_int_equal(check_in_child(sums), 70);
        sums->gauge[gauges[i]]++;
    }
    interval_free(sums);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_drivers),
        cmocka_unit_test(test_columns_of_the_series_format),
        cmocka_unit_test(test_metrics),
        cmocka_unit_test(test_drivers_are_counted),
        cmocka_unit_test(test_outcomes),
        cmocka_unit_test(test_outcomes_of_alerts),
        cmocka_unit_test(test_outcomes_of_errno),
        cmocka_unit_test(test_intervals_add),
        cmocka_unit_test(test_identities_are_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
