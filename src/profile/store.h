/* What a plan owns besides its structs: every string, and where every value came from.  Strings
 * are handed over once and live as long as the plan, so nobody else needs to free one.
 *
 * More than eight functions: strings, notes of fields and notes of sections. */
#ifndef PROFILE_STORE_H
#define PROFILE_STORE_H

#include "base/diag.h"
#include "profile/options.h"
#include "profile/plan.h"

struct plan_store;

struct plan_store *store_new(void) __attribute__((warn_unused_result));
void store_free(struct plan_store *store);
/* Takes over `text`, which free() would take, and returns it. */
char *store_keep(struct plan_store *store, char *text);
/* Where the value at that address of the plan came from.  `written`: its text as it was written
 * (@file with the full path, ${VAR}) where that is not the value itself; borrowed from the
 * store. */
void store_note(struct plan_store *store, const void *field, struct origin origin,
                const char *written);
/* As it was written, or NULL when the value itself was written. */
const char *store_written(const struct plan_store *store, const void *field);
/* The value at that address has no say in this plan: the effective profile leaves it out. */
void store_note_idle(struct plan_store *store, const void *field);
bool store_is_idle(const struct plan_store *store, const void *field);
/* Where a section that is not a list begins; SECTION_COUNT: the profile as a whole. */
void store_note_section(struct plan_store *store, enum section section, struct origin origin);
/* True for what plan_origin says of a field that nobody wrote. */
bool store_is_default(struct origin origin);
/* The section's place, else the profile's. */
struct origin store_section(const struct plan_store *store, enum section section);

#endif
