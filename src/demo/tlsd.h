/* The server's side of TLS 1.2 and 1.3, with h2 or http/1.1 by ALPN: a client certificate is
 * required and its chain verified against the CA; tickets are given and kept by the client alone
 * (no session cache that would grow).  BoringSSL's names end here.  It has more than eight
 * functions because the verbs of a connection and what it knows of its client are one
 * vocabulary. */
#ifndef DEMO_TLSD_H
#define DEMO_TLSD_H

#include "base/diag.h"

#include <stdbool.h>
#include <stddef.h>

#define TLSD_FINGERPRINT 32

struct tlsd;
struct ssl_st;

enum tlsd_status {
    TLSD_DONE,
    TLSD_WANT_READ,
    TLSD_WANT_WRITE,
    TLSD_EOF,     /* the client closed */
    TLSD_CUT,     /* likewise, without close_notify */
    TLSD_RESET,   /* the client went without reading all that it was sent */
    TLSD_REFUSED, /* handshake only: no valid client certificate */
    TLSD_FAILED   /* garbage, an alert, no common version, ... */
};

/* All in PEM. */
struct tlsd_files {
    const char *ca;  /* certificates that clients' must come from */
    const char *crl; /* lists of the revoked; NULL: none */
    const char *cert, *key;
};

/* A client certificate that a list revokes is refused with the alert certificate_revoked; where
 * there is no list of its issuer, it is taken as good.  NULL with mistakes.  The caller frees
 * it. */
struct tlsd *tlsd_new(const struct tlsd_files *files, struct diag *diag)
    __attribute__((warn_unused_result));
void tlsd_free(struct tlsd *tlsd);
/* Reads the files again, for the connections that come from now on; sessions go on.  False with
 * mistakes: all stays as it was. */
bool tlsd_rotate(struct tlsd *tlsd, const struct tlsd_files *files, struct diag *diag)
    __attribute__((warn_unused_result));

/* Serves TLS on a non-blocking socket, which the caller keeps.  NULL when memory ran out.  The
 * caller frees it with tlsd_close. */
struct ssl_st *tlsd_open(struct tlsd *tlsd, int fd) __attribute__((warn_unused_result));
enum tlsd_status tlsd_handshake(struct ssl_st *ssl);
/* Up to `size` bytes (at most one record). */
enum tlsd_status tlsd_read(struct ssl_st *ssl, char *data, size_t size, size_t *ret_len);
/* All of it or nothing: when it wants, call again with the same bytes at the same place. */
enum tlsd_status tlsd_write(struct ssl_st *ssl, const char *data, size_t len);
/* close_notify, without waiting for the client's. */
void tlsd_shutdown(struct ssl_st *ssl);
void tlsd_close(struct ssl_st *ssl); /* NULL is fine */

/* SHA-256 of the verified client certificate, and whether the session was resumed. */
bool tlsd_client(struct ssl_st *ssl, unsigned char ret_sha256[TLSD_FINGERPRINT], bool *ret_resumed)
    __attribute__((warn_unused_result));
/* Did client and server agree on HTTP/2? */
bool tlsd_is_h2(const struct ssl_st *ssl);
/* The subject's common name, printable; "" when it has none. */
void tlsd_client_name(struct ssl_st *ssl, char *text, size_t size);

#endif
