#include "ident/endpoint.h"

#include "ident/apikey.h"
#include "ident/crypt.h"
#include "ident/jwt.h"
#include "ident/jwt_parts.h"
#include "ident/template.h"
#include "ident/text_load.h"

#include "base/json.h"
#include "base/mem.h"
#include "base/percent.h"
#include "base/sink.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define LIFE_MAX_S 1e10 /* longer than any token lives, and far from an overflow */

struct endpoint {
    const struct plan_jwt *section;
    const char *run_id;
    const struct token_fetcher *fetcher;
    void *state;
};

static bool check(const struct plan *plan, const char *text, const char *const *field,
                  struct diag *diag)
{
    return text == NULL || template_check(text, NULL, plan_origin(plan, field), diag);
}

struct endpoint *endpoint_new(const struct plan *plan, const struct plan_jwt *section,
                              const char *run_id, const struct token_fetcher *fetcher,
                              struct diag *diag)
{
    bool good = check(plan, section->client_id, (const char *const *)&section->client_id, diag);
    good =
        check(plan, section->client_secret, (const char *const *)&section->client_secret, diag) &&
        good;
    good = check(plan, section->token_params, (const char *const *)&section->token_params, diag) &&
           good;
    void *state = good && fetcher != NULL ? fetcher->open(plan, section, diag) : NULL;
    if (!good || (fetcher != NULL && state == NULL)) {
        return NULL;
    }
    struct endpoint *endpoint = xcalloc(1, sizeof *endpoint);
    *endpoint = (struct endpoint){section, run_id, fetcher, state};
    return endpoint;
}

void endpoint_free(struct endpoint *endpoint)
{
    if (endpoint != NULL && endpoint->fetcher != NULL) {
        endpoint->fetcher->close(endpoint->state);
    }
    free(endpoint);
}

static void add_field(struct sink *form, const char *name, const char *template, uint64_t n,
                      const char *run_id)
{
    struct sink *value = sink_new();
    size_t len;
    template_expand(value, template, n, run_id);
    char *encoded = percent_encode(sink_text(value, &len));
    sink_printf(form, "&%s=%s", name, encoded);
    crypt_wipe(encoded, strlen(encoded));
    free(encoded);
    crypt_wipe((void *)sink_text(value, NULL), len);
    sink_free(value);
}

/* What has a meaning in a form stays as it was written: & and =, + and %XX. */
static void add_params(struct sink *form, const char *template, uint64_t n, const char *run_id)
{
    struct sink *params = sink_new();
    size_t len;
    template_expand(params, template, n, run_id);
    sink_write(form, "&", 1);
    for (const char *c = sink_text(params, NULL); *c != '\0'; c++) {
        bool triplet = *c == '%' && isxdigit((unsigned char)c[1]) && isxdigit((unsigned char)c[2]);
        if (triplet || strchr("&=+", *c) != NULL) {
            sink_write(form, c, 1);
        } else {
            const char one[] = {*c, '\0'};
            CLEANUP_FREE char *encoded = percent_encode(one);
            sink_write(form, encoded, strlen(encoded));
        }
    }
    const char *text = sink_text(params, &len);
    crypt_wipe((void *)text, len);
    sink_free(params);
}

char *endpoint_form(const struct endpoint *endpoint, uint64_t n)
{
    const struct plan_jwt *section = endpoint->section;
    struct sink *form = sink_new();
    size_t len;
    sink_printf(form, "grant_type=client_credentials");
    if (section->client_id != NULL && section->client_id[0] != '\0') {
        add_field(form, "client_id", section->client_id, n, endpoint->run_id);
    }
    if (section->client_secret != NULL) {
        add_field(form, "client_secret", section->client_secret, n, endpoint->run_id);
    }
    if (section->token_params != NULL && section->token_params[0] != '\0') {
        add_params(form, section->token_params, n, endpoint->run_id);
    }
    char *copy = xstrdup(sink_text(form, &len));
    crypt_wipe((void *)sink_text(form, NULL), len);
    sink_free(form);
    return copy;
}

/* A copy of the token in the answer; NULL with a reason. */
static char *token_of(const struct json *json, int64_t now_s, int64_t *ret_not_after_s,
                      char error[TOKEN_ERROR])
{
    const char *token = json_get_string(json, "access_token", "");
    const char *type = json_get_string(json, "token_type", "Bearer");
    double life_s = json_get_number(json, "expires_in", NAN);
    if (!json_is_map(json) || token[0] == '\0') {
        (void)snprintf(error, TOKEN_ERROR, "the response has no access_token");
        return NULL;
    }
    if (!text_fits_header(token, JWT_TOKEN_MAX)) {
        (void)snprintf(error, TOKEN_ERROR, "its access_token cannot be sent in a header");
        return NULL;
    }
    if (strcasecmp(type, "Bearer") != 0) {
        (void)snprintf(error, TOKEN_ERROR, "its token_type is \"%.40s\", not Bearer", type);
        return NULL;
    }
    if (!isnan(life_s) && !(life_s >= 1 && life_s <= LIFE_MAX_S)) {
        (void)snprintf(error, TOKEN_ERROR, "its expires_in is %g s", life_s);
        return NULL;
    }
    *ret_not_after_s = isnan(life_s) ? jwt_expiry_s(token, strlen(token)) : now_s + (int64_t)life_s;
    return xstrdup(token);
}

char *endpoint_fetch(const struct endpoint *endpoint, uint64_t n, const struct cert *cert,
                     int64_t now_s, int64_t *ret_not_after_s, char error[TOKEN_ERROR])
{
    char *form = endpoint_form(endpoint, n), *body = NULL, why[160];
    size_t form_len = strlen(form);
    bool fetched = endpoint->fetcher->fetch(endpoint->state, cert, form, form_len, &body, error);
    crypt_wipe(form, form_len);
    free(form);
    if (!fetched) {
        return NULL;
    }
    size_t len = strlen(body);
    struct json *json = json_parse(body, len, why, sizeof why);
    char *token = NULL;
    if (json == NULL) {
        (void)snprintf(error, TOKEN_ERROR, "the response is no JSON");
    } else {
        token = token_of(json, now_s, ret_not_after_s, error);
    }
    json_free(json);
    crypt_wipe(body, len);
    free(body);
    return token;
}
