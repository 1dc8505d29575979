#include "ident/apikey.h"
#include "ident/cert.h"
#include "ident/jwt.h"
#include "ident/mint_events.h"
#include "ident/mint_predict.h"

#include "base/file.h"
#include "base/str.h"

#include <openssl/pool.h>
#include <string.h>

#include "mint_kit.h"

/* Bound to the certificate, and signed: as a server would see it. */
static enum jwt_verdict verify(const struct mint_kit *mk, const struct credential *token,
                               const struct cert *cert, int64_t now_s)
{
    unsigned char thumbprint[32];
    char sub[64];
    cert_thumbprint(cert, thumbprint);
    const struct jwt_policy policy = {.alg = mk->jwt.alg,
                                      .secret = mk->jwt.key,
                                      .secret_len = strlen(mk->jwt.key),
                                      .thumbprint = thumbprint,
                                      .must_be_bound = true};
    return jwt_verify(&policy, token->text, token->text_len, now_s, sub, sizeof sub);
}

static void check_persona(const struct mint_kit *mk, const struct credential *persona,
                          int64_t now_s)
{
    char text[256];
    CLEANUP_FREE char *name = xasprintf("CN=client-%llu ", (unsigned long long)persona->n);
    CLEANUP_FREE char *key = apikey_generate(&mk->apikey, persona->n, "run-1");
    const struct credential *cert = persona->part[CREDENTIAL_CERT];
    const struct credential *token = persona->part[CREDENTIAL_JWT];
    assert_non_null(cert);
    assert_non_null(token);
    cert_describe(cert->cert, text, sizeof text);
    assert_true(str_has_prefix(text, name));
    assert_string_equal(persona->part[CREDENTIAL_APIKEY]->text, key);
    assert_int_equal(verify(mk, token, cert->cert, now_s), JWT_GOOD);
    assert_int_equal(cert->n, persona->n);
    assert_int_equal(token->n, persona->n);
    assert_int_equal(persona->not_after_s, token->not_after_s < cert->not_after_s
                                               ? token->not_after_s
                                               : cert->not_after_s);
}

/* Client n has certificate, key and token n, and the token is bound to the certificate. */
static void personas_belong_together(void **state)
{
    struct mint_kit *mk = *state;
    mint_kit_plan(mk, true, true, true, true);
    mk->cert.count = 5;
    mk->jwt.bind_certificate = true;
    struct mint *mint = mint_kit_new(mk, 2, NULL);
    assert_non_null(mint);
    bool seen[6] = {false};
    for (unsigned worker = 0; worker < 2; worker++) {
        struct pool *pool = mint_pool(mint, worker, 0, CREDENTIAL_PERSONA);
        assert_non_null(pool);
        assert_true(pool_per_connection(pool));
        assert_null(mint_pool(mint, worker, 0, CREDENTIAL_CERT));
        assert_null(mint_pool(mint, worker, 0, CREDENTIAL_JWT));
        for (int i = 0; i < 6; i++) {
            bool first;
            struct credential *persona = pool_take(pool, 0, wall_s(), &first);
            assert_int_equal((persona->n - 1) % 2, worker);
            check_persona(mk, persona, wall_s());
            for (int kind = 0; kind < CREDENTIAL_PARTS; kind++) {
                assert_int_equal(credential_claim(persona->part[kind]), !seen[persona->n]);
            }
            seen[persona->n] = true;
            pool_drop(pool, persona);
        }
    }
    mint_free(mint);
}

/* The token alone is made again: certificate and key are the same, and were seen already. */
static void only_the_stale_is_renewed(void **state)
{
    struct mint_kit *mk = *state;
    mint_kit_plan(mk, true, true, true, true);
    mk->cert.count = 1;
    mk->jwt.bind_certificate = true;
    struct mint *mint = mint_kit_new(mk, 1, NULL);
    struct pool *pool = mint_pool(mint, 0, 0, CREDENTIAL_PERSONA);
    int64_t start_s = wall_s();
    bool first;
    struct credential *old = pool_take(pool, 0, start_s, &first), *new;
    for (int kind = 0; kind < CREDENTIAL_PARTS; kind++) {
        assert_true(credential_claim(old->part[kind]));
    }
    mint_start(mint);
    do {
        new = take_soon(pool, 0, start_s + 310, &first);
        pool_drop(pool, new);
    } while (new == old);
    check_persona(mk, new, start_s + 310);
    assert_ptr_equal(new->part[CREDENTIAL_CERT]->cert, old->part[CREDENTIAL_CERT]->cert);
    assert_false(credential_claim(new->part[CREDENTIAL_CERT]));
    assert_false(credential_claim(new->part[CREDENTIAL_APIKEY]));
    assert_true(credential_claim(new->part[CREDENTIAL_JWT]));
    assert_string_not_equal(new->part[CREDENTIAL_JWT]->text, old->part[CREDENTIAL_JWT]->text);
    assert_int_equal(new->part[CREDENTIAL_JWT]->not_after_s, start_s + 310 + 400);
    pool_drop(pool, old);
    mint_free(mint);
}

/* A new certificate draws a new token after it, which is bound to it. */
static void a_token_follows_its_certificate(void **state)
{
    struct mint_kit *mk = *state;
    mint_kit_plan(mk, true, false, true, true);
    mk->cert.count = 1;
    mk->jwt.bind_certificate = true;
    mk->jwt.lifetime_ns = 10 * mk->cert.lifetime_ns;
    struct mint *mint = mint_kit_new(mk, 1, NULL);
    struct pool *pool = mint_pool(mint, 0, 0, CREDENTIAL_PERSONA);
    int64_t later_s = wall_s() + 86400 - 1000;
    bool first;
    struct credential *old = pool_take(pool, 0, wall_s(), &first), *new;
    mint_start(mint);
    do {
        new = take_soon(pool, 0, later_s, &first);
        pool_drop(pool, new);
    } while (new == old);
    assert_ptr_not_equal(new->part[CREDENTIAL_CERT]->cert, old->part[CREDENTIAL_CERT]->cert);
    assert_int_equal(
        verify(mk, new->part[CREDENTIAL_JWT], new->part[CREDENTIAL_CERT]->cert, later_s), JWT_GOOD);
    pool_drop(pool, old);
    mint_free(mint);
    mk->jwt = kit_jwt(10, PICK_SEQUENTIAL, 400);
    mk->jwt.name = mk->cert.name;
}

/* Fewer clients than workers: they share, and each part is new once. */
static void shared_parts_are_new_once(void **state)
{
    struct mint_kit *mk = *state;
    mint_kit_plan(mk, true, true, false, true);
    mk->cert.count = 2;
    struct mint *mint = mint_kit_new(mk, 5, NULL);
    unsigned n_new = 0;
    for (unsigned worker = 5; worker-- > 0;) {
        bool first;
        struct pool *pool = mint_pool(mint, worker, 0, CREDENTIAL_PERSONA);
        struct credential *persona = pool_take(pool, 0, wall_s(), &first);
        assert_int_equal(persona->n, worker % 2 + 1);
        n_new += credential_claim(persona->part[CREDENTIAL_CERT]);
        n_new += credential_claim(persona->part[CREDENTIAL_APIKEY]);
        pool_drop(pool, persona);
    }
    assert_int_equal(n_new, 4);
    mint_free(mint);
    mk->cert.count = 10;
}

static void expect_mistake(struct mint_kit *mk, const char *part)
{
    struct diag *diag = diag_new();
    mint_check(&mk->plan, diag);
    assert_int_equal(diag_count(diag), 1);
    assert_non_null(strstr(diag_text(diag, 0), part));
    const struct mint_job job = {.plan = &mk->plan, .n_workers = 1, .run_id = "run-1"};
    assert_null(mint_new(&job, diag));
    assert_int_equal(diag_count(diag), 2);
    diag_free(diag);
}

static void counts_must_agree(void **state)
{
    struct mint_kit *mk = *state;
    CLEANUP_FREE char *path = kit_path(&mk->kit, "keys");
    assert_true(file_write(path, "one\ntwo\n", 8, 0600));
    mint_kit_plan(mk, true, true, false, true);
    mk->apikey.path = path;
    expect_mistake(mk, "identity x: 10 certificates but 2 keys");
    mk->cert.count = 2;
    struct diag *diag = diag_new();
    mint_check(&mk->plan, diag);
    assert_int_equal(diag_count(diag), 0);
    diag_free(diag);
    mk->cert.count = 10;
    mk->apikey.path = NULL;
}

/* Two identities: each has pools of its own. */
static void identities_are_apart(void **state)
{
    struct mint_kit *mk = *state;
    mint_kit_plan(mk, true, true, false, false);
    struct plan_identity two[2] = {mk->identity, mk->identity};
    two[0].with_apikey = NULL;
    two[1].with_cert = NULL;
    mk->plan.identities = two;
    mk->plan.n_identities = 2;
    struct mint *mint = mint_kit_new(mk, 1, NULL);
    assert_non_null(mint_pool(mint, 0, 0, CREDENTIAL_CERT));
    assert_null(mint_pool(mint, 0, 0, CREDENTIAL_APIKEY));
    assert_null(mint_pool(mint, 0, 1, CREDENTIAL_CERT));
    assert_non_null(mint_pool(mint, 0, 1, CREDENTIAL_APIKEY));
    assert_int_equal(pool_kind(mint_pool(mint, 0, 1, CREDENTIAL_APIKEY)), CREDENTIAL_APIKEY);
    mint_free(mint);
}

static struct credential *refused(struct mint_kit *mk, const struct plan_refuse *refuse,
                                  struct mint **ret_mint)
{
    struct plan_refuse *kept = xmalloc(sizeof *kept);
    *kept = *refuse;
    kept->base = &mk->identity;
    mk->plan.refuses = kept;
    mk->plan.n_refuses = 1;
    struct mint *mint = mint_kit_new(mk, 1, NULL);
    assert_non_null(mint);
    bool first;
    *ret_mint = mint;
    return pool_take(mint_refusals(mint, 0, 0), 0, wall_s(), &first);
}

static void drop_refused(struct mint_kit *mk, struct mint *mint, struct credential *persona)
{
    pool_drop(mint_refusals(mint, 0, 0), persona);
    mint_free(mint);
    free(mk->plan.refuses);
    mk->plan.n_refuses = 0;
}

/* What is bad is bad, and all else is as a good client has it, with a number of its own. */
static void refusals_are_bad_in_one_way(void **state)
{
    struct mint_kit *mk = *state;
    CLEANUP_FREE char *path = kit_path(&mk->kit, "bad/revoked.pem");
    const struct plan_refuse refuses[] = {
        {.cert = BAD_CERT_NONE},
        {.cert = BAD_CERT_EXPIRED},
        {.cert = BAD_CERT_UNKNOWN_CA},
        {.cert = BAD_CERT_WRONG_KEY},
        {.cert = BAD_CERT_REVOKED, .path = path},
        {.jwt = BAD_JWT_NONE},
        {.jwt = BAD_JWT_EXPIRED},
        {.jwt = BAD_JWT_WRONG_SIGNATURE},
        {.jwt = BAD_JWT_ALG_NONE},
        {.jwt = BAD_JWT_OTHER_CERTIFICATE},
        {.apikey = BAD_APIKEY_NONE},
        {.apikey = BAD_APIKEY_UNKNOWN},
    };
    mint_kit_plan(mk, true, true, true, true);
    mk->jwt.bind_certificate = true;
    for (size_t i = 0; i < sizeof refuses / sizeof refuses[0]; i++) {
        const struct plan_refuse *refuse = &refuses[i];
        struct mint *mint;
        struct credential *persona = refused(mk, refuse, &mint);
        struct credential *cert = persona->part[CREDENTIAL_CERT];
        struct credential *key = persona->part[CREDENTIAL_APIKEY];
        struct credential *token = persona->part[CREDENTIAL_JWT];
        assert_int_equal(persona->n, 11);
        assert_int_equal(cert == NULL, refuse->cert == BAD_CERT_NONE);
        assert_int_equal(key == NULL, refuse->apikey == BAD_APIKEY_NONE);
        assert_int_equal(token == NULL, refuse->jwt == BAD_JWT_NONE);
        if (cert != NULL) {
            assert_int_equal(cert->not_after_s <= wall_s(), refuse->cert == BAD_CERT_EXPIRED);
            assert_int_equal(cert->cert->foreign_key, refuse->cert == BAD_CERT_WRONG_KEY);
        }
        if (key != NULL) {
            assert_int_equal(apikey_verify(key->text, key->text_len, mk->apikey.secret,
                                           strlen(mk->apikey.secret)),
                             refuse->apikey == BAD_APIKEY_NOT);
        }
        if (token != NULL && cert != NULL) {
            const enum jwt_verdict expected[] = {
                [BAD_JWT_NOT] = JWT_GOOD,
                [BAD_JWT_EXPIRED] = JWT_EXPIRED,
                [BAD_JWT_WRONG_SIGNATURE] = JWT_WRONG_SIGNATURE,
                [BAD_JWT_ALG_NONE] = JWT_WRONG_ALG,
                [BAD_JWT_OTHER_CERTIFICATE] = JWT_WRONG_CERTIFICATE,
            };
            assert_int_equal(verify(mk, token, cert->cert, wall_s()), expected[refuse->jwt]);
        }
        drop_refused(mk, mint, persona);
    }
}

/* Fresh clients and refusals take their numbers from one row. */
static void refusals_do_not_clash(void **state)
{
    struct mint_kit *mk = *state;
    mint_kit_plan(mk, false, true, false, true);
    struct plan_refuse refuse[2] = {{.apikey = BAD_APIKEY_UNKNOWN}, {.apikey = BAD_APIKEY_UNKNOWN}};
    mk->apikey.pick = PICK_FRESH;
    refuse[0].base = refuse[1].base = &mk->identity;
    mk->plan.refuses = refuse;
    mk->plan.n_refuses = 2;
    struct mint *mint = mint_kit_new(mk, 1, NULL);
    struct pool *pools[3] = {mint_pool(mint, 0, 0, CREDENTIAL_APIKEY), mint_refusals(mint, 0, 0),
                             mint_refusals(mint, 0, 1)};
    unsigned char seen[20000] = {0};
    mint_start(mint);
    for (int i = 0; i < 3000; i++) {
        bool first;
        struct credential *taken = take_soon(pools[i % 3], 0, wall_s(), &first);
        assert_in_range(taken->n, 1, sizeof seen - 1);
        assert_int_equal(seen[taken->n]++, 0);
        pool_drop(pools[i % 3], taken);
    }
    mint_free(mint);
    mk->apikey.pick = PICK_SEQUENTIAL;
    mk->plan.n_refuses = 0;
}

/* Keys for a query are encoded once, a spoiled one too. */
static void queries_are_encoded(void **state)
{
    static char template[] = "a b/{n}", query[] = "key";
    struct mint_kit *mk = *state;
    mint_kit_plan(mk, false, true, false, true);
    mk->apikey.template = template;
    mk->apikey.query = query;
    struct mint *mint = mint_kit_new(mk, 1, NULL);
    struct pool *pool = mint_pool(mint, 0, 0, CREDENTIAL_APIKEY);
    bool first;
    struct credential *key = pool_take(pool, 0, wall_s(), &first);
    assert_string_equal(key->text, "a%20b%2F1");
    assert_int_equal(key->text_len, strlen(key->text));
    pool_drop(pool, key);
    mint_free(mint);
    mk->apikey = kit_apikey(10, PICK_SEQUENTIAL, (struct rotate){.kind = ROTATE_CONNECTION});
    mk->apikey.name = mk->cert.name;
}

/* The key set is there before the first token, and a new key joins it in time. */
static void signing_keys_turn(void **state)
{
    struct mint_kit *mk = *state;
    CLEANUP_FREE char *path = kit_path(&mk->kit, "jwks.json");
    mint_kit_plan(mk, false, false, true, true);
    mk->jwt.alg = JWT_ES256;
    mk->jwt.key = NULL;
    mk->jwt.jwks = path;
    mk->jwt.key_rotate_ns = NS_PER_S;
    mk->jwt.pick = PICK_FRESH;
    struct diag *diag = diag_new();
    mint_check(&mk->plan, diag);
    assert_int_equal(diag_count(diag), 0);
    assert_int_equal(access(path, F_OK), -1);
    diag_free(diag);
    struct mint *mint = mint_kit_new(mk, 1, NULL);
    CLEANUP_FREE char *before = file_read(path, 1 << 20, NULL);
    assert_non_null(before);
    assert_non_null(strstr(before, "key-1"));
    mint_start(mint);
    for (bool turned = false; !turned;) {
        CLEANUP_FREE char *now = file_read(path, 1 << 20, NULL);
        assert_non_null(now);
        turned = strstr(now, "key-3") != NULL;
        usleep(1000);
    }
    mint_stop(mint);
    assert_null(mint_events(mint));
    mint_free(mint);
    CLEANUP_FREE char *nowhere = kit_path(&mk->kit, "nowhere/jwks.json");
    mk->jwt.jwks = nowhere;
    diag = diag_new();
    const struct mint_job job = {.plan = &mk->plan, .n_workers = 1, .run_id = "run-1"};
    assert_null(mint_new(&job, diag));
    assert_non_null(strstr(diag_text(diag, 0), "jwt.jwks: "));
    diag_free(diag);
    mk->jwt = kit_jwt(10, PICK_SEQUENTIAL, 400);
    mk->jwt.name = mk->cert.name;
}

/* However much befalls, the list is bounded, and says what it left out. */
static void events_are_bounded(void **state)
{
    (void)state;
    struct events *events = events_new();
    for (int cause = 0; cause < EVENT_CAUSES; cause++) {
        for (int i = 0; i < 100; i++) {
            events_add(events, (enum event_cause)cause, "%d of %d", i, cause);
        }
    }
    struct mint_event *list = events_take(events);
    size_t n = 0;
    assert_string_equal(list->text, "0 of 0");
    for (const struct mint_event *event = list; event != NULL; event = event->next) {
        assert_true(event->next == NULL || event->next->at_ns >= event->at_ns);
        n++;
    }
    assert_int_equal(n, EVENT_CAUSES * EVENTS_BURST);
    events_drop(list);
    assert_null(events_take(events));
    events_free(events);
}

static uint64_t pretended_ns;

static uint64_t pretended_now(void)
{
    return pretended_ns;
}

/* Unread for long, and with a clock that lets every burst through. */
static void unread_events_are_bounded(void **state)
{
    (void)state;
    struct events *events = events_new();
    mono_replace(pretended_now);
    for (int i = 0; i < 3 * EVENTS_UNREAD_MAX; i++) {
        pretended_ns += EVENTS_WINDOW_NS;
        events_add(events, EVENT_FETCH, "%d", i);
    }
    struct mint_event *list = events_take(events), *event = list;
    size_t n = 1;
    for (; event->next != NULL; event = event->next) {
        n++;
    }
    assert_int_equal(n, EVENTS_UNREAD_MAX + 1);
    assert_string_equal(event->text, "and 2000 more events");
    events_drop(list);
    for (int i = 0; i < 50; i++) {
        events_add(events, EVENT_FETCH, "%d", i);
    }
    events_drop(events_take(events));
    pretended_ns += EVENTS_WINDOW_NS;
    list = events_take(events);
    assert_non_null(strstr(list->text, "more events, of token endpoints"));
    events_drop(list);
    mono_replace(NULL);
    events_free(events);
}

static void take_many(struct pool *pool, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        bool first;
        struct credential *persona = take_soon(pool, 0, wall_s(), &first);
        assert_true(first);
        pool_drop(pool, persona);
    }
}

/* 20,000 more clients, each with a certificate that never was, leave nothing behind: at most what
 * is under way, two batches of 64 with some KiB each. */
static void certificates_leave_nothing(void **state)
{
    struct mint_kit *mk = *state;
    mint_kit_plan(mk, true, true, false, true);
    mk->cert.pick = PICK_FRESH;
    mk->cert.key_per_cert = false;
    struct mint *mint = mint_kit_new(mk, 1, NULL);
    struct pool *pool = mint_pool(mint, 0, 0, CREDENTIAL_PERSONA);
    mint_start(mint);
    take_many(pool, 2000);
    size_t before = allocated_bytes();
    take_many(pool, 20000);
    size_t after = allocated_bytes();
    assert_true(after < before + 2 * 64 * 4096);
    mint_free(mint);
    mk->cert.pick = PICK_SEQUENTIAL;
}

/* What is measured is what this machine does: more keys a second than certificates, and nothing
 * that is wrong. */
static void rates_are_predicted(void **state)
{
    struct mint_kit *mk = *state;
    struct diag *diag = diag_new();
    double per_s[2];
    for (int i = 0; i < 2; i++) {
        mint_kit_plan(mk, i == 0, i == 1, false, true);
        per_s[i] = mint_predict_per_s(&mk->plan, mk->plan.identities, diag);
        assert_true(per_s[i] > 0);
    }
    assert_true(per_s[1] > 2 * per_s[0]);
    assert_int_equal(diag_count(diag), 0);
    static char wrong[] = "{what}";
    mk->apikey.template = wrong;
    assert_true(mint_predict_per_s(&mk->plan, mk->plan.identities, diag) == 0);
    assert_int_equal(diag_count(diag), 1);
    diag_free(diag);
}

int main(void)
{
    (void)mallopt(M_ARENA_MAX, 1);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(personas_belong_together),
        cmocka_unit_test(only_the_stale_is_renewed),
        cmocka_unit_test(a_token_follows_its_certificate),
        cmocka_unit_test(shared_parts_are_new_once),
        cmocka_unit_test(counts_must_agree),
        cmocka_unit_test(identities_are_apart),
        cmocka_unit_test(refusals_are_bad_in_one_way),
        cmocka_unit_test(refusals_do_not_clash),
        cmocka_unit_test(queries_are_encoded),
        cmocka_unit_test(signing_keys_turn),
        cmocka_unit_test(events_are_bounded),
        cmocka_unit_test(unread_events_are_bounded),
        cmocka_unit_test(certificates_leave_nothing),
        cmocka_unit_test(rates_are_predicted),
    };
    return cmocka_run_group_tests(tests, mint_kit_set_up, mint_kit_tear_down);
}
