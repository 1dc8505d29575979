/* PEM as people keep it: certificates and one private key, in any order, with other blocks between
 * them.  Private to ident; a header that names BoringSSL. */
#ifndef IDENT_PEM_H
#define IDENT_PEM_H

#include "ident/der.h"

#include "base/sink.h"

#include <openssl/base.h>

#define PEM_MAX_BYTES (4U << 20) /* of one file */
#define PEM_MAX_CERTS 16

struct pem {
    CRYPTO_BUFFER *certs[PEM_MAX_CERTS];
    size_t n_certs;
    EVP_PKEY *key;
};

/* Adds what the text holds; false with a reason that names no key material.  Clear afterwards in
 * either case. */
bool pem_add_text(struct pem *pem, const char *text, size_t len, char error[DER_ERROR])
    __attribute__((warn_unused_result));
bool pem_add_file(struct pem *pem, const char *path, char error[DER_ERROR])
    __attribute__((warn_unused_result));
void pem_clear(struct pem *pem);
void pem_write_cert(struct sink *sink, const CRYPTO_BUFFER *certificate);
/* The text of a key (PKCS #8), which the caller wipes and frees. */
char *pem_from_key(EVP_PKEY *key, size_t *ret_len) __attribute__((warn_unused_result));
/* Whether the certificate is about this key. */
bool pem_matches(const CRYPTO_BUFFER *certificate, const EVP_PKEY *key)
    __attribute__((warn_unused_result));

#endif
