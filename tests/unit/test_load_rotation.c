/* When the hook rotates: by a grid of its own, and in an experiment where its switch is on. */
#include "load/rotation.h"

#include "base/mono.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static char command[] = "true";

static struct plan plan_of(enum attribution_mode mode)
{
    return (struct plan){
        .run = {.seed = 1, .duration_ns = 100 * NS_PER_S},
        .hook = {.rotate = command, .every_ns = 3 * NS_PER_S},
        .attribution = {.mode = mode,
                        .factor = DRIVER_ROTATION,
                        .dwell_ns = 9 * NS_PER_S,
                        .warmup_ns = 10 * NS_PER_S,
                        .duration_ns = 72 * NS_PER_S,
                        .cooldown_ns = 11 * NS_PER_S},
    };
}

/* Walks them as the hook does, and returns how many there are in [from, to) s. */
static unsigned count(const struct rotations *rotations, uint64_t from_s, uint64_t to_s)
{
    unsigned n = 0;
    for (uint64_t t_ns = 0; (t_ns = rotation_due_ns(rotations, t_ns)) != UINT64_MAX; t_ns++) {
        n += t_ns >= from_s * NS_PER_S && t_ns < to_s * NS_PER_S;
    }
    return n;
}

static void by_a_grid_of_its_own(void **state)
{
    struct plan plan = plan_of(ATTRIBUTION_OFF);
    struct schedule schedule;
    (void)state;
    plan.attribution.cooldown_ns = 0;
    schedule_init(&schedule, &plan);
    struct rotations rotations = {.plan = &plan, .schedule = &schedule};
    const uint64_t first_ns = 1500 * NS_PER_MS, every_ns = 3 * NS_PER_S;
    assert_int_equal(rotation_due_ns(&rotations, 0), first_ns);
    assert_int_equal(rotation_due_ns(&rotations, first_ns), first_ns);
    assert_int_equal(rotation_due_ns(&rotations, first_ns + 1), first_ns + every_ns);
    /* One that was late misses what has passed, and keeps the times of the others. */
    assert_int_equal(rotation_due_ns(&rotations, 50 * NS_PER_S), first_ns + 17 * every_ns);
    assert_int_equal(rotation_due_ns(&rotations, first_ns + 32 * every_ns + 1), UINT64_MAX);
    assert_int_equal(count(&rotations, 0, 100), 33);
    schedule_clear(&schedule);
}

static void in_dwells_with_the_switch_on(void **state)
{
    struct plan plan = plan_of(ATTRIBUTION_PAIRS);
    struct schedule schedule;
    unsigned n_on = 0;
    (void)state;
    schedule_init(&schedule, &plan);
    assert_int_equal(schedule.n_dwells, 8);
    struct rotations rotations = {.plan = &plan, .schedule = &schedule};
    for (size_t dwell = 0; dwell < 8; dwell++) {
        size_t number;
        uint64_t from_s = 10 + 9 * dwell;
        bool on = schedule_at(&schedule, from_s * NS_PER_S, &number).rotations;
        assert_int_equal(count(&rotations, from_s, from_s + 9), on ? 3 : 0);
        n_on += on;
    }
    assert_int_equal(n_on, 4);
    assert_true(count(&rotations, 0, 10) > 0);
    /* After the dwells the load is steady again, and then it rests. */
    assert_true(count(&rotations, 82, 89) > 0);
    assert_int_equal(count(&rotations, 89, 100), 0);
    schedule_clear(&schedule);
}

static void never_in_idle_phases(void **state)
{
    struct plan_phase phases[] = {{.duration_ns = 10 * NS_PER_S},
                                  {.duration_ns = 20 * NS_PER_S, .idle = true},
                                  {.duration_ns = 5 * NS_PER_S},
                                  {.duration_ns = 15 * NS_PER_S, .idle = true}};
    struct plan plan = plan_of(ATTRIBUTION_OFF);
    struct schedule schedule;
    (void)state;
    plan.attribution.cooldown_ns = 0;
    plan.phases = phases;
    plan.n_phases = 4;
    plan.run.repeat_phases = 2;
    schedule_init(&schedule, &plan);
    struct rotations rotations = {.plan = &plan, .schedule = &schedule};
    /* At 1.5, 4.5 and 7.5 s; 31.5 and 34.5 s; 52.5, 55.5 and 58.5 s; 82.5 s. */
    assert_int_equal(count(&rotations, 0, 10), 3);
    assert_int_equal(count(&rotations, 10, 30), 0);
    assert_int_equal(count(&rotations, 30, 35), 2);
    assert_int_equal(count(&rotations, 35, 50), 0);
    assert_int_equal(count(&rotations, 50, 60), 3);
    assert_int_equal(count(&rotations, 60, 100), 1);
    schedule_clear(&schedule);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(by_a_grid_of_its_own),
        cmocka_unit_test(in_dwells_with_the_switch_on),
        cmocka_unit_test(never_in_idle_phases),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
