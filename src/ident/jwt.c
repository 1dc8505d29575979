#include "ident/jwt.h"

#include "ident/cert.h"
#include "ident/crypt.h"
#include "ident/pem.h"
#include "ident/template.h"

#include "base/bug.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/mono.h"
#include "base/sink.h"
#include "base/str.h"

#include <inttypes.h>
#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/ec_key.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/nid.h>
#include <openssl/rsa.h>
#include <stdlib.h>
#include <string.h>

#define TOKEN_MAX    16384 /* bytes of a token that we look at */
#define TAG_TEXT     43    /* characters of a base64url SHA-256 tag */
#define RSA_BITS_MIN 2048  /* RFC 7518 section 3.3 */

enum added { ADDED_IAT, ADDED_NBF, ADDED_EXP, ADDED_JTI, ADDED_COUNT };

static const char *const added_names[ADDED_COUNT] = {"iat", "nbf", "exp", "jti"};
static const char *const alg_names[] = {"HS256", "RS256", "ES256", "EdDSA"};

struct jwt_signer {
    enum jwt_alg alg;
    char *secret; /* HS256 */
    size_t secret_len;
    struct evp_pkey_st *key;
    char *head;   /* encoded header with its dot */
    char *claims; /* the template without its final brace */
    bool add[ADDED_COUNT];
    bool any_claim; /* so that a comma goes before the first one added */
    int64_t fixed_exp_s;
    int64_t lifetime_s;
};

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

/* What the key must be for the algorithm (RFC 7518 section 3.1, RFC 8037); NULL when it is. */
static const char *key_fault(enum jwt_alg alg, const EVP_PKEY *key)
{
    switch (alg) {
    case JWT_RS256:
        return EVP_PKEY_id(key) == EVP_PKEY_RSA && EVP_PKEY_bits(key) >= RSA_BITS_MIN
                   ? NULL
                   : "RS256 needs an RSA key of 2,048 bits or more";
    case JWT_ES256:
        return EVP_PKEY_id(key) == EVP_PKEY_EC &&
                       EC_GROUP_get_curve_name(EC_KEY_get0_group(EVP_PKEY_get0_EC_KEY(key))) ==
                           NID_X9_62_prime256v1
                   ? NULL
                   : "ES256 needs an EC key on P-256";
    case JWT_EDDSA:
        return EVP_PKEY_id(key) == EVP_PKEY_ED25519 ? NULL : "EdDSA needs an Ed25519 key";
    case JWT_HS256:
        break;
    }
    return NULL;
}

static bool take_key(struct jwt_signer *signer, const struct checking *checking)
{
    const struct plan_jwt *section = checking->section;
    if (section->key == NULL || section->key[0] == '\0') {
        return refuse(checking, "key", &section->key, "signing needs a key");
    }
    if (section->alg == JWT_HS256) {
        signer->secret = xstrdup(section->key);
        signer->secret_len = strlen(section->key);
        return true;
    }
    struct pem pem = {0};
    char error[DER_ERROR] = "";
    const char *fault = NULL;
    if (!pem_add_text(&pem, section->key, strlen(section->key), error)) {
        fault = error;
    } else if (pem.key == NULL) {
        fault = "holds no private key";
    } else {
        fault = key_fault(section->alg, pem.key);
    }
    if (fault == NULL) {
        signer->key = pem.key;
        pem.key = NULL;
    }
    pem_clear(&pem);
    return fault == NULL || refuse(checking, "key", &section->key, fault);
}

/* The template must be a JSON object once its fields are filled in. */
static bool take_claims(struct jwt_signer *signer, const struct checking *checking)
{
    const struct plan_jwt *section = checking->section;
    char error[160] = "";
    const char *text = section->claims != NULL ? section->claims : "{}";
    if (!template_check(text, NULL, plan_origin(checking->plan, &section->claims),
                        checking->diag)) {
        return false;
    }
    struct sink *sample = sink_new();
    size_t len;
    template_expand(sample, text, 1, "run");
    const char *expanded = sink_text(sample, &len);
    struct json *claims = json_parse(expanded, len, error, sizeof error);
    bool good = claims != NULL && json_is_map(claims);
    if (!good) {
        CLEANUP_FREE char *what =
            xasprintf("is not a JSON object%s%s", claims == NULL ? ": " : "", error);
        (void)refuse(checking, "claims", &section->claims, what);
    }
    for (int i = 0; good && i < ADDED_COUNT; i++) {
        signer->add[i] = json_get(claims, added_names[i]) == NULL;
    }
    if (good && !signer->add[ADDED_EXP]) {
        signer->fixed_exp_s = (int64_t)json_get_number(claims, "exp", 0);
        if (signer->fixed_exp_s <= 0) {
            good = refuse(checking, "claims", &section->claims, "exp is not a time");
        }
    }
    if (good) {
        size_t end = strlen(text);
        while (text[end - 1] != '}') {
            end--;
        }
        signer->claims = xstrndup(text, end - 1);
        signer->any_claim = json_size(claims) > 0;
    }
    json_free(claims);
    sink_free(sample);
    return good;
}

static char *encoded_header(const struct plan_jwt *section)
{
    struct sink *json = sink_new();
    struct sink *encoded = sink_new();
    size_t len;
    sink_printf(json, "{\"alg\":\"%s\",\"typ\":\"JWT\"", alg_names[section->alg]);
    if (section->kid != NULL && section->kid[0] != '\0') {
        sink_printf(json, ",\"kid\":");
        sink_json(json, section->kid);
    }
    sink_printf(json, "}");
    const char *text = sink_text(json, &len);
    crypt_base64url(encoded, text, len);
    sink_write(encoded, ".", 1);
    char *head = xstrdup(sink_text(encoded, NULL));
    sink_free(json);
    sink_free(encoded);
    return head;
}

/* The same payload for every number would count one token as many. */
static bool is_distinct(const struct jwt_signer *signer)
{
    int64_t unused_s;
    size_t len;
    if (signer->add[ADDED_JTI]) {
        return true;
    }
    CLEANUP_FREE char *first = jwt_mint(signer, 1, "run", 1, &len, &unused_s);
    CLEANUP_FREE char *second = jwt_mint(signer, 2, "run", 1, &len, &unused_s);
    const char *first_dot = strrchr(first, '.'), *second_dot = strrchr(second, '.');
    return first_dot - first != second_dot - second ||
           memcmp(first, second, (size_t)(first_dot - first)) != 0;
}

struct jwt_signer *jwt_signer_new(const struct plan *plan, const struct plan_jwt *section,
                                  struct diag *diag)
{
    struct checking checking = {plan, section, diag};
    struct jwt_signer *signer = xcalloc(1, sizeof *signer);
    signer->alg = section->alg;
    signer->lifetime_s = (int64_t)(section->lifetime_ns / NS_PER_S);
    signer->lifetime_s += signer->lifetime_s == 0 ? 1 : 0;
    bool good = take_claims(signer, &checking);
    good = take_key(signer, &checking) && good;
    if (good) {
        signer->head = encoded_header(section);
        if ((section->count > 1 || section->pick == PICK_FRESH) && !is_distinct(signer)) {
            good = refuse(&checking, "claims", &section->claims,
                          "give the same token every time; leave jti out or add {n} or {uuid}");
        }
    }
    if (!good) {
        jwt_signer_free(signer);
        return NULL;
    }
    return signer;
}

void jwt_signer_free(struct jwt_signer *signer)
{
    if (signer != NULL) {
        crypt_wipe(signer->secret, signer->secret_len);
        free(signer->secret);
        cert_key_free(signer->key);
        free(signer->head);
        free(signer->claims);
        free(signer);
    }
}

bool jwt_signer_sets_exp(const struct jwt_signer *signer)
{
    return signer->add[ADDED_EXP];
}

static void write_payload(const struct jwt_signer *signer, struct sink *json, uint64_t n,
                          const char *run_id, int64_t now_s)
{
    const int64_t times_s[] = {now_s, now_s, now_s + signer->lifetime_s};
    bool comma = signer->any_claim;
    template_expand(json, signer->claims, n, run_id);
    for (int i = 0; i < ADDED_COUNT; i++) {
        if (!signer->add[i]) {
            continue;
        }
        if (i == ADDED_JTI) {
            sink_printf(json, "%s\"jti\":\"", comma ? "," : "");
            template_expand(json, "{uuid}", n, run_id);
            sink_write(json, "\"", 1);
        } else {
            sink_printf(json, "%s\"%s\":%" PRId64, comma ? "," : "", added_names[i], times_s[i]);
        }
        comma = true;
    }
    sink_write(json, "}", 1);
}

/* JOSE wants r and s as 32 bytes each (RFC 7518 section 3.4), X.509 and BoringSSL write DER. */
static size_t raw_ecdsa(const unsigned char *der, size_t der_len, unsigned char raw[64])
{
    ECDSA_SIG *pair = ECDSA_SIG_from_bytes(der, der_len);
    BUG_ON(pair == NULL);
    BUG_ON(!BN_bn2bin_padded(raw, 32, ECDSA_SIG_get0_r(pair)));
    BUG_ON(!BN_bn2bin_padded(raw + 32, 32, ECDSA_SIG_get0_s(pair)));
    ECDSA_SIG_free(pair);
    return 64;
}

static void write_signature(const struct jwt_signer *signer, struct sink *token)
{
    unsigned char signature[CRYPT_SIGNATURE];
    unsigned char raw[64];
    size_t len, signature_len = CRYPT_TAG;
    const char *signed_part = sink_text(token, &len);
    const unsigned char *bytes = signature;
    if (signer->alg == JWT_HS256) {
        crypt_hmac_sha256(signer->secret, signer->secret_len, signed_part, len, signature);
    } else {
        BUG_ON(!crypt_sign(signer->key, signed_part, len, signature, &signature_len));
    }
    if (signer->alg == JWT_ES256) {
        signature_len = raw_ecdsa(signature, signature_len, raw);
        bytes = raw;
    }
    sink_write(token, ".", 1);
    crypt_base64url(token, bytes, signature_len);
}

char *jwt_mint(const struct jwt_signer *signer, uint64_t n, const char *run_id, int64_t now_s,
               size_t *ret_len, int64_t *ret_not_after_s)
{
    struct sink *json = sink_new();
    struct sink *token = sink_new();
    size_t len;
    write_payload(signer, json, n, run_id, now_s);
    const char *payload = sink_text(json, &len);
    sink_write(token, signer->head, strlen(signer->head));
    crypt_base64url(token, payload, len);
    write_signature(signer, token);
    const char *text = sink_text(token, ret_len);
    char *copy = xmalloc(*ret_len + 1);
    memcpy(copy, text, *ret_len + 1);
    *ret_not_after_s = signer->add[ADDED_EXP] ? now_s + signer->lifetime_s : signer->fixed_exp_s;
    sink_free(json);
    sink_free(token);
    return copy;
}

/* The decoded JSON object of one segment, or NULL. */
static struct json *segment_object(const char *text, size_t len)
{
    size_t n;
    char error[160];
    CLEANUP_FREE char *bytes = crypt_unbase64url(text, len, &n);
    struct json *value = bytes != NULL ? json_parse(bytes, n, error, sizeof error) : NULL;
    if (value != NULL && !json_is_map(value)) {
        json_free(value);
        value = NULL;
    }
    return value;
}

/* `crit` names extensions that must be understood (RFC 7515 section 4.1.11), and we know none. */
static bool header_is_hs256(const char *text, size_t len)
{
    struct json *header = segment_object(text, len);
    bool good = header != NULL && str_equal(json_get_string(header, "alg", ""), "HS256") &&
                json_get(header, "crit") == NULL;
    json_free(header);
    return good;
}

static bool tag_is_right(const char *token, size_t signed_len, const char *tag, const char *secret,
                         size_t secret_len)
{
    unsigned char bytes[CRYPT_TAG];
    struct sink *expected = sink_new();
    crypt_hmac_sha256(secret, secret_len, token, signed_len, bytes);
    crypt_base64url(expected, bytes, sizeof bytes);
    /* Comparing the texts also refuses other spellings of the same tag. */
    bool good = crypt_equal(sink_text(expected, NULL), tag, TAG_TEXT);
    sink_free(expected);
    return good;
}

bool jwt_verify_hs256(const char *token, size_t len, const char *secret, size_t secret_len,
                      int64_t now_s, char *sub, size_t sub_size)
{
    if (len > TOKEN_MAX) {
        return false;
    }
    const char *end = token + len;
    const char *first = memchr(token, '.', len);
    const char *second = first != NULL ? memchr(first + 1, '.', (size_t)(end - first - 1)) : NULL;
    if (second == NULL || end - second - 1 != TAG_TEXT ||
        !tag_is_right(token, (size_t)(second - token), second + 1, secret, secret_len) ||
        !header_is_hs256(token, (size_t)(first - token))) {
        return false;
    }
    struct json *claims = segment_object(first + 1, (size_t)(second - first - 1));
    bool good = claims != NULL && json_get_number(claims, "exp", 0) > (double)now_s;
    if (good && sub != NULL && sub_size > 0) {
        (void)str_copy(sub, sub_size, json_get_string(claims, "sub", ""));
    }
    json_free(claims);
    return good;
}
