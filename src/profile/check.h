/* What one value cannot tell alone: values that contradict or need each other, texts with a syntax
 * of their own, the fields of the target that follow from its URL, and files that must be there. */
#ifndef PROFILE_CHECK_H
#define PROFILE_CHECK_H

#include "profile/plan.h"

/* Fills in what is derived or left to the tool (threads, intervals, the target's derived fields)
 * and adds a mistake for each contradiction.  Looks at nothing outside the plan but the number of
 * cores. */
void check_values(struct plan *plan, struct diag *diag);
/* Adds a mistake for each file that is not there or not readable, and reads the one that is part of
 * the plan (pace.replay). */
void check_files(struct plan *plan, struct diag *diag);

#endif
