/* Sessions as a normal client keeps them: whose they are, how often and how long they are offered,
 * and how many there may be; and that nothing is ever sent before the handshake is done. */
#include "base/mono.h"
#include "net/tls_private.h"
#include "net/tls_store.h"
#include "tls_kit.h"

static uint64_t ahead_ns;
static struct timespec real;

static uint64_t clock_ahead(void)
{
    (void)clock_gettime(CLOCK_MONOTONIC, &real);
    return (uint64_t)real.tv_sec * NS_PER_S + (uint64_t)real.tv_nsec + ahead_ns;
}

/* The store by itself. */

static SSL_SESSION *session_of(uint16_t version, size_t ticket_len, uint32_t lifetime_s)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_method());
    SSL_SESSION *session = SSL_SESSION_new(ctx);
    CLEANUP_FREE uint8_t *ticket = xcalloc(1, ticket_len);

    assert_int_equal(SSL_SESSION_set_protocol_version(session, version), 1);
    assert_int_equal(SSL_SESSION_set_ticket(session, ticket, ticket_len), 1);
    (void)SSL_SESSION_set_timeout(session, lifetime_s);
    SSL_CTX_free(ctx);
    return session;
}

static CRYPTO_BUFFER *leaf_of(int number)
{
    return CRYPTO_BUFFER_new((const uint8_t *)&number, sizeof number, NULL);
}

/* What the store has for the leaf, taken out and freed. */
static enum tls_ticket take(struct tls_sessions *store, const CRYPTO_BUFFER *leaf, uint64_t now_ns)
{
    SSL_SESSION *session = NULL;
    enum tls_ticket found = tls_sessions_take(store, leaf, now_ns, &session);

    assert_int_equal(session != NULL, found == TLS_TICKET_READY);
    SSL_SESSION_free(session);
    return found;
}

static void test_the_oldest_make_room(void **state)
{
    enum { PLACES = 8, N = 100 };
    struct tls_sessions *store = tls_sessions_new(PLACES, 1 << 20);
    CRYPTO_BUFFER *leaves[N];

    (void)state;
    for (int i = 0; i < N; i++) {
        leaves[i] = leaf_of(i);
        tls_sessions_put(store, leaves[i], session_of(TLS1_3_VERSION, 100, 60), 1);
    }
    for (int i = 0; i < N; i++) {
        assert_int_equal(take(store, leaves[i], 1),
                         i < N - PLACES ? TLS_TICKET_NONE : TLS_TICKET_READY);
        assert_int_equal(take(store, leaves[i], 1), TLS_TICKET_NONE);
    }
    for (int i = 0; i < N; i++) { /* places are used again */
        tls_sessions_put(store, leaves[i], session_of(TLS1_3_VERSION, 100, 60), 1);
        assert_int_equal(take(store, leaves[i], 1), TLS_TICKET_READY);
        CRYPTO_BUFFER_free(leaves[i]);
    }
    tls_sessions_free(store);
}

static void test_bytes_are_bounded(void **state)
{
    struct tls_sessions *store = tls_sessions_new(1000, 64 << 10);
    CRYPTO_BUFFER *leaves[100];
    int n = 0;

    (void)state;
    for (int i = 0; i < 100; i++) {
        leaves[i] = leaf_of(i);
        tls_sessions_put(store, leaves[i], session_of(TLS1_3_VERSION, 7 << 10, 60), 1);
    }
    tls_sessions_put(store, NULL, session_of(TLS1_3_VERSION, 64 << 10, 60), 1); /* never fits */
    assert_int_equal(take(store, NULL, 1), TLS_TICKET_NONE);
    for (int i = 0; i < 100; i++) {
        n += take(store, leaves[i], 1) == TLS_TICKET_READY;
        CRYPTO_BUFFER_free(leaves[i]);
    }
    assert_in_range(n, 7, 8);
    tls_sessions_free(store);
}

/* How many the store has for a leaf, all of them taken out. */
static int take_all(struct tls_sessions *store, const CRYPTO_BUFFER *leaf)
{
    int n = 0;

    while (take(store, leaf, 1) == TLS_TICKET_READY) {
        n++;
    }
    return n;
}

/* Many connections of one client may end at once, and each leaves one. */
static void test_a_client_has_many_while_there_is_room(void **state)
{
    struct tls_sessions *store = tls_sessions_new(100, 1 << 20);
    CRYPTO_BUFFER *other = leaf_of(1);

    (void)state;
    for (int i = 0; i < 64 + 5; i++) {
        tls_sessions_put(store, NULL, session_of(TLS1_3_VERSION, 100, 60), 1);
    }
    for (int i = 0; i < 16; i++) {
        tls_sessions_put(store, other, session_of(TLS1_3_VERSION, 100, 60), 1);
    }
    assert_int_equal(take_all(store, NULL), 64);
    assert_int_equal(take_all(store, other), 16);
    CRYPTO_BUFFER_free(other);
    tls_sessions_free(store);
}

/* Who has more than two makes room for its own next one, not an older one of somebody else. */
static void test_a_client_makes_room_for_its_next(void **state)
{
    struct tls_sessions *by_number = tls_sessions_new(8, 1 << 20);
    struct tls_sessions *by_bytes = tls_sessions_new(1000, 16 << 10);
    CRYPTO_BUFFER *other = leaf_of(1);

    (void)state;
    tls_sessions_put(by_number, other, session_of(TLS1_3_VERSION, 100, 60), 1);
    tls_sessions_put(by_bytes, other, session_of(TLS1_3_VERSION, 1000, 60), 1);
    for (int i = 0; i < 40; i++) {
        tls_sessions_put(by_number, NULL, session_of(TLS1_3_VERSION, 100, 60), 1);
        tls_sessions_put(by_bytes, NULL, session_of(TLS1_3_VERSION, 1000, 60), 1);
    }
    assert_int_equal(take_all(by_number, other), 1);
    assert_int_equal(take_all(by_bytes, other), 1);
    assert_in_range(take_all(by_number, NULL), 2, 7);
    assert_in_range(take_all(by_bytes, NULL), 2, 9);
    CRYPTO_BUFFER_free(other);
    tls_sessions_free(by_number);
    tls_sessions_free(by_bytes);
}

/* Of TLS 1.3 each once; of TLS 1.2 one, again and again. */
static void test_how_often(void **state)
{
    struct tls_sessions *store = tls_sessions_new(100, 1 << 20);

    (void)state;
    for (int i = 0; i < 2; i++) {
        tls_sessions_put(store, NULL, session_of(TLS1_3_VERSION, 100, 60), 1);
    }
    assert_int_equal(tls_sessions_take(store, NULL, 1, NULL), TLS_TICKET_READY); /* only looks */
    assert_int_equal(take_all(store, NULL), 2);
    for (int i = 0; i < 2; i++) {
        tls_sessions_put(store, NULL, session_of(TLS1_2_VERSION, 100, 60), 1);
    }
    for (int i = 0; i < 5; i++) {
        assert_int_equal(take(store, NULL, 1), TLS_TICKET_READY);
    }
    assert_int_equal(take(store, NULL, 1 + 61 * NS_PER_S), TLS_TICKET_EXPIRED);
    assert_int_equal(take(store, NULL, 1 + 61 * NS_PER_S), TLS_TICKET_NONE);
    tls_sessions_free(store);
}

static void test_lifetimes(void **state)
{
    struct tls_sessions *store = tls_sessions_new(100, 1 << 20);
    const uint64_t week_s = 604800;

    (void)state;
    tls_sessions_put(store, NULL, session_of(TLS1_3_VERSION, 100, 0), 1); /* not to be kept */
    assert_int_equal(take(store, NULL, 1), TLS_TICKET_NONE);
    tls_sessions_put(store, NULL, session_of(TLS1_3_VERSION, 100, 60), 0);
    tls_sessions_put(store, NULL, session_of(TLS1_3_VERSION, 100, 10), 0);
    /* The newest has expired; the one before has not. */
    assert_int_equal(take(store, NULL, 11 * NS_PER_S), TLS_TICKET_READY);
    assert_int_equal(take(store, NULL, 11 * NS_PER_S), TLS_TICKET_NONE);
    tls_sessions_put(store, NULL, session_of(TLS1_3_VERSION, 100, UINT32_MAX), 0);
    assert_int_equal(tls_sessions_take(store, NULL, (week_s - 1) * NS_PER_S, NULL),
                     TLS_TICKET_READY);
    assert_int_equal(take(store, NULL, week_s * NS_PER_S), TLS_TICKET_EXPIRED);
    tls_sessions_free(store);
}

/* With a server. */

#define WORD "hello"

struct pair {
    struct server server;
    struct tls_client *client;
    struct diag *diag;
    struct identity one, other;
    struct cert certs[2];
};

static void pair_start(struct pair *pair, struct fixture *f, struct script script)
{
    f->plan.pace.resume_ratio = 1;
    script.act = ACT_SERVE;
    script.reply = WORD;
    script.own = &f->server;
    script.client_ca = &f->ca;
    server_start(&pair->server, script);
    pair->diag = diag_new();
    pair->client = tls_client_new(&f->plan, &f->plan.target, pair->diag);
    assert_non_null(pair->client);
    pair->one = identity_make("one", &f->ca, NULL, -DAY_S, DAY_S);
    pair->other = identity_make("other", &f->ca, NULL, -DAY_S, DAY_S);
    identity_to_cert(&pair->one, &pair->certs[0]);
    identity_to_cert(&pair->other, &pair->certs[1]);
}

static void pair_stop(struct pair *pair)
{
    server_stop(&pair->server);
    tls_client_free(pair->client);
    diag_free(pair->diag);
    for (int i = 0; i < 2; i++) {
        identity_cert_free(&pair->certs[i]);
    }
    identity_free(&pair->one);
    identity_free(&pair->other);
}

/* Asks and waits for the answer, with which the tickets have come. */
static void exchange(struct tls *tls, int fd)
{
    const char *data;
    size_t n, got = 0;

    write_request(tls);
    while (got < strlen(WORD)) {
        enum tls_status status = tls_read(tls, &data, &n);

        if (status == TLS_WANT_READ) {
            wait_readable(fd);
            continue;
        }
        assert_int_equal(status, TLS_DONE);
        got += n;
    }
}

/* One connection of that client, which offers what there is for it. */
static bool resumes(struct pair *pair, int client)
{
    const struct cert *cert = &pair->certs[client];
    struct tls_session *session = NULL;
    enum tls_ticket found = tls_client_session(pair->client, cert, &session);
    int fd = connect_to(&pair->server);
    struct tls *tls = handshake_as(pair->client, fd, cert, session);
    struct tls_facts facts;

    assert_int_equal(session != NULL, found == TLS_TICKET_READY);
    tls_session_free(session);
    tls_keep_sessions(tls);
    tls_facts(tls, &facts);
    exchange(tls, fd);
    tls_shutdown(tls, false);
    tls_close(tls);
    (void)close(fd);
    return facts.resumed;
}

static void each_client_has_its_own(struct fixture *f, struct script script)
{
    struct pair pair;

    pair_start(&pair, f, script);
    assert_false(resumes(&pair, 0));
    assert_false(resumes(&pair, 1)); /* what the other was given is not offered */
    for (int i = 0; i < 6; i++) {
        assert_true(resumes(&pair, i % 2));
    }
    pair_stop(&pair);
}

static void without_tickets(SSL_CTX *ctx)
{
    SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_SERVER);
}

static void test_each_client_has_its_own(void **state)
{
    each_client_has_its_own(*state, (struct script){.version = TLS1_3_VERSION});
    each_client_has_its_own(*state, (struct script){.version = TLS1_2_VERSION});
    /* Session ids, from the server's cache. */
    each_client_has_its_own(*state,
                            (struct script){.version = TLS1_2_VERSION, .prepare = without_tickets});
}

/* What a connection was given is there for the next one while it is still open, and only where it
 * was asked to keep it. */
static void test_open_connections_share(void **state)
{
    struct fixture *f = *state;
    struct pair pair;

    pair_start(&pair, f, (struct script){.version = TLS1_3_VERSION});
    for (int keeps = 0; keeps < 2; keeps++) {
        int fd = connect_to(&pair.server);
        struct tls *tls = handshake_as(pair.client, fd, &pair.certs[0], NULL);

        if (keeps == 1) {
            tls_keep_sessions(tls);
        }
        exchange(tls, fd);
        assert_int_equal(tls_client_session(pair.client, &pair.certs[0], NULL),
                         keeps == 1 ? TLS_TICKET_READY : TLS_TICKET_NONE);
        assert_int_equal(tls_client_session(pair.client, NULL, NULL), TLS_TICKET_NONE);
        tls_close(tls);
        (void)close(fd);
    }
    assert_true(resumes(&pair, 0));
    pair_stop(&pair);
}

static void short_lived(SSL_CTX *ctx)
{
    SSL_CTX_set_session_psk_dhe_timeout(ctx, 60);
    SSL_CTX_set_timeout(ctx, 60);
}

/* The server's word counts, in either version. */
static void test_expired(void **state)
{
    static const uint16_t versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};

    for (int i = 0; i < 2; i++) {
        struct pair pair;

        ahead_ns = 0;
        mono_replace(clock_ahead);
        pair_start(&pair, *state, (struct script){.version = versions[i], .prepare = short_lived});
        assert_false(resumes(&pair, 0));
        assert_true(resumes(&pair, 0));
        ahead_ns = 61 * NS_PER_S;
        assert_int_equal(tls_client_session(pair.client, &pair.certs[0], NULL), TLS_TICKET_EXPIRED);
        assert_false(resumes(&pair, 0));
        pair_stop(&pair);
        mono_replace(NULL);
    }
}

/* A restarted server refuses what another gave: a full handshake follows, nothing fails. */
static void test_refused(void **state)
{
    struct pair pair;
    struct script script = {.version = TLS1_3_VERSION};

    pair_start(&pair, *state, script);
    assert_false(resumes(&pair, 0));
    script = pair.server.script;
    server_stop(&pair.server);
    server_start(&pair.server, script);
    assert_false(resumes(&pair, 0));
    assert_true(resumes(&pair, 0));
    pair_stop(&pair);
}

static int n_early, n_reused;

static void offers_early_data(SSL_CTX *ctx)
{
    SSL_CTX_set_early_data_enabled(ctx, 1);
}

static void looks_for_early_data(SSL *ssl)
{
    n_early += SSL_early_data_accepted(ssl) == 1 ||
               SSL_get_early_data_reason(ssl) != ssl_early_data_peer_declined;
    n_reused += SSL_session_reused(ssl);
    server_say(ssl, WORD, strlen(WORD));
}

/* A server that would take it sees none, though the ticket says that it may be sent. */
static void test_no_early_data(void **state)
{
    struct pair pair;
    SSL_SESSION *session = NULL;

    n_early = n_reused = 0;
    pair_start(&pair, *state,
               (struct script){.version = TLS1_3_VERSION, .prepare = offers_early_data});
    assert_false(resumes(&pair, 0));
    pair.server.script.answer = looks_for_early_data;
    assert_true(resumes(&pair, 0));
    assert_int_equal(
        tls_sessions_take(pair.client->sessions, pair.certs[0].chain[0], mono_now_ns(), &session),
        TLS_TICKET_READY);
    assert_int_equal(SSL_SESSION_early_data_capable(session), 1);
    SSL_SESSION_free(session);
    pair_stop(&pair);
    assert_int_equal(n_reused, 1);
    assert_int_equal(n_early, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_oldest_make_room),
        cmocka_unit_test(test_bytes_are_bounded),
        cmocka_unit_test(test_a_client_has_many_while_there_is_room),
        cmocka_unit_test(test_a_client_makes_room_for_its_next),
        cmocka_unit_test(test_how_often),
        cmocka_unit_test(test_lifetimes),
        cmocka_unit_test_setup_teardown(test_each_client_has_its_own, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_open_connections_share, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_expired, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_no_early_data, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
