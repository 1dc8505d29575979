/* Limits and searches in the verdict: what goes before what, and in which words. */
#include "judge/verdict.h"

#include "base/str.h"
#include "record/interval.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

static struct verdict verdict;

static int begin(void **state)
{
    (void)state;
    memset(&verdict, 0, sizeof verdict);
    return 0;
}

static struct limit limit_of(const char *key, double bound, const char *rule)
{
    struct limit limit;
    assert_true(limit_from_key(key, &limit));
    limit.bound = bound;
    (void)str_copy(limit.rule, sizeof limit.rule, rule);
    return limit;
}

static void add_limit(double measured_ns)
{
    struct limit limit =
        limit_of("latency.response.p99.max", 25e6, "latency.response.p99.max = 25ms");
    verdict.limits[verdict.n_limits++] = limits_find(&limit, measured_ns);
}

static void add_memory(enum memory_class class)
{
    struct memory_finding *f = &verdict.memory[verdict.n_memory++];
    f->class = class;
    (void)str_copy(f->reason, sizeof f->reason, "what memory did");
}

static void expect(const char *invalid, bool interrupted, int code, const char *reason)
{
    verdict_decide(&verdict, invalid, interrupted);
    if (verdict.exit_code != code || strstr(verdict.reason, reason) == NULL) {
        fail_msg("%d %s, not %d %s", verdict.exit_code, verdict.reason, code, reason);
    }
}

static void limits_are_judged_over_the_whole(void **state)
{
    const struct limit limits[] = {
        limit_of("latency.response.p50.max", 5e6, "a"),
        limit_of("rate.reached.min", 20, "b"),
        limit_of("rate.reached.min", 21, "c"),
        limit_of("latency.connect.p50.max", 5e6, "d"),
    };
    struct interval *interval = interval_new();
    struct limit_finding found[4];

    (void)state;
    interval->count[COUNTER_COMPLETED] = 200;
    for (int i = 0; i < 200; i++) {
        hist_record(&interval->latency[LATENCY_RESPONSE], i < 100 ? 4000000 : 6000000);
    }
    limits_judge(limits, 4, interval, 10, found);
    assert_true(found[0].state == LIMIT_HELD && fabs(found[0].measured / 4e6 - 1) < 1e-3);
    assert_true(found[1].state == LIMIT_HELD && found[1].measured == 20);
    assert_int_equal(found[2].state, LIMIT_BROKEN);
    assert_true(found[3].state == LIMIT_UNKNOWN && isnan(found[3].measured));
    interval_free(interval);
}

static void a_broken_limit_fails_a_usable_run(void **state)
{
    (void)state;
    add_limit(20e6);
    add_limit(31e6);
    add_memory(MEMORY_INCONCLUSIVE);
    expect(NULL, false, 1, "limit latency.response.p99.max = 25ms is broken: 31 ms");
    expect(NULL, true, 1, "is broken");
    /* what a saturated generator measured is nothing */
    expect("the load generator could not keep up", false, 4, "could not keep up");
    verdict.memory[0].class = MEMORY_LEAK;
    expect(NULL, false, 1, "what memory did");
}

/* Growth is proven whoever was late, and also where it got its server killed. */
static void a_broken_limit_on_memory_is_as_a_leak_is(void **state)
{
    struct limit limit = limit_of("leak.request.max", 64, "leak.request.max = 64B");

    (void)state;
    add_limit(31e6);
    verdict.limits[verdict.n_limits++] = limits_find(&limit, 100);
    add_memory(MEMORY_INCONCLUSIVE);
    expect("the server was lost", true, 1, "limit leak.request.max = 64B is broken: 100 B");
    verdict.limits[1].state = LIMIT_UNKNOWN;
    expect("the server was lost", true, 4, "was lost");
}

static void a_limit_of_nothing_is_no_pass(void **state)
{
    (void)state;
    add_limit(NAN);
    expect(NULL, false, 3,
           "limit latency.response.p99.max = 25ms can't be judged: there was nothing of it");
    add_memory(MEMORY_STABLE);
    expect(NULL, false, 3, "can't be judged");
}

static void limits_that_hold_pass(void **state)
{
    (void)state;
    add_limit(25e6);
    expect(NULL, false, 0, "the limit held; no leak was judged");
    expect(NULL, true, 6, "interrupted");
    add_memory(MEMORY_INCONCLUSIVE);
    expect(NULL, false, 3, "what memory did");
    verdict.memory[0].class = MEMORY_STABLE;
    expect(NULL, false, 0, "what memory did");
}

static void set_search(enum search_end end, double held_per_s, double beyond_per_s)
{
    verdict.search = (struct search_finding){
        .answer = {end, held_per_s, beyond_per_s},
        .n_held = 2,
        .n_beyond = 2,
        .beyond_reason = "broke latency.response.p99.max = 25ms with 31 ms",
    };
}

static void a_search_is_judged_by_its_answer(void **state)
{
    (void)state;
    add_limit(20e6);
    set_search(SEARCH_FOUND, 1840, 1930);
    expect(NULL, false, 0,
           "highest rate that holds: 1,840/s (held twice); 1,930/s broke "
           "latency.response.p99.max = 25ms with 31 ms (twice)");
    expect("the disk is full", false, 4, "the disk is full");
    verdict.search.dials = true;
    expect(NULL, false, 0, "highest rate of connections that holds: 1,840/s");
    set_search(SEARCH_TOP_HELD, 2000, 0);
    expect(NULL, false, 0,
           "a rate of at least 2,000/s holds (held twice), the highest to be tried");
    set_search(SEARCH_SATURATED, 800, 850);
    expect(NULL, false, 3, "a rate of at least 800/s holds (held twice); 850/s ");
    set_search(SEARCH_SATURATED, 0, 100);
    expect(NULL, false, 3, "what rate holds can't be told; 100/s ");
    set_search(SEARCH_GOES_ON, 800, 0);
    expect(NULL, false, 3,
           "the search ended before it had its answer: a rate of at least 800/s holds");
    expect(NULL, true, 6, "at least 800/s holds");
    set_search(SEARCH_GOES_ON, 0, 0);
    expect(NULL, true, 6, "no rate is known to hold");
}

static void a_search_in_which_nothing_holds_fails(void **state)
{
    (void)state;
    add_limit(31e6);
    set_search(SEARCH_NOTHING_HELD, 0, 100);
    expect(NULL, false, 1, "not even the lowest rate to be tried holds; 100/s broke");
    set_search(SEARCH_FOUND, 1840, 1930);
    verdict.limits[0] = limits_find(&verdict.limits[0].limit, NAN);
    expect(NULL, false, 3, "can't be judged");
}

#define TEST(name) cmocka_unit_test_setup(name, begin)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(limits_are_judged_over_the_whole),
        TEST(a_broken_limit_fails_a_usable_run),
        TEST(a_broken_limit_on_memory_is_as_a_leak_is),
        TEST(a_limit_of_nothing_is_no_pass),
        TEST(limits_that_hold_pass),
        TEST(a_search_is_judged_by_its_answer),
        TEST(a_search_in_which_nothing_holds_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
