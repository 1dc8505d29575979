#include "load/rotation.h"

uint64_t rotation_due_ns(const struct rotations *rotations, uint64_t t_ns)
{
    const struct schedule *schedule = rotations->schedule;
    uint64_t every_ns = rotations->plan->hook.every_ns;
    uint64_t from_ns = schedule->n_dwells > 0 ? schedule->start_ns : 0;
    uint64_t at_ns = (from_ns + every_ns / 2) % every_ns;

    if (t_ns > at_ns) {
        at_ns += (t_ns - at_ns + every_ns - 1) / every_ns * every_ns;
    }
    for (; at_ns < rotations->plan->run.duration_ns; at_ns += every_ns) {
        size_t dwell;
        struct switches on = schedule_at(schedule, at_ns, &dwell);
        if (!on.idle && (!on.designed || on.rotations)) {
            return at_ns;
        }
    }
    return UINT64_MAX;
}
