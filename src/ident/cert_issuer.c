#include "ident/cert.h"

#include "ident/cert_inside.h"
#include "ident/cert_parts.h"
#include "ident/der.h"
#include "ident/der_usage.h"
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
    if (len > 0 && len <= CERT_KEY_ID_MAX) {
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
    CRYPTO_BUFFER_up_ref(certificate);
    issuer->known = certificate;
    issuer->usage = der_usage_of(DER_CLIENT);
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
    CRYPTO_BUFFER_free(issuer->known);
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
        if (i != own && issuer->n_above < PEM_MAX_CERTS && !is_self_issued(pem->certs[i])) {
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

/* A new pair of the same kind, which those who know the CA are sure to verify; RSA of 2,048 bits
 * since longer ones take up to a second to make. */
static EVP_PKEY *key_like(const EVP_PKEY *key)
{
    if (EVP_PKEY_id(key) == EVP_PKEY_RSA) {
        return cert_key_new(KEY_RSA_2048);
    }
    if (EVP_PKEY_id(key) == EVP_PKEY_ED25519) {
        return cert_key_new(KEY_ED25519);
    }
    return cert_key_new(EVP_PKEY_bits(key) > 256 ? KEY_ECDSA_P384 : KEY_ECDSA_P256);
}

/* Puts a CA that is made for the run, the k-th of n, below `above`, which it takes over. */
static struct cert_issuer *issuer_below(struct cert_issuer *above, const struct plan_cert *section,
                                        uint64_t k, const char *run_id, int64_t now_s)
{
    unsigned char serial[20];
    size_t serial_len;
    struct sink *subject = sink_new();
    EVP_PKEY *key = key_like(above->der.key);
    int64_t begin_s = now_s - CERT_SKEW_S;
    cert_serial_new(serial, &serial_len);
    template_expand(subject, section->intermediate_subject, k, run_id);
    struct cert_issuer *issuer = cert_issuer_new(
        der_certificate(&(struct der_request){
            .issuer = &above->der,
            .subject = sink_text(subject, NULL),
            .key = key,
            .role = DER_CA,
            .limits_path = true,
            .path_len = (unsigned)(section->intermediates - k),
            .not_before_s = begin_s > above->not_before_s ? begin_s : above->not_before_s,
            .not_after_s = above->not_after_s,
            .serial = serial,
            .serial_len = serial_len,
        }),
        key);
    if (issuer->n_above == 0) { /* it has the name of the CA */
        CRYPTO_BUFFER_up_ref(issuer->certificate);
        issuer->above[issuer->n_above++] = issuer->certificate;
    }
    for (size_t i = 0; i < above->n_above && issuer->n_above < PEM_MAX_CERTS; i++) {
        CRYPTO_BUFFER_up_ref(above->above[i]);
        issuer->above[issuer->n_above++] = above->above[i];
    }
    CRYPTO_BUFFER_free(issuer->known);
    CRYPTO_BUFFER_up_ref(above->known);
    issuer->known = above->known;
    cert_issuer_free(above);
    sink_free(subject);
    return issuer;
}

/* Whether the certificate stands above the CA, or is the CA's own by another issuer. */
static bool continues(const struct cert_issuer *issuer, const CRYPTO_BUFFER *certificate)
{
    struct der_parts own, other;
    return der_parse(issuer->certificate, &own) && der_parse(certificate, &other) &&
           (CBS_mem_equal(&own.issuer, CBS_data(&other.subject), CBS_len(&other.subject)) ||
            CBS_mem_equal(&own.subject, CBS_data(&other.subject), CBS_len(&other.subject)));
}

/* What is wrong with the certificates of cert.chain; NULL when they can be sent. */
static const char *chain_fault(const struct cert_issuer *issuer, const struct pem *pem,
                               int64_t now_s, int64_t run_s)
{
    bool joined = false;
    if (pem->n_certs == 0) {
        return "holds no certificate";
    }
    if (pem->n_certs + issuer->n_above > PEM_MAX_CERTS) {
        return "holds more certificates than a chain should have (16)";
    }
    for (size_t i = 0; i < pem->n_certs; i++) {
        const char *fault = issuing_fault(pem->certs[i], now_s, run_s);
        if (fault != NULL) {
            return fault;
        }
        joined = joined || continues(issuer, pem->certs[i]);
    }
    return joined ? NULL : "holds no certificate that issued the CA of cert.ca";
}

static bool add_chain(struct cert_issuer *issuer, const struct plan *plan,
                      const struct plan_cert *section, struct diag *diag)
{
    struct pem pem = {0};
    char error[DER_ERROR];
    const char *fault = NULL;
    if (section->chain == NULL) {
        return true;
    }
    if (!pem_add_file(&pem, section->chain, error)) {
        fault = error;
    } else {
        fault = chain_fault(issuer, &pem, (int64_t)mono_wall_s(),
                            (int64_t)(plan->run.duration_ns / NS_PER_S));
    }
    for (size_t i = 0; fault == NULL && i < pem.n_certs; i++) {
        CRYPTO_BUFFER_up_ref(pem.certs[i]);
        issuer->above[issuer->n_above++] = pem.certs[i];
    }
    pem_clear(&pem);
    if (fault != NULL) {
        diag_add(diag, plan_origin(plan, &section->chain), "cert.chain: %s %s", section->chain,
                 fault);
    }
    return fault == NULL;
}

/* Whether so many CAs may stand below this one (RFC 5280 section 4.2.1.9). */
static bool allows_below(const struct cert_issuer *issuer, const struct plan *plan,
                         const struct plan_cert *section, struct diag *diag)
{
    X509 *x509 = X509_parse_from_buffer(issuer->certificate);
    long path_len = x509 != NULL ? X509_get_pathlen(x509) : -1;
    X509_free(x509);
    ERR_clear_error();
    bool good = path_len < 0 || section->intermediates <= (uint64_t)path_len;
    if (!good) {
        diag_add(diag, plan_origin(plan, &section->intermediates),
                 "cert.intermediates: the CA in %s allows %ld below it (pathLenConstraint)",
                 section->ca, path_len);
    } else if (issuer->n_above + section->intermediates > PEM_MAX_CERTS) {
        diag_add(diag, plan_origin(plan, &section->intermediates),
                 "cert.intermediates: the chain would have more than %d certificates",
                 PEM_MAX_CERTS);
        good = false;
    }
    return good;
}

struct cert_issuer *cert_issuer_load(const struct plan *plan, const struct plan_cert *section,
                                     const char *run_id, struct diag *diag)
{
    struct pem ca = {.password = section->password}, ca_key = {.password = section->password};
    char error[DER_ERROR];
    struct cert_issuer *issuer = issuer_read(plan, section, &ca, &ca_key, diag);
    pem_clear(&ca);
    pem_clear(&ca_key);
    bool good = cert_check(plan, section, diag);
    if (issuer == NULL || !add_chain(issuer, plan, section, diag) ||
        !allows_below(issuer, plan, section, diag) || !good) {
        cert_issuer_free(issuer);
        return NULL;
    }
    for (uint64_t k = 1; k <= section->intermediates; k++) {
        issuer = issuer_below(issuer, section, k, run_id, (int64_t)mono_wall_s());
    }
    if (section->key_usage != NULL) {
        BUG_ON(!der_usage_parse(section->key_usage, &issuer->usage, error));
    }
    return issuer;
}
