/* What a run leaves in its directory beside what was recorded: the verdict in every format. */
#ifndef CMD_REPORTS_H
#define CMD_REPORTS_H

#include "judge/verdict.h"
#include "record/run.h"

/* Each file is replaced as a whole; one that can't be written is a warning. */
void reports_write(const struct stored_run *stored, const struct verdict *verdict);

#endif
