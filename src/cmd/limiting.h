/* What a stored run says of its limits, and of a search its answer: from the steps, by the same
 * rule that chose them. */
#ifndef CMD_LIMITING_H
#define CMD_LIMITING_H

#include "base/diag.h"
#include "judge/series.h"
#include "judge/verdict.h"
#include "profile/plan.h"
#include "record/run.h"

#include <stdbool.h>

/* Fills limits and search of the verdict; limits on memory wait for limiting_series.  False with
 * mistakes when what is stored can't be read. */
bool limiting_judge(const struct stored_run *stored, const struct plan *plan,
                    struct verdict *verdict, struct diag *diag) __attribute__((warn_unused_result));
/* Holds what is read of a memory source, `first` of a run's, to the limits on memory: the gravest
 * finding of all sources stays. */
void limiting_series(const struct plan *plan, const struct series *series,
                     const struct judge_options *options, bool first, struct verdict *verdict);
/* Why a limit ended the run. */
void limiting_ended(const struct plan *plan, const struct run_abort *abort, char *text,
                    size_t size);

#endif
