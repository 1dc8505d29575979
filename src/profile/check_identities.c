#include "base/str.h"
#include "profile/check_names.h"
#include "profile/check_parts.h"
#include "profile/check_rule.h"
#include "profile/store.h"

#include <strings.h>

#define PARTS 3

/* What an identity may have one of. */
static const struct part {
    enum section kind;
    const char *key;
    const char *article;
} parts[PARTS] = {
    {SECTION_CERT, "identity.cert", "a [cert]"},
    {SECTION_APIKEY, "identity.apikey", "an [apikey]"},
    {SECTION_JWT, "identity.jwt", "a [jwt]"},
};

/* Where identity's name of that part is. */
static char **name_of(struct plan_identity *identity, size_t part)
{
    char **const names[PARTS] = {&identity->cert, &identity->apikey, &identity->jwt};

    return names[part];
}

static bool is_made_up(const struct plan_identity *identity)
{
    return store_is_default(identity->origin);
}

/* Without [identity] sections everything there is goes together. */
static void take_all(const struct checker *c, struct plan_identity *identity)
{
    struct origin origin;
    const char *name;

    for (size_t p = 0; p < PARTS; p++) {
        const char *kind = section_info(parts[p].kind)->name;
        if (check_nth(c, parts[p].kind, 0, &name, &origin) != NULL) {
            *name_of(identity, p) = (char *)name;
        }
        for (size_t i = 1; check_nth(c, parts[p].kind, i, &name, &origin) != NULL; i++) {
            diag_add(c->diag, origin,
                     "[%s %s]: more than one [%s] needs [identity NAME] sections, which say what "
                     "goes together (write one with %s = %s)",
                     kind, name, kind, kind, name);
        }
    }
}

static void resolve(const struct checker *c, struct plan_identity *identity)
{
    const void *found[PARTS] = {NULL};

    for (size_t p = 0; p < PARTS; p++) {
        const char *const *name = (const char *const *)name_of(identity, p);
        if (*name != NULL) {
            found[p] = check_named(c, parts[p].kind, *name, name, parts[p].key);
        }
    }
    identity->with_cert = found[0];
    identity->with_apikey = found[1];
    identity->with_jwt = found[2];
}

static bool is_part(const struct plan_identity *identity, const void *section)
{
    return identity->with_cert == section || identity->with_apikey == section ||
           identity->with_jwt == section;
}

/* Each section belongs to one identity. */
static void check_owners(const struct checker *c, size_t p)
{
    const char *kind = section_info(parts[p].kind)->name, *name;
    struct origin origin;
    const void *section;

    for (size_t s = 0; (section = check_nth(c, parts[p].kind, s, &name, &origin)) != NULL; s++) {
        const struct plan_identity *owner = NULL;
        for (size_t i = 0; i < c->plan->n_identities; i++) {
            struct plan_identity *identity = &c->plan->identities[i];
            if (!is_part(identity, section)) {
                continue;
            }
            if (owner != NULL) {
                diag_add(c->diag, plan_origin(c->plan, name_of(identity, p)),
                         "%s: [%s %s] is [identity %s]'s already; write %s section of its own",
                         parts[p].key, kind, name, owner->name, parts[p].article);
            }
            owner = owner != NULL ? owner : identity;
        }
        if (owner == NULL && !is_made_up(&c->plan->identities[0])) {
            diag_add(c->diag, origin, "[%s %s]: no [identity] has it (write %s = %s in one)", kind,
                     name, kind, name);
        }
    }
}

/* A profile without any credentials has one identity with nothing, and that is fine. */
static void check_not_empty(const struct checker *c, const struct plan_identity *identity)
{
    const struct plan *plan = c->plan;
    bool is_plain = plan->n_identities == 1 && plan->n_certs + plan->n_apikeys + plan->n_jwts == 0;

    if (identity->cert == NULL && identity->apikey == NULL && identity->jwt == NULL && !is_plain) {
        diag_add(c->diag, identity->origin,
                 "[identity %s]: has nothing (write cert = NAME, apikey = NAME or jwt = NAME)",
                 identity->name);
    }
}

static void check_binding(const struct checker *c, const struct plan_identity *identity)
{
    const struct plan_jwt *jwt = identity->with_jwt;
    bool binds = jwt != NULL && jwt->bind_certificate;

    if (binds && identity->cert == NULL) {
        diag_add(c->diag, check_origin(c, &jwt->bind_certificate, jwt->origin),
                 "jwt.bind_certificate: [identity %s] has no certificate", identity->name);
    } else if (binds && !identity->bound) {
        diag_add(c->diag, check_origin(c, &identity->bound, identity->origin),
                 "identity.bound: jwt.bind_certificate binds token n to certificate n (write bound "
                 "= yes)");
    }
    if (jwt != NULL && jwt->token_url != NULL && identity->cert == NULL &&
        jwt->client_secret == NULL && !check_is_given(c, &jwt->client_secret)) {
        diag_add(c->diag, plan_origin(c->plan, &jwt->token_url),
                 "jwt.token_url: [identity %s] has no certificate to show to it, and there is no "
                 "jwt.client_secret",
                 identity->name);
    }
}

/* The first part's rule leads. */
static void share_rule(const struct checker *c, const struct plan_identity *identity)
{
    struct check_rule rules[PARTS];
    size_t n = 0;

    if (identity->with_cert != NULL) {
        rules[n++] = check_rule_cert((struct plan_cert *)identity->with_cert);
    }
    if (identity->with_apikey != NULL) {
        rules[n++] = check_rule_apikey((struct plan_apikey *)identity->with_apikey);
    }
    if (identity->with_jwt != NULL) {
        rules[n++] = check_rule_jwt((struct plan_jwt *)identity->with_jwt);
    }
    for (size_t i = 1; i < n && identity->bound; i++) {
        check_rule_follow(c, &rules[0], &rules[i], identity);
    }
}

static void check_headers_differ(const struct checker *c, const struct plan_identity *identity)
{
    const struct plan_apikey *apikey = identity->with_apikey;
    const struct plan_jwt *jwt = identity->with_jwt;

    if (apikey != NULL && jwt != NULL && apikey->header != NULL && jwt->header != NULL &&
        strcasecmp(apikey->header, jwt->header) == 0) {
        const void *blamed = check_is_given(c, &apikey->header) ? (const void *)&apikey->header
                                                                : (const void *)&apikey->scheme;
        diag_add(c->diag, check_origin(c, blamed, apikey->origin),
                 "apikey.header: the same as jwt.header");
    }
}

/* The server's copy of the keys is one file for each [jwt]. */
static void check_jwks_differ(const struct checker *c)
{
    for (size_t i = 1; i < c->plan->n_jwts; i++) {
        const struct plan_jwt *jwt = &c->plan->jwts[i];
        for (size_t j = 0; j < i && jwt->jwks != NULL; j++) {
            if (c->plan->jwts[j].jwks != NULL && str_equal(c->plan->jwts[j].jwks, jwt->jwks)) {
                diag_add(c->diag, plan_origin(c->plan, &jwt->jwks),
                         "jwt.jwks: [jwt %s] writes the same file; write another",
                         c->plan->jwts[j].name);
            }
        }
    }
}

static void check_identity(const struct checker *c, struct plan_identity *identity)
{
    resolve(c, identity);
    if (is_made_up(identity)) {
        const struct plan_jwt *jwt = identity->with_jwt;
        identity->bound = identity->with_cert != NULL && jwt != NULL &&
                          (jwt->bind_certificate || jwt->token_url != NULL);
    }
    check_not_empty(c, identity);
    check_binding(c, identity);
    check_headers_differ(c, identity);
    share_rule(c, identity);
}

void check_identities(const struct checker *c)
{
    struct plan *plan = c->plan;

    for (size_t i = 0; i < plan->n_certs; i++) {
        check_cert(c, &plan->certs[i]);
    }
    for (size_t i = 0; i < plan->n_apikeys; i++) {
        check_apikey(c, &plan->apikeys[i]);
    }
    for (size_t i = 0; i < plan->n_jwts; i++) {
        check_jwt(c, &plan->jwts[i]);
    }
    check_jwks_differ(c);
    if (is_made_up(&plan->identities[0])) {
        take_all(c, &plan->identities[0]);
    }
    for (size_t i = 0; i < plan->n_identities; i++) {
        check_identity(c, &plan->identities[i]);
    }
    for (size_t p = 0; p < PARTS; p++) {
        check_owners(c, p);
    }
    if (plan->n_identities > plan->pace.connections) {
        diag_add(c->diag, check_origin(c, &plan->pace.connections, check_section(c, SECTION_PACE)),
                 "pace.connections: %llu for %zu identities; each needs one at least",
                 (unsigned long long)plan->pace.connections, plan->n_identities);
    }
}
