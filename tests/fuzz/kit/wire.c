#include "wire.h"

#include "fuzz.h"

#include "base/mono.h"
#include "base/str.h"
#include "net/codec.h"
#include "net/conn_deadline.h"
#include "net/h2.h"
#include "net/h2_fields.h"

#include <ev.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define NOW_NS 1000000000ull

/* The server: what is left of its script. */
static struct {
    const char *at;
    size_t left;
    enum wire_pieces pieces;
    uint32_t n_pieces;
    bool cut, flush;
    enum tls_status end;
    enum outcome outcome;
} server;

static struct wire_told *told;
static struct stream streams[WIRE_STREAMS];
static struct conn_env env;
static struct conn conn;
static struct h2_fields fields[WIRE_STREAMS];

static const char *const heads[WIRE_STREAMS] = {
    "GET /a HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "HEAD /b HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "POST /c HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\n",
    "GET /d HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer x\r\n\r\n",
};

enum tls_status __wrap_tls_read(struct tls *tls, const char **ret_data, size_t *ret_len);
enum tls_status __wrap_tls_write(struct tls *tls, const char *data, size_t len, size_t *ret_len);
bool __wrap_tls_unsent(const struct tls *tls);
void __wrap_tls_shutdown(struct tls *tls, bool fin_follows);
void __wrap_tls_close(struct tls *tls);
enum outcome __wrap_tls_outcome(const struct tls *tls);
int __wrap_tls_alert(const struct tls *tls);

static size_t next_piece(void)
{
    size_t n = server.pieces == WIRE_WHOLE ? server.left : 1;
    if (server.pieces == WIRE_MIXED) {
        n = 1 + (server.n_pieces * 2654435761u >> 16) % 40;
    }
    return n < server.left ? n : server.left;
}

enum tls_status __wrap_tls_read(struct tls *tls, const char **ret_data, size_t *ret_len)
{
    (void)tls;
    if (server.left == 0) {
        return server.end;
    }
    if (server.flush) {
        h2_env_flush(&env);
        if (conn.state != CONN_READY) {
            return TLS_WANT_READ;
        }
    }
    *ret_data = server.at;
    *ret_len = next_piece();
    server.at += *ret_len;
    server.left -= *ret_len;
    server.n_pieces++;
    return TLS_DONE;
}

enum tls_status __wrap_tls_write(struct tls *tls, const char *data, size_t len, size_t *ret_len)
{
    (void)tls, (void)data;
    *ret_len = len;
    return TLS_DONE;
}

bool __wrap_tls_unsent(const struct tls *tls)
{
    (void)tls;
    return false;
}

void __wrap_tls_shutdown(struct tls *tls, bool fin_follows)
{
    (void)tls, (void)fin_follows;
}

void __wrap_tls_close(struct tls *tls)
{
    (void)tls;
}

enum outcome __wrap_tls_outcome(const struct tls *tls)
{
    (void)tls;
    return server.outcome;
}

int __wrap_tls_alert(const struct tls *tls)
{
    (void)tls;
    return -1;
}

static void on_ready(struct conn *c)
{
    (void)c;
}

static void on_exchanged(struct conn *c, struct stream *stream, enum outcome outcome)
{
    struct wire_end *end = &told->streams[stream - streams];
    (void)c;
    fuzz_require(!end->ended, "an exchange ended twice");
    *end = (struct wire_end){.ended = true,
                             .started = stream->started,
                             .unprocessed = stream->unprocessed,
                             .outcome = outcome,
                             .status = stream->status,
                             .body_bytes = stream->body_bytes};
}

static void on_closed(struct conn *c, enum outcome outcome)
{
    (void)c;
    told->n_closed++;
    told->closed = outcome;
}

static uint64_t now_ns(void)
{
    return NOW_NS;
}

/* Once. */
static void open_env(void)
{
    static const struct addr nowhere;
    static struct plan_target target;
    target.alpn = ALPN_H2_H1;
    mono_replace(now_ns);
    conn_env_init(&env, ev_loop_new(EVFLAG_AUTO | EVFLAG_NOENV), NULL, &target, &nowhere, 1);
    env.handler = (struct conn_handler){on_ready, on_exchanged, on_closed, NULL};
    for (size_t i = 0; i < WIRE_STREAMS; i++) {
        h2_fields_init(&fields[i], heads[i], strlen(heads[i]));
    }
}

static void on_io(struct ev_loop *loop, ev_io *io, int revents)
{
    (void)loop, (void)io, (void)revents;
}

static void open_conn(bool h2)
{
    conn = (struct conn){.env = &env,
                         .fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
                         .state = CONN_READY,
                         .tls = (struct tls *)(void *)&server,
                         .codec = h2 ? &codec_h2 : &codec_h1,
                         .was_ready = true,
                         .no_delay = true,
                         .dial_ns = NOW_NS,
                         .connected_ns = NOW_NS,
                         .ready_ns = NOW_NS};
    conn.link.armed = CONN_DEADLINE_NONE;
    ev_init(&conn.io, on_io);
    conn.io.data = &conn;
    fuzz_require(conn.fd >= 0, "no descriptor");
    if (h2) {
        fuzz_require(h2_open(&conn), "no memory for a session");
        h2_begin(&conn);
    }
}

static void hear(const char *bytes, size_t len, enum tls_status end)
{
    server.at = bytes;
    server.left = len;
    server.end = end;
    conn_drive(&conn, EV_READ);
}

static void send_all(bool h2, bool head)
{
    static const char greeting[] = {0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 100};
    size_t n = h2 ? WIRE_STREAMS : 1, at = !h2 && head;
    if (h2) {
        hear(greeting, sizeof greeting, TLS_WANT_READ);
    }
    for (size_t i = 0; i < n; i++, at++) {
        struct conn_request request = {.head = heads[at],
                                       .head_len = strlen(heads[at]),
                                       .fields = fields[at].fields,
                                       .n_fields = fields[at].n,
                                       .head_request = at == 1,
                                       .body = at == 2 ? "hello" : NULL,
                                       .body_len = at == 2 ? 5 : 0,
                                       .cancelled = at == 3};
        fuzz_require(conn_room(&conn) > 0, "no room for the requests");
        conn_send(&conn, &streams[i], &request);
    }
    told->n_streams = n;
    h2_env_flush(&env);
}

void wire_run(bool h2, bool head, bool cut, bool flush, enum wire_pieces pieces, const char *bytes,
              size_t len, struct wire_told *ret_told)
{
    if (env.loop == NULL) {
        open_env();
    }
    told = ret_told;
    memset(told, 0, sizeof *told);
    env.keep = told->kept;
    env.keep_size = h2 ? 0 : WIRE_KEEP;
    server.pieces = WIRE_WHOLE;
    server.flush = false;
    server.n_pieces = 0;
    server.outcome = OUTCOME_HTTP_RESET;
    open_conn(h2);
    send_all(h2, head);
    server.pieces = pieces;
    server.flush = flush;
    if (conn.state == CONN_READY) {
        hear(bytes, len, cut ? TLS_FAILED : TLS_EOF);
    }
    server.left = 0;
    conn_reap(&env);
    fuzz_require(conn.state == CONN_IDLE && told->n_closed == 1, "the end was not told once");
    for (size_t i = 0; i < told->n_streams; i++) {
        fuzz_require(told->streams[i].ended, "an exchange was never ended");
    }
}
