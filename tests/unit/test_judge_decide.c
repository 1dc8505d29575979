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
    verdict_decide(&verdict, "the server was lost", true);
    expect(VERDICT_FAIL, 1, "fail");
    assert_string_equal(verdict.reason, "it grows");
}

static struct refusal_finding *add_refusal(const char *presented, const char *expect)
{
    struct refusal_finding *f = &verdict.refusals[verdict.n_refusals++];
    snprintf(f->what.name, sizeof f->what.name, "r%zu", verdict.n_refusals);
    snprintf(f->what.presented, sizeof f->what.presented, "%s", presented);
    snprintf(f->what.expect, sizeof f->what.expect, "%s", expect);
    return f;
}

static void count(struct refusal_finding *f, enum refusal_result result, int n, int status)
{
    struct refusal_answer answer = {.outcome = status != 0 ? OUTCOME_OK : OUTCOME_ALERT_UNKNOWN_CA,
                                    .status = status};
    for (int i = 0; i < n; i++) {
        f->tally.tried++;
        refusal_count(&f->tally, result, answer);
        verdict.n_let_in += result == REFUSAL_LET_IN;
    }
}

/* Of several kinds the one that was let in is named, with what came back. */
static void a_bad_identity_let_in_goes_before_everything(void **state)
{
    (void)state;
    add(MEMORY_LEAK, "a", "it grows");
    count(add_refusal("no certificate", "any"), REFUSAL_REFUSED, 3, 400);
    struct refusal_finding *f = add_refusal("an expired certificate", "any");
    count(f, REFUSAL_REFUSED, 38, 0);
    count(f, REFUSAL_LET_IN, 2, 200);
    verdict_decide(&verdict, "the server was lost", true);
    expect(VERDICT_FAIL, 1, "fail");
    assert_string_equal(verdict.reason, "the server let in an expired certificate (2 of 40 "
                                        "attempts, status 200; refuse r2)");
}

static void a_killed_run_that_let_one_in_has_failed(void **state)
{
    (void)state;
    add(MEMORY_STABLE, "a", "stable");
    verdict.n_let_in = 3;
    verdict_decide(&verdict, NULL, true);
    expect(VERDICT_FAIL, 1, "fail");
    assert_non_null(strstr(verdict.reason, "let in 3 bad identities"));
}

static void another_answer_than_expected_fails_a_usable_run(void **state)
{
    (void)state;
    add(MEMORY_INCONCLUSIVE, "a", "too short");
    count(add_refusal("an expired token", "401"), REFUSAL_OTHERWISE, 5, 403);
    verdict_decide(&verdict, NULL, false);
    expect(VERDICT_FAIL, 1, "fail");
    assert_string_equal(verdict.reason, "the server refused an expired token in another way than "
                                        "expected: status 403, not 401 (5 of 5 attempts; refuse "
                                        "r1)");
    verdict_decide(&verdict, "the server was lost", false);
    expect(VERDICT_INVALID, 4, "invalid");
    /* but not one that was reset among many */
    count(&verdict.refusals[0], REFUSAL_REFUSED, 496, 401);
    verdict_decide(&verdict, NULL, false);
    expect(VERDICT_INCONCLUSIVE, 3, "inconclusive");
    assert_string_equal(verdict.reason, "too short");
}

static void what_never_told_is_no_pass(void **state)
{
    (void)state;
    add(MEMORY_STABLE, "a", "stable");
    struct refusal_finding *f = add_refusal("a revoked certificate", "any");
    verdict_decide(&verdict, NULL, false);
    expect(VERDICT_INCONCLUSIVE, 3, "inconclusive");
    assert_non_null(strstr(verdict.reason, "too short to present a revoked certificate"));
    count(f, REFUSAL_UNCLEAR, 4, 503);
    verdict_decide(&verdict, NULL, false);
    expect(VERDICT_INCONCLUSIVE, 3, "inconclusive");
    assert_non_null(strstr(verdict.reason, "can't be told: status 503 (4 of 4 attempts"));
    count(f, REFUSAL_REFUSED, 1, 0);
    verdict_decide(&verdict, NULL, false);
    expect(VERDICT_PASS, 0, "pass");
}

static void an_unusable_run_goes_before_an_interrupted_one(void **state)
{
    (void)state;
    add(MEMORY_STABLE, "a", "stable");
    verdict_decide(&verdict, "the generator was saturated", true);
    expect(VERDICT_INVALID, 4, "invalid");
    assert_string_equal(verdict.reason, "the generator was saturated");
}

static void an_interrupted_run_goes_before_an_undecided_one(void **state)
{
    (void)state;
    add(MEMORY_INCONCLUSIVE, "a", "too short");
    verdict_decide(&verdict, NULL, true);
    expect(VERDICT_INTERRUPTED, 6, "interrupted");
}

static void one_undecided_source_is_no_pass(void **state)
{
    (void)state;
    add(MEMORY_STABLE, "web", "stable");
    add(MEMORY_INCONCLUSIVE, "cache", "too short");
    verdict_decide(&verdict, NULL, false);
    expect(VERDICT_INCONCLUSIVE, 3, "inconclusive");
    assert_string_equal(verdict.reason, "cache: too short");
}

static void stable_and_bounded_pass(void **state)
{
    (void)state;
    add(MEMORY_STABLE, "a", "stable");
    add(MEMORY_BOUNDED, "a", "stopped");
    verdict_decide(&verdict, NULL, false);
    expect(VERDICT_PASS, 0, "pass");
    assert_string_equal(verdict.reason, "stopped");
}

static void a_load_without_a_memory_source_passes_by_itself(void **state)
{
    (void)state;
    verdict_decide(&verdict, NULL, false);
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
        cmocka_unit_test_setup(a_bad_identity_let_in_goes_before_everything, begin),
        cmocka_unit_test_setup(a_killed_run_that_let_one_in_has_failed, begin),
        cmocka_unit_test_setup(another_answer_than_expected_fails_a_usable_run, begin),
        cmocka_unit_test_setup(what_never_told_is_no_pass, begin),
        cmocka_unit_test_setup(an_unusable_run_goes_before_an_interrupted_one, begin),
        cmocka_unit_test_setup(an_interrupted_run_goes_before_an_undecided_one, begin),
        cmocka_unit_test_setup(one_undecided_source_is_no_pass, begin),
        cmocka_unit_test_setup(stable_and_bounded_pass, begin),
        cmocka_unit_test_setup(a_load_without_a_memory_source_passes_by_itself, begin),
        cmocka_unit_test_setup(names_are_those_of_the_contract, begin),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
