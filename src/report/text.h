/* The report that the terminal shows at the end: the verdict first and plain, then the memory,
 * the load and what spoils them; 100 columns, no colours. */
#ifndef REPORT_TEXT_H
#define REPORT_TEXT_H

#include "base/sink.h"
#include "judge/verdict.h"
#include "record/run.h"

#define TEXT_COLUMNS 80

void text_write(struct sink *sink, const struct stored_run *run, const struct verdict *verdict);
/* The part about the load: exchanges, rates, errors, handshakes, latencies. */
void text_load(struct sink *sink, const struct stored_run *run);
/* Each limit with what was measured; of a search its steps. */
void text_limits(struct sink *sink, const struct verdict *verdict);
void text_search(struct sink *sink, const struct stored_run *run, const struct verdict *verdict);
/* What people call it. */
const char *text_latency(enum latency latency);
/* `text` made safe for a terminal and broken between words into lines of TEXT_COLUMNS at most;
 * the first begins with `label`, the others with as many blanks.  Ends with a line break. */
void text_prose(struct sink *sink, const char *label, const char *text);
/* One line "  name        " and what sink_printf makes of the rest. */
void text_row(struct sink *sink, const char *name, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
