/* How pools come to be and go, for the mint: the other half of pool.h.  Private to ident. */
#ifndef IDENT_POOL_MAKE_H
#define IDENT_POOL_MAKE_H

#include "ident/pool.h"
#include "ident/supply.h"

#include "profile/plan.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pool_rule {
    enum credential_kind kind;
    struct rotate rotate;
    enum pick pick;
    double exponent;       /* of PICK_ZIPF */
    uint64_t retire_after; /* 0: never; else fresh ones come through the mailbox too */
    bool dialled;          /* has a certificate, so that the taker keeps it with its connection */
    bool renewable;        /* the making thread can make some of its parts again */
    uint64_t seed;
    uint64_t stream; /* number of its random numbers: another for each pool */
};

/* A pool over `n_items` credentials, which it takes over with the array (none for pick = fresh). */
struct pool *pool_new(const struct pool_rule *rule, struct credential **items, size_t n_items,
                      int wake_fd) __attribute__((warn_unused_result));
struct supply *pool_supply(struct pool *pool);
void pool_free(struct pool *pool);

#endif
