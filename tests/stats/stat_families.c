/* The judge against 22 families of servers that do not leak and 14 that do, at three lengths. */
#include "shapes.h"

#include "base/mem.h"
#include "judge/growth.h"
#include "judge/numeric.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#define N_LEVELS 3

struct length {
    size_t n;
    unsigned seeds;
    double budget;                  /* bytes a second */
    double leak[N_LEVELS];          /* bytes a second: faint, plain, strong */
    unsigned least_found[N_LEVELS]; /* per cent of all leak families, at least */
    unsigned most_passed;           /* wrong passes, per cent */
    unsigned least_proven;          /* clean traces proven within budget, per cent */
};

/* Leaks are 0.8, 2 and 5 times the one that is found in 80 % of linear traces with this noise. */
static const struct noise typical = {.sigma = 512 * KB, .phi = 0.9};

static const struct length minute = {60, 40, 8 * KB, {265e3, 662e3, 1655e3}, {45, 75, 88}, 1, 11};
static const struct length five_minutes = {300,          40, 8 * KB, {59e3, 148e3, 370e3},
                                           {55, 92, 97}, 1,  42};
static const struct length hour = {3600, 10, 2 * KB, {3.2e3, 8e3, 20e3}, {55, 78, 93}, 2, 65};

static struct growth judge(const struct trace *trace, const double *seconds, double budget)
{
    struct growth growth;
    struct growth_options options = growth_options(budget);
    struct growth_input input = {
        .y = trace->y, .y_min = trace->y, .x = seconds, .part = trace->part, .n = trace->n};
    growth_judge(&input, &options, &growth);
    return growth;
}

static bool is_pass(const struct growth *g)
{
    return g->class == MEMORY_STABLE || g->class == MEMORY_BOUNDED;
}

static void judge_clean(const struct length *length, struct trace *trace, const double *seconds)
{
    unsigned alarms = 0, passed = 0;
    for (size_t f = 0; f < N_CLEAN_FAMILIES; f++) {
        for (unsigned seed = 0; seed < length->seeds; seed++) {
            trace_clean(trace, f, 31000 + seed);
            struct growth g = judge(trace, seconds, length->budget);
            passed += is_pass(&g);
            if (g.class == MEMORY_LEAK) {
                print_message("n=%zu %s seed %u is called a leak\n", length->n,
                              clean_families[f].name, seed);
                alarms++;
            }
        }
    }
    unsigned all = N_CLEAN_FAMILIES * length->seeds;
    print_message("n=%zu clean: %u false alarms, %u proven of %u\n", length->n, alarms, passed,
                  all);
    assert_in_range(alarms, 0, 1);
    assert_in_range(passed * 100, length->least_proven * all, 100 * all);
}

/* What looks like a leak for most of the run, but can be told apart. */
static void judge_hard(const struct length *length, struct trace *trace, const double *seconds)
{
    unsigned alarms = 0;
    for (size_t f = 0; f < N_HARD_FAMILIES; f++) {
        for (unsigned seed = 0; seed < length->seeds && !hard_families[f].unknowable; seed++) {
            trace_hard(trace, f, 33000 + seed);
            struct growth g = judge(trace, seconds, length->budget);
            if (g.class == MEMORY_LEAK) {
                print_message("n=%zu %s seed %u is called a leak\n", length->n,
                              hard_families[f].name, seed);
                alarms++;
            }
        }
    }
    assert_in_range(alarms, 0, 1);
}

static unsigned count_linear(const struct length *length, struct trace *trace,
                             const double *seconds, double leak)
{
    unsigned found = 0;
    for (unsigned seed = 0; seed < length->seeds; seed++) {
        trace_leak(trace, 0, leak, typical, 34000 + seed);
        found += judge(trace, seconds, 0).class == MEMORY_LEAK;
    }
    return found;
}

/* The smallest visible leak that is reported is within 0.75 and 1.4 times the one that is found in
 * four runs of five. */
static void judge_what_is_visible(const struct length *length, struct trace *trace,
                                  const double *seconds)
{
    double visible[40];
    assert_in_range(length->seeds, 1, 40);
    for (unsigned seed = 0; seed < length->seeds; seed++) {
        trace_leak(trace, 0, length->leak[0], typical, 35000 + seed);
        visible[seed] = judge(trace, seconds, 0).smallest_visible;
    }
    double middle = numeric_median(visible, length->seeds);
    unsigned above = count_linear(length, trace, seconds, middle / 0.75);
    unsigned below = count_linear(length, trace, seconds, middle / 1.4);
    print_message("n=%zu visible from %.0f B/s on: found %u and %u of %u\n", length->n, middle,
                  above, below, length->seeds);
    assert_in_range(above * 100, 80 * length->seeds, 100 * length->seeds);
    assert_in_range(below * 100, 0, 80 * length->seeds);
}

static void judge_leaks(const struct length *length, struct trace *trace, const double *seconds)
{
    unsigned passed = 0;
    unsigned each = N_LEAK_FAMILIES * length->seeds;
    for (size_t level = 0; level < N_LEVELS; level++) {
        unsigned found = 0;
        for (size_t f = 0; f < N_LEAK_FAMILIES; f++) {
            for (unsigned seed = 0; seed < length->seeds; seed++) {
                trace_leak(trace, f, length->leak[level], typical, 32000 + seed);
                struct growth g = judge(trace, seconds, length->budget);
                found += g.class == MEMORY_LEAK;
                passed += is_pass(&g);
            }
        }
        print_message("n=%zu leak %.0f B/s: found %u of %u\n", length->n, length->leak[level],
                      found, each);
        assert_in_range(found * 100, length->least_found[level] * each, 100 * each);
    }
    print_message("n=%zu leaks: %u wrong passes\n", length->n, passed);
    assert_in_range(passed * 100, 0, length->most_passed * N_LEVELS * each);
}

static void judge_length(const struct length *length)
{
    struct trace trace = trace_new(length->n);
    double *seconds = xcalloc(length->n, sizeof *seconds);
    for (size_t i = 0; i < length->n; i++) {
        seconds[i] = (double)i;
    }
    judge_clean(length, &trace, seconds);
    judge_hard(length, &trace, seconds);
    judge_what_is_visible(length, &trace, seconds);
    judge_leaks(length, &trace, seconds);
    free(seconds);
    trace_free(&trace);
}

static void families_of_a_minute(void **state)
{
    (void)state;
    judge_length(&minute);
}

static void families_of_five_minutes(void **state)
{
    (void)state;
    judge_length(&five_minutes);
}

static void families_of_an_hour(void **state)
{
    (void)state;
    judge_length(&hour);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(families_of_a_minute),
        cmocka_unit_test(families_of_five_minutes),
        cmocka_unit_test(families_of_an_hour),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
