/* report.html: the whole run on one page that opens offline, reads without scripts, in light, in
 * dark and on paper.  Whatever a server or a profile put into the run is text on it, never
 * markup. */
#ifndef REPORT_HTML_H
#define REPORT_HTML_H

#include "base/sink.h"
#include "judge/verdict.h"
#include "record/run.h"

/* `run` NULL: findings of a series alone, without charts. */
void html_write(struct sink *sink, const struct stored_run *run, const struct verdict *verdict);

#endif
