/* What a run leaves in its directory beside what was recorded: the verdict in every format. */
#ifndef CMD_REPORTS_H
#define CMD_REPORTS_H

#include "base/diag.h"
#include "judge/verdict.h"
#include "profile/plan.h"
#include "record/run.h"

/* Adds a mistake for each of plan->output.formats that there is not. */
void reports_check(const struct plan *plan, struct diag *diag);

/* Those that the plan asks for, and verdict.json; each file is replaced as a whole, and one that
 * can't be written is a warning. */
void reports_write(const struct plan *plan, const struct stored_run *stored,
                   const struct verdict *verdict);

/* In a job of GitHub Actions (GITHUB_ACTIONS): its annotations on standard output, and the run's
 * page of Markdown behind the job's summary.  `profile`: the file that these are about. */
void reports_tell_github(const struct stored_run *stored, const struct verdict *verdict,
                         const char *profile);

#endif
