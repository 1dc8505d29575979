/* A signer's insides, shared by minting (jwt.c) and the turn of its keys (jwt_turn.c).  Private to
 * ident; a header that names BoringSSL.
 *
 * Invariants: `current` signs; with rotation `next` is made ahead and already published; what is
 * retired may have signed a token that is still valid. */
#ifndef IDENT_JWT_INSIDE_H
#define IDENT_JWT_INSIDE_H

#include "ident/jwt_claims.h"

#include <openssl/base.h>

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Headers of tokens, by what they claim. */
enum jwt_head { JWT_HEAD_OWN, JWT_HEAD_NONE, JWT_HEAD_HMAC, JWT_HEADS };

struct signing_key {
    struct signing_key *next; /* in the list of the retired, the newest first */
    uint64_t number;          /* 1 and up */
    EVP_PKEY *key;            /* NULL: HS* */
    char *public_pem;         /* NULL: HS* */
    char *kid;                /* NULL: none */
    char *heads[JWT_HEADS];   /* encoded, with the dot */
    size_t head_len[JWT_HEADS];
    int64_t needed_until_s; /* once retired */
};

/* A key of the same kind that nobody knows, made when it is first needed. */
struct stranger {
    pthread_mutex_t lock;
    EVP_PKEY *key;
};

struct jwt_signer {
    enum jwt_alg alg;
    char *secret; /* HS* */
    size_t secret_len;
    struct jwt_claims *claims;
    int64_t lifetime_s;
    char *kid;        /* template; NULL: none */
    char *more_heads; /* members of the header with a leading comma; "" */
    struct signing_key *current, *upcoming, *retired;
    struct signing_key *coming; /* made for a turn whose set could not be written yet */
    char *jwks;                 /* NULL: not written */
    int64_t rotate_s;           /* 0: never */
    int64_t turned_s;           /* when `current` began to sign; 0: not told yet */
    bool published;
    struct stranger *stranger;
};

/* Key number n: `key` is taken over, NULL makes one (not for HS*, which has none). */
struct signing_key *signing_key_new(const struct jwt_signer *signer, uint64_t number, EVP_PKEY *key)
    __attribute__((warn_unused_result));
void signing_key_free(struct signing_key *key);

#endif
