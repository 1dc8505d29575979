#include "judge/verdict.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

static struct verdict verdict;

static void add(enum memory_class class, const char *source, const char *reason)
{
    struct memory_finding *f = &verdict.memory[verdict.n_memory++];
    f->class = class;
    snprintf(f->source, sizeof f->source, "%s", source);
    snprintf(f->reason, sizeof f->reason, "%s", reason);
}

static void expect(enum verdict_kind kind, int code, const char *name)
{
    assert_int_equal(verdict.kind, kind);
    assert_int_equal(verdict.exit_code, code);
    assert_string_equal(verdict_kind_name(verdict.kind), name);
    assert_true(verdict.reason[0] != '\0');
}

static int begin(void **state)
{
    (void)state;
    memset(&verdict, 0, sizeof verdict);
    return 0;
}

static void a_leak_goes_before_everything(void **state)
{
    (void)state;
    add(MEMORY_INCONCLUSIVE, "a", "too short");
    add(MEMORY_LEAK, "a", "it grows");
    verdict_decide(&verdict, "the server was lost", true, true);
    expect(VERDICT_FAIL, 1, "fail");
    assert_string_equal(verdict.reason, "it grows");
}

static void an_unusable_run_goes_before_an_interrupted_one(void **state)
{
    (void)state;
    add(MEMORY_STABLE, "a", "stable");
    verdict_decide(&verdict, "the generator was saturated", true, false);
    expect(VERDICT_INVALID, 4, "invalid");
    assert_string_equal(verdict.reason, "the generator was saturated");
}

static void an_interrupted_run_goes_before_an_undecided_one(void **state)
{
    (void)state;
    add(MEMORY_INCONCLUSIVE, "a", "too short");
    verdict_decide(&verdict, NULL, true, false);
    expect(VERDICT_INTERRUPTED, 6, "interrupted");
}

static void one_undecided_source_is_no_pass(void **state)
{
    (void)state;
    add(MEMORY_STABLE, "web", "stable");
    add(MEMORY_INCONCLUSIVE, "cache", "too short");
    verdict_decide(&verdict, NULL, false, false);
    expect(VERDICT_INCONCLUSIVE, 3, "inconclusive");
    assert_string_equal(verdict.reason, "cache: too short");
}

static void stable_and_bounded_pass(void **state)
{
    (void)state;
    add(MEMORY_STABLE, "a", "stable");
    add(MEMORY_BOUNDED, "a", "stopped");
    verdict_decide(&verdict, NULL, false, true);
    expect(VERDICT_PASS, 0, "pass");
    assert_string_equal(verdict.reason, "stopped");
}

static void a_memory_limit_without_a_source_is_no_pass(void **state)
{
    (void)state;
    verdict_decide(&verdict, NULL, false, true);
    expect(VERDICT_INCONCLUSIVE, 3, "inconclusive");
    begin(NULL);
    verdict_decide(&verdict, NULL, false, false);
    expect(VERDICT_PASS, 0, "pass");
    assert_non_null(strstr(verdict.reason, "no memory source"));
}

static void names_are_those_of_the_contract(void **state)
{
    (void)state;
    assert_string_equal(memory_class_name(MEMORY_LEAK), "leak");
    assert_string_equal(memory_class_name(MEMORY_BOUNDED), "bounded");
    assert_string_equal(memory_class_name(MEMORY_STABLE), "stable");
    assert_string_equal(memory_class_name(MEMORY_INCONCLUSIVE), "inconclusive");
    assert_string_equal(verdict_kind_name(VERDICT_REFUSED), "refused");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_leak_goes_before_everything, begin),
        cmocka_unit_test_setup(an_unusable_run_goes_before_an_interrupted_one, begin),
        cmocka_unit_test_setup(an_interrupted_run_goes_before_an_undecided_one, begin),
        cmocka_unit_test_setup(one_undecided_source_is_no_pass, begin),
        cmocka_unit_test_setup(stable_and_bounded_pass, begin),
        cmocka_unit_test_setup(a_memory_limit_without_a_source_is_no_pass, begin),
        cmocka_unit_test_setup(names_are_those_of_the_contract, begin),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
