/* What GitHub Actions shows beside a job: a line a check that is not passed, in the workflow
 * commands that a runner reads from standard output. */
#ifndef REPORT_ANNOTATIONS_H
#define REPORT_ANNOTATIONS_H

#include "base/sink.h"
#include "judge/verdict.h"

/* At most eight, since a runner shows ten of a kind in a step.  `profile`: the file that they are
 * about, NULL: none. */
void annotations_write(struct sink *sink, const struct verdict *verdict, const char *profile);

#endif
