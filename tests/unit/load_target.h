/* A small mutual-TLS server in threads of the test, blocking and simple, that counts what it has
 * seen, so that both ends of a load can be compared exactly.  It misbehaves as it is told. */
#ifndef TESTS_LOAD_TARGET_H
#define TESTS_LOAD_TARGET_H

#include "base/diag.h"
#include "base/file.h"
#include "base/mem.h"
#include "ident/apikey.h"
#include "ident/pki.h"

#include <arpa/inet.h>
#include <errno.h>
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
    bool lets_all_in;              /* whatever the certificate, or none; never refuses a key */
    bool never_asks;               /* for a certificate */
    bool checks_keys;              /* 401 without a key of its secret, or a token */
    const char *query;             /* "api_key=": where the key is instead of a header */
    bool puts_off;                 /* answers 425 to early data */
    void (*prepare)(SSL_CTX *ctx); /* more about the context; or NULL */
    const char *names[3];          /* in the leaves: how often each shook hands in full */

    char dir[64];
    char *secret; /* owns: of the API keys */
    int listener;
    uint16_t port;
    SSL_CTX *ctx;
    pthread_t thread;
    atomic_bool stop;
    atomic_uint n_threads;
    atomic_ulong n_refused, n_accepted, n_full, n_resumed, n_requests, n_closed, n_body_bytes;
    atomic_ulong n_early;  /* requests that came as early data */
    pthread_mutex_t mutex; /* of the sets */
    atomic_ulong n_named[3], n_unauthorized;
    /* Requests that broke off, and what ended the connections: close_notify, an end without it, a
     * reset (also while a response was sent). */
    atomic_ulong n_partial, n_notified, n_cut, n_reset;
    /* Hashes of certificates in handshakes, keys and tokens, of what one request had of the three,
     * and of the certificates behind requests. */
    uint64_t seen[5][TARGET_SEEN];
    size_t n_seen[5];
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

static inline uint64_t target_note(struct target *target, int kind, const void *bytes, size_t len)
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
    return hash;
}

/* What follows `name` in the head, up to an end of line or of a query. */
static inline const char *target_find(const char *head, const char *name, size_t *ret_len)
{
    const char *at = strstr(head, name);
    if (at != NULL) {
        at += strlen(name);
        *ret_len = strcspn(at, "\r& ");
    }
    return at;
}

static inline const CRYPTO_BUFFER *target_leaf(const SSL *ssl)
{
    const STACK_OF(CRYPTO_BUFFER) *chain = SSL_get0_peer_certificates(ssl);
    return chain != NULL && sk_CRYPTO_BUFFER_num(chain) > 0 ? sk_CRYPTO_BUFFER_value(chain, 0)
                                                            : NULL;
}

/* Notes who asks; false when the key or the token is missing or the key is not one of ours. */
static inline bool target_note_request(struct target *target, const SSL *ssl, const char *head)
{
    size_t key_len = 0, token_len = 0;
    const char *key =
        target_find(head, target->query != NULL ? target->query : "X-API-Key: ", &key_len);
    const char *token = target_find(head, "Authorization: Bearer ", &token_len);
    const CRYPTO_BUFFER *leaf = target_leaf(ssl);
    uint64_t who[3] = {0};
    if (leaf != NULL) {
        who[0] = target_hash(CRYPTO_BUFFER_data(leaf), CRYPTO_BUFFER_len(leaf));
    }
    if (key != NULL) {
        who[1] = target_note(target, 1, key, key_len);
    }
    if (token != NULL) {
        who[2] = target_note(target, 2, token, token_len);
    }
    target_note(target, 3, who, sizeof who);
    target_note(target, 4, &who[0], sizeof who[0]);
    return key != NULL && token != NULL &&
           apikey_verify(key, key_len, target->secret, strlen(target->secret));
}

static inline void target_note_end(struct target *target, const SSL *ssl, int result, bool partial)
{
    int error = errno;
    atomic_fetch_add(&target->n_partial, partial);
    if (SSL_get_error(ssl, result) == SSL_ERROR_ZERO_RETURN) {
        atomic_fetch_add(&target->n_notified, 1);
    } else if (SSL_get_error(ssl, result) == SSL_ERROR_SYSCALL) {
        atomic_fetch_add(error == 0 ? &target->n_cut : &target->n_reset, 1);
    }
}

/* Reads one request with its body; false at the end of the connection. */
static inline bool target_read(struct target *target, SSL *ssl, char *head, size_t size,
                               size_t *ret_body)
{
    size_t n = 0;
    char *end;
    head[0] = '\0';
    while ((end = strstr(head, "\r\n\r\n")) == NULL) {
        if (n + 1 == size) {
            return false;
        }
        errno = 0;
        int got = SSL_read(ssl, head + n, (int)(size - n - 1));
        if (got <= 0) {
            target_note_end(target, ssl, got, n > 0);
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
        errno = 0;
        int got = SSL_read(ssl, bytes, sizeof bytes);
        if (got <= 0) {
            target_note_end(target, ssl, got, true);
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
    if (!target_read(target, ssl, head, sizeof head, &body)) {
        return false;
    }
    atomic_fetch_add(&target->n_requests, 1);
    atomic_fetch_add(&target->n_body_bytes, body);
    bool early = SSL_in_early_data(ssl) == 1;
    atomic_fetch_add(&target->n_early, early);
    bool known = target_note_request(target, ssl, head) || !target->checks_keys;
    if (!known) {
        atomic_fetch_add(&target->n_unauthorized, 1);
    }
    if (target->silent) {
        return SSL_read(ssl, head, 1) > 0;
    }
    if (target->delay_ms > 0) {
        (void)poll(NULL, 0, (int)target->delay_ms);
    }
    bool last = target->say_close_after != 0 && n_served + 1 == target->say_close_after;
    int len = snprintf(response, sizeof response, "HTTP/1.1 %d X\r\nContent-Length: 2\r\n%s\r\nok",
                       target->puts_off && early ? 425
                       : target->status != 0     ? target->status
                       : known                   ? 200
                                                 : 401,
                       last ? "Connection: close\r\n" : "");
    bool sent = SSL_write(ssl, response, len) == len;
    atomic_fetch_add(&target->n_reset, !sent);
    return sent && !last;
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
        const CRYPTO_BUFFER *leaf = target_leaf(ssl);
        atomic_fetch_add(&target->n_full, 1);
        if (leaf != NULL) {
            target_note(target, 0, CRYPTO_BUFFER_data(leaf), CRYPTO_BUFFER_len(leaf));
        }
        for (int i = 0; i < 3 && leaf != NULL && target->names[i] != NULL; i++) {
            bool is = memmem(CRYPTO_BUFFER_data(leaf), CRYPTO_BUFFER_len(leaf), target->names[i],
                             strlen(target->names[i])) != NULL;
            atomic_fetch_add(&target->n_named[i], is);
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

static inline enum ssl_verify_result_t target_trusts_all(SSL *ssl, uint8_t *ret_alert)
{
    (void)ssl;
    (void)ret_alert;
    return ssl_verify_ok;
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
    if (target->never_asks) {
        SSL_CTX_set_verify(ctx, SSL_VERIFY_NONE, NULL);
    } else if (target->lets_all_in) {
        SSL_CTX_set_custom_verify(ctx, SSL_VERIFY_PEER, target_trusts_all);
    } else {
        SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    }
    if (target->prepare != NULL) {
        target->prepare(ctx);
    }
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
    char path[128];
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
    (void)snprintf(path, sizeof path, "%s/apikey.secret", target->dir);
    target->secret = file_read(path, 4096, NULL);
    target->secret[strcspn(target->secret, "\n")] = '\0';
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
    free(target->secret);
    (void)nftw(target->dir, target_remove, 8, FTW_DEPTH | FTW_PHYS);
}

#endif
