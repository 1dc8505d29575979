/* What a stored run says of its limits, and of a search its answer: from the steps, by the same
 * rule that chose them. */
#ifndef CMD_LIMITING_H
#define CMD_LIMITING_H

#include "judge/verdict.h"
#include "profile/plan.h"
#include "record/run.h"

/* Fills limits and search of the verdict. */
void limiting_judge(const struct stored_run *stored, const struct plan *plan,
                    struct verdict *verdict);

#endif
