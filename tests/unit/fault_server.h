/* A server that does wrong what a server can do wrong: real sockets, real TLS, and an answer that
 * is written down byte for byte.  It counts each byte that it puts on the wire, of handshakes as
 * well, so a connection can be cut, damaged or left alone after any of them.  Which fault a
 * connection meets is decided by its client, who enters it under the port that it dials from.
 *
 * One thread a connection, blocking: as many at once as there are threads.  What the server notes
 * in a fault is read when the server has been stopped. */
#ifndef TESTS_FAULT_SERVER_H
#define TESTS_FAULT_SERVER_H

#include "base/mem.h"
#include "net_server.h"
#include "record/outcome.h"

#include <netinet/tcp.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdint.h>

/* How a connection ends when the server has said what it says. */
enum fault_end {
    FAULT_NOTIFY, /* close_notify and FIN */
    FAULT_FIN,    /* FIN alone */
    FAULT_RESET,  /* RST */
    FAULT_STALL,  /* not at all: nothing more is said until the client goes */
    FAULT_END_COUNT
};

struct fault_conn;

/* What was seen of a fault. */
struct fault_seen {
    /* The server. */
    bool served;        /* somebody came */
    unsigned flight;    /* under way at the end: 1 is its first, 0 none */
    size_t plain;       /* bytes of the answer that went out in whole records */
    size_t wire;        /* bytes that went out */
    size_t hello_wire;  /* of them before the request was read */
    size_t answer_wire; /* and until the answer was whole */
    bool whole;         /* the cut came at the end of what was written at once */
    bool open;          /* the damaged byte is one that TLS does not protect */
    /* The client. */
    enum outcome exchange, close;
    bool begun; /* an exchange */
    int status;
    uint64_t took_ns;
};

struct fault {
    char name[80];
    bool h2;
    uint16_t version; /* of TLS; 0: 1.3 */
    /* The answer: so much of it, in records of `piece` bytes (0: in one). */
    const char *bytes;
    size_t len, piece;
    enum fault_end end;
    /* On the wire: the end comes after so many bytes of ciphertext; this one is damaged. */
    bool cuts, flips;
    size_t at;
    unsigned char flip;
    /* More than that: after the handshake and the request, or instead of TLS; or NULL. */
    void (*serve)(struct fault_conn *conn);
    void (*talk)(struct fault_conn *conn); /* which reads the requests itself */
    void (*raw)(struct fault_conn *conn);
    unsigned code;
    size_t extra_at; /* in the answer, after so many bytes of it, comes this: */
    const char *extra;
    size_t extra_len;
    uint64_t expect; /* outcomes, as OF below gives them */
    struct fault_seen seen;
};

#define OF(outcome) (1ULL << (outcome))
_Static_assert(OUTCOME_COUNT <= 64, "a set of outcomes is a word");

struct fault_server {
    const struct identity *own;
    int fd;
    uint16_t port;
    unsigned n_threads;
    pthread_t threads[512];
    SSL_CTX *ctx;
    BIO_METHOD *method;
    _Atomic(struct fault *) by_port[65536];
    atomic_uint n_waiting; /* connections on which nothing will be said any more */
    /* Instead of the client: fills in the fault of the n-th connection; or NULL. */
    void (*pick)(struct fault *fault, unsigned n);
    atomic_uint n_picked;
    atomic_ulong n_answered; /* counted by who answers */
};

struct fault_conn {
    struct fault_server *server;
    struct fault *fault;
    int fd;
    SSL *ssl;
    bool reading, cut, gone;
    /* Of the client's application data, what is not yet looked at. */
    unsigned char in[20000];
    size_t in_len;
    char secret[128]; /* of the server's traffic, in hexadecimal (TLS 1.3) */
    unsigned char wrong[20000];
};

/* The wire. */

static inline bool fault_send(struct fault_conn *conn, const void *bytes, size_t len)
{
    for (size_t done = 0; done < len;) {
        ssize_t n = send(conn->fd, (const char *)bytes + done, len - done, MSG_NOSIGNAL);

        if (n <= 0) {
            conn->gone = true;
            return false;
        }
        done += (size_t)n;
    }
    conn->fault->seen.wire += len;
    return true;
}

/* The minor version in the header of a record in plain text: nobody signs it. */
static inline bool fault_is_open(const char *records, size_t len, size_t at)
{
    const unsigned char *bytes = (const unsigned char *)records;

    for (size_t i = 0; i + 5 <= len; i += 5 + ((size_t)bytes[i + 3] << 8 | bytes[i + 4])) {
        if (at == i + 2) {
            return bytes[i] != 23; /* application data, or what is to look like it */
        }
    }
    return false;
}

static inline int fault_wire_write(BIO *bio, const char *from, int len)
{
    struct fault_conn *conn = BIO_get_data(bio);
    struct fault *fault = conn->fault;
    size_t n = (size_t)len, left = fault->at - fault->seen.wire;
    bool flips = fault->flips && fault->at >= fault->seen.wire && left < n;

    BIO_clear_retry_flags(bio);
    if (conn->cut || conn->gone) {
        return -1;
    }
    fault->seen.flight += conn->reading;
    conn->reading = false;
    if (fault->cuts && left <= n) {
        conn->cut = true;
        fault->seen.whole = left == n;
        n = left;
    }
    if (flips) {
        BUG_ON(n > sizeof conn->wrong);
        fault->seen.open = fault_is_open(from, n, left);
        memcpy(conn->wrong, from, n);
        conn->wrong[left] ^= fault->flip;
        from = (const char *)conn->wrong;
    }
    return fault_send(conn, from, n) && (!conn->cut || n == (size_t)len) ? len : -1;
}

static inline int fault_wire_read(BIO *bio, char *to, int len)
{
    struct fault_conn *conn = BIO_get_data(bio);
    ssize_t n;

    BIO_clear_retry_flags(bio);
    if (conn->cut || conn->gone) {
        return -1;
    }
    n = recv(conn->fd, to, (size_t)len, 0);
    conn->reading = true;
    conn->gone = n <= 0;
    return (int)n;
}

static inline long fault_wire_ctrl(BIO *bio, int cmd, long number, void *pointer)
{
    (void)bio, (void)number, (void)pointer;
    return cmd == BIO_CTRL_FLUSH;
}

/* The end. */

static inline void fault_wait(struct fault_conn *conn)
{
    atomic_fetch_add(&conn->server->n_waiting, 1);
    server_drain(conn->fd);
    atomic_fetch_sub(&conn->server->n_waiting, 1);
}

static inline void fault_finish(struct fault_conn *conn)
{
    enum fault_end end = conn->fault->end;

    if (end == FAULT_RESET) {
        server_reset(conn->fd);
        return;
    }
    if (end == FAULT_NOTIFY && conn->ssl != NULL && !conn->cut) {
        (void)SSL_shutdown(conn->ssl);
    }
    if (end == FAULT_NOTIFY || end == FAULT_FIN) {
        (void)shutdown(conn->fd, SHUT_WR);
    }
    fault_wait(conn);
}

/* HTTP. */

/* Reads on; false at the end of the stream. */
static inline bool fault_read(struct fault_conn *conn)
{
    int n;

    BUG_ON(conn->in_len == sizeof conn->in);
    n = SSL_read(conn->ssl, conn->in + conn->in_len, (int)(sizeof conn->in - conn->in_len));
    if (n > 0) {
        conn->in_len += (size_t)n;
    }
    return n > 0;
}

static inline void fault_used(struct fault_conn *conn, size_t n)
{
    conn->in_len -= n;
    memmove(conn->in, conn->in + n, conn->in_len);
}

static inline bool fault_read_h1(struct fault_conn *conn)
{
    const unsigned char *end;

    while ((end = memmem(conn->in, conn->in_len, "\r\n\r\n", 4)) == NULL) {
        if (!fault_read(conn)) {
            return false;
        }
    }
    fault_used(conn, (size_t)(end + 4 - conn->in));
    return true;
}

#define FAULT_PREFACE "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

/* Up to the next HEADERS, whose stream this gives; 0 at the end. */
static inline uint32_t fault_read_h2(struct fault_conn *conn)
{
    for (;;) {
        size_t preface = sizeof FAULT_PREFACE - 1, len;
        uint32_t id;

        if (conn->in_len >= preface && memcmp(conn->in, FAULT_PREFACE, preface) == 0) {
            fault_used(conn, preface);
        }
        len = conn->in_len < 9 ? 0
                               : (size_t)conn->in[0] << 16 | (size_t)conn->in[1] << 8 | conn->in[2];
        if (conn->in_len < 9 + len || conn->in_len < 9 || conn->in[0] == 'P') {
            if (!fault_read(conn)) {
                return 0;
            }
            continue;
        }
        id = (uint32_t)conn->in[5] << 24 | (uint32_t)conn->in[6] << 16 |
             (uint32_t)conn->in[7] << 8 | conn->in[8];
        if (conn->in[3] == 1) {
            fault_used(conn, 9 + len);
            return id;
        }
        fault_used(conn, 9 + len);
    }
}

static inline bool fault_read_request(struct fault_conn *conn)
{
    return conn->fault->h2 ? fault_read_h2(conn) != 0 : fault_read_h1(conn);
}

static inline bool fault_say(struct fault_conn *conn, const void *bytes, size_t len)
{
    return len == 0 || SSL_write(conn->ssl, bytes, (int)len) == (int)len;
}

static inline bool fault_say_pieces(struct fault_conn *conn, size_t from, size_t to)
{
    const struct fault *fault = conn->fault;

    while (from < to) {
        size_t n = fault->piece > 0 && fault->piece < to - from ? fault->piece : to - from;

        if (!fault_say(conn, fault->bytes + from, n)) {
            return false;
        }
        conn->fault->seen.plain += n;
        from += n;
    }
    return true;
}

static inline void fault_answer(struct fault_conn *conn)
{
    const struct fault *fault = conn->fault;
    size_t middle = fault->extra != NULL ? fault->extra_at : fault->len;

    (void)(fault_say_pieces(conn, 0, middle) &&
           (fault->extra == NULL || fault_say(conn, fault->extra, fault->extra_len)) &&
           fault_say_pieces(conn, middle, fault->len));
}

static inline void fault_serve(struct fault_conn *conn)
{
    struct fault *fault = conn->fault;

    fault->seen.served = true;
    if (fault->raw != NULL) {
        fault->raw(conn);
        return;
    }
    if (SSL_accept(conn->ssl) != 1) {
        return;
    }
    if (fault->talk != NULL) {
        fault->talk(conn);
    } else if (fault_read_request(conn)) {
        fault->seen.hello_wire = fault->seen.wire;
        if (fault->serve != NULL) {
            fault->serve(conn);
        } else {
            fault_answer(conn);
        }
        fault->seen.answer_wire = fault->seen.wire;
    }
}

/* The threads. */

/* The client enters its port as soon as it has one. */
static inline struct fault *fault_of(struct fault_server *server, int fd)
{
    struct sockaddr_in sa;
    socklen_t len = sizeof sa;
    struct fault *fault = NULL;

    if (server->pick != NULL) {
        fault = xcalloc(1, sizeof *fault);
        server->pick(fault, atomic_fetch_add(&server->n_picked, 1));
        return fault;
    }
    if (getpeername(fd, (struct sockaddr *)&sa, &len) != 0) {
        return NULL; /* it has gone already */
    }
    while ((fault = atomic_exchange(&server->by_port[ntohs(sa.sin_port)], NULL)) == NULL) {
        (void)poll(NULL, 0, 1);
    }
    return fault;
}

static inline void fault_open_tls(struct fault_conn *conn)
{
    BIO *bio = BIO_new(conn->server->method);
    uint16_t version = conn->fault->version != 0 ? conn->fault->version : TLS1_3_VERSION;

    BIO_set_data(bio, conn);
    BIO_set_init(bio, 1);
    conn->ssl = SSL_new(conn->server->ctx);
    SSL_set_bio(conn->ssl, bio, bio);
    SSL_set_app_data(conn->ssl, conn);
    BUG_ON(SSL_set_min_proto_version(conn->ssl, version) != 1);
    BUG_ON(SSL_set_max_proto_version(conn->ssl, version) != 1);
}

static inline void fault_one(struct fault_conn *conn)
{
    int one = 1;

    (void)setsockopt(conn->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    conn->fault = fault_of(conn->server, conn->fd);
    if (conn->fault == NULL) {
        (void)close(conn->fd);
        return;
    }
    fault_open_tls(conn);
    fault_serve(conn);
    fault_finish(conn);
    SSL_free(conn->ssl);
    (void)close(conn->fd);
    if (conn->server->pick != NULL) {
        free(conn->fault);
    }
}

static inline void *fault_main(void *argument)
{
    struct fault_server *server = argument;
    struct fault_conn *conn = xmalloc(sizeof *conn);

    for (int fd; (fd = accept4(server->fd, NULL, NULL, SOCK_CLOEXEC)) >= 0;) {
        *conn = (struct fault_conn){.server = server, .fd = fd, .reading = true};
        fault_one(conn);
    }
    free(conn);
    return NULL;
}

static inline int fault_select(SSL *ssl, const uint8_t **out, uint8_t *out_len, const uint8_t *in,
                               unsigned in_len, void *arg)
{
    const struct fault_conn *conn = SSL_get_app_data(ssl);
    const char *name = conn->fault->h2 ? "h2" : "http/1.1";

    (void)in, (void)in_len, (void)arg;
    *out = (const uint8_t *)name;
    *out_len = (uint8_t)strlen(name);
    return SSL_TLSEXT_ERR_OK;
}

static inline void fault_keylog(const SSL *ssl, const char *line)
{
    static const char label[] = "SERVER_TRAFFIC_SECRET_0 ";
    struct fault_conn *conn = SSL_get_app_data(ssl);

    if (str_has_prefix(line, label)) {
        (void)str_copy(conn->secret, sizeof conn->secret, strrchr(line, ' ') + 1);
    }
}

/* It asks for a certificate, and takes any: what it thinks of it is not what is looked at. */
static inline enum ssl_verify_result_t fault_trust(SSL *ssl, uint8_t *ret_alert)
{
    (void)ssl, (void)ret_alert;
    return ssl_verify_ok;
}

static inline void fault_context(struct fault_server *server)
{
    static const uint16_t algorithms[] = {SSL_SIGN_ED25519, SSL_SIGN_ECDSA_SECP256R1_SHA256};
    static const unsigned char id[] = "fault";

    server->ctx = SSL_CTX_new(TLS_method());
    BUG_ON(SSL_CTX_use_certificate(server->ctx, server->own->cert) != 1);
    BUG_ON(SSL_CTX_use_PrivateKey(server->ctx, server->own->key) != 1);
    SSL_CTX_set_session_id_context(server->ctx, id, sizeof id);
    SSL_CTX_set_custom_verify(server->ctx, SSL_VERIFY_PEER, fault_trust);
    BUG_ON(SSL_CTX_set_verify_algorithm_prefs(server->ctx, algorithms, 2) != 1);
    SSL_CTX_set_alpn_select_cb(server->ctx, fault_select, server);
    SSL_CTX_set_keylog_callback(server->ctx, fault_keylog);
    SSL_CTX_set_session_cache_mode(server->ctx, SSL_SESS_CACHE_OFF);
    server->method = BIO_meth_new(0, "fault");
    BUG_ON(!BIO_meth_set_read(server->method, fault_wire_read) ||
           !BIO_meth_set_write(server->method, fault_wire_write) ||
           !BIO_meth_set_ctrl(server->method, fault_wire_ctrl));
}

/* `own` is borrowed; `n_threads` connections at once. */
static inline struct fault_server *fault_server_start(const struct identity *own,
                                                      unsigned n_threads,
                                                      void (*pick)(struct fault *fault, unsigned n))
{
    struct fault_server *server = xcalloc(1, sizeof *server);
    struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof sa;
    pthread_attr_t attributes;

    (void)signal(SIGPIPE, SIG_IGN);
    server->own = own;
    server->n_threads = n_threads;
    server->pick = pick;
    fault_context(server);
    server->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    BUG_ON(bind(server->fd, (struct sockaddr *)&sa, sizeof sa) != 0);
    BUG_ON(listen(server->fd, 512) != 0);
    BUG_ON(getsockname(server->fd, (struct sockaddr *)&sa, &len) != 0);
    server->port = ntohs(sa.sin_port);
    (void)pthread_attr_init(&attributes);
    (void)pthread_attr_setstacksize(&attributes, 256 * 1024);
    BUG_ON(n_threads > sizeof server->threads / sizeof *server->threads);
    for (unsigned i = 0; i < n_threads; i++) {
        BUG_ON(pthread_create(&server->threads[i], &attributes, fault_main, server) != 0);
    }
    (void)pthread_attr_destroy(&attributes);
    return server;
}

/* All connections have been closed by their clients. */
static inline void fault_server_stop(struct fault_server *server)
{
    (void)shutdown(server->fd, SHUT_RDWR);
    for (unsigned i = 0; i < server->n_threads; i++) {
        (void)pthread_join(server->threads[i], NULL);
    }
    (void)close(server->fd);
    SSL_CTX_free(server->ctx);
    BIO_meth_free(server->method);
    free(server);
}

#endif
