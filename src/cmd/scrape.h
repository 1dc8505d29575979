/* What dashboards see of a run while it lasts: /metrics and /healthz at [output] listen.  Main says
 * each second how things are; the pages are ready then, so that whoever asks, and however often,
 * only has them copied.  All functions take NULL, a run that nobody may ask. */
#ifndef CMD_SCRAPE_H
#define CMD_SCRAPE_H

#include "base/diag.h"
#include "judge/verdict.h"
#include "load/fleet.h"
#include "profile/plan.h"
#include "record/reading.h"
#include "record/run.h"

struct scrape;

/* Listens, says where, and answers from now on; `plan` and `meta` must live as long.  NULL with a
 * mistake. */
struct scrape *scrape_open(const struct plan *plan, const struct run_meta *meta, struct diag *diag)
    __attribute__((warn_unused_result));
void scrape_free(struct scrape *scrape);
void scrape_reading(struct scrape *scrape, const struct reading *reading);
/* `finding`: the provisional one of the first memory source; NULL: none yet. */
void scrape_second(struct scrape *scrape, const struct fleet_second *second,
                   const struct memory_finding *finding);

#endif
