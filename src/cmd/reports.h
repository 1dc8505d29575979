/* What a run leaves in its directory beside what was recorded: the verdict in every format. */
#ifndef CMD_REPORTS_H
#define CMD_REPORTS_H

#include "judge/verdict.h"
#include "record/run.h"

/* Each file is replaced as a whole; one that can't be written is a warning. */
void reports_write(const struct stored_run *stored, const struct verdict *verdict);

/* In a job of GitHub Actions (GITHUB_ACTIONS): its annotations on standard output, and the run's
 * page of Markdown behind the job's summary.  `profile`: the file that these are about. */
void reports_tell_github(const struct stored_run *stored, const struct verdict *verdict,
                         const char *profile);

#endif
