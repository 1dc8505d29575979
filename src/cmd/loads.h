/* What a run did, as text that two runs can be held to: the values that its profile gave, but for
 * those that change nothing in what the server has to do (seed, files, process ids, limits,
 * outputs).  What was not given is not in it, since defaults differ with machines and versions. */
#ifndef CMD_LOADS_H
#define CMD_LOADS_H

#include "base/sink.h"
#include "profile/plan.h"

#include <stdbool.h>
#include <stdint.h>

/* One line a value, "pace.rate = 200/s", or a section without any, "identity.second"; the caller
 * frees it.  `dir`: of the stored run that the plan is of, whose profile says what it was given;
 * NULL: the plan says it. */
char *loads_text(const struct plan *plan, const char *dir) __attribute__((warn_unused_result));
/* The values that differ, one sentence each; true when there are any.  A value that only one of the
 * two gives is compared with its default; the number of threads must be given by both. */
bool loads_differ(const char *base, const char *new, struct sink *sink)
    __attribute__((warn_unused_result));
/* The same for the same load, in 16 hexadecimal digits; not for secrets (FNV-1a). */
void loads_hash(const char *load, char ret_text[17]);

#endif
