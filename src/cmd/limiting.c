#include "cmd/limiting.h"

#include "base/mono.h"
#include "base/str.h"
#include "load/search.h"

#include <math.h>

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

void limiting_judge(const struct stored_run *stored, const struct plan *plan,
                    struct verdict *verdict)
{
    /* what came home after the end counts, the time that it took does not */
    uint64_t ns = stored->elapsed_ns < stored->meta.duration_ns ? stored->elapsed_ns
                                                                : stored->meta.duration_ns;

    verdict->n_limits = plan->limit.n;
    if (plan->search.to_per_s > 0) {
        judge_search(stored, plan, verdict);
    } else {
        limits_judge(plan->limit.list, plan->limit.n, stored->total, (double)ns / (double)NS_PER_S,
                     verdict->limits);
    }
}
