/* How pools come to be and go, for mint.c: the other half of pool.h.  Private to ident. */
#ifndef IDENT_POOL_MAKE_H
#define IDENT_POOL_MAKE_H

#include "ident/pool.h"
#include "ident/supply.h"

#include "profile/plan.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pool_rule {
    enum credential_kind kind;
    struct rotate rotate;
    enum pick pick;
    bool renewable; /* the mint thread can make number n again */
    uint64_t seed;
    unsigned worker;
};

/* A credential with one reference, which the pool holds.  The one function that makes them. */
struct credential *credential_new(enum credential_kind kind, uint64_t n)
    __attribute__((warn_unused_result));
/* It ends at not_after_s (0: never) and is to be renewed that long before: at most half of its life
 * before, since a credential that is stale when it is made would be renewed without end. */
void credential_set_life(struct credential *credential, int64_t not_after_s, int64_t now_s,
                         int64_t renew_before_s);
/* The same credential for another worker: `first_uses` of both then lead to one flag, so that
 * together they are new once.  The flag is owned by the caller and outlives both. */
struct credential *credential_share(struct credential *credential, atomic_bool *used)
    __attribute__((warn_unused_result));
void credential_free(struct credential *credential);

/* A pool over `n_items` credentials, which it takes over with the array (none for pick = fresh). */
struct pool *pool_new(const struct pool_rule *rule, struct credential **items, size_t n_items,
                      int wake_fd) __attribute__((warn_unused_result));
struct supply *pool_supply(struct pool *pool);
void pool_free(struct pool *pool);

#endif
