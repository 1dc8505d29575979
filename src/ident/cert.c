#include "ident/cert.h"

#include "ident/cert_parts.h"
#include "ident/crypt.h"
#include "ident/der.h"
#include "ident/template.h"

#include "base/bug.h"
#include "base/mem.h"
#include "base/mono.h"
#include "base/sink.h"

#include <openssl/ec_key.h>
#include <openssl/evp.h>
#include <openssl/nid.h>
#include <openssl/rsa.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct cert *cert_new(size_t n_chain)
{
    /* One block: an identity should not cost more than its bytes. */
    struct cert *cert = xcalloc(1, sizeof *cert + n_chain * sizeof *cert->chain);
    cert->chain = (CRYPTO_BUFFER **)(void *)(cert + 1);
    cert->n_chain = n_chain;
    return cert;
}

struct cert *cert_copy(const struct cert *cert)
{
    struct cert *copy = cert_new(cert->n_chain);
    CRYPTO_BUFFER **chain = copy->chain;
    *copy = *cert;
    copy->chain = chain;
    for (size_t i = 0; i < cert->n_chain; i++) {
        CRYPTO_BUFFER_up_ref(cert->chain[i]);
        chain[i] = cert->chain[i];
    }
    EVP_PKEY_up_ref(cert->key);
    return copy;
}

void cert_free(struct cert *cert)
{
    if (cert == NULL) {
        return;
    }
    for (size_t i = 0; i < cert->n_chain; i++) {
        CRYPTO_BUFFER_free(cert->chain[i]);
    }
    EVP_PKEY_free(cert->key);
    free(cert);
}

struct evp_pkey_st *cert_key_new(enum key_type type)
{
    int id = type == KEY_RSA_2048  ? EVP_PKEY_RSA
             : type == KEY_ED25519 ? EVP_PKEY_ED25519
                                   : EVP_PKEY_EC;
    EVP_PKEY *key = NULL;
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_id(id, NULL);
    BUG_ON(context == NULL || EVP_PKEY_keygen_init(context) != 1);
    BUG_ON(id == EVP_PKEY_EC &&
           EVP_PKEY_CTX_set_ec_paramgen_curve_nid(context, NID_X9_62_prime256v1) != 1);
    BUG_ON(id == EVP_PKEY_RSA && EVP_PKEY_CTX_set_rsa_keygen_bits(context, 2048) != 1);
    BUG_ON(EVP_PKEY_keygen(context, &key) != 1);
    EVP_PKEY_CTX_free(context);
    return key;
}

void cert_key_free(struct evp_pkey_st *key)
{
    EVP_PKEY_free(key);
}

void cert_serial_new(unsigned char serial[20], size_t *ret_len)
{
    crypt_random(serial, 16);
    serial[0] = (unsigned char)((serial[0] & 0x7f) | 0x40);
    *ret_len = 16;
}

bool cert_check_names(const struct plan *plan, const struct plan_cert *section, struct diag *diag)
{
    char error[DER_ERROR] = "";
    size_t before = diag_count(diag);
    struct sink *text = sink_new();
    struct origin subject_origin = plan_origin(plan, &section->subject);
    if (template_check(section->subject, NULL, subject_origin, diag)) {
        template_expand(text, section->subject, 1, "run");
        if (!der_check_subject(sink_text(text, NULL), error)) {
            diag_add(diag, subject_origin, "cert.subject: %s", error);
        }
    }
    sink_free(text);
    text = sink_new();
    struct origin san_origin = plan_origin(plan, &section->san);
    if (section->san != NULL && template_check(section->san, NULL, san_origin, diag)) {
        template_expand(text, section->san, 1, "run");
        if (!der_check_san(sink_text(text, NULL), error)) {
            diag_add(diag, san_origin, "cert.san: %s", error);
        }
    }
    sink_free(text);
    return diag_count(diag) == before;
}

void cert_describe(const struct cert *cert, char *text, size_t size)
{
    struct der_parts parts;
    char name[256] = "", serial[41] = "";
    if (cert->n_chain > 0 && der_parse(cert->chain[0], &parts)) {
        der_name_text(parts.subject, name, sizeof name);
    }
    for (char *c = name; *c != '\0'; c++) {
        *c = (unsigned char)*c < 0x20 || *c == 0x7f ? '?' : *c;
    }
    crypt_hex(serial, cert->serial, cert->serial_len);
    (void)snprintf(text, size, "%s (serial %s)", name, serial);
}
