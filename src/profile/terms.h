/* The value of a limit on the load: the bound, and behind it whether that holds in every window of
 * some length, and whether the run ends when it is broken: "25ms for 10s abort after 30s". */
#ifndef PROFILE_TERMS_H
#define PROFILE_TERMS_H

#include "base/sink.h"
#include "profile/plan.h"

#include <stdbool.h>

/* Reads the bound alone, in the unit that the limit has it in. */
typedef bool terms_bound(const char *text, double *ret_bound);

/* The whole of `text`; false, *ret_terms untouched, when it is not as above. */
bool terms_parse(const char *text, terms_bound *bound, struct plan_terms *ret_terms)
    __attribute__((warn_unused_result));
/* What stands behind the bound, with a blank before it; nothing of a bound alone. */
void terms_print_rest(const struct plan_terms *terms, struct sink *sink);

#endif
