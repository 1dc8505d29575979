#include "ident/source.h"

#include "ident/apikey.h"
#include "ident/cert.h"
#include "ident/cert_parts.h"
#include "ident/crypt.h"
#include "ident/jwt.h"

#include "base/bug.h"
#include "base/mem.h"
#include "base/mono.h"

#include <stdlib.h>
#include <string.h>

struct source {
    enum credential_kind kind;
    const struct plan *plan;
    char *run_id;
    size_t count;
    int64_t renew_before_s;
    struct rotate rotate;
    enum pick pick;
    const struct plan_cert *cert;
    const struct plan_apikey *apikey;
    const struct plan_jwt *jwt;
    struct cert_issuer *issuer;
    struct evp_pkey_st *shared_key; /* key_per_cert = no */
    struct cert **certs;            /* from files; handed over one by one */
    char **keys;                    /* from a file; handed over one by one */
    size_t n_loaded;
    struct jwt_signer *signer;
};

static bool is_loaded(const struct source *source)
{
    return source->certs != NULL || source->keys != NULL;
}

/* Up, since expiry counts in whole seconds: one sent in its last second would arrive too late. */
static int64_t seconds_up(uint64_t ns)
{
    return (int64_t)((ns + NS_PER_S - 1) / NS_PER_S);
}

static bool open_cert(struct source *source, struct diag *diag)
{
    const struct plan_cert *section = source->cert;
    source->rotate = section->rotate;
    source->pick = section->pick;
    source->renew_before_s = seconds_up(section->renew_before_ns);
    if (section->source == CERT_FILES) {
        source->n_loaded = cert_load_files(source->plan, section, &source->certs, diag);
        source->count = source->n_loaded;
        return source->n_loaded > 0;
    }
    source->count = section->count;
    source->issuer = cert_issuer_load(source->plan, section, diag);
    bool named = cert_check_names(source->plan, section, diag);
    if (source->issuer == NULL || !named) {
        return false;
    }
    if (!section->key_per_cert) {
        source->shared_key = cert_key_new(section->key_type);
    }
    return true;
}

static bool open_apikey(struct source *source, struct diag *diag)
{
    const struct plan_apikey *section = source->apikey;
    source->rotate = section->rotate;
    source->pick = section->pick;
    source->count = section->count;
    if (section->path == NULL) {
        return apikey_check(source->plan, section, diag);
    }
    source->n_loaded = apikey_load(source->plan, section, &source->keys, diag);
    source->count = source->n_loaded;
    return source->n_loaded > 0;
}

static bool open_jwt(struct source *source, struct diag *diag)
{
    const struct plan_jwt *section = source->jwt;
    source->rotate = section->rotate;
    source->pick = section->pick;
    source->count = section->count;
    source->renew_before_s = seconds_up(section->renew_before_ns);
    source->signer = jwt_signer_new(source->plan, section, diag);
    return source->signer != NULL;
}

struct source *source_new(const struct plan *plan, enum credential_kind kind, const char *run_id,
                          struct diag *diag)
{
    size_t n_sections = kind == CREDENTIAL_CERT     ? plan->n_certs
                        : kind == CREDENTIAL_APIKEY ? plan->n_apikeys
                                                    : plan->n_jwts;
    if (n_sections == 0) {
        return NULL;
    }
    struct source *source = xcalloc(1, sizeof *source);
    source->kind = kind;
    source->plan = plan;
    source->run_id = xstrdup(run_id);
    source->cert = kind == CREDENTIAL_CERT ? &plan->certs[0] : NULL;
    source->apikey = kind == CREDENTIAL_APIKEY ? &plan->apikeys[0] : NULL;
    source->jwt = kind == CREDENTIAL_JWT ? &plan->jwts[0] : NULL;
    bool good = kind == CREDENTIAL_CERT     ? open_cert(source, diag)
                : kind == CREDENTIAL_APIKEY ? open_apikey(source, diag)
                                            : open_jwt(source, diag);
    if (!good) {
        source_free(source);
        return NULL;
    }
    if (source->pick == PICK_FRESH) {
        BUG_ON(is_loaded(source)); /* the plan has refused that: files come to an end */
        source->count = 0;
    }
    return source;
}

void source_free(struct source *source)
{
    if (source == NULL) {
        return;
    }
    for (size_t i = 0; i < source->n_loaded; i++) {
        if (source->certs != NULL) {
            cert_free(source->certs[i]);
        }
        if (source->keys != NULL) {
            free(source->keys[i]);
        }
    }
    free(source->certs);
    free(source->keys);
    cert_issuer_free(source->issuer);
    cert_key_free(source->shared_key);
    jwt_signer_free(source->signer);
    free(source->run_id);
    free(source);
}

size_t source_count(const struct source *source)
{
    return source->count;
}

struct pool_rule source_rule(const struct source *source)
{
    return (struct pool_rule){
        .kind = source->kind,
        .rotate = source->rotate,
        .pick = source->pick,
        .renewable = !is_loaded(source),
        .seed = source->plan->run.seed,
    };
}

bool source_is_cheap(const struct source *source)
{
    return source->kind == CREDENTIAL_APIKEY ||
           (source->kind == CREDENTIAL_JWT && source->jwt->alg == JWT_HS256);
}

static void make_cert(const struct source *source, struct credential *credential, int64_t now_s)
{
    if (source->certs != NULL) {
        credential->cert = source->certs[credential->n - 1];
        source->certs[credential->n - 1] = NULL;
    } else {
        credential->cert = cert_mint_at(source->issuer, source->cert, credential->n, source->run_id,
                                        source->shared_key, now_s);
    }
    credential_set_life(credential, credential->cert->not_after_s, now_s, source->renew_before_s);
}

static void make_apikey(const struct source *source, struct credential *credential)
{
    if (source->keys != NULL) {
        credential->text = source->keys[credential->n - 1];
        source->keys[credential->n - 1] = NULL;
    } else {
        credential->text = apikey_generate(source->apikey, credential->n, source->run_id);
    }
    credential->text_len = strlen(credential->text);
}

/* A token whose exp stands in the template ends when its author wants; it is never renewed. */
static void make_jwt(const struct source *source, struct credential *credential, int64_t now_s)
{
    int64_t not_after_s;
    credential->text = jwt_mint(source->signer, credential->n, source->run_id, now_s,
                                &credential->text_len, &not_after_s);
    credential_set_life(credential, jwt_signer_sets_exp(source->signer) ? not_after_s : 0, now_s,
                        source->renew_before_s);
}

struct credential *source_make(const struct source *source, uint64_t n, int64_t now_s)
{
    struct credential *credential = credential_new(source->kind, n);
    switch (source->kind) {
    case CREDENTIAL_CERT:
        make_cert(source, credential, now_s);
        break;
    case CREDENTIAL_APIKEY:
        make_apikey(source, credential);
        break;
    case CREDENTIAL_JWT:
    case CREDENTIAL_KINDS:
        make_jwt(source, credential, now_s);
        break;
    }
    return credential;
}
