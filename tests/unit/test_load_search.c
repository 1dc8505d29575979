/* The search against servers that are made up: one of a known capacity, quiet or noisy, one without
 * end, one that holds nothing, and a generator that is the weaker of the two. */
#include "load/search.h"

#include "base/rng.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

struct model {
    double server_per_s, generator_per_s; /* above which it fails */
    double wrong;                         /* share of steps that come out the other way */
    struct rng rng;
};

struct trial {
    struct run_step steps[PLAN_SEARCH_STEPS];
    size_t n;
    struct search_answer answer;
};

static const struct plan_search usual = {.from_per_s = 100, .to_per_s = 20000, .precision = 0.05};

static enum step_result step_at(struct model *model, double per_s)
{
    bool held = per_s <= model->server_per_s && per_s <= model->generator_per_s;
    if (model->wrong > 0 && rng_double(&model->rng) < model->wrong) {
        held = !held;
    }
    return held ? STEP_HELD : per_s > model->generator_per_s ? STEP_GENERATOR : STEP_BROKEN;
}

static void perform(const struct plan_search *search, struct model *model, struct trial *trial)
{
    trial->n = 0;
    for (;;) {
        trial->answer = search_decide(search, trial->steps, trial->n);
        if (trial->answer.next_per_s <= 0) {
            return;
        }
        assert_true(trial->n < PLAN_SEARCH_STEPS);
        double per_s = trial->answer.next_per_s;
        assert_true(per_s >= search->from_per_s && per_s <= search->to_per_s);
        trial->steps[trial->n++] =
            (struct run_step){.asked_per_s = per_s, .result = step_at(model, per_s)};
    }
}

static void finds_any_capacity(void **state)
{
    (void)state;
    for (double capacity = 101; capacity < 19000; capacity *= 1.037) {
        struct model model = {.server_per_s = capacity, .generator_per_s = INFINITY};
        struct trial trial;
        perform(&usual, &model, &trial);
        const struct run_search *found = &trial.answer.so_far;
        assert_int_equal(found->end, SEARCH_FOUND);
        assert_true(found->held_per_s <= capacity && found->beyond_per_s > capacity);
        assert_true(found->beyond_per_s <= found->held_per_s * 1.05001);
        assert_int_equal(trial.answer.n_held, 2);
        assert_int_equal(trial.answer.n_beyond, 2);
        /* 8 up, 4 between, of which each that breaks is tried twice, and the answer once more */
        assert_true(trial.n <= 8 + 1 + 2 * 4 + 1);
    }
}

static void is_as_precise_as_it_is_told_to(void **state)
{
    (void)state;
    for (double precision = 0.002; precision < 1; precision *= 1.5) {
        struct plan_search search = usual;
        struct model model = {.server_per_s = 1234.5, .generator_per_s = INFINITY};
        struct trial trial;
        search.precision = precision;
        perform(&search, &model, &trial);
        const struct run_search *found = &trial.answer.so_far;
        assert_int_equal(found->end, SEARCH_FOUND);
        assert_true(found->held_per_s <= 1234.5 && found->beyond_per_s > 1234.5);
        assert_true(found->beyond_per_s <= found->held_per_s * (1 + precision) * 1.00001);
    }
}

static void ends_that_are_no_rate(void **state)
{
    struct trial trial;
    struct model endless = {.server_per_s = INFINITY, .generator_per_s = INFINITY};
    struct model none = {.server_per_s = 1, .generator_per_s = INFINITY};
    struct model weak = {.server_per_s = INFINITY, .generator_per_s = 1000};
    struct model weakest = {.server_per_s = INFINITY, .generator_per_s = 1};
    struct model both = {.server_per_s = 700, .generator_per_s = 1000};

    (void)state;
    perform(&usual, &endless, &trial);
    assert_int_equal(trial.answer.so_far.end, SEARCH_TOP_HELD);
    assert_true(trial.answer.so_far.held_per_s == 20000 && trial.answer.so_far.beyond_per_s == 0);
    assert_int_equal(trial.answer.n_held, 2);
    perform(&usual, &none, &trial);
    assert_int_equal(trial.answer.so_far.end, SEARCH_NOTHING_HELD);
    assert_true(trial.n == 2 && trial.answer.so_far.beyond_per_s == 100);
    perform(&usual, &weak, &trial);
    assert_int_equal(trial.answer.so_far.end, SEARCH_SATURATED);
    assert_true(trial.answer.so_far.held_per_s <= 1000 && trial.answer.so_far.held_per_s > 950);
    perform(&usual, &weakest, &trial);
    assert_int_equal(trial.answer.so_far.end, SEARCH_SATURATED);
    assert_true(trial.answer.so_far.held_per_s == 0);
    /* doubling meets the generator's end first, and the server's is found all the same */
    perform(&usual, &both, &trial);
    assert_int_equal(trial.answer.so_far.end, SEARCH_FOUND);
    assert_true(trial.answer.so_far.held_per_s <= 700 && trial.answer.so_far.beyond_per_s > 700);
}

static void two_tries_of_a_kind_decide(void **state)
{
    static const struct {
        enum step_result third;
        enum search_end end;
    } table[] = {{STEP_BROKEN, SEARCH_NOTHING_HELD}, {STEP_GENERATOR, SEARCH_SATURATED}};
    struct run_step steps[3] = {{.asked_per_s = 100, .result = STEP_BROKEN},
                                {.asked_per_s = 100, .result = STEP_GENERATOR},
                                {.asked_per_s = 100}};

    (void)state;
    assert_true(search_decide(&usual, steps, 1).next_per_s == 100);
    assert_true(search_decide(&usual, steps, 2).next_per_s == 100);
    for (size_t i = 0; i < 2; i++) {
        steps[2].result = table[i].third;
        struct search_answer answer = search_decide(&usual, steps, 3);
        assert_true(answer.next_per_s == 0 && answer.so_far.end == table[i].end);
        assert_true(answer.so_far.beyond_per_s == 100 && answer.n_beyond == 2);
    }
    steps[2].result = STEP_HELD;
    assert_true(search_decide(&usual, steps, 3).next_per_s == 100);
    steps[1].result = STEP_HELD;
    assert_true(search_decide(&usual, steps, 2).next_per_s == 100);
    assert_true(search_decide(&usual, steps, 3).next_per_s == 200);
}

/* One step in ten comes out wrong: two of a kind get most of the searches right, and one try
 * would get fewer than half of them right (0.9 to the power of 8). */
static void noise_is_outvoted(void **state)
{
    enum { SEARCHES = 400 };
    int n_right = 0;

    (void)state;
    for (uint64_t seed = 0; seed < SEARCHES; seed++) {
        struct model model = {.server_per_s = 3000, .generator_per_s = INFINITY, .wrong = 0.1};
        struct trial trial;
        rng_init(&model.rng, seed, "search", 0);
        perform(&usual, &model, &trial);
        const struct run_search *found = &trial.answer.so_far;
        n_right += found->end == SEARCH_FOUND && found->held_per_s > 3000 / 1.05 / 1.05 &&
                   found->held_per_s < 3000 * 1.05;
    }
    assert_true(n_right > SEARCHES * 7 / 10);
}

static void goes_on_until_it_may_not(void **state)
{
    struct model model = {.server_per_s = 1000, .generator_per_s = INFINITY};
    struct plan_search fine = usual;
    struct trial trial;
    struct run_step many[PLAN_SEARCH_STEPS];

    (void)state;
    fine.precision = 1e-3;
    perform(&fine, &model, &trial);
    struct search_answer half = search_decide(&fine, trial.steps, 6);
    assert_int_equal(half.so_far.end, SEARCH_GOES_ON);
    assert_true(half.so_far.held_per_s == 800 && half.so_far.beyond_per_s == 1600);
    for (size_t i = 0; i < PLAN_SEARCH_STEPS; i++) {
        many[i] = (struct run_step){.asked_per_s = 100 * pow(1.07, (double)i)};
    }
    struct search_answer last = search_decide(&usual, many, PLAN_SEARCH_STEPS);
    assert_true(last.so_far.end == SEARCH_GOES_ON && last.next_per_s == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_any_capacity),
        cmocka_unit_test(is_as_precise_as_it_is_told_to),
        cmocka_unit_test(ends_that_are_no_rate),
        cmocka_unit_test(noise_is_outvoted),
        cmocka_unit_test(two_tries_of_a_kind_decide),
        cmocka_unit_test(goes_on_until_it_may_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
