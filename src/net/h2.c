#include "net/h2.h"

#include "base/bug.h"
#include "base/mem.h"
#include "base/mono.h"
#include "net/codec.h"
#include "net/conn_deadline.h"
#include "net/conn_show.h"
#include "net/h2_mem.h"
#include "net/h2_private.h"

#include <stdlib.h>
#include <string.h>

#define STREAM_WINDOW     (1 << 20)
#define CONNECTION_WINDOW (16 << 20)
#define MAX_SEND_HEAD     (1 << 20) /* of a request: no limit that a profile should meet */

/* The environment. */

static void on_turn(struct ev_loop *loop, ev_prepare *prepare, int revents)
{
    (void)loop;
    (void)revents;
    h2_env_flush(prepare->data);
}

/* Last in a loop turn: after the worker's own hook, which may begin exchanges. */
void h2_env_init(struct conn_env *env)
{
    struct h2_env *h2 = xcalloc(1, sizeof *h2);

    h2->callbacks = h2_callbacks();
    BUG_ON(h2->callbacks == NULL || nghttp2_option_new(&h2->option) != 0);
    nghttp2_option_set_max_send_header_block_length(h2->option, MAX_SEND_HEAD);
    h2->mem = h2_mem_new();
    ev_prepare_init(&h2->turn, on_turn);
    h2->turn.data = env;
    ev_set_priority(&h2->turn, EV_MINPRI);
    ev_prepare_start(env->loop, &h2->turn);
    env->h2 = h2;
}

void h2_env_stop(struct conn_env *env)
{
    struct h2_env *h2 = env->h2;

    if (h2 == NULL) {
        return;
    }
    BUG_ON(h2->first != NULL);
    ev_prepare_stop(env->loop, &h2->turn);
    nghttp2_session_callbacks_del(h2->callbacks);
    nghttp2_option_del(h2->option);
    h2_mem_free(h2->mem);
    free(h2->nv);
    free(h2);
    env->h2 = NULL;
}

static void queue(struct h2 *h2)
{
    struct h2_env *env = h2->conn->env->h2;

    if (h2->queued) {
        return;
    }
    h2->queued = true;
    h2->prev = NULL;
    h2->next = env->first;
    if (h2->next != NULL) {
        h2->next->prev = h2;
    }
    env->first = h2;
}

static void unqueue(struct h2 *h2)
{
    struct h2_env *env = h2->conn->env->h2;

    if (!h2->queued) {
        return;
    }
    h2->queued = false;
    *(h2->prev != NULL ? &h2->prev->next : &env->first) = h2->next;
    if (h2->next != NULL) {
        h2->next->prev = h2->prev;
    }
}

/* Writing. */

static bool is_blocked(const struct conn *conn)
{
    return conn->h2->left != NULL || conn->write_failed || tls_unsent(conn->tls);
}

/* What TLS does not take is kept: no more than one write. */
static void write_out(struct conn *conn, const unsigned char *data, size_t len)
{
    struct h2 *h2 = conn->h2;
    size_t written = 0;

    if (len == 0 || conn->write_failed) {
        return;
    }
    if (!is_blocked(conn) &&
        tls_write(conn->tls, (const char *)data, len, &written) == TLS_FAILED) {
        conn_write_failed(conn);
        return;
    }
    conn->env->bytes_sent += written;
    if (written < len) {
        h2->left = xrealloc(h2->left, h2->left_len + len - written);
        memcpy(h2->left + h2->left_len, data + written, len - written);
        h2->left_len += len - written;
    }
}

static void write_left(struct conn *conn)
{
    struct h2 *h2 = conn->h2;
    unsigned char *left = h2->left;
    size_t len = h2->left_len, written = 0;

    if (!conn->write_failed && tls_unsent(conn->tls) &&
        tls_write(conn->tls, NULL, 0, &written) == TLS_FAILED) {
        conn_write_failed(conn);
    }
    if (left != NULL && !tls_unsent(conn->tls)) {
        h2->left = NULL;
        h2->left_len = 0;
        write_out(conn, left, len);
        free(left);
    }
}

/* Gathers frames into whole records; with `goodbye`, up to our GOAWAY. */
static void write_frames(struct conn *conn, bool goodbye)
{
    struct h2 *h2 = conn->h2;
    unsigned char *gather = conn->env->h2->gather;
    size_t len = 0;

    while (!is_blocked(conn) && !(goodbye && h2->said_goodbye)) {
        const uint8_t *frame;
        ssize_t n = nghttp2_session_mem_send(h2->session, &frame);

        if (n < 0) {
            h2->outcome = OUTCOME_CLIENT_ERROR; /* no memory */
        }
        if (n <= 0) {
            break;
        }
        if (len + (size_t)n > H2_GATHER_BYTES) {
            write_out(conn, gather, len);
            len = 0;
        }
        if ((size_t)n > H2_GATHER_BYTES) { /* HEADERS may be as long, and nine bytes more */
            write_out(conn, frame, (size_t)n);
        } else {
            memcpy(gather + len, frame, (size_t)n);
            len += (size_t)n;
        }
    }
    write_out(conn, gather, len);
}

/* What nghttp2 found. */

/* Whoever ended may send again at once, so the worker is told only now. */
static void tell_ended(struct conn *conn)
{
    struct h2 *h2 = conn->h2;

    while (conn->state == CONN_READY && h2->ended_first != NULL) {
        struct stream *stream = h2->ended_first;

        h2->ended_first = stream->ended_next;
        if (h2->ended_first == NULL) {
            h2->ended_last = NULL;
        }
        conn_finish(conn, stream, stream->outcome);
    }
}

static enum outcome goaway_outcome(const struct h2 *h2)
{
    return h2->goaway && h2->goaway_code != NGHTTP2_NO_ERROR ? OUTCOME_H2_GOAWAY : OUTCOME_OK;
}

/* Tells what ended, and ends the connection where it can not go on. */
static void look_after(struct conn *conn)
{
    struct h2 *h2 = conn->h2;

    tell_ended(conn);
    if (conn->state == CONN_READY && h2->outcome != OUTCOME_OK) {
        conn_fail(conn, h2->outcome);
    }
    if (conn->state == CONN_READY && conn->n_streams == 0 &&
        (conn->close_after || nghttp2_session_check_request_allowed(h2->session) == 0)) {
        conn_end(conn, OUTCOME_OK, goaway_outcome(h2));
    }
    if (conn->state == CONN_READY && h2->has_room) {
        h2->has_room = false;
        if (conn->env->handler.room != NULL && conn_room(conn) > 0) {
            conn->env->handler.room(conn);
        }
    }
}

static void flush(struct conn *conn)
{
    unqueue(conn->h2);
    write_left(conn);
    write_frames(conn, false);
    look_after(conn);
}

void h2_env_flush(struct conn_env *env)
{
    while (env->h2 != NULL && env->h2->first != NULL) {
        struct conn *conn = env->h2->first->conn;

        flush(conn);
        conn_drive(conn, 0);
    }
}

/* The codec. */

static size_t room(const struct conn *conn)
{
    const struct h2 *h2 = conn->h2;
    uint32_t limit = 1;

    if (nghttp2_session_check_request_allowed(h2->session) == 0) {
        return 0;
    }
    if (h2->has_settings) {
        limit = nghttp2_session_get_remote_settings(h2->session,
                                                    NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS);
    }
    return limit > conn->n_streams ? limit - conn->n_streams : 0;
}

static ssize_t read_body(nghttp2_session *session, int32_t id, uint8_t *to, size_t size,
                         uint32_t *flags, nghttp2_data_source *source, void *context)
{
    struct h2 *h2 = context;
    struct stream *stream = h2_stream(h2, id);
    size_t n;

    (void)session;
    (void)source;
    if (stream == NULL || h2->lost) { /* given up: its RST_STREAM is on the way */
        return NGHTTP2_ERR_DEFERRED;
    }
    n = stream->body_len < size ? stream->body_len : size;
    memcpy(to, stream->body, n);
    stream->body += n;
    stream->body_len -= n;
    h2->n_empty = 0; /* window updates come in proportion */
    if (stream->body_len == 0) {
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    }
    return (ssize_t)n;
}

/* The array is nghttp2's to copy, but not the text. */
static const nghttp2_nv *name_values(struct h2_env *env, const struct conn_request *request)
{
    if (request->n_fields > env->n_nv) {
        env->n_nv = request->n_fields;
        env->nv = xrealloc(env->nv, env->n_nv * sizeof *env->nv);
    }
    for (size_t i = 0; i < request->n_fields; i++) {
        const struct h2_field *field = &request->fields[i];

        /* nghttp2 has no const; nothing writes through it. */
        env->nv[i] = (nghttp2_nv){
            .name = (uint8_t *)(uintptr_t)field->name,
            .namelen = field->name_len,
            .value = (uint8_t *)(uintptr_t)field->value,
            .valuelen = field->value_len,
            .flags = NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE |
                     (field->secret ? NGHTTP2_NV_FLAG_NO_INDEX : NGHTTP2_NV_FLAG_NONE)};
    }
    return env->nv;
}

static void send_request(struct conn *conn, struct stream *stream,
                         const struct conn_request *request)
{
    static const nghttp2_data_provider body = {.read_callback = read_body};
    struct h2 *h2 = conn->h2;

    stream->body = request->body;
    stream->body_len = request->body_len;
    h2->cancels = h2->cancels || stream->cancelled;
    stream->id =
        nghttp2_submit_request(h2->session, NULL, name_values(conn->env->h2, request),
                               request->n_fields, request->body_len > 0 ? &body : NULL, stream);
    if (stream->id < 0) {
        h2_end_stream(h2, stream, OUTCOME_CLIENT_ERROR);
    }
    conn_show_request(conn, request);
    queue(h2);
}

/* What nghttp2 gives up at; 1.43 does not have all of the names. */
static enum outcome outcome_of_error(int error)
{
    switch (error) {
    case NGHTTP2_ERR_NOMEM:
    case NGHTTP2_ERR_CALLBACK_FAILURE:
        return OUTCOME_CLIENT_ERROR;
    default:
        return OUTCOME_H2_FLOOD;
    }
}

static void take(struct conn *conn, const char *data, size_t len)
{
    struct h2 *h2 = conn->h2;
    ssize_t n;

    h2->heard_ns = mono_now_ns();
    conn->env->bytes_received += len;
    n = nghttp2_session_mem_recv(h2->session, (const uint8_t *)data, len);
    if (n < 0 && h2->outcome == OUTCOME_OK) {
        h2->outcome = outcome_of_error((int)n);
    }
    h2_note_ignored(h2, len);
    if (nghttp2_session_want_write(h2->session) != 0) {
        queue(h2);
    }
    look_after(conn);
}

static enum outcome outcome_of_loss(const struct h2 *h2, const struct stream *stream,
                                    enum outcome why)
{
    if (h2->goaway && (why == OUTCOME_OK || why == OUTCOME_HTTP_RESET)) {
        return OUTCOME_H2_GOAWAY;
    }
    if (why != OUTCOME_OK) {
        return why;
    }
    return stream->started ? OUTCOME_HTTP_TRUNCATED : OUTCOME_HTTP_CLOSED;
}

/* What was wrong with what came last shows in what nghttp2 would answer. */
static void hear_out(struct h2 *h2)
{
    const uint8_t *frame;

    h2->lost = true;
    while (nghttp2_session_mem_send(h2->session, &frame) > 0) {
    }
}

/* What was not yet written, and what came after the last stream of a GOAWAY, nobody has touched. */
static void ended(struct conn *conn, enum outcome why)
{
    struct h2 *h2 = conn->h2;
    enum outcome end = why == OUTCOME_HTTP_RESET && h2->goaway ? OUTCOME_OK : why;

    for (struct stream *stream = conn->streams; stream != NULL; stream = stream->next) {
        stream->unprocessed = stream->unprocessed || h2_stream(h2, stream->id) != stream;
    }
    hear_out(h2);
    if (h2->outcome != OUTCOME_OK) {
        conn_fail(conn, h2->outcome);
        return;
    }
    end = end == OUTCOME_OK ? goaway_outcome(h2) : end;
    for (struct stream *stream = conn->streams; stream != NULL; stream = stream->next) {
        if (stream->ended) {
            continue;
        }
        stream->ended = true;
        stream->outcome = outcome_of_loss(h2, stream, why);
        stream->unprocessed = stream->unprocessed || (h2->goaway && stream->id > h2->goaway_last);
        end = stream->unprocessed ? end : stream->outcome;
    }
    conn_end(conn, why, end);
}

/* A stream can end alone, but where the server takes none of our bytes or has said nothing since,
 * the connection is dead. */
static void expired(struct conn *conn, struct stream *stream, enum outcome outcome)
{
    struct h2 *h2 = conn->h2;

    if (h2_stream(h2, stream->id) != stream || h2->heard_ns <= stream->sent_ns) {
        conn_fail(conn, outcome);
        return;
    }
    h2_forget(h2, stream);
    (void)nghttp2_submit_rst_stream(h2->session, NGHTTP2_FLAG_NONE, stream->id, NGHTTP2_CANCEL);
    queue(h2);
    conn_finish(conn, stream, outcome);
    if (conn->state == CONN_READY) {
        look_after(conn);
    }
}

/* GOAWAY: with what was wrong, where something was. */
static void shut(struct conn *conn)
{
    struct h2 *h2 = conn->h2;

    unqueue(h2);
    if (!h2->said_goodbye && !is_blocked(conn) &&
        nghttp2_session_terminate_session(h2->session, NGHTTP2_NO_ERROR) == 0) {
        write_frames(conn, true);
    }
}

const struct codec codec_h2 = {
    .name = "HTTP/2",
    .room = room,
    .send = send_request,
    .flush = flush,
    .take = take,
    .ended = ended,
    .expired = expired,
    .shut = shut,
};

/* A connection. */

bool h2_open(struct conn *conn)
{
    struct h2_env *env = conn->env->h2;
    struct h2 *h2 = xcalloc(1, sizeof *h2);

    h2->conn = conn;
    conn->h2 = h2;
    return nghttp2_session_client_new3(&h2->session, env->callbacks, h2, env->option,
                                       h2_mem_functions(env->mem)) == 0;
}

void h2_begin(struct conn *conn)
{
    const nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, conn->env->no_window ? 0 : STREAM_WINDOW},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, H1_MAX_HEAD},
    };
    struct h2 *h2 = conn->h2;

    if (nghttp2_submit_settings(h2->session, NGHTTP2_FLAG_NONE, settings,
                                sizeof settings / sizeof *settings) != 0 ||
        nghttp2_session_set_local_window_size(h2->session, NGHTTP2_FLAG_NONE, 0,
                                              CONNECTION_WINDOW) != 0) {
        h2->outcome = OUTCOME_CLIENT_ERROR;
    }
    conn_no_delay(conn);
    h2->ping_from_ns = conn->ready_ns;
    conn_deadline_arm(conn->env, &conn->link, CONN_DEADLINE_PING, conn->ready_ns);
    queue(h2);
}

void h2_silent(struct conn *conn)
{
    struct h2 *h2 = conn->h2;
    bool heard = h2->heard_ns >= h2->ping_from_ns;

    if (!heard && h2->ping_sent) {
        conn_fail(conn, OUTCOME_H2_PING_TIMEOUT);
        return;
    }
    h2->ping_sent = !heard && nghttp2_submit_ping(h2->session, NGHTTP2_FLAG_NONE, NULL) == 0;
    if (h2->ping_sent) {
        conn_show_note(conn, "silence: a PING goes out", NULL);
        queue(h2);
    }
    h2->ping_from_ns = mono_now_ns();
    conn_deadline_arm(conn->env, &conn->link, CONN_DEADLINE_PING, h2->ping_from_ns);
}

void h2_close(struct conn *conn)
{
    struct h2 *h2 = conn->h2;

    if (h2 == NULL) {
        return;
    }
    unqueue(h2); /* one that was cut off has said nothing more */
    nghttp2_session_del(h2->session);
    free(h2->left);
    free(h2);
    conn->h2 = NULL;
}

bool h2_is_written(const struct h2 *h2)
{
    return !h2->queued && h2->left == NULL;
}
