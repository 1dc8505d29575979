#include "load/search.h"

#include <math.h>
#include <stdbool.h>

#define FACTOR 2
/* Of rates that were written to a file and read again. */
#define SAME 1e-6

_Static_assert(PLAN_SEARCH_STEPS == SEARCH_STEPS_MAX, "the record has room for every step");

/* The tries at one rate. */
struct rate {
    double per_s;
    size_t n[STEP_RESULTS];
};

struct rates {
    struct rate rate[PLAN_SEARCH_STEPS];
    size_t n;
};

static bool is_same(double a, double b)
{
    return fabs(a - b) <= SAME * b;
}

static void gather(const struct run_step *steps, size_t n, struct rates *rates)
{
    for (size_t i = 0; i < n; i++) {
        size_t k = 0;
        while (k < rates->n && !is_same(rates->rate[k].per_s, steps[i].asked_per_s)) {
            k++;
        }
        if (k == rates->n) {
            rates->rate[rates->n++] = (struct rate){.per_s = steps[i].asked_per_s};
        }
        rates->rate[k].n[steps[i].result]++;
    }
}

static bool is_out(const struct rate *rate)
{
    return rate->n[STEP_BROKEN] >= 2 || rate->n[STEP_GENERATOR] >= 2;
}

/* Of one that is out. */
static bool is_own_fault(const struct rate *rate)
{
    return rate->n[STEP_BROKEN] < 2;
}

static bool is_held(const struct rate *rate)
{
    bool alone = rate->n[STEP_BROKEN] + rate->n[STEP_GENERATOR] == 0;
    return rate->n[STEP_HELD] >= 2 || (rate->n[STEP_HELD] == 1 && alone);
}

/* The lowest that is out; below it the highest that holds, and one that a further try decides. */
struct bracket {
    const struct rate *held, *beyond, *open;
};

static struct bracket bracket_of(const struct rates *rates)
{
    struct bracket b = {.held = NULL};
    for (size_t i = 0; i < rates->n; i++) {
        const struct rate *rate = &rates->rate[i];
        if (is_out(rate) && (b.beyond == NULL || rate->per_s < b.beyond->per_s)) {
            b.beyond = rate;
        }
    }
    for (size_t i = 0; i < rates->n; i++) {
        const struct rate *rate = &rates->rate[i];
        if (is_out(rate) || (b.beyond != NULL && rate->per_s > b.beyond->per_s)) {
            continue;
        }
        if (!is_held(rate)) {
            b.open = rate;
        } else if (b.held == NULL || rate->per_s > b.held->per_s) {
            b.held = rate;
        }
    }
    return b;
}

/* Three digits are enough where they lie between the two. */
static double between(double low, double high)
{
    double middle = sqrt(low * high);
    double unit = pow(10, floor(log10(middle)) - 2);
    double rounded = round(middle / unit) * unit;
    return rounded > low && rounded < high ? rounded : middle;
}

/* The next rate, or 0 and how it ended. */
static double next_rate(const struct plan_search *search, const struct bracket *b,
                        enum search_end *ret_end)
{
    if (b->open != NULL) {
        return b->open->per_s;
    }
    if (b->held == NULL && b->beyond == NULL) {
        return search->from_per_s;
    }
    bool own_fault = b->beyond != NULL && is_own_fault(b->beyond);
    if (b->held == NULL) {
        *ret_end = own_fault ? SEARCH_SATURATED : SEARCH_NOTHING_HELD;
        return 0;
    }
    double held = b->held->per_s;
    bool top = b->beyond == NULL && held >= search->to_per_s * (1 - SAME);
    if (b->beyond == NULL && !top) {
        return fmin(held * FACTOR, search->to_per_s);
    }
    if (!top && b->beyond->per_s > held * (1 + search->precision) * (1 + SAME)) {
        return between(held, b->beyond->per_s);
    }
    if (b->held->n[STEP_HELD] < 2) {
        return held;
    }
    *ret_end = top ? SEARCH_TOP_HELD : own_fault ? SEARCH_SATURATED : SEARCH_FOUND;
    return 0;
}

struct search_answer search_decide(const struct plan_search *search, const struct run_step *steps,
                                   size_t n)
{
    struct rates rates = {.n = 0};
    struct search_answer answer = {.so_far.end = SEARCH_GOES_ON};
    gather(steps, n, &rates);
    struct bracket b = bracket_of(&rates);
    double next = next_rate(search, &b, &answer.so_far.end);
    answer.next_per_s = n < PLAN_SEARCH_STEPS ? next : 0;
    if (b.held != NULL) {
        answer.so_far.held_per_s = b.held->per_s;
        answer.n_held = b.held->n[STEP_HELD];
    }
    if (b.beyond != NULL) {
        answer.so_far.beyond_per_s = b.beyond->per_s;
        answer.own_fault = is_own_fault(b.beyond);
        answer.n_beyond = b.beyond->n[answer.own_fault ? STEP_GENERATOR : STEP_BROKEN];
    }
    return answer;
}
