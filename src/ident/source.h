/* Where the credentials of one kind come from: a section of the plan made ready, so that number
 * n can be minted (or was loaded).  Const once made, and shared by all threads that mint.
 * Private to ident. */
#ifndef IDENT_SOURCE_H
#define IDENT_SOURCE_H

#include "ident/pool.h"
#include "ident/pool_make.h"

#include "base/diag.h"
#include "profile/plan.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct source;

/* Loads CA, files and secrets of the kind's section.  NULL with mistakes, or when the plan has no
 * such section (then without a mistake). */
struct source *source_new(const struct plan *plan, enum credential_kind kind, const char *run_id,
                          struct diag *diag) __attribute__((warn_unused_result));
void source_free(struct source *source);
/* How many credentials there are: 0 for a never-repeating set. */
size_t source_count(const struct source *source);
/* Rule of the section's pools, but for the worker. */
struct pool_rule source_rule(const struct source *source);
/* Whether making one costs about a microsecond (no public-key operation). */
bool source_is_cheap(const struct source *source);
/* Credential number n (1 and up); what comes from files is handed over, so ask once for each. */
struct credential *source_make(const struct source *source, uint64_t n, int64_t now_s)
    __attribute__((warn_unused_result));

#endif
