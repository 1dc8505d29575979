/* The curves of a stored run: what they gather is what the run holds. */
#include "run_kit.h"

#include "record/curves.h"

#include <math.h>

static struct curves *curves_of(const struct stored_run *stored)
{
    struct diag *diag = diag_new();
    struct curves *curves = curves_load(stored, diag);

    if (curves == NULL) {
        fail_msg("%s", diag_text(diag, 0));
    }
    diag_free(diag);
    return curves;
}

/* All that was counted is in some point, and none is longer than another but the last. */
static void check_sums(const struct curves *curves, const struct interval *sums)
{
    double completed = 0, begun = 0, failed = 0;
    uint64_t n = 0;

    for (size_t i = 0; i < curves->n; i++) {
        const struct curve_point *p = &curves->point[i];
        double seconds = p->to_s - p->from_s;
        assert_true(i == 0 || fabs(p->from_s - curves->point[i - 1].to_s) < 1e-9);
        completed += p->completed_per_s * seconds;
        begun += p->begun_per_s * seconds;
        failed += p->failed_per_s * seconds;
        n += p->latency[LATENCY_SERVICE].n;
    }
    assert_true(fabs(completed - (double)sums->count[COUNTER_COMPLETED]) < 1e-3);
    assert_true(fabs(begun - (double)sums->count[COUNTER_STARTED]) < 1e-3);
    assert_true(fabs(failed - (double)sums->count[COUNTER_FAILED]) < 1e-3);
    assert_int_equal(n, sums->latency[LATENCY_SERVICE].n);
}

/* What the seconds of a point hold together, made again. */
static void check_point(const struct curve_point *point, uint64_t first, uint64_t n)
{
    struct interval *tick = interval_new();
    struct hist *all = xmalloc(sizeof *all);
    struct rng rng;

    hist_init(all);
    for (uint64_t i = first; i < first + n; i++) {
        rng_init(&rng, 3, "tick", i);
        fill_tick(tick, i, &rng);
        hist_add(all, &tick->latency[LATENCY_RESPONSE]);
    }
    assert_int_equal(point->latency[LATENCY_RESPONSE].n, all->n);
    assert_int_equal(point->latency[LATENCY_RESPONSE].p50_ns, hist_quantile(all, 0.5));
    assert_int_equal(point->latency[LATENCY_RESPONSE].p99_ns, hist_quantile(all, 0.99));
    assert_int_equal(point->latency[LATENCY_RESPONSE].max_ns, all->max_ns);
    assert_true(point->open == (double)(first + n));
    interval_free(tick);
    free(all);
}

static void test_a_short_run_keeps_its_seconds(void **state)
{
    (void)state;
    struct interval *sums = make_run(7, true);
    struct stored_run *stored = load();
    struct curves *curves = curves_of(stored);

    assert_int_equal(curves->n, 7);
    check_sums(curves, sums);
    for (size_t i = 0; i < 7; i++) {
        check_point(&curves->point[i], i, 1);
        assert_true(fabs(curves->point[i].completed_per_s - 97) < 0.2);
    }
    free(curves);
    run_unload(stored);
    interval_free(sums);
}

static void test_a_long_run_is_gathered(void **state)
{
    (void)state;
    struct interval *sums = make_run(3 * CURVES_MAX - 100, false);
    struct stored_run *stored = load();
    struct curves *curves = curves_of(stored);

    assert_int_equal(curves->n, (3 * CURVES_MAX - 100 + 2) / 3);
    check_sums(curves, sums);
    check_point(&curves->point[0], 0, 3);
    check_point(&curves->point[77], 231, 3);
    free(curves);
    run_unload(stored);
    interval_free(sums);
}

static void test_a_run_without_a_second_has_none(void **state)
{
    (void)state;
    interval_free(make_run(0, false));
    struct stored_run *stored = load();
    struct curves *curves = curves_of(stored);

    assert_int_equal(curves->n, 0);
    free(curves);
    run_unload(stored);
}

static void test_a_log_that_is_gone_is_a_mistake(void **state)
{
    (void)state;
    interval_free(make_run(2, true));
    struct stored_run *stored = load();
    struct diag *diag = diag_new();
    CLEANUP_FREE char *log = path_of("latency.service.hlog");

    assert_int_equal(unlink(log), 0);
    assert_null(curves_load(stored, diag));
    assert_non_null(strstr(diag_text(diag, 0), "latency.service.hlog"));
    diag_free(diag);
    run_unload(stored);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_short_run_keeps_its_seconds),
        TEST(test_a_long_run_is_gathered),
        TEST(test_a_run_without_a_second_has_none),
        TEST(test_a_log_that_is_gone_is_a_mistake),
    };
    return cmocka_run_group_tests(tests, make_base, remove_base);
}
