/* The checks of a run as JUnit XML, the dialect that Jenkins' xUnit schema, GitLab and GitHub's
 * reporters all read: a failure is a check that is not met, an error one whose measurements can't
 * be used, skipped one that the data can't decide. */
#ifndef REPORT_JUNIT_H
#define REPORT_JUNIT_H

#include "base/sink.h"
#include "judge/verdict.h"
#include "record/run.h"

void junit_write(struct sink *sink, const struct stored_run *run, const struct verdict *verdict);

#endif
