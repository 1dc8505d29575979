#include "ident/source.h"

#include "ident/apikey.h"
#include "ident/cert.h"
#include "ident/cert_parts.h"
#include "ident/credential.h"
#include "ident/crypt.h"
#include "ident/jwt_key.h"
#include "ident/jwt_parts.h"
#include "ident/source_inside.h"

#include "base/bug.h"
#include "base/mem.h"
#include "base/percent.h"
#include "base/mono.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RULE_OF(section)                                                                           \
    ((struct pool_rule){.rotate = (section)->rotate,                                               \
                        .pick = (section)->pick,                                                   \
                        .exponent = (section)->exponent,                                           \
                        .retire_after = (section)->retire_after})

/* Up, since expiry counts in whole seconds: one sent in its last second would arrive too late. */
static int64_t seconds_up(uint64_t ns)
{
    return (int64_t)((ns + NS_PER_S - 1) / NS_PER_S);
}

static bool open_cert(struct source *source, struct diag *diag)
{
    const struct plan_cert *section = source->cert;
    source->rule = RULE_OF(section);
    source->count = section->count;
    source->renew_before_s = seconds_up(section->renew_before_ns);
    if (section->source != CERT_MINT) {
        bool good = cert_list_load(&source->list, source->plan, section, diag);
        source->count = source->list.n_certs;
        return good;
    }
    source->issuer = cert_issuer_load(source->plan, section, source->run_id, diag);
    if (source->issuer == NULL) {
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
    source->rule = RULE_OF(section);
    source->count = section->count;
    if (section->path == NULL) {
        return apikey_check(source->plan, section, diag);
    }
    source->texts.n = apikey_load(source->plan, section, &source->texts.texts, diag);
    source->count = source->texts.n;
    return source->texts.n > 0;
}

static bool open_tokens(struct source *source, struct diag *diag)
{
    char error[TEXT_ERROR];
    const struct plan_jwt *section = source->jwt;
    if (!text_list_load(&source->texts, section->path, "token", JWT_TOKEN_MAX, error)) {
        diag_add(diag, plan_origin(source->plan, &section->path), "jwt.path: %s", error);
        return false;
    }
    source->count = source->texts.n;
    return true;
}

static bool open_signer(struct source *source, bool check, struct diag *diag)
{
    char error[SOURCE_ERROR];
    const struct plan_jwt *section = source->jwt;
    source->signer = jwt_signer_new(source->plan, section, diag);
    if (source->signer != NULL && !check && !source_turn(source, (int64_t)mono_wall_s(), error)) {
        diag_add(diag, plan_origin(source->plan, &section->jwks), "jwt.jwks: %s", error);
        return false;
    }
    return source->signer != NULL;
}

static bool open_jwt(struct source *source, const struct source_job *job, struct diag *diag)
{
    const struct plan_jwt *section = source->jwt;
    source->rule = RULE_OF(section);
    source->count = section->count;
    source->renew_before_s = seconds_up(section->renew_before_ns);
    if (section->path != NULL) {
        return open_tokens(source, diag);
    }
    if (section->token_url == NULL) {
        return open_signer(source, job->check, diag);
    }
    if (!job->check && job->fetcher == NULL) {
        diag_add(diag, plan_origin(source->plan, &section->token_url),
                 "jwt.token_url: nothing here can fetch tokens");
        return false;
    }
    source->endpoint =
        endpoint_new(source->plan, section, source->run_id, job->check ? NULL : job->fetcher, diag);
    return source->endpoint != NULL;
}

struct source *source_new(const struct source_job *job, enum credential_kind kind,
                          const void *section, struct diag *diag)
{
    struct source *source = xcalloc(1, sizeof *source);
    source->kind = kind;
    source->plan = job->plan;
    source->run_id = xstrdup(job->run_id);
    source->loaded_s = (int64_t)mono_wall_s();
    source->cert = kind == CREDENTIAL_CERT ? section : NULL;
    source->apikey = kind == CREDENTIAL_APIKEY ? section : NULL;
    source->jwt = kind == CREDENTIAL_JWT ? section : NULL;
    BUG_ON(pthread_mutex_init(&source->lock, NULL) != 0);
    bool good = kind == CREDENTIAL_CERT     ? open_cert(source, diag)
                : kind == CREDENTIAL_APIKEY ? open_apikey(source, diag)
                                            : open_jwt(source, job, diag);
    if (!good) {
        source_free(source);
        return NULL;
    }
    if (source->rule.pick == PICK_FRESH && !source_is_loaded(source)) {
        source->count = 0;
    }
    return source;
}

void source_free(struct source *source)
{
    if (source == NULL) {
        return;
    }
    cert_list_free(&source->list);
    text_list_free(&source->texts);
    cert_issuer_free(source->issuer);
    cert_key_free(source->shared_key);
    jwt_signer_free(source->signer);
    endpoint_free(source->endpoint);
    free(source->run_id);
    BUG_ON(pthread_mutex_destroy(&source->lock) != 0);
    free(source);
}

size_t source_count(const struct source *source)
{
    return source->count;
}

bool source_is_loaded(const struct source *source)
{
    return source->list.n_certs > 0 || source->texts.n > 0;
}

bool source_is_fetched(const struct source *source)
{
    return source->endpoint != NULL;
}

bool source_is_cheap(const struct source *source)
{
    return source->kind == CREDENTIAL_APIKEY || source_is_loaded(source) ||
           (source->signer != NULL && jwt_alg_is_hmac(source->jwt->alg));
}

bool source_follows_cert(const struct source *source)
{
    return source->endpoint != NULL || (source->signer != NULL && source->jwt->bind_certificate);
}

struct pool_rule source_rule(const struct source *source)
{
    return source->rule;
}

char *source_name(const struct source *source)
{
    return source->cert != NULL     ? xasprintf("cert %s", source->cert->name)
           : source->apikey != NULL ? xasprintf("apikey %s", source->apikey->name)
                                    : xasprintf("jwt %s", source->jwt->name);
}

static void make_cert(struct source *source, struct credential *credential, int64_t now_s)
{
    if (source->issuer != NULL) {
        credential->cert = cert_mint_at(source->issuer, source->cert, credential->n, source->run_id,
                                        source->shared_key, now_s);
        credential_set_life(credential, credential->cert->not_after_s, now_s,
                            source->renew_before_s);
        return;
    }
    BUG_ON(pthread_mutex_lock(&source->lock) != 0);
    credential->cert = cert_copy(source->list.certs[(credential->n - 1) % source->list.n_certs]);
    BUG_ON(pthread_mutex_unlock(&source->lock) != 0);
    credential_set_end(credential, credential->cert->not_after_s);
}

/* The caller wipes and frees it. */
static char *loaded_text(struct source *source, uint64_t n)
{
    BUG_ON(pthread_mutex_lock(&source->lock) != 0);
    char *text = xstrdup(source->texts.texts[(n - 1) % source->texts.n]);
    BUG_ON(pthread_mutex_unlock(&source->lock) != 0);
    return text;
}

/* Takes over `text`: the credential's from now on is `better`. */
static void replace_text(char **text, char *better)
{
    crypt_wipe(*text, strlen(*text));
    free(*text);
    *text = better;
}

static void make_apikey(struct source *source, struct credential *credential, enum bad_apikey bad)
{
    char *text = source->texts.n > 0
                     ? loaded_text(source, credential->n)
                     : apikey_generate(source->apikey, credential->n, source->run_id);
    if (bad == BAD_APIKEY_UNKNOWN) {
        replace_text(&text, apikey_spoil(text));
    }
    if (source->apikey->query != NULL) {
        replace_text(&text, percent_encode(text));
    }
    credential->text = text;
    credential->text_len = strlen(text);
}

/* A token whose exp stands in the template ends when its author wants; it is never renewed. */
static void sign_jwt(const struct source *source, struct credential *credential,
                     const struct source_order *order)
{
    unsigned char thumbprint[32];
    int64_t not_after_s = 0;
    bool bound = order->bound != NULL && source->jwt->bind_certificate;
    if (bound) {
        cert_thumbprint(order->bound, thumbprint);
    }
    const struct jwt_order ordered = {.n = order->n,
                                      .run_id = source->run_id,
                                      .now_s = order->now_s,
                                      .thumbprint = bound ? thumbprint : NULL,
                                      .bad = order->bad_jwt};
    credential->text = jwt_mint(source->signer, &ordered, &credential->text_len, &not_after_s);
    BUG_ON(credential->text == NULL);
    if (order->bad_jwt == BAD_JWT_NOT && jwt_signer_sets_exp(source->signer)) {
        credential_set_life(credential, not_after_s, order->now_s, source->renew_before_s);
    } else {
        credential_set_end(credential, not_after_s);
    }
}

/* An opaque token has no signature: any other character makes it unknown. */
static bool spoil_token(struct credential *credential, enum bad_jwt bad)
{
    size_t len = 0;
    char *spoiled = jwt_spoil(credential->text, credential->text_len, bad, &len);
    if (spoiled == NULL && bad == BAD_JWT_WRONG_SIGNATURE) {
        spoiled = apikey_spoil(credential->text);
        len = strlen(spoiled);
    }
    if (spoiled == NULL) {
        return false;
    }
    replace_text(&credential->text, spoiled);
    credential->text_len = len;
    return true;
}

/* From the file or the endpoint; false with a reason. */
static bool get_token(struct source *source, struct credential *credential,
                      const struct source_order *order, char error[SOURCE_ERROR])
{
    char why[TOKEN_ERROR] = "";
    if (source->texts.n > 0) {
        credential->text = loaded_text(source, order->n);
        credential->text_len = strlen(credential->text);
        credential_set_end(credential, jwt_expiry_s(credential->text, credential->text_len));
    } else {
        int64_t not_after_s = 0;
        credential->text = endpoint_fetch(source->endpoint, order->n, order->shown, order->now_s,
                                          &not_after_s, why);
        if (credential->text == NULL) {
            (void)snprintf(error, SOURCE_ERROR, "%s gave no token: %s", source->jwt->token_url,
                           why);
            return false;
        }
        credential->text_len = strlen(credential->text);
        credential_set_life(credential, not_after_s, order->now_s, source->renew_before_s);
    }
    if (order->bad_jwt != BAD_JWT_NOT && !spoil_token(credential, order->bad_jwt)) {
        (void)snprintf(error, SOURCE_ERROR,
                       "the tokens are no JWTs, so that they cannot be made bad in that way");
        return false;
    }
    return true;
}

struct credential *source_make(struct source *source, const struct source_order *order,
                               char error[SOURCE_ERROR])
{
    struct credential *credential = credential_new(source->kind, order->n);
    bool made = true;
    switch (source->kind) {
    case CREDENTIAL_CERT:
        make_cert(source, credential, order->now_s);
        break;
    case CREDENTIAL_APIKEY:
        make_apikey(source, credential, order->bad_apikey);
        break;
    case CREDENTIAL_JWT:
    case CREDENTIAL_PARTS:
    case CREDENTIAL_KINDS:
        if (source->signer != NULL) {
            sign_jwt(source, credential, order);
        } else {
            made = get_token(source, credential, order, error);
        }
        break;
    }
    if (!made) {
        credential_release(credential);
        return NULL;
    }
    return credential;
}

bool source_turn(struct source *source, int64_t now_s, char error[SOURCE_ERROR])
{
    uint64_t key;
    char why[256];
    if (source->signer == NULL || (source->jwt->jwks == NULL && source->jwt->key_rotate_ns == 0)) {
        return true;
    }
    if (!jwt_signer_turn(source->signer, now_s, &key, why)) {
        (void)snprintf(error, SOURCE_ERROR, "%s", why);
        return false;
    }
    return true;
}
