/* The verifier under attack: it is the judge of the demo server's and of our own tokens. */
#include "ident/crypt.h"
#include "ident/jwks.h"

#include "base/sink.h"

#include "jwt_kit.h"

#include <cmocka.h>

static const char secret[] = "0123456789abcdef0123456789abcdef";
static const struct jwt_policy hs256 = {
    .alg = JWT_HS256, .secret = secret, .secret_len = sizeof secret - 1};

/* The example of RFC 7515 appendix A.1: another implementation's token and key. */
static void accepts_the_rfcs_example(void **state)
{
    (void)state;
    static const char key_text[] = "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75"
                                   "aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow";
    static const char token[] =
        "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9."
        "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0"
        "cnVlfQ.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    struct jwt_policy policy = {.alg = JWT_HS256};
    char sub[8] = "old";
    CLEANUP_FREE char *key = crypt_unbase64url(key_text, strlen(key_text), &policy.secret_len);
    policy.secret = key;
    assert_non_null(key);
    assert_int_equal(jwt_verify(&policy, token, strlen(token), 1300819380, sub, sizeof sub),
                     JWT_GOOD);
    assert_string_equal(sub, "");
    /* One second of leeway. */
    assert_int_equal(jwt_verify(&policy, token, strlen(token), 1300819381, sub, sizeof sub),
                     JWT_EXPIRED);
    assert_int_equal(jwt_expiry_s(token, strlen(token)), 1300819380);
}

/* The signed text for any header and claims, with a right tag. */
static char *token_of(const char *header, const char *claims)
{
    unsigned char tag[CRYPT_TAG];
    struct sink *sink = sink_new();
    size_t len;
    crypt_base64url(sink, header, strlen(header));
    sink_write(sink, ".", 1);
    crypt_base64url(sink, claims, strlen(claims));
    const char *text = sink_text(sink, &len);
    crypt_hmac_sha256(secret, strlen(secret), text, len, tag);
    sink_write(sink, ".", 1);
    crypt_base64url(sink, tag, sizeof tag);
    char *token = xstrdup(sink_text(sink, NULL));
    sink_free(sink);
    return token;
}

static bool accepts(const char *token, size_t len, void *policy)
{
    return jwt_verify(policy, token, len, JWT_NOW, NULL, 0) == JWT_GOOD;
}

/* The last characters' unused bits too. */
static void any_change_is_refused(void **state)
{
    (void)state;
    const struct jwt_order order = {.n = 1, .run_id = "r", .now_s = JWT_NOW};
    for (size_t i = 0; i < JWT_ALGS; i++) {
        struct jwt_kit kit;
        jwt_kit_open(&kit, i, NULL);
        CLEANUP_FREE char *token = jwt_kit_mint(kit.signer, &order, NULL);
        /* The signature covers the first two parts; to try each of their bits with a public key
         * takes too long. */
        size_t len = strlen(token);
        bool fast = i < JWT_HMACS;
        if (fast) {
            kit_tamper(token, len, accepts, &kit.policy);
        }
        for (size_t at = 0; at < len && !fast; at += 5) {
            token[at] = (char)(token[at] ^ 1);
            assert_false(accepts(token, len, &kit.policy));
            token[at] = (char)(token[at] ^ 1);
        }
        static const char alphabet[] =
            "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        char last = token[len - 1];
        for (const char *c = alphabet; *c != '\0'; c++) {
            token[len - 1] = *c;
            assert_int_equal(accepts(token, len, &kit.policy), *c == last);
        }
        jwt_kit_close(&kit);
    }
}

static void wrong_tokens_are_refused(void **state)
{
    (void)state;
    static const char good[] = "{\"alg\":\"HS256\"}", live[] = "{\"exp\":1700000001}";
    static const struct {
        const char *header, *claims;
        enum jwt_verdict verdict;
    } cases[] = {
        {good, live, JWT_GOOD},
        {"{\"alg\":\"none\"}", live, JWT_WRONG_ALG},
        {"{\"alg\":\"None\"}", live, JWT_WRONG_ALG},
        {"{\"alg\":\"hs256\"}", live, JWT_WRONG_ALG},
        {"{\"alg\":\"HS256 \"}", live, JWT_WRONG_ALG},
        {"{\"alg\":\"HS384\"}", live, JWT_WRONG_ALG},
        {"{\"alg\":\"RS256\"}", live, JWT_WRONG_ALG},
        {"{\"alg\":[\"HS256\"]}", live, JWT_WRONG_ALG},
        {"{\"ALG\":\"HS256\"}", live, JWT_WRONG_ALG},
        {"{}", live, JWT_WRONG_ALG},
        {"{\"alg\":\"HS256\",\"alg\":\"none\"}", live, JWT_MALFORMED},
        {"{\"alg\":\"none\",\"alg\":\"HS256\"}", live, JWT_MALFORMED},
        {"{\"alg\":\"HS256\",\"crit\":[\"b64\"]}", live, JWT_MALFORMED},
        {"\"HS256\"", live, JWT_MALFORMED},
        {"{\"alg\":\"HS256\"}x", live, JWT_MALFORMED},
        {"", "", JWT_MALFORMED},
        {good, "{\"exp\":1700000000}", JWT_GOOD},
        {good, "{\"exp\":1699999999}", JWT_EXPIRED},
        {good, "{\"exp\":1699999999,\"exp\":1700000001}", JWT_MALFORMED},
        {good, "{}", JWT_MALFORMED},
        {good, "{\"exp\":\"1700000001\"}", JWT_MALFORMED},
        {good, "{\"exp\":true}", JWT_MALFORMED},
        {good, "{\"exp\":-1}", JWT_MALFORMED},
        {good, "{\"exp\":1e999}", JWT_MALFORMED},
        {good, "{\"exp\":1e300}", JWT_GOOD},
        {good, "{\"exp\":1700000001.5,\"nbf\":1700000001}", JWT_GOOD},
        {good, "{\"exp\":1700000009,\"nbf\":1700000002}", JWT_NOT_YET_VALID},
        {good, "{\"exp\":1700000009,\"nbf\":\"1\"}", JWT_MALFORMED},
        {good, "{\"exp\":1700000009,\"nbf\":null}", JWT_MALFORMED},
        {good, "[1700000001]", JWT_MALFORMED},
        {good, "{\"exp\":1700000001", JWT_MALFORMED},
        {good, "{\"exp\":1700000001}{}", JWT_MALFORMED},
        {good, "{\"exp\":1700000001,\"cnf\":\"x\"}", JWT_MALFORMED},
        {good, "{\"exp\":1700000001,\"cnf\":{\"x5t#S256\":\"AAAA\"}}", JWT_WRONG_CERTIFICATE},
        {good, "{\"exp\":1700000001,\"cnf\":{\"x5t#S256\":null}}", JWT_WRONG_CERTIFICATE},
        {good, "{\"exp\":1700000001,\"cnf\":{\"jkt\":\"AAAA\"}}", JWT_GOOD},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        CLEANUP_FREE char *token = token_of(cases[i].header, cases[i].claims);
        enum jwt_verdict verdict = jwt_kit_verify(&hs256, token);
        if (verdict != cases[i].verdict) {
            fail_msg("%d for %s %s", (int)verdict, cases[i].header, cases[i].claims);
        }
    }
}

static void the_audience_is_a_string_or_one_of_many(void **state)
{
    (void)state;
    static const struct {
        const char *aud;
        bool good;
    } cases[] = {{"\"api\"", true},
                 {"[\"x\",\"api\"]", true},
                 {"\"API\"", false},
                 {"[]", false},
                 {"[[\"api\"]]", false},
                 {"{\"api\":1}", false},
                 {"[\"api2\",\"ap\"]", false},
                 {"null", false},
                 {"[1,null]", false}};
    struct jwt_policy policy = hs256;
    policy.audience = "api";
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        CLEANUP_FREE char *claims = xasprintf("{\"exp\":1700000009,\"aud\":%s}", cases[i].aud);
        CLEANUP_FREE char *token = token_of("{\"alg\":\"HS256\"}", claims);
        assert_int_equal(jwt_kit_verify(&policy, token),
                         cases[i].good ? JWT_GOOD : JWT_WRONG_AUDIENCE);
        assert_int_equal(jwt_kit_verify(&hs256, token), JWT_GOOD);
    }
    CLEANUP_FREE char *none = token_of("{\"alg\":\"HS256\"}", "{\"exp\":1700000009}");
    assert_int_equal(jwt_kit_verify(&policy, none), JWT_WRONG_AUDIENCE);
    policy.audience = NULL;
    policy.must_be_bound = true;
    assert_int_equal(jwt_kit_verify(&policy, none), JWT_WRONG_CERTIFICATE);
}

/* The same bytes spelled otherwise, and parts too many or too few. */
static void odd_spellings_are_refused(void **state)
{
    (void)state;
    static const char header[] = "eyJhbGciOiJIUzI1NiJ9", claims[] = "eyJleHAiOjE3MDAwMDAwMDl9";
    CLEANUP_FREE char *good = token_of("{\"alg\":\"HS256\"}", "{\"exp\":1700000009}");
    assert_int_equal(strncmp(good, header, strlen(header)), 0);
    assert_int_equal(jwt_kit_verify(&hs256, good), JWT_GOOD);
    static const char *const formats[] = {"%s.", ".%s",  "%s=",   " %s",
                                          "%s ", "%s\n", "%s.AA", "%s%%3D"};
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++) {
        const char *mark = strstr(formats[i], "%s");
        CLEANUP_FREE char *odd =
            xasprintf("%.*s%s%s", (int)(mark - formats[i]), formats[i], good, mark + 2);
        assert_int_not_equal(jwt_kit_verify(&hs256, odd), JWT_GOOD);
    }
    /* Signed as they stand, so that only the spelling is wrong. */
    static const char *const heads[] = {"eyJhbGciOiJIUzI1NiJ9=", "eyJhbGciOiJIUzI1NiJ9A",
                                        "eyJhbGciOiAiSFMyNTYifR", ""};
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++) {
        unsigned char tag[CRYPT_TAG];
        CLEANUP_FREE char *text = xasprintf("%s.%s", heads[i], claims);
        struct sink *token = sink_new();
        crypt_hmac_sha256(secret, strlen(secret), text, strlen(text), tag);
        sink_printf(token, "%s.", text);
        crypt_base64url(token, tag, sizeof tag);
        assert_int_equal(jwt_kit_verify(&hs256, sink_text(token, NULL)), JWT_MALFORMED);
        sink_free(token);
    }
}

static char *filled(size_t len, char with, const char *begin, char end)
{
    char *text = xmalloc(len + 1);
    memset(text, with, len);
    text[len] = '\0';
    memcpy(text, begin, strlen(begin));
    text[len - 1] = end;
    return text;
}

static void huge_and_nested_tokens_are_refused(void **state)
{
    (void)state;
    CLEANUP_FREE char *fits = filled(90000, ' ', "{\"exp\":1700000009", '}');
    CLEANUP_FREE char *large = filled(200000, ' ', "{\"exp\":1700000009", '}');
    CLEANUP_FREE char *deep = filled(90000, '[', "{\"exp\":1700000009,\"a\":", '}');
    CLEANUP_FREE char *good = token_of("{\"alg\":\"HS256\"}", fits);
    CLEANUP_FREE char *too_large = token_of("{\"alg\":\"HS256\"}", large);
    CLEANUP_FREE char *too_deep = token_of("{\"alg\":\"HS256\"}", deep);
    assert_int_equal(jwt_kit_verify(&hs256, good), JWT_GOOD);
    assert_int_equal(jwt_kit_verify(&hs256, too_large), JWT_MALFORMED);
    assert_int_equal(jwt_kit_verify(&hs256, too_deep), JWT_MALFORMED);
    assert_int_equal(jwt_expiry_s(too_deep, strlen(too_deep)), 0);
}

static void garbage_is_refused(void **state)
{
    (void)state;
    struct jwt_policy policy = hs256;
    kit_garbage(accepts, &policy);
}

/* A signature must be of the algorithm, not only of the key. */
static void algorithms_of_one_key_are_kept_apart(void **state)
{
    (void)state;
    struct jwt_kit kit;
    const struct jwt_order order = {.n = 1, .run_id = "r", .now_s = JWT_NOW};
    jwt_kit_open(&kit, 3, NULL);
    CLEANUP_FREE char *token = jwt_kit_mint(kit.signer, &order, NULL);
    assert_int_equal(jwt_kit_verify(&kit.policy, token), JWT_GOOD);
    kit.policy.alg = JWT_PS256;
    assert_int_equal(jwt_kit_verify(&kit.policy, token), JWT_WRONG_ALG);
    kit.policy.alg = JWT_RS256;
    kit.policy.public_key = NULL;
    assert_int_equal(jwt_kit_verify(&kit.policy, token), JWT_WRONG_SIGNATURE);
    jwt_kit_close(&kit);
}

/* The keys of RFC 7515 appendix A.3 and RFC 8037 appendix A.2, and what must be left out. */
static void key_sets_are_read(void **state)
{
    (void)state;
    static const char text[] =
        "{\"keys\":[{\"kty\":\"oct\",\"k\":\"AAAA\"},{\"kty\":\"new\"},7,{\"kty\":\"EC\"},"
        "{\"kty\":\"EC\",\"crv\":\"P-256\",\"kid\":\"off\",\"x\":\"AQ\",\"y\":\"AQ\"},"
        "{\"kty\":\"EC\",\"crv\":\"P-256\",\"kid\":\"enc\",\"use\":\"enc\","
        "\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","
        "\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"},"
        "{\"kty\":\"EC\",\"crv\":\"P-256\",\"kid\":\"a\","
        "\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","
        "\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"},"
        "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"kid\":\"e\","
        "\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}]}";
    /* RFC 7515 A.3's token: {"alg":"ES256"}. */
    static const char token[] =
        "eyJhbGciOiJFUzI1NiJ9."
        "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0"
        "cnVlfQ.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6"
        "NU1Q";
    char error[JWKS_ERROR];
    struct jwks *jwks = jwks_parse(text, strlen(text), JWT_ES256, error);
    assert_non_null(jwks);
    struct jwt_policy policy = {.alg = JWT_ES256};
    policy.public_key = jwks_find(jwks, token, strlen(token));
    assert_non_null(policy.public_key);
    assert_int_equal(jwt_verify(&policy, token, strlen(token), 1300819379, NULL, 0), JWT_GOOD);
    jwks_free(jwks);
    jwks = jwks_parse(text, strlen(text), JWT_EDDSA, error);
    assert_non_null(jwks);
    jwks_free(jwks);
    assert_null(jwks_parse(text, strlen(text), JWT_RS256, error));
    assert_string_equal(error, "holds no key for RS256");
    assert_null(jwks_parse(text, strlen(text) - 1, JWT_ES256, error));
    assert_null(jwks_parse("[]", 2, JWT_ES256, error));
    assert_null(jwks_from_pem("x", 1, JWT_ES256, error));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(accepts_the_rfcs_example),
        cmocka_unit_test(any_change_is_refused),
        cmocka_unit_test(wrong_tokens_are_refused),
        cmocka_unit_test(the_audience_is_a_string_or_one_of_many),
        cmocka_unit_test(odd_spellings_are_refused),
        cmocka_unit_test(huge_and_nested_tokens_are_refused),
        cmocka_unit_test(garbage_is_refused),
        cmocka_unit_test(algorithms_of_one_key_are_kept_apart),
        cmocka_unit_test(key_sets_are_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
