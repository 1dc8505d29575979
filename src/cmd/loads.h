/* What a run did, as text that two runs can be held to: the values of its profile but for those
 * that change nothing in what the server has to do (seed, files, process ids, limits, outputs). */
#ifndef CMD_LOADS_H
#define CMD_LOADS_H

#include "base/sink.h"
#include "profile/plan.h"

#include <stdbool.h>
#include <stdint.h>

/* One line a value, "pace.rate = 200/s"; the caller frees it. */
char *loads_text(const struct plan *plan) __attribute__((warn_unused_result));
/* The lines that only one of the two has, one sentence each; true when there are any. */
bool loads_differ(const char *base, const char *new, struct sink *sink)
    __attribute__((warn_unused_result));
/* The same for the same load, in 16 hexadecimal digits; not for secrets (FNV-1a). */
void loads_hash(const char *load, char ret_text[17]);

#endif
