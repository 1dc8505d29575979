/* The connection against a real server: what it reports for every way in which a server can behave.
 */
#include "base/file.h"
#include "base/mem.h"
#include "base/mono.h"
#include "net/conn.h"
#include "net_server.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define SHORT_NS (100 * NS_PER_MS)
#define LONG_NS  (20 * NS_PER_S)

static struct pki {
    struct identity ca, other_ca, server, expired, future, client, stranger;
    struct cert client_cert, stranger_cert;
    char dir[64];
    char ca_path[96], other_ca_path[96];
} pki;

/* One dial: what the worker of the test wants, and what it was told. */
struct dial {
    /* wants */
    struct plan plan;
    const struct cert *cert;
    unsigned n_requests;
    const char *body;
    size_t body_len;
    bool send_late;   /* not in ready(), but when the server has closed or talked: never */
    bool close_after; /* set at the first request */
    struct tls_session *session;
    /* was told */
    unsigned n_ready, n_exchanged, n_ok, n_closed;
    enum outcome last_exchange, end;
    bool was_ready, started;
    int status, alert;
    uint64_t body_bytes;
    struct tls_facts facts;
    struct tls_session *taken;
    /* machinery */
    struct ev_loop *loop;
    struct conn_env env;
    struct conn conn;
    struct stream stream;
    ev_prepare prepare;
    struct sink *show;
};

static void send_request(struct conn *conn)
{
    struct dial *dial = conn->owner;
    static const char get[] = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
    static const char post[] = "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\n";

    struct conn_request request = {.head = get, .head_len = sizeof get - 1};

    conn->close_after = dial->close_after;
    if (dial->body != NULL) {
        request = (struct conn_request){.head = post,
                                        .head_len = sizeof post - 1,
                                        .body = dial->body,
                                        .body_len = dial->body_len};
    }
    conn_send(conn, &dial->stream, &request);
}

static void on_ready(struct conn *conn)
{
    struct dial *dial = conn->owner;

    dial->n_ready++;
    tls_facts(conn->tls, &dial->facts);
    tls_keep_sessions(conn->tls);
    if (dial->n_requests > 0) {
        send_request(conn);
    }
}

static void on_exchanged(struct conn *conn, struct stream *stream, enum outcome outcome)
{
    struct dial *dial = conn->owner;

    dial->n_exchanged++;
    dial->n_ok += outcome == OUTCOME_OK;
    dial->last_exchange = outcome;
    dial->status = stream->status;
    dial->started = stream->started;
    dial->body_bytes = stream->body_bytes;
    if (outcome != OUTCOME_OK || conn_room(conn) == 0) {
        return;
    }
    if (dial->n_exchanged < dial->n_requests) {
        send_request(conn);
    } else if (!dial->send_late) {
        conn_close(conn, OUTCOME_OK);
    }
}

static void on_closed(struct conn *conn, enum outcome outcome)
{
    struct dial *dial = conn->owner;

    dial->n_closed++;
    dial->end = outcome;
    dial->was_ready = conn->was_ready;
    dial->alert = conn->tls != NULL ? tls_alert(conn->tls) : -1;
    (void)!tls_client_session(dial->env.tls, dial->cert, &dial->taken);
    ev_break(dial->loop, EVBREAK_ALL);
}

static void on_prepare(struct ev_loop *loop, ev_prepare *prepare, int revents)
{
    (void)loop;
    (void)revents;
    conn_reap(prepare->data);
}

static struct dial dial_to(void)
{
    static char localhost[] = "localhost";
    struct dial dial = {.n_requests = 1, .cert = &pki.client_cert};
    struct plan_target *target = &dial.plan.target;

    target->verify = VERIFY_CACHED;
    target->tls_min = TLS_VERSION_1_2;
    target->tls_max = TLS_VERSION_1_3;
    target->server_ca = pki.ca_path;
    target->server_name = localhost;
    target->verify_name = localhost;
    target->timeout_connect_ns = target->timeout_handshake_ns = LONG_NS;
    target->timeout_first_byte_ns = target->timeout_exchange_ns = LONG_NS;
    dial.plan.pace.resume_ratio = 1;
    return dial;
}

/* Dials once and runs until closed() has been told.  Exactly one closed() a dial, always. */
static void dial_run(struct dial *dial, struct tls_client *client, uint16_t port)
{
    struct diag *diag = diag_new();
    struct addr addr;
    unsigned n_in_turn = 0;

    assert_int_equal(
        addr_resolve("127.0.0.1", port, LONG_NS, (struct origin){"test", 0}, &addr, 1, diag), 1);
    diag_free(diag);
    dial->loop = ev_loop_new(EVBACKEND_EPOLL);
    conn_env_init(&dial->env, dial->loop, client, &dial->plan.target, &addr, 1);
    dial->env.handler = (struct conn_handler){on_ready, on_exchanged, on_closed, NULL};
    dial->env.show = dial->show;
    ev_prepare_init(&dial->prepare, on_prepare);
    dial->prepare.data = &dial->env;
    ev_prepare_start(dial->loop, &dial->prepare);
    dial->conn.owner = dial;
    conn_dial(&dial->conn, &dial->env, dial->cert, dial->session);
    while (dial->n_closed == 0) {
        ev_run(dial->loop, EVRUN_ONCE);
        n_in_turn++;
    }
    conn_reap(&dial->env);
    assert_int_equal(dial->conn.state, CONN_IDLE);
    assert_int_equal(dial->n_closed, 1);
    assert_true(dial->n_ready <= 1);
    conn_env_stop(&dial->env);
    ev_loop_destroy(dial->loop);
}

static void dial_with(struct dial *dial, struct server *server)
{
    struct diag *diag = diag_new();
    struct tls_client *client = tls_client_new(&dial->plan, &dial->plan.target, diag);

    assert_non_null(client);
    dial_run(dial, client, server->port);
    tls_session_free(dial->taken);
    tls_client_free(client);
    diag_free(diag);
}

/* The usual case: one server, one dial, how did it end? */
static void expect(struct dial *dial, struct script script, enum outcome exchange, enum outcome end)
{
    struct server server;

    if (script.own == NULL) {
        script.own = &pki.server;
    }
    server_start(&server, script);
    dial_with(dial, &server);
    server_stop(&server);
    if (dial->last_exchange != exchange || dial->end != end) {
        fail_msg("exchange ended %s, connection %s; expected %s, %s",
                 outcome_info(dial->last_exchange)->name, outcome_info(dial->end)->name,
                 outcome_info(exchange)->name, outcome_info(end)->name);
    }
}

static struct script serve(void)
{
    return (struct script){
        .act = ACT_SERVE, .reply = ORDINARY, .own = &pki.server, .client_ca = &pki.ca};
}

static const uint16_t versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
#define EACH_VERSION(i)                                                                            \
    size_t i = 0;                                                                                  \
    i < 2;                                                                                         \
    i++

static void test_keep_alive(void **state)
{
    (void)state;
    for (EACH_VERSION(i)) {
        struct dial dial = dial_to();
        struct script script = serve();

        script.version = versions[i];
        dial.n_requests = 3;
        expect(&dial, script, OUTCOME_OK, OUTCOME_OK);
        assert_int_equal(dial.n_ready, 1);
        assert_int_equal(dial.n_ok, 3);
        assert_int_equal(dial.status, 200);
        assert_int_equal(dial.body_bytes, 5);
        assert_string_equal(dial.facts.version, i == 0 ? "TLSv1.2" : "TLSv1.3");
        assert_true(dial.facts.asked_for_certificate);
        assert_false(dial.facts.resumed);
    }
}

static void test_resumption(void **state)
{
    (void)state;
    for (EACH_VERSION(i)) {
        struct dial first = dial_to(), second = dial_to();
        struct diag *diag = diag_new();
        struct tls_client *client = tls_client_new(&first.plan, &first.plan.target, diag);
        struct script script = serve();
        struct server server;

        script.version = versions[i];
        server_start(&server, script);
        dial_run(&first, client, server.port);
        assert_non_null(first.taken);
        assert_false(first.facts.resumed);
        second.session = first.taken;
        dial_run(&second, client, server.port);
        assert_true(second.facts.resumed);
        assert_int_equal(second.n_ok, 1);
        server_stop(&server);
        tls_client_free(client); /* a session may outlive it */
        tls_session_free(first.taken);
        tls_session_free(second.taken);
        diag_free(diag);
    }
}

static void test_sessions_are_not_kept_when_nobody_resumes(void **state)
{
    struct dial dial = dial_to();
    struct diag *diag = diag_new();
    struct server server;
    struct tls_client *client;

    (void)state;
    dial.plan.pace.resume_ratio = 0;
    client = tls_client_new(&dial.plan, &dial.plan.target, diag);
    server_start(&server, serve());
    dial_run(&dial, client, server.port);
    assert_int_equal(dial.n_ok, 1);
    assert_null(dial.taken);
    server_stop(&server);
    tls_client_free(client);
    diag_free(diag);
}

/* In TLS 1.3 the refusal comes after our side is done, at the first read. */
static void test_refused_identities(void **state)
{
    (void)state;
    for (EACH_VERSION(i)) {
        struct dial none = dial_to(), stranger = dial_to();
        struct script script = serve();

        script.version = versions[i];
        none.cert = NULL;
        expect(&none, script, i == 0 ? OUTCOME_OK : OUTCOME_ALERT_CERTIFICATE_REQUIRED,
               i == 0 ? OUTCOME_ALERT_HANDSHAKE_FAILURE : OUTCOME_ALERT_CERTIFICATE_REQUIRED);
        assert_int_equal(none.was_ready, i == 1);
        assert_int_equal(none.n_ok, 0);
        stranger.cert = &pki.stranger_cert;
        expect(&stranger, script, i == 0 ? OUTCOME_OK : OUTCOME_ALERT_UNKNOWN_CA,
               OUTCOME_ALERT_UNKNOWN_CA);
        assert_int_equal(stranger.alert, SSL_AD_UNKNOWN_CA);
    }
}

static void test_refused_without_a_request(void **state)
{
    struct dial dial = dial_to();
    struct script script = serve();

    (void)state;
    script.version = TLS1_3_VERSION;
    dial.cert = NULL;
    dial.n_requests = 0;
    expect(&dial, script, OUTCOME_OK, OUTCOME_ALERT_CERTIFICATE_REQUIRED);
    assert_int_equal(dial.n_exchanged, 0);
}

/* Much to send, and the server closes with the alert before it has read it: the alert still wins.
 */
static void test_refused_while_sending(void **state)
{
    struct script script = serve();
    size_t len = 8 << 20;
    char *body = xcalloc(1, len);

    (void)state;
    for (int i = 0; i < 3; i++) {
        struct dial dial = dial_to();

        script.version = TLS1_3_VERSION;
        dial.cert = NULL;
        dial.body = body;
        dial.body_len = len;
        expect(&dial, script, OUTCOME_ALERT_CERTIFICATE_REQUIRED,
               OUTCOME_ALERT_CERTIFICATE_REQUIRED);
    }
    free(body);
}

static void test_server_certificates(void **state)
{
    static const enum verify_mode modes[] = {VERIFY_ALWAYS, VERIFY_CACHED};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct dial untrusted = dial_to(), wrong = dial_to(), old = dial_to(), early = dial_to();
        struct dial address = dial_to();
        struct script script = serve();

        untrusted.plan.target.verify = wrong.plan.target.verify = modes[i];
        old.plan.target.verify = early.plan.target.verify = modes[i];
        address.plan.target.verify = modes[i];
        untrusted.plan.target.server_ca = pki.other_ca_path;
        expect(&untrusted, script, OUTCOME_OK, OUTCOME_SERVER_CERT_UNTRUSTED);
        wrong.plan.target.verify_name = (char[]){"other.test"};
        expect(&wrong, script, OUTCOME_OK, OUTCOME_SERVER_CERT_WRONG_HOST);
        assert_false(wrong.was_ready);
        address.plan.target.verify_name = (char[]){"127.0.0.2"};
        expect(&address, script, OUTCOME_OK, OUTCOME_SERVER_CERT_WRONG_HOST);
        script.own = &pki.expired;
        expect(&old, script, OUTCOME_OK, OUTCOME_SERVER_CERT_EXPIRED);
        script.own = &pki.future;
        expect(&early, script, OUTCOME_OK, OUTCOME_SERVER_CERT_NOT_YET_VALID);
    }
}

static void test_server_certificates_accepted(void **state)
{
    struct dial anything = dial_to(), address = dial_to();
    struct script script = serve();

    (void)state;
    address.plan.target.verify_name = (char[]){"127.0.0.1"};
    address.plan.target.server_name = NULL;
    expect(&address, script, OUTCOME_OK, OUTCOME_OK);
    assert_int_equal(address.n_ok, 1);
    script.own = &pki.expired;
    anything.plan.target.verify = VERIFY_NO;
    anything.plan.target.server_ca = NULL;
    anything.plan.target.verify_name = (char[]){"other.test"};
    expect(&anything, script, OUTCOME_OK, OUTCOME_OK);
    assert_int_equal(anything.n_ok, 1);
}

static void test_not_tls(void **state)
{
    static const char *const answers[] = {"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n",
                                          "SSH-2.0-OpenSSH_9.2\r\n", "220 mail.test ESMTP\r\n",
                                          "\x16HTTP"};

    (void)state;
    for (size_t i = 0; i < sizeof answers / sizeof *answers; i++) {
        struct dial dial = dial_to();

        expect(&dial, (struct script){.act = ACT_PLAIN, .reply = answers[i]}, OUTCOME_OK,
               OUTCOME_NOT_TLS);
        assert_false(dial.was_ready);
    }
}

static void test_end_in_the_handshake(void **state)
{
    struct dial closing = dial_to(), resetting = dial_to(), old = dial_to();
    struct script script = serve();

    (void)state;
    expect(&closing, (struct script){.act = ACT_CLOSE_HELLO}, OUTCOME_OK, OUTCOME_TLS_CLOSED);
    expect(&resetting, (struct script){.act = ACT_RESET_HELLO}, OUTCOME_OK, OUTCOME_TLS_RESET);
    script.version = TLS1_2_VERSION;
    old.plan.target.tls_min = TLS_VERSION_1_3;
    expect(&old, script, OUTCOME_OK, OUTCOME_ALERT_PROTOCOL_VERSION);
}

static void test_nobody_listens(void **state)
{
    struct dial dial = dial_to();
    struct diag *diag = diag_new();
    struct tls_client *client = tls_client_new(&dial.plan, &dial.plan.target, diag);
    struct server server;

    (void)state;
    server_start(&server, serve());
    server_stop(&server);
    dial_run(&dial, client, server.port);
    assert_int_equal(dial.end, OUTCOME_REFUSED);
    assert_int_equal(dial.conn.connected_ns, 0);
    tls_client_free(client);
    diag_free(diag);
}

static void test_timeouts(void **state)
{
    struct script cut = {.act = ACT_STALL,
                         .reply = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhe"};
    struct script interim = {.act = ACT_STALL, .reply = "HTTP/1.1 100 Continue\r\n\r\n"};
    struct dial handshake = dial_to(), first = dial_to(), exchange = dial_to(), after = dial_to();

    (void)state;
    handshake.plan.target.timeout_handshake_ns = SHORT_NS;
    expect(&handshake, (struct script){.act = ACT_STALL_HELLO}, OUTCOME_OK,
           OUTCOME_TIMEOUT_HANDSHAKE);
    first.plan.target.timeout_first_byte_ns = SHORT_NS;
    expect(&first, (struct script){.act = ACT_STALL}, OUTCOME_TIMEOUT_FIRST_BYTE,
           OUTCOME_TIMEOUT_FIRST_BYTE);
    exchange.plan.target.timeout_exchange_ns = SHORT_NS;
    exchange.plan.target.timeout_first_byte_ns = SHORT_NS / 2;
    expect(&exchange, cut, OUTCOME_TIMEOUT_EXCHANGE, OUTCOME_TIMEOUT_EXCHANGE);
    assert_true(exchange.started);
    after.plan.target.timeout_exchange_ns = SHORT_NS;
    interim.n_before = 2;
    after.n_requests = 3;
    expect(&after, interim, OUTCOME_TIMEOUT_EXCHANGE, OUTCOME_TIMEOUT_EXCHANGE);
    assert_int_equal(after.n_ok, 2);
}

/* A listen queue that is full drops the SYN, so that connect() gets no answer. */
static void test_connect_timeout(void **state)
{
    struct dial dial = dial_to();
    struct diag *diag = diag_new();
    struct tls_client *client = tls_client_new(&dial.plan, &dial.plan.target, diag);
    struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof sa;
    int listener = socket(AF_INET, SOCK_STREAM, 0), filler[4];

    (void)state;
    assert_int_equal(bind(listener, (struct sockaddr *)&sa, sizeof sa), 0);
    assert_int_equal(listen(listener, 0), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&sa, &len), 0);
    for (size_t i = 0; i < 4; i++) {
        filler[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        (void)!connect(filler[i], (struct sockaddr *)&sa, sizeof sa);
    }
    dial.plan.target.timeout_connect_ns = SHORT_NS;
    dial_run(&dial, client, ntohs(sa.sin_port));
    assert_int_equal(dial.end, OUTCOME_TIMEOUT_CONNECT);
    for (size_t i = 0; i < 4; i++) {
        (void)close(filler[i]);
    }
    (void)close(listener);
    tls_client_free(client);
    diag_free(diag);
}

static void test_bad_answers(void **state)
{
    static const char half[] = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhe";
    static const struct {
        struct script script;
        enum outcome outcome;
        bool started;
    } cases[] = {
        {{.act = ACT_ANSWER_CLOSE, .reply = half}, OUTCOME_HTTP_TRUNCATED, true},
        {{.act = ACT_ANSWER_CUT, .reply = half}, OUTCOME_HTTP_TRUNCATED, true},
        {{.act = ACT_ANSWER_CUT, .reply = "HTTP/1.1 200 OK\r\n\r\nbody"},
         OUTCOME_HTTP_TRUNCATED,
         true},
        {{.act = ACT_ANSWER_RESET, .reply = half}, OUTCOME_HTTP_RESET, true},
        {{.act = ACT_ANSWER_CLOSE}, OUTCOME_HTTP_CLOSED, false},
        {{.act = ACT_ANSWER_CUT}, OUTCOME_HTTP_CLOSED, false},
        {{.act = ACT_ANSWER_RESET}, OUTCOME_HTTP_RESET, false},
        {{.act = ACT_STALL, .reply = "what is this?\r\n"}, OUTCOME_HTTP_GARBAGE, true},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct dial dial = dial_to();

        expect(&dial, cases[i].script, cases[i].outcome, cases[i].outcome);
        assert_int_equal(dial.started, cases[i].started);
        assert_int_equal(dial.n_ready, 1);
        assert_int_equal(dial.n_exchanged, 1);
    }
}

static void test_good_ends(void **state)
{
    struct dial delimited = dial_to(), close_header = dial_to(), own = dial_to(), idle = dial_to();
    struct dial kept = dial_to();

    (void)state;
    expect(&delimited,
           (struct script){.act = ACT_ANSWER_CLOSE, .reply = "HTTP/1.1 200 OK\r\n\r\nbody"},
           OUTCOME_OK, OUTCOME_OK);
    assert_int_equal(delimited.body_bytes, 4);
    close_header.n_requests = 2; /* but only one is answered */
    expect(&close_header,
           (struct script){.act = ACT_STALL,
                           .reply =
                               "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"},
           OUTCOME_OK, OUTCOME_OK);
    assert_int_equal(close_header.n_ok, 1);
    own.close_after = true;
    own.n_requests = 2;
    expect(&own, serve(), OUTCOME_OK, OUTCOME_OK);
    assert_int_equal(own.n_ok, 1);
    idle.n_requests = 0;
    expect(&idle, (struct script){.act = ACT_CLOSE_IDLE}, OUTCOME_OK, OUTCOME_OK);
    assert_true(idle.was_ready);
    kept.send_late = true; /* stays open after its exchange until the server closes */
    expect(&kept, (struct script){.act = ACT_CLOSE_IDLE, .n_before = 1}, OUTCOME_OK, OUTCOME_OK);
    assert_int_equal(kept.n_ok, 1);
}

static void test_unasked_bytes(void **state)
{
    struct dial dial = dial_to(), extra = dial_to();

    (void)state;
    dial.n_requests = 0;
    expect(&dial, (struct script){.act = ACT_TALK, .reply = ORDINARY}, OUTCOME_OK,
           OUTCOME_HTTP_GARBAGE);
    extra.n_requests = 2;
    expect(&extra, (struct script){.act = ACT_STALL, .reply = ORDINARY ORDINARY}, OUTCOME_OK,
           OUTCOME_HTTP_GARBAGE);
    assert_int_equal(extra.n_ok, 1);
}

/* An early answer to a large request that the server does not read to its end counts. */
static void test_answer_before_the_request_was_read(void **state)
{
    size_t len = 32 << 20;
    char *body = xcalloc(1, len);
    struct dial dial = dial_to();

    (void)state;
    dial.body = body;
    dial.body_len = len;
    dial.n_requests = 2; /* but no other can follow on this connection */
    expect(&dial,
           (struct script){.act = ACT_ANSWER_CUT,
                           .reply = "HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n"},
           OUTCOME_OK, OUTCOME_OK);
    assert_int_equal(dial.n_ok, 1);
    assert_int_equal(dial.n_exchanged, 1);
    assert_int_equal(dial.status, 413);
    free(body);
}

static void test_large_answer(void **state)
{
    static const char head[] = "HTTP/1.1 200 OK\r\nContent-Length: 3000000\r\n\r\n";
    size_t len = sizeof head - 1 + 3000000;
    char *reply = xmalloc(len);
    struct dial dial = dial_to();
    struct script script = serve();

    (void)state;
    memset(reply, 'x', len);
    memcpy(reply, head, sizeof head - 1);
    script.reply = reply;
    script.reply_len = len;
    dial.n_requests = 2;
    expect(&dial, script, OUTCOME_OK, OUTCOME_OK);
    assert_int_equal(dial.n_ok, 2);
    assert_int_equal(dial.body_bytes, 3000000);
    free(reply);
}

/* Several connections of one worker, with counts kept by their owner. */
struct crowd {
    struct ev_loop *loop;
    struct conn_env env;
    struct conn conns[24];
    struct stream streams[24];
    unsigned n_ready, n_exchanged, n_closed, n_expected;
    unsigned closed_of[24];
    enum outcome outcome; /* of all ends */
    ev_prepare prepare;
};

static void crowd_ready(struct conn *conn)
{
    struct crowd *crowd = conn->owner;
    struct conn_request request = {.head = "GET / HTTP/1.1\r\n\r\n", .head_len = 18};

    crowd->n_ready++;
    conn_send(conn, &crowd->streams[conn - crowd->conns], &request);
    if (crowd->n_expected == 0) {
        ev_break(crowd->loop, EVBREAK_ALL);
    }
}

static void crowd_exchanged(struct conn *conn, struct stream *stream, enum outcome outcome)
{
    struct crowd *crowd = conn->owner;

    crowd->n_exchanged++;
    assert_ptr_equal(stream, &crowd->streams[conn - crowd->conns]);
    assert_int_equal(outcome, crowd->outcome);
}

static void crowd_closed(struct conn *conn, enum outcome outcome)
{
    struct crowd *crowd = conn->owner;

    crowd->n_closed++;
    crowd->closed_of[conn - crowd->conns]++;
    assert_int_equal(outcome, crowd->outcome);
    if (crowd->n_closed == crowd->n_expected) {
        ev_break(crowd->loop, EVBREAK_ALL);
    }
}

static void crowd_start(struct crowd *crowd, struct tls_client *client, struct plan *plan,
                        const struct addr *addr)
{
    crowd->loop = ev_loop_new(EVBACKEND_EPOLL);
    conn_env_init(&crowd->env, crowd->loop, client, &plan->target, addr, 1);
    crowd->env.handler = (struct conn_handler){crowd_ready, crowd_exchanged, crowd_closed, NULL};
    ev_prepare_init(&crowd->prepare, on_prepare);
    crowd->prepare.data = &crowd->env;
    ev_prepare_start(crowd->loop, &crowd->prepare);
}

static struct addr loopback(uint16_t port)
{
    struct diag *diag = diag_new();
    struct addr addr;

    assert_int_equal(
        addr_resolve("127.0.0.1", port, LONG_NS, (struct origin){"test", 0}, &addr, 1, diag), 1);
    diag_free(diag);
    return addr;
}

/* The server takes one at a time, so one is ready, and the others hang at their hello. */
static void test_many_time_out(void **state)
{
    struct dial dial = dial_to();
    struct diag *diag = diag_new();
    struct crowd crowd = {.n_expected = 24, .outcome = OUTCOME_TIMEOUT_HANDSHAKE};
    struct tls_client *client;
    struct server server;
    struct addr addr;

    (void)state;
    dial.plan.target.timeout_handshake_ns = SHORT_NS;
    client = tls_client_new(&dial.plan, &dial.plan.target, diag);
    server_start(&server, (struct script){.act = ACT_STALL_HELLO, .own = &pki.server});
    addr = loopback(server.port);
    crowd_start(&crowd, client, &dial.plan, &addr);
    for (size_t i = 0; i < 24; i++) {
        crowd.conns[i].owner = &crowd;
        conn_dial(&crowd.conns[i], &crowd.env, NULL, NULL);
    }
    ev_run(crowd.loop, 0);
    conn_reap(&crowd.env);
    assert_int_equal(crowd.n_closed, 24);
    assert_int_equal(crowd.n_ready, 0);
    for (size_t i = 0; i < 24; i++) {
        assert_int_equal(crowd.closed_of[i], 1);
    }
    conn_env_stop(&crowd.env);
    ev_loop_destroy(crowd.loop);
    server_stop(&server);
    tls_client_free(client);
    diag_free(diag);
}

/* Closing what is ready with an exchange in flight, handshaking and dialing: told by conn_reap,
 * once. */
static void test_stopping(void **state)
{
    struct dial dial = dial_to();
    struct diag *diag = diag_new();
    struct crowd crowd = {.outcome = OUTCOME_STOPPED};
    struct tls_client *client = tls_client_new(&dial.plan, &dial.plan.target, diag);
    struct server server;
    struct addr addr;

    (void)state;
    server_start(&server, (struct script){.act = ACT_STALL, .own = &pki.server});
    addr = loopback(server.port);
    crowd_start(&crowd, client, &dial.plan, &addr);
    for (size_t i = 0; i < 3; i++) {
        crowd.conns[i].owner = &crowd;
        conn_dial(&crowd.conns[i], &crowd.env, NULL, NULL);
    }
    ev_run(crowd.loop, 0); /* until the first is ready */
    crowd.conns[3].owner = &crowd;
    conn_dial(&crowd.conns[3], &crowd.env, NULL, NULL);
    for (size_t i = 0; i < 4; i++) {
        conn_close(&crowd.conns[i], OUTCOME_STOPPED);
        conn_close(&crowd.conns[i], OUTCOME_STOPPED);
    }
    assert_int_equal(crowd.n_closed, 0);
    conn_reap(&crowd.env);
    assert_int_equal(crowd.n_closed, 4);
    assert_int_equal(crowd.n_exchanged, crowd.n_ready);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(crowd.closed_of[i], 1);
        assert_int_equal(crowd.conns[i].state, CONN_IDLE);
    }
    conn_env_stop(&crowd.env);
    ev_loop_destroy(crowd.loop);
    server_stop(&server);
    tls_client_free(client);
    diag_free(diag);
}

static void test_show(void **state)
{
    static const char *const expected[] = {
        "* connected to 127.0.0.1:",
        "* TLSv1.3, TLS_",
        ", X25519, full handshake, ",
        "* server certificate 0: CN = server, for DNS:localhost, IP Address:127.0.0.1; issued by "
        "CN = test CA",
        "* the server asked for a client certificate; sent CN=client",
        "> GET / HTTP/1.1\n> Host: localhost\n",
        "< HTTP/1.1 200 OK\n< Content-Length: 5\n<\nhello",
        "* connection closed\n"};
    struct dial dial = dial_to(), refused = dial_to();

    (void)state;
    dial.show = sink_new();
    dial.plan.target.groups = (char[]){"X25519:P-256"};
    expect(&dial, serve(), OUTCOME_OK, OUTCOME_OK);
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
        if (strstr(sink_text(dial.show, NULL), expected[i]) == NULL) {
            fail_msg("no \"%s\" in:\n%s", expected[i], sink_text(dial.show, NULL));
        }
    }
    sink_free(dial.show);
    refused.show = sink_new();
    refused.cert = NULL;
    expect(&refused, serve(), OUTCOME_ALERT_CERTIFICATE_REQUIRED,
           OUTCOME_ALERT_CERTIFICATE_REQUIRED);
    assert_non_null(strstr(sink_text(refused.show, NULL), "; sent none\n"));
    assert_non_null(strstr(sink_text(refused.show, NULL),
                           "* the server sent the alert certificate_required (116)\n"));
    sink_free(refused.show);
}

static void test_mistakes(void **state)
{
    struct dial dial = dial_to();
    struct diag *diag = diag_new();

    (void)state;
    dial.plan.target.groups = (char[]){"X25519:P-999"};
    assert_null(tls_client_new(&dial.plan, &dial.plan.target, diag));
    assert_int_equal(diag_count(diag), 1);
    dial.plan.target.groups = NULL;
    dial.plan.target.ciphers = (char[]){"NO-SUCH-CIPHER"};
    assert_null(tls_client_new(&dial.plan, &dial.plan.target, diag));
    assert_int_equal(diag_count(diag), 2);
    dial.plan.target.ciphers = NULL;
    dial.plan.target.server_ca = (char[]){"/nonexistent/ca.pem"};
    assert_null(tls_client_new(&dial.plan, &dial.plan.target, diag));
    assert_int_equal(diag_count(diag), 3);
    diag_free(diag);
}

static void test_state_table(void **state)
{
    struct sink *sink = sink_new();
    char *golden = file_read(TEST_SOURCE "/tests/golden/conn-states.txt", 1 << 20, NULL);

    (void)state;
    conn_print_states(sink);
    assert_non_null(golden);
    assert_string_equal(sink_text(sink, NULL), golden);
    free(golden);
    sink_free(sink);
}

static int make_pki(void **state)
{
    const char *san = "DNS:localhost,IP:127.0.0.1";

    (void)state;
    (void)snprintf(pki.dir, sizeof pki.dir, "/tmp/tlsoak-net-XXXXXX");
    assert_non_null(mkdtemp(pki.dir));
    (void)snprintf(pki.ca_path, sizeof pki.ca_path, "%s/ca.pem", pki.dir);
    (void)snprintf(pki.other_ca_path, sizeof pki.other_ca_path, "%s/other.pem", pki.dir);
    pki.ca = identity_make("test CA", NULL, NULL, -DAY_S, DAY_S);
    pki.other_ca = identity_make("other CA", NULL, NULL, -DAY_S, DAY_S);
    pki.server = identity_make("server", &pki.ca, san, -DAY_S, DAY_S);
    pki.expired = identity_make("expired", &pki.ca, san, -2 * DAY_S, -DAY_S);
    pki.future = identity_make("future", &pki.ca, san, DAY_S, 2 * DAY_S);
    pki.client = identity_make("client", &pki.ca, NULL, -DAY_S, DAY_S);
    pki.stranger = identity_make("stranger", &pki.other_ca, NULL, -DAY_S, DAY_S);
    identity_to_cert(&pki.client, &pki.client_cert);
    identity_to_cert(&pki.stranger, &pki.stranger_cert);
    identity_save(&pki.ca, pki.ca_path);
    identity_save(&pki.other_ca, pki.other_ca_path);
    return 0;
}

static int drop_pki(void **state)
{
    struct identity *all[] = {&pki.ca,     &pki.other_ca, &pki.server,  &pki.expired,
                              &pki.future, &pki.client,   &pki.stranger};

    (void)state;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        identity_free(all[i]);
    }
    identity_cert_free(&pki.client_cert);
    identity_cert_free(&pki.stranger_cert);
    (void)unlink(pki.ca_path);
    (void)unlink(pki.other_ca_path);
    (void)rmdir(pki.dir);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keep_alive),
        cmocka_unit_test(test_resumption),
        cmocka_unit_test(test_sessions_are_not_kept_when_nobody_resumes),
        cmocka_unit_test(test_refused_identities),
        cmocka_unit_test(test_refused_without_a_request),
        cmocka_unit_test(test_refused_while_sending),
        cmocka_unit_test(test_server_certificates),
        cmocka_unit_test(test_server_certificates_accepted),
        cmocka_unit_test(test_not_tls),
        cmocka_unit_test(test_end_in_the_handshake),
        cmocka_unit_test(test_nobody_listens),
        cmocka_unit_test(test_timeouts),
        cmocka_unit_test(test_connect_timeout),
        cmocka_unit_test(test_bad_answers),
        cmocka_unit_test(test_good_ends),
        cmocka_unit_test(test_unasked_bytes),
        cmocka_unit_test(test_answer_before_the_request_was_read),
        cmocka_unit_test(test_large_answer),
        cmocka_unit_test(test_many_time_out),
        cmocka_unit_test(test_stopping),
        cmocka_unit_test(test_show),
        cmocka_unit_test(test_mistakes),
        cmocka_unit_test(test_state_table),
    };

    return cmocka_run_group_tests(tests, make_pki, drop_pki);
}
