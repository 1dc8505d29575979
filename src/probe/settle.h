/* What makes a server's memory comparable before it is read: a collection of its garbage, forced by
 * a command or by a GET of one of its own endpoints.  A reading right after it is a floor: what the
 * server retains, without what it has not yet thrown away. */
#ifndef PROBE_SETTLE_H
#define PROBE_SETTLE_H

#include "base/diag.h"
#include "probe/errand.h"
#include "profile/plan.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct settle;

/* For a source with `settle`, which must outlive it.  NULL with mistakes: a URL whose host has no
 * address, or whose CA can't be read. */
struct settle *settle_new(const struct plan *plan, const struct plan_memory *memory,
                          struct diag *diag) __attribute__((warn_unused_result));
void settle_free(struct settle *settle);
/* Settles the process (0: unknown).  False with one sentence in `why`: it failed, answered with
 * other than 2xx, or was not over in time. */
bool settle_perform(struct settle *settle, int64_t pid, const struct patience *patience, char *why,
                    size_t size) __attribute__((warn_unused_result));

#endif
