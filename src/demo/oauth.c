#include "demo/oauth.h"

#include "base/mem.h"
#include "base/mono.h"
#include "base/sink.h"
#include "base/str.h"
#include "demo/secret.h"
#include "ident/jwt.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define CLIENT_MAX 256

struct oauth {
    struct jwt_signer *signer;
    int64_t lifetime_s;
    uint64_t n_issued;
};

/* The client's name goes where a run's id would. */
static char *claims_of(const struct serve_options *options)
{
    struct sink *claims = sink_new();
    sink_printf(claims, "{\"iss\":\"tlsoak serve\",\"sub\":\"{run}\"");
    if (options->audience != NULL) {
        sink_printf(claims, ",\"aud\":");
        sink_json(claims, options->audience);
    }
    sink_printf(claims, "}");
    char *copy = xstrdup(sink_text(claims, NULL));
    sink_free(claims);
    return copy;
}

struct oauth *oauth_new(const struct serve_options *options, const char *key, struct diag *diag)
{
    const struct origin origin = {"--oauth", 0};
    if (options->oauth[0] != '/') {
        diag_add(diag, origin, "\"%s\" is not a path (write /token)", options->oauth);
        return NULL;
    }
    if (key == NULL) {
        diag_add(diag, origin,
                 "needs something to sign with: --jwt-secret, or --jwt-key with a private key");
        return NULL;
    }
    CLEANUP_FREE char *claims = claims_of(options);
    char *text = xstrdup(key);
    struct plan plan = {.n_jwts = 0};
    struct diag *inner = diag_new();
    struct plan_jwt section = {.alg = options->jwt_alg,
                               .key = text,
                               .claims = claims,
                               .lifetime_ns =
                                   (uint64_t)(options->token_lifetime_s * (double)NS_PER_S)};
    struct jwt_signer *signer = jwt_signer_new(&plan, &section, inner);
    if (signer == NULL) {
        diag_add(diag, origin, "cannot sign: %s", diag_text(inner, 0));
    }
    secret_free(text);
    diag_free(inner);
    if (signer == NULL) {
        return NULL;
    }
    struct oauth *oauth = xcalloc(1, sizeof *oauth);
    oauth->signer = signer;
    oauth->lifetime_s = (int64_t)options->token_lifetime_s;
    return oauth;
}

void oauth_free(struct oauth *oauth)
{
    if (oauth != NULL) {
        jwt_signer_free(oauth->signer);
        free(oauth);
    }
}

/* What the form asks for: NULL when that is what we give, else RFC 6749's name of the mistake
 * (section 5.2). */
static const char *form_fault(const char *form, size_t len)
{
    static const char name[] = "grant_type=", wanted[] = "client_credentials";
    const char *end = form + len, *fault = "invalid_request";
    unsigned n = 0;
    for (const char *at = form, *next; at < end; at = next) {
        const char *stop = memchr(at, '&', (size_t)(end - at));
        stop = stop != NULL ? stop : end;
        next = stop + 1;
        size_t pair = (size_t)(stop - at);
        if (pair < sizeof name - 1 || memcmp(at, name, sizeof name - 1) != 0) {
            continue;
        }
        bool good = pair == sizeof name + sizeof wanted - 2 &&
                    memcmp(at + sizeof name - 1, wanted, sizeof wanted - 1) == 0;
        fault = good ? NULL : "unsupported_grant_type";
        n++;
    }
    return n == 1 ? fault : "invalid_request";
}

/* Printable, and without what would have to be escaped in JSON. */
static void name_clean(char *to, size_t size, const char *name)
{
    (void)str_copy(to, size, name);
    for (char *c = to; *c != '\0'; c++) {
        if (*c < ' ' || *c > '~' || strchr("\"\\", *c) != NULL) {
            *c = '?';
        }
    }
}

struct oauth_answer oauth_issue(struct oauth *oauth, const char *form, size_t form_len,
                                const char *client, const unsigned char *thumbprint)
{
    char subject[CLIENT_MAX];
    size_t len;
    int64_t not_after_s;
    const char *fault = form_fault(form, form_len);
    if (fault != NULL) {
        return (struct oauth_answer){400, xasprintf("{\"error\":\"%s\"}", fault)};
    }
    name_clean(subject, sizeof subject, client);
    const struct jwt_order order = {.n = ++oauth->n_issued,
                                    .run_id = subject,
                                    .now_s = (int64_t)mono_wall_s(),
                                    .thumbprint = thumbprint};
    char *token = jwt_mint(oauth->signer, &order, &len, &not_after_s);
    char *body =
        xasprintf("{\"access_token\":\"%s\",\"token_type\":\"Bearer\",\"expires_in\":%" PRId64 "}",
                  token, oauth->lifetime_s);
    secret_free(token);
    return (struct oauth_answer){200, body};
}
