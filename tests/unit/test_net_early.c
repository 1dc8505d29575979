/* 0-RTT below the connection: what leaves with the hello, what the server does with it, and that
 * whoever wrote it sees no difference; never where it was not asked for. */
#include "base/mono.h"
#include "net/conn.h"
#include "net/tls_private.h"
#include "net/tls_store.h"
#include "tls_kit.h"

#define REQUEST "GET /early HTTP/1.1\r\n\r\n"
#define WORD    "hello"

/* By the server, of its last answer. */
static bool accepted, reused;
static bool early; /* it answered before the handshake was through */
static enum ssl_early_data_reason_t reason;

static void takes_early_data(SSL_CTX *ctx)
{
    SSL_CTX_set_early_data_enabled(ctx, 1);
}

/* What its ticket allowed, it does not take: as a server that was told so in the meantime. */
static bool refuses;

static enum ssl_select_cert_result_t on_hello(const SSL_CLIENT_HELLO *hello)
{
    if (refuses) {
        SSL_set_early_data_enabled(hello->ssl, 0);
    }
    return ssl_select_cert_success;
}

static void may_refuse(SSL_CTX *ctx)
{
    SSL_CTX_set_early_data_enabled(ctx, 1);
    SSL_CTX_set_select_certificate_cb(ctx, on_hello);
}

static void answers_nothing(SSL *ssl)
{
    reason = SSL_get_early_data_reason(ssl);
    accepted = SSL_early_data_accepted(ssl) == 1;
    reused = SSL_session_reused(ssl) == 1;
    early = SSL_in_early_data(ssl) == 1;
}

static void answers(SSL *ssl)
{
    answers_nothing(ssl);
    server_say(ssl, WORD, strlen(WORD));
}

struct pair {
    struct server server;
    struct tls_client *client;
    struct diag *diag;
    struct identity one;
    struct cert cert;
};

static void pair_start(struct pair *pair, struct fixture *f, struct script script)
{
    f->plan.pace.resume_ratio = 1;
    f->plan.target.alpn = ALPN_H1;
    refuses = false;
    script.act = ACT_SERVE;
    script.answer = answers;
    script.own = &f->server;
    script.client_ca = &f->ca;
    server_start(&pair->server, script);
    pair->diag = diag_new();
    pair->client = tls_client_new(&f->plan, &f->plan.target, pair->diag);
    assert_non_null(pair->client);
    pair->one = identity_make("one", &f->ca, NULL, -DAY_S, DAY_S);
    identity_to_cert(&pair->one, &pair->cert);
}

static void pair_stop(struct pair *pair)
{
    server_stop(&pair->server);
    tls_client_free(pair->client);
    diag_free(pair->diag);
    identity_cert_free(&pair->cert);
    identity_free(&pair->one);
}

static void read_word(struct tls *tls, int fd)
{
    size_t got = 0;

    while (got < strlen(WORD)) {
        const char *data;
        size_t n;
        enum tls_status status = tls_read(tls, &data, &n);

        if (status == TLS_WANT_READ) {
            wait_readable(fd);
            continue;
        }
        assert_int_equal(status, TLS_DONE);
        assert_memory_equal(data, WORD + got, n);
        got += n;
    }
}

static struct tls *dial(struct pair *pair, int *ret_fd)
{
    struct tls_session *session = NULL;
    enum tls_ticket found;
    struct tls *tls;

    found = tls_client_session(pair->client, &pair->cert, &session);
    assert_int_equal(session != NULL, found == TLS_TICKET_READY);
    *ret_fd = connect_to(&pair->server);
    tls = tls_open(pair->client, *ret_fd, &pair->cert, session);
    assert_non_null(tls);
    tls_session_free(session);
    return tls;
}

static void hang_up(struct tls *tls, int fd)
{
    tls_shutdown(tls, false);
    tls_close(tls);
    (void)close(fd);
}

static void shake(struct tls *tls, int fd)
{
    enum tls_status status;

    while ((status = tls_handshake(tls)) == TLS_WANT_READ) {
        wait_readable(fd);
    }
    assert_int_equal(status, TLS_DONE);
    tls_keep_sessions(tls);
}

static void write_whole(struct tls *tls, const char *text)
{
    size_t written = 0;

    assert_int_equal(tls_write(tls, text, strlen(text), &written), TLS_DONE);
    assert_int_equal(written, strlen(text));
}

/* An exchange whose request is given before the handshake; what became of the early data. */
static enum tls_early exchange(struct pair *pair, const char *request, bool expect_open)
{
    int fd;
    struct tls *tls = dial(pair, &fd);
    enum tls_early found;

    assert_int_equal(tls_early_open(tls), expect_open);
    if (expect_open) {
        write_whole(tls, request);
    }
    shake(tls, fd);
    if (!expect_open) {
        write_whole(tls, request);
    }
    read_word(tls, fd);
    assert_string_equal(pair->server.request, request);
    found = tls_early(tls);
    hang_up(tls, fd);
    return found;
}

static void test_accepted(void **state)
{
    struct pair pair;

    pair_start(&pair, *state,
               (struct script){.version = TLS1_3_VERSION, .prepare = takes_early_data});
    assert_int_equal(exchange(&pair, REQUEST, false), TLS_EARLY_NONE); /* no session yet */
    for (int i = 0; i < 3; i++) {
        assert_int_equal(exchange(&pair, REQUEST, true), TLS_EARLY_ACCEPTED);
        assert_true(accepted && reused && early);
    }
    pair_stop(&pair);
}

/* Behind the handshake, once, and everything goes on. */
static void test_rejected(void **state)
{
    struct pair pair;

    pair_start(&pair, *state, (struct script){.version = TLS1_3_VERSION, .prepare = may_refuse});
    assert_int_equal(exchange(&pair, REQUEST, false), TLS_EARLY_NONE);
    refuses = true;
    assert_int_equal(exchange(&pair, REQUEST, true), TLS_EARLY_REJECTED);
    assert_true(reused && !accepted && !early);
    /* What it gave meanwhile allows none, so none is offered. */
    assert_int_equal(exchange(&pair, REQUEST, false), TLS_EARLY_NONE);
    assert_true(reused);
    pair_stop(&pair);
}

/* A server that was restarted knows neither the ticket nor what came with it: a full handshake, for
 * which the certificate is still there. */
static void test_rejected_with_the_session(void **state)
{
    struct pair pair;
    struct script script = {.version = TLS1_3_VERSION, .prepare = takes_early_data};

    pair_start(&pair, *state, script);
    assert_int_equal(exchange(&pair, REQUEST, false), TLS_EARLY_NONE);
    script = pair.server.script;
    server_stop(&pair.server);
    server_start(&pair.server, script);
    assert_int_equal(exchange(&pair, REQUEST, true), TLS_EARLY_REJECTED);
    assert_true(!reused && !accepted);
    pair_stop(&pair);
}

static void wants_p256(SSL_CTX *ctx)
{
    static const int group = NID_X9_62_prime256v1;

    takes_early_data(ctx);
    BUG_ON(SSL_CTX_set1_curves(ctx, &group, 1) != 1);
}

/* Its HelloRetryRequest rejects early data (RFC 8446, section 4.2.10). */
static void test_rejected_by_a_retry(void **state)
{
    struct fixture *f = *state;
    struct pair pair;
    static char groups[] = "X25519:P-256";

    f->plan.target.groups = groups;
    pair_start(&pair, f, (struct script){.version = TLS1_3_VERSION, .prepare = wants_p256});
    assert_int_equal(exchange(&pair, REQUEST, false), TLS_EARLY_NONE);
    assert_int_equal(exchange(&pair, REQUEST, true), TLS_EARLY_REJECTED);
    assert_int_equal(reason, ssl_early_data_hello_retry_request);
    pair_stop(&pair);
}

/* Up to what servers allow it is early, in several records; beyond, it waits for the handshake. */
static void test_lengths(void **state)
{
    static const struct {
        size_t len;
        bool refused;
        enum tls_early early;
    } cases[] = {
        {14336, false, TLS_EARLY_ACCEPTED},
        {14336, true, TLS_EARLY_REJECTED},
        {14337, false, TLS_EARLY_HELD},
        {40000, false, TLS_EARLY_HELD},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct pair pair;
        CLEANUP_FREE char *request = xcalloc(1, cases[i].len + 1);
        struct tls *tls;
        int fd;

        memset(request, 'x', cases[i].len);
        memcpy(request, "GET /", 5);
        memcpy(request + cases[i].len - 4, "\r\n\r\n", 4);
        pair_start(&pair, *state,
                   (struct script){.version = TLS1_3_VERSION, .prepare = may_refuse});
        assert_int_equal(exchange(&pair, REQUEST, false), TLS_EARLY_NONE);
        refuses = cases[i].refused;
        tls = dial(&pair, &fd);
        assert_true(tls_early_open(tls));
        write_whole(tls, request);
        shake(tls, fd);
        assert_int_equal(tls_early(tls), cases[i].early);
        read_word(tls, fd);
        assert_string_equal(pair.server.request, request);
        write_whole(tls, REQUEST); /* nothing is left over */
        read_word(tls, fd);
        assert_string_equal(pair.server.request, REQUEST);
        hang_up(tls, fd);
        pair_stop(&pair);
    }
}

/* Though the session would allow it. */
static void test_not_unless_asked(void **state)
{
    struct pair pair;

    pair_start(&pair, *state,
               (struct script){.version = TLS1_3_VERSION, .prepare = takes_early_data});
    assert_int_equal(exchange(&pair, REQUEST, false), TLS_EARLY_NONE);
    for (int opened = 0; opened < 2; opened++) {
        int fd;
        struct tls *tls = dial(&pair, &fd);

        if (opened == 1) { /* and nothing written: then there is nothing to offer, either */
            assert_true(tls_early_open(tls));
        }
        shake(tls, fd);
        write_whole(tls, REQUEST);
        read_word(tls, fd);
        assert_true(reused && !accepted && !early);
        assert_int_equal(reason, ssl_early_data_peer_declined); /* it was not offered */
        assert_true(tls_early(tls) < TLS_EARLY_OFFERED);
        hang_up(tls, fd);
    }
    pair_stop(&pair);
}

/* TLS 1.2, and a server of TLS 1.3 whose tickets do not allow it. */
static void test_sessions_without(void **state)
{
    static const uint16_t versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};

    for (size_t i = 0; i < 2; i++) {
        struct pair pair;

        pair_start(&pair, *state, (struct script){.version = versions[i]});
        for (int k = 0; k < 3; k++) {
            assert_int_equal(exchange(&pair, REQUEST, false), TLS_EARLY_NONE);
            assert_int_equal(reused, k > 0);
        }
        pair_stop(&pair);
    }
}

/* The answer comes though the client has written but once: all of it left with the hello. */
static void test_one_write(void **state)
{
    struct pair pair;
    struct tls *tls;
    char bytes[8192];
    ssize_t n;
    int fd;

    pair_start(&pair, *state,
               (struct script){.version = TLS1_3_VERSION, .prepare = takes_early_data});
    assert_int_equal(exchange(&pair, REQUEST, false), TLS_EARLY_NONE);
    tls = dial(&pair, &fd);
    assert_true(tls_early_open(tls));
    write_whole(tls, REQUEST);
    accepted = early = false;
    assert_int_equal(tls_handshake(tls), TLS_WANT_READ);
    assert_int_equal(tls_early(tls), TLS_EARLY_OFFERED);
    assert_int_equal(shutdown(fd, SHUT_WR), 0);
    do { /* its flight, the answer, and its end */
        n = recv(fd, bytes, sizeof bytes, MSG_WAITALL);
        if (n < 0 && errno == EAGAIN) {
            wait_readable(fd);
        }
    } while (n > 0 || (n < 0 && errno == EAGAIN));
    assert_true(accepted && early);
    assert_string_equal(pair.server.request, REQUEST);
    hang_up(tls, fd);
    pair_stop(&pair);
}

/* A connection with it. */

struct ride {
    struct ev_loop *loop;
    struct conn_env env;
    struct conn conn;
    struct stream stream;
    ev_prepare turn;
    unsigned n_early, n_ready, n_exchanged, n_closed;
    uint32_t n_streams_at_ready;
    enum outcome outcome, end;
    enum tls_early early;
};

static void ride_early(struct conn *conn)
{
    struct ride *ride = conn->owner;
    const struct conn_request request = {.head = REQUEST, .head_len = strlen(REQUEST)};

    ride->n_early++;
    conn_send(conn, &ride->stream, &request);
}

static void ride_ready(struct conn *conn)
{
    struct ride *ride = conn->owner;

    ride->n_ready++;
    ride->n_streams_at_ready = conn->n_streams;
    assert_int_equal(conn_room(conn), 0);
}

static void ride_exchanged(struct conn *conn, struct stream *stream, enum outcome outcome)
{
    struct ride *ride = conn->owner;

    assert_ptr_equal(stream, &ride->stream);
    ride->n_exchanged++;
    ride->outcome = outcome;
    ride->early = tls_early(conn->tls);
    conn_close(conn, OUTCOME_OK);
}

static void ride_closed(struct conn *conn, enum outcome outcome)
{
    struct ride *ride = conn->owner;

    ride->n_closed++;
    ride->end = outcome;
    ev_break(ride->loop, EVBREAK_ALL);
}

static void ride_turn(struct ev_loop *loop, ev_prepare *prepare, int revents)
{
    (void)loop, (void)revents;
    conn_reap(prepare->data);
}

/* One connection to the first of these ports that takes it, with a session of the pair's client. */
static void ride_to(struct ride *ride, struct pair *pair, struct plan *plan, const uint16_t *ports,
                    size_t n)
{
    struct addr addrs[2];
    struct tls_session *session = NULL;

    assert_int_equal(tls_client_session(pair->client, &pair->cert, &session), TLS_TICKET_READY);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(addr_resolve("127.0.0.1", ports[i], NS_PER_S, (struct origin){"test", 0},
                                      &addrs[i], 1, pair->diag),
                         1);
    }
    plan->target.early_data = true;
    plan->target.timeout_connect_ns = plan->target.timeout_exchange_ns = 20 * NS_PER_S;
    ride->loop = ev_loop_new(EVBACKEND_EPOLL);
    conn_env_init(&ride->env, ride->loop, pair->client, &plan->target, addrs, n);
    ride->env.handler = (struct conn_handler){ride_ready, ride_exchanged, ride_closed, NULL};
    ride->env.early = ride_early;
    ev_prepare_init(&ride->turn, ride_turn);
    ride->turn.data = &ride->env;
    ev_prepare_start(ride->loop, &ride->turn);
    ride->conn.owner = ride;
    conn_dial(&ride->conn, &ride->env, &pair->cert, session);
    tls_session_free(session);
    while (ride->n_closed == 0) {
        ev_run(ride->loop, EVRUN_ONCE);
    }
    conn_reap(&ride->env);
    conn_env_stop(&ride->env);
    ev_loop_destroy(ride->loop);
    assert_int_equal(ride->n_closed, 1);
    assert_int_equal(ride->n_exchanged, ride->n_early);
}

/* Bound, and nobody listens. */
static uint16_t deaf_port(int *ret_fd)
{
    struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof sa;

    *ret_fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(*ret_fd, (struct sockaddr *)&sa, len), 0);
    assert_int_equal(getsockname(*ret_fd, (struct sockaddr *)&sa, &len), 0);
    return ntohs(sa.sin_port);
}

static void answers_http(SSL *ssl)
{
    answers_nothing(ssl);
    server_say(ssl, ORDINARY, strlen(ORDINARY));
}

/* What refuses TCP is not given the request, and the next address is. */
static void test_the_next_address(void **state)
{
    struct fixture *f = *state;
    struct pair pair;
    struct ride ride = {.n_early = 0};
    int fd;

    pair_start(&pair, f, (struct script){.version = TLS1_3_VERSION, .prepare = takes_early_data});
    assert_int_equal(exchange(&pair, REQUEST, false), TLS_EARLY_NONE);
    pair.server.script.answer = answers_http;
    f->plan.target.timeout_handshake_ns = f->plan.target.timeout_first_byte_ns = 20 * NS_PER_S;
    ride_to(&ride, &pair, &f->plan, (const uint16_t[]){deaf_port(&fd), pair.server.port}, 2);
    assert_int_equal(ride.n_early, 1);
    assert_int_equal(ride.n_ready, 1);
    assert_int_equal(ride.n_streams_at_ready, 1);
    assert_int_equal(ride.outcome, OUTCOME_OK);
    assert_int_equal(ride.early, TLS_EARLY_ACCEPTED);
    assert_int_equal(ride.stream.status, 200);
    assert_true(ride.stream.first_byte_ns > ride.stream.sent_ns);
    assert_true(accepted);
    pair_stop(&pair);
    (void)close(fd);
}

/* First the handshake has its deadline, then the exchange. */
static void test_deadlines(void **state)
{
    static const enum outcome ends[] = {OUTCOME_TIMEOUT_FIRST_BYTE, OUTCOME_TIMEOUT_HANDSHAKE};
    struct fixture *f = *state;

    for (size_t i = 0; i < 2; i++) {
        struct pair pair;
        struct ride ride = {.n_early = 0};

        pair_start(&pair, f,
                   (struct script){.version = TLS1_3_VERSION, .prepare = takes_early_data});
        assert_int_equal(exchange(&pair, REQUEST, false), TLS_EARLY_NONE);
        pair.server.script.answer = answers_nothing;
        pair.server.script.act = i == 0 ? ACT_SERVE : ACT_STALL_HELLO;
        f->plan.target.timeout_handshake_ns = i == 0 ? 20 * NS_PER_S : 50 * NS_PER_MS;
        f->plan.target.timeout_first_byte_ns = 50 * NS_PER_MS;
        ride_to(&ride, &pair, &f->plan, &pair.server.port, 1);
        assert_int_equal(ride.n_ready, 1 - i);
        assert_int_equal(ride.outcome, ends[i]);
        assert_int_equal(ride.end, ends[i]);
        assert_int_equal(ride.early, i == 0 ? TLS_EARLY_ACCEPTED : TLS_EARLY_OFFERED);
        pair_stop(&pair);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_accepted, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_rejected, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_rejected_with_the_session, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_rejected_by_a_retry, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_lengths, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_not_unless_asked, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_sessions_without, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_one_write, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_the_next_address, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_deadlines, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
