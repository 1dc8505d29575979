/* From the document to the plan: lists get their final size, fields their defaults, then every
 * entry is resolved, parsed by its type, bounded, and its origin noted by the address of the
 * field. */
#ifndef PROFILE_BUILD_H
#define PROFILE_BUILD_H

#include "profile/doc.h"
#include "profile/plan.h"

/* Always a plan, to be checked further even when there were mistakes.  The caller frees it. */
struct plan *build_plan(const struct doc *doc, struct diag *diag)
    __attribute__((warn_unused_result));
/* The text of a value as messages show it: cut, and on one line.  The caller frees it. */
char *build_shown(const char *text) __attribute__((warn_unused_result));

#endif
