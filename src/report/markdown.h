/* A run in a screenful of Markdown, as people read it in a job's summary or a comment. */
#ifndef REPORT_MARKDOWN_H
#define REPORT_MARKDOWN_H

#include "base/sink.h"
#include "judge/verdict.h"
#include "record/run.h"

void markdown_write(struct sink *sink, const struct stored_run *run, const struct verdict *verdict);

#endif
