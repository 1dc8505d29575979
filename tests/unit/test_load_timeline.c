#include "load/phase.h"
#include "load/phases.h"
#include "load/timeline.h"

#include "base/mono.h"
#include "base/str.h"
#include "run_kit.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

/* 10 s up to 100/s and 20 connections, 20 s there, 30 s of rest at the most, 5 s at 40/s. */
static struct plan_phase phases[] = {
    {.name = (char[]){"up"},
     .duration_ns = 10 * NS_PER_S,
     .ramp_ns = 10 * NS_PER_S,
     .rate_per_s = 100,
     .connections = 20},
    {.name = (char[]){"burst"}, .duration_ns = 20 * NS_PER_S, .rate_per_s = 100, .connections = 20},
    {.name = (char[]){"rest"},
     .duration_ns = 30 * NS_PER_S,
     .idle = true,
     .until = PHASE_UNTIL_SETTLED},
    {.name = (char[]){"again"},
     .duration_ns = 5 * NS_PER_S,
     .ramp_ns = NS_PER_S,
     .rate_per_s = 40,
     .connections = 10,
     .connect_rate_per_s = 5},
};

static struct plan plan_of(uint64_t n_times)
{
    return (struct plan){.run = {.duration_ns = n_times * 65 * NS_PER_S, .repeat_phases = n_times},
                         .pace = {.mode = PACE_OPEN, .rate_per_s = 1, .connections = 1},
                         .phases = phases,
                         .n_phases = 4};
}

static double rate_at(const struct timeline *timeline, double t_s)
{
    return course_value(&timeline->rate, t_s * 1e9);
}

static double connections_at(const struct timeline *timeline, double t_s)
{
    return course_value(&timeline->connections, t_s * 1e9);
}

static bool near(double a, double b)
{
    return fabs(a - b) < 1e-6;
}

static void phases_follow_one_another(void **state)
{
    (void)state;
    struct plan plan = plan_of(2);
    struct timeline timeline;
    timeline_init(&timeline, &plan);
    assert_true(timeline.n == 8 && timeline.run_end_ns == 130 * NS_PER_S);
    assert_true(near(rate_at(&timeline, 0), 0) && near(rate_at(&timeline, 5), 50));
    assert_true(near(connections_at(&timeline, 2.5), 5) && near(connections_at(&timeline, 11), 20));
    timeline_next(&timeline);
    assert_true(timeline.start_ns == 10 * NS_PER_S && timeline.end_ns == 30 * NS_PER_S);
    assert_true(near(rate_at(&timeline, 10), 100) && near(connections_at(&timeline, 10), 20));
    timeline_next(&timeline);
    assert_true(near(rate_at(&timeline, 30), 0) && near(connections_at(&timeline, 30), 0));
    timeline_next(&timeline);
    /* from the rest's nothing, the connections at 5 a second and not by the shorter ramp */
    assert_true(near(rate_at(&timeline, 60.5), 20) && near(rate_at(&timeline, 62), 40));
    assert_true(near(connections_at(&timeline, 61), 5) && near(connections_at(&timeline, 62), 10));
    timeline_next(&timeline);
    assert_string_equal(timeline_phase(&timeline)->name, "up");
    /* the second time up begins at what the last phase came to */
    assert_true(near(rate_at(&timeline, 65), 40) && near(rate_at(&timeline, 70), 70));
    assert_true(near(connections_at(&timeline, 70), 15));
    for (int i = 0; i < 5; i++) {
        timeline_next(&timeline);
    }
    assert_true(timeline.i == 8 && timeline.start_ns == 130 * NS_PER_S);
    assert_string_equal(timeline_phase(&timeline)->name, "again");
}

static void a_ramp_that_is_cut_off_goes_on_from_there(void **state)
{
    (void)state;
    struct plan_phase slow[] = {{.name = (char[]){"a"},
                                 .duration_ns = 10 * NS_PER_S,
                                 .connections = 100,
                                 .connect_rate_per_s = 4},
                                {.name = (char[]){"b"},
                                 .duration_ns = 10 * NS_PER_S,
                                 .ramp_ns = 10 * NS_PER_S,
                                 .connections = 20}};
    struct plan plan = {.run.duration_ns = 20 * NS_PER_S, .phases = slow, .n_phases = 2};
    struct timeline timeline;
    timeline_init(&timeline, &plan);
    assert_true(near(connections_at(&timeline, 10), 40));
    timeline_next(&timeline);
    assert_true(near(connections_at(&timeline, 15), 30) && near(connections_at(&timeline, 20), 20));
    assert_true(near(rate_at(&timeline, 15), 0)); /* the closed loop */
}

static void a_cut_moves_what_follows(void **state)
{
    (void)state;
    struct plan plan = plan_of(1);
    struct timeline timeline;
    timeline_init(&timeline, &plan);
    timeline_next(&timeline);
    timeline_next(&timeline);
    timeline_cut(&timeline, 30 * NS_PER_S); /* not within: that is its start */
    timeline_cut(&timeline, 60 * NS_PER_S);
    assert_true(timeline.end_ns == 60 * NS_PER_S && timeline.run_end_ns == 65 * NS_PER_S);
    timeline_cut(&timeline, 42 * NS_PER_S);
    assert_true(timeline.end_ns == 42 * NS_PER_S && timeline.run_end_ns == 47 * NS_PER_S);
    timeline_next(&timeline);
    timeline_cut(&timeline, 42 * NS_PER_S); /* what was said of the phase before is not of this */
    assert_true(timeline.start_ns == 42 * NS_PER_S && timeline.end_ns == 47 * NS_PER_S);
}

static void a_plan_without_phases_is_one(void **state)
{
    (void)state;
    struct plan plan = {
        .run.duration_ns = 9 * NS_PER_S,
        .pace = {.mode = PACE_OPEN, .rate_per_s = 7, .connections = 8, .connect_rate_per_s = 2}};
    struct timeline timeline;
    timeline_init(&timeline, &plan);
    assert_true(timeline.n == 1 && timeline.end_ns == 9 * NS_PER_S);
    assert_true(rate_at(&timeline, 0) == 7 && near(connections_at(&timeline, 3), 6));
    /* connection k is dialled at k / 2 seconds */
    for (int k = 0; k < 8; k++) {
        assert_true(near(course_passes(&timeline.connections, k), k * 0.5e9));
    }
    assert_true(isinf(course_passes(&timeline.connections, 8)));
}

static void falling_courses_pass(void **state)
{
    (void)state;
    struct course fall = {.start_ns = 1e9, .ramp_ns = 4e9, .from = 8, .to = 4};
    assert_true(isinf(course_passes(&fall, 3)));
    assert_true(near(course_passes(&fall, 7), 2e9) && near(course_passes(&fall, 4), 5e9));
    assert_true(course_passes(&fall, 8) == 1e9 && course_passes(&fall, 11) == 1e9);
    /* what is never reached */
    struct course rest = {.from = 0, .to = 0}, end = {.ramp_ns = 2e9, .from = 10, .to = 0};
    assert_true(isinf(course_when(&rest, 0.5)) && isinf(course_when(&end, 10.5)));
    assert_true(isinf(course_when(&rest, 0)) && isinf(course_when(&end, 10)));
    assert_true(near(course_when(&end, 7.5), 1e9) && near(course_count(&end, 3e9), 10));
}

static bool asked;
static double asked_since;

static bool settles(double since_s, void *context)
{
    asked = true;
    asked_since = since_s;
    return *(bool *)context;
}

static void main_cuts_when_memory_has_settled(void **state)
{
    (void)state;
    struct diag *diag = diag_new();
    struct run_meta meta = {.id = "x", .start_ns = 0, .tick_ns = NS_PER_S, .threads = 1};
    struct run *run = run_create(dir, &meta, "", diag);
    struct plan plan = plan_of(1);
    struct phases main_side;
    bool settled = false;
    assert_non_null(run);
    phases_init(&main_side, &plan, run);
    main_side.settled = settles;
    main_side.context = &settled;
    assert_true(phases_follow(&main_side, 0) == 0 && phases_follow(&main_side, 29 * NS_PER_S) == 0);
    assert_false(asked);
    assert_true(phases_follow(&main_side, 31 * NS_PER_S) == 0);
    assert_true(asked && near(asked_since, 30));
    settled = true;
    uint64_t cut_ns = phases_follow(&main_side, 35 * NS_PER_S);
    assert_true(cut_ns > 35 * NS_PER_S && cut_ns < 36 * NS_PER_S);
    assert_true(phases_follow(&main_side, 35 * NS_PER_S) == 0); /* said once */
    assert_true(phases_follow(&main_side, 39 * NS_PER_S) == 0);
    assert_string_equal(timeline_phase(&main_side.timeline)->name, "again");
    phases_end(&main_side, 100 * NS_PER_S);
    phases_end(&main_side, 101 * NS_PER_S);
    run_free(run);
    struct stored_run *stored = run_load(dir, diag);
    assert_non_null(stored);
    assert_int_equal(stored->n_phases, 4);
    assert_true(stored->phases[1].from_s == 10 && stored->phases[1].to_s == 30);
    assert_string_equal(stored->phases[2].name, "rest");
    assert_true(stored->phases[2].idle && !stored->phases[3].idle);
    assert_true(near(stored->phases[2].to_s, (double)cut_ns * 1e-9));
    assert_true(near(stored->phases[3].from_s, stored->phases[2].to_s));
    assert_true(near(stored->phases[3].to_s, stored->phases[3].from_s + 5));
    assert_int_equal(stored->n_events, 1);
    assert_non_null(strstr(stored->events[0].text, "rest (3 of 4): memory has settled after 5"));
    run_unload(stored);
    diag_free(diag);
}

static void phases_in_words(void **state)
{
    (void)state;
    struct plan plan = plan_of(2);
    struct schedule none = {.cooldown_ns = UINT64_MAX};
    struct timeline timeline;
    char text[PHASE_TEXT];
    timeline_init(&timeline, &plan);
    assert_string_equal(phase_text(&timeline, &none, 0, false, false, text), "up (1 of 8)");
    assert_true(near(phase_rate(&timeline, &none, 5 * NS_PER_S), 50));
    timeline_next(&timeline);
    timeline_next(&timeline);
    assert_string_equal(phase_text(&timeline, &none, 31 * NS_PER_S, true, false, text),
                        "rest (3 of 8), idle");
    assert_string_equal(phase_text(&timeline, &none, 31 * NS_PER_S, true, true, text), "draining");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(phases_follow_one_another),
        cmocka_unit_test(a_ramp_that_is_cut_off_goes_on_from_there),
        cmocka_unit_test(a_cut_moves_what_follows),
        cmocka_unit_test(a_plan_without_phases_is_one),
        cmocka_unit_test(falling_courses_pass),
        cmocka_unit_test_teardown(main_cuts_when_memory_has_settled, remove_run),
        cmocka_unit_test(phases_in_words),
    };
    return cmocka_run_group_tests(tests, make_base, remove_base);
}
