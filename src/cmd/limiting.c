#include "cmd/limiting.h"

#include "base/mono.h"
#include "base/str.h"
#include "cmd/windowing.h"
#include "judge/leak_limits.h"
#include "load/search.h"

#include <math.h>
#include <stdio.h>

#define SAME 1e-6 /* of rates that went through a file */

/* The last try at that rate with that result; NULL: there was none. */
static const struct run_step *last_at(const struct stored_run *stored, double per_s,
                                      enum step_result result)
{
    for (size_t i = stored->n_steps; i-- > 0;) {
        const struct run_step *step = &stored->steps[i];
        if (fabs(step->asked_per_s - per_s) <= SAME * per_s && step->result == result) {
            return step;
        }
    }
    return NULL;
}

/* The step that tells why the rate did not hold, in the words of whoever's fault that is. */
static const struct run_step *telling_step(const struct stored_run *stored,
                                           const struct search_answer *answer)
{
    return last_at(stored, answer->so_far.beyond_per_s,
                   answer->own_fault ? STEP_GENERATOR : STEP_BROKEN);
}

static void judge_step(const struct run_step *step, const struct plan_limit *limits,
                       struct verdict *verdict)
{
    for (size_t i = 0; i < limits->n; i++) {
        const struct limit *limit = &limits->list[i];
        double number = step != NULL && i < step->n_limits ? step->measured[i] : NAN;
        verdict->limits[i] = limits_find(limit, limit_from_number(limit, number));
    }
}

static void judge_search(const struct stored_run *stored, const struct plan *plan,
                         struct verdict *verdict)
{
    struct search_answer answer = search_decide(&plan->search, stored->steps, stored->n_steps);
    struct search_finding *finding = &verdict->search;
    const struct run_step *held = last_at(stored, answer.so_far.held_per_s, STEP_HELD);
    const struct run_step *beyond = telling_step(stored, &answer);

    *finding = (struct search_finding){
        .answer = answer.so_far,
        .dials = plan->pace.mode != PACE_OPEN,
        .n_held = answer.n_held,
        .n_beyond = answer.n_beyond,
    };
    if (beyond != NULL) {
        (void)str_copy(finding->beyond_reason, sizeof finding->beyond_reason, beyond->reason);
    }
    /* where nothing held, the server is to blame for what it broke, but not for what the generator
     * could not do */
    bool broke = answer.so_far.end == SEARCH_NOTHING_HELD;
    judge_step(held == NULL && broke ? beyond : held, &plan->limit, verdict);
}

static const struct limit *limit_named(const struct plan *plan, const char *key)
{
    for (size_t i = 0; i < plan->limit.n; i++) {
        if (str_equal(plan->limit.list[i].key, key)) {
            return &plan->limit.list[i];
        }
    }
    return NULL;
}

static struct limit_finding find_abort(const struct limit *limit, const struct run_abort *abort)
{
    const struct worst_window window = {abort->measured, abort->from_s, abort->to_s};
    struct limit_finding finding =
        abort->to_s > 0 ? limits_find_window(limit, &window) : limits_find(limit, abort->measured);

    finding.state = LIMIT_BROKEN;
    return finding;
}

void limiting_ended(const struct plan *plan, const struct run_abort *abort, char *text, size_t size)
{
    const struct limit *limit = limit_named(plan, abort->limit);

    if (limit != NULL) {
        struct limit_finding finding = find_abort(limit, abort);
        limits_sentence(&finding, text, size);
    }
}

/* What ended the run is broken, whatever came home after that. */
static void adopt_abort(const struct stored_run *stored, const struct plan *plan,
                        struct verdict *verdict)
{
    const struct limit *limit = limit_named(plan, stored->meta.abort.limit);
    size_t i = limit != NULL ? (size_t)(limit - plan->limit.list) : 0;

    if (limit == NULL || limit_is_of_memory(limit)) {
        return;
    }
    if (verdict->limits[i].state != LIMIT_BROKEN) {
        verdict->limits[i] = find_abort(limit, &stored->meta.abort);
    }
    verdict->limits[i].ended = true;
}

static bool judge_load(const struct stored_run *stored, const struct plan *plan,
                       struct verdict *verdict, struct diag *diag)
{
    /* what came home after the end counts, the time that it took does not */
    double seconds = (double)run_load_ns(stored) / (double)NS_PER_S;
    bool ok = true;

    limits_judge(plan->limit.list, plan->limit.n, stored->total, seconds, verdict->limits);
    for (size_t i = 0; i < plan->limit.n && ok; i++) {
        const struct limit *limit = &plan->limit.list[i];
        struct worst_window worst;
        if (limit_is_of_memory(limit)) {
            verdict->limits[i] = leak_limits_unread(limit);
        } else if (limit->window_ns > 0) {
            ok = windowing_judge(stored, plan, limit, &worst, diag);
            verdict->limits[i] = ok ? limits_find_window(limit, &worst) : limits_find(limit, NAN);
        }
    }
    adopt_abort(stored, plan, verdict);
    return ok;
}

bool limiting_judge(const struct stored_run *stored, const struct plan *plan,
                    struct verdict *verdict, struct diag *diag)
{
    verdict->n_limits = plan->limit.n;
    if (plan->search.to_per_s > 0) {
        judge_search(stored, plan, verdict);
        return true;
    }
    return judge_load(stored, plan, verdict, diag);
}

void limiting_series(const struct plan *plan, const struct series *series,
                     const struct judge_options *options, bool first, struct verdict *verdict)
{
    for (size_t i = 0; i < verdict->n_limits; i++) {
        const struct limit *limit = &plan->limit.list[i];
        if (!limit_is_of_memory(limit) ||
            (limit->source[0] != '\0' && !str_equal(limit->source, series->source))) {
            continue;
        }
        struct limit_finding found = leak_limits_judge(limit, series, options);
        bool alone = first || limit->source[0] != '\0';
        verdict->limits[i] = alone ? found : *leak_limits_graver(&verdict->limits[i], &found);
    }
}
