/* What a credential is beside what is shown of it: when it must be made again, how often it was
 * given, and whose first use it is.  A persona is made of credentials, its parts; a part that is
 * renewed for itself leaves the others, which old and new persona then share.  All but making
 * belongs to the worker.  Private to ident.
 *
 * More than eight functions: making, merging, sharing and ending. */
#ifndef IDENT_CREDENTIAL_H
#define IDENT_CREDENTIAL_H

#include "ident/pool.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A credential with one reference.  The one function that makes them. */
struct credential *credential_new(enum credential_kind kind, uint64_t n)
    __attribute__((warn_unused_result));
/* It ends at not_after_s (0: never), and nobody can make it again: it is given even then. */
void credential_set_end(struct credential *credential, int64_t not_after_s);
/* It ends at not_after_s and is to be renewed that long before: at most half of its life before,
 * since one that is stale when it is made would be renewed without end. */
void credential_set_life(struct credential *credential, int64_t not_after_s, int64_t now_s,
                         int64_t renew_before_s);
/* The persona owns the part from now on; its own life is that of the part that ends first. */
void credential_add_part(struct credential *persona, struct credential *part);
/* Gives a persona the parts that it lacks from `old`, which keeps them too, and the uses that the
 * old one has had.  A credential that is no persona gets the uses alone. */
void credential_complete(struct credential *credential, struct credential *old);
/* The same credential for another worker: together the two are new once.  Before either is handed
 * over. */
struct credential *credential_share(struct credential *credential)
    __attribute__((warn_unused_result));
/* Gives one reference back; the last one frees.  NULL is fine. */
void credential_release(struct credential *credential);
/* It should be made again. */
bool credential_is_stale(const struct credential *credential, int64_t now_s);
/* It has ended, and another could be made: it must not be given. */
bool credential_is_dead(const struct credential *credential, int64_t now_s);
/* How often it was given under retire_after: the pool counts there. */
uint64_t *credential_uses(struct credential *credential);

#endif
