#include "ident/crypt.h"
#include "ident/jwks.h"
#include "ident/jwt_inside.h"

#include "base/file.h"
#include "base/json.h"
#include "base/str.h"
#include "profile/profile.h"

#include <errno.h>
#include <inttypes.h>

#include "jwt_kit.h"

#include <cmocka.h>

static const struct jwt_order plain = {.n = 3, .run_id = "run-9", .now_s = JWT_NOW};

/* The header (0) or claims (1) as text; the caller frees it. */
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

static char *claims_of(const struct plan_jwt *section, const struct jwt_order *order)
{
    struct jwt_signer *signer = jwt_kit_signer(section);
    CLEANUP_FREE char *token = jwt_kit_mint(signer, order, NULL);
    jwt_signer_free(signer);
    return segment_text(token, 1);
}

static void claims_are_added_where_absent(void **state)
{
    (void)state;
    struct plan_jwt section = kit_jwt(2, PICK_SEQUENTIAL, 60);
    char claims[] = " { \"sub\": \"u{n}-{run}\" , \"iat\": 5,\n \"deep\": "
                    "{\"exp\": {\"a\": [1, \"}\\\"\"]}} } ";
    section.claims = claims;
    CLEANUP_FREE char *payload = claims_of(&section, &plain);
    static const char begin[] = "{\"sub\": \"u3-run-9\",\"iat\": 5,\"deep\": "
                                "{\"exp\": {\"a\": [1, \"}\\\"\"]}},"
                                "\"nbf\":1700000000,\"exp\":1700000060,\"jti\":\"";
    assert_memory_equal(payload, begin, strlen(begin));
    const char *jti = payload + strlen(begin);
    assert_int_equal(strlen(jti), 36 + 2);
    assert_int_equal(jti[14], '4');
    assert_non_null(strchr("89ab", jti[19]));
}

static void fields_are_filled_in_everywhere(void **state)
{
    (void)state;
    struct plan_jwt section = kit_jwt(2, PICK_SEQUENTIAL, 60);
    char claims[] = "{\"a{n}\":{n},\"b\":[{\"c\":{n}}],\"jti\":\"{run}{run}{n}\"}";
    struct jwt_order order = plain;
    section.claims = claims;
    order.n = INT64_MAX;
    CLEANUP_FREE char *payload = claims_of(&section, &order);
    static const char begin[] =
        "{\"a9223372036854775807\":9223372036854775807,\"b\":[{\"c\":9223372036854775807}],"
        "\"jti\":\"run-9run-99223372036854775807\",\"iat\":";
    assert_true(str_has_prefix(payload, begin));
}

static void empty_claims_become_an_object(void **state)
{
    (void)state;
    struct plan_jwt section = kit_jwt(2, PICK_SEQUENTIAL, 60);
    char claims[] = "{ }";
    section.claims = claims;
    CLEANUP_FREE char *payload = claims_of(&section, &plain);
    assert_true(str_has_prefix(payload, "{\"iat\":1700000000,\"nbf\":1700000000,\"exp\":"));
}

static void the_header_has_kid_and_more(void **state)
{
    (void)state;
    struct plan_jwt section = kit_jwt(2, PICK_SEQUENTIAL, 60);
    char kid[] = "key \"{key}\" {{x}}", jose[] = " {\"cty\": \"a}\", \"x\":[1]} ";
    section.kid = kid;
    section.jose = jose;
    struct jwt_signer *signer = jwt_kit_signer(&section);
    CLEANUP_FREE char *token = jwt_kit_mint(signer, &plain, NULL);
    CLEANUP_FREE char *header = segment_text(token, 0);
    assert_string_equal(header, "{\"alg\":\"HS256\",\"typ\":\"JWT\",\"kid\":\"key \\\"1\\\" {x}\","
                                "\"cty\": \"a}\", \"x\":[1]}");
    jwt_signer_free(signer);
}

static void claims_are_padded(void **state)
{
    (void)state;
    struct plan_jwt section = kit_jwt(2, PICK_SEQUENTIAL, 60);
    CLEANUP_FREE char *bare = claims_of(&section, &plain);
    size_t len = strlen(bare);
    for (size_t size = len - 2; size < len + 40; size++) {
        section.claim_size = size;
        CLEANUP_FREE char *payload = claims_of(&section, &plain);
        char error[160];
        struct json *json = json_parse(payload, strlen(payload), error, sizeof error);
        assert_non_null(json);
        assert_true(strlen(payload) >= size && strlen(payload) <= (size <= len ? len : size + 9));
        assert_int_equal(json_get(json, "pad") != NULL, size > len);
        json_free(json);
    }
    section.claim_size = 65536;
    CLEANUP_FREE char *large = claims_of(&section, &plain);
    assert_int_equal(strlen(large), 65536);
}

static void tokens_are_bound(void **state)
{
    (void)state;
    static const unsigned char thumbprint[32] = {1, 2, 3}, other[32] = {9};
    static const char *const claims[] = {"{}", "{\"cnf\":{}}",
                                         "{\"cnf\" : { \"jkt\": \"{n}\" } ,\"a\":1}"};
    for (size_t i = 0; i < sizeof claims / sizeof *claims; i++) {
        struct jwt_kit kit;
        struct plan_jwt more = {.bind_certificate = true};
        CLEANUP_FREE char *text = xstrdup(claims[i]);
        more.claims = text;
        jwt_kit_open(&kit, 0, &more);
        struct jwt_order order = plain;
        order.thumbprint = thumbprint;
        CLEANUP_FREE char *token = jwt_kit_mint(kit.signer, &order, NULL);
        CLEANUP_FREE char *payload = segment_text(token, 1);
        assert_int_equal(strstr(payload, "\"jkt\": \"3\"") != NULL, i == 2);
        kit.policy.must_be_bound = true;
        kit.policy.thumbprint = thumbprint;
        assert_int_equal(jwt_kit_verify(&kit.policy, token), JWT_GOOD);
        kit.policy.thumbprint = other;
        assert_int_equal(jwt_kit_verify(&kit.policy, token), JWT_WRONG_CERTIFICATE);
        order.bad = BAD_JWT_OTHER_CERTIFICATE;
        CLEANUP_FREE char *bad = jwt_kit_mint(kit.signer, &order, NULL);
        kit.policy.thumbprint = thumbprint;
        assert_int_equal(jwt_kit_verify(&kit.policy, bad), JWT_WRONG_CERTIFICATE);
        kit.policy.thumbprint = NULL;
        assert_int_equal(jwt_kit_verify(&kit.policy, token), JWT_WRONG_CERTIFICATE);
        jwt_kit_close(&kit);
    }
}

static void every_algorithm_round_trips(void **state)
{
    (void)state;
    for (size_t i = 0; i < JWT_ALGS; i++) {
        struct jwt_kit kit;
        char sub[16] = "";
        jwt_kit_open(&kit, i, NULL);
        for (uint64_t n = 1; n <= 20; n++) {
            struct jwt_order order = plain;
            order.n = n;
            CLEANUP_FREE char *token = jwt_kit_mint(kit.signer, &order, NULL);
            CLEANUP_FREE char *expected = xasprintf("user-%" PRIu64, n);
            const char *signature = strrchr(token, '.') + 1;
            size_t len;
            CLEANUP_FREE char *bytes = crypt_unbase64url(signature, strlen(signature), &len);
            assert_int_equal(len, jwt_algs[i].signature_len);
            assert_int_equal(
                jwt_verify(&kit.policy, token, strlen(token), JWT_NOW, sub, sizeof sub), JWT_GOOD);
            assert_string_equal(sub, expected);
        }
        jwt_kit_close(&kit);
    }
}

/* What each kind of bad token is refused for, and that nothing else is wrong with it. */
static const struct {
    enum bad_jwt bad;
    enum jwt_verdict verdict;
} bad_kinds[] = {{BAD_JWT_NOT, JWT_GOOD},
                 {BAD_JWT_EXPIRED, JWT_EXPIRED},
                 {BAD_JWT_WRONG_SIGNATURE, JWT_WRONG_SIGNATURE},
                 {BAD_JWT_ALG_NONE, JWT_WRONG_ALG},
                 {BAD_JWT_WRONG_AUDIENCE, JWT_WRONG_AUDIENCE},
                 {BAD_JWT_HS256_PUBLIC_KEY, JWT_WRONG_ALG},
                 {BAD_JWT_OTHER_CERTIFICATE, JWT_WRONG_CERTIFICATE}};

static void bad_kinds_are_refused(void **state)
{
    (void)state;
    static const unsigned char thumbprint[32] = {7};
    char claims[] = "{\"aud\":[\"other\",\"api\"],\"sub\":\"{n}\",\"exp\":1700000060,\"nbf\":1}";
    for (size_t i = 0; i < JWT_ALGS; i++) {
        struct jwt_kit kit;
        struct plan_jwt more = {.claims = claims};
        jwt_kit_open(&kit, i, &more);
        kit.policy.audience = "api";
        kit.policy.thumbprint = thumbprint;
        kit.policy.must_be_bound = true;
        assert_false(jwt_signer_sets_exp(kit.signer));
        for (size_t k = 0; k < sizeof bad_kinds / sizeof *bad_kinds; k++) {
            struct jwt_order order = plain;
            size_t len;
            int64_t exp_s;
            order.bad = bad_kinds[k].bad;
            order.thumbprint = thumbprint;
            CLEANUP_FREE char *token = jwt_mint(kit.signer, &order, &len, &exp_s);
            if (order.bad == BAD_JWT_HS256_PUBLIC_KEY && i < JWT_HMACS) {
                assert_null(token);
                continue;
            }
            assert_non_null(token);
            assert_int_equal(jwt_kit_verify(&kit.policy, token), bad_kinds[k].verdict);
            assert_int_equal(exp_s, order.bad == BAD_JWT_EXPIRED ? JWT_NOW - 3600 : JWT_NOW + 60);
        }
        jwt_kit_close(&kit);
    }
    struct jwt_kit kit;
    struct jwt_order none = plain;
    size_t len;
    int64_t exp_s;
    none.bad = BAD_JWT_NONE;
    jwt_kit_open(&kit, 0, NULL);
    assert_null(jwt_mint(kit.signer, &none, &len, &exp_s));
    jwt_kit_close(&kit);
}

/* That server is the victim: it takes any algorithm, and its public key for an HMAC's secret. */
static void the_public_key_is_the_secret(void **state)
{
    (void)state;
    struct jwt_kit kit;
    struct jwt_order order = plain;
    jwt_kit_open(&kit, 5, NULL);
    order.bad = BAD_JWT_HS256_PUBLIC_KEY;
    CLEANUP_FREE char *token = jwt_kit_mint(kit.signer, &order, NULL);
    struct sink *pem = sink_new();
    pem_write_public(pem, kit.pair);
    struct jwt_policy victim = {.alg = JWT_HS256};
    victim.secret = sink_text(pem, &victim.secret_len);
    assert_true(str_has_prefix(victim.secret, "-----BEGIN PUBLIC KEY-----\n"));
    assert_int_equal(jwt_kit_verify(&victim, token), JWT_GOOD);
    sink_free(pem);
    jwt_kit_close(&kit);
}

static void others_tokens_are_spoiled(void **state)
{
    (void)state;
    for (size_t i = 0; i < JWT_ALGS; i++) {
        struct jwt_kit kit;
        char kid[] = "k";
        struct plan_jwt more = {.kid = kid};
        size_t len = 0;
        jwt_kit_open(&kit, i, &more);
        CLEANUP_FREE char *token = jwt_kit_mint(kit.signer, &plain, NULL);
        CLEANUP_FREE char *wrong = jwt_spoil(token, strlen(token), BAD_JWT_WRONG_SIGNATURE, &len);
        assert_int_equal(len, strlen(token));
        assert_int_equal(jwt_kit_verify(&kit.policy, wrong), JWT_WRONG_SIGNATURE);
        CLEANUP_FREE char *none = jwt_spoil(token, strlen(token), BAD_JWT_ALG_NONE, &len);
        assert_int_equal(len, strlen(none));
        assert_int_equal(none[len - 1], '.');
        assert_int_equal(jwt_kit_verify(&kit.policy, none), JWT_WRONG_ALG);
        CLEANUP_FREE char *header = segment_text(none, 0);
        assert_string_equal(header, "{\"alg\":\"none\",\"typ\":\"JWT\",\"kid\":\"k\"}");
        assert_null(jwt_spoil(token, strlen(token), BAD_JWT_EXPIRED, &len));
        assert_null(jwt_spoil(none, strlen(none), BAD_JWT_WRONG_SIGNATURE, &len));
        static const char with_nul[] = "e30.e\0x.AAAA";
        CLEANUP_FREE char *odd =
            jwt_spoil(with_nul, sizeof with_nul - 1, BAD_JWT_WRONG_SIGNATURE, &len);
        assert_int_equal(len, sizeof with_nul - 1);
        assert_memory_equal(odd, with_nul, 9);
        assert_null(jwt_spoil("opaque", 6, BAD_JWT_WRONG_SIGNATURE, &len));
        assert_null(jwt_spoil("opaque", 6, BAD_JWT_ALG_NONE, &len));
        jwt_kit_close(&kit);
    }
    assert_int_equal(jwt_expiry_s("opaque", 6), 0);
    assert_int_equal(jwt_expiry_s("e30.e30.", 8), 0);
}

/* The keys in the file now; the caller frees them. */
static struct jwks *file_keys(const char *path, enum jwt_alg alg)
{
    char error[JWKS_ERROR];
    size_t len;
    CLEANUP_FREE char *text = file_read(path, 1U << 20, &len);
    assert_non_null(text);
    assert_null(strstr(text, "\"d\""));
    struct jwks *jwks = jwks_parse(text, len, alg, error);
    assert_non_null(jwks);
    return jwks;
}

static bool knows(const struct jwks *jwks, enum jwt_alg alg, const char *token, int64_t now_s)
{
    struct jwt_policy policy = {.alg = alg};
    policy.public_key = jwks_find(jwks, token, strlen(token));
    return policy.public_key != NULL &&
           jwt_verify(&policy, token, strlen(token), now_s, NULL, 0) == JWT_GOOD;
}

/* A server that last read the file when the last key but one began to sign still knows the new one,
 * and one that reads it now knows every token that is still valid. */
static void keys_rotate(void **state)
{
    struct kit *kit = *state;
    struct plan_jwt section = kit_jwt(2, PICK_SEQUENTIAL, 25);
    CLEANUP_FREE char *path = kit_path(kit, "jwks.json");
    char *tokens[40];
    struct jwks *before = NULL;
    struct stat status;
    char error[256];
    uint64_t number;
    section.key = NULL;
    section.alg = JWT_ES256;
    section.jwks = path;
    section.key_rotate_ns = 10 * NS_PER_S;
    struct jwt_signer *signer = jwt_kit_signer(&section);
    assert_int_not_equal(stat(path, &status), 0);
    for (int s = 0; s < 40; s++) {
        struct jwt_order order = plain;
        order.now_s = JWT_NOW + s;
        assert_true(jwt_signer_turn(signer, order.now_s, &number, error));
        assert_int_equal(number, 1 + s / 10);
        assert_int_equal(stat(path, &status), 0);
        tokens[s] = jwt_kit_mint(signer, &order, NULL);
        CLEANUP_FREE char *header = segment_text(tokens[s], 0);
        CLEANUP_FREE char *kid = xasprintf("\"kid\":\"key-%" PRIu64 "\"", number);
        assert_non_null(strstr(header, kid));
        struct jwks *now = file_keys(path, JWT_ES256);
        assert_true(before == NULL || knows(before, JWT_ES256, tokens[s], order.now_s));
        for (int old = s > 24 ? s - 24 : 0; old <= s; old++) {
            assert_true(knows(now, JWT_ES256, tokens[old], order.now_s));
        }
        jwks_free(s % 10 == 0 ? before : now);
        before = s % 10 == 0 ? now : before;
    }
    assert_int_equal(status.st_mode & 0777, 0644);
    /* The first key's last token ended at second 34, long ago at 60. */
    assert_true(jwt_signer_turn(signer, JWT_NOW + 60, &number, error));
    CLEANUP_FREE char *text = file_read(path, 1U << 20, NULL);
    assert_null(strstr(text, "key-1"));
    assert_non_null(strstr(text, "key-6"));
    for (int s = 0; s < 40; s++) {
        free(tokens[s]);
    }
    jwks_free(before);
    jwt_signer_free(signer);
}

/* A clock that is set back by an hour neither stops the keys nor ends one that is needed. */
static void keys_turn_when_the_clock_is_set_back(void **state)
{
    struct kit *kit = *state;
    CLEANUP_FREE char *path = kit_path(kit, "jwks.json");
    char error[256];
    uint64_t number;
    struct plan_jwt section = kit_jwt(2, PICK_SEQUENTIAL, 25);
    section.key = NULL;
    section.alg = JWT_ES256;
    section.jwks = path;
    section.key_rotate_ns = 10 * NS_PER_S;
    struct jwt_signer *signer = jwt_kit_signer(&section);
    struct jwt_order late = plain;
    late.now_s = JWT_NOW + 3600 + 9;
    assert_true(jwt_signer_turn(signer, JWT_NOW + 3600, &number, error));
    CLEANUP_FREE char *token = jwt_kit_mint(signer, &late, NULL);
    assert_true(jwt_signer_turn(signer, JWT_NOW + 3610, &number, error));
    assert_int_equal(number, 2);
    assert_true(jwt_signer_turn(signer, JWT_NOW, &number, error));
    assert_int_equal(number, 2);
    for (int turns = 1; turns <= 5; turns++) {
        assert_true(jwt_signer_turn(signer, JWT_NOW + 10 * turns, &number, error));
        assert_int_equal(number, 2 + turns);
    }
    struct jwks *jwks = file_keys(path, JWT_ES256);
    assert_true(knows(jwks, JWT_ES256, token, late.now_s));
    jwks_free(jwks);
    jwt_signer_free(signer);
}

static void a_key_set_that_cannot_be_written_keeps_the_key(void **state)
{
    struct kit *kit = *state;
    struct plan_jwt section = kit_jwt(2, PICK_SEQUENTIAL, 25);
    CLEANUP_FREE char *path = kit_path(kit, "folder/jwks.json");
    CLEANUP_FREE char *folder = kit_path(kit, "folder");
    char error[256] = "";
    uint64_t number = 77;
    section.key = NULL;
    section.alg = JWT_EDDSA;
    section.jwks = path;
    section.key_rotate_ns = 10 * NS_PER_S;
    struct jwt_signer *signer = jwt_kit_signer(&section);
    assert_false(jwt_signer_turn(signer, JWT_NOW, &number, error));
    assert_int_equal(number, 77);
    assert_non_null(strstr(error, strerror(ENOENT)));
    assert_true(file_make_dir(folder));
    assert_true(jwt_signer_turn(signer, JWT_NOW, &number, error));
    assert_int_equal(number, 1);
    assert_int_equal(remove(path), 0);
    assert_int_equal(rmdir(folder), 0);
    assert_false(jwt_signer_turn(signer, JWT_NOW + 10, &number, error));
    const struct signing_key *made = signer->coming; /* which takes a while for RSA */
    assert_non_null(made);
    assert_false(jwt_signer_turn(signer, JWT_NOW + 10, &number, error));
    assert_ptr_equal(signer->coming, made);
    CLEANUP_FREE char *token = jwt_kit_mint(signer, &plain, NULL);
    CLEANUP_FREE char *header = segment_text(token, 0);
    assert_non_null(strstr(header, "\"kid\":\"key-1\""));
    assert_true(file_make_dir(folder));
    assert_true(jwt_signer_turn(signer, JWT_NOW + 11, &number, error));
    assert_int_equal(number, 2);
    assert_ptr_equal(signer->upcoming, made);
    assert_null(signer->coming);
    jwt_signer_free(signer);
}

static void a_given_key_is_published(void **state)
{
    struct kit *kit = *state;
    CLEANUP_FREE char *path = kit_path(kit, "jwks.json");
    char error[256];
    uint64_t number;
    for (size_t i = JWT_HMACS; i < JWT_ALGS; i++) {
        struct jwt_kit one;
        struct plan_jwt more = {.jwks = path};
        jwt_kit_open(&one, i, &more);
        assert_true(jwt_signer_turn(one.signer, JWT_NOW, &number, error));
        assert_true(jwt_signer_turn(one.signer, JWT_NOW + 1000000, &number, error));
        assert_int_equal(number, 1);
        struct jwks *jwks = file_keys(path, jwt_algs[i].alg);
        CLEANUP_FREE char *token = jwt_kit_mint(one.signer, &plain, NULL);
        assert_true(knows(jwks, jwt_algs[i].alg, token, JWT_NOW));
        assert_null(jwks_find(jwks, "eyJraWQiOiJrZXktMiJ9.e30.AA", 27)); /* {"kid":"key-2"} */
        assert_non_null(jwks_find(jwks, "e30.e30.AA", 10));
        jwks_free(jwks);
        jwt_kit_close(&one);
    }
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
    expect_mistake("claims = {\"exp\": \"x\"}", "jwt.ini:7: jwt.claims: exp is not a time");
    expect_mistake("claims = {\"a\\u0075d\": 1}", "jwt.claims: write the member aud without");
    expect_mistake("claim_size = 99\nclaims = {\"pad\": 1}", "jwt.ini:8: jwt.claims: has a member");
    expect_mistake("count = 5\nclaims = {\"jti\": \"same\"}",
                   "jwt.ini:8: jwt.claims: give the same token every time");
    expect_mistake("alg = ES256", "jwt.ini:6: jwt.key: is not PEM");
    expect_mistake("kid = {kid}", "jwt.ini:7: unknown field {kid}");
    expect_mistake("kid = a{n}", "jwt.ini:7: jwt.kid: names a key, not a token");
    expect_mistake("jose = [1]", "jwt.ini:7: jwt.jose: is not a JSON object");
    expect_mistake("jose = {\"a\":}", "jwt.ini:7: jwt.jose: is not a JSON object: ");
    expect_mistake("jose = {\"alg\":\"none\"}", "jwt.ini:7: jwt.jose: cannot set alg");
}

static void keys_must_fit_the_algorithm(void **state)
{
    (void)state;
    struct plan plan = {.n_jwts = 0};
    static const enum key_type types[] = {KEY_RSA_2048, KEY_ECDSA_P256, KEY_ECDSA_P384,
                                          KEY_ED25519};
    static const char *const names[] = {"this is an RSA key of 2048 bits",
                                        "this is an EC key on P-256", "this is an EC key on P-384",
                                        "this is an Ed25519 key"};
    for (size_t k = 0; k < sizeof types / sizeof *types; k++) {
        struct evp_pkey_st *key = cert_key_new(types[k]);
        size_t len;
        CLEANUP_FREE char *pem = pem_from_key(key, &len);
        for (size_t i = JWT_HMACS; i < JWT_ALGS; i++) {
            struct diag *diag = diag_new();
            struct plan_jwt section = kit_jwt(2, PICK_SEQUENTIAL, 60);
            bool fits = jwt_algs[i].key_type == types[k];
            section.alg = jwt_algs[i].alg;
            section.key = pem;
            struct jwt_signer *signer = jwt_signer_new(&plan, &section, diag);
            assert_int_equal(signer != NULL, fits);
            assert_int_equal(diag_count(diag), fits ? 0 : 1);
            assert_true(fits || strstr(diag_text(diag, 0), names[k]) != NULL);
            assert_true(fits || strstr(diag_text(diag, 0), jwt_algs[i].name) != NULL);
            jwt_signer_free(signer);
            diag_free(diag);
        }
        cert_key_free(key);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(claims_are_added_where_absent),
        cmocka_unit_test(fields_are_filled_in_everywhere),
        cmocka_unit_test(empty_claims_become_an_object),
        cmocka_unit_test(the_header_has_kid_and_more),
        cmocka_unit_test(claims_are_padded),
        cmocka_unit_test(tokens_are_bound),
        cmocka_unit_test(every_algorithm_round_trips),
        cmocka_unit_test(bad_kinds_are_refused),
        cmocka_unit_test(the_public_key_is_the_secret),
        cmocka_unit_test(others_tokens_are_spoiled),
        cmocka_unit_test_setup_teardown(keys_rotate, kit_set_up, kit_tear_down),
        cmocka_unit_test_setup_teardown(keys_turn_when_the_clock_is_set_back, kit_set_up,
                                        kit_tear_down),
        cmocka_unit_test_setup_teardown(a_key_set_that_cannot_be_written_keeps_the_key, kit_set_up,
                                        kit_tear_down),
        cmocka_unit_test_setup_teardown(a_given_key_is_published, kit_set_up, kit_tear_down),
        cmocka_unit_test(mistakes_name_their_line),
        cmocka_unit_test(keys_must_fit_the_algorithm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
