#include "ident/jwt.h"

#include "ident/crypt.h"
#include "ident/jwt_key.h"
#include "ident/jwt_parts.h"

#include "base/json.h"
#include "base/mem.h"
#include "base/sink.h"
#include "base/str.h"

#include <stdlib.h>
#include <string.h>

#define LEEWAY_S   1
#define THUMBPRINT 32
#define EXP_MAX_S  9e15 /* beyond which a double does not count seconds */

bool jwt_parts_split(const char *token, size_t len, struct jwt_parts *ret_parts)
{
    if (len > JWT_TOKEN_MAX) {
        return false;
    }
    const char *end = token + len;
    const char *first = memchr(token, '.', len);
    const char *second = first != NULL ? memchr(first + 1, '.', (size_t)(end - first - 1)) : NULL;
    if (second == NULL || memchr(second + 1, '.', (size_t)(end - second - 1)) != NULL) {
        return false;
    }
    *ret_parts = (struct jwt_parts){.header = token,
                                    .payload = first + 1,
                                    .signature = second + 1,
                                    .header_len = (size_t)(first - token),
                                    .payload_len = (size_t)(second - first - 1),
                                    .signature_len = (size_t)(end - second - 1),
                                    .signed_len = (size_t)(second - token)};
    return true;
}

static struct json *object_of(const char *text, size_t len)
{
    size_t n;
    char error[160];
    CLEANUP_FREE char *bytes = crypt_unbase64url(text, len, &n);
    struct json *value = bytes != NULL ? json_parse(bytes, n, error, sizeof error) : NULL;
    if (value != NULL && !json_is_map(value)) {
        json_free(value);
        value = NULL;
    }
    return value;
}

struct json *jwt_parts_header(const struct jwt_parts *parts)
{
    return object_of(parts->header, parts->header_len);
}

struct json *jwt_parts_claims(const struct jwt_parts *parts)
{
    return object_of(parts->payload, parts->payload_len);
}

/* `crit` names extensions that must be understood (RFC 7515 section 4.1.11), and we know none. */
static enum jwt_verdict check_header(const struct jwt_policy *policy, const struct jwt_parts *parts)
{
    struct json *header = jwt_parts_header(parts);
    enum jwt_verdict verdict = JWT_GOOD;
    if (header == NULL || json_get(header, "crit") != NULL) {
        verdict = JWT_MALFORMED;
    } else if (!str_equal(json_get_string(header, "alg", ""), jwt_alg_name(policy->alg))) {
        verdict = JWT_WRONG_ALG;
    }
    json_free(header);
    return verdict;
}

static enum jwt_verdict check_signature(const struct jwt_policy *policy, const char *token,
                                        const struct jwt_parts *parts)
{
    const struct jwt_key key = {policy->alg, policy->secret, policy->secret_len,
                                policy->public_key};
    size_t len;
    if (jwt_alg_is_hmac(policy->alg) ? policy->secret == NULL : policy->public_key == NULL) {
        return JWT_WRONG_SIGNATURE;
    }
    CLEANUP_FREE char *signature = crypt_unbase64url(parts->signature, parts->signature_len, &len);
    if (signature == NULL) {
        return JWT_MALFORMED;
    }
    return jwt_key_check(&key, token, parts->signed_len, (const unsigned char *)signature, len)
               ? JWT_GOOD
               : JWT_WRONG_SIGNATURE;
}

/* RFC 7519 sections 4.1.4 and 4.1.5; a token that never ends is not accepted. */
static enum jwt_verdict check_times(const struct json *claims, int64_t now_s)
{
    double exp_s = json_get_number(claims, "exp", -1);
    double nbf_s = json_get_number(claims, "nbf", -1);
    if (exp_s < 0 || (nbf_s < 0 && json_get(claims, "nbf") != NULL)) {
        return JWT_MALFORMED;
    }
    if ((double)now_s >= exp_s + LEEWAY_S) {
        return JWT_EXPIRED;
    }
    return (double)now_s < nbf_s - LEEWAY_S ? JWT_NOT_YET_VALID : JWT_GOOD;
}

/* A string or an array of strings (RFC 7519 section 4.1.3). */
static bool is_for(const struct json *claims, const char *audience)
{
    const struct json *aud = json_get(claims, "aud"), *one;
    if (str_equal(json_as_string(aud, ""), audience)) {
        return true;
    }
    for (size_t i = 0; (one = json_at(aud, i)) != NULL; i++) {
        if (str_equal(json_as_string(one, ""), audience)) {
            return true;
        }
    }
    return false;
}

/* RFC 8705 section 3.1. */
static enum jwt_verdict check_binding(const struct jwt_policy *policy, const struct json *claims)
{
    const struct json *cnf = json_get(claims, "cnf");
    const struct json *member = json_get(cnf, "x5t#S256");
    if (cnf != NULL && !json_is_map(cnf)) {
        return JWT_MALFORMED;
    }
    if (member == NULL) {
        return policy->must_be_bound ? JWT_WRONG_CERTIFICATE : JWT_GOOD;
    }
    if (policy->thumbprint == NULL) {
        return JWT_WRONG_CERTIFICATE;
    }
    char expected[CRYPT_BASE64(THUMBPRINT) + 1];
    expected[crypt_base64url_to(expected, policy->thumbprint, THUMBPRINT)] = '\0';
    return str_equal(json_as_string(member, ""), expected) ? JWT_GOOD : JWT_WRONG_CERTIFICATE;
}

static enum jwt_verdict check_claims(const struct jwt_policy *policy, const struct json *claims,
                                     int64_t now_s)
{
    if (claims == NULL) {
        return JWT_MALFORMED;
    }
    enum jwt_verdict verdict = check_times(claims, now_s);
    if (verdict == JWT_GOOD && policy->audience != NULL && !is_for(claims, policy->audience)) {
        verdict = JWT_WRONG_AUDIENCE;
    }
    return verdict == JWT_GOOD ? check_binding(policy, claims) : verdict;
}

enum jwt_verdict jwt_verify(const struct jwt_policy *policy, const char *token, size_t len,
                            int64_t now_s, char *sub, size_t sub_size)
{
    struct jwt_parts parts;
    if (!jwt_parts_split(token, len, &parts)) {
        return JWT_MALFORMED;
    }
    enum jwt_verdict verdict = check_header(policy, &parts);
    if (verdict == JWT_GOOD) {
        verdict = check_signature(policy, token, &parts);
    }
    if (verdict != JWT_GOOD) {
        return verdict;
    }
    struct json *claims = jwt_parts_claims(&parts);
    verdict = check_claims(policy, claims, now_s);
    if (verdict == JWT_GOOD && sub != NULL && sub_size > 0) {
        (void)str_copy(sub, sub_size, json_get_string(claims, "sub", ""));
    }
    json_free(claims);
    return verdict;
}

int64_t jwt_expiry_s(const char *token, size_t len)
{
    struct jwt_parts parts;
    struct json *claims = jwt_parts_split(token, len, &parts) ? jwt_parts_claims(&parts) : NULL;
    double exp_s = json_get_number(claims, "exp", 0);
    json_free(claims);
    return exp_s > 0 && exp_s < EXP_MAX_S ? (int64_t)exp_s : 0;
}

/* Of all of it: what somebody else calls a token may hold a NUL. */
static char *copy_of(const char *token, size_t len)
{
    char *copy = xmalloc(len + 1);
    memcpy(copy, token, len);
    copy[len] = '\0';
    return copy;
}

/* A character in the middle stands for bits that all count. */
static char *spoil_signature(const char *token, size_t len, const struct jwt_parts *parts)
{
    size_t at = parts->signed_len + 1 + parts->signature_len / 2;
    if (parts->signature_len == 0) {
        return NULL;
    }
    char *copy = copy_of(token, len);
    copy[at] = copy[at] == 'A' ? 'B' : 'A';
    return copy;
}

static char *spoil_alg(const struct jwt_parts *parts, size_t *ret_len)
{
    struct json *header = jwt_parts_header(parts);
    if (header == NULL) {
        return NULL;
    }
    struct sink *json = sink_new(), *token = sink_new();
    size_t len;
    const char *kid = json_get_string(header, "kid", NULL);
    sink_printf(json, "{\"alg\":\"none\",\"typ\":\"JWT\"");
    if (kid != NULL) {
        sink_printf(json, ",\"kid\":");
        sink_json(json, kid);
    }
    sink_printf(json, "}");
    const char *text = sink_text(json, &len);
    crypt_base64url(token, text, len);
    sink_write(token, ".", 1);
    sink_write(token, parts->payload, parts->payload_len);
    sink_write(token, ".", 1);
    const char *whole = sink_text(token, &len);
    char *copy = copy_of(whole, len);
    *ret_len = len;
    sink_free(json);
    sink_free(token);
    json_free(header);
    return copy;
}

char *jwt_spoil(const char *token, size_t len, enum bad_jwt bad, size_t *ret_len)
{
    struct jwt_parts parts;
    if (!jwt_parts_split(token, len, &parts)) {
        return NULL;
    }
    if (bad == BAD_JWT_WRONG_SIGNATURE) {
        char *copy = spoil_signature(token, len, &parts);
        *ret_len = copy != NULL ? len : *ret_len;
        return copy;
    }
    return bad == BAD_JWT_ALG_NONE ? spoil_alg(&parts, ret_len) : NULL;
}
