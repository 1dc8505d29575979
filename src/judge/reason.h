/* Reason: the sentence that a person reads under a finding, with its numbers and units. */
#ifndef JUDGE_REASON_H
#define JUDGE_REASON_H

#include "base/sink.h"
#include "judge/exposure.h"
#include "judge/growth.h"

/* Writes finding->reason and reason_code from the numbers that the finding holds already.
 * `bounds` says which bound was not reached; `designed`: growth was judged along the blamed
 * events. */
void reason_write(const struct series *series, const struct stretch *stretch,
                  enum growth_reason why, const struct unreached *bounds, bool designed,
                  struct memory_finding *finding);
/* The same for a leak that pairs of dwells proved; `proof` is their sentence. */
void reason_write_early(const struct stretch *stretch, const char *proof,
                        struct memory_finding *finding);
/* "anonymous memory" for anon_bytes. */
const char *reason_metric(const char *metric);
/* Drivers that are blamed, that with most bytes first; returns how many.  The finding owns them. */
size_t reason_blamed(const struct memory_finding *finding,
                     const struct driver_finding *ret_blamed[DRIVER_COUNT]);
/* "BEFORE 2.0 KiB per new client certificate (95 % 1.9 KiB to 2.1 KiB) and ..." of these; false
 * where nobody is. */
bool reason_say_blamed(struct sink *sink, const char *before, const struct memory_finding *finding);

#endif
