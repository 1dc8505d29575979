/* What a plan derives of its identities: which certificate, key and token go together, whose rule
 * leads, where tokens are fetched, and what a [refuse] expects. */
#include "base/mem.h"
#include "base/mono.h"
#include "base/str.h"
#include "profile/profile.h"
#include "record/outcome.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define FILES  TEST_DATA "/profiles/"
#define TARGET "[target]\nurl = https://a.test:8443/\n"
#define MINT   "ca = " FILES "whole.ini\nca_key = " FILES "whole.ini\n"
#define SECRET "key = @" FILES "secret.txt\n"

static struct plan *load(const char *text)
{
    struct diag *diag = diag_new();
    struct plan *plan = profile_load_text("text", text, NULL, 0, diag);

    if (diag_count(diag) > 0) {
        diag_print(diag, stderr);
        fail_msg("%zu mistakes", diag_count(diag));
    }
    diag_free(diag);
    assert_non_null(plan);
    return plan;
}

/* The one mistake that the text makes; the caller frees it. */
static char *mistake_of(const char *text)
{
    struct diag *diag = diag_new();

    assert_null(profile_load_text("text", text, NULL, 0, diag));
    assert_int_equal(diag_count(diag), 1);
    char *mistake = xstrdup(diag_text(diag, 0));
    diag_free(diag);
    return mistake;
}

static void without_sections_everything_is_one_identity(void **state)
{
    struct plan *plan = load(TARGET "[cert web]\n" MINT "[apikey]\n[jwt]\n" SECRET);
    const struct plan_identity *identity = &plan->identities[0];

    (void)state;
    assert_int_equal(plan->n_identities, 1);
    assert_string_equal(identity->name, "default");
    assert_string_equal(identity->cert, "web");
    assert_ptr_equal(identity->with_cert, &plan->certs[0]);
    assert_ptr_equal(identity->with_apikey, &plan->apikeys[0]);
    assert_ptr_equal(identity->with_jwt, &plan->jwts[0]);
    assert_false(identity->bound);
    assert_true(identity->weight == 1);
    assert_int_equal(plan->jwts[0].rotate.kind, ROTATE_USES);
    plan_free(plan);
    plan = load(TARGET);
    assert_int_equal(plan->n_identities, 1);
    assert_null(plan->identities[0].with_cert);
    assert_false(plan->identities[0].bound);
    assert_int_equal(plan->n_refuses, 0);
    plan_free(plan);
}

static void tokens_of_certificates_bind(void **state)
{
    struct plan *plan = load(TARGET "[cert]\n" MINT "count = 7\nrotate = never\n[jwt]\n" SECRET
                                    "bind_certificate = yes\n");

    (void)state;
    assert_true(plan->identities[0].bound);
    assert_int_equal(plan->jwts[0].count, 7);
    assert_int_equal(plan->jwts[0].rotate.kind, ROTATE_NEVER);
    plan_free(plan);
    plan = load(TARGET "[cert]\n" MINT "[jwt]\ntoken_url = https://b.test/\n");
    assert_true(plan->identities[0].bound);
    plan_free(plan);
    plan =
        load(TARGET "[jwt]\ntoken_url = https://b.test/\nclient_secret = @" FILES "secret.txt\n");
    assert_false(plan->identities[0].bound);
    plan_free(plan);
}

static void sections_make_identities(void **state)
{
    struct plan *plan = load(TARGET "[cert a]\n" MINT "[cert b]\n" MINT
                                    "pick = zipf\nexponent = 3\nretire_after = 9\n"
                                    "[jwt b]\n" SECRET "[apikey free]\nrotate = never\n"
                                    "[jwt free]\n" SECRET "rotate = 3 uses\n"
                                    "[identity x]\ncert = a\nweight = 3\n"
                                    "[identity y]\ncert = b\njwt = b\n"
                                    "[identity z]\napikey = free\njwt = free\nbound = no\n");
    const struct plan_identity *y = &plan->identities[1];

    (void)state;
    assert_int_equal(plan->n_identities, 3);
    assert_string_equal(plan->identities[0].name, "x");
    assert_ptr_equal(plan->identities[0].with_cert, &plan->certs[0]);
    assert_null(plan->identities[0].with_jwt);
    assert_true(plan->identities[0].weight == 3);
    assert_true(y->bound);
    assert_ptr_equal(y->with_cert, &plan->certs[1]);
    assert_int_equal(y->with_jwt->pick, PICK_ZIPF);
    assert_true(y->with_jwt->exponent == 3 && y->with_jwt->retire_after == 9);
    assert_int_equal(plan->identities[2].with_jwt->rotate.uses, 3);
    assert_int_equal(plan->identities[2].with_apikey->rotate.kind, ROTATE_NEVER);
    plan_free(plan);
}

/* Without a certificate the key's rule leads. */
static void keys_lead_tokens(void **state)
{
    struct plan *plan = load(TARGET "[apikey k]\nrotate = 30s\ncount = 5\n[jwt t]\n" SECRET
                                    "[identity x]\napikey = k\njwt = t\n");

    (void)state;
    assert_int_equal(plan->jwts[0].rotate.kind, ROTATE_EVERY);
    assert_int_equal(plan->jwts[0].count, 5);
    plan_free(plan);
    CLEANUP_FREE char *mistake =
        mistake_of(TARGET "[apikey k]\n[jwt t]\n" SECRET
                          "rotate = never\n[identity x]\napikey = k\njwt = t\n");
    assert_string_equal(mistake, "text:6: jwt.rotate: of no use in [identity x], which is bound: "
                                 "the API key's rule leads (leave it out)");
}

static void something_carries_the_key(void **state)
{
    struct plan *plan = load(TARGET "[apikey]\n");

    (void)state;
    assert_string_equal(plan->apikeys[0].header, "X-API-Key");
    assert_null(plan->apikeys[0].scheme);
    plan_free(plan);
    plan = load(TARGET "[apikey]\nscheme = ApiKey\n");
    assert_string_equal(plan->apikeys[0].header, "Authorization");
    plan_free(plan);
    plan = load(TARGET "[apikey]\nscheme = ApiKey\nheader = X-K\n");
    assert_string_equal(plan->apikeys[0].header, "X-K");
    plan_free(plan);
    plan = load(TARGET "[apikey]\nquery = key\n");
    assert_null(plan->apikeys[0].header);
    assert_string_equal(plan->apikeys[0].query, "key");
    plan_free(plan);
    CLEANUP_FREE char *mistake = mistake_of(TARGET "[apikey]\nscheme = ApiKey\n[jwt]\n" SECRET);
    assert_string_equal(mistake, "text:4: apikey.header: the same as jwt.header");
}

static void tokens_are_fetched_as_the_target_is_reached(void **state)
{
    struct plan *plan = load("[target]\nurl = https://a.test:8443/\nsni = b.test\nhost = c.test\n"
                             "connect_to = 127.0.0.1:1\nserver_ca = " FILES "whole.ini\n"
                             "tls_min = 1.3\ntimeout.exchange = 50s\nverify = always\n"
                             "[cert]\n" MINT "[jwt]\ntoken_url = https://[::1]:9443/t?x\n");
    const struct plan_target *t = &plan->jwts[0].token_target;

    (void)state;
    assert_string_equal(t->dial_host, "::1");
    assert_int_equal(t->dial_port, 9443);
    assert_string_equal(t->host_header, "[::1]:9443");
    assert_string_equal(t->url_path, "/t?x");
    assert_null(t->server_name);
    assert_string_equal(t->verify_name, "::1");
    assert_string_equal(t->server_ca, plan->target.server_ca);
    assert_int_equal(t->tls_min, TLS_VERSION_1_3);
    assert_int_equal(t->verify, VERIFY_ALWAYS);
    assert_int_equal(t->timeout_exchange_ns, 50 * NS_PER_S);
    assert_string_equal(t->groups, "X25519:P-256");
    plan_free(plan);
    plan = load(TARGET "[cert]\n" MINT "[jwt]\ntoken_url = https://b.test/\ntoken_ca = " FILES
                       "secret.txt\n");
    assert_string_equal(plan->jwts[0].token_target.server_ca, FILES "secret.txt");
    assert_string_equal(plan->jwts[0].token_target.server_name, "b.test");
    plan_free(plan);
}

static void certificates_rotate_when_connections_end(void **state)
{
    static const struct {
        const char *rule, *more;
        const char *mistake;
    } cases[] = {
        {"connection", "", NULL},
        {"never", "", NULL},
        {"30s", "", "connections never end"},
        {"5 uses", "", "connections never end"},
        {"30s", "[pace]\nrequests_per_connection = 4\n", NULL},
        {"30s", "[run]\nduration = 10m\n[attribution]\nmode = crossover\n", NULL},
        {"request", "[pace]\nrequests_per_connection = 4\n", "request needs"},
        {"request", "", "request needs"},
        {"request", "[pace]\nrequests_per_connection = 1\n", NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        CLEANUP_FREE char *text =
            xasprintf(TARGET "[cert]\n" MINT "rotate = %s\n%s", cases[i].rule, cases[i].more);
        if (cases[i].mistake == NULL) {
            plan_free(load(text));
        } else {
            CLEANUP_FREE char *mistake = mistake_of(text);
            assert_non_null(strstr(mistake, "text:6: cert.rotate: "));
            assert_non_null(strstr(mistake, cases[i].mistake));
        }
    }
}

static void keys_may_be_made_for_the_run(void **state)
{
    struct plan *plan = load(TARGET "[jwt]\nalg = ES256\njwks = " FILES "made.json\n"
                                    "key_rotate = 1m\nlifetime = 10m\n");

    (void)state;
    assert_null(plan->jwts[0].key);
    assert_int_equal(plan->jwts[0].key_rotate_ns, 60 * NS_PER_S);
    plan_free(plan);
}

#define REFUSE TARGET "[apikey]\n[refuse r]\napikey = none\n"

static void expectations_are_read(void **state)
{
    struct plan *plan = load(REFUSE);
    const struct plan_refuse *refuse = &plan->refuses[0];

    (void)state;
    assert_true(refuse->expect.any && !refuse->expect.alert && refuse->expect.n_status == 0);
    assert_ptr_equal(refuse->base, &plan->identities[0]);
    assert_true(refuse->share == 0.01);
    plan_free(plan);
    plan = load(REFUSE "expect = alert\n");
    assert_true(plan->refuses[0].expect.alert && !plan->refuses[0].expect.any);
    assert_null(plan->refuses[0].expect.alert_name);
    plan_free(plan);
    plan = load(REFUSE "expect = 401 ,  alert   unknown_ca,100,599\n");
    refuse = &plan->refuses[0];
    assert_true(refuse->expect.alert && !refuse->expect.any);
    assert_string_equal(refuse->expect.alert_name, "unknown_ca");
    assert_int_equal(refuse->expect.n_status, 3);
    assert_int_equal(refuse->expect.status[0], 401);
    assert_int_equal(refuse->expect.status[2], 599);
    plan_free(plan);
}

/* Every alert that an outcome can name may be expected. */
static void each_alert_may_be_expected(void **state)
{
    (void)state;
    for (int description = 1; description < 256; description++) {
        const char *name = outcome_alert_name(description);
        if (str_has_prefix(name, "alert ")) {
            continue;
        }
        CLEANUP_FREE char *text = xasprintf(REFUSE "expect = alert %s\n", name);
        struct plan *plan = load(text);
        assert_string_equal(plan->refuses[0].expect.alert_name, name);
        plan_free(plan);
    }
}

static void a_refusal_has_its_identity(void **state)
{
    struct plan *plan = load(TARGET "[cert a]\n" MINT "[apikey b]\n[identity a]\ncert = a\n"
                                    "[identity b]\napikey = b\n[refuse r]\ncert = expired\n"
                                    "[refuse s]\nidentity = b\napikey = unknown\nshare = 50%\n"
                                    "[refuse t]\ncert = none\nshare = 39%\n");

    (void)state;
    assert_ptr_equal(plan->refuses[0].base, &plan->identities[0]);
    assert_ptr_equal(plan->refuses[1].base, &plan->identities[1]);
    assert_int_equal(plan->refuses[0].cert, BAD_CERT_EXPIRED);
    assert_int_equal(plan->refuses[1].apikey, BAD_APIKEY_UNKNOWN);
    plan_free(plan);
}

/* A stored plan is not checked, but must hold together. */
static void a_stored_profile_keeps_its_identities(void **state)
{
    struct diag *diag = diag_new();
    struct plan *plan = profile_load_stored(FILES "identities.ini", diag);

    (void)state;
    assert_int_equal(diag_count(diag), 0);
    assert_non_null(plan);
    assert_ptr_equal(plan->identities[0].with_cert, &plan->certs[0]);
    assert_null(plan->identities[2].with_cert);
    plan_free(plan);
    plan = profile_load_stored(FILES "refuse.ini", diag);
    assert_non_null(plan);
    assert_int_equal(diag_count(diag), 0);
    for (size_t i = 0; i < plan->n_refuses; i++) {
        assert_non_null(plan->refuses[i].base);
    }
    plan_free(plan);
    diag_free(diag);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_sections_everything_is_one_identity),
        cmocka_unit_test(tokens_of_certificates_bind),
        cmocka_unit_test(sections_make_identities),
        cmocka_unit_test(keys_lead_tokens),
        cmocka_unit_test(something_carries_the_key),
        cmocka_unit_test(tokens_are_fetched_as_the_target_is_reached),
        cmocka_unit_test(certificates_rotate_when_connections_end),
        cmocka_unit_test(keys_may_be_made_for_the_run),
        cmocka_unit_test(expectations_are_read),
        cmocka_unit_test(each_alert_may_be_expected),
        cmocka_unit_test(a_refusal_has_its_identity),
        cmocka_unit_test(a_stored_profile_keeps_its_identities),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
