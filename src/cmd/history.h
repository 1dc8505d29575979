/* The history: a CSV with one line a run, for the numbers that one looks at over weeks.  Each line
 * is one write(2) at the end of the file, so runs that end at the same time don't mix theirs. */
#ifndef CMD_HISTORY_H
#define CMD_HISTORY_H

#include "judge/verdict.h"
#include "profile/plan.h"
#include "record/run.h"

/* Appends the run's line to plan->output.history, if there is one; what goes wrong is a warning. */
void history_append(const struct plan *plan, const struct stored_run *stored,
                    const struct verdict *verdict);

#endif
