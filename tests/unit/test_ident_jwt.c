#include "ident/cert.h"
#include "ident/crypt.h"
#include "ident/jwt.h"
#include "ident/pem.h"

#include "base/file.h"
#include "base/mem.h"
#include "base/mono.h"
#include "base/rng.h"
#include "base/str.h"
#include "profile/profile.h"

#include <inttypes.h>
#include <openssl/bio.h>
#include <openssl/bytestring.h>
#include <openssl/evp.h>
#include <openssl/mem.h>
#include <openssl/pem.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "ident_kit.h"

#include <cmocka.h>

#define NOW 1700000000

static const char secret[] = "0123456789abcdef0123456789abcdef";

static bool verify(const char *token, size_t len, int64_t now_s)
{
    char sub[64];
    return jwt_verify_hs256(token, len, secret, strlen(secret), now_s, sub, sizeof sub);
}

static char *mint_one(const struct plan_jwt *section, uint64_t n, size_t *ret_len)
{
    struct plan plan = {.n_jwts = 0};
    struct diag *diag = diag_new();
    int64_t not_after_s;
    struct jwt_signer *signer = jwt_signer_new(&plan, section, diag);
    for (size_t i = 0; i < diag_count(diag); i++) {
        print_message("%s\n", diag_text(diag, i));
    }
    assert_non_null(signer);
    char *token = jwt_mint(signer, n, "run-9", NOW, ret_len, &not_after_s);
    assert_int_equal(strlen(token), *ret_len);
    assert_int_equal(not_after_s, NOW + (int64_t)(section->lifetime_ns / NS_PER_S));
    jwt_signer_free(signer);
    diag_free(diag);
    return token;
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
    size_t key_len;
    CLEANUP_FREE char *key = crypt_unbase64url(key_text, strlen(key_text), &key_len);
    char sub[8] = "old";
    assert_non_null(key);
    assert_true(jwt_verify_hs256(token, strlen(token), key, key_len, 1300819379, sub, sizeof sub));
    assert_string_equal(sub, "");
    assert_false(jwt_verify_hs256(token, strlen(token), key, key_len, 1300819380, NULL, 0));
}

static void round_trip(void **state)
{
    (void)state;
    struct plan_jwt section = kit_jwt(2, PICK_SEQUENTIAL, 60);
    size_t len;
    char sub[16];
    CLEANUP_FREE char *token = mint_one(&section, 42, &len);
    assert_true(jwt_verify_hs256(token, len, secret, strlen(secret), NOW + 59, sub, sizeof sub));
    assert_string_equal(sub, "user-42");
    assert_false(verify(token, len, NOW + 60));
    assert_false(jwt_verify_hs256(token, len, "wrong", 5, NOW, sub, sizeof sub));
    assert_true(jwt_verify_hs256(token, len, secret, strlen(secret), NOW, sub, 5));
    assert_string_equal(sub, "user");
}

/* The header and claims as text; the caller frees it. */
static char *segment_text(const char *token, int i)
{
    while (i-- > 0) {
        token = strchr(token, '.') + 1;
    }
    size_t len;
    char *text = crypt_unbase64url(token, strcspn(token, "."), &len);
    assert_non_null(text);
    return text;
}

static void claims_are_added_where_absent(void **state)
{
    (void)state;
    struct plan_jwt section = kit_jwt(2, PICK_SEQUENTIAL, 60);
    char claims[] = " { \"sub\": \"u{n}-{run}\", \"iat\": 5, \"deep\": {\"exp\": {\"a\": 1}} } ";
    char kid[] = "key \"7\"";
    size_t len;
    section.claims = claims;
    section.kid = kid;
    CLEANUP_FREE char *token = mint_one(&section, 3, &len);
    CLEANUP_FREE char *header = segment_text(token, 0);
    CLEANUP_FREE char *payload = segment_text(token, 1);
    assert_string_equal(header, "{\"alg\":\"HS256\",\"typ\":\"JWT\",\"kid\":\"key \\\"7\\\"\"}");
    static const char begin[] =
        " { \"sub\": \"u3-run-9\", \"iat\": 5, \"deep\": {\"exp\": {\"a\": 1}} "
        ",\"nbf\":1700000000,\"exp\":1700000060,\"jti\":\"";
    assert_memory_equal(payload, begin, strlen(begin));
    const char *jti = payload + strlen(begin);
    assert_int_equal(strlen(jti), 36 + 2);
    assert_int_equal(jti[14], '4');
    assert_non_null(strchr("89ab", jti[19]));
    assert_true(verify(token, len, NOW));
}

static void empty_claims_become_an_object(void **state)
{
    (void)state;
    struct plan_jwt section = kit_jwt(2, PICK_SEQUENTIAL, 60);
    char claims[] = "{}";
    size_t len;
    section.claims = claims;
    CLEANUP_FREE char *token = mint_one(&section, 3, &len);
    CLEANUP_FREE char *payload = segment_text(token, 1);
    assert_true(str_has_prefix(payload, "{\"iat\":1700000000,\"nbf\":"));
    assert_true(verify(token, len, NOW));
}

/* Every bit of every byte, the last characters' unused ones too. */
static void any_change_is_refused(void **state)
{
    (void)state;
    struct plan_jwt section = kit_jwt(2, PICK_SEQUENTIAL, 60);
    size_t len;
    CLEANUP_FREE char *token = mint_one(&section, 1, &len);
    for (size_t i = 0; i < len; i++) {
        for (int bit = 0; bit < 8; bit++) {
            token[i] = (char)(token[i] ^ (1 << bit));
            assert_false(verify(token, len, NOW));
            token[i] = (char)(token[i] ^ (1 << bit));
        }
    }
    for (size_t cut = 0; cut < len; cut++) {
        assert_false(verify(token, cut, NOW));
    }
    static const char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    char last = token[len - 1];
    for (const char *c = alphabet; *c != '\0'; c++) {
        token[len - 1] = *c;
        assert_int_equal(verify(token, len, NOW), *c == last);
    }
}

static void wrong_tokens_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *header, *claims;
        bool good;
    } cases[] = {
        {"{\"alg\":\"HS256\"}", "{\"exp\":1700000001}", true},
        {"{\"alg\":\"none\"}", "{\"exp\":1700000001}", false},
        {"{\"alg\":\"hs256\"}", "{\"exp\":1700000001}", false},
        {"{\"alg\":\"RS256\"}", "{\"exp\":1700000001}", false},
        {"{\"alg\":[\"HS256\"]}", "{\"exp\":1700000001}", false},
        {"{}", "{\"exp\":1700000001}", false},
        {"{\"alg\":\"HS256\",\"crit\":[\"b64\"]}", "{\"exp\":1700000001}", false},
        {"{\"alg\":\"HS256\"}", "{\"exp\":1700000000}", false},
        {"{\"alg\":\"HS256\"}", "{}", false},
        {"{\"alg\":\"HS256\"}", "{\"exp\":\"1700000001\"}", false},
        {"{\"alg\":\"HS256\"}", "{\"exp\":1e999}", false},
        {"{\"alg\":\"HS256\"}", "[1700000001]", false},
        {"{\"alg\":\"HS256\"}", "{\"exp\":1700000001", false},
        {"", "", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        CLEANUP_FREE char *token = token_of(cases[i].header, cases[i].claims);
        assert_int_equal(verify(token, strlen(token), NOW), cases[i].good);
    }
    static const char none[] = "eyJhbGciOiJub25lIn0.eyJleHAiOjE3MDAwMDAwMDF9.";
    assert_false(verify(none, strlen(none), NOW));
}

static void long_tokens_are_refused(void **state)
{
    (void)state;
    CLEANUP_FREE char *claims = xmalloc(20000);
    memset(claims, ' ', 19999);
    claims[19999] = '\0';
    memcpy(claims, "{\"exp\":1700000001", 17);
    claims[19998] = '}';
    CLEANUP_FREE char *token = token_of("{\"alg\":\"HS256\"}", claims);
    assert_false(verify(token, strlen(token), NOW));
    claims[9000] = '}';
    claims[9001] = '\0';
    CLEANUP_FREE char *shorter = token_of("{\"alg\":\"HS256\"}", claims);
    assert_true(verify(shorter, strlen(shorter), NOW));
}

static void garbage_is_refused(void **state)
{
    (void)state;
    struct rng rng;
    rng_init(&rng, 11, "garbage", 0);
    for (int round = 0; round < 20000; round++) {
        char bytes[200];
        size_t len = rng_below(&rng, sizeof bytes);
        for (size_t i = 0; i < len; i++) {
            bytes[i] = rng_below(&rng, 12) == 0 ? '.' : (char)rng_below(&rng, 256);
        }
        assert_false(verify(bytes, len, NOW));
    }
}

static void write_public(const struct kit *kit, const char *name, EVP_PKEY *key)
{
    CLEANUP_FREE char *path = kit_path(kit, name);
    BIO *bio = BIO_new(BIO_s_mem());
    const uint8_t *text;
    size_t len;
    assert_true(PEM_write_bio_PUBKEY(bio, key) && BIO_mem_contents(bio, &text, &len));
    assert_true(file_write(path, text, len, 0600));
    BIO_free(bio);
}

static const struct {
    const char *name;
    enum jwt_alg alg;
    enum key_type key_type;
} asymmetric[] = {{"RS256", JWT_RS256, KEY_RSA_2048},
                  {"ES256", JWT_ES256, KEY_ECDSA_P256},
                  {"EdDSA", JWT_EDDSA, KEY_ED25519}};

/* ES256's r and s are back in DER, so that the library can check them. */
static size_t der_of_raw(const uint8_t raw[64], uint8_t der[80])
{
    CBB cbb, sequence, integer;
    assert_true(CBB_init_fixed(&cbb, der, 80) && CBB_add_asn1(&cbb, &sequence, CBS_ASN1_SEQUENCE));
    for (int i = 0; i < 2; i++) {
        size_t skip = 0;
        while (skip < 31 && raw[32 * i + skip] == 0) {
            skip++;
        }
        assert_true(CBB_add_asn1(&sequence, &integer, CBS_ASN1_INTEGER));
        assert_true((raw[32 * i + skip] & 0x80) == 0 || CBB_add_u8(&integer, 0));
        assert_true(CBB_add_bytes(&integer, raw + 32 * i + skip, 32 - skip));
    }
    assert_true(CBB_flush(&cbb));
    size_t len = CBB_len(&cbb);
    CBB_cleanup(&cbb);
    return len;
}

static bool signature_is_right(const char *token, EVP_PKEY *key, enum jwt_alg alg)
{
    const char *dot = strrchr(token, '.');
    size_t len;
    uint8_t der[80];
    CLEANUP_FREE char *bytes = crypt_unbase64url(dot + 1, strlen(dot + 1), &len);
    const uint8_t *signature = (const uint8_t *)bytes;
    if (alg == JWT_ES256) {
        assert_int_equal(len, 64);
        len = der_of_raw(signature, der);
        signature = der;
    }
    EVP_MD_CTX context;
    EVP_MD_CTX_init(&context);
    bool good =
        EVP_DigestVerifyInit(&context, NULL, alg == JWT_EDDSA ? NULL : EVP_sha256(), NULL, key) &&
        EVP_DigestVerify(&context, signature, len, (const uint8_t *)token, (size_t)(dot - token));
    EVP_MD_CTX_cleanup(&context);
    return good;
}

/* With TLSOAK_DUMP, tokens and keys are left there for another implementation to check. */
static void signatures_verify(void **state)
{
    struct kit *kit = *state;
    for (size_t i = 0; i < 3; i++) {
        EVP_PKEY *key = cert_key_new(asymmetric[i].key_type);
        size_t len;
        CLEANUP_FREE char *pem = pem_from_key(key, &len);
        struct plan_jwt section = kit_jwt(2, PICK_SEQUENTIAL, 60);
        section.alg = asymmetric[i].alg;
        section.key = pem;
        for (uint64_t n = 1; n <= 20; n++) {
            CLEANUP_FREE char *token = mint_one(&section, n, &len);
            CLEANUP_FREE char *name = xasprintf("%s-%" PRIu64 ".jwt", asymmetric[i].name, n);
            CLEANUP_FREE char *path = kit_path(kit, name);
            assert_true(signature_is_right(token, key, asymmetric[i].alg));
            assert_true(file_write(path, token, len, 0600));
            token[0]++;
            assert_false(signature_is_right(token, key, asymmetric[i].alg));
        }
        CLEANUP_FREE char *public = xasprintf("%s.pub", asymmetric[i].name);
        write_public(kit, public, key);
        cert_key_free(key);
    }
    const char *dump = getenv("TLSOAK_DUMP");
    assert_true(dump == NULL || kit_shell("cp %s/* %s/", kit->dir, dump) == 0);
}

static void expect_mistake(const char *keys, const char *mistake)
{
    struct diag *diag = diag_new();
    CLEANUP_FREE char *text =
        xasprintf("[run]\nduration = 1m\n[target]\nurl = https://localhost:1/\n"
                  "[jwt]\nkey = ${TEST_KEY}\n%s\n",
                  keys);
    struct plan *plan = profile_load_text("jwt.ini", text, NULL, 0, diag);
    struct jwt_signer *signer =
        plan != NULL && plan->n_jwts == 1 ? jwt_signer_new(plan, &plan->jwts[0], diag) : NULL;
    assert_null(signer);
    assert_true(diag_count(diag) > 0);
    if (strstr(diag_text(diag, 0), mistake) == NULL) {
        fail_msg("\"%s\" is not in \"%s\"", mistake, diag_text(diag, 0));
    }
    plan_free(plan);
    diag_free(diag);
}

static void mistakes_name_their_line(void **state)
{
    (void)state;
    assert_int_equal(setenv("TEST_KEY", "abc", 1), 0);
    expect_mistake("claims = [1]", "jwt.ini:7: jwt.claims: is not a JSON object");
    expect_mistake("claims = {\"sub\": }", "jwt.ini:7: jwt.claims: ");
    expect_mistake("claims = {\"sub\": \"{who}\"}", "jwt.ini:7: unknown field {who}");
    expect_mistake("count = 5\nclaims = {\"jti\": \"same\"}",
                   "jwt.ini:8: jwt.claims: give the same token every time");
    expect_mistake("alg = ES256", "jwt.ini:6: jwt.key: is not PEM");
}

static void keys_must_fit_the_algorithm(void **state)
{
    (void)state;
    struct plan plan = {.n_jwts = 0};
    EVP_PKEY *key = cert_key_new(KEY_ED25519);
    size_t len;
    CLEANUP_FREE char *pem = pem_from_key(key, &len);
    for (size_t i = 0; i < 3; i++) {
        struct diag *diag = diag_new();
        struct plan_jwt section = kit_jwt(2, PICK_SEQUENTIAL, 60);
        section.alg = asymmetric[i].alg;
        section.key = pem;
        struct jwt_signer *signer = jwt_signer_new(&plan, &section, diag);
        assert_int_equal(signer != NULL, asymmetric[i].alg == JWT_EDDSA);
        assert_int_equal(diag_count(diag), asymmetric[i].alg == JWT_EDDSA ? 0 : 1);
        assert_true(signer != NULL || strstr(diag_text(diag, 0), "256 needs an ") != NULL);
        jwt_signer_free(signer);
        diag_free(diag);
    }
    cert_key_free(key);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(accepts_the_rfcs_example),
        cmocka_unit_test(round_trip),
        cmocka_unit_test(claims_are_added_where_absent),
        cmocka_unit_test(empty_claims_become_an_object),
        cmocka_unit_test(any_change_is_refused),
        cmocka_unit_test(wrong_tokens_are_refused),
        cmocka_unit_test(long_tokens_are_refused),
        cmocka_unit_test(garbage_is_refused),
        cmocka_unit_test_setup_teardown(signatures_verify, kit_set_up, kit_tear_down),
        cmocka_unit_test(mistakes_name_their_line),
        cmocka_unit_test(keys_must_fit_the_algorithm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
