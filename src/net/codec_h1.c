#include "net/codec.h"
#include "net/conn_deadline.h"
#include "net/conn_show.h"

#include "base/mono.h"

#include <string.h>

static size_t room(const struct conn *conn)
{
    return conn->n_streams == 0 ? 1 : 0;
}

static void send_request(struct conn *conn, struct stream *stream,
                         const struct conn_request *request)
{
    h1_begin(&conn->h1, stream->head_request, conn->env->show);
    h1_keep(&conn->h1, conn->env->keep, conn->env->keep_size);
    conn_put(conn, request);
    conn_drive(conn, 0);
}

/* A response is complete; `extra`: bytes followed it that nobody asked for. */
static void complete(struct conn *conn, bool extra)
{
    bool ends = !conn->h1.keep_alive || extra || conn_unsent(conn) || conn->write_failed ||
                conn->close_after;

    if (ends) {
        conn_end(conn, OUTCOME_OK, extra ? OUTCOME_HTTP_GARBAGE : OUTCOME_OK);
    } else {
        conn_finish(conn, conn->streams, OUTCOME_OK);
    }
}

static void take(struct conn *conn, const char *data, size_t len)
{
    struct stream *stream = conn->streams;
    size_t used = 0;

    conn->env->bytes_received += len;
    if (stream == NULL) {
        conn_fail(conn, OUTCOME_HTTP_GARBAGE);
        return;
    }
    if (!conn->h1.started) {
        stream->first_byte_ns = mono_now_ns();
        conn_deadline_disarm(conn->env, &stream->link[0]);
    }
    switch (h1_feed(&conn->h1, data, len, &used)) {
    case H1_MORE:
        break;
    case H1_DONE:
        complete(conn, used < len);
        break;
    case H1_FAILED:
        conn_fail(conn, conn->h1.outcome);
        break;
    }
}

static void ended(struct conn *conn, enum outcome why)
{
    if (why != OUTCOME_OK) {
        conn_fail(conn, why);
    } else if (conn->streams == NULL) {
        conn_end(conn, OUTCOME_OK, OUTCOME_OK);
    } else if (h1_end(&conn->h1) != H1_DONE) {
        conn_fail(conn, conn->h1.outcome);
    } else if (tls_alert(conn->tls) < 0) {
        /* A body that ends with the connection is whole only after close_notify (RFC 9112 9.8). */
        conn_fail(conn, OUTCOME_HTTP_TRUNCATED);
    } else {
        complete(conn, false);
    }
}

/* There is no way to end an exchange but by its connection. */
static void expired(struct conn *conn, struct stream *stream, enum outcome outcome)
{
    (void)stream;
    conn_fail(conn, outcome);
}

static void shut(struct conn *conn)
{
    conn->out[0].iov_len = conn->out[1].iov_len = 0;
}

const struct codec codec_h1 = {
    .name = "HTTP/1.1",
    .room = room,
    .send = send_request,
    .flush = conn_push,
    .take = take,
    .ended = ended,
    .expired = expired,
    .shut = shut,
};
