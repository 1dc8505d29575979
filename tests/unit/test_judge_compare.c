/* Comparing runs: what is decided from which intervals, what is left out, and baselines as text. */
#include "judge/compare.h"

#include "base/mem.h"
#include "base/str.h"
#include "record/run.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

/* A run of one metric, whose sections alternate around it. */
static struct baseline_run *run_of(const char *name, enum baseline_kind kind, double value,
                                   double spread)
{
    struct baseline_run *run = xcalloc(1, sizeof *run);
    struct baseline_sample *sample = &run->sample[run->n++];
    bool is_log = kind <= BASELINE_COST;

    sample->kind = kind;
    (void)str_copy(sample->name, sizeof sample->name, name);
    sample->value = value;
    sample->n = 1e6;
    sample->low = value - 2 * spread;
    sample->high = value + 2 * spread;
    for (sample->sections.n = 0; sample->sections.n < SECTIONS_MAX; sample->sections.n++) {
        double slow = cos(M_PI * ((double)sample->sections.n + 0.5) / SECTIONS_MAX);
        sample->sections.value[sample->sections.n] = (is_log ? log(value) : value) + spread * slow;
    }
    return run;
}

static struct compare_finding compare(struct baseline_run *base, struct baseline_run *new,
                                      const struct compare_rule *rule)
{
    struct comparison *c = compare_runs(&base, 1, &new, 1, rule, rule != NULL);
    struct compare_finding finding = c->finding[0];

    assert_int_equal(c->n, 1);
    free(c);
    baseline_free(base);
    baseline_free(new);
    return finding;
}

static enum compare_state state_of(const char *name, enum baseline_kind kind, double base,
                                   double new, double spread)
{
    return compare(run_of(name, kind, base, spread), run_of(name, kind, new, spread), NULL).state;
}

static void a_state_follows_from_intervals(void **state)
{
    const char *p50 = "latency.response.p50";
    (void)state;
    assert_int_equal(state_of(p50, BASELINE_LATENCY, 1e6, 1.2e6, 0.01), COMPARE_WORSE);
    assert_int_equal(state_of(p50, BASELINE_LATENCY, 1e6, 0.8e6, 0.01), COMPARE_BETTER);
    assert_int_equal(state_of(p50, BASELINE_LATENCY, 1e6, 1.01e6, 0.01), COMPARE_SAME);
    assert_int_equal(state_of(p50, BASELINE_LATENCY, 1e6, 0.96e6, 0.02), COMPARE_NO_WORSE);
    /* surely there, and within the tolerance */
    assert_int_equal(state_of(p50, BASELINE_LATENCY, 1e6, 1.04e6, 1e-4), COMPARE_SAME);
    assert_int_equal(state_of(p50, BASELINE_LATENCY, 1e6, 1.2e6, 0.5), COMPARE_UNCLEAR);
    /* more is better */
    assert_int_equal(state_of("rate.reached", BASELINE_RATE, 100, 80, 0.01), COMPARE_WORSE);
    assert_int_equal(state_of("rate.reached", BASELINE_RATE, 100, 130, 0.01), COMPARE_BETTER);
    assert_int_equal(state_of("errors.ratio", BASELINE_RATIO, 0, 0.02, 1e-4), COMPARE_WORSE);
    assert_int_equal(state_of("errors.ratio", BASELINE_RATIO, 0, 0, 0), COMPARE_SAME);
    assert_int_equal(state_of("leak.request", BASELINE_LEAK, 0, 200, 10), COMPARE_WORSE);
    assert_int_equal(state_of("leak.request", BASELINE_LEAK, 200, 204, 1), COMPARE_SAME);
    assert_int_equal(state_of("leak.request", BASELINE_LEAK, 0, 200, 200), COMPARE_UNCLEAR);
}

static void tolerances_go_by_name(void **state)
{
    struct compare_rule rule = {.pattern = "latency.*.p50", .tolerance = 0.3};
    const char *p50 = "latency.response.p50";
    struct compare_finding f = compare(run_of(p50, BASELINE_LATENCY, 1e6, 0.01),
                                       run_of(p50, BASELINE_LATENCY, 1.2e6, 0.01), &rule);
    (void)state;
    assert_int_equal(f.state, COMPARE_SAME);
    assert_true(fabs(f.difference - 0.2) < 1e-9 && f.low_all < f.low && f.low < 0.2);
    rule = (struct compare_rule){.pattern = "latency", .off = true};
    f = compare(run_of(p50, BASELINE_LATENCY, 1e6, 0.01),
                run_of(p50, BASELINE_LATENCY, 1.2e6, 0.01), &rule);
    assert_int_equal(f.state, COMPARE_LEFT_OUT);
    assert_true(compare_matches("latency", p50) && compare_matches("*.*.p50", p50));
    assert_false(compare_matches("lat", p50) || compare_matches("latency.response.p50.x", p50));
    assert_true(compare_is_pattern("cost") && compare_is_pattern("latency.*.p99") &&
                compare_is_pattern("leak.request"));
    assert_false(compare_is_pattern("latncy") || compare_is_pattern("latency.response.p95") ||
                 compare_is_pattern(""));
}

static void what_one_side_does_not_know(void **state)
{
    struct baseline_run *base = run_of("errors.ratio", BASELINE_RATIO, 0.1, 0.01);
    struct baseline_run *new = run_of("errors.ratio", BASELINE_RATIO, 0.1, 0.01);
    (void)state;
    new->sample[0].sections.n = 0;
    struct comparison *c = compare_runs(&base, 1, &new, 1, NULL, 0);
    assert_int_equal(c->finding[0].state, COMPARE_UNCLEAR);
    assert_int_equal(c->state, COMPARE_UNCLEAR);
    assert_non_null(strstr(c->finding[0].reason, "new run"));
    free(c);
    c = compare_runs(&new, 1, &base, 1, NULL, 0);
    assert_int_equal(c->finding[0].state, COMPARE_LEFT_OUT);
    assert_int_equal(c->state, COMPARE_UNCLEAR); /* nothing was compared */
    assert_int_equal(c->n_judged, 0);
    free(c);
    baseline_free(base);
    baseline_free(new);
}

static void a_leak_that_the_baseline_does_not_tell(void **state)
{
    struct baseline_run *base = run_of("errors.ratio", BASELINE_RATIO, 0.1, 1e-6);
    struct baseline_run *new = run_of("errors.ratio", BASELINE_RATIO, 0.1, 1e-6);
    struct baseline_run *leak = run_of("leak.cache.jwt", BASELINE_LEAK, 512, 4);
    struct compare_rule off = {.pattern = "leak", .off = true};
    (void)state;
    new->sample[new->n++] = leak->sample[0];
    struct comparison *c = compare_runs(&base, 1, &new, 1, NULL, 0);
    assert_int_equal(c->finding[0].state, COMPARE_SAME);
    assert_int_equal(c->finding[1].state, COMPARE_UNCLEAR);
    assert_int_equal(c->state, COMPARE_UNCLEAR);
    assert_string_equal(c->finding[1].reason,
                        "the new run keeps 512 B per new JWT, and the baseline does not tell");
    free(c);
    c = compare_runs(&base, 1, &new, 1, &off, 1);
    assert_int_equal(c->state, COMPARE_SAME);
    free(c);
    new->sample[1].low = 1; /* it may be within the tolerance */
    c = compare_runs(&base, 1, &new, 1, NULL, 0);
    assert_int_equal(c->finding[1].state, COMPARE_LEFT_OUT);
    assert_int_equal(c->state, COMPARE_SAME);
    free(c);
    baseline_free(base);
    baseline_free(new);
    baseline_free(leak);
}

static void a_run_that_was_cut_off_passes_nothing(void **state)
{
    struct baseline_run *base = run_of("rate.reached", BASELINE_RATE, 100, 1e-4);
    struct baseline_run *new = run_of("rate.reached", BASELINE_RATE, 100, 1e-4);
    (void)state;
    base->seconds = 300;
    new->seconds = 99;
    struct comparison *c = compare_runs(&base, 1, &new, 1, NULL, 0);
    assert_int_equal(c->state, COMPARE_SAME); /* so was its plan */
    free(c);
    (void)str_copy(new->problem, sizeof new->problem, "was killed");
    c = compare_runs(&base, 1, &new, 1, NULL, 0);
    assert_int_equal(c->state, COMPARE_UNCLEAR);
    free(c);
    new->seconds = 101;
    c = compare_runs(&base, 1, &new, 1, NULL, 0);
    assert_int_equal(c->state, COMPARE_SAME);
    free(c);
    baseline_free(base);
    baseline_free(new);
}

static void runs_of_a_kind_widen_the_interval(void **state)
{
    struct baseline_run *bases[3], *new = run_of("rate.reached", BASELINE_RATE, 90, 0.001);
    (void)state;
    for (int i = 0; i < 3; i++) {
        bases[i] = run_of("rate.reached", BASELINE_RATE, 90 + 10 * i, 0.001);
    }
    struct comparison *one = compare_runs(bases + 1, 1, &new, 1, NULL, 0);
    struct comparison *three = compare_runs(bases, 3, &new, 1, NULL, 0);
    assert_int_equal(one->finding[0].state, COMPARE_WORSE);
    assert_int_equal(three->finding[0].state, COMPARE_UNCLEAR);
    assert_true(!one->between && three->between);
    /* the geometric mean of the runs */
    assert_true(fabs(three->finding[0].base - cbrt(90.0 * 100 * 110)) < 1e-9);
    free(one);
    free(three);
    baseline_free(new);
    for (int i = 0; i < 3; i++) {
        baseline_free(bases[i]);
    }
}

/* What a busy machine may do to one run and not to the next; a third run shows what it does. */
static void a_busy_machine_widens_the_interval_of_single_runs(void **state)
{
    const char *p50 = "latency.response.p50";
    struct baseline_run *base[2] = {run_of(p50, BASELINE_LATENCY, 1e6, 0.001),
                                    run_of(p50, BASELINE_LATENCY, 1e6, 0.001)};
    struct baseline_run *new = run_of(p50, BASELINE_LATENCY, 1.12e6, 0.001);
    struct comparison *c = compare_runs(base, 1, &new, 1, NULL, 0);
    double low = c->finding[0].low;
    (void)state;
    assert_int_equal(c->state, COMPARE_WORSE);
    free(c);
    new->sample[0].drift = -log(1 - 0.1);
    c = compare_runs(base, 1, &new, 1, NULL, 0);
    assert_int_equal(c->state, COMPARE_WORSE);
    assert_true(fabs((1 + c->finding[0].low) / (1 + low) - 0.9) < 1e-9);
    free(c);
    base[0]->sample[0].drift = -log(1 - 0.2);
    c = compare_runs(base, 1, &new, 1, NULL, 0);
    assert_int_equal(c->state, COMPARE_UNCLEAR);
    assert_non_null(strstr(c->finding[0].reason, "so busy a machine"));
    free(c);
    c = compare_runs(base, 2, &new, 1, NULL, 0);
    assert_int_equal(c->state, COMPARE_WORSE);
    free(c);
    baseline_free(base[0]);
    baseline_free(base[1]);
    baseline_free(new);
}

/* Waiting of up to half of the running is what a machine has that does nothing else. */
static void drift_begins_where_a_machine_is_busy(void **state)
{
    struct run_generator calm = {.cpu_share = 0.04, .wait_share = 0.019};
    struct run_generator busy = {.cpu_share = 0.04, .wait_share = 0.08};
    struct run_generator idle = {.cpu_share = 0};
    (void)state;
    assert_true(baseline_drift(&calm) == 0 && baseline_drift(&idle) == 0);
    assert_true(fabs(baseline_drift(&busy) - log(3 / 1.5)) < 1e-9);
}

static void a_variance_remembers(void **state)
{
    struct sections quick = {.n = SECTIONS_MAX}, slow = {.n = SECTIONS_MAX};
    double df;
    (void)state;
    for (size_t i = 0; i < SECTIONS_MAX; i++) {
        quick.value[i] = i % 2 ? 1 : -1;
        slow.value[i] = i < SECTIONS_MAX / 2 ? 1 : -1;
    }
    /* both have the variance 1, which of 16 values without a memory gives 1/16 */
    assert_true(sections_variance(&quick, &df) < 0.01);
    assert_true(sections_variance(&slow, &df) > 0.12);
    assert_true(df == 5);
}

static void a_cut_has_sections_of_as_many_values(void **state)
{
    struct sections_cut cut;
    struct hist *second = xmalloc(sizeof *second);
    (void)state;
    hist_init(second);
    sections_cut_begin(&cut, 0.5, 600);
    for (unsigned i = 0; i < 60; i++) {
        hist_clear(second);
        for (unsigned k = 0; k < 10; k++) {
            hist_record(second, 1000 * (i + 1));
        }
        sections_cut_add(&cut, second);
    }
    struct sections sections = sections_cut_end(&cut);
    assert_int_equal(sections.n, SECTIONS_MAX);
    for (size_t i = 1; i < sections.n; i++) {
        assert_true(sections.value[i] > sections.value[i - 1]);
    }
    assert_true(fabs(exp(sections.value[SECTIONS_MAX - 1]) / 58.5e3 - 1) < 0.03);
    /* too few values beyond p99, and all of them in one second */
    sections_cut_begin(&cut, 0.99, 600);
    sections_cut_add(&cut, second);
    assert_int_equal(sections_cut_end(&cut).n, 0);
    sections_cut_begin(&cut, 0.5, 10);
    sections_cut_add(&cut, second);
    assert_int_equal(sections_cut_end(&cut).n, 0);
    free(second);
}

static size_t read_text(const char *text, struct baseline_run **runs, struct diag *diag)
{
    return baseline_read("b.json", text, strlen(text), runs, diag);
}

static void a_baseline_is_read_as_it_was_written(void **state)
{
    struct baseline_run *runs[2] = {run_of("leak.request", BASELINE_LEAK, 64, 2),
                                    run_of("latency.connect.p90", BASELINE_LATENCY, 8e4, 0.1)};
    runs[1]->sample[0].drift = 0.25;
    struct baseline_run *read[BASELINE_RUNS_MAX];
    struct sink *sink = sink_new();
    struct diag *diag = diag_new();
    (void)state;
    runs[0]->load = xstrdup("pace.rate = 200/s\nrun.duration = 1m\n");
    (void)str_copy(runs[1]->problem, sizeof runs[1]->problem, "was \"killed\"");
    baseline_write(sink, runs, 2);
    assert_int_equal(read_text(sink_text(sink, NULL), read, diag), 2);
    assert_string_equal(read[0]->load, runs[0]->load);
    assert_null(read[1]->load);
    assert_string_equal(read[1]->problem, runs[1]->problem);
    for (int i = 0; i < 2; i++) {
        const struct baseline_sample *a = &runs[i]->sample[0], *b = &read[i]->sample[0];
        assert_string_equal(a->name, b->name);
        assert_true(a->kind == b->kind && a->value == b->value && a->n == b->n);
        assert_true(a->drift == b->drift);
        assert_true(a->low == b->low || a->kind != BASELINE_LEAK);
        assert_int_equal(a->sections.n, b->sections.n);
        assert_true(fabs(a->sections.value[7] - b->sections.value[7]) < 1e-8);
        baseline_free(runs[i]);
        baseline_free(read[i]);
    }
    assert_int_equal(diag_count(diag), 0);
    sink_free(sink);
    diag_free(diag);
}

static void what_is_no_baseline_is_refused(void **state)
{
    static const char *const wrong[] = {
        "",
        "{",
        "[]",
        "{\"schema\": \"tlsoak.run/1\"}",
        "{\"schema\": \"tlsoak.baseline/1\"}",
        "{\"schema\": \"tlsoak.baseline/1\", \"runs\": []}",
        "{\"schema\": \"tlsoak.baseline/1\", \"runs\": [{\"samples\": [{}]}]}",
        "{\"schema\": \"tlsoak.baseline/1\", \"runs\": [{\"samples\": []}, {\"samples\": "
        "[{\"kind\": "
        "\"rate\", \"metric\": \"rate.reached\", \"sections\": [null]}]}]}",
        "{\"schema\": \"tlsoak.baseline/1\", \"runs\": [{\"samples\": [{\"kind\": \"rate\", "
        "\"metric\": \"a.x\", \"sections\": [1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17]}]}]}",
        "{\"schema\": \"tlsoak.baseline/1\", \"runs\": [{\"samples\": [{\"kind\": \"latency\", "
        "\"metric\": \"nodot\", \"sections\": []}]}]}",
        "{\"schema\": \"tlsoak.baseline/1\", \"runs\": [{\"samples\": [{\"kind\": \"rate\", "
        "\"metric\": \"rate.\\u001b[2J\", \"sections\": []}]}]}",
        "{\"schema\": \"tlsoak.baseline/1\", \"runs\": [{\"samples\": [], \"version\": "
        "\"0.1.0-of-more-than-15-bytes\"}]}",
    };
    struct baseline_run *read[BASELINE_RUNS_MAX];
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct diag *diag = diag_new();
        if (read_text(wrong[i], read, diag) != 0 || diag_count(diag) != 1) {
            fail_msg("taken: %s", wrong[i]);
        }
        diag_free(diag);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_state_follows_from_intervals),
        cmocka_unit_test(tolerances_go_by_name),
        cmocka_unit_test(what_one_side_does_not_know),
        cmocka_unit_test(a_leak_that_the_baseline_does_not_tell),
        cmocka_unit_test(a_run_that_was_cut_off_passes_nothing),
        cmocka_unit_test(runs_of_a_kind_widen_the_interval),
        cmocka_unit_test(a_busy_machine_widens_the_interval_of_single_runs),
        cmocka_unit_test(drift_begins_where_a_machine_is_busy),
        cmocka_unit_test(a_variance_remembers),
        cmocka_unit_test(a_cut_has_sections_of_as_many_values),
        cmocka_unit_test(a_baseline_is_read_as_it_was_written),
        cmocka_unit_test(what_is_no_baseline_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
