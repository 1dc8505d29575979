/* Raw exchanges: the matcher, fed at every boundary, and connections to a real server that answers
 * as it likes. */
#include "base/mono.h"
#include "base/rng.h"
#include "net/conn.h"
#include "net/fetch.h"
#include "net_server.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define SHORT_NS (100 * NS_PER_MS)
#define LONG_NS  (20 * NS_PER_S)
#define ASK      "PING\r\n\r\n" /* the server reads up to an empty line */

/* The matcher. */

struct reply {
    enum raw_kind kind;
    const char *bytes;
    uint64_t len; /* RAW_LENGTH */
    const char *text;
    enum raw_status expect;
    enum outcome outcome;
    size_t n_bytes; /* of the reply, or where it differs */
};

static const struct reply replies[] = {
    {RAW_EXACT, "+PONG\r\n", 0, "+PONG\r\n", RAW_DONE, OUTCOME_OK, 7},
    {RAW_EXACT, "+PONG\r\n", 0, "+PONG\r\n+PONG\r\n", RAW_DONE, OUTCOME_OK, 7},
    {RAW_EXACT, "+PONG\r\n", 0, "+PON", RAW_MORE, OUTCOME_OK, 4},
    {RAW_EXACT, "+PONG\r\n", 0, "-ERR no\r\n", RAW_FAILED, OUTCOME_REPLY_MISMATCH, 0},
    {RAW_EXACT, "+PONG\r\n", 0, "+PONG\r ", RAW_FAILED, OUTCOME_REPLY_MISMATCH, 6},
    {RAW_EXACT, "+PONG\r\n", 0, "+PUNG\r\n", RAW_FAILED, OUTCOME_REPLY_MISMATCH, 2},
    {RAW_LENGTH, NULL, 5, "hello", RAW_DONE, OUTCOME_OK, 5},
    {RAW_LENGTH, NULL, 5, "hello world", RAW_DONE, OUTCOME_OK, 5},
    {RAW_LENGTH, NULL, 5, "hell", RAW_MORE, OUTCOME_OK, 4},
    {RAW_UNTIL, "\r\n", 0, "250 ok\r\n", RAW_DONE, OUTCOME_OK, 8},
    {RAW_UNTIL, "\r\n", 0, "\r\r\n\r\n", RAW_DONE, OUTCOME_OK, 3},
    {RAW_UNTIL, "\r\n.\r\n", 0, "\r\n\r\n.\r\r\n.\r\n!", RAW_DONE, OUTCOME_OK, 11},
    {RAW_UNTIL, "aab", 0, "aaaab", RAW_DONE, OUTCOME_OK, 5},
    {RAW_UNTIL, "abcabd", 0, "abcabcabd", RAW_DONE, OUTCOME_OK, 9},
    {RAW_UNTIL, "\r\n", 0, "250 ok\n\r", RAW_MORE, OUTCOME_OK, 8},
    {RAW_UNTIL, "x", 0, "x", RAW_DONE, OUTCOME_OK, 1},
};

static void expected(struct raw_reply *reply, const struct reply *r)
{
    raw_reply_init(reply, r->kind, r->bytes, r->kind == RAW_LENGTH ? r->len : strlen(r->bytes));
}

/* In pieces of `piece` bytes, the first of `first`; each of exactly its bytes, so that reading on
 * is seen. */
static void feed_in_pieces(const struct reply *r, size_t first, size_t piece)
{
    size_t len = strlen(r->text), done = 0, used = 0;
    enum raw_status status = RAW_MORE;
    struct raw_reply reply;
    struct raw raw = {0};

    expected(&reply, r);
    raw_begin(&raw, &reply);
    while (done < len && status == RAW_MORE) {
        size_t n = done == 0 && first > 0 ? first : piece;
        n = n < len - done ? n : len - done;
        char *copy = xmalloc(n);
        memcpy(copy, r->text + done, n);
        status = raw_feed(&raw, copy, n, &used);
        free(copy);
        done += status == RAW_FAILED ? 0 : used;
    }
    if (status != r->expect || raw.outcome != r->outcome || raw.n_bytes != r->n_bytes ||
        (status != RAW_FAILED && done != r->n_bytes)) {
        fail_msg("\"%s\" in pieces of %zu, %zu: status %d, %s, %zu bytes", r->text, first, piece,
                 status, outcome_info(raw.outcome)->name, (size_t)raw.n_bytes);
    }
    raw_reply_clear(&reply);
}

static void test_each_boundary(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof replies / sizeof *replies; i++) {
        feed_in_pieces(&replies[i], 0, 1);
        for (size_t first = 1; first <= strlen(replies[i].text); first++) {
            feed_in_pieces(&replies[i], first, SIZE_MAX);
        }
    }
}

/* Against a search that looks at everything again, over an alphabet of two letters. */
static void test_delimiters_are_found_where_they_are(void **state)
{
    struct rng rng;

    (void)state;
    rng_init(&rng, 1, "raw", 0);
    for (unsigned round = 0; round < 20000; round++) {
        char end[8], text[64];
        size_t end_len = 1 + (size_t)(rng_double(&rng) * 7);
        struct raw_reply reply;
        struct raw raw = {0};
        size_t used = 0;

        for (size_t i = 0; i < sizeof text; i++) {
            text[i] = rng_double(&rng) < 0.5 ? 'a' : 'b';
        }
        for (size_t i = 0; i < end_len; i++) {
            end[i] = rng_double(&rng) < 0.5 ? 'a' : 'b';
        }
        raw_reply_init(&reply, RAW_UNTIL, end, end_len);
        raw_begin(&raw, &reply);
        const char *hit = memmem(text, sizeof text, end, end_len);
        enum raw_status status = raw_feed(&raw, text, sizeof text, &used);
        assert_int_equal(status, hit != NULL ? RAW_DONE : RAW_MORE);
        assert_int_equal(used, hit != NULL ? (size_t)(hit - text) + end_len : sizeof text);
        raw_reply_clear(&reply);
    }
}

static void test_a_reply_without_end_has_a_limit(void **state)
{
    static char much[1 << 16];
    size_t used = 0, left = RAW_REPLY_MAX / sizeof much;
    struct raw_reply reply;
    struct raw raw = {0}, fits = {0};

    (void)state;
    raw_reply_init(&reply, RAW_UNTIL, "\r\n", 2);
    raw_begin(&raw, &reply);
    raw_begin(&fits, &reply);
    for (; left > 1; left--) {
        assert_int_equal(raw_feed(&raw, much, sizeof much, &used), RAW_MORE);
        assert_int_equal(raw_feed(&fits, much, sizeof much, &used), RAW_MORE);
    }
    assert_int_equal(raw_feed(&raw, much, sizeof much, &used), RAW_FAILED);
    assert_int_equal(raw.outcome, OUTCOME_REPLY_LIMIT);
    memcpy(much + sizeof much - 2, "\r\n", 2);
    assert_int_equal(raw_feed(&fits, much, sizeof much, &used), RAW_DONE);
    assert_int_equal(fits.n_bytes, RAW_REPLY_MAX);
    raw_reply_clear(&reply);
}

/* Connections. */

static struct pki {
    struct identity ca, server, client;
    struct cert client_cert;
    char ca_path[64];
} pki;

/* One dial: exchanges one after another, and what came of them. */
struct dial {
    /* wants */
    struct plan plan;
    const struct cert *cert;
    struct raw_reply reply, reply_later; /* of the first exchange; of all others */
    const char *send;
    size_t send_len;
    unsigned n_requests;
    size_t greeting; /* the first one begins when the server has said so much */
    bool stays;      /* the server closes */
    bool close_after;
    bool narrow; /* the socket takes little at a time */
    struct sink *show;
    /* was told */
    unsigned n_ready, n_exchanged, n_ok, n_closed;
    enum outcome last_exchange, end;
    struct stream stream;
    uint64_t bytes_sent;
    /* machinery */
    struct ev_loop *loop;
    struct conn_env env;
    struct conn conn;
    ev_prepare prepare;
    bool inside; /* conn_send */
};

static void send_request(struct dial *dial)
{
    struct conn_request request = {.head = dial->send,
                                   .head_len = dial->send_len,
                                   .reply =
                                       dial->n_exchanged == 0 ? &dial->reply : &dial->reply_later};

    dial->conn.close_after = dial->close_after;
    dial->inside = true;
    conn_send(&dial->conn, &dial->stream, &request);
    dial->inside = false;
}

static void on_ready(struct conn *conn)
{
    struct dial *dial = conn->owner;

    int little = 4096;

    dial->n_ready++;
    assert_int_equal(
        dial->narrow ? setsockopt(conn->fd, SOL_SOCKET, SO_SNDBUF, &little, sizeof little) : 0, 0);
    if (dial->n_requests > 0 && dial->greeting == 0) {
        send_request(dial);
    }
}

static void on_exchanged(struct conn *conn, struct stream *stream, enum outcome outcome)
{
    struct dial *dial = conn->owner;

    assert_false(dial->inside); /* a worker is never told from within its own call */
    assert_ptr_equal(stream, &dial->stream);
    dial->n_exchanged++;
    dial->n_ok += outcome == OUTCOME_OK;
    dial->last_exchange = outcome;
    if (outcome == OUTCOME_OK && conn_room(conn) > 0) {
        if (dial->n_exchanged < dial->n_requests) {
            send_request(dial);
        } else if (!dial->stays) {
            conn_close(conn, OUTCOME_OK);
        }
    }
}

static void on_closed(struct conn *conn, enum outcome outcome)
{
    struct dial *dial = conn->owner;

    dial->n_closed++;
    dial->end = outcome;
    dial->bytes_sent = conn->env->bytes_sent;
    ev_break(dial->loop, EVBREAK_ALL);
}

static void on_prepare(struct ev_loop *loop, ev_prepare *prepare, int revents)
{
    struct dial *dial = prepare->data;

    (void)loop;
    (void)revents;
    conn_reap(&dial->env);
    if (dial->greeting > 0 && dial->conn.state == CONN_READY && dial->conn.n_sent == 0 &&
        dial->conn.raw.greeting_len >= dial->greeting) {
        send_request(dial);
    }
}

static struct dial dial_to(enum raw_kind kind, const char *bytes, uint64_t len)
{
    static char localhost[] = "localhost";
    struct dial dial = {
        .n_requests = 1, .cert = &pki.client_cert, .send = ASK, .send_len = strlen(ASK)};
    struct plan_target *target = &dial.plan.target;

    raw_reply_init(&dial.reply, kind, bytes, bytes != NULL ? strlen(bytes) : len);
    raw_reply_init(&dial.reply_later, kind, bytes, bytes != NULL ? strlen(bytes) : len);
    target->raw = true;
    target->verify = VERIFY_CACHED;
    target->tls_min = TLS_VERSION_1_2;
    target->tls_max = TLS_VERSION_1_3;
    target->server_ca = pki.ca_path;
    target->server_name = target->verify_name = localhost;
    target->timeout_connect_ns = target->timeout_handshake_ns = LONG_NS;
    target->timeout_first_byte_ns = target->timeout_exchange_ns = LONG_NS;
    return dial;
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

static void dial_run(struct dial *dial, uint16_t port)
{
    struct diag *diag = diag_new();
    struct tls_client *client = tls_client_new(&dial->plan, &dial->plan.target, diag);
    struct addr addr = loopback(port);

    assert_non_null(client);
    dial->loop = ev_loop_new(EVBACKEND_EPOLL);
    conn_env_init(&dial->env, dial->loop, client, &dial->plan.target, &addr, 1);
    dial->env.handler =
        (struct conn_handler){.ready = on_ready, .exchanged = on_exchanged, .closed = on_closed};
    dial->env.show = dial->show;
    ev_prepare_init(&dial->prepare, on_prepare);
    dial->prepare.data = dial;
    ev_prepare_start(dial->loop, &dial->prepare);
    dial->conn.owner = dial;
    conn_dial(&dial->conn, &dial->env, dial->cert, NULL);
    while (dial->n_closed == 0) {
        ev_run(dial->loop, EVRUN_ONCE);
    }
    conn_reap(&dial->env);
    assert_int_equal(dial->conn.state, CONN_IDLE);
    assert_int_equal(dial->n_closed, 1);
    conn_env_stop(&dial->env);
    ev_loop_destroy(dial->loop);
    tls_client_free(client);
    diag_free(diag);
    raw_reply_clear(&dial->reply);
    raw_reply_clear(&dial->reply_later);
}

static struct script script_of(enum act act, const char *reply)
{
    return (struct script){.act = act, .reply = reply, .own = &pki.server, .client_ca = &pki.ca};
}

static void run_against(struct dial *dial, struct script script)
{
    struct server server;

    server_start(&server, script);
    dial_run(dial, server.port);
    server_stop(&server);
}

static void expect(struct dial *dial, struct script script, unsigned n_ok, enum outcome exchange,
                   enum outcome end)
{
    run_against(dial, script);
    if (dial->n_ok != n_ok || dial->last_exchange != exchange || dial->end != end) {
        fail_msg("%u ok, exchange ended %s, connection %s; expected %u, %s, %s", dial->n_ok,
                 outcome_info(dial->last_exchange)->name, outcome_info(dial->end)->name, n_ok,
                 outcome_info(exchange)->name, outcome_info(end)->name);
    }
}

static void test_keep_alive(void **state)
{
    struct dial exact = dial_to(RAW_EXACT, "+PONG\r\n", 0);
    struct dial until = dial_to(RAW_UNTIL, "\r\n", 0);
    struct dial length = dial_to(RAW_LENGTH, NULL, 7), own = dial_to(RAW_LENGTH, NULL, 7);

    (void)state;
    exact.n_requests = until.n_requests = length.n_requests = own.n_requests = 3;
    own.close_after = true;
    expect(&exact, script_of(ACT_SERVE, "+PONG\r\n"), 3, OUTCOME_OK, OUTCOME_OK);
    expect(&until, script_of(ACT_SERVE, "+PONG\r\n"), 3, OUTCOME_OK, OUTCOME_OK);
    expect(&length, script_of(ACT_SERVE, "+PONG\r\n"), 3, OUTCOME_OK, OUTCOME_OK);
    expect(&own, script_of(ACT_SERVE, "+PONG\r\n"), 1, OUTCOME_OK, OUTCOME_OK);
    assert_int_equal(exact.n_ready, 1);
    assert_int_equal(exact.stream.status, 0);
    assert_int_equal(exact.stream.body_bytes, 7);
    assert_true(exact.stream.started);
    assert_true(exact.stream.first_byte_ns >= exact.stream.sent_ns);
}

static void one_by_one(SSL *ssl)
{
    for (const char *p = "+PONG\r\n"; *p != '\0'; p++) {
        server_say(ssl, p, 1);
    }
}

static void test_a_reply_may_come_in_pieces(void **state)
{
    struct script script = script_of(ACT_SERVE, NULL);
    struct dial dial = dial_to(RAW_EXACT, "+PONG\r\n", 0);

    (void)state;
    script.answer = one_by_one;
    dial.n_requests = 4;
    expect(&dial, script, 4, OUTCOME_OK, OUTCOME_OK);
}

static void test_replies_that_are_not_as_expected(void **state)
{
    static const struct {
        enum act act;
        const char *reply;
        enum outcome outcome;
    } cases[] = {
        {ACT_STALL, "-ERR what?\r\n", OUTCOME_REPLY_MISMATCH},
        {ACT_STALL, "+PONG\n", OUTCOME_REPLY_MISMATCH},
        {ACT_STALL, "+PONG\r\n+PONG\r\n", OUTCOME_REPLY_EXTRA},
        {ACT_ANSWER_CLOSE, "+PON", OUTCOME_HTTP_TRUNCATED},
        {ACT_ANSWER_CUT, "+PON", OUTCOME_HTTP_TRUNCATED},
        {ACT_ANSWER_RESET, "+PON", OUTCOME_HTTP_RESET},
        {ACT_ANSWER_CLOSE, "", OUTCOME_HTTP_CLOSED},
        {ACT_ANSWER_CUT, "", OUTCOME_HTTP_CLOSED},
        {ACT_ANSWER_RESET, "", OUTCOME_HTTP_RESET},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct dial dial = dial_to(RAW_EXACT, "+PONG\r\n", 0);

        expect(&dial, script_of(cases[i].act, cases[i].reply), 0, cases[i].outcome,
               cases[i].outcome);
        assert_int_equal(dial.n_exchanged, 1);
    }
}

static void test_a_server_that_goes_on(void **state)
{
    struct dial between = dial_to(RAW_LENGTH, NULL, 2), closed = dial_to(RAW_LENGTH, NULL, 2);
    struct script late = script_of(ACT_STALL, NULL);

    (void)state;
    late.answer = one_by_one;
    between.stays = true; /* seven bytes, and two were expected */
    run_against(&between, late);
    assert_int_equal(between.end, OUTCOME_REPLY_EXTRA);
    assert_int_equal(between.last_exchange, between.n_ok > 0 ? OUTCOME_OK : OUTCOME_REPLY_EXTRA);
    closed.stays = true;
    expect(&closed, script_of(ACT_ANSWER_CLOSE, "ok"), 1, OUTCOME_OK, OUTCOME_OK);
}

static void without_end(SSL *ssl)
{
    char much[16000];

    memset(much, 'x', sizeof much);
    while (SSL_write(ssl, much, sizeof much) > 0) {
    }
}

static void test_a_stream_without_end_is_cut(void **state)
{
    struct script script = script_of(ACT_SERVE, NULL);
    struct dial dial = dial_to(RAW_UNTIL, "\r\n", 0);

    (void)state;
    script.answer = without_end;
    expect(&dial, script, 0, OUTCOME_REPLY_LIMIT, OUTCOME_REPLY_LIMIT);
    assert_int_equal(dial.stream.body_bytes, RAW_REPLY_MAX);
}

static void test_timeouts(void **state)
{
    struct dial first = dial_to(RAW_EXACT, "+PONG\r\n", 0);
    struct dial exchange = dial_to(RAW_EXACT, "+PONG\r\n", 0);

    (void)state;
    first.plan.target.timeout_first_byte_ns = SHORT_NS;
    expect(&first, script_of(ACT_STALL, ""), 0, OUTCOME_TIMEOUT_FIRST_BYTE,
           OUTCOME_TIMEOUT_FIRST_BYTE);
    exchange.plan.target.timeout_exchange_ns = SHORT_NS;
    expect(&exchange, script_of(ACT_STALL, "+PO"), 0, OUTCOME_TIMEOUT_EXCHANGE,
           OUTCOME_TIMEOUT_EXCHANGE);
}

/* The greeting is there long before the exchange that expects it. */
static void test_servers_that_speak_first(void **state)
{
    static char flood[RAW_GREETING_MAX + 1];
    struct dial waits = dial_to(RAW_EXACT, "220 mail\r\n", 0);
    struct dial at_once = dial_to(RAW_EXACT, "220 mail\r\n", 0);
    struct dial other = dial_to(RAW_EXACT, "220 mail\r\n", 0);
    struct dial never = dial_to(RAW_EXACT, "220 mail\r\n", 0);
    struct script much = script_of(ACT_TALK, flood);

    (void)state;
    waits.send_len = at_once.send_len = other.send_len = 0;
    waits.greeting = 10;
    expect(&waits, script_of(ACT_TALK, "220 mail\r\n"), 1, OUTCOME_OK, OUTCOME_OK);
    expect(&at_once, script_of(ACT_TALK, "220 mail\r\n"), 1, OUTCOME_OK, OUTCOME_OK);
    other.greeting = 10;
    expect(&other, script_of(ACT_TALK, "554 go away\r\n"), 0, OUTCOME_REPLY_MISMATCH,
           OUTCOME_REPLY_MISMATCH);
    much.reply_len = sizeof flood;
    never.n_requests = 0;
    expect(&never, much, 0, OUTCOME_OK, OUTCOME_REPLY_EXTRA);
    assert_int_equal(never.n_exchanged, 0);
}

/* What nobody waits for is dropped, also when it comes between two exchanges. */
static void test_nothing_is_expected(void **state)
{
    struct dial dial = dial_to(RAW_NOTHING, NULL, 0), closed = dial_to(RAW_NOTHING, NULL, 0);
    size_t len = 8 << 20;
    char *much = xcalloc(1, len);
    struct dial large = dial_to(RAW_NOTHING, NULL, 0);

    (void)state;
    memcpy(much, ASK, strlen(ASK));
    dial.n_requests = 50;
    expect(&dial, script_of(ACT_SERVE, "+PONG\r\n"), 50, OUTCOME_OK, OUTCOME_OK);
    assert_int_equal(dial.stream.first_byte_ns, 0);
    assert_int_equal(dial.bytes_sent, 50 * strlen(ASK));
    closed.stays = true;
    expect(&closed, script_of(ACT_ANSWER_CLOSE, "+PONG\r\n"), 1, OUTCOME_OK, OUTCOME_OK);
    large.send = much;
    large.send_len = len;
    large.narrow = true;
    expect(&large, script_of(ACT_STALL, ""), 1, OUTCOME_OK, OUTCOME_OK);
    assert_int_equal(large.bytes_sent, len);
    free(much);
}

/* Done means sent: a server that takes nothing more holds it up. */
static void test_nothing_is_expected_and_the_server_stops_reading(void **state)
{
    struct dial dial = dial_to(RAW_NOTHING, NULL, 0);
    struct script script = script_of(ACT_STALL, NULL);
    size_t len = 64 << 20;

    (void)state;
    dial.send = xcalloc(1, len);
    dial.send_len = len;
    dial.plan.target.timeout_exchange_ns = SHORT_NS;
    script.answer = without_end; /* it writes, and we read, until we close */
    memcpy((char *)(uintptr_t)dial.send, ASK, strlen(ASK));
    expect(&dial, script, 0, OUTCOME_TIMEOUT_EXCHANGE, OUTCOME_TIMEOUT_EXCHANGE);
    free((char *)(uintptr_t)dial.send);
}

static void test_refused_certificates(void **state)
{
    struct dial dial = dial_to(RAW_EXACT, "+PONG\r\n", 0);
    struct script script = script_of(ACT_SERVE, "+PONG\r\n");

    (void)state;
    script.version = TLS1_3_VERSION;
    dial.cert = NULL;
    expect(&dial, script, 0, OUTCOME_ALERT_CERTIFICATE_REQUIRED,
           OUTCOME_ALERT_CERTIFICATE_REQUIRED);
}

static char offered[256];

static int note_offer(SSL *ssl, const uint8_t **out, uint8_t *out_len, const uint8_t *in,
                      unsigned in_len, void *arg)
{
    (void)ssl;
    (void)out;
    (void)out_len;
    (void)arg;
    memcpy(offered, in, in_len);
    offered[in_len] = '\0';
    return SSL_TLSEXT_ERR_NOACK;
}

static void watch_offers(SSL_CTX *ctx)
{
    SSL_CTX_set_alpn_select_cb(ctx, note_offer, NULL);
}

static void test_alpn_is_the_profiles(void **state)
{
    struct dial none = dial_to(RAW_EXACT, "+PONG\r\n", 0);
    struct dial two = dial_to(RAW_EXACT, "+PONG\r\n", 0);
    struct script script = script_of(ACT_SERVE, "+PONG\r\n");

    (void)state;
    script.prepare = watch_offers;
    expect(&none, script, 1, OUTCOME_OK, OUTCOME_OK);
    assert_string_equal(offered, "");
    two.plan.target.alpn_text = (char[]){"mqtt, x-foo"};
    expect(&two, script, 1, OUTCOME_OK, OUTCOME_OK);
    assert_string_equal(offered, "\x04mqtt\x05x-foo");
}

static void test_show(void **state)
{
    static const char *const texts[] = {
        "* raw bytes (nothing selected by ALPN)\n", "> PING\\r\\n\\r\\n\n", "< +P\\x00NG\\r\\n\n",
        "* byte 2 of the reply, counted from 0, is \"\\x00\", expected was \"O\"\n",
        "request.expect (reply_mismatch)\n"};
    struct script script = script_of(ACT_STALL, "+P\0NG\r\n");
    struct dial dial = dial_to(RAW_EXACT, "+PONG\r\n", 0);

    (void)state;
    dial.show = sink_new();
    script.reply_len = 7;
    expect(&dial, script, 0, OUTCOME_REPLY_MISMATCH, OUTCOME_REPLY_MISMATCH);
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        if (strstr(sink_text(dial.show, NULL), texts[i]) == NULL) {
            fail_msg("no \"%s\" in:\n%s", texts[i], sink_text(dial.show, NULL));
        }
    }
    sink_free(dial.show);
}

static void test_fetch(void **state)
{
    struct dial dial = dial_to(RAW_EXACT, "+PONG\r\n", 0);
    struct diag *diag = diag_new();
    struct fetch_answer answer;
    struct server server;

    (void)state;
    server_start(&server, script_of(ACT_SERVE, "+PONG\r\n"));
    struct addr addr = loopback(server.port);
    struct fetch *fetch = fetch_new_at(&dial.plan, &dial.plan.target, &addr, 1, diag);
    assert_non_null(fetch);
    fetch_perform_raw(fetch, dial.cert, dial.send, dial.send_len, &dial.reply, &answer);
    assert_int_equal(answer.outcome, OUTCOME_OK);
    assert_int_equal(answer.status, 0);
    assert_true(answer.asked);
    assert_string_equal(answer.body, "+PONG\r\n");
    free(answer.body);
    fetch_perform_raw(fetch, NULL, dial.send, dial.send_len, &dial.reply, &answer);
    assert_int_equal(answer.alert, SSL_AD_CERTIFICATE_REQUIRED);
    free(answer.body);
    fetch_free(fetch);
    server_stop(&server);
    diag_free(diag);
}

static int make_pki(void **state)
{
    (void)state;
    (void)snprintf(pki.ca_path, sizeof pki.ca_path, "/tmp/tlsoak-raw-%d.pem", (int)getpid());
    pki.ca = identity_make("test CA", NULL, NULL, -DAY_S, DAY_S);
    pki.server = identity_make("server", &pki.ca, "DNS:localhost", -DAY_S, DAY_S);
    pki.client = identity_make("client", &pki.ca, NULL, -DAY_S, DAY_S);
    identity_to_cert(&pki.client, &pki.client_cert);
    identity_save(&pki.ca, pki.ca_path);
    return 0;
}

static int drop_pki(void **state)
{
    (void)state;
    identity_free(&pki.ca);
    identity_free(&pki.server);
    identity_free(&pki.client);
    identity_cert_free(&pki.client_cert);
    return unlink(pki.ca_path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_boundary),
        cmocka_unit_test(test_delimiters_are_found_where_they_are),
        cmocka_unit_test(test_a_reply_without_end_has_a_limit),
        cmocka_unit_test(test_keep_alive),
        cmocka_unit_test(test_a_reply_may_come_in_pieces),
        cmocka_unit_test(test_replies_that_are_not_as_expected),
        cmocka_unit_test(test_a_server_that_goes_on),
        cmocka_unit_test(test_a_stream_without_end_is_cut),
        cmocka_unit_test(test_timeouts),
        cmocka_unit_test(test_servers_that_speak_first),
        cmocka_unit_test(test_nothing_is_expected),
        cmocka_unit_test(test_nothing_is_expected_and_the_server_stops_reading),
        cmocka_unit_test(test_refused_certificates),
        cmocka_unit_test(test_alpn_is_the_profiles),
        cmocka_unit_test(test_show),
        cmocka_unit_test(test_fetch),
    };

    return cmocka_run_group_tests(tests, make_pki, drop_pki);
}
