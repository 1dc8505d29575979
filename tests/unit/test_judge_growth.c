/* Growth, and each of its gates on its own: what passes all others is stopped by exactly one.
 * The gates overlap on purpose, so that they can only be told apart from inside. */
#include "judge/growth.c"

#include "base/rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#define N        400
#define N_LEVELS 32
#define KIB      1024.0
#define MIB      (1024 * KIB)

static double y[N], x[N];
static int part[N];

/* Growth per second in each eighth of the run, and one jump. */
static struct growth judge(const double rate[8], double jump, int jump_at, double noise)
{
    struct rng rng;
    struct growth g;
    struct growth_input input = {.y = y, .y_min = y, .x = x, .part = part, .n = N};
    struct growth_options options = growth_options(1 * KIB);
    double level = 50 * MIB;
    rng_init(&rng, 8, "gates", 0);
    for (int i = 0; i < N; i++) {
        level += rate[i * 8 / N] + (i == jump_at ? jump : 0);
        x[i] = i;
        y[i] = level + noise * rng_normal(&rng);
    }
    growth_judge(&input, &options, &g);
    return g;
}

static void expect(struct growth g, enum memory_class class, enum growth_reason reason)
{
    assert_string_equal(growth_reason_name(g.reason), growth_reason_name(reason));
    assert_int_equal(g.class, class);
}

static const double even[8] = {5e4, 5e4, 5e4, 5e4, 5e4, 5e4, 5e4, 5e4};

static void even_growth_passes_every_gate(void **state)
{
    (void)state;
    struct growth g = judge(even, 0, 0, 3e4);
    expect(g, MEMORY_LEAK, GROWTH_TREND);
    assert_float_equal(g.slope, 5e4, 1e3);
    assert_float_equal(g.noise, 3e4, 5e3);
}

/* What the gates say of 32 block levels with these rises, where the line has beaten the
 * logarithm. */
static enum growth_reason pass_gates(const double rise[4], double jump, double worst_fall)
{
    struct levels l = {.n = N_LEVELS};
    struct trend trend = {.slope = 1 * MIB, .log_nats = 10};
    struct part whole = {.worst_fall = worst_fall};
    double total;
    for (size_t i = 1; i < N_LEVELS; i++) {
        l.x[i] = (double)i;
        l.level[i] = l.level[i - 1] + rise[(i - 1) * 4 / (N_LEVELS - 1)] + (i == 20 ? jump : 0);
    }
    return gates(&whole, &l, &trend, &total);
}

static void each_gate_stops_what_it_should(void **state)
{
    (void)state;
    const double level[4] = {MIB, MIB, MIB, MIB};
    assert_int_equal(pass_gates(level, 0, 0), GROWTH_TREND);
    assert_int_equal(pass_gates(level, 20 * MIB, 0), GROWTH_TREND);
    assert_int_equal(pass_gates(level, 31 * MIB, 0), GROWTH_STEP);
    assert_int_equal(pass_gates(level, 0, 14 * MIB), GROWTH_TREND);
    assert_int_equal(pass_gates(level, 0, 17 * MIB), GROWTH_FEW_CYCLES);
    assert_int_equal(pass_gates((double[4]){MIB, MIB, MIB, 0.1 * MIB}, 0, 0), GROWTH_DECELERATING);
    assert_int_equal(pass_gates((double[4]){MIB, MIB, 0.7 * MIB, 0.7 * MIB}, 0, 0), GROWTH_TREND);
    assert_int_equal(pass_gates((double[4]){MIB, MIB, 0.6 * MIB, 0.6 * MIB}, 0, 0),
                     GROWTH_DECELERATING);
    assert_int_equal(pass_gates((double[4]){0.1 * MIB, MIB, MIB, MIB}, 0, 0), GROWTH_UNEVEN);
    assert_int_equal(pass_gates((double[4]){0.3 * MIB, MIB, MIB, MIB}, 0, 0), GROWTH_TREND);
    assert_int_equal(pass_gates((double[4]){KIB, KIB, KIB, KIB}, 0, 0), GROWTH_SMALL);
}

static void a_jump_is_no_leak(void **state)
{
    (void)state;
    for (int at = 100; at < N; at += 20) {
        assert_int_not_equal(judge((double[8]){0}, 20 * MIB, at, 3e4).class, MEMORY_LEAK);
    }
}

static void growth_that_slows_is_no_trend(void **state)
{
    (void)state;
    const double slows[8] = {8e4, 7.2e4, 6.4e4, 5.6e4, 4.6e4, 3.6e4, 2.8e4, 2e4};
    expect(judge(slows, 0, 0, 3e4), MEMORY_INCONCLUSIVE, GROWTH_DECELERATING);
}

/* Growth that is even from the first reading on is told from a logarithm by its beginning. */
static void even_growth_shows_early(void **state)
{
    (void)state;
    unsigned found = 0;
    for (double rate = 700; rate < 1000; rate += 50) {
        double each[8];
        for (size_t i = 0; i < 8; i++) {
            each[i] = rate * 14;
        }
        struct growth g = judge(each, 0, 0, 4e5);
        found += g.class == MEMORY_LEAK;
        assert_true(g.smallest_visible > 3e3 && g.smallest_visible < 2e4);
    }
    assert_int_equal(found, 6);
}

static void a_store_that_is_full_late_is_no_leak(void **state)
{
    (void)state;
    const double full[8] = {5e4, 5e4, 5e4, 5e4, 5e4, 5e4, 4e4, 0};
    for (double noise = 1e3; noise < 1e7; noise *= 3) {
        assert_int_not_equal(judge(full, 0, 0, noise).class, MEMORY_LEAK);
    }
}

static void little_growth_is_no_trend(void **state)
{
    (void)state;
    const double little[8] = {2e3, 2e3, 2e3, 2e3, 2e3, 2e3, 2e3, 2e3};
    struct growth g = judge((double[8]){600, 600, 600, 600, 600, 600, 600, 600}, 0, 0, 100);
    assert_int_equal(g.class, MEMORY_STABLE); /* below the budget of 1 KiB/s */
    g = judge(little, 0, 0, 1e3);
    assert_int_equal(g.class, MEMORY_LEAK);
    g = judge((double[8]){1100, 1100, 1100, 1100, 0, 0, 0, 0}, 0, 0, 100);
    assert_int_not_equal(g.class, MEMORY_LEAK);
}

static void one_deep_fall_hides_what_is_kept(void **state)
{
    (void)state;
    struct growth g = judge(even, -12e6, 60, 3e4);
    expect(g, MEMORY_INCONCLUSIVE, GROWTH_FEW_CYCLES);
}

static void failed_reads_do_not_matter(void **state)
{
    struct growth_input input = {.y = y, .y_min = y, .x = x, .part = part, .n = N};
    struct growth_options options = growth_options(1 * KIB);
    struct growth g;
    (void)state;
    (void)judge(even, 0, 0, 3e4);
    for (int i = 20; i < N; i += 40) {
        y[i] = i % 80 == 20 ? 0 : 1000;
    }
    growth_judge(&input, &options, &g);
    expect(g, MEMORY_LEAK, GROWTH_TREND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(even_growth_passes_every_gate),
        cmocka_unit_test(each_gate_stops_what_it_should),
        cmocka_unit_test(a_jump_is_no_leak),
        cmocka_unit_test(growth_that_slows_is_no_trend),
        cmocka_unit_test(even_growth_shows_early),
        cmocka_unit_test(a_store_that_is_full_late_is_no_leak),
        cmocka_unit_test(little_growth_is_no_trend),
        cmocka_unit_test(one_deep_fall_hides_what_is_kept),
        cmocka_unit_test(failed_reads_do_not_matter),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
