/* HTTP/2, the client's half (RFC 9113; nghttp2 behind it): one session for each connection, many
 * streams in it.  Requests of one loop turn leave in one write, and prepared header values are not
 * copied on their way to HPACK.
 *
 * Memory is bounded: a session has nghttp2's 20 KiB, and its streams are no more than the worker
 * begins.  Bodies are counted, not kept, and their windows (1 MiB a stream, 16 MiB a connection)
 * open again as they are read.  A header block of more than 64 KiB or more than 16 interim
 * responses end their stream with OUTCOME_HTTP_LIMIT; ten thousand frames without content within
 * ten seconds end the connection with OUTCOME_H2_FLOOD, as do nghttp2's own limits (CONTINUATION,
 * SETTINGS entries, acknowledgements that the server does not take).
 *
 * Until the server's SETTINGS have come, one stream is begun, so none is refused for a limit that
 * was not known.  nghttp2's callbacks only note what ended; handlers are told after it returned.
 * Private to net. */
#ifndef NET_H2_H
#define NET_H2_H

#include "net/conn.h"

/* For a worker whose target is offered HTTP/2. */
void h2_env_init(struct conn_env *env);
void h2_env_stop(struct conn_env *env); /* also without h2_env_init */
/* Writes what connections have gathered. */
void h2_env_flush(struct conn_env *env);

/* Gives the connection a session; false when memory ran out. */
bool h2_open(struct conn *conn) __attribute__((warn_unused_result));
/* The connection is READY. */
void h2_begin(struct conn *conn);
/* The ping deadline has passed. */
void h2_silent(struct conn *conn);
void h2_close(struct conn *conn); /* also without h2_open */
/* Is nothing left that TLS has not taken? */
bool h2_is_written(const struct h2 *h2);

#endif
