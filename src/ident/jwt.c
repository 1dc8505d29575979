#include "ident/jwt.h"

#include "ident/cert.h"
#include "ident/crypt.h"
#include "ident/jwt_claims.h"
#include "ident/jwt_inside.h"
#include "ident/jwt_key.h"
#include "ident/pem.h"
#include "ident/template.h"

#include "base/bug.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/mono.h"
#include "base/str.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#define STRANGER_BYTES  32
#define HMAC_MAX        64
#define CLAIMS_ON_STACK 2048

struct checking {
    const struct plan *plan;
    const struct plan_jwt *section;
    struct diag *diag;
};

static bool refuse(const struct checking *checking, const char *key, const void *field,
                   const char *what)
{
    diag_add(checking->diag, plan_origin(checking->plan, field), "jwt.%s: %s", key, what);
    return false;
}

static bool take_secret(struct jwt_signer *signer, const struct checking *checking)
{
    const struct plan_jwt *section = checking->section;
    if (section->key == NULL || section->key[0] == '\0') {
        return refuse(checking, "key", &section->key, "signing needs a key");
    }
    signer->secret = xstrdup(section->key);
    signer->secret_len = strlen(section->key);
    return true;
}

/* The private key in the section; NULL with a mistake. */
static EVP_PKEY *read_key(const struct checking *checking)
{
    const struct plan_jwt *section = checking->section;
    struct pem pem = {0};
    EVP_PKEY *key = NULL;
    char error[DER_ERROR] = "";
    const char *fault = error;
    if (!pem_add_text(&pem, section->key, strlen(section->key), error)) {
        fault = error;
    } else if (pem.key == NULL) {
        fault = "holds no private key";
    } else if (!jwt_key_fault(section->alg, pem.key, error)) {
        fault = NULL;
        key = pem.key;
        pem.key = NULL;
    }
    pem_clear(&pem);
    if (fault != NULL) {
        (void)refuse(checking, "key", &section->key, fault);
    }
    return key;
}

static bool take_keys(struct jwt_signer *signer, const struct checking *checking)
{
    const struct plan_jwt *section = checking->section;
    EVP_PKEY *given = NULL;
    if (jwt_alg_is_hmac(section->alg)) {
        if (!take_secret(signer, checking)) {
            return false;
        }
    } else if (section->key != NULL) {
        given = read_key(checking);
        if (given == NULL) {
            return false;
        }
    }
    signer->current = signing_key_new(signer, 1, given);
    if (section->key_rotate_ns > 0 && section->key == NULL) {
        signer->rotate_s = (int64_t)(section->key_rotate_ns / NS_PER_S);
        signer->rotate_s += signer->rotate_s == 0;
        signer->upcoming = signing_key_new(signer, 2, NULL);
    }
    return true;
}

/* A kid is written into the key set, so it cannot differ from token to token. */
static bool take_kid(struct jwt_signer *signer, const struct checking *checking)
{
    const struct plan_jwt *section = checking->section;
    const char *kid = section->kid;
    if (kid == NULL || kid[0] == '\0') {
        kid = section->jwks != NULL ? "key-{key}" : NULL;
    }
    signer->kid = kid != NULL ? xstrdup(kid) : NULL;
    if (kid == NULL) {
        return true;
    }
    if (!template_check(kid, "key", plan_origin(checking->plan, &section->kid), checking->diag)) {
        return false;
    }
    struct template_reader reader = template_reader(kid);
    struct template_piece piece;
    while (template_next(&reader, &piece)) {
        if (piece.field != TEMPLATE_TEXT) {
            return refuse(checking, "kid", &section->kid,
                          "names a key, not a token; only {key} can stand in it");
        }
    }
    if (section->key_rotate_ns > 0 && strstr(kid, "{key}") == NULL) {
        return refuse(checking, "kid", &section->kid, "is the same for every key; put {key} in it");
    }
    return true;
}

static bool take_jose(struct jwt_signer *signer, const struct checking *checking)
{
    static const char *const kept[] = {"alg", "typ", "kid", "b64"};
    const char *text = checking->section->jose;
    char why[160] = "";
    signer->more_heads = xstrdup("");
    if (text == NULL || text[0] == '\0') {
        return true;
    }
    struct json *json = json_parse(text, strlen(text), why, sizeof why);
    CLEANUP_FREE char *what = NULL;
    if (!json_is_map(json)) {
        what = xasprintf("is not a JSON object%s%s", json == NULL ? ": " : "", why);
    }
    for (size_t i = 0; what == NULL && i < sizeof kept / sizeof *kept; i++) {
        if (json_get(json, kept[i]) != NULL) {
            what = xasprintf("cannot set %s, which is the signer's own", kept[i]);
        }
    }
    if (what == NULL && json_size(json) > 0) {
        const char *inner = strchr(text, '{') + 1;
        size_t len = (size_t)(strrchr(text, '}') - inner);
        free(signer->more_heads);
        signer->more_heads = xasprintf(",%.*s", (int)len, inner);
    }
    json_free(json);
    return what == NULL || refuse(checking, "jose", &checking->section->jose, what);
}

/* The same payload for every number would count one token as many. */
static bool take_claims(struct jwt_signer *signer, const struct checking *checking)
{
    const struct plan_jwt *section = checking->section;
    char error[JWT_CLAIMS_ERROR] = "";
    if (section->claims != NULL &&
        !template_check(section->claims, NULL, plan_origin(checking->plan, &section->claims),
                        checking->diag)) {
        return false;
    }
    signer->claims = jwt_claims_new(section, error);
    if (signer->claims == NULL) {
        return refuse(checking, "claims", &section->claims, error);
    }
    if ((section->count > 1 || section->pick == PICK_FRESH) &&
        !jwt_claims_is_distinct(signer->claims)) {
        return refuse(checking, "claims", &section->claims,
                      "give the same token every time; leave jti out or add {n} or {uuid}");
    }
    return true;
}

struct jwt_signer *jwt_signer_new(const struct plan *plan, const struct plan_jwt *section,
                                  struct diag *diag)
{
    struct checking checking = {plan, section, diag};
    struct jwt_signer *signer = xcalloc(1, sizeof *signer);
    signer->alg = section->alg;
    signer->lifetime_s = (int64_t)(section->lifetime_ns / NS_PER_S);
    signer->lifetime_s += signer->lifetime_s == 0;
    signer->jwks =
        section->jwks != NULL && !jwt_alg_is_hmac(section->alg) ? xstrdup(section->jwks) : NULL;
    signer->stranger = xcalloc(1, sizeof *signer->stranger);
    BUG_ON(pthread_mutex_init(&signer->stranger->lock, NULL) != 0);
    bool good = take_claims(signer, &checking);
    good = take_kid(signer, &checking) && good;
    good = take_jose(signer, &checking) && good;
    good = take_keys(signer, &checking) && good;
    if (!good) {
        jwt_signer_free(signer);
        return NULL;
    }
    return signer;
}

void jwt_signer_free(struct jwt_signer *signer)
{
    if (signer == NULL) {
        return;
    }
    crypt_wipe(signer->secret, signer->secret_len);
    free(signer->secret);
    jwt_claims_free(signer->claims);
    free(signer->kid);
    free(signer->more_heads);
    free(signer->jwks);
    signing_key_free(signer->current);
    signing_key_free(signer->upcoming);
    signing_key_free(signer->coming);
    while (signer->retired != NULL) {
        struct signing_key *old = signer->retired;
        signer->retired = old->next;
        signing_key_free(old);
    }
    cert_key_free(signer->stranger->key);
    BUG_ON(pthread_mutex_destroy(&signer->stranger->lock) != 0);
    free(signer->stranger);
    free(signer);
}

bool jwt_signer_sets_exp(const struct jwt_signer *signer)
{
    return jwt_claims_fixed_exp_s(signer->claims) == 0;
}

/* An RSA key takes a tenth of a second, so it is not made before it is needed. */
static EVP_PKEY *stranger_key(const struct jwt_signer *signer)
{
    struct stranger *stranger = signer->stranger;
    BUG_ON(pthread_mutex_lock(&stranger->lock) != 0);
    if (stranger->key == NULL) {
        stranger->key = cert_key_new(jwt_alg_key_type(signer->alg));
    }
    BUG_ON(pthread_mutex_unlock(&stranger->lock) != 0);
    return stranger->key;
}

static size_t sign(const struct jwt_signer *signer, enum bad_jwt bad, const char *data, size_t len,
                   unsigned char signature[CRYPT_SIGNATURE])
{
    unsigned char other[STRANGER_BYTES];
    struct jwt_key key = {signer->alg, signer->secret, signer->secret_len, signer->current->key};
    if (bad == BAD_JWT_HS256_PUBLIC_KEY) {
        const char *pem = signer->current->public_pem;
        key = (struct jwt_key){JWT_HS256, pem, strlen(pem), NULL};
    } else if (bad == BAD_JWT_WRONG_SIGNATURE && jwt_alg_is_hmac(signer->alg)) {
        crypt_random(other, sizeof other);
        key.secret = (const char *)other;
        key.secret_len = sizeof other;
    } else if (bad == BAD_JWT_WRONG_SIGNATURE) {
        key.key = stranger_key(signer);
    }
    return jwt_key_sign(&key, data, len, signature);
}

static enum jwt_head head_for(enum bad_jwt bad)
{
    return bad == BAD_JWT_ALG_NONE           ? JWT_HEAD_NONE
           : bad == BAD_JWT_HS256_PUBLIC_KEY ? JWT_HEAD_HMAC
                                             : JWT_HEAD_OWN;
}

/* At least what any signature of the order takes; ECDSA's is shorter than its DER. */
static size_t signature_room(const struct signing_key *key)
{
    return key->key != NULL ? (size_t)EVP_PKEY_size(key->key) : HMAC_MAX;
}

char *jwt_mint(const struct jwt_signer *signer, const struct jwt_order *order, size_t *ret_len,
               int64_t *ret_not_after_s)
{
    unsigned char signature[CRYPT_SIGNATURE];
    char small[CLAIMS_ON_STACK];
    const struct signing_key *key = signer->current;
    enum jwt_head head = head_for(order->bad);
    if (order->bad == BAD_JWT_NONE || (head == JWT_HEAD_HMAC && key->key == NULL)) {
        return NULL;
    }
    size_t room = jwt_claims_room(signer->claims, order);
    CLEANUP_FREE char *large = room > sizeof small ? xmalloc(room) : NULL;
    char *claims = large != NULL ? large : small;
    size_t claims_len = jwt_claims_write(signer->claims, order, claims, ret_not_after_s);
    size_t signed_len = key->head_len[head] + CRYPT_BASE64(claims_len);
    char *token = xmalloc(signed_len + 1 + CRYPT_BASE64(signature_room(key)) + 1);
    memcpy(token, key->heads[head], key->head_len[head]);
    char *at = token + key->head_len[head];
    at += crypt_base64url_to(at, claims, claims_len);
    if (head == JWT_HEAD_NONE) {
        *at++ = '.';
    } else {
        size_t n = sign(signer, order->bad, token, (size_t)(at - token), signature);
        *at++ = '.';
        at += crypt_base64url_to(at, signature, n);
    }
    *at = '\0';
    *ret_len = (size_t)(at - token);
    return token;
}
