/* The store of a worker's sessions: by certificate, bounded in number and bytes; what the client of
 * a new one has beyond two makes room for it, then the oldest of all.  It knows nothing of
 * connections, and the time is its caller's.  Private to the TLS files of net; tls_session.h tells
 * the rules. */
#ifndef NET_TLS_STORE_H
#define NET_TLS_STORE_H

#include "net/tls_session.h"

#include <openssl/ssl.h>
#include <stddef.h>
#include <stdint.h>

struct tls_sessions;

/* At most so many sessions of so many bytes. */
struct tls_sessions *tls_sessions_new(size_t n_most, size_t bytes_most)
    __attribute__((warn_unused_result));
void tls_sessions_free(struct tls_sessions *sessions);
/* Takes the session over. */
void tls_sessions_put(struct tls_sessions *sessions, CRYPTO_BUFFER *leaf, SSL_SESSION *ssl,
                      uint64_t now_ns);
/* ret_ssl NULL: only looks. */
enum tls_ticket tls_sessions_take(struct tls_sessions *sessions, const CRYPTO_BUFFER *leaf,
                                  uint64_t now_ns, SSL_SESSION **ret_ssl)
    __attribute__((warn_unused_result));

#endif
