/* What the TLS files of net share: a worker's client with its two shared buffers, and a connection.
 * More than eight functions: what one file has for another, of the BIO, sessions, early data and
 * names. */
#ifndef NET_TLS_PRIVATE_H
#define NET_TLS_PRIVATE_H

#include "net/tls.h"
#include "net/tls_early.h"
#include "net/trust.h"

#include <openssl/bio.h>
#include <openssl/pool.h>
#include <openssl/ssl.h>

/* Versions of BoringSSL differ in what groups and ciphers they have, which is asked at run time
 * (tls_names.c); what is called here is the same in all from API 17 to 44. */
#if BORINGSSL_API_VERSION < 17
#error "tlsoak needs BoringSSL with API version 17 or later"
#endif
/* Its name, for messages and reports. */
#define TLS_TEXT_OF(number) #number
#define TLS_TEXT(macro)     TLS_TEXT_OF(macro)
#define TLS_LIBRARY         "BoringSSL API " TLS_TEXT(BORINGSSL_API_VERSION)

#define IN_BYTES      65536
#define READS_A_DRIVE 4 /* x IN_BYTES: the 256 KiB of the header */
#define RECORD_BYTES  16384
#define RECORD_MOST   (RECORD_BYTES + 256 + 5)
#define OUT_BYTES     (2 * RECORD_MOST + 4096)

/* Sessions hold certificates of the pool, so the pool goes with the last of them. */
struct buffers {
    CRYPTO_BUFFER_POOL *pool;
    size_t refs;
};

struct tls_session {
    SSL_SESSION *ssl;
    struct buffers *buffers;
    size_t refs;
};

struct tls_client {
    SSL_CTX *ctx;
    BIO_METHOD *method;
    BIO *bio;
    struct trust *trust;
    struct buffers *buffers;
    struct tls_sessions *sessions; /* NULL: nobody resumes */
    uint64_t key_update_bytes;     /* between two updates of a connection's keys; 0: never */
    uint64_t n_key_updates;        /* sent, until asked for */
    bool ocsp, sct;                /* asked for */
    const char *server_name;       /* borrows from the target */
    struct tls *current;           /* whose verb is running */
    struct tls *in_owner;          /* whose ciphertext in[in_pos..in_len) is */
    size_t in_pos, in_len;
    struct tls *out_owner; /* whose ciphertext out[0..out_len) is */
    size_t out_len;
    unsigned char in[IN_BYTES];
    unsigned char out[OUT_BYTES];
    char plain[RECORD_BYTES];
};

/* Bytes that had to leave a shared buffer. */
struct stash {
    unsigned char *bytes; /* NULL: none */
    size_t pos, len;
};

struct tls {
    SSL *ssl;
    struct tls_client *client;
    const struct cert *cert;
    CRYPTO_BUFFER *leaf;   /* of `cert`, for its sessions; NULL: none, or nobody resumes */
    SSL_SESSION *first;    /* came before it was known whether sessions are kept */
    uint64_t since_update; /* bytes of both directions since the last update of the keys */
    struct stash in, out;
    struct stash held; /* to go as early data: until the handshake has ended */
    enum tls_early early;
    bool held_sent; /* all of it is written */
    bool held_back; /* the server allowed less of it before the handshake */
    int fd;
    int recv_errno, send_errno;
    enum outcome outcome;
    int alert;
    size_t sip;          /* bytes that it asks the socket for at a time; 0: as many as there are */
    unsigned char reads; /* that may still ask the socket before TLS_WANT_READ */
    bool eof;
    bool sent; /* a byte went out: the connection stood */
    bool fin_follows;
    bool heard; /* a byte came */
    bool not_tls;
    bool ready;
    bool asked; /* for a client certificate */
    bool keeps; /* its sessions */
};

/* What the server just gave, taken over: into the store, or until it is known whether there. */
void tls_keep_session(struct tls *tls, SSL_SESSION *session);

/* The BIO that all connections of a worker share (tls_bio.c); NULL when memory ran out. */
BIO_METHOD *tls_bio_method(void) __attribute__((warn_unused_result));
/* False while bytes are left for which the socket had no room. */
bool tls_bio_send_stash(struct tls *tls);
/* Sends what was gathered, whoever's it is; what the socket does not take moves to its owner. */
void tls_bio_send(struct tls_client *client);
/* Forgets what the connection has in the shared buffers and its own. */
void tls_bio_forget(struct tls *tls);
void tls_stash_add(struct stash *stash, const unsigned char *bytes, size_t len);
void tls_stash_clear(struct stash *stash);
/* What tls_write is given while early data is held (tls_early.c). */
void tls_early_hold(struct tls *tls, const char *data, size_t len);
/* SSL_do_handshake with what belongs to early data. */
int tls_early_handshake(struct tls *tls);
void tls_buffers_drop(struct buffers *buffers);
/* False with a mistake that names the word at fault and what there is; the context is of no use
 * then. */
bool tls_set_groups(SSL_CTX *ctx, const char *list, struct origin origin, struct diag *diag)
    __attribute__((warn_unused_result));
bool tls_set_ciphers(SSL_CTX *ctx, const char *list, struct origin origin, struct diag *diag)
    __attribute__((warn_unused_result));

#endif
