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
#include <openssl/pkcs8.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool add_cert(struct pem *pem, const uint8_t *bytes, size_t len, char error[DER_ERROR])
{
    struct der_parts parts;
    CRYPTO_BUFFER *buffer = CRYPTO_BUFFER_new(bytes, len, NULL);
    BUG_ON(buffer == NULL);
    ARRAY_RESERVE(pem->certs, pem->n_certs, pem->certs_capacity);
    pem->certs[pem->n_certs++] = buffer;
    if (!der_parse(buffer, &parts)) {
        (void)snprintf(error, DER_ERROR, "certificate %zu does not parse", pem->n_certs);
        return false;
    }
    return true;
}

/* Takes the key over; NULL is one that could not be read. */
static bool add_key(struct pem *pem, EVP_PKEY *key, char error[DER_ERROR])
{
    if (key == NULL) {
        (void)snprintf(error, DER_ERROR, "the private key does not parse or is of no known type");
        return false;
    }
    if (pem->many) {
        ARRAY_RESERVE(pem->keys, pem->n_keys, pem->keys_capacity);
        pem->keys[pem->n_keys++] = key;
        return true;
    }
    if (pem->key != NULL) {
        EVP_PKEY_free(key);
        (void)snprintf(error, DER_ERROR, "holds more than one private key");
        return false;
    }
    pem->key = key;
    return true;
}

static bool missing_password(struct pem *pem, char error[DER_ERROR])
{
    pem->wrong_password = true;
    (void)snprintf(error, DER_ERROR,
                   "the private key is protected by a passphrase and none was given");
    return false;
}

/* What went wrong with an encrypted key.  A wrong passphrase shows as bad padding or, one time in
 * some hundreds, as a key that does not parse. */
static bool decryption_fault(struct pem *pem, char error[DER_ERROR])
{
    bool unsupported = false;
    for (uint32_t e; (e = ERR_get_error()) != 0;) {
        int reason = ERR_GET_REASON(e);
        unsupported =
            unsupported ||
            (ERR_GET_LIB(e) == ERR_LIB_PKCS8 &&
             (reason == PKCS8_R_UNKNOWN_ALGORITHM || reason == PKCS8_R_UNSUPPORTED_CIPHER ||
              reason == PKCS8_R_UNSUPPORTED_PRF || reason == PKCS8_R_UNKNOWN_CIPHER ||
              reason == PKCS8_R_UNSUPPORTED_KEY_DERIVATION_FUNCTION)) ||
            (ERR_GET_LIB(e) == ERR_LIB_PEM && reason == PEM_R_UNSUPPORTED_ENCRYPTION);
    }
    pem->wrong_password = !unsupported;
    (void)snprintf(error, DER_ERROR, "%s",
                   unsupported ? "the private key is encrypted by a method that is not known here "
                                 "(openssl pkcs8 -topk8 -v2 aes-256-cbc writes one that is)"
                               : "wrong passphrase");
    return false;
}

/* "ENCRYPTED PRIVATE KEY" (RFC 5958 section 3). */
static bool add_pkcs8(struct pem *pem, const uint8_t *bytes, size_t len, char error[DER_ERROR])
{
    CBS in;
    if (pem->password == NULL) {
        return missing_password(pem, error);
    }
    CBS_init(&in, bytes, len);
    EVP_PKEY *key = PKCS8_parse_encrypted_private_key(&in, pem->password, strlen(pem->password));
    return key != NULL ? add_key(pem, key, error) : decryption_fault(pem, error);
}

static int give_password(char *to, int size, int writing, void *password)
{
    size_t len = strlen(password);
    (void)writing;
    if (len > (size_t)size) {
        return -1;
    }
    memcpy(to, password, len);
    return (int)len;
}

/* "Proc-Type: 4,ENCRYPTED", the old way of OpenSSL; it decrypts in place. */
static bool add_old_style(struct pem *pem, char *header, uint8_t *bytes, long len,
                          char error[DER_ERROR])
{
    EVP_CIPHER_INFO cipher;
    if (pem->password == NULL) {
        return missing_password(pem, error);
    }
    CLEANUP_FREE char *password = xstrdup(pem->password); /* the callback's is not const */
    const uint8_t *at = bytes;
    EVP_PKEY *key = NULL;
    if (PEM_get_EVP_CIPHER_INFO(header, &cipher) &&
        PEM_do_header(&cipher, bytes, &len, give_password, password)) {
        key = d2i_AutoPrivateKey(NULL, &at, len);
    }
    crypt_wipe(password, strlen(password));
    return key != NULL ? add_key(pem, key, error) : decryption_fault(pem, error);
}

static bool add_block(struct pem *pem, const char *name, char *header, uint8_t *bytes, size_t len,
                      char error[DER_ERROR])
{
    if (str_equal(name, "CERTIFICATE") || str_equal(name, "X509 CERTIFICATE")) {
        return add_cert(pem, bytes, len, error);
    }
    if (str_equal(name, "ENCRYPTED PRIVATE KEY")) {
        return add_pkcs8(pem, bytes, len, error);
    }
    if (str_equal(name, "PRIVATE KEY") || str_equal(name, "EC PRIVATE KEY") ||
        str_equal(name, "RSA PRIVATE KEY")) {
        const uint8_t *at = bytes;
        return strstr(header, "ENCRYPTED") != NULL
                   ? add_old_style(pem, header, bytes, (long)len, error)
                   : add_key(pem, d2i_AutoPrivateKey(NULL, &at, (long)len), error);
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
    for (size_t i = 0; i < pem->n_keys; i++) {
        EVP_PKEY_free(pem->keys[i]);
    }
    EVP_PKEY_free(pem->key);
    free(pem->certs);
    free(pem->keys);
    *pem = (struct pem){.many = pem->many, .password = pem->password};
}

/* Hands what was written into `bio` over to `sink`, and frees the BIO. */
static void move_bio(struct sink *sink, BIO *bio)
{
    const uint8_t *text;
    size_t len;
    BUG_ON(!BIO_mem_contents(bio, &text, &len));
    sink_write(sink, text, len);
    BIO_free(bio);
}

void pem_write(struct sink *sink, const char *name, const CRYPTO_BUFFER *der)
{
    BIO *bio = BIO_new(BIO_s_mem());
    BUG_ON(bio == NULL ||
           !PEM_write_bio(bio, name, "", CRYPTO_BUFFER_data(der), (long)CRYPTO_BUFFER_len(der)));
    move_bio(sink, bio);
}

void pem_write_public(struct sink *sink, EVP_PKEY *key)
{
    BIO *bio = BIO_new(BIO_s_mem());
    BUG_ON(bio == NULL || !PEM_write_bio_PUBKEY(bio, key));
    move_bio(sink, bio);
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
