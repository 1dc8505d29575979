#include "cmd/descriptors.h"

#include "load/misuse.h"
#include "load/refusal.h"
#include "net/responder.h"

#include <sys/resource.h>

uint64_t descriptors_needed(const struct plan *plan)
{
    uint64_t bad = plan->n_refuses > 0 ? REFUSAL_SLOTS : 0;
    uint64_t misused = plan->n_misuses > 0 ? MISUSE_SLOTS : 0;
    uint64_t asked = plan->output.listen != NULL ? RESPONDER_DESCRIPTORS : 0;

    return plan_peak(plan).connections + (bad + misused) * plan->run.threads + asked + 64;
}

void descriptors_raise(const struct plan *plan, struct diag *diag)
{
    struct rlimit limit;
    rlim_t needed = descriptors_needed(plan);

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) {
        return;
    }
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_max < needed) {
        diag_add(diag, plan_origin(plan, &plan->pace.connections),
                 "pace.connections: %llu connections need %llu descriptors, and the limit is %llu "
                 "(ulimit -Hn)",
                 (unsigned long long)plan_peak(plan).connections, (unsigned long long)needed,
                 (unsigned long long)limit.rlim_max);
    }
}
