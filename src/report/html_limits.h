/* The part of the page about limits and a search: what was asked for, what came of it. */
#ifndef REPORT_HTML_LIMITS_H
#define REPORT_HTML_LIMITS_H

#include "base/sink.h"
#include "judge/verdict.h"
#include "record/run.h"

/* Nothing of a run that had neither. */
void html_limits(struct sink *sink, const struct stored_run *run, const struct verdict *verdict);

#endif
