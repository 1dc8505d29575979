#include "ident/cert_pkcs12.h"

#include "ident/crypt.h"

#include "base/bug.h"
#include "base/file.h"
#include "base/mem.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/mem.h>
#include <openssl/nid.h>
#include <openssl/pkcs8.h>
#include <openssl/stack.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ITERATIONS 10000

/* By the error that it gave first: those behind it are its consequences. */
static bool refuse(struct pem *held, char error[DER_ERROR])
{
    uint32_t first = ERR_get_error();
    int reason = ERR_GET_LIB(first) == ERR_LIB_PKCS8 ? ERR_GET_REASON(first) : 0;
    const char *text = "is not PKCS #12, or broken";
    ERR_clear_error();
    switch (reason) {
    case PKCS8_R_INCORRECT_PASSWORD:
        held->wrong_password = true;
        text = held->password != NULL ? "wrong passphrase"
                                      : "is protected by a passphrase and none was given";
        break;
    case PKCS8_R_UNKNOWN_ALGORITHM:
    case PKCS8_R_UNKNOWN_CIPHER:
    case PKCS8_R_UNKNOWN_CIPHER_ALGORITHM:
    case PKCS8_R_UNKNOWN_DIGEST:
    case PKCS8_R_UNKNOWN_HASH:
    case PKCS8_R_UNSUPPORTED_CIPHER:
    case PKCS8_R_UNSUPPORTED_KEY_DERIVATION_FUNCTION:
    case PKCS8_R_UNSUPPORTED_PRF:
    case PKCS8_R_UNSUPPORTED_OPTIONS:
        text = "is protected by a method that is not known here (openssl pkcs12 -export writes one "
               "that is)";
        break;
    case PKCS8_R_MISSING_MAC:
    case PKCS8_R_PKCS12_PUBLIC_KEY_INTEGRITY_NOT_SUPPORTED:
        text = "has no MAC by its passphrase, and others can't be checked here";
        break;
    case PKCS8_R_MULTIPLE_PRIVATE_KEYS_IN_PKCS12:
        text = "holds more than one private key; write a file for each";
        break;
    default:
        break;
    }
    (void)snprintf(error, DER_ERROR, "%s", text);
    return false;
}

/* Without a passphrase a file may have been written with an empty one or with none at all, which
 * are two things (RFC 7292 appendix B.1). */
static bool open_with(const struct pem *held, const uint8_t *bytes, size_t len, EVP_PKEY **ret_key,
                      STACK_OF(X509) * certs)
{
    CBS in;
    CBS_init(&in, bytes, len);
    if (PKCS12_get_key_and_certs(ret_key, certs, &in,
                                 held->password != NULL ? held->password : "")) {
        return true;
    }
    if (held->password != NULL) {
        return false;
    }
    CBS_init(&in, bytes, len);
    ERR_clear_error();
    return PKCS12_get_key_and_certs(ret_key, certs, &in, NULL);
}

static void take(struct pem *held, EVP_PKEY *key, const STACK_OF(X509) * certs)
{
    if (key != NULL) {
        ARRAY_RESERVE(held->keys, held->n_keys, held->keys_capacity);
        held->keys[held->n_keys++] = key;
    }
    for (size_t i = 0; i < sk_X509_num(certs); i++) {
        uint8_t *der = NULL;
        int len = i2d_X509(sk_X509_value(certs, i), &der);
        BUG_ON(len <= 0);
        ARRAY_RESERVE(held->certs, held->n_certs, held->certs_capacity);
        held->certs[held->n_certs] = CRYPTO_BUFFER_new(der, (size_t)len, NULL);
        BUG_ON(held->certs[held->n_certs] == NULL);
        held->n_certs++;
        OPENSSL_free(der);
    }
}

static bool all_parse(const struct pem *held, char error[DER_ERROR])
{
    struct der_parts parts;
    for (size_t i = 0; i < held->n_certs; i++) {
        if (!der_parse(held->certs[i], &parts)) {
            (void)snprintf(error, DER_ERROR, "certificate %zu does not parse", i + 1);
            return false;
        }
    }
    return true;
}

bool cert_pkcs12_add(struct pem *held, const char *path, char error[DER_ERROR])
{
    size_t len;
    char *bytes = file_read(path, PEM_MAX_BYTES, &len);
    if (bytes == NULL) {
        (void)snprintf(error, DER_ERROR, "cannot be read: %s", strerror(errno));
        return false;
    }
    EVP_PKEY *key = NULL;
    STACK_OF(X509) *certs = sk_X509_new_null();
    BUG_ON(certs == NULL);
    bool good = open_with(held, (const uint8_t *)bytes, len, &key, certs);
    if (good) {
        take(held, key, certs);
        good = all_parse(held, error);
    } else {
        good = refuse(held, error);
    }
    sk_X509_pop_free(certs, X509_free);
    ERR_clear_error();
    crypt_wipe(bytes, len);
    free(bytes);
    return good;
}

unsigned char *cert_pkcs12_new(EVP_PKEY *key, CRYPTO_BUFFER *const *chain, size_t n_chain,
                               const char *password, size_t *ret_len)
{
    const int method = NID_pbe_WithSHA1And3_Key_TripleDES_CBC;
    STACK_OF(X509) *above = sk_X509_new_null();
    X509 *leaf = X509_parse_from_buffer(chain[0]);
    BUG_ON(above == NULL || leaf == NULL);
    for (size_t i = 1; i < n_chain; i++) {
        BUG_ON(sk_X509_push(above, X509_parse_from_buffer(chain[i])) == 0);
    }
    PKCS12 *made =
        PKCS12_create(password, NULL, key, leaf, above, method, method, ITERATIONS, ITERATIONS, 0);
    uint8_t *der = NULL;
    int len = made != NULL ? i2d_PKCS12(made, &der) : 0;
    BUG_ON(len <= 0);
    unsigned char *copy = xmalloc((size_t)len);
    memcpy(copy, der, (size_t)len);
    crypt_wipe(der, (size_t)len);
    OPENSSL_free(der);
    PKCS12_free(made);
    X509_free(leaf);
    sk_X509_pop_free(above, X509_free);
    *ret_len = (size_t)len;
    return copy;
}
