#include "net/codec.h"
#include "net/conn_deadline.h"
#include "net/conn_show.h"

#include "base/mono.h"

#include <stdlib.h>
#include <string.h>

static size_t room(const struct conn *conn)
{
    return conn->n_streams == 0 ? 1 : 0;
}

static bool expects_nothing(const struct conn *conn)
{
    return conn->raw.reply != NULL && conn->raw.reply->kind == RAW_NOTHING;
}

static void complete(struct conn *conn)
{
    if (conn_unsent(conn) || conn->write_failed || conn->close_after) {
        conn_end(conn, OUTCOME_OK, OUTCOME_OK);
    } else {
        conn_finish(conn, conn->streams, OUTCOME_OK);
    }
}

/* The first bytes of a reply, for who asked for its body. */
static void keep(const struct conn *conn, const char *data, size_t len)
{
    const struct conn_env *env = conn->env;
    uint64_t before = conn->raw.n_bytes;

    if (before < env->keep_size) {
        size_t left = env->keep_size - (size_t)before;

        memcpy(env->keep + before, data, len < left ? len : left);
    }
}

static void read_reply(struct conn *conn, const char *data, size_t len)
{
    struct stream *stream = conn->streams;
    uint64_t before = conn->raw.n_bytes;
    size_t used = 0;

    if (!stream->started) {
        stream->started = true;
        stream->first_byte_ns = mono_now_ns();
        conn_deadline_disarm(conn->env, &stream->link[0]);
    }
    keep(conn, data, len);
    conn_show_raw(conn, data, len);
    enum raw_status status = raw_feed(&conn->raw, data, len, &used);
    stream->body_bytes = conn->raw.n_bytes;
    if (status == RAW_DONE && used == len) {
        complete(conn);
    } else if (status == RAW_DONE) {
        conn_fail(conn, OUTCOME_REPLY_EXTRA);
    } else if (status == RAW_FAILED) {
        conn_show_mismatch(conn, data + (conn->raw.n_bytes - before));
        conn_fail(conn, conn->raw.outcome);
    }
}

static void accept_bytes(struct conn *conn, const char *data, size_t len)
{
    if (expects_nothing(conn)) {
        conn_show_raw(conn, data, len);
    } else if (conn->streams != NULL) {
        read_reply(conn, data, len);
    } else if (conn->n_sent > 0 || !raw_greet(&conn->raw, data, len)) {
        conn_show_raw(conn, data, len);
        conn_fail(conn, OUTCOME_REPLY_EXTRA);
    }
}

/* What could not be done from within conn_send: takes in the greeting; ends an exchange that was
 * done when it was sent. */
static void go_on(struct conn *conn)
{
    struct raw *raw = &conn->raw;

    conn->flush_due = false;
    if (conn->streams != NULL && raw->greeting != NULL) {
        char *greeting = raw->greeting;
        size_t len = raw->greeting_len;

        raw->greeting = NULL;
        raw->greeting_len = 0;
        accept_bytes(conn, greeting, len);
        free(greeting);
    }
    if (conn->state == CONN_READY && conn->streams != NULL && expects_nothing(conn) &&
        !conn_unsent(conn) && !tls_unsent(conn->tls) && !conn->write_failed) {
        complete(conn);
    }
}

static void flush(struct conn *conn)
{
    conn_push(conn);
    go_on(conn);
}

static void send_request(struct conn *conn, struct stream *stream,
                         const struct conn_request *request)
{
    raw_begin(&conn->raw, request->reply);
    conn_put(conn, request);
    if (expects_nothing(conn)) {
        conn_deadline_disarm(conn->env, &stream->link[0]);
    }
    conn->flush_due = expects_nothing(conn) || conn->raw.greeting != NULL;
    conn_drive(conn, 0);
}

static void take(struct conn *conn, const char *data, size_t len)
{
    conn->env->bytes_received += len;
    if (conn->flush_due && !expects_nothing(conn)) { /* the greeting came before this */
        go_on(conn);
    }
    if (conn->state == CONN_READY) {
        accept_bytes(conn, data, len);
    }
}

static void ended(struct conn *conn, enum outcome why)
{
    if (why != OUTCOME_OK) {
        conn_fail(conn, why);
        return;
    }
    conn->close_after = true;
    go_on(conn);
    if (conn->state != CONN_READY) {
        return;
    }
    if (conn->streams == NULL) {
        conn_end(conn, OUTCOME_OK, OUTCOME_OK);
    } else {
        conn_fail(conn, conn->streams->started ? OUTCOME_HTTP_TRUNCATED : OUTCOME_HTTP_CLOSED);
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
    raw_forget_greeting(&conn->raw);
}

const struct codec codec_raw = {
    .name = "raw bytes",
    .room = room,
    .send = send_request,
    .flush = flush,
    .take = take,
    .ended = ended,
    .expired = expired,
    .shut = shut,
};
