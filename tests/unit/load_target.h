/* A small mutual-TLS server in threads of the test, blocking and simple, that counts what it has
 * seen, so that both ends of a load can be compared exactly.  It misbehaves as it is told. */
#ifndef TESTS_LOAD_TARGET_H
#define TESTS_LOAD_TARGET_H

#include "base/diag.h"
#include "base/mem.h"
#include "ident/pki.h"

#include <arpa/inet.h>
#include <ftw.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/pool.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#define TARGET_SEEN 65536

struct target {
    /* How it behaves; set before target_start. */
    int status;               /* 0: 200 */
    unsigned delay_ms;        /* before each response */
    unsigned refuse_first;    /* resets so many connections before their handshake */
    unsigned accept_delay_ms; /* before each handshake */
    bool silent;              /* reads requests and never answers */
    unsigned drop_after;      /* resets the connection at the request after so many responses */
    unsigned say_close_after; /* announces "Connection: close" in that response */
    const char *client_ca;    /* NULL: the one that signs the clients */
    bool tls12;

    char dir[64];
    int listener;
    uint16_t port;
    SSL_CTX *ctx;
    pthread_t thread;
    atomic_bool stop;
    atomic_uint n_threads;
    atomic_ulong n_refused, n_accepted, n_full, n_resumed, n_requests, n_closed, n_body_bytes;
    pthread_mutex_t mutex;         /* of the sets */
    uint64_t seen[3][TARGET_SEEN]; /* hashes of certificates, keys and tokens */
    size_t n_seen[3];
};

struct target_conn {
    struct target *target;
    int fd;
};

static inline uint64_t target_hash(const void *bytes, size_t len)
{
    uint64_t hash = 0xcbf29ce484222325ULL;
    for (size_t i = 0; i < len; i++) {
        hash = (hash ^ ((const unsigned char *)bytes)[i]) * 0x100000001b3ULL;
    }
    return hash;
}

static inline void target_note(struct target *target, int kind, const void *bytes, size_t len)
{
    uint64_t hash = target_hash(bytes, len);
    (void)pthread_mutex_lock(&target->mutex);
    size_t i = 0;
    while (i < target->n_seen[kind] && target->seen[kind][i] != hash) {
        i++;
    }
    if (i == target->n_seen[kind] && i < TARGET_SEEN) {
        target->seen[kind][target->n_seen[kind]++] = hash;
    }
    (void)pthread_mutex_unlock(&target->mutex);
}

static inline void target_note_header(struct target *target, int kind, const char *head,
                                      const char *name)
{
    const char *at = strstr(head, name);
    if (at != NULL) {
        at += strlen(name);
        target_note(target, kind, at, strcspn(at, "\r"));
    }
}

/* Reads one request with its body; false at the end of the connection. */
static inline bool target_read(SSL *ssl, char *head, size_t size, size_t *ret_body)
{
    size_t n = 0;
    char *end;
    head[0] = '\0';
    while ((end = strstr(head, "\r\n\r\n")) == NULL) {
        int got = n + 1 < size ? SSL_read(ssl, head + n, (int)(size - n - 1)) : 0;
        if (got <= 0) {
            return false;
        }
        n += (size_t)got;
        head[n] = '\0';
    }
    const char *length = strcasestr(head, "Content-Length: ");
    size_t body = length != NULL ? strtoul(length + 16, NULL, 10) : 0;
    size_t have = n - (size_t)(end + 4 - head);
    *ret_body = body;
    while (have < body) {
        char bytes[4096];
        int got = SSL_read(ssl, bytes, sizeof bytes);
        if (got <= 0) {
            return false;
        }
        have += (size_t)got;
    }
    return true;
}

static inline bool target_answer(struct target *target, SSL *ssl, unsigned n_served)
{
    char head[4096], response[256];
    size_t body;
    if (!target_read(ssl, head, sizeof head, &body)) {
        return false;
    }
    atomic_fetch_add(&target->n_requests, 1);
    atomic_fetch_add(&target->n_body_bytes, body);
    target_note_header(target, 1, head, "X-API-Key: ");
    target_note_header(target, 2, head, "Authorization: Bearer ");
    if (target->silent) {
        return SSL_read(ssl, head, 1) > 0;
    }
    if (target->delay_ms > 0) {
        (void)poll(NULL, 0, (int)target->delay_ms);
    }
    bool last = target->say_close_after != 0 && n_served + 1 == target->say_close_after;
    int len =
        snprintf(response, sizeof response, "HTTP/1.1 %d X\r\nContent-Length: 2\r\n%s\r\nok",
                 target->status != 0 ? target->status : 200, last ? "Connection: close\r\n" : "");
    return SSL_write(ssl, response, len) == len && !last;
}

static inline void target_serve(struct target *target, SSL *ssl, int fd)
{
    struct linger reset = {.l_onoff = 1, .l_linger = 0};
    if (target->accept_delay_ms > 0) {
        (void)poll(NULL, 0, (int)target->accept_delay_ms);
    }
    if (SSL_accept(ssl) != 1) {
        return;
    }
    if (SSL_session_reused(ssl)) {
        atomic_fetch_add(&target->n_resumed, 1);
    } else {
        const STACK_OF(CRYPTO_BUFFER) *chain = SSL_get0_peer_certificates(ssl);
        const CRYPTO_BUFFER *leaf = chain != NULL ? sk_CRYPTO_BUFFER_value(chain, 0) : NULL;
        atomic_fetch_add(&target->n_full, 1);
        if (leaf != NULL) {
            target_note(target, 0, CRYPTO_BUFFER_data(leaf), CRYPTO_BUFFER_len(leaf));
        }
    }
    for (unsigned n = 0;; n++) {
        if (target->drop_after != 0 && n == target->drop_after) {
            struct pollfd readable = {.fd = fd, .events = POLLIN};
            (void)poll(&readable, 1, -1);
            (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
            return;
        }
        if (!target_answer(target, ssl, n)) {
            break;
        }
    }
    (void)SSL_shutdown(ssl);
}

static inline void *target_conn_main(void *argument)
{
    struct target_conn *conn = argument;
    struct target *target = conn->target;
    SSL *ssl = SSL_new(target->ctx);
    int one = 1;
    (void)setsockopt(conn->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    SSL_set_fd(ssl, conn->fd);
    target_serve(target, ssl, conn->fd);
    SSL_free(ssl);
    ERR_clear_error();
    (void)shutdown(conn->fd, SHUT_WR);
    (void)close(conn->fd);
    free(conn);
    atomic_fetch_add(&target->n_closed, 1);
    atomic_fetch_sub(&target->n_threads, 1);
    return NULL;
}

static inline void *target_main(void *argument)
{
    struct target *target = argument;
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    for (;;) {
        pthread_t thread;
        int fd = accept4(target->listener, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0 || atomic_load(&target->stop)) {
            if (fd >= 0) {
                (void)close(fd);
            }
            break;
        }
        if (atomic_load(&target->n_refused) < target->refuse_first) {
            struct linger reset = {.l_onoff = 1, .l_linger = 0};
            (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
            (void)close(fd);
            atomic_fetch_add(&target->n_refused, 1);
            continue;
        }
        struct target_conn *conn = xcalloc(1, sizeof *conn);
        *conn = (struct target_conn){target, fd};
        atomic_fetch_add(&target->n_accepted, 1);
        atomic_fetch_add(&target->n_threads, 1);
        if (pthread_create(&thread, &attributes, target_conn_main, conn) != 0) {
            abort();
        }
    }
    pthread_attr_destroy(&attributes);
    return NULL;
}

static inline SSL_CTX *target_context(struct target *target)
{
    char path[128];
    SSL_CTX *ctx = SSL_CTX_new(TLS_method());
    SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
    SSL_CTX_set_max_proto_version(ctx, target->tls12 ? TLS1_2_VERSION : TLS1_3_VERSION);
    (void)snprintf(path, sizeof path, "%s/server.pem", target->dir);
    bool ok = SSL_CTX_use_certificate_chain_file(ctx, path) == 1;
    (void)snprintf(path, sizeof path, "%s/server.key", target->dir);
    ok = ok && SSL_CTX_use_PrivateKey_file(ctx, path, SSL_FILETYPE_PEM) == 1;
    (void)snprintf(path, sizeof path, "%s/ca.pem", target->dir);
    ok = ok && SSL_CTX_load_verify_locations(
                   ctx, target->client_ca != NULL ? target->client_ca : path, NULL) == 1;
    ok = ok && SSL_CTX_set_session_id_context(ctx, (const uint8_t *)"test", 4) == 1;
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    if (!ok) {
        abort();
    }
    return ctx;
}

/* Makes the PKI of the target in a directory of its own. */
static inline void target_init(struct target *target)
{
    struct pki_request request = {
        .server_names = "localhost, 127.0.0.1", .days = 2, .n_clients = 1};
    struct diag *diag = diag_new();
    memset(target, 0, sizeof *target);
    (void)snprintf(target->dir, sizeof target->dir, "/tmp/tlsoak-test-XXXXXX");
    if (mkdtemp(target->dir) == NULL) {
        abort();
    }
    request.dir = target->dir;
    if (!pki_make(&request, diag)) {
        diag_print(diag, stderr);
        abort();
    }
    diag_free(diag);
    target->listener = -1;
}

/* Binds a port; without target_start nothing listens there. */
static inline void target_bind(struct target *target)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof at;
    target->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(target->listener, (struct sockaddr *)&at, len) != 0 ||
        getsockname(target->listener, (struct sockaddr *)&at, &len) != 0) {
        abort();
    }
    target->port = ntohs(at.sin_port);
}

static inline void target_start(struct target *target)
{
    target_bind(target);
    target->ctx = target_context(target);
    (void)pthread_mutex_init(&target->mutex, NULL);
    if (listen(target->listener, 512) != 0 ||
        pthread_create(&target->thread, NULL, target_main, target) != 0) {
        abort();
    }
}

static inline int target_remove(const char *path, const struct stat *stat, int type,
                                struct FTW *walk)
{
    (void)stat;
    (void)type;
    (void)walk;
    return remove(path);
}

/* Ends it: all connections must have been closed by the client, which is what the wait checks. */
static inline void target_stop(struct target *target)
{
    if (target->ctx != NULL) {
        atomic_store(&target->stop, true);
        (void)shutdown(target->listener, SHUT_RDWR);
        (void)pthread_join(target->thread, NULL);
        while (atomic_load(&target->n_threads) > 0) {
            (void)poll(NULL, 0, 1);
        }
        SSL_CTX_free(target->ctx);
        target->ctx = NULL;
    }
    if (target->listener >= 0) {
        (void)close(target->listener);
        target->listener = -1;
    }
}

static inline void target_free(struct target *target)
{
    target_stop(target);
    (void)nftw(target->dir, target_remove, 8, FTW_DEPTH | FTW_PHYS);
}

#endif
