#include "profile/check_parts.h"

#include "base/mem.h"
#include "base/mono.h"
#include "base/str.h"
#include "profile/build.h"
#include "profile/check_rule.h"
#include "profile/store.h"

#include <stdlib.h>
#include <string.h>

/* Public keys that one jwks file may come to hold. */
#define KEYS_MAX 64

static void check_header_name(const struct checker *c, const void *field, const char *name,
                              const char *key)
{
    if (name != NULL && !check_is_token(name)) {
        CLEANUP_FREE char *shown = build_shown(name);
        diag_add(c->diag, plan_origin(c->plan, field), "%s: \"%s\" is not the name of a header",
                 key, shown);
    }
}

static void check_scheme(const struct checker *c, const void *field, const char *scheme,
                         const char *key, const char *example)
{
    if (scheme != NULL && scheme[0] != '\0' && !check_is_token(scheme)) {
        CLEANUP_FREE char *shown = build_shown(scheme);
        diag_add(c->diag, plan_origin(c->plan, field), "%s: \"%s\" is not one word (write %s)", key,
                 shown, example);
    }
}

static bool tells_apart(const char *template)
{
    return strstr(template, "{n}") != NULL || strstr(template, "{uuid}") != NULL ||
           strstr(template, "{random}") != NULL;
}

static void check_generated(const struct checker *c, struct plan_apikey *apikey)
{
    bool has_secret = apikey->secret != NULL || check_is_given(c, &apikey->secret);

    if (apikey->template == NULL) {
        apikey->template = store_keep(
            c->plan->store, xstrdup(has_secret ? "client-{n}.{hmac}" : "client-{n}-{random}"));
        return;
    }
    struct origin origin = check_origin(c, &apikey->template, apikey->origin);
    bool has_hmac = strstr(apikey->template, "{hmac}") != NULL;
    if (has_hmac && !has_secret) {
        diag_add(c->diag, origin, "apikey.template: {hmac} needs apikey.secret");
    }
    if (!has_hmac && has_secret) {
        diag_add(c->diag, origin, "apikey.template: without {hmac}, apikey.secret is of no use");
    }
    if (!tells_apart(apikey->template) && (apikey->count > 1 || apikey->pick == PICK_FRESH)) {
        diag_add(c->diag, origin,
                 "apikey.template: all keys would be the same; put {n}, {uuid} or {random} in it");
    }
}

/* A header or a query parameter carries the key. */
static void check_carrier(const struct checker *c, struct plan_apikey *apikey)
{
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";

    if (apikey->query != NULL) {
        check_unused(c, SECTION_APIKEY, apikey, CHECK_KEYS("header", "scheme"),
                     "with apikey.query, which carries the key instead of a header");
        if (strspn(apikey->query, letters) != strlen(apikey->query)) {
            CLEANUP_FREE char *shown = build_shown(apikey->query);
            diag_add(c->diag, plan_origin(c->plan, &apikey->query),
                     "apikey.query: \"%s\" is not the name of a query parameter (write api_key)",
                     shown);
        }
        apikey->header = apikey->scheme = NULL;
        return;
    }
    check_header_name(c, &apikey->header, apikey->header, "apikey.header");
    check_scheme(c, &apikey->scheme, apikey->scheme, "apikey.scheme", "ApiKey");
    if (apikey->header == NULL) {
        apikey->header = store_keep(
            c->plan->store, xstrdup(apikey->scheme != NULL ? "Authorization" : "X-API-Key"));
    }
}

void check_apikey(const struct checker *c, struct plan_apikey *apikey)
{
    const struct check_rule rule = check_rule_apikey(apikey);

    check_carrier(c, apikey);
    check_rule(c, &rule);
    if (apikey->path == NULL && !check_is_given(c, &apikey->path)) {
        check_generated(c, apikey);
    } else {
        check_unused(c, SECTION_APIKEY, apikey, CHECK_KEYS("template", "secret"),
                     "with apikey.path");
    }
}

static bool is_hmac(const struct plan_jwt *jwt)
{
    return jwt->alg == JWT_HS256 || jwt->alg == JWT_HS384 || jwt->alg == JWT_HS512;
}

/* Tokens are signed with a key, read or fetched. */
static void check_ways(const struct checker *c, const struct plan_jwt *jwt)
{
    static const char *const keys[] = {"key", "path", "token_url"};
    const void *const fields[] = {&jwt->key, &jwt->path, &jwt->token_url};
    const char *first = NULL;

    for (size_t i = 0; i < 3; i++) {
        if (!check_is_given(c, fields[i])) {
            continue;
        }
        if (first != NULL) {
            diag_add(c->diag, plan_origin(c->plan, fields[i]),
                     "jwt.%s: not beside jwt.%s; only one of key, path and token_url says where "
                     "tokens come from",
                     keys[i], first);
        }
        first = first != NULL ? first : keys[i];
    }
    if (first == NULL && is_hmac(jwt)) {
        diag_add(c->diag, jwt->origin,
                 "jwt.key is missing; tokens are signed with it (write key = @FILE or "
                 "${VARIABLE})");
    } else if (first == NULL && !check_is_given(c, &jwt->jwks)) {
        diag_add(c->diag, jwt->origin,
                 "jwt.key is missing; tokens are signed with it (write key = @FILE or "
                 "${VARIABLE}; or jwks = FILE, which gets the public half of a key made for the "
                 "run)");
    }
}

/* What the server learns the keys from. */
static void check_jwks(const struct checker *c, const struct plan_jwt *jwt)
{
    uint64_t rotate_ns = jwt->key_rotate_ns;
    struct origin origin = check_origin(c, &jwt->key_rotate_ns, jwt->origin);

    if (jwt->jwks != NULL && is_hmac(jwt)) {
        diag_add(c->diag, plan_origin(c->plan, &jwt->jwks),
                 "jwt.jwks: would publish the secret of HS256, HS384 and HS512 (write alg = "
                 "ES256)");
        return;
    }
    if (rotate_ns == 0) {
        return;
    }
    if (check_is_given(c, &jwt->key)) {
        diag_add(c->diag, origin,
                 "jwt.key_rotate: makes keys for the run, but jwt.key gives one (leave out key)");
    } else if (jwt->jwks == NULL && !check_is_given(c, &jwt->jwks)) {
        diag_add(c->diag, origin,
                 "jwt.key_rotate: the server must learn of each key (write jwks = FILE)");
    } else if (rotate_ns < NS_PER_S) {
        diag_add(c->diag, origin, "jwt.key_rotate: below a second (write 10m)");
    } else if (jwt->lifetime_ns / rotate_ns >= KEYS_MAX) {
        diag_add(c->diag, origin,
                 "jwt.key_rotate: more than %d keys would have signed tokens that are still valid "
                 "(write a longer key_rotate, or a shorter jwt.lifetime)",
                 KEYS_MAX);
    }
}

static void settle_renewal(const struct checker *c, struct plan_jwt *jwt)
{
    if (!check_is_given(c, &jwt->renew_before_ns)) {
        jwt->renew_before_ns = jwt->lifetime_ns / 10;
    } else if (jwt->renew_before_ns >= jwt->lifetime_ns && jwt->path == NULL) {
        diag_add(c->diag, plan_origin(c->plan, &jwt->renew_before_ns),
                 "jwt.renew_before: not below jwt.lifetime, so each would be renewed at once");
    }
}

void check_jwt(const struct checker *c, struct plan_jwt *jwt)
{
    static const char *const signing[] = {"alg",  "kid",        "jose",       "claims",
                                          "jwks", "key_rotate", "claim_size", "bind_certificate",
                                          NULL};
    static const char *const fetching[] = {"client_id", "client_secret", "token_params", "token_ca",
                                           NULL};
    const struct check_rule rule = check_rule_jwt(jwt);

    check_header_name(c, &jwt->header, jwt->header, "jwt.header");
    check_scheme(c, &jwt->scheme, jwt->scheme, "jwt.scheme", "Bearer");
    check_ways(c, jwt);
    check_rule(c, &rule);
    if (rule.supply == SUPPLY_MADE) {
        check_jwks(c, jwt);
    } else {
        CLEANUP_FREE char *why = xasprintf("with %s, which gives whole tokens", rule.source);
        check_unused(c, SECTION_JWT, jwt, signing, why);
    }
    if (rule.supply == SUPPLY_READ) {
        check_unused(c, SECTION_JWT, jwt, CHECK_KEYS("lifetime", "renew_before"), "with jwt.path");
    }
    if (rule.supply == SUPPLY_FETCHED) {
        check_token_target(c, jwt);
    } else {
        check_unused(c, SECTION_JWT, jwt, fetching, "without jwt.token_url");
    }
    settle_renewal(c, jwt);
}
