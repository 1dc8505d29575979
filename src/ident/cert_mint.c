#include "ident/cert.h"

#include "ident/cert_parts.h"
#include "ident/crypt.h"
#include "ident/der.h"
#include "ident/pem.h"
#include "ident/template.h"

#include "base/bug.h"
#include "base/mem.h"
#include "base/mono.h"
#include "base/sink.h"
#include "base/str.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

#define KEY_ID_MAX   64
#define CLOCK_SKEW_S 300 /* a server's clock may be that far behind ours */

struct cert_issuer {
    CRYPTO_BUFFER *certificate;
    CRYPTO_BUFFER *above[PEM_MAX_CERTS]; /* what a client sends behind its leaf, root left out */
    size_t n_above;
    struct der_issuer der; /* its pointers lead into `certificate` and `key_id` */
    uint8_t key_id[KEY_ID_MAX];
    int64_t not_before_s;
    int64_t not_after_s;
};

static bool is_self_issued(const CRYPTO_BUFFER *certificate)
{
    struct der_parts p;
    return der_parse(certificate, &p) &&
           CBS_mem_equal(&p.issuer, CBS_data(&p.subject), CBS_len(&p.subject));
}

/* The identifier that the CA itself carries, since verifiers compare with that one; its hash where
 * it carries none. */
static void take_key_id(struct cert_issuer *issuer, X509 *x509, const CBS *key_bits)
{
    const ASN1_OCTET_STRING *own = x509 != NULL ? X509_get0_subject_key_id(x509) : NULL;
    int len = own != NULL ? ASN1_STRING_length(own) : 0;
    if (len > 0 && len <= KEY_ID_MAX) {
        memcpy(issuer->key_id, ASN1_STRING_get0_data(own), (size_t)len);
        issuer->der.key_id_len = (size_t)len;
    } else {
        der_key_id(key_bits, issuer->key_id);
        issuer->der.key_id_len = 20;
    }
    issuer->der.key_id = issuer->key_id;
}

struct cert_issuer *cert_issuer_new(CRYPTO_BUFFER *certificate, EVP_PKEY *key)
{
    struct cert_issuer *issuer = xcalloc(1, sizeof *issuer);
    struct der_parts parts;
    BUG_ON(!der_parse(certificate, &parts));
    X509 *x509 = X509_parse_from_buffer(certificate);
    issuer->certificate = certificate;
    issuer->der.key = key;
    issuer->der.name = CBS_data(&parts.subject);
    issuer->der.name_len = CBS_len(&parts.subject);
    issuer->not_before_s = parts.not_before_s;
    issuer->not_after_s = parts.not_after_s;
    take_key_id(issuer, x509, &parts.key_bits);
    X509_free(x509);
    ERR_clear_error();
    if (!is_self_issued(certificate)) {
        CRYPTO_BUFFER_up_ref(certificate);
        issuer->above[issuer->n_above++] = certificate;
    }
    return issuer;
}

const struct der_issuer *cert_issuer_der(const struct cert_issuer *issuer)
{
    return &issuer->der;
}

void cert_issuer_free(struct cert_issuer *issuer)
{
    if (issuer == NULL) {
        return;
    }
    for (size_t i = 0; i < issuer->n_above; i++) {
        CRYPTO_BUFFER_free(issuer->above[i]);
    }
    CRYPTO_BUFFER_free(issuer->certificate);
    EVP_PKEY_free(issuer->der.key);
    free(issuer);
}

/* Why this certificate cannot issue; NULL when it can. */
static const char *issuing_fault(CRYPTO_BUFFER *certificate, int64_t now_s, int64_t run_s)
{
    struct der_parts parts;
    X509 *x509 = X509_parse_from_buffer(certificate);
    const char *fault = NULL;
    if (x509 == NULL || !der_parse(certificate, &parts)) {
        fault = "does not parse";
    } else if (X509_check_ca(x509) != 1) {
        fault = "is not a CA certificate (no basicConstraints CA:TRUE, or no keyCertSign)";
    } else if (parts.not_after_s <= now_s) {
        fault = "has expired";
    } else if (parts.not_before_s > now_s) {
        fault = "is not valid yet";
    } else if (parts.not_after_s <= now_s + run_s) {
        fault = "expires before the run ends";
    }
    X509_free(x509);
    ERR_clear_error();
    return fault;
}

/* Builds the issuer out of the certificate that the key belongs to and those behind it. */
static struct cert_issuer *issuer_from(struct pem *pem, EVP_PKEY *key)
{
    size_t own = 0;
    while (own < pem->n_certs && !pem_matches(pem->certs[own], key)) {
        own++;
    }
    if (own == pem->n_certs) {
        return NULL;
    }
    CRYPTO_BUFFER_up_ref(pem->certs[own]);
    EVP_PKEY_up_ref(key);
    struct cert_issuer *issuer = cert_issuer_new(pem->certs[own], key);
    for (size_t i = 0; i < pem->n_certs && issuer->n_above > 0; i++) {
        if (i != own && !is_self_issued(pem->certs[i])) {
            CRYPTO_BUFFER_up_ref(pem->certs[i]);
            issuer->above[issuer->n_above++] = pem->certs[i];
        }
    }
    return issuer;
}

static struct cert_issuer *issuer_read(const struct plan *plan, const struct plan_cert *section,
                                       struct pem *ca, struct pem *ca_key, struct diag *diag)
{
    struct origin ca_origin = plan_origin(plan, &section->ca);
    struct origin key_origin = plan_origin(plan, &section->ca_key);
    char error[DER_ERROR];
    bool good = pem_add_file(ca, section->ca, error);
    if (good && ca->n_certs == 0) {
        good = str_copy(error, sizeof error, "holds no certificate") && false;
    }
    if (!good) {
        diag_add(diag, ca_origin, "cert.ca: %s %s", section->ca, error);
    }
    bool has_key = pem_add_file(ca_key, section->ca_key, error);
    if (has_key && ca_key->key == NULL) {
        has_key = str_copy(error, sizeof error, "holds no private key") && false;
    }
    if (!has_key) {
        diag_add(diag, key_origin, "cert.ca_key: %s %s", section->ca_key, error);
    }
    if (!good || !has_key) {
        return NULL;
    }
    struct cert_issuer *issuer = issuer_from(ca, ca_key->key);
    if (issuer == NULL) {
        diag_add(diag, key_origin, "cert.ca_key: the key does not match the certificate in %s",
                 section->ca);
        return NULL;
    }
    const char *fault = issuing_fault(issuer->certificate, (int64_t)mono_wall_s(),
                                      (int64_t)(plan->run.duration_ns / NS_PER_S));
    if (fault != NULL) {
        diag_add(diag, ca_origin, "cert.ca: %s %s", section->ca, fault);
        cert_issuer_free(issuer);
        return NULL;
    }
    return issuer;
}

struct cert_issuer *cert_issuer_load(const struct plan *plan, const struct plan_cert *section,
                                     struct diag *diag)
{
    struct pem ca = {0}, ca_key = {0};
    struct cert_issuer *issuer = issuer_read(plan, section, &ca, &ca_key, diag);
    pem_clear(&ca);
    pem_clear(&ca_key);
    return issuer;
}

struct cert *cert_mint_at(const struct cert_issuer *issuer, const struct plan_cert *section,
                          uint64_t n, const char *run_id, struct evp_pkey_st *shared_key,
                          int64_t now_s)
{
    struct cert *cert = cert_new(1 + issuer->n_above);
    struct sink *subject = sink_new();
    struct sink *san = section->san != NULL ? sink_new() : NULL;
    int64_t end_s = now_s + (int64_t)(section->lifetime_ns / NS_PER_S);
    int64_t begin_s = now_s - CLOCK_SKEW_S;

    template_expand(subject, section->subject, n, run_id);
    if (san != NULL) {
        template_expand(san, section->san, n, run_id);
    }
    cert->n = n;
    cert->not_after_s = end_s < issuer->not_after_s ? end_s : issuer->not_after_s;
    cert_serial_new(cert->serial, &cert->serial_len);
    if (shared_key != NULL) {
        EVP_PKEY_up_ref(shared_key);
        cert->key = shared_key;
    } else {
        cert->key = cert_key_new(section->key_type);
    }
    cert->chain[0] = der_certificate(&(struct der_request){
        .issuer = &issuer->der,
        .subject = sink_text(subject, NULL),
        .san = san != NULL ? sink_text(san, NULL) : NULL,
        .key = cert->key,
        .usage = DER_CLIENT,
        .not_before_s = begin_s > issuer->not_before_s ? begin_s : issuer->not_before_s,
        .not_after_s = cert->not_after_s,
        .serial = cert->serial,
        .serial_len = cert->serial_len,
    });
    for (size_t i = 0; i < issuer->n_above; i++) {
        CRYPTO_BUFFER_up_ref(issuer->above[i]);
        cert->chain[1 + i] = issuer->above[i];
    }
    sink_free(subject);
    sink_free(san);
    return cert;
}

struct cert *cert_mint(const struct cert_issuer *issuer, const struct plan_cert *section,
                       uint64_t n, const char *run_id, struct evp_pkey_st *shared_key)
{
    return cert_mint_at(issuer, section, n, run_id, shared_key, (int64_t)mono_wall_s());
}
