#include "load/schedule.h"

#include "base/mono.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static struct plan plan_of(uint64_t seed, uint64_t duration_s)
{
    return (struct plan){
        .run = {.seed = seed, .duration_ns = duration_s * NS_PER_S},
        .attribution = {.mode = ATTRIBUTION_CROSSOVER,
                        .dwell_ns = 10 * NS_PER_S,
                        .warmup_ns = 15 * NS_PER_S},
    };
}

static unsigned cell_of(struct switches s)
{
    return s.high_rate | s.reconnect << 1 | s.fresh_cert << 2 | s.fresh_key << 3 | s.fresh_jwt << 4;
}

static unsigned cell_at(const struct schedule *schedule, size_t dwell)
{
    size_t number;
    uint64_t t_ns = (15 + 10 * dwell) * NS_PER_S;
    struct switches s = schedule_at(schedule, t_ns, &number);
    assert_true(s.designed);
    assert_int_equal(number, dwell + 1);
    /* The same to the last nanosecond of the dwell. */
    assert_int_equal(cell_of(schedule_at(schedule, t_ns + 10 * NS_PER_S - 1, &number)), cell_of(s));
    assert_int_equal(number, dwell + 1);
    return cell_of(s);
}

static void each_cell_once_in_32_dwells(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 50; seed++) {
        struct plan plan = plan_of(seed, 15 + 960);
        struct schedule schedule;
        schedule_init(&schedule, &plan);
        assert_int_equal(schedule.n_dwells, 96);
        for (size_t block = 0; block < 3; block++) {
            unsigned seen[32] = {0};
            for (size_t i = 0; i < 32; i++) {
                seen[cell_at(&schedule, block * 32 + i)]++;
            }
            for (size_t i = 0; i < 32; i++) {
                assert_int_equal(seen[i], 1);
            }
        }
        schedule_clear(&schedule);
    }
}

static void half_a_block_is_balanced(void **state)
{
    (void)state;
    struct plan plan = plan_of(3, 15 + 160);
    struct schedule schedule;
    schedule_init(&schedule, &plan);
    unsigned on[5] = {0}, both = 0;
    for (size_t i = 0; i < 16; i++) {
        unsigned cell = cell_at(&schedule, i);
        for (unsigned bit = 0; bit < 5; bit++) {
            on[bit] += cell >> bit & 1;
        }
        both += (cell & 3) == 3;
    }
    for (unsigned bit = 0; bit < 5; bit++) {
        assert_int_equal(on[bit], 8);
    }
    assert_int_equal(both, 4);
    schedule_clear(&schedule);
}

static void same_seed_same_schedule(void **state)
{
    (void)state;
    struct plan one = plan_of(1, 335), two = plan_of(2, 335);
    struct schedule a, again, b;
    schedule_init(&a, &one);
    schedule_init(&again, &one);
    schedule_init(&b, &two);
    assert_memory_equal(a.cells, again.cells, 32);
    assert_true(memcmp(a.cells, b.cells, 32) != 0);
    /* Blocks of one run differ too. */
    struct plan longer = plan_of(1, 15 + 640);
    struct schedule c;
    schedule_init(&c, &longer);
    assert_memory_equal(a.cells, c.cells, 32);
    assert_true(memcmp(c.cells, c.cells + 32, 32) != 0);
    schedule_clear(&a);
    schedule_clear(&again);
    schedule_clear(&b);
    schedule_clear(&c);
}

static void warmup_and_end(void **state)
{
    (void)state;
    struct plan plan = plan_of(1, 15 + 325);
    struct schedule schedule;
    size_t dwell = 99;
    schedule_init(&schedule, &plan);
    assert_int_equal(schedule.n_dwells, 32);
    assert_false(schedule_at(&schedule, 0, &dwell).designed);
    assert_int_equal(dwell, 0);
    assert_false(schedule_at(&schedule, 15 * NS_PER_S - 1, &dwell).designed);
    assert_true(schedule_at(&schedule, 15 * NS_PER_S, &dwell).designed);
    assert_int_equal(dwell, 1);
    assert_true(schedule_at(&schedule, 339 * NS_PER_S, &dwell).designed);
    assert_int_equal(dwell, 32);
    schedule_clear(&schedule);
}

/* Whatever three of the five make it of, the sixth switch is confounded with no other, and with no
 * pair of others: each combination of it with two of them is on in an eighth of a block. */
static void the_sixth_switch_is_clear_of_pairs(void **state)
{
    (void)state;
    struct plan plan = plan_of(7, 15 + 320);
    struct schedule schedule;
    unsigned on = 0, pair[5][5] = {{0}};
    schedule_init(&schedule, &plan);
    for (size_t i = 0; i < 32; i++) {
        size_t number;
        struct switches s = schedule_at(&schedule, (15 + 10 * i) * NS_PER_S, &number);
        unsigned cell = cell_of(s);
        on += s.refusals;
        for (unsigned a = 0; a < 5; a++) {
            for (unsigned b = 0; b < 5; b++) {
                pair[a][b] += s.refusals && (cell >> a & 1) && (cell >> b & 1);
            }
        }
    }
    assert_int_equal(on, 16);
    for (unsigned a = 0; a < 5; a++) {
        for (unsigned b = 0; b < 5; b++) {
            assert_int_equal(pair[a][b], a == b ? 8 : 4);
        }
    }
    schedule_clear(&schedule);
}

static void parts_of_a_modulation(void **state)
{
    (void)state;
    struct plan plan = plan_of(1, 500);
    struct schedule schedule;
    size_t dwell;
    plan.attribution = (struct plan_attribution){.mode = ATTRIBUTION_MODULATION,
                                                 .dwell_ns = 10 * NS_PER_S,
                                                 .warmup_ns = 15 * NS_PER_S,
                                                 .steady_ns = 60 * NS_PER_S,
                                                 .duration_ns = 320 * NS_PER_S,
                                                 .cooldown_ns = 20 * NS_PER_S};
    schedule_init(&schedule, &plan);
    assert_int_equal(schedule.n_dwells, 32);
    const struct {
        uint64_t t_s;
        size_t dwell;
        bool designed, idle;
        uint64_t next_s;
    } times[] = {
        {0, 0, false, false, 75},    {74, 0, false, false, 75},   {75, 1, true, false, 85},
        {394, 32, true, false, 395}, {395, 0, false, false, 480}, {480, 0, false, true, 0},
    };
    for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
        uint64_t t_ns = times[i].t_s * NS_PER_S;
        struct switches s = schedule_at(&schedule, t_ns, &dwell);
        assert_int_equal(dwell, times[i].dwell);
        assert_int_equal(s.designed, times[i].designed);
        assert_int_equal(s.idle, times[i].idle);
        uint64_t next_ns = times[i].next_s > 0 ? times[i].next_s * NS_PER_S : UINT64_MAX;
        assert_true(schedule_next_ns(&schedule, t_ns) == next_ns);
    }
    schedule_clear(&schedule);
}

static void no_experiment(void **state)
{
    (void)state;
    struct plan plan = plan_of(1, 335), shorter = plan_of(1, 10);
    struct schedule schedule;
    size_t dwell = 99;
    plan.attribution.mode = ATTRIBUTION_OFF;
    schedule_init(&schedule, &plan);
    assert_false(schedule_at(&schedule, 100 * NS_PER_S, &dwell).designed);
    assert_int_equal(dwell, 0);
    schedule_clear(&schedule);
    schedule_init(&schedule, &shorter);
    assert_false(schedule_at(&schedule, 9 * NS_PER_S, &dwell).designed);
    schedule_clear(&schedule);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_cell_once_in_32_dwells),
        cmocka_unit_test(half_a_block_is_balanced),
        cmocka_unit_test(same_seed_same_schedule),
        cmocka_unit_test(warmup_and_end),
        cmocka_unit_test(the_sixth_switch_is_clear_of_pairs),
        cmocka_unit_test(parts_of_a_modulation),
        cmocka_unit_test(no_experiment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
