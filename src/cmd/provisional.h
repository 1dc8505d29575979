/* What the judge would say so far: each minute of a run one line, marked provisional, that nothing
 * is stopped or failed on. */
#ifndef CMD_PROVISIONAL_H
#define CMD_PROVISIONAL_H

#include "load/fleet.h"
#include "profile/plan.h"

struct provisional;

/* `runtime` is what the first memory source runs on, as in run_meta. */
struct provisional *provisional_new(const struct plan *plan, const char *runtime)
    __attribute__((warn_unused_result));
void provisional_free(struct provisional *provisional);
/* Takes note of a second, and tells when a minute is over. */
void provisional_second(struct provisional *provisional, const struct fleet_second *second);

#endif
