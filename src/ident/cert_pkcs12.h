/* PKCS #12 (RFC 7292): .p12 and .pfx files, as OpenSSL 3 writes them (PBES2 with AES) and the older
 * ones (RC2, RC4 and triple DES); reading and, for test identities, writing. Private to ident; a
 * header that names BoringSSL. */
#ifndef IDENT_CERT_PKCS12_H
#define IDENT_CERT_PKCS12_H

#include "ident/pem.h"

#include "base/sink.h"

/* Adds what the file holds to `held` (with `many` and password set as for PEM); false with a
 * reason, and held->wrong_password. */
bool cert_pkcs12_add(struct pem *held, const char *path, char error[DER_ERROR])
    __attribute__((warn_unused_result));
/* A key with its chain, leaf first, under triple DES: the strongest that BoringSSL writes and every
 * library reads.  The caller wipes and frees it. */
unsigned char *cert_pkcs12_new(EVP_PKEY *key, CRYPTO_BUFFER *const *chain, size_t n_chain,
                               const char *password, size_t *ret_len)
    __attribute__((warn_unused_result));

#endif
