/* Limits that hold in every window: of a stored run from its histogram logs and ticks, and of one
 * that goes on, which ends when a limit is broken that the profile lets end it. */
#ifndef CMD_WINDOWING_H
#define CMD_WINDOWING_H

#include "base/diag.h"
#include "judge/windows.h"
#include "profile/plan.h"
#include "record/run.h"

#include <stdbool.h>

/* The worst window of a stored run.  False with mistakes when its files can't be read. */
bool windowing_judge(const struct stored_run *stored, const struct plan *plan,
                     const struct limit *limit, struct worst_window *ret_worst, struct diag *diag)
    __attribute__((warn_unused_result));

/* The limits of a plan that may end its run. */
struct aborting;

struct aborting *aborting_new(const struct plan *plan) __attribute__((warn_unused_result));
void aborting_free(struct aborting *aborting);
/* A row of the run, its own counts and all so far, as the run directory gets them; `end_s` is when
 * it was over.  True: one is broken, and the run should end. */
bool aborting_row(struct aborting *aborting, double end_s, const struct interval *row,
                  const struct interval *total, struct run_abort *ret_abort)
    __attribute__((warn_unused_result));

#endif
