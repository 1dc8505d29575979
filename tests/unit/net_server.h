/* For the tests of net: certificates minted in memory and a small blocking mTLS server on a thread,
 * which does to each connection exactly what its script says. */
#ifndef TESTS_NET_SERVER_H
#define TESTS_NET_SERVER_H

#include "base/bug.h"
#include "base/mem.h"
#include "base/str.h"
#include "ident/cert.h"

#include <arpa/inet.h>
#include <errno.h>
#include <openssl/bio.h>
#include <openssl/ec_key.h>
#include <openssl/evp.h>
#include <openssl/nid.h>
#include <openssl/pem.h>
#include <openssl/pool.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define DAY_S 86400

/* A certificate with its key. */
struct identity {
    X509 *cert;
    EVP_PKEY *key;
};

static inline EVP_PKEY *identity_key(void)
{
    EC_KEY *ec = EC_KEY_new_by_curve_name(NID_X9_62_prime256v1);
    EVP_PKEY *key = EVP_PKEY_new();

    BUG_ON(EC_KEY_generate_key(ec) != 1 || EVP_PKEY_assign_EC_KEY(key, ec) != 1);
    return key;
}

static inline void identity_extend(X509 *cert, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX ctx;
    X509_EXTENSION *extension;

    X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
    extension = X509V3_EXT_nconf_nid(NULL, &ctx, nid, value);
    BUG_ON(extension == NULL || X509_add_ext(cert, extension, -1) != 1);
    X509_EXTENSION_free(extension);
}

/* A certificate about this key, which it takes over.  Issuer NULL: a CA of its own.  Valid from
 * `from_s` to `to_s`, counted from now. */
static inline struct identity identity_of_key(EVP_PKEY *key, const char *name,
                                              const struct identity *issuer, const char *san,
                                              long from_s, long to_s)
{
    static long serial = 1;
    struct identity made = {X509_new(), key};
    const struct identity *signer = issuer != NULL ? issuer : &made;

    X509_set_version(made.cert, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(made.cert), serial++);
    X509_gmtime_adj(X509_getm_notBefore(made.cert), from_s);
    X509_gmtime_adj(X509_getm_notAfter(made.cert), to_s);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(made.cert), "CN", MBSTRING_ASC,
                               (const unsigned char *)name, -1, -1, 0);
    X509_set_issuer_name(made.cert, X509_get_subject_name(signer->cert));
    X509_set_pubkey(made.cert, made.key);
    identity_extend(made.cert, signer->cert, NID_basic_constraints,
                    issuer == NULL ? "critical,CA:TRUE" : "CA:FALSE");
    if (san != NULL) {
        identity_extend(made.cert, signer->cert, NID_subject_alt_name, san);
    }
    BUG_ON(X509_sign(made.cert, signer->key, EVP_sha256()) == 0);
    return made;
}

static inline struct identity identity_make(const char *name, const struct identity *issuer,
                                            const char *san, long from_s, long to_s)
{
    return identity_of_key(identity_key(), name, issuer, san, from_s, to_s);
}

static inline void identity_free(struct identity *identity)
{
    X509_free(identity->cert);
    EVP_PKEY_free(identity->key);
}

/* As net wants it. */
static inline void identity_to_cert(const struct identity *identity, struct cert *ret_cert)
{
    unsigned char *der = NULL;
    int len = i2d_X509(identity->cert, &der);

    *ret_cert = (struct cert){.n_chain = 1, .key = identity->key};
    ret_cert->chain = xcalloc(1, sizeof *ret_cert->chain);
    ret_cert->chain[0] = CRYPTO_BUFFER_new(der, (size_t)len, NULL);
    OPENSSL_free(der);
}

static inline void identity_cert_free(struct cert *cert)
{
    CRYPTO_BUFFER_free(cert->chain[0]);
    free(cert->chain);
}

static inline void identity_save(const struct identity *identity, const char *path)
{
    FILE *file = fopen(path, "w");

    BUG_ON(file == NULL || PEM_write_X509(file, identity->cert) != 1);
    BUG_ON(fclose(file) != 0);
}

enum act {
    ACT_SERVE,        /* answer each request with `reply` until the client closes */
    ACT_ANSWER_CLOSE, /* answer one request, then close_notify and FIN */
    ACT_ANSWER_CUT,   /* answer one request, then FIN alone */
    ACT_ANSWER_RESET, /* answer one request (the reply may be empty), then RST */
    ACT_STALL,        /* answer one request, then say nothing until the client goes */
    ACT_TALK,         /* say `reply` right after the handshake, unasked */
    ACT_CLOSE_IDLE,   /* close_notify and FIN after the handshake and `n_before` answers */
    ACT_PLAIN,        /* no TLS at all: `reply` in plain text */
    ACT_STALL_HELLO,  /* no TLS: read and say nothing */
    ACT_CLOSE_HELLO,  /* no TLS: read the hello, then FIN */
    ACT_RESET_HELLO,  /* no TLS: read the hello, then RST */
    ACT_REFUSE, /* no TLS 1.3 certificate check by the library: close after the handshake, unread */
};

struct script {
    enum act act;
    const char *reply;
    size_t reply_len;  /* 0: strlen */
    unsigned n_before; /* ordinary answers before the act */
    const struct identity *own;
    const struct identity
        *client_ca;                /* asks for a certificate and requires it; NULL: does not ask */
    uint16_t version;              /* the only one; 0: any */
    bool ed25519;                  /* takes the signatures of such keys, too */
    void (*prepare)(SSL_CTX *ctx); /* more about the context; or NULL */
    void (*answer)(SSL *ssl);      /* says it, instead of `reply`; or NULL */
};

struct server {
    struct script script;
    int fd;
    uint16_t port;
    pthread_t thread;
    SSL_CTX *ctx;
    unsigned n_accepted; /* read after server_stop */
    char request[65536]; /* the last one, with what of its body came in one piece */
};

#define ORDINARY "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"

static inline void server_reset(int fd)
{
    struct linger linger = {.l_onoff = 1, .l_linger = 0};

    (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
}

/* One request, up to its empty line; false at the end of the stream. */
static inline bool server_read_request(struct server *server, SSL *ssl)
{
    char text[70000];
    size_t len = 0;

    while (len < sizeof text - 1) {
        int n = SSL_read(ssl, text + len, (int)(sizeof text - 1 - len));

        if (n <= 0) {
            return false;
        }
        len += (size_t)n;
        text[len] = '\0';
        if (strstr(text, "\r\n\r\n") != NULL) {
            (void)str_copy(server->request, sizeof server->request, text);
            return true;
        }
    }
    return true;
}

static inline void server_say(SSL *ssl, const char *text, size_t len)
{
    if (len > 0) {
        (void)SSL_write(ssl, text, (int)len);
    }
}

static inline void server_drain(int fd)
{
    char bytes[4096];

    while (read(fd, bytes, sizeof bytes) > 0) {
    }
}

static inline void server_act(struct server *server, SSL *ssl, int fd)
{
    const struct script *script = &server->script;
    size_t len = script->reply == NULL    ? 0
                 : script->reply_len != 0 ? script->reply_len
                                          : strlen(script->reply);

    for (unsigned i = 0; i < script->n_before; i++) {
        if (!server_read_request(server, ssl)) {
            return;
        }
        server_say(ssl, ORDINARY, strlen(ORDINARY));
    }
    if (script->act == ACT_TALK) {
        server_say(ssl, script->reply, len);
        server_drain(fd);
        return;
    }
    if (script->act == ACT_CLOSE_IDLE) {
        (void)SSL_shutdown(ssl);
        return;
    }
    do {
        if (!server_read_request(server, ssl)) {
            return;
        }
        if (script->answer != NULL) {
            script->answer(ssl);
        } else {
            server_say(ssl, script->reply, len);
        }
    } while (script->act == ACT_SERVE);
    if (script->act == ACT_ANSWER_CLOSE) {
        (void)SSL_shutdown(ssl);
    } else if (script->act == ACT_ANSWER_RESET) {
        server_reset(fd);
    } else if (script->act == ACT_STALL) {
        server_drain(fd);
    }
}

static inline void server_one(struct server *server, int fd)
{
    const struct script *script = &server->script;
    char hello[4096];

    if (script->act >= ACT_PLAIN && script->act <= ACT_RESET_HELLO) {
        (void)!read(fd, hello, sizeof hello);
        if (script->act == ACT_PLAIN) {
            (void)!write(fd, script->reply, strlen(script->reply));
            (void)shutdown(fd, SHUT_WR);
            server_drain(fd);
        } else if (script->act == ACT_STALL_HELLO) {
            server_drain(fd);
        } else if (script->act == ACT_RESET_HELLO) {
            server_reset(fd);
        }
    } else {
        SSL *ssl = SSL_new(server->ctx);

        SSL_set_fd(ssl, fd);
        if (SSL_accept(ssl) == 1 && script->act != ACT_REFUSE) {
            server_act(server, ssl, fd);
        }
        SSL_free(ssl);
    }
    (void)close(fd);
}

static inline void *server_main(void *arg)
{
    struct server *server = arg;

    for (;;) {
        int fd = accept(server->fd, NULL, NULL);

        if (fd < 0) {
            return NULL;
        }
        server->n_accepted++;
        server_one(server, fd);
    }
}

static inline void server_context(struct server *server)
{
    const struct script *script = &server->script;
    static const unsigned char id[] = "test";

    server->ctx = SSL_CTX_new(TLS_method());
    BUG_ON(SSL_CTX_use_certificate(server->ctx, script->own->cert) != 1);
    BUG_ON(SSL_CTX_use_PrivateKey(server->ctx, script->own->key) != 1);
    SSL_CTX_set_session_id_context(server->ctx, id, sizeof id);
    if (script->version != 0) {
        SSL_CTX_set_min_proto_version(server->ctx, script->version);
        SSL_CTX_set_max_proto_version(server->ctx, script->version);
    }
    if (script->ed25519) {
        static const uint16_t all[] = {SSL_SIGN_ED25519, SSL_SIGN_ECDSA_SECP256R1_SHA256};

        BUG_ON(SSL_CTX_set_verify_algorithm_prefs(server->ctx, all, 2) != 1);
    }
    if (script->prepare != NULL) {
        script->prepare(server->ctx);
    }
    if (script->client_ca != NULL) {
        SSL_CTX_set_verify(server->ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
        X509_STORE_add_cert(SSL_CTX_get_cert_store(server->ctx), script->client_ca->cert);
    }
}

static inline void server_start(struct server *server, struct script script)
{
    struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof sa;

    (void)signal(SIGPIPE, SIG_IGN); /* the server's own writes */
    *server = (struct server){.script = script};
    server_context(server);
    server->fd = socket(AF_INET, SOCK_STREAM, 0);
    BUG_ON(bind(server->fd, (struct sockaddr *)&sa, sizeof sa) != 0);
    BUG_ON(listen(server->fd, 16) != 0);
    BUG_ON(getsockname(server->fd, (struct sockaddr *)&sa, &len) != 0);
    server->port = ntohs(sa.sin_port);
    BUG_ON(pthread_create(&server->thread, NULL, server_main, server) != 0);
}

static inline void server_stop(struct server *server)
{
    (void)shutdown(server->fd, SHUT_RDWR); /* ends accept */
    (void)pthread_join(server->thread, NULL);
    (void)close(server->fd);
    SSL_CTX_free(server->ctx);
}

#endif
