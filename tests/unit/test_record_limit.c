/* Limits: their names, what they measure against figures worked out by hand, and the record of a
 * search. */
#include "record/limit.h"

#include "base/mono.h"
#include "record/interval.h"
#include "run_kit.h"

#include <math.h>

static struct limit limit_of(const char *key)
{
    struct limit limit;
    if (!limit_from_key(key, &limit)) {
        fail_msg("%s", key);
    }
    assert_string_equal(limit.key, key);
    return limit;
}

static void names(void **state)
{
    static const char *const wrong[] = {
        "",
        "latency",
        "latency.",
        "latency.response.max.max.max",
        "latency.response.max",
        "latency.response.p99",
        "latency.response.p99.min",
        "latency.responses.p99.max",
        "latency.own_delay.p99.max",
        "latency.refusal.p99.max",
        "latency.response.p.max",
        "latency.response.p0.max",
        "latency.response.p100.max",
        "latency.response.p99..max",
        "latency.response.p99.9.9.max",
        "latency.response.p.9.max",
        "latency.response.p99x.max",
        "latency.response.p99.9999.max",
        "latency.response.median.max",
        "errors.ratio.min",
        "errors.max",
        "rate.reached.max",
        "rate.min",
        "leak.max",
        "leak..max",
        "leak.token.max",
        "leak.jwt.min",
        "memory.max",
        "memory..growth.max",
        "memory.web.1.growth.max", /* no name of a section */
        "memory.growth",
        "memory.a-name-that-is-much-longer-than-any-key-of-a-limit.growth.max",
    };
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct limit limit;
        if (limit_from_key(wrong[i], &limit)) {
            fail_msg("%s", wrong[i]);
        }
    }
    struct limit limit = limit_of("latency.handshake_full.p99.9.max");
    assert_true(limit.metric == LIMIT_LATENCY && limit.latency == LATENCY_HANDSHAKE_FULL);
    assert_true(limit.stat == LIMIT_QUANTILE && limit.quantile == 0.999);
    assert_true(limit_of("latency.connect.p5.max").quantile == 0.05);
    assert_true(limit_of("latency.service.p99.99.max").quantile == 0.9999);
    assert_true(limit_of("latency.first_byte.mean.max").stat == LIMIT_MEAN);
    assert_true(limit_of("latency.handshake_resumed.max.max").stat == LIMIT_LARGEST);
    limit = limit_of("leak.client_certificate.max");
    assert_true(limit.metric == LIMIT_LEAK && limit.driver == DRIVER_CLIENT_CERTIFICATE);
    limit = limit_of("memory.growth.max");
    assert_true(limit.metric == LIMIT_GROWTH && limit_is_of_memory(&limit));
    assert_string_equal(limit.source, "");
    assert_string_equal(limit_of("memory.web-1.growth.max").source, "web-1");
}

static double measured(const char *key, const struct interval *interval, double seconds)
{
    struct limit limit = limit_of(key);
    double value;
    assert_true(limit_measure(&limit, interval, seconds, &value));
    return value;
}

/* 1 to 1000 ms: the 990th of a thousand is 990 ms, to within the thousandth that a slot is wide. */
static void latencies(void **state)
{
    struct interval *interval = interval_new();
    struct limit limit = limit_of("latency.connect.p50.max");
    double value = 7;

    (void)state;
    assert_false(limit_measure(&limit, interval, 10, &value));
    for (uint64_t ms = 1; ms <= 1000; ms++) {
        hist_record(&interval->latency[LATENCY_RESPONSE], ms * NS_PER_MS);
    }
    assert_false(limit_measure(&limit, interval, 10, &value) || value != 7);
    assert_true(fabs(measured("latency.response.p99.max", interval, 10) / 990e6 - 1) < 1e-3);
    assert_true(fabs(measured("latency.response.p99.9.max", interval, 10) / 999e6 - 1) < 1e-3);
    assert_true(fabs(measured("latency.response.p50.max", interval, 10) / 500e6 - 1) < 1e-3);
    assert_true(measured("latency.response.mean.max", interval, 10) == 500.5e6);
    assert_true(measured("latency.response.max.max", interval, 10) == 1000e6);
    limit = limit_of("latency.response.p99.max");
    limit.bound = 25e6;
    assert_true(limit_holds(&limit, 25e6) && !limit_holds(&limit, 25e6 + 1));
    interval_free(interval);
}

/* 970 good answers, 10 of another status, 15 that failed, 5 dials: 30 of 1000; what we stopped or
 * lacked ourselves is not among them. */
static void errors_and_rate(void **state)
{
    struct interval *interval = interval_new();
    struct limit limit = limit_of("errors.ratio.max"), rate = limit_of("rate.reached.min");
    double value;

    (void)state;
    limit.bound = 0.7 * 0.01; /* a little less than 0.007 */
    assert_true(limit_holds(&limit, 7.0 / 1000));
    assert_false(limit_holds(&limit, 7.1 / 1000));
    assert_false(limit_measure(&limit, interval, 10, &value));
    interval->count[COUNTER_COMPLETED] = 980;
    interval->count[COUNTER_UNEXPECTED] = 10;
    interval->outcome[OUTCOME_OK] = 970;
    interval->outcome[OUTCOME_STATUS] = 10;
    interval->outcome[OUTCOME_HTTP_RESET] = 15;
    interval->outcome[OUTCOME_REFUSED] = 5;
    interval->outcome[OUTCOME_STOPPED] = 100;
    interval->outcome[OUTCOME_NO_PORTS] = 100;
    assert_true(measured("errors.ratio.max", interval, 10) == 0.03);
    assert_true(measured("rate.reached.min", interval, 10) == 98);
    rate.bound = 98;
    assert_true(limit_holds(&rate, 98) && !limit_holds(&rate, 97.9));
    rate.handshakes = true;
    interval->count[COUNTER_HANDSHAKE_FULL] = 150;
    interval->count[COUNTER_HANDSHAKE_RESUMED] = 50;
    assert_true(limit_measure(&rate, interval, 10, &value) && value == 20);
    assert_false(limit_measure(&rate, interval, 0, &value));
    interval_free(interval);
}

static void words(void **state)
{
    struct limit latency = limit_of("latency.response.p99.9.max");
    struct limit errors = limit_of("errors.ratio.max"), rate = limit_of("rate.reached.min");
    struct sink *sink = sink_new();
    char text[LIMIT_VALUE];

    (void)state;
    assert_string_equal(limit_value(&latency, 31e6, text), "31 ms");
    assert_string_equal(limit_value(&errors, 0.0125, text), "1.25 %");
    assert_string_equal(limit_value(&rate, 398.04, text), "398.0/s");
    assert_string_equal(limit_value(&rate, NAN, text), "no value");
    struct limit leak = limit_of("leak.jwt.max"), growth = limit_of("memory.growth.max");
    assert_string_equal(limit_value(&leak, 0.34, text), "0.3 B");
    assert_string_equal(limit_value(&leak, 2048, text), "2.00 KiB");
    assert_string_equal(limit_value(&growth, 1048576.0 / 3600, text), "1.00 MiB/h");
    assert_string_equal(limit_value(&growth, HUGE_VAL, text), "no value");
    assert_true(limit_number(&latency, 31e6) == 31e3 && limit_number(&errors, 0.5) == 0.5);
    assert_true(limit_from_number(&latency, 31e3) == 31e6);
    limit_column(&latency, sink);
    limit_column(&errors, sink);
    limit_column(&rate, sink);
    assert_string_equal(sink_text(sink, NULL),
                        "latency.response.p99.9_userrors.ratiorate.reached_per_s");
    sink_free(sink);
}

static struct run_step step_of(double asked_per_s, enum step_result result, double p99_us)
{
    return (struct run_step){.start_s = asked_per_s / 100,
                             .asked_per_s = asked_per_s,
                             .reached_per_s = asked_per_s - 0.5,
                             .result = result,
                             .n_limits = 2,
                             .measured = {p99_us, NAN},
                             .reason = ""};
}

static void a_search_is_read_as_it_was_written(void **state)
{
    struct run_meta meta = example_meta();
    struct run *run = create(&meta);
    struct interval *sums = interval_new();
    const struct limit limits[] = {limit_of("latency.response.p99.max"),
                                   limit_of("errors.ratio.max")};
    struct run_step held = step_of(400, STEP_HELD, 3100.25);
    struct run_step broken = step_of(800.125, STEP_BROKEN, 31000);
    size_t len;

    (void)state;
    (void)str_copy(broken.reason, sizeof broken.reason, "broke a, \"b\"\nand c");
    append(run, sums, 0, 2);
    assert_true(run_step(run, 1, &held, limits) && run_step(run, 2, &broken, limits));
    meta.search = (struct run_search){SEARCH_FOUND, 400, 800.125};
    assert_true(run_finish(run, &meta, sums));
    run_free(run);
    CLEANUP_FREE char *text = text_of("search.csv", &len);
    CLEANUP_FREE char *json = text_of("run.json", &len);
    assert_non_null(strstr(text, "step,start_s,asked_per_s,reached_per_s,latency.response.p99_us,"
                                 "errors.ratio,result,reason\n1,4.000,400,399.5,3100.25,,held,\n"));
    assert_non_null(strstr(json, "\"end\": \"found\""));
    struct stored_run *stored = load();
    assert_int_equal(stored->n_steps, 2);
    assert_true(stored->steps[0].asked_per_s == 400 && stored->steps[0].result == STEP_HELD);
    assert_true(stored->steps[0].measured[0] == 3100.25 && isnan(stored->steps[0].measured[1]));
    assert_int_equal(stored->steps[0].n_limits, 2);
    assert_true(stored->steps[1].start_s == 8.001 && stored->steps[1].reached_per_s == 799.625);
    assert_int_equal(stored->steps[1].result, STEP_BROKEN);
    assert_non_null(strstr(stored->steps[1].reason, "broke a, \"b\""));
    assert_null(strchr(stored->steps[1].reason, '\n'));
    run_unload(stored);
    interval_free(sums);
}

static void a_damaged_search_is_a_mistake(void **state)
{
    static const char *const damaged[] = {"1,4,400,399,held\n", "1,4,400\n", "1,4,x,399,held,\n",
                                          "1,4,0,399,held,\n", "1,4,400,399,5,lost,\n"};
    struct interval *sums = make_run(2, true);

    (void)state;
    interval_free(sums);
    for (size_t i = 0; i < sizeof damaged / sizeof *damaged; i++) {
        CLEANUP_FREE char *path = path_of("search.csv");
        CLEANUP_FREE char *text = xasprintf("head\n%s", damaged[i]);
        struct diag *diag = diag_new();
        assert_true(file_write(path, text, strlen(text), 0644));
        assert_null(run_load(dir, diag));
        assert_int_equal(diag_count(diag), 1);
        assert_non_null(strstr(diag_text(diag, 0), "search.csv:2: not a step of a search"));
        diag_free(diag);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(names),
        TEST(latencies),
        TEST(errors_and_rate),
        TEST(words),
        TEST(a_search_is_read_as_it_was_written),
        TEST(a_damaged_search_is_a_mistake),
    };
    return cmocka_run_group_tests(tests, make_base, remove_base);
}
