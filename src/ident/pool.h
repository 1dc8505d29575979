/* A worker's supply of one kind of credential (client certificates, API keys, JWTs, or personas:
 * all three bound together) with its rotation rule.  A finite pool is filled before the start and
 * split over the workers (number j goes to worker (j - 1) mod n).  A never-repeating one, what
 * takes the place of a retired credential, and tokens near their expiry, come from the mint thread
 * (mint.h), batch by batch through a one-slot mailbox: taking never signs.
 *
 * Invariants: a credential taken stays valid until it is dropped; `first_use` is true exactly
 * once per distinct credential; a pool belongs to one worker. */
#ifndef IDENT_POOL_H
#define IDENT_POOL_H

#include "profile/plan.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum credential_kind {
    CREDENTIAL_CERT,
    CREDENTIAL_APIKEY,
    CREDENTIAL_JWT,
    CREDENTIAL_PARTS, /* the kinds that are presented; what follows is made of them */
    CREDENTIAL_PERSONA = CREDENTIAL_PARTS,
    CREDENTIAL_KINDS
};

struct cert;

struct credential {
    struct cert *cert; /* CREDENTIAL_CERT */
    char *text;        /* key (percent-encoded for a query) or token, without name and scheme */
    size_t text_len;
    /* CREDENTIAL_PERSONA: owned; NULL: it has none of that kind.  They live as long as it does, and
     * `n` is the same for all (of one to be refused whose identity is not bound, the first's). */
    struct credential *part[CREDENTIAL_PARTS];
    uint64_t n;
    int64_t not_after_s; /* 0: does not expire; of a persona: its part that ends first */
    uint32_t refs;
    bool used; /* was taken at least once; of a part: was claimed */
};

struct pool;

/* Takes the credential that is due by the rotation rule and holds a reference for the caller.
 * Call it once per use: per new connection for certificates and for rotate = connection, per
 * request for other keys and tokens.  NULL when a fresh one is due and the mint thread has not
 * delivered, or when all are retired: try again later (the caller counts a mint wait).  NULL too
 * when a renewable one has expired and the renewed one has not come; what comes from files is given
 * as it is.  now_s: seconds since the epoch, for expiry. */
struct credential *pool_take(struct pool *pool, uint64_t now_ns, int64_t now_s, bool *ret_first_use)
    __attribute__((warn_unused_result));
/* True exactly once for each part of a persona: its first use, to be counted by the caller. */
bool credential_claim(struct credential *part) __attribute__((warn_unused_result));
/* Takes a first use back, as pool_take or credential_claim gave it: nobody has seen it after
 * all. */
void credential_unclaim(struct credential *credential);
void pool_drop(struct pool *pool, struct credential *credential);
/* While held, the rule rests: takes give the current credential again (the "reused" dwells). */
void pool_hold(struct pool *pool, bool held);
/* True when the taker keeps it for the life of the connection: rotate = connection, and every
 * certificate or persona that has one. */
bool pool_per_connection(const struct pool *pool);
enum credential_kind pool_kind(const struct pool *pool);

#endif
