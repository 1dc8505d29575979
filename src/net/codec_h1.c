#include "net/codec.h"
#include "net/conn_deadline.h"
#include "net/conn_show.h"

#include "base/mono.h"

#include <string.h>

#define ONE_RECORD 16384 /* a request that fits is written as one */

static size_t room(const struct conn *conn)
{
    return conn->n_streams == 0 ? 1 : 0;
}

static bool is_unsent(const struct conn *conn)
{
    return conn->out[0].iov_len > 0 || conn->out[1].iov_len > 0;
}

static void sent(struct conn *conn, size_t n)
{
    conn->env->bytes_sent += n;
    for (size_t i = 0; i < 2; i++) {
        size_t here = n < conn->out[i].iov_len ? n : conn->out[i].iov_len;

        conn->out[i].iov_base = (char *)conn->out[i].iov_base + here;
        conn->out[i].iov_len -= here;
        n -= here;
    }
}

/* Head and body in one record where that is possible. */
static enum tls_status write_once(struct conn *conn, size_t *ret_written)
{
    const struct iovec *head = &conn->out[0], *body = &conn->out[1];
    char both[ONE_RECORD];

    if (head->iov_len > 0 && body->iov_len > 0 && head->iov_len + body->iov_len <= sizeof both) {
        memcpy(both, head->iov_base, head->iov_len);
        memcpy(both + head->iov_len, body->iov_base, body->iov_len);
        return tls_write(conn->tls, both, head->iov_len + body->iov_len, ret_written);
    }
    if (head->iov_len > 0) {
        return tls_write(conn->tls, head->iov_base, head->iov_len, ret_written);
    }
    return tls_write(conn->tls, body->iov_base, body->iov_len, ret_written);
}

static void flush(struct conn *conn)
{
    enum tls_status status;

    do {
        size_t written = 0;

        status = write_once(conn, &written);
        sent(conn, written);
    } while (status == TLS_DONE && is_unsent(conn));
    if (status == TLS_FAILED) {
        conn_write_failed(conn);
    }
}

static void send_request(struct conn *conn, struct stream *stream,
                         const struct conn_request *request)
{
    /* iovec has no const; nothing writes through it. */
    conn->out[0] =
        (struct iovec){.iov_base = (void *)(uintptr_t)request->head, .iov_len = request->head_len};
    conn->out[1] =
        (struct iovec){.iov_base = (void *)(uintptr_t)request->body, .iov_len = request->body_len};
    h1_begin(&conn->h1, stream->head_request, conn->env->show);
    h1_keep(&conn->h1, conn->env->keep, conn->env->keep_size);
    conn_show_request(conn, request);
    if (request->head_len + request->body_len > ONE_RECORD) {
        conn_no_delay(conn);
    }
    flush(conn);
    conn_drive(conn, 0);
}

/* A response is complete; `extra`: bytes followed it that nobody asked for. */
static void complete(struct conn *conn, bool extra)
{
    bool ends =
        !conn->h1.keep_alive || extra || is_unsent(conn) || conn->write_failed || conn->close_after;

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
    .flush = flush,
    .take = take,
    .ended = ended,
    .expired = expired,
    .shut = shut,
};
