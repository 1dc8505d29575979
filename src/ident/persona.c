#include "ident/persona.h"

#include "ident/cert.h"
#include "ident/credential.h"

#include "base/bug.h"

#include <stddef.h>

struct source *persona_lead(const struct persona_maker *maker)
{
    for (int kind = 0; kind < CREDENTIAL_PARTS; kind++) {
        if (maker->part[kind] != NULL) {
            return maker->part[kind];
        }
    }
    return NULL;
}

bool persona_is_fetched(const struct persona_maker *maker)
{
    const struct source *token = maker->part[CREDENTIAL_JWT];
    bool presented = maker->refuse == NULL || maker->refuse->jwt != BAD_JWT_NONE;
    return token != NULL && presented && source_is_fetched(token);
}

bool persona_is_cheap(const struct persona_maker *maker)
{
    bool cheap = true;
    for (int kind = 0; kind < CREDENTIAL_PARTS; kind++) {
        cheap = cheap && (maker->part[kind] == NULL || source_is_cheap(maker->part[kind]));
    }
    return cheap;
}

/* A certificate of the source; never fails, since no endpoint gives those. */
static struct credential *make_cert(struct source *source, uint64_t n, int64_t now_s)
{
    char unused[SOURCE_ERROR];
    const struct source_order order = {.n = n, .now_s = now_s};
    struct credential *made = source_make(source, &order, unused);
    BUG_ON(made == NULL);
    return made;
}

/* The token of a client who has that certificate; an endpoint is shown it, or one like it. */
static struct credential *make_token(const struct persona_maker *maker, struct source_order *order,
                                     const struct cert *cert, char error[SOURCE_ERROR])
{
    struct source *source = maker->part[CREDENTIAL_JWT];
    struct credential *like = NULL;
    order->bound = cert;
    order->shown = cert;
    if (source_is_fetched(source) && cert == NULL && maker->shown != NULL) {
        like = make_cert(maker->shown, order->n, order->now_s);
        order->shown = like->cert;
    }
    struct credential *token = source_make(source, order, error);
    credential_release(like);
    return token;
}

static const struct cert *cert_of(const struct credential *credential)
{
    const struct credential *part = credential != NULL ? credential->part[CREDENTIAL_CERT] : NULL;
    return part != NULL ? part->cert : NULL;
}

/* Makes the parts that are asked for.  `old` has the certificate when that is not among them. */
static struct credential *make_parts(const struct persona_maker *maker,
                                     const bool wanted[CREDENTIAL_PARTS], uint64_t n, int64_t now_s,
                                     const struct credential *old, char error[SOURCE_ERROR])
{
    struct credential *persona = credential_new(CREDENTIAL_PERSONA, n);
    for (int kind = 0; kind < CREDENTIAL_PARTS; kind++) {
        struct source_order order = {.n = n, .now_s = now_s};
        if (!wanted[kind] || maker->part[kind] == NULL) {
            continue;
        }
        const struct cert *cert = wanted[CREDENTIAL_CERT] ? cert_of(persona) : cert_of(old);
        struct credential *part = kind == CREDENTIAL_JWT
                                      ? make_token(maker, &order, cert, error)
                                      : source_make(maker->part[kind], &order, error);
        if (part == NULL) {
            credential_release(persona);
            return NULL;
        }
        credential_add_part(persona, part);
    }
    return persona;
}

struct credential *persona_make(const struct persona_maker *maker, uint64_t n, int64_t now_s,
                                char error[SOURCE_ERROR])
{
    static const bool all[CREDENTIAL_PARTS] = {true, true, true};
    struct source_order order = {.n = n, .now_s = now_s};
    if (maker->kind == CREDENTIAL_PERSONA) {
        return make_parts(maker, all, n, now_s, NULL, error);
    }
    return maker->kind == CREDENTIAL_JWT ? make_token(maker, &order, NULL, error)
                                         : source_make(maker->part[maker->kind], &order, error);
}

/* What is presented as the certificate, or NULL. */
static struct credential *make_presented_cert(const struct persona_maker *maker, uint64_t n,
                                              int64_t now_s)
{
    if (maker->bad_cert != NULL) {
        struct credential *credential = credential_new(CREDENTIAL_CERT, n);
        credential->cert = cert_bad_make(maker->bad_cert, n, maker->run_id, now_s);
        credential_set_end(credential, credential->cert->not_after_s);
        return credential;
    }
    bool none = maker->part[CREDENTIAL_CERT] == NULL || maker->refuse->cert == BAD_CERT_NONE;
    return none ? NULL : make_cert(maker->part[CREDENTIAL_CERT], n, now_s);
}

/* The token is good but for what the refusal asks: bound to what is presented, or where nothing is,
 * to a good certificate; an endpoint sees good ones only. */
static struct credential *make_presented_token(const struct persona_maker *maker,
                                               const struct credential *cert,
                                               struct source_order *order, char error[SOURCE_ERROR])
{
    struct source *source = maker->part[CREDENTIAL_JWT];
    bool is_good = cert != NULL && maker->bad_cert == NULL;
    struct credential *good = NULL;
    if (!is_good && maker->shown != NULL && source_follows_cert(source)) {
        good = make_cert(maker->shown, order->n, order->now_s);
    }
    order->bad_jwt = maker->refuse->jwt;
    order->shown = is_good ? cert->cert : good != NULL ? good->cert : NULL;
    order->bound = cert != NULL ? cert->cert : order->shown;
    struct credential *token = source_make(source, order, error);
    credential_release(good);
    return token;
}

struct credential *persona_make_bad(const struct persona_maker *maker,
                                    const struct persona_numbers *numbers, int64_t now_s,
                                    char error[SOURCE_ERROR])
{
    const struct plan_refuse *refuse = maker->refuse;
    struct credential *persona = credential_new(CREDENTIAL_PERSONA, 0), *part;
    for (int kind = CREDENTIAL_PARTS; kind-- > 0;) {
        persona->n = numbers->of[kind] != 0 ? numbers->of[kind] : persona->n;
    }
    struct credential *cert = make_presented_cert(maker, persona->n, now_s);
    if (cert != NULL) {
        credential_add_part(persona, cert);
    }
    if (maker->part[CREDENTIAL_APIKEY] != NULL && refuse->apikey != BAD_APIKEY_NONE) {
        const struct source_order order = {
            .n = numbers->of[CREDENTIAL_APIKEY], .now_s = now_s, .bad_apikey = refuse->apikey};
        part = source_make(maker->part[CREDENTIAL_APIKEY], &order, error);
        BUG_ON(part == NULL);
        credential_add_part(persona, part);
    }
    if (maker->part[CREDENTIAL_JWT] != NULL && refuse->jwt != BAD_JWT_NONE) {
        struct source_order order = {.n = numbers->of[CREDENTIAL_JWT], .now_s = now_s};
        part = make_presented_token(maker, cert, &order, error);
        if (part == NULL) {
            credential_release(persona);
            return NULL;
        }
        credential_add_part(persona, part);
    }
    return persona;
}

/* A token goes with its certificate. */
static void add_followers(const struct persona_maker *maker, bool wanted[CREDENTIAL_PARTS])
{
    const struct source *token = maker->part[CREDENTIAL_JWT];
    if (wanted[CREDENTIAL_CERT] && token != NULL && source_follows_cert(token)) {
        wanted[CREDENTIAL_JWT] = true;
    }
}

struct credential *persona_renew(const struct persona_maker *maker, const struct credential *old,
                                 int64_t now_s, char error[SOURCE_ERROR])
{
    bool wanted[CREDENTIAL_PARTS] = {false};
    if (maker->kind != CREDENTIAL_PERSONA) {
        return persona_make(maker, old->n, now_s, error);
    }
    for (int kind = 0; kind < CREDENTIAL_PARTS; kind++) {
        const struct credential *part = old->part[kind];
        wanted[kind] = part != NULL && credential_is_stale(part, now_s);
    }
    add_followers(maker, wanted);
    return make_parts(maker, wanted, old->n, now_s, old, error);
}

struct credential *persona_replace(const struct persona_maker *maker, enum credential_kind changed,
                                   uint64_t n, int64_t now_s, char error[SOURCE_ERROR])
{
    bool wanted[CREDENTIAL_PARTS] = {false};
    if (maker->kind != CREDENTIAL_PERSONA) {
        return persona_make(maker, n, now_s, error);
    }
    wanted[changed] = true;
    add_followers(maker, wanted);
    return make_parts(maker, wanted, n, now_s, NULL, error);
}
