/* The verdict as a person would say it first: one word and one sentence. */
#ifndef REPORT_HEADLINE_H
#define REPORT_HEADLINE_H

#include "base/sink.h"
#include "judge/verdict.h"

#include <stdbool.h>

/* "LEAK", "PASS", "LET IN", "INCONCLUSIVE", ... */
const char *headline_word(const struct verdict *verdict);
/* "the server keeps 2.0 KiB per new client certificate (95 % 1.9 KiB to 2.1 KiB)" where events are
 * blamed for a leak, and then true: the judge's reason is not in it; else the verdict's reason. */
bool headline_write(struct sink *sink, const struct verdict *verdict);

/* The same of one finding; false, and nothing written, when no event is blamed for a leak. */
bool headline_leak(struct sink *sink, const struct memory_finding *finding);

#endif
