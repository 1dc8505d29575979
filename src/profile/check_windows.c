#include "base/mono.h"
#include "base/str.h"
#include "base/unit.h"
#include "profile/check_run.h"

/* Windows are made of what is stored, so that a stored run is judged as the run itself was. */
static void check_length(const struct checker *c, const struct limit *limit, struct origin origin)
{
    uint64_t duration_ns = c->plan->run.duration_ns;
    uint64_t part_ns = limit_part_ns(limit, duration_ns);
    char is[UNIT_TEXT], part[UNIT_TEXT], most[UNIT_TEXT], run[UNIT_TEXT];

    (void)unit_duration(is, (double)limit->window_ns);
    (void)unit_duration(part, (double)part_ns);
    (void)unit_duration(run, (double)duration_ns);
    if (limit->window_ns == 0) {
        return;
    }
    if (limit->window_ns % part_ns != 0) {
        diag_add(c->diag, origin,
                 "limit.%s: in a run of %s this is measured in parts of %s, and \"for\" takes a "
                 "multiple of that, not %s",
                 limit->key, run, part, is);
    } else if (limit->window_ns / part_ns > LIMIT_WINDOW_PARTS) {
        diag_add(c->diag, origin,
                 "limit.%s: windows of %s are longer than %s, the most in a run of %s", limit->key,
                 is, unit_duration(most, (double)(LIMIT_WINDOW_PARTS * part_ns)), run);
    } else if (limit->window_ns > duration_ns) {
        diag_add(c->diag, origin, "limit.%s: a run of %s has no window of %s", limit->key, run, is);
    }
}

static bool any_idle(const struct plan *plan)
{
    bool idle = false;

    for (size_t i = 0; i < plan->n_phases; i++) {
        idle = idle || plan->phases[i].idle;
    }
    return idle;
}

static void check_abort(const struct checker *c, const struct limit *limit, struct origin origin)
{
    char is[UNIT_TEXT], run[UNIT_TEXT];

    if (limit->after_ns >= c->plan->run.duration_ns && limit->after_ns > 0) {
        diag_add(c->diag, origin, "limit.%s: nothing comes after %s of a run of %s", limit->key,
                 unit_duration(is, (double)limit->after_ns),
                 unit_duration(run, (double)c->plan->run.duration_ns));
    } else if (limit->aborts && limit->metric == LIMIT_RATE && any_idle(c->plan)) {
        diag_add(c->diag, origin,
                 "limit.%s: it would end the run in a phase without load (leave \"abort\" out)",
                 limit->key);
    }
}

/* Where the profile says what these are. */
static struct origin origin_of(const struct plan *plan, const struct limit *limit)
{
    const struct plan_limit *limits = &plan->limit;

    for (size_t i = 0; i < limits->n_named; i++) {
        if (str_equal(limits->named[i].key, limit->key)) {
            return plan_origin(plan, &limits->named[i].terms);
        }
    }
    return plan_origin(plan, limit->metric == LIMIT_ERRORS ? &limits->errors_ratio_max
                                                           : &limits->rate_reached_min);
}

void check_windows(const struct checker *c)
{
    const struct plan_limit *limits = &c->plan->limit;

    for (size_t i = 0; i < limits->n && c->plan->search.to_per_s <= 0; i++) {
        struct origin origin = origin_of(c->plan, &limits->list[i]);
        check_length(c, &limits->list[i], origin);
        check_abort(c, &limits->list[i], origin);
    }
}
