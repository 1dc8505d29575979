/* Bad identities and events survive in the run directory. */
#include "run_kit.h"

#include "record/refusal.h"

static void name_refusal(struct run_meta *meta, const char *name, const char *presented)
{
    struct refusal_kind *refusal = &meta->refusal[meta->n_refusals++];
    (void)str_copy(refusal->name, sizeof refusal->name, name);
    (void)str_copy(refusal->presented, sizeof refusal->presented, presented);
    (void)str_copy(refusal->expect, sizeof refusal->expect, "401, 403");
}

static void test_refusals_come_back(void **state)
{
    (void)state;
    struct run_meta meta = example_meta();
    name_refusal(&meta, "late", "an expired certificate");
    name_refusal(&meta, "odd \"name\"", "no token");
    meta.refusal[1].any = true;
    struct run *run = create(&meta);
    struct interval *sums = interval_new();
    append(run, sums, 0, 3);
    struct refusal_answer alert = {.outcome = OUTCOME_ALERT_CERTIFICATE_EXPIRED};
    struct refusal_answer let_in = {.outcome = OUTCOME_OK, .status = 204};
    sums->refusal[0].tried = 3;
    refusal_count(&sums->refusal[0], REFUSAL_REFUSED, alert);
    refusal_count(&sums->refusal[0], REFUSAL_REFUSED, let_in); /* the first stays */
    refusal_count(&sums->refusal[0], REFUSAL_LET_IN, let_in);
    assert_true(run_finish(run, &meta, sums));
    run_free(run);

    struct stored_run *stored = load();
    assert_int_equal(stored->meta.n_refusals, 2);
    assert_memory_equal(stored->meta.refusal, meta.refusal, sizeof meta.refusal);
    assert_memory_equal(stored->total->refusal, sums->refusal, sizeof sums->refusal);
    run_unload(stored);
    interval_free(sums);
}

/* The plan is told at the start, so a killed run still says what was presented. */
static void test_a_killed_run_names_its_refusals(void **state)
{
    (void)state;
    struct run_meta meta = example_meta();
    name_refusal(&meta, "late", "an expired certificate");
    run_free(create(&meta));
    struct stored_run *stored = load();
    assert_string_equal(stored->meta.refusal[0].presented, "an expired certificate");
    assert_int_equal(stored->total->refusal[0].tried, 0);
    run_unload(stored);
}

static void test_intervals_add_refusals(void **state)
{
    (void)state;
    struct interval *a = interval_new(), *b = interval_new();
    struct refusal_answer answers[] = {{.outcome = OUTCOME_OK, .status = 401},
                                       {.outcome = OUTCOME_OK, .status = 403}};
    b->refusal[5].tried = 2;
    refusal_count(&b->refusal[5], REFUSAL_REFUSED, answers[0]);
    interval_add(a, b);
    interval_clear(b);
    assert_int_equal(b->refusal[5].tried, 0);
    refusal_count(&b->refusal[5], REFUSAL_REFUSED, answers[1]);
    interval_add(a, b);
    assert_int_equal(a->refusal[5].tried, 2);
    assert_int_equal(a->refusal[5].n[REFUSAL_REFUSED], 2);
    assert_int_equal(a->refusal[5].first[REFUSAL_REFUSED].status, 401);
    interval_free(a);
    interval_free(b);
}

static void test_events_come_back(void **state)
{
    (void)state;
    struct run_meta meta = example_meta();
    struct run *run = create(&meta);
    assert_true(run_event(run, START_NS + 1500000000, "identity", "client-1.pem expired"));
    assert_true(run_event(run, START_NS + 2 * SECOND, "identity", "a, \"b\"\nc"));
    run_free(run);
    struct stored_run *stored = load();
    assert_int_equal(stored->n_events, 2);
    assert_string_equal(stored->events[0].kind, "identity");
    assert_string_equal(stored->events[0].text, "client-1.pem expired");
    assert_true(stored->events[0].at_s > 1.4999 && stored->events[0].at_s < 1.5001);
    assert_string_equal(stored->events[1].text, "a, \"b\"\\x0ac");
    run_unload(stored);
}

static void write_events(const char *text)
{
    CLEANUP_FREE char *path = path_of("events.csv");
    assert_true(file_write(path, text, strlen(text), 0644));
}

static void test_damaged_events(void **state)
{
    (void)state;
    interval_free(make_run(2, true));
    write_events("time_s,kind,text\n1.000,identity,one\n2.000,identity,tor");
    struct stored_run *stored = load();
    assert_int_equal(stored->n_events, 1);
    assert_int_equal(stored->torn_lines, 1);
    run_unload(stored);
    CLEANUP_FREE char *path = path_of("events.csv");
    assert_int_equal(unlink(path), 0); /* a run of a version without events */
    run_unload(load());
    static const char *const bad[] = {"x,identity,one", "1.0,identity", "1.0,identity,\"one",
                                      "1.0,identity,\"o\"ne\"", "nan,identity"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        CLEANUP_FREE char *text = xasprintf("time_s,kind,text\n%s\n", bad[i]);
        struct diag *diag = diag_new();
        write_events(text);
        assert_null(run_load(dir, diag));
        assert_non_null(strstr(diag_text(diag, 0), "events.csv:2: not an event"));
        diag_free(diag);
    }
}

static void test_more_events_than_are_kept(void **state)
{
    (void)state;
    struct run_meta meta = example_meta();
    struct run *run = create(&meta);
    for (int i = 0; i < RUN_EVENTS_MAX + 10; i++) {
        assert_true(run_event(run, START_NS, "identity", "again"));
    }
    run_free(run);
    struct stored_run *stored = load();
    assert_int_equal(stored->n_events, RUN_EVENTS_MAX);
    run_unload(stored);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_refusals_come_back),     TEST(test_a_killed_run_names_its_refusals),
        TEST(test_intervals_add_refusals), TEST(test_events_come_back),
        TEST(test_damaged_events),         TEST(test_more_events_than_are_kept),
    };
    return cmocka_run_group_tests(tests, make_base, remove_base);
}
