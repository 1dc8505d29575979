#include "ident/cert.h"
#include "ident/endpoint.h"

#include "base/str.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "mint_kit.h"

/* An endpoint in place of the network: it answers at once, or not, and remembers what it was
 * asked. */
static struct {
    atomic_bool broken;
    atomic_uint n_asked, n_open;
    atomic_uint n_strangers;                  /* that came without a valid certificate */
    char answer[256];                         /* set before the threads */
    char form[512], subject[256], thread[32]; /* of the last, while nothing runs */
    char refused[32]; /* what forms of this client hold; set before the threads */
    pthread_mutex_t lock;
} server = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void *server_open(const struct plan *plan, const struct plan_jwt *section, struct diag *diag)
{
    (void)plan;
    (void)section;
    (void)diag;
    atomic_fetch_add(&server.n_open, 1);
    return &server;
}

static void server_close(void *state)
{
    assert_ptr_equal(state, &server);
    atomic_fetch_sub(&server.n_open, 1);
}

static bool server_fetch(void *state, const struct cert *cert, const char *form, size_t form_len,
                         char **ret_body, char error[TOKEN_ERROR])
{
    assert_ptr_equal(state, &server);
    unsigned n = atomic_fetch_add(&server.n_asked, 1) + 1;
    (void)pthread_mutex_lock(&server.lock);
    (void)pthread_getname_np(pthread_self(), server.thread, sizeof server.thread);
    (void)snprintf(server.form, sizeof server.form, "%.*s", (int)form_len, form);
    server.subject[0] = '\0';
    if (cert == NULL || cert->not_after_s <= wall_s()) {
        atomic_fetch_add(&server.n_strangers, 1);
    }
    if (cert != NULL) {
        cert_describe(cert, server.subject, sizeof server.subject);
    }
    (void)pthread_mutex_unlock(&server.lock);
    bool refused = server.refused[0] != '\0' && strstr(server.form, server.refused) != NULL;
    if (refused) {
        (void)snprintf(error, TOKEN_ERROR, "status 401");
        return false;
    }
    if (atomic_load(&server.broken)) {
        (void)snprintf(error, TOKEN_ERROR, "status 503");
        return false;
    }
    const char *mark = strchr(server.answer, '#');
    *ret_body = mark == NULL ? xstrdup(server.answer)
                             : xasprintf("%.*s%u%s", (int)(mark - server.answer), server.answer, n,
                                         mark + 1);
    return true;
}

static const struct token_fetcher fetcher = {server_open, server_fetch, server_close};

static const char good_answer[] =
    "{\"access_token\":\"token-#\",\"token_type\":\"bearer\",\"expires_in\":400}";

static void set_up(struct mint_kit *mk, bool bound, const char *answer)
{
    static char url[] = "https://idp.test/token", id[] = "client-{n}", params[] = "scope=a b&x=%2F";
    static char secret[] = "s&{n}";
    mint_kit_plan(mk, true, false, true, bound);
    mk->cert.count = 3;
    mk->jwt.key = NULL;
    mk->jwt.token_url = url;
    mk->jwt.client_id = id;
    mk->jwt.client_secret = secret;
    mk->jwt.token_params = params;
    mk->jwt.renew_before_ns = 100 * NS_PER_S;
    mk->jwt.count = 3;
    (void)str_copy(server.answer, sizeof server.answer, answer);
    server.refused[0] = '\0';
    atomic_store(&server.broken, false);
    atomic_store(&server.n_asked, 0);
    atomic_store(&server.n_strangers, 0);
}

/* Client n asks with certificate n, before the start; later only the fetching thread does. */
static void tokens_are_fetched(void **state)
{
    struct mint_kit *mk = *state;
    bool first;
    set_up(mk, true, good_answer);
    struct mint *mint = mint_kit_new(mk, 1, &fetcher);
    assert_non_null(mint);
    assert_int_equal(atomic_load(&server.n_asked), 3);
    assert_string_equal(server.form, "grant_type=client_credentials&client_id=client-3&client_"
                                     "secret=s%263&scope=a%20b&x=%2F");
    assert_true(str_has_prefix(server.subject, "CN=client-3 "));
    struct pool *pool = mint_pool(mint, 0, 0, CREDENTIAL_PERSONA);
    int64_t start_s = wall_s();
    struct credential *old = pool_take(pool, 0, start_s, &first), *new;
    assert_string_equal(old->part[CREDENTIAL_JWT]->text, "token-1");
    assert_in_range(old->part[CREDENTIAL_JWT]->not_after_s, start_s + 390, start_s + 400);
    assert_true(credential_claim(old->part[CREDENTIAL_CERT]));
    mint_start(mint);
    do {
        new = take_soon(pool, 0, start_s + 320, &first);
        pool_drop(pool, new);
    } while (new->n != 1 || new == old);
    assert_ptr_equal(new->part[CREDENTIAL_CERT], old->part[CREDENTIAL_CERT]);
    assert_string_not_equal(new->part[CREDENTIAL_JWT]->text, "token-1");
    pool_drop(pool, old);
    mint_free(mint);
    assert_string_equal(server.thread, "tlsoak-fetch");
    assert_int_equal(atomic_load(&server.n_open), 0);
}

/* Tokens of clients that are not bound are asked for with a certificate of that number too. */
static void unbound_ones_show_a_certificate(void **state)
{
    struct mint_kit *mk = *state;
    set_up(mk, false, good_answer);
    struct mint *mint = mint_kit_new(mk, 1, &fetcher);
    assert_non_null(mint);
    assert_true(str_has_prefix(server.subject, "CN=client-3 "));
    assert_non_null(mint_pool(mint, 0, 0, CREDENTIAL_CERT));
    mint_free(mint);
}

/* An endpoint that fails is asked again, after growing pauses; the events say why. */
static void failures_are_retried(void **state)
{
    struct mint_kit *mk = *state;
    bool first;
    set_up(mk, true, good_answer);
    struct mint *mint = mint_kit_new(mk, 1, &fetcher);
    struct pool *pool = mint_pool(mint, 0, 0, CREDENTIAL_PERSONA);
    int64_t late_s = wall_s() + 1000;
    atomic_store(&server.broken, true);
    assert_null(pool_take(pool, 0, late_s, &first));
    uint64_t start_ns = mono_now_ns();
    mint_start(mint);
    const char *pauses[] = {"in 0.1 s", "in 0.2 s", "in 0.4 s"};
    for (int i = 0; i < 3; i++) {
        struct mint_event *event = event_soon(mint);
        assert_non_null(strstr(event->text, "https://idp.test/token gave no token: status 503"));
        assert_non_null(strstr(event->text, pauses[i]));
        assert_null(event->next);
        events_drop(event);
    }
    assert_true(mono_now_ns() - start_ns >= 300 * NS_PER_MS);
    atomic_store(&server.broken, false);
    struct credential *persona = take_soon(pool, 0, late_s, &first);
    pool_drop(pool, persona);
    mint_free(mint);
}

/* Whether the pool gives a renewed token to client n; its old one had ended. */
static bool is_renewed(struct pool *pool, int64_t late_s, uint64_t n)
{
    bool first;
    struct credential *persona = pool_take(pool, 0, late_s, &first);
    bool it = persona != NULL && persona->n == n;
    if (persona != NULL) {
        pool_drop(pool, persona);
    }
    return it;
}

/* The first client in the row is never given a token again; the others of its worker and of the
 * other worker go on. */
static void a_refused_client_holds_up_no_other(void **state)
{
    struct mint_kit *mk = *state;
    set_up(mk, true, good_answer);
    mk->cert.count = mk->jwt.count = 4;
    struct mint *mint = mint_kit_new(mk, 2, &fetcher);
    assert_non_null(mint);
    struct pool *ours = mint_pool(mint, 0, 0, CREDENTIAL_PERSONA);   /* clients 1 and 3 */
    struct pool *theirs = mint_pool(mint, 1, 0, CREDENTIAL_PERSONA); /* 2 and 4 */
    int64_t late_s = wall_s() + 320; /* all want to be renewed, none has ended */
    (void)str_copy(server.refused, sizeof server.refused, "client_id=client-1&");
    bool first;
    struct credential *one = pool_take(ours, 0, late_s, &first);
    assert_int_equal(one->n, 1);
    struct credential *two = pool_take(theirs, 0, late_s, &first);
    mint_start(mint);
    late_s += 200; /* what was not renewed has ended */
    while (!is_renewed(ours, late_s, 3)) {
        sched_yield();
    }
    while (!is_renewed(theirs, late_s, 4)) {
        sched_yield();
    }
    struct mint_event *event = event_soon(mint);
    assert_non_null(strstr(event->text, "status 401; tried again in 1 s"));
    events_drop(event);
    pool_drop(ours, one);
    pool_drop(theirs, two);
    mint_free(mint);
}

static void expect_mistake(struct mint_kit *mk, const struct token_fetcher *with, const char *part)
{
    struct diag *diag = diag_new();
    const struct mint_job job = {
        .plan = &mk->plan, .n_workers = 1, .run_id = "run-1", .fetcher = with};
    assert_null(mint_new(&job, diag));
    assert_int_equal(diag_count(diag), 1);
    if (strstr(diag_text(diag, 0), part) == NULL) {
        fail_msg("\"%s\" and not \"%s\"", diag_text(diag, 0), part);
    }
    diag_free(diag);
}

/* At the start a failure is a mistake, which names the endpoint and never the token. */
static void bad_answers_are_mistakes(void **state)
{
    struct mint_kit *mk = *state;
    set_up(mk, true, good_answer);
    expect_mistake(mk, NULL, "jwt.token_url: ");
    atomic_store(&server.broken, true);
    expect_mistake(mk, &fetcher, "jwt.token_url: https://idp.test/token gave no token: status 503");
    const char *const answers[][2] = {
        {"token", "the response is no JSON"},
        {"[]", "no access_token"},
        {"{\"access_token\":7}", "no access_token"},
        {"{\"access_token\":\"a\\nb\"}", "cannot be sent in a header"},
        {"{\"access_token\":\"t\",\"token_type\":\"mac\"}", "\"mac\", not Bearer"},
        {"{\"access_token\":\"t\",\"expires_in\":0}", "expires_in is 0 s"},
        {"{\"access_token\":\"t\",\"expires_in\":1e300}", "expires_in is 1e+300 s"},
    };
    for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++) {
        set_up(mk, true, answers[i][0]);
        expect_mistake(mk, &fetcher, answers[i][1]);
    }
    set_up(mk, true, good_answer);
    struct diag *diag = diag_new();
    mint_check(&mk->plan, diag);
    assert_int_equal(diag_count(diag), 0);
    assert_int_equal(atomic_load(&server.n_asked), 0);
    static char wrong[] = "{client}";
    mk->jwt.client_id = wrong;
    mint_check(&mk->plan, diag);
    assert_int_equal(diag_count(diag), 1);
    diag_free(diag);
}

/* The opaque token says nothing of its end, so that it is never renewed. */
static void endless_tokens_stay(void **state)
{
    struct mint_kit *mk = *state;
    bool first;
    set_up(mk, true, "{\"access_token\":\"t#\"}");
    mk->cert.lifetime_ns = 20 * 86400 * NS_PER_S;
    struct mint *mint = mint_kit_new(mk, 1, &fetcher);
    struct pool *pool = mint_pool(mint, 0, 0, CREDENTIAL_PERSONA);
    struct credential *persona = pool_take(pool, 0, wall_s() + 86400, &first);
    assert_non_null(persona);
    assert_int_equal(persona->part[CREDENTIAL_JWT]->not_after_s, 0);
    pool_drop(pool, persona);
    mint_free(mint);
    mk->cert.lifetime_ns = 86400 * NS_PER_S;
}

/* A bad certificate gets no token: a good one of the same number asks for it. */
static void refusals_ask_with_a_good_certificate(void **state)
{
    struct mint_kit *mk = *state;
    bool first;
    set_up(mk, true, good_answer);
    struct plan_refuse refuse[3] = {
        {.cert = BAD_CERT_EXPIRED}, {.jwt = BAD_JWT_WRONG_SIGNATURE}, {.cert = BAD_CERT_NONE}};
    refuse[0].base = refuse[1].base = refuse[2].base = &mk->identity;
    mk->plan.refuses = refuse;
    mk->plan.n_refuses = 3;
    struct mint *mint = mint_kit_new(mk, 1, &fetcher);
    assert_non_null(mint);
    struct credential *expired = pool_take(mint_refusals(mint, 0, 0), 0, wall_s(), &first);
    assert_true(expired->part[CREDENTIAL_CERT]->not_after_s <= wall_s());
    assert_true(str_has_prefix(expired->part[CREDENTIAL_JWT]->text, "token-"));
    pool_drop(mint_refusals(mint, 0, 0), expired);
    struct credential *spoiled = pool_take(mint_refusals(mint, 0, 1), 0, wall_s(), &first);
    assert_false(str_has_prefix(spoiled->part[CREDENTIAL_JWT]->text, "token-"));
    pool_drop(mint_refusals(mint, 0, 1), spoiled);
    assert_int_equal(atomic_load(&server.n_strangers), 0);
    mint_free(mint);
    mk->plan.n_refuses = 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tokens_are_fetched),
        cmocka_unit_test(unbound_ones_show_a_certificate),
        cmocka_unit_test(failures_are_retried),
        cmocka_unit_test(a_refused_client_holds_up_no_other),
        cmocka_unit_test(bad_answers_are_mistakes),
        cmocka_unit_test(endless_tokens_stay),
        cmocka_unit_test(refusals_ask_with_a_good_certificate),
    };
    return cmocka_run_group_tests(tests, mint_kit_set_up, mint_kit_tear_down);
}
