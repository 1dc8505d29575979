/* Misuses survive in the run directory, add up, and are told in words. */
#include "run_kit.h"

#include "record/misuse.h"

static void name_misuse(struct run_meta *meta, const char *name, const char *kind, const char *what)
{
    struct misuse_kind *misuse = &meta->misuse[meta->n_misuses++];
    (void)str_copy(misuse->name, sizeof misuse->name, name);
    (void)str_copy(misuse->kind, sizeof misuse->kind, kind);
    (void)str_copy(misuse->what, sizeof misuse->what, what);
}

static void test_misuses_come_back(void **state)
{
    (void)state;
    struct run_meta meta = example_meta();
    name_misuse(&meta, "odd \"name\"", "abort-body", "request bodies aborted half way");
    name_misuse(&meta, "gone", "reset", "connections reset after a good exchange");
    struct run *run = create(&meta);
    struct interval *sums = interval_new();
    append(run, sums, 0, 3);
    sums->misuse[0] =
        (struct misuse_tally){.tried = 9, .done = 9, .forgone = 2, .status = {1, [5] = 3}};
    sums->misuse[1] =
        (struct misuse_tally){.tried = 5, .done = 2, .undone = 3, .why = OUTCOME_REFUSED};
    assert_true(run_finish(run, &meta, sums));
    run_free(run);

    struct stored_run *stored = load();
    assert_int_equal(stored->meta.n_misuses, 2);
    assert_memory_equal(stored->meta.misuse, meta.misuse, sizeof meta.misuse);
    assert_memory_equal(stored->total->misuse, sums->misuse, sizeof sums->misuse);
    run_unload(stored);
    interval_free(sums);
}

/* The plan is told at the start, so a killed run still says what was done. */
static void test_a_killed_run_names_its_misuses(void **state)
{
    (void)state;
    struct run_meta meta = example_meta();
    name_misuse(&meta, "gone", "reset", "connections reset after a good exchange");
    run_free(create(&meta));
    struct stored_run *stored = load();
    assert_int_equal(stored->meta.n_misuses, 1);
    assert_string_equal(stored->meta.misuse[0].kind, "reset");
    assert_int_equal(stored->total->misuse[0].tried, 0);
    run_unload(stored);
}

static void test_intervals_add_misuses(void **state)
{
    (void)state;
    struct interval *a = interval_new(), *b = interval_new();
    b->misuse[15] =
        (struct misuse_tally){.tried = 2, .done = 1, .undone = 1, .why = OUTCOME_REFUSED};
    interval_add(a, b);
    interval_clear(b);
    assert_int_equal(b->misuse[15].tried, 0);
    b->misuse[15] = (struct misuse_tally){
        .tried = 3, .undone = 3, .forgone = 7, .status = {[4] = 2}, .why = OUTCOME_STOPPED};
    interval_add(a, b);
    assert_int_equal(a->misuse[15].tried, 5);
    assert_int_equal(a->misuse[15].done, 1);
    assert_int_equal(a->misuse[15].undone, 4);
    assert_int_equal(a->misuse[15].forgone, 7);
    assert_int_equal(a->misuse[15].status[4], 2);
    assert_int_equal(a->misuse[15].why, OUTCOME_REFUSED); /* the first stays */
    interval_free(a);
    interval_free(b);
}

static void check_words(struct misuse_tally tally, const char *expected)
{
    struct misuse_kind kind = {.what = "responses abandoned"};
    struct sink *sink = sink_new();
    misuse_print(sink, &kind, &tally);
    assert_string_equal(sink_text(sink, NULL), expected);
    sink_free(sink);
}

static void test_in_words(void **state)
{
    (void)state;
    CLEANUP_FREE char *undone = xasprintf("0 responses abandoned; 3 could not be done (%s)",
                                          outcome_info(OUTCOME_REFUSED)->text);
    check_words((struct misuse_tally){.tried = 1200, .done = 1200}, "1,200 responses abandoned");
    check_words((struct misuse_tally){.done = 5, .status = {[2] = 1, [4] = 4}},
                "5 responses abandoned (answered 1 with 2xx, 4 with 4xx)");
    check_words((struct misuse_tally){.undone = 3, .why = OUTCOME_REFUSED}, undone);
    check_words((struct misuse_tally){.done = 1, .forgone = 2000},
                "1 responses abandoned; 2,000 not tried, since all places were taken");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_misuses_come_back),
        TEST(test_a_killed_run_names_its_misuses),
        TEST(test_intervals_add_misuses),
        TEST(test_in_words),
    };
    return cmocka_run_group_tests(tests, make_base, remove_base);
}
