/* A codec: how a ready connection speaks, in a few verbs.  There are three: HTTP/1.1 (codec_h1.c),
 * HTTP/2 (h2.c) and raw bytes (codec_raw.c).  The connection below knows sockets, TLS, states and
 * deadlines; a codec knows what the bytes mean, and what of an end is whose fault.  Private to net.
 */
#ifndef NET_CODEC_H
#define NET_CODEC_H

#include "net/conn.h"

struct codec {
    const char *name;
    /* How many more exchanges may begin. */
    size_t (*room)(const struct conn *conn);
    /* The stream is linked into the connection and its deadlines run. */
    void (*send)(struct conn *conn, struct stream *stream, const struct conn_request *request);
    /* The socket takes bytes again. */
    void (*flush)(struct conn *conn);
    void (*take)(struct conn *conn, const char *data, size_t len);
    /* The server closed its side (OUTCOME_OK), or the connection is lost. */
    void (*ended)(struct conn *conn, enum outcome why);
    /* A deadline of the stream has passed. */
    void (*expired)(struct conn *conn, struct stream *stream, enum outcome outcome);
    /* The connection is about to be closed: the last words. */
    void (*shut)(struct conn *conn);
};

extern const struct codec codec_h1;
extern const struct codec codec_h2;
extern const struct codec codec_raw;

/* What a codec says to its connection.  All of them may call handlers. */

/* A stream ended, and the connection stays. */
void conn_finish(struct conn *conn, struct stream *stream, enum outcome outcome);
/* The connection ends with `end`; streams in flight that had not ended do so with `exchange`. */
void conn_end(struct conn *conn, enum outcome exchange, enum outcome end);
/* Both with the same. */
void conn_fail(struct conn *conn, enum outcome outcome);
/* Takes the step that `revents` allow (0: none), then watches for what the state wants now. */
void conn_drive(struct conn *conn, int revents);
/* The server takes no more.  What it said before it closed may explain it: that is read next. */
void conn_write_failed(struct conn *conn);
void conn_no_delay(struct conn *conn);

/* What is sent of head and body, for who sends one request after another. */

/* Sets out to send them. */
void conn_put(struct conn *conn, const struct conn_request *request);
/* Sends what the socket takes now. */
void conn_push(struct conn *conn);
static inline bool conn_unsent(const struct conn *conn)
{
    return conn->out[0].iov_len > 0 || conn->out[1].iov_len > 0;
}

#endif
