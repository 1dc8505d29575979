/* TLS in six verbs: open, handshake, read, write, shutdown, facts.  The only TLS vocabulary that
 * the rest of tlsoak sees.  Built lean: one SSL_CTX a worker over TLS_with_buffers_method, a buffer
 * pool a thread, one BIO of our own for all connections of a worker (it reads once into a large
 * buffer and gathers what one verb writes into one send), the client chain set only when the server
 * asks, the server chain's verdict cached for a minute when verify = cached (trust.h), the
 * handshake state shed when it is over.  Sessions are kept for later connections where
 * pace.resume_ratio asks for that (tls_session.h).  Early data (0-RTT) is never sent but where
 * target.early_data asks for it (tls_early.h).
 *
 * Invariants: ciphertext of one connection never serves another (what one left in the shared
 * buffers moves to its own when another needs them); reading is level-triggered and bounded: a verb
 * takes at most 256 KiB from the socket before it says TLS_WANT_READ, and does not ask a socket
 * again that has just been emptied.  The last flight of a handshake is held back until the next
 * verb, so that the first request leaves in the same segment.
 *
 * More than eight functions: beside the verbs, what a connection has to ask between them. */
#ifndef NET_TLS_H
#define NET_TLS_H

#include "base/diag.h"
#include "base/sink.h"
#include "ident/cert.h"
#include "net/tls_facts.h"
#include "net/tls_session.h"
#include "profile/plan.h"
#include "record/outcome.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum tls_status { TLS_DONE, TLS_WANT_READ, TLS_WANT_WRITE, TLS_EOF, TLS_FAILED };

struct tls_client; /* a worker's: context, trust store, caches, read buffer */
struct tls;        /* one connection's */

/* For the plan's target or another one of the plan's (a token endpoint), which is borrowed: loads
 * the trust store and sets versions, ciphers and groups; NULL with mistakes (file:line). */
struct tls_client *tls_client_new(const struct plan *plan, const struct plan_target *target,
                                  struct diag *diag) __attribute__((warn_unused_result));
void tls_client_free(struct tls_client *client);
/* Updates of the keys that its connections sent since it was last asked. */
uint64_t tls_client_key_updates(struct tls_client *client);

/* Takes a connected non-blocking socket (which the caller keeps and closes).  `cert` may be NULL
 * (present none) and is borrowed until the handshake has ended; `session` may be NULL (full
 * handshake) and is only read here.  NULL only when memory ran out. */
struct tls *tls_open(struct tls_client *client, int fd, const struct cert *cert,
                     struct tls_session *session) __attribute__((warn_unused_result));
/* The verbs.  TLS_FAILED leaves the outcome in tls_outcome. */
enum tls_status tls_handshake(struct tls *tls);
/* Gives decrypted bytes in place: *ret_data borrows the worker's buffer until the next call of any
 * verb. */
enum tls_status tls_read(struct tls *tls, const char **ret_data, size_t *ret_len);
/* Takes a prefix; *ret_written says how much.  TLS_WANT_WRITE: call again (with what is left, or
 * nothing) when the socket takes bytes.  After TLS_FAILED read on: what the server had said before
 * (an alert, a response) is still there, and tls_read fails when there is no more. */
enum tls_status tls_write(struct tls *tls, const char *data, size_t len, size_t *ret_written);
/* True while bytes wait for the socket to take them: call tls_write when it does. */
bool tls_unsent(const struct tls *tls);
/* close_notify, once, without waiting for the peer's.  `fin_follows`: the caller closes its side
 * right away, and both go in one segment. */
void tls_shutdown(struct tls *tls, bool fin_follows);
void tls_close(struct tls *tls); /* frees; NULL is fine */

/* Why the last verb failed: alerts from the server, certificate verdicts, resets, garbage. */
enum outcome tls_outcome(const struct tls *tls);
/* The alert description that the server sent (0: its close_notify), or -1. */
int tls_alert(const struct tls *tls);

#endif
