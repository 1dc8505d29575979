#include "ident/jwks.h"

#include "ident/crypt.h"
#include "ident/jwt_key.h"
#include "ident/jwt_parts.h"

#include "base/bug.h"
#include "base/json.h"
#include "base/jsonw.h"
#include "base/mem.h"
#include "base/str.h"

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/ec_key.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/nid.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COORDINATE_MAX 48
#define MODULUS_MAX    2048
#define ED25519_BYTES  32

struct item {
    char *kid; /* NULL: none */
    EVP_PKEY *key;
};

struct jwks {
    struct item *items;
    size_t n, capacity;
};

static void put_bytes(struct jsonw *w, const char *name, const void *bytes, size_t len)
{
    struct sink *text = sink_new();
    crypt_base64url(text, bytes, len);
    jsonw_string(w, name, sink_text(text, NULL));
    sink_free(text);
}

static void put_number(struct jsonw *w, const char *name, const BIGNUM *number)
{
    uint8_t bytes[MODULUS_MAX];
    BUG_ON(BN_num_bytes(number) > sizeof bytes);
    put_bytes(w, name, bytes, BN_bn2bin(number, bytes));
}

/* Coordinates are as wide as the field (RFC 7518 section 6.2.1.2). */
static void put_point(struct jsonw *w, const EC_KEY *key, enum jwt_alg alg)
{
    const size_t width = alg == JWT_ES384 ? 48 : 32;
    uint8_t bytes[COORDINATE_MAX];
    BIGNUM *x = BN_new(), *y = BN_new();
    BUG_ON(x == NULL || y == NULL ||
           !EC_POINT_get_affine_coordinates_GFp(EC_KEY_get0_group(key), EC_KEY_get0_public_key(key),
                                                x, y, NULL));
    jsonw_string(w, "crv", alg == JWT_ES384 ? "P-384" : "P-256");
    BUG_ON(!BN_bn2bin_padded(bytes, width, x));
    put_bytes(w, "x", bytes, width);
    BUG_ON(!BN_bn2bin_padded(bytes, width, y));
    put_bytes(w, "y", bytes, width);
    BN_free(x);
    BN_free(y);
}

static void put_key(struct jsonw *w, const EVP_PKEY *key, enum jwt_alg alg)
{
    uint8_t raw[ED25519_BYTES];
    size_t len = sizeof raw;
    switch (EVP_PKEY_id(key)) {
    case EVP_PKEY_RSA:
        jsonw_string(w, "kty", "RSA");
        put_number(w, "n", RSA_get0_n(EVP_PKEY_get0_RSA(key)));
        put_number(w, "e", RSA_get0_e(EVP_PKEY_get0_RSA(key)));
        break;
    case EVP_PKEY_EC:
        jsonw_string(w, "kty", "EC");
        put_point(w, EVP_PKEY_get0_EC_KEY(key), alg);
        break;
    default:
        BUG_ON(EVP_PKEY_get_raw_public_key(key, raw, &len) != 1);
        jsonw_string(w, "kty", "OKP");
        jsonw_string(w, "crv", "Ed25519");
        put_bytes(w, "x", raw, len);
        break;
    }
}

void jwks_write(struct sink *sink, const struct jwks_entry *entries, size_t n)
{
    struct jsonw w;
    jsonw_init(&w, sink, false);
    jsonw_object(&w, NULL);
    jsonw_array(&w, "keys");
    for (size_t i = 0; i < n; i++) {
        jsonw_object(&w, NULL);
        put_key(&w, entries[i].key, entries[i].alg);
        jsonw_string(&w, "use", "sig");
        jsonw_string(&w, "alg", jwt_alg_name(entries[i].alg));
        if (entries[i].kid != NULL) {
            jsonw_string(&w, "kid", entries[i].kid);
        }
        jsonw_end(&w);
    }
    jsonw_end(&w);
    jsonw_end(&w);
}

/* A member that is bytes; NULL when it is missing or is none. */
static uint8_t *take_bytes(const struct json *jwk, const char *name, size_t *ret_len)
{
    const char *text = json_get_string(jwk, name, NULL);
    return text != NULL ? (uint8_t *)crypt_unbase64url(text, strlen(text), ret_len) : NULL;
}

static BIGNUM *take_number(const struct json *jwk, const char *name)
{
    size_t len;
    CLEANUP_FREE uint8_t *bytes = take_bytes(jwk, name, &len);
    return bytes != NULL && len <= MODULUS_MAX ? BN_bin2bn(bytes, len, NULL) : NULL;
}

static EVP_PKEY *take_rsa(const struct json *jwk)
{
    RSA *rsa = RSA_new();
    EVP_PKEY *key = EVP_PKEY_new();
    BIGNUM *n = take_number(jwk, "n"), *e = take_number(jwk, "e");
    BUG_ON(rsa == NULL || key == NULL);
    bool good = n != NULL && e != NULL && RSA_set0_key(rsa, n, e, NULL) == 1;
    if (!good) {
        BN_free(n);
        BN_free(e);
    }
    good = good && RSA_check_key(rsa) == 1 && EVP_PKEY_set1_RSA(key, rsa) == 1;
    RSA_free(rsa);
    if (!good) {
        EVP_PKEY_free(key);
        key = NULL;
    }
    return key;
}

static EVP_PKEY *take_ec(const struct json *jwk)
{
    const char *curve = json_get_string(jwk, "crv", "");
    int nid = str_equal(curve, "P-256")   ? NID_X9_62_prime256v1
              : str_equal(curve, "P-384") ? NID_secp384r1
                                          : NID_undef;
    EC_KEY *ec = nid != NID_undef ? EC_KEY_new_by_curve_name(nid) : NULL;
    EVP_PKEY *key = EVP_PKEY_new();
    BIGNUM *x = take_number(jwk, "x"), *y = take_number(jwk, "y");
    BUG_ON(key == NULL);
    bool good = ec != NULL && x != NULL && y != NULL &&
                EC_KEY_set_public_key_affine_coordinates(ec, x, y) == 1 &&
                EVP_PKEY_set1_EC_KEY(key, ec) == 1;
    BN_free(x);
    BN_free(y);
    EC_KEY_free(ec);
    if (!good) {
        EVP_PKEY_free(key);
        key = NULL;
    }
    return key;
}

static EVP_PKEY *take_okp(const struct json *jwk)
{
    size_t len = 0;
    CLEANUP_FREE uint8_t *x = take_bytes(jwk, "x", &len);
    if (x == NULL || len != ED25519_BYTES ||
        !str_equal(json_get_string(jwk, "crv", ""), "Ed25519")) {
        return NULL;
    }
    return EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, x, len);
}

static EVP_PKEY *take_key(const struct json *jwk)
{
    const char *type = json_get_string(jwk, "kty", "");
    EVP_PKEY *key = str_equal(type, "RSA")   ? take_rsa(jwk)
                    : str_equal(type, "EC")  ? take_ec(jwk)
                    : str_equal(type, "OKP") ? take_okp(jwk)
                                             : NULL;
    ERR_clear_error();
    return key;
}

static void jwks_add(struct jwks *jwks, const char *kid, EVP_PKEY *key)
{
    ARRAY_RESERVE(jwks->items, jwks->n, jwks->capacity);
    jwks->items[jwks->n++] = (struct item){kid != NULL ? xstrdup(kid) : NULL, key};
}

/* Takes over the key when it is one for the algorithm. */
static void add_fitting(struct jwks *jwks, const struct json *jwk, enum jwt_alg alg)
{
    char fault[160];
    const char *name = jwt_alg_name(alg);
    EVP_PKEY *key = take_key(jwk);
    if (key == NULL) {
        return;
    }
    if (jwt_key_fault(alg, key, fault) || !str_equal(json_get_string(jwk, "use", "sig"), "sig") ||
        !str_equal(json_get_string(jwk, "alg", name), name)) {
        EVP_PKEY_free(key);
        return;
    }
    jwks_add(jwks, json_get_string(jwk, "kid", NULL), key);
}

struct jwks *jwks_parse(const char *text, size_t len, enum jwt_alg alg, char error[JWKS_ERROR])
{
    char why[160] = "";
    struct json *document = json_parse(text, len, why, sizeof why);
    if (document == NULL) {
        (void)snprintf(error, JWKS_ERROR, "is not JSON: %s", why);
        return NULL;
    }
    struct jwks *jwks = xcalloc(1, sizeof *jwks);
    const struct json *keys = json_get(document, "keys"), *jwk;
    for (size_t i = 0; (jwk = json_at(keys, i)) != NULL; i++) {
        add_fitting(jwks, jwk, alg);
    }
    bool empty = keys != NULL && json_size(keys) == 0; /* whoever signs is yet to write its keys */
    json_free(document);
    if (jwks->n == 0 && !empty) {
        (void)snprintf(error, JWKS_ERROR, "holds no key for %s", jwt_alg_name(alg));
        jwks_free(jwks);
        return NULL;
    }
    return jwks;
}

enum form { FORM_PUBLIC, FORM_PRIVATE, FORM_CERTIFICATE, FORM_COUNT };

static EVP_PKEY *read_form(const char *text, size_t len, enum form form)
{
    BIO *bio = BIO_new_mem_buf(text, (int)len);
    EVP_PKEY *key = NULL;
    BUG_ON(bio == NULL);
    if (form == FORM_CERTIFICATE) {
        X509 *certificate = PEM_read_bio_X509(bio, NULL, NULL, NULL);
        key = certificate != NULL ? X509_get_pubkey(certificate) : NULL;
        X509_free(certificate);
    } else if (form == FORM_PUBLIC) {
        key = PEM_read_bio_PUBKEY(bio, NULL, NULL, NULL);
    } else {
        /* An empty passphrase, so that nobody is asked for one. */
        key = PEM_read_bio_PrivateKey(bio, NULL, NULL, (void *)(uintptr_t) "");
    }
    BIO_free(bio);
    ERR_clear_error();
    return key;
}

struct jwks *jwks_from_pem(const char *text, size_t len, enum jwt_alg alg, char error[JWKS_ERROR])
{
    EVP_PKEY *key = NULL;
    for (int form = 0; form < FORM_COUNT && key == NULL; form++) {
        key = read_form(text, len, (enum form)form);
    }
    if (key == NULL) {
        (void)snprintf(error, JWKS_ERROR, "holds no key in PEM");
        return NULL;
    }
    if (jwt_key_fault(alg, key, error)) {
        EVP_PKEY_free(key);
        return NULL;
    }
    struct jwks *jwks = xcalloc(1, sizeof *jwks);
    jwks_add(jwks, NULL, key);
    return jwks;
}

void jwks_free(struct jwks *jwks)
{
    if (jwks == NULL) {
        return;
    }
    for (size_t i = 0; i < jwks->n; i++) {
        free(jwks->items[i].kid);
        EVP_PKEY_free(jwks->items[i].key);
    }
    free(jwks->items);
    free(jwks);
}

struct evp_pkey_st *jwks_find(const struct jwks *jwks, const char *token, size_t len)
{
    struct jwt_parts parts;
    if (jwks->n == 1 && jwks->items[0].kid == NULL) {
        return jwks->items[0].key;
    }
    struct json *header = jwt_parts_split(token, len, &parts) ? jwt_parts_header(&parts) : NULL;
    const char *kid = json_get_string(header, "kid", NULL);
    EVP_PKEY *key = kid == NULL && header != NULL && jwks->n == 1 ? jwks->items[0].key : NULL;
    for (size_t i = 0; kid != NULL && i < jwks->n && key == NULL; i++) {
        const char *own = jwks->items[i].kid;
        key = own != NULL && str_equal(own, kid) ? jwks->items[i].key : NULL;
    }
    json_free(header);
    return key;
}
