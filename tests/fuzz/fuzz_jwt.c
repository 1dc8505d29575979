/* Fuzzes tokens, in two lines: the first byte says what.  "T" is a template of claims (a second
 * line gives the sizes to pad to): what is minted with it is JSON of the size that was announced,
 * and is good to the verifier.  "S" is a header and claims, which are signed here, "V" a whole
 * token, "P" a template that is not JSON, "J" a set of keys. */
#include "kit/fuzz.h"

#include "base/json.h"
#include "base/mem.h"
#include "base/sink.h"
#include "base/str.h"
#include "ident/crypt.h"
#include "ident/jwks.h"
#include "ident/jwt.h"
#include "ident/jwt_claims.h"
#include "ident/template.h"

#include <openssl/err.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define NOW_S      1700000000
#define SECRET_LEN 32

static char secret[] = "0123456789abcdef0123456789abcdef"; /* a plan has no const */
static const unsigned char thumbprint[32] = "this certificate's own thumbprin";

static struct jwt_policy policy_of(bool bound)
{
    return (struct jwt_policy){.alg = JWT_HS256,
                               .secret = secret,
                               .secret_len = SECRET_LEN,
                               .thumbprint = thumbprint,
                               .must_be_bound = bound};
}

/* Members of the template that make a verifier refuse what was minted. */
static bool is_plain(const struct json *claims)
{
    static const char *const names[] = {"exp", "nbf", "cnf", "iat"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (json_get(claims, names[i]) != NULL) {
            return false;
        }
    }
    return true;
}

static struct json *parse(const char *text, size_t len)
{
    char error[160];
    return json_parse(text, len, error, sizeof error);
}

/* "{n}{n}" is a number that JSON has and our reader has no room for, where n is the largest. */
static bool has_huge_number(const char *text, size_t len)
{
    static const char digits[] = "0123456789";
    size_t run = 0;
    for (size_t i = 0; i < len && run < 19; i++) {
        run = strchr(digits, text[i]) != NULL && text[i] != '\0' ? run + 1 : 0;
    }
    return run == 19;
}

static void check_claims(const struct jwt_claims *claims, const struct plan_jwt *section,
                         const struct jwt_order *order)
{
    size_t room = jwt_claims_room(claims, order);
    CLEANUP_FREE char *text = xmalloc(room);
    int64_t exp_s = 0;
    size_t len = jwt_claims_write(claims, order, text, &exp_s);
    fuzz_require(len <= room, "more claims than there was room for");
    struct json *json = parse(text, len);
    fuzz_require(json_is_map(json) || (json == NULL && has_huge_number(text, len)),
                 "claims that are no JSON object");
    if (json == NULL) {
        return;
    }
    if (section->claim_size > 0 && len < section->claim_size) {
        fuzz_require(json_get(json, "pad") == NULL && len + 10 >= section->claim_size,
                     "claims that are not padded");
    }
    fuzz_require((double)exp_s == floor(json_get_number(json, "exp", -1)) || exp_s > 1LL << 53,
                 "another exp than was told");
    if (order->bad == BAD_JWT_EXPIRED) {
        fuzz_require(exp_s < order->now_s, "an expired one is not");
    }
    json_free(json);
}

static void check_token(struct plan_jwt *section, bool plain)
{
    struct plan plan = {.n_jwts = 0};
    struct diag *diag = diag_new();
    struct jwt_signer *signer = jwt_signer_new(&plan, section, diag);
    fuzz_require(signer != NULL, "claims that no signer takes");
    for (int bound = 0; bound < 2; bound++) {
        struct jwt_order order = {
            .n = 7, .run_id = "run-1", .now_s = NOW_S, .thumbprint = bound ? thumbprint : NULL};
        struct jwt_policy policy = policy_of(bound);
        size_t len;
        int64_t exp_s;
        char sub[64];
        char *token = jwt_mint(signer, &order, &len, &exp_s);
        fuzz_require(token != NULL && strlen(token) == len, "no token");
        enum jwt_verdict verdict = jwt_verify(&policy, token, len, NOW_S, sub, sizeof sub);
        fuzz_require(verdict == JWT_GOOD || !plain, "a good token is refused");
        fuzz_require(verdict != JWT_MALFORMED || !plain, "a token that is none");
        fuzz_require(verdict != JWT_WRONG_SIGNATURE && verdict != JWT_WRONG_ALG,
                     "a token that is not ours");
        token[len / 2] ^= 1;
        fuzz_require(jwt_verify(&policy, token, len, NOW_S, sub, sizeof sub) != JWT_GOOD ||
                         token[len / 2] == '.',
                     "a token that was changed is good");
        free(token);
    }
    jwt_signer_free(signer);
    diag_free(diag);
}

static bool try_claims(char *text)
{
    static const enum bad_jwt kinds[] = {BAD_JWT_NOT, BAD_JWT_EXPIRED, BAD_JWT_WRONG_AUDIENCE,
                                         BAD_JWT_OTHER_CERTIFICATE};
    char *size = strrchr(text, '\n'), error[JWT_CLAIMS_ERROR];
    struct plan_jwt section = {
        .alg = JWT_HS256, .key = secret, .claims = text, .lifetime_ns = 300000000000ull};
    if (size != NULL) {
        *size = '\0';
        section.claim_size = strlen(size + 1) * 40;
    }
    struct diag *diag = diag_new();
    bool checked = template_check(text, NULL, (struct origin){"x", 1}, diag);
    fuzz_require(checked == (diag_count(diag) == 0), "neither good nor a mistake, or both");
    diag_free(diag);
    struct jwt_claims *claims = checked ? jwt_claims_new(&section, error) : NULL;
    if (claims == NULL) {
        return false;
    }
    for (size_t i = 0; i < 2 * sizeof kinds / sizeof *kinds; i++) {
        struct jwt_order order = {.n = i == 0 ? INT64_MAX
                                              : i, /* beyond it our reader knows no integer */
                                  .run_id = "run-1",
                                  .now_s = NOW_S,
                                  .bad = kinds[i / 2],
                                  .thumbprint = i % 2 != 0 ? thumbprint : NULL};
        check_claims(claims, &section, &order);
    }
    jwt_claims_free(claims);
    struct sink *sample = sink_new();
    template_expand(sample, text, 7, "run-1");
    struct json *json = parse(sink_text(sample, NULL), strlen(sink_text(sample, NULL)));
    check_token(&section, is_plain(json));
    json_free(json);
    sink_free(sample);
    return true;
}

static enum jwt_verdict verify(const char *token, size_t len, bool bound)
{
    struct jwt_policy policy = policy_of(bound);
    char sub[8];
    memset(sub, 'x', sizeof sub);
    enum jwt_verdict verdict = jwt_verify(&policy, token, len, NOW_S, sub, sizeof sub);
    fuzz_require(verdict != JWT_GOOD || memchr(sub, '\0', sizeof sub) != NULL,
                 "a subject without an end");
    return verdict;
}

/* Our own reading of what a good token has. */
static void check_good(const char *claims_text, bool bound)
{
    struct json *claims = parse(claims_text, strlen(claims_text));
    fuzz_require(json_is_map(claims), "good, and its claims are no object");
    fuzz_require(json_get_number(claims, "exp", 0) > NOW_S - 2, "good, and it has expired");
    fuzz_require(json_get_number(claims, "nbf", 0) < NOW_S + 2, "good, and it is not yet");
    const char *hash = json_get_string(json_get(claims, "cnf"), "x5t#S256", NULL);
    fuzz_require(!bound || hash != NULL, "good, and not bound");
    struct sink *own = sink_new();
    crypt_base64url(own, thumbprint, sizeof thumbprint);
    fuzz_require(hash == NULL || str_equal(hash, sink_text(own, NULL)), "good, and another's");
    sink_free(own);
    json_free(claims);
}

static bool try_signed(char *text)
{
    unsigned char tag[CRYPT_TAG];
    size_t len;
    char *claims = strchr(text, '\n');
    if (claims == NULL) {
        return false;
    }
    *claims++ = '\0';
    struct sink *token = sink_new();
    crypt_base64url(token, text, strlen(text));
    sink_write(token, ".", 1);
    crypt_base64url(token, claims, strlen(claims));
    const char *so_far = sink_text(token, &len);
    crypt_hmac_sha256(secret, SECRET_LEN, so_far, len, tag);
    sink_write(token, ".", 1);
    crypt_base64url(token, tag, sizeof tag);
    const char *whole = sink_text(token, &len);
    bool good = false;
    for (int bound = 0; bound < 2; bound++) {
        if (verify(whole, len, bound) == JWT_GOOD) {
            check_good(claims, bound);
            int64_t exp_s = jwt_expiry_s(whole, len); /* 0: beyond what counts seconds */
            fuzz_require(exp_s >= NOW_S - 1 || exp_s == 0, "good, and it has expired");
            good = true;
        }
    }
    sink_free(token);
    return good;
}

static void spoil(const char *token, size_t len)
{
    static const enum bad_jwt kinds[] = {BAD_JWT_WRONG_SIGNATURE, BAD_JWT_ALG_NONE,
                                         BAD_JWT_EXPIRED};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        size_t spoiled_len = 0;
        CLEANUP_FREE char *spoiled = jwt_spoil(token, len, kinds[i], &spoiled_len);
        fuzz_require(spoiled == NULL || verify(spoiled, spoiled_len, false) != JWT_GOOD,
                     "a spoiled token is good");
    }
}

static bool try_token(const char *token, size_t len)
{
    enum jwt_verdict verdict = verify(token, len, false);
    fuzz_require(jwt_expiry_s(token, len) >= 0, "an end before all time");
    spoil(token, len);
    return verdict != JWT_MALFORMED;
}

/* A template without fields is its own text, but for double braces. */
static bool try_template(const char *text)
{
    struct sink *sink = sink_new();
    size_t len, extra;
    template_expand(sink, text, UINT64_MAX, "a run");
    (void)sink_text(sink, &len);
    extra = strlen(text) * 10 + 64;
    fuzz_require(len <= strlen(text) + extra, "a template grows without bound");
    if (strpbrk(text, "{}") == NULL) {
        fuzz_require(str_equal(sink_text(sink, NULL), text), "text became another");
    }
    sink_free(sink);
    struct diag *diag = diag_new();
    bool good = template_check(text, "key", (struct origin){"x", 1}, diag);
    fuzz_require(good == (diag_count(diag) == 0), "neither good nor a mistake, or both");
    diag_free(diag);
    return good;
}

static bool try_keys(const char *text, size_t len)
{
    static const enum jwt_alg algs[] = {JWT_RS256, JWT_ES256, JWT_EDDSA};
    static const char token[] = "eyJhbGciOiJFUzI1NiIsImtpZCI6ImsxIn0.e30.AA";
    bool any = false;
    for (size_t i = 0; i < sizeof algs / sizeof *algs; i++) {
        char error[JWKS_ERROR] = "";
        struct jwks *jwks = jwks_parse(text, len, algs[i], error);
        fuzz_require(jwks != NULL || error[0] != '\0', "refused without a reason");
        if (jwks != NULL) {
            struct jwt_policy policy = {.alg = algs[i]};
            policy.public_key = jwks_find(jwks, token, sizeof token - 1);
            fuzz_require(jwt_verify(&policy, token, sizeof token - 1, NOW_S, NULL, 0) != JWT_GOOD,
                         "a signature of two bytes is good");
            any = true;
        }
        jwks_free(jwks);
        struct jwks *pem = jwks_from_pem(text, len, algs[i], error);
        any = any || pem != NULL;
        jwks_free(pem);
    }
    return any;
}

static bool run(const char *bytes, size_t len)
{
    CLEANUP_FREE char *text = xstrndup(bytes, len);
    bool ok = false;
    switch (text[0]) {
    case 'T':
        ok = try_claims(text + 1);
        break;
    case 'S':
        ok = try_signed(text + 1);
        break;
    case 'P':
        ok = try_template(text + 1);
        break;
    case 'V':
        ok = try_token(bytes + 1, len - 1);
        break;
    case 'J':
        ok = try_keys(bytes + 1, len - 1);
        break;
    default:
        break;
    }
    ERR_clear_error();
    return ok;
}

static const char *const words[] = {"{\"sub\":\"",
                                    "\"exp\":",
                                    "\"nbf\":",
                                    "\"iat\":",
                                    "\"jti\":",
                                    "\"aud\":",
                                    "\"cnf\":{",
                                    "\"x5t#S256\":",
                                    "\"pad\":",
                                    "\"alg\":\"HS256\"",
                                    "\"alg\":\"none\"",
                                    "\"crit\":[",
                                    "{n}",
                                    "{uuid}",
                                    "{run}",
                                    "{random}",
                                    "{key}",
                                    "{{",
                                    "}}",
                                    "\"",
                                    "\\\"",
                                    "\\u0061ud",
                                    ",",
                                    ":",
                                    "}",
                                    "]",
                                    "\n",
                                    "1700000300",
                                    "1699999000",
                                    "1e300",
                                    "-1",
                                    "null",
                                    "eyJhbGciOiJIUzI1NiJ9",
                                    "e30",
                                    ".",
                                    "\"keys\":[",
                                    "\"kty\":\"EC\"",
                                    "\"kty\":\"RSA\"",
                                    "\"kty\":\"OKP\"",
                                    "\"crv\":\"P-256\"",
                                    "\"kid\":\"k1\"",
                                    "\"n\":\"",
                                    "\"e\":\"AQAB\"",
                                    "\"x\":\"",
                                    "\"y\":\"",
                                    NULL};

const struct fuzz_target fuzz_target = {
    .name = "jwt",
    .about = "ident/jwt.c ident/jwt_claims.c ident/jwt_verify.c ident/jwks.c ident/template.c "
             "ident/crypt.c",
    .words = words,
    .run = run,
};
