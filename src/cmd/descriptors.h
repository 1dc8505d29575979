/* File descriptors: how many a run needs, and as many as the system lets us have. */
#ifndef CMD_DESCRIPTORS_H
#define CMD_DESCRIPTORS_H

#include "base/diag.h"
#include "profile/plan.h"

#include <stdint.h>

uint64_t descriptors_needed(const struct plan *plan);
/* Raises the limit of this process to what the system allows; the default of 1024 is a desktop's.
 * A mistake where that is not enough. */
void descriptors_raise(const struct plan *plan, struct diag *diag);

#endif
