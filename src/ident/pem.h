/* PEM as people keep it: certificates and private keys, in any order, with other blocks between
 * them, keys encrypted or not.  Private to ident; a header that names BoringSSL. */
#ifndef IDENT_PEM_H
#define IDENT_PEM_H

#include "ident/der.h"

#include "base/sink.h"

#include <openssl/base.h>

#define PEM_MAX_BYTES (64U << 20) /* of one file: some 10,000 pairs with the longest keys */
#define PEM_MAX_CERTS 16          /* of one chain */

struct pem {
    /* set before reading: */
    bool many;            /* several keys are fine: they go to `keys`, else the one to `key` */
    const char *password; /* of encrypted keys, borrowed; NULL: none */
    /* read: */
    CRYPTO_BUFFER **certs;
    size_t n_certs, certs_capacity;
    EVP_PKEY *key;
    EVP_PKEY **keys;
    size_t n_keys, keys_capacity;
    bool wrong_password; /* why reading failed: no passphrase, or another one */
};

/* Adds what the text holds; false with a reason that names no key material.  Clear afterwards in
 * either case. */
bool pem_add_text(struct pem *pem, const char *text, size_t len, char error[DER_ERROR])
    __attribute__((warn_unused_result));
bool pem_add_file(struct pem *pem, const char *path, char error[DER_ERROR])
    __attribute__((warn_unused_result));
/* Frees what was read; `many` and `password` stay. */
void pem_clear(struct pem *pem);
/* One block of that name, such as "CERTIFICATE" and "X509 CRL". */
void pem_write(struct sink *sink, const char *name, const CRYPTO_BUFFER *der);
/* The text of a key (PKCS #8), which the caller wipes and frees. */
char *pem_from_key(EVP_PKEY *key, size_t *ret_len) __attribute__((warn_unused_result));
/* The text of its public half (RFC 7468 section 13). */
void pem_write_public(struct sink *sink, EVP_PKEY *key);
/* Whether the certificate is about this key. */
bool pem_matches(const CRYPTO_BUFFER *certificate, const EVP_PKEY *key)
    __attribute__((warn_unused_result));

#endif
