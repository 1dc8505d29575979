#include "ident/cert.h"

#include "ident/cert_inside.h"
#include "ident/cert_parts.h"
#include "ident/crypt.h"
#include "ident/der.h"
#include "ident/der_usage.h"
#include "ident/template.h"

#include "base/bug.h"
#include "base/mem.h"
#include "base/sink.h"

#include <openssl/ec_key.h>
#include <openssl/evp.h>
#include <openssl/nid.h>
#include <openssl/rsa.h>
#include <openssl/sha.h>
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

static EVP_PKEY *generate(int id, int curve, int bits)
{
    EVP_PKEY *key = NULL;
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_id(id, NULL);
    BUG_ON(context == NULL || EVP_PKEY_keygen_init(context) != 1);
    BUG_ON(curve != 0 && EVP_PKEY_CTX_set_ec_paramgen_curve_nid(context, curve) != 1);
    BUG_ON(bits != 0 && EVP_PKEY_CTX_set_rsa_keygen_bits(context, bits) != 1);
    BUG_ON(EVP_PKEY_keygen(context, &key) != 1);
    EVP_PKEY_CTX_free(context);
    return key;
}

struct evp_pkey_st *cert_key_new(enum key_type type)
{
    switch (type) {
    case KEY_ECDSA_P384:
        return generate(EVP_PKEY_EC, NID_secp384r1, 0);
    case KEY_RSA_2048:
        return generate(EVP_PKEY_RSA, 0, 2048);
    case KEY_RSA_3072:
        return generate(EVP_PKEY_RSA, 0, 3072);
    case KEY_RSA_4096:
        return generate(EVP_PKEY_RSA, 0, 4096);
    case KEY_ED25519:
        return generate(EVP_PKEY_ED25519, 0, 0);
    case KEY_ECDSA_P256:
        break;
    }
    return generate(EVP_PKEY_EC, NID_X9_62_prime256v1, 0);
}

void cert_key_free(struct evp_pkey_st *key)
{
    EVP_PKEY_free(key);
}

/* The greatest number that is minted.  Refusals, and certificates that only a token endpoint sees,
 * go beyond the count. */
static uint64_t greatest_number(const struct plan *plan, const struct plan_cert *section)
{
    bool endless = section->pick == PICK_FRESH || section->retire_after > 0;
    for (size_t i = 0; i < plan->n_refuses; i++) {
        endless = endless || plan->refuses[i].base->with_cert == section;
    }
    for (size_t i = 0; i < plan->n_identities; i++) {
        const struct plan_identity *identity = &plan->identities[i];
        const struct plan_jwt *token = identity->with_jwt;
        endless = endless || (identity->with_cert == section && !identity->bound && token != NULL &&
                              token->token_url != NULL);
    }
    return endless ? UINT64_MAX : section->count;
}

/* One template: its fields, then what it expands to for the first and for the greatest number. */
static void check_template(const struct plan *plan, const void *field, const char *text,
                           uint64_t greatest, const char *key,
                           bool (*check)(const char *text, char error[DER_ERROR]),
                           struct diag *diag)
{
    const uint64_t numbers[] = {1, greatest};
    char error[DER_ERROR] = "";
    struct origin origin = plan_origin(plan, field);
    const char *why = "";
    bool good = true;
    if (text == NULL || !template_check(text, NULL, origin, diag)) {
        return;
    }
    for (size_t i = 0; good && i < sizeof numbers / sizeof *numbers; i++) {
        struct sink *expanded = sink_new();
        template_expand(expanded, text, numbers[i], "run");
        good = check(sink_text(expanded, NULL), error);
        why = numbers[i] == UINT64_MAX ? " (with fresh ones, retire_after or a [refuse], numbers "
                                         "go on beyond count)"
                                       : "";
        sink_free(expanded);
    }
    if (!good) {
        diag_add(diag, origin, "cert.%s: %s%s", key, error, why);
    }
}

static bool differs_by_number(const char *template)
{
    return strstr(template, "{n}") != NULL || strstr(template, "{uuid}") != NULL ||
           strstr(template, "{random}") != NULL;
}

/* Numbers go up to the count, or without end. */
static void check_serial(const struct plan *plan, const struct plan_cert *section,
                         uint64_t greatest, struct diag *diag)
{
    unsigned char serial[20];
    size_t len;
    char error[DER_ERROR];
    struct origin origin = plan_origin(plan, &section->serial);
    if (section->serial == NULL || !template_check(section->serial, NULL, origin, diag)) {
        return;
    }
    if (!cert_serial_expand(section->serial, 1, "run", serial, &len, error) ||
        !cert_serial_expand(section->serial, greatest, "run", serial, &len, error)) {
        diag_add(diag, origin, "cert.serial: %s", error);
    } else if (greatest > 1 && !differs_by_number(section->serial)) {
        diag_add(diag, origin, "cert.serial: all certificates would have the same; put {n} in it");
    }
}

bool cert_check(const struct plan *plan, const struct plan_cert *section, struct diag *diag)
{
    struct der_usage usage;
    char error[DER_ERROR];
    uint64_t greatest = greatest_number(plan, section);
    size_t before = diag_count(diag);
    check_template(plan, &section->subject, section->subject, greatest, "subject",
                   der_check_subject, diag);
    check_template(plan, &section->san, section->san, greatest, "san", der_check_san, diag);
    if (section->intermediates > 0) {
        check_template(plan, &section->intermediate_subject, section->intermediate_subject,
                       section->intermediates, "intermediate_subject", der_check_subject, diag);
    }
    check_serial(plan, section, greatest, diag);
    if (section->key_usage != NULL && !der_usage_parse(section->key_usage, &usage, error)) {
        diag_add(diag, plan_origin(plan, &section->key_usage), "cert.key_usage: %s", error);
    }
    return diag_count(diag) == before;
}

void cert_thumbprint(const struct cert *cert, unsigned char thumbprint[32])
{
    SHA256(CRYPTO_BUFFER_data(cert->chain[0]), CRYPTO_BUFFER_len(cert->chain[0]), thumbprint);
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
