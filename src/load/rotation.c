#include "load/rotation.h"

/* When the phase at `t_ns` ends, if it is an idle one; 0: it is none. */
static uint64_t idle_until_ns(const struct plan *plan, uint64_t t_ns)
{
    uint64_t round_ns = 0;

    for (size_t i = 0; i < plan->n_phases; i++) {
        round_ns += plan->phases[i].duration_ns;
    }
    uint64_t end_ns = round_ns > 0 ? t_ns / round_ns * round_ns : 0;
    for (size_t i = 0; i < plan->n_phases; i++) {
        end_ns += plan->phases[i].duration_ns;
        if (t_ns < end_ns) {
            return plan->phases[i].idle ? end_ns : 0;
        }
    }
    return 0;
}

/* The first time of the grid at or after `t_ns`. */
static uint64_t on_grid(uint64_t first_ns, uint64_t every_ns, uint64_t t_ns)
{
    return t_ns > first_ns ? first_ns + (t_ns - first_ns + every_ns - 1) / every_ns * every_ns
                           : first_ns;
}

uint64_t rotation_due_ns(const struct rotations *rotations, uint64_t t_ns)
{
    const struct schedule *schedule = rotations->schedule;
    uint64_t every_ns = rotations->plan->hook.every_ns;
    uint64_t from_ns = schedule->n_dwells > 0 ? schedule->start_ns : 0;
    uint64_t first_ns = (from_ns + every_ns / 2) % every_ns;
    uint64_t at_ns = on_grid(first_ns, every_ns, t_ns);

    while (at_ns < rotations->plan->run.duration_ns) {
        size_t dwell;
        struct switches on = schedule_at(schedule, at_ns, &dwell);
        uint64_t idle_ns = idle_until_ns(rotations->plan, at_ns);
        if (idle_ns == 0 && !on.idle && (!on.designed || on.rotations)) {
            return at_ns;
        }
        at_ns = on_grid(first_ns, every_ns, idle_ns > 0 ? idle_ns : at_ns + 1);
    }
    return UINT64_MAX;
}
