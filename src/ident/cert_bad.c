#include "ident/cert_bad.h"

#include "ident/cert_inside.h"
#include "ident/cert_load.h"
#include "ident/cert_parts.h"
#include "ident/der_usage.h"
#include "ident/template.h"

#include "base/bug.h"
#include "base/mem.h"
#include "base/mono.h"
#include "base/sink.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#define HOUR_S 3600
#define DAY_S  86400

struct cert_bad {
    enum bad_cert what;
    const struct plan_cert *section;  /* NULL: the identity has no certificate */
    const struct cert_issuer *issuer; /* borrowed; NULL: none needed */
    struct cert_issuer *stranger;     /* unknown-ca */
    struct cert **good;               /* copies of what the section loaded */
    size_t n_good;
    EVP_PKEY *key;      /* of what is minted */
    EVP_PKEY *other;    /* wrong-key: what the handshake is signed with */
    struct cert *given; /* from refuse.path */
};

/* Of the kind that the client's own keys have: another kind might be refused for itself. */
static EVP_PKEY *key_for(const struct cert_bad *bad)
{
    if (bad->n_good == 0) {
        return cert_key_new(bad->section != NULL ? bad->section->key_type : KEY_ECDSA_P256);
    }
    const EVP_PKEY *own = bad->good[0]->key;
    switch (EVP_PKEY_id(own)) {
    case EVP_PKEY_RSA:
        return cert_key_new(KEY_RSA_2048);
    case EVP_PKEY_ED25519:
        return cert_key_new(KEY_ED25519);
    default:
        return cert_key_new(EVP_PKEY_bits(own) > 256 ? KEY_ECDSA_P384 : KEY_ECDSA_P256);
    }
}

/* A CA with the name of the one that the server trusts; with a name made up where we know none. */
static struct cert_issuer *stranger_new(const struct cert_bad *bad)
{
    unsigned char serial[20];
    size_t serial_len;
    struct der_parts parts;
    CBS name;
    const CBS *known = NULL;
    int64_t now_s = (int64_t)mono_wall_s();
    EVP_PKEY *key = cert_key_new(KEY_ECDSA_P256);
    if (bad->issuer != NULL) {
        BUG_ON(!der_parse(bad->issuer->known, &parts));
        name = parts.subject;
        known = &name;
    } else if (bad->n_good > 0) {
        const struct cert *cert = bad->good[0];
        BUG_ON(!der_parse(cert->chain[cert->n_chain - 1], &parts));
        name = parts.issuer;
        known = &name;
    }
    cert_serial_new(serial, &serial_len);
    return cert_issuer_new(der_certificate(&(struct der_request){
                               .subject = "CN=tlsoak unknown CA",
                               .subject_name = known,
                               .key = key,
                               .role = DER_CA,
                               .not_before_s = now_s - DAY_S,
                               .not_after_s = now_s + (int64_t)3650 * DAY_S,
                               .serial = serial,
                               .serial_len = serial_len,
                           }),
                           key);
}

/* When it is valid. */
static void set_times(const struct cert_bad *bad, struct der_request *request, int64_t now_s)
{
    int64_t life_s = bad->section != NULL && bad->section->lifetime_ns > 0
                         ? (int64_t)(bad->section->lifetime_ns / NS_PER_S)
                         : DAY_S;
    request->not_before_s = now_s - CERT_SKEW_S;
    if (bad->what == BAD_CERT_EXPIRED) {
        request->not_before_s = now_s - HOUR_S - life_s;
    } else if (bad->what == BAD_CERT_NOT_YET_VALID) {
        request->not_before_s = now_s + DAY_S;
    }
    request->not_after_s = bad->what == BAD_CERT_EXPIRED         ? now_s - HOUR_S
                           : bad->what == BAD_CERT_NOT_YET_VALID ? now_s + DAY_S + life_s
                                                                 : now_s + life_s;
}

static const struct cert_issuer *issuer_of(const struct cert_bad *bad)
{
    return bad->what == BAD_CERT_UNKNOWN_CA    ? bad->stranger
           : bad->what == BAD_CERT_SELF_SIGNED ? NULL
                                               : bad->issuer;
}

/* Fills in whom it is about: what the templates say, or whom the n-th good one is about. */
static void set_names(const struct cert_bad *bad, struct der_request *request, uint64_t n,
                      const char *run_id, struct sink *subject, struct sink *san, CBS *name)
{
    struct der_parts parts;
    bool minted = bad->section != NULL && bad->section->source == CERT_MINT;
    if (bad->n_good > 0) {
        BUG_ON(!der_parse(bad->good[(n - 1) % bad->n_good]->chain[0], &parts));
        *name = parts.subject;
        request->subject_name = name;
        return;
    }
    template_expand(subject, minted ? bad->section->subject : "CN=client-{n}", n, run_id);
    request->subject = sink_text(subject, NULL);
    if (minted && bad->section->san != NULL) {
        template_expand(san, bad->section->san, n, run_id);
        request->san = sink_text(san, NULL);
    }
}

static struct cert *mint(const struct cert_bad *bad, uint64_t n, const char *run_id, int64_t now_s)
{
    const struct cert_issuer *issuer = issuer_of(bad);
    struct cert *cert = cert_new(1 + (issuer != NULL ? issuer->n_above : 0));
    struct sink *subject = sink_new(), *san = sink_new();
    struct der_usage usage = bad->what == BAD_CERT_WRONG_USAGE ? der_usage_of(DER_SERVER)
                             : bad->issuer != NULL             ? bad->issuer->usage
                                                               : der_usage_of(DER_CLIENT);
    CBS name;
    struct der_request request = {.issuer = issuer != NULL ? &issuer->der : NULL,
                                  .key = bad->key,
                                  .role = DER_CLIENT,
                                  .usage = &usage,
                                  .serial = cert->serial};
    cert_serial_new(cert->serial, &cert->serial_len);
    request.serial_len = cert->serial_len;
    set_names(bad, &request, n, run_id, subject, san, &name);
    set_times(bad, &request, now_s);
    cert->not_after_s = request.not_after_s;
    cert->key = bad->other != NULL ? bad->other : bad->key;
    EVP_PKEY_up_ref(cert->key);
    cert->foreign_key = bad->other != NULL;
    cert->chain[0] = der_certificate(&request);
    for (size_t i = 1; i < cert->n_chain; i++) {
        CRYPTO_BUFFER_up_ref(issuer->above[i - 1]);
        cert->chain[i] = issuer->above[i - 1];
    }
    sink_free(subject);
    sink_free(san);
    return cert;
}

struct cert *cert_bad_make(const struct cert_bad *bad, uint64_t n, const char *run_id,
                           int64_t now_s)
{
    struct cert *cert;
    if (bad->given != NULL) {
        cert = cert_copy(bad->given);
    } else if (bad->what == BAD_CERT_WRONG_KEY && bad->n_good > 0) {
        cert = cert_copy(bad->good[(n - 1) % bad->n_good]);
        EVP_PKEY_free(cert->key);
        EVP_PKEY_up_ref(bad->other);
        cert->key = bad->other;
        cert->foreign_key = true;
    } else {
        cert = mint(bad, n, run_id, now_s);
    }
    cert->n = n;
    return cert;
}

static bool load_given(struct cert_bad *bad, const struct plan *plan,
                       const struct plan_refuse *refuse, struct diag *diag)
{
    char error[DER_ERROR];
    bad->given = cert_file_any(refuse->path, error);
    if (bad->given == NULL) {
        diag_add(diag, plan_origin(plan, &refuse->path), "refuse.path: %s", error);
    }
    return bad->given != NULL;
}

static void copy_good(struct cert_bad *bad, const struct cert_list *good)
{
    bad->good = xcalloc(good->n_certs, sizeof(struct cert *));
    for (size_t i = 0; i < good->n_certs; i++) {
        bad->good[bad->n_good++] = cert_copy(good->certs[i]);
    }
}

struct cert_bad *cert_bad_new(const struct plan *plan, const struct plan_refuse *refuse,
                              const struct cert_issuer *issuer, const struct cert_list *good,
                              struct diag *diag)
{
    if (refuse->cert == BAD_CERT_NOT || refuse->cert == BAD_CERT_NONE) {
        return NULL;
    }
    struct cert_bad *bad = xcalloc(1, sizeof *bad);
    bad->what = refuse->cert;
    bad->section = refuse->base->with_cert;
    bad->issuer = issuer;
    if (refuse->cert == BAD_CERT_REVOKED || refuse->cert == BAD_CERT_FILE) {
        if (!load_given(bad, plan, refuse, diag)) {
            cert_bad_free(bad);
            return NULL;
        }
        return bad;
    }
    if (good != NULL) {
        copy_good(bad, good);
    }
    bad->key = key_for(bad);
    bad->other = bad->what == BAD_CERT_WRONG_KEY ? key_for(bad) : NULL;
    bad->stranger = bad->what == BAD_CERT_UNKNOWN_CA ? stranger_new(bad) : NULL;
    return bad;
}

void cert_bad_free(struct cert_bad *bad)
{
    if (bad == NULL) {
        return;
    }
    for (size_t i = 0; i < bad->n_good; i++) {
        cert_free(bad->good[i]);
    }
    free(bad->good);
    cert_free(bad->given);
    cert_issuer_free(bad->stranger);
    EVP_PKEY_free(bad->key);
    EVP_PKEY_free(bad->other);
    free(bad);
}
