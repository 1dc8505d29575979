#include "ident/pem.h"

#include "ident/crypt.h"

#include "base/bug.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"

#include <errno.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/mem.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool add_cert(struct pem *pem, const uint8_t *bytes, size_t len, char error[DER_ERROR])
{
    struct der_parts parts;
    if (pem->n_certs == PEM_MAX_CERTS) {
        (void)snprintf(error, DER_ERROR, "holds more than %d certificates", PEM_MAX_CERTS);
        return false;
    }
    CRYPTO_BUFFER *buffer = CRYPTO_BUFFER_new(bytes, len, NULL);
    BUG_ON(buffer == NULL);
    pem->certs[pem->n_certs++] = buffer;
    if (!der_parse(buffer, &parts)) {
        (void)snprintf(error, DER_ERROR, "certificate %zu does not parse", pem->n_certs);
        return false;
    }
    return true;
}

static bool add_key(struct pem *pem, const uint8_t *bytes, size_t len, char error[DER_ERROR])
{
    if (pem->key != NULL) {
        (void)snprintf(error, DER_ERROR, "holds more than one private key");
        return false;
    }
    pem->key = d2i_AutoPrivateKey(NULL, &bytes, (long)len);
    ERR_clear_error();
    if (pem->key == NULL) {
        (void)snprintf(error, DER_ERROR, "the private key does not parse or is of no known type");
        return false;
    }
    return true;
}

static bool add_block(struct pem *pem, const char *name, const char *header, const uint8_t *bytes,
                      size_t len, char error[DER_ERROR])
{
    if (str_equal(name, "CERTIFICATE") || str_equal(name, "X509 CERTIFICATE")) {
        return add_cert(pem, bytes, len, error);
    }
    if (str_equal(name, "ENCRYPTED PRIVATE KEY") || strstr(header, "ENCRYPTED") != NULL) {
        (void)snprintf(error, DER_ERROR,
                       "the private key is protected by a passphrase; write it without one "
                       "(openssl pkey -in FILE -out FILE)");
        return false;
    }
    if (str_equal(name, "PRIVATE KEY") || str_equal(name, "EC PRIVATE KEY") ||
        str_equal(name, "RSA PRIVATE KEY")) {
        return add_key(pem, bytes, len, error);
    }
    return true;
}

bool pem_add_text(struct pem *pem, const char *text, size_t len, char error[DER_ERROR])
{
    BIO *bio = BIO_new_mem_buf(text, (int)len);
    BUG_ON(bio == NULL);
    char *name, *header;
    uint8_t *bytes;
    long n_bytes;
    bool good = true;
    size_t n_blocks = 0;
    while (good && PEM_read_bio(bio, &name, &header, &bytes, &n_bytes)) {
        n_blocks++;
        good = add_block(pem, name, header, bytes, (size_t)n_bytes, error);
        OPENSSL_free(name);
        OPENSSL_free(header);
        crypt_wipe(bytes, (size_t)n_bytes);
        OPENSSL_free(bytes);
    }
    uint32_t last = ERR_peek_last_error();
    ERR_clear_error();
    BIO_free(bio);
    if (good && (n_blocks == 0 || ERR_GET_REASON(last) != PEM_R_NO_START_LINE)) {
        (void)snprintf(error, DER_ERROR, n_blocks == 0 ? "is not PEM" : "is broken PEM");
        return false;
    }
    return good;
}

bool pem_add_file(struct pem *pem, const char *path, char error[DER_ERROR])
{
    size_t len;
    char *text = file_read(path, PEM_MAX_BYTES, &len);
    if (text == NULL) {
        (void)snprintf(error, DER_ERROR, "cannot be read: %s", strerror(errno));
        return false;
    }
    bool good = pem_add_text(pem, text, len, error);
    crypt_wipe(text, len);
    free(text);
    return good;
}

void pem_clear(struct pem *pem)
{
    for (size_t i = 0; i < pem->n_certs; i++) {
        CRYPTO_BUFFER_free(pem->certs[i]);
    }
    EVP_PKEY_free(pem->key);
    *pem = (struct pem){0};
}

void pem_write_cert(struct sink *sink, const CRYPTO_BUFFER *certificate)
{
    BIO *bio = BIO_new(BIO_s_mem());
    const uint8_t *text;
    size_t len;
    BUG_ON(bio == NULL || !PEM_write_bio(bio, "CERTIFICATE", "", CRYPTO_BUFFER_data(certificate),
                                         (long)CRYPTO_BUFFER_len(certificate)));
    BUG_ON(!BIO_mem_contents(bio, &text, &len));
    sink_write(sink, text, len);
    BIO_free(bio);
}

char *pem_from_key(EVP_PKEY *key, size_t *ret_len)
{
    BIO *bio = BIO_new(BIO_s_mem());
    const uint8_t *text;
    BUG_ON(bio == NULL || !PEM_write_bio_PKCS8PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL));
    BUG_ON(!BIO_mem_contents(bio, &text, ret_len));
    char *copy = xstrndup((const char *)text, *ret_len);
    BIO_free(bio); /* which wipes its buffer */
    return copy;
}

bool pem_matches(const CRYPTO_BUFFER *certificate, const EVP_PKEY *key)
{
    struct der_parts parts;
    if (!der_parse(certificate, &parts)) {
        return false;
    }
    EVP_PKEY *public = EVP_parse_public_key(&parts.spki);
    bool same = public != NULL && EVP_PKEY_cmp(public, key) == 1;
    EVP_PKEY_free(public);
    ERR_clear_error();
    return same;
}
