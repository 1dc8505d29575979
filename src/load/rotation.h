/* When the profile's hook rotates: each `every`, the first after half of it, and in the designed
 * experiment only in the dwells that have rotations on, counted from the start of the first; never
 * where the load rests, as in idle phases.  A pure function of plan and schedule: where an idle
 * phase is cut short, what is after it comes that much earlier. */
#ifndef LOAD_ROTATION_H
#define LOAD_ROTATION_H

#include "load/schedule.h"
#include "profile/plan.h"

#include <stdint.h>

struct rotations {
    const struct plan *plan; /* borrows both */
    const struct schedule *schedule;
};

/* The first rotation due at or after `t_ns` since the start, no phase being cut short; UINT64_MAX:
 * none before the end of the run. */
uint64_t rotation_due_ns(const struct rotations *rotations, uint64_t t_ns);

#endif
