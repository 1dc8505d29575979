#include "net/conn_deadline.h"
#include "net/conn_show.h"
#include "net/h2_private.h"

#include "base/mono.h"

#include <string.h>

#define EMPTY_FRAMES_MAX 10000
#define EMPTY_SPAN_NS    (10 * NS_PER_S)
#define IGNORED_MAX      (32 << 20) /* bytes: more than all windows have room for */
#define FIELD_OVERHEAD   32         /* RFC 9113, section 6.5.2 */

void h2_end_stream(struct h2 *h2, struct stream *stream, enum outcome outcome)
{
    if (stream->ended) {
        return;
    }
    stream->ended = true;
    stream->outcome = outcome;
    *(h2->ended_last != NULL ? &h2->ended_last->ended_next : &h2->ended_first) = stream;
    h2->ended_last = stream;
}

struct stream *h2_stream(const struct h2 *h2, int32_t id)
{
    return nghttp2_session_get_stream_user_data(h2->session, id);
}

void h2_forget(struct h2 *h2, const struct stream *stream)
{
    (void)nghttp2_session_set_stream_user_data(h2->session, stream->id, NULL);
    h2->reading = h2->reading != stream ? h2->reading : NULL;
}

/* The response is whole.  A request that is not yet is given up: nobody waits for it (RFC 9113,
 * section 8.1). */
static int complete(struct h2 *h2, struct stream *stream)
{
    h2_forget(h2, stream);
    if (stream->body_len > 0) {
        (void)nghttp2_submit_rst_stream(h2->session, NGHTTP2_FLAG_NONE, stream->id, NGHTTP2_CANCEL);
    }
    h2_end_stream(h2, stream, OUTCOME_OK);
    return 0;
}

/* Floods: PING, SETTINGS, PRIORITY, WINDOW_UPDATE, CONTINUATION, empty DATA, unknown frames. */
static int on_begin_frame(nghttp2_session *session, const nghttp2_frame_hd *header, void *context)
{
    struct h2 *h2 = context;

    (void)session;
    (void)header;
    h2->n_ignored = 0;
    if (++h2->n_empty <= EMPTY_FRAMES_MAX) {
        return 0;
    }
    if (h2->heard_ns - h2->empty_from_ns < EMPTY_SPAN_NS) {
        h2->outcome = OUTCOME_H2_FLOOD;
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    }
    h2->n_empty = 0;
    h2->empty_from_ns = h2->heard_ns;
    return 0;
}

void h2_note_ignored(struct h2 *h2, size_t len)
{
    if (h2->n_ignored == 0) {
        h2->ignored_from_ns = h2->heard_ns;
    }
    h2->n_ignored += len;
    if (h2->n_ignored <= IGNORED_MAX) {
        return;
    }
    if (h2->outcome == OUTCOME_OK && h2->heard_ns - h2->ignored_from_ns < EMPTY_SPAN_NS) {
        h2->outcome = OUTCOME_H2_FLOOD;
    }
    h2->n_ignored = 0;
}

static void progress(struct h2 *h2)
{
    h2->n_empty = 0;
    h2->empty_from_ns = h2->heard_ns;
}

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *context)
{
    struct h2 *h2 = context;
    struct stream *stream = h2_stream(h2, frame->hd.stream_id);

    (void)session;
    h2->status = 0;
    h2->reading = stream;
    if (stream == NULL) {
        return 0;
    }
    if (!stream->started) {
        stream->started = true;
        stream->first_byte_ns = h2->heard_ns;
        conn_deadline_disarm(h2->conn->env, &stream->link[0]);
    }
    stream->head_bytes = 0;
    return 0;
}

/* nghttp2 has seen to it that it is three digits. */
static int status_of(const uint8_t *value, size_t len)
{
    int status = 0;

    for (size_t i = 0; i < len; i++) {
        status = 10 * status + (value[i] - '0');
    }
    return status;
}

static int give_up(struct h2 *h2, struct stream *stream, enum outcome outcome)
{
    h2_forget(h2, stream);
    h2_end_stream(h2, stream, outcome);
    return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE; /* resets the stream */
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_len, const uint8_t *value, size_t value_len, uint8_t flags,
                     void *context)
{
    struct h2 *h2 = context;
    struct stream *stream = h2->reading;

    (void)session;
    (void)frame;
    (void)flags;
    if (stream == NULL) {
        return 0;
    }
    stream->head_bytes += (uint32_t)(name_len + value_len + FIELD_OVERHEAD);
    if (stream->head_bytes > H1_MAX_HEAD) {
        return give_up(h2, stream, OUTCOME_HTTP_LIMIT);
    }
    if (name_len == 7 && memcmp(name, ":status", 7) == 0) {
        h2->status = status_of(value, value_len);
        if (h2->status < 100) { /* no class of RFC 9110, section 15 */
            return give_up(h2, stream, OUTCOME_HTTP_GARBAGE);
        }
        if (h2->status < 200 && ++stream->interim > H1_MAX_INTERIM) {
            return give_up(h2, stream, OUTCOME_HTTP_LIMIT);
        }
    }
    conn_show_field(h2->conn, (const char *)name, name_len, (const char *)value, value_len);
    return 0;
}

static int on_headers_end(struct h2 *h2, const nghttp2_frame *frame)
{
    struct stream *stream = h2->reading;

    h2->reading = NULL;
    if (stream == NULL) {
        return 0;
    }
    progress(h2);
    conn_show_field(h2->conn, NULL, 0, NULL, 0);
    if (h2->status >= 200) { /* else an interim response, or trailers */
        stream->status = h2->status;
    }
    return (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0 ? complete(h2, stream) : 0;
}

static int on_data_chunk(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *data,
                         size_t len, void *context)
{
    struct h2 *h2 = context;
    struct conn_env *env = h2->conn->env;
    struct stream *stream = h2_stream(h2, id);

    (void)session;
    (void)flags;
    if (stream == NULL || len == 0) {
        return 0;
    }
    progress(h2);
    if (stream->body_bytes < env->keep_size) {
        size_t room = env->keep_size - (size_t)stream->body_bytes;

        memcpy(env->keep + stream->body_bytes, data, len < room ? len : room);
    }
    show_body(env->show, (const char *)data, len, stream->body_bytes);
    stream->body_bytes += len;
    return 0;
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *context)
{
    struct h2 *h2 = context;
    bool ack = (frame->hd.flags & NGHTTP2_FLAG_ACK) != 0;
    struct stream *stream;

    (void)session;
    switch (frame->hd.type) {
    case NGHTTP2_HEADERS:
        return on_headers_end(h2, frame);
    case NGHTTP2_DATA:
        stream = h2_stream(h2, frame->hd.stream_id);
        return stream != NULL && (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0
                   ? complete(h2, stream)
                   : 0;
    case NGHTTP2_SETTINGS:
        h2->has_room = h2->has_room || !ack;
        h2->has_settings = h2->has_settings || !ack;
        break;
    case NGHTTP2_RST_STREAM:
        h2->reset_id = frame->hd.stream_id;
        break;
    case NGHTTP2_GOAWAY:
        h2->goaway = true;
        h2->goaway_code = frame->goaway.error_code;
        h2->goaway_last = frame->goaway.last_stream_id;
        conn_show_note(h2->conn, "the server sent GOAWAY",
                       nghttp2_http2_strerror(frame->goaway.error_code));
        break;
    default:
        break;
    }
    return 0;
}

static int on_invalid_frame(nghttp2_session *session, const nghttp2_frame *frame, int error,
                            void *context)
{
    struct h2 *h2 = context;

    (void)session;
    (void)frame;
    conn_show_note(h2->conn, "a frame that is not allowed came", nghttp2_strerror(error));
    return 0;
}

static enum outcome outcome_of_reset(uint32_t code)
{
    switch (code) {
    case NGHTTP2_REFUSED_STREAM:
        return OUTCOME_H2_REFUSED_STREAM;
    case NGHTTP2_CANCEL:
        return OUTCOME_H2_CANCEL;
    case NGHTTP2_INTERNAL_ERROR:
        return OUTCOME_H2_INTERNAL_ERROR;
    case NGHTTP2_ENHANCE_YOUR_CALM:
        return OUTCOME_H2_ENHANCE_YOUR_CALM;
    default:
        return OUTCOME_H2_STREAM_RESET;
    }
}

/* What nghttp2 itself found wrong with a stream. */
static enum outcome outcome_of_own(uint32_t code)
{
    switch (code) {
    case NGHTTP2_FLOW_CONTROL_ERROR:
        return OUTCOME_H2_FLOW_CONTROL;
    case NGHTTP2_PROTOCOL_ERROR: /* a malformed response, a body of another length than it says */
        return OUTCOME_HTTP_GARBAGE;
    case NGHTTP2_STREAM_CLOSED:
        return OUTCOME_H2_PROTOCOL;
    default:
        return OUTCOME_CLIENT_ERROR;
    }
}

static int on_stream_close(nghttp2_session *session, int32_t id, uint32_t code, void *context)
{
    struct h2 *h2 = context;
    struct stream *stream = h2_stream(h2, id);
    bool by_server = h2->reset_id == id;

    (void)session;
    h2->reset_id = 0;
    if (stream == NULL) {
        return 0;
    }
    h2_forget(h2, stream);
    if (h2->goaway && id > h2->goaway_last) {
        stream->unprocessed = true;
        h2_end_stream(h2, stream, OUTCOME_H2_GOAWAY);
    } else if (by_server) {
        conn_show_note(h2->conn, "the server reset the stream", nghttp2_http2_strerror(code));
        stream->unprocessed = code == NGHTTP2_REFUSED_STREAM;
        h2_end_stream(h2, stream, outcome_of_reset(code));
    } else {
        h2_end_stream(h2, stream, outcome_of_own(code));
    }
    return 0;
}

/* Only behind HEADERS that are out: those still in nghttp2's queue would go with them. */
static int cancel(struct h2 *h2, struct stream *stream)
{
    h2_forget(h2, stream);
    h2_end_stream(h2, stream, OUTCOME_H2_CANCEL);
    return nghttp2_submit_rst_stream(h2->session, NGHTTP2_FLAG_NONE, stream->id, NGHTTP2_CANCEL);
}

static int on_frame_sent(nghttp2_session *session, const nghttp2_frame *frame, void *context)
{
    struct h2 *h2 = context;
    struct stream *stream;
    uint32_t code;

    (void)session;
    if (frame->hd.type == NGHTTP2_HEADERS && h2->cancels) {
        stream = h2_stream(h2, frame->hd.stream_id);
        return stream != NULL && stream->cancelled ? cancel(h2, stream) : 0;
    }
    if (frame->hd.type != NGHTTP2_GOAWAY) {
        return 0;
    }
    code = frame->goaway.error_code;
    h2->said_goodbye = true;
    if (code != NGHTTP2_NO_ERROR && h2->outcome == OUTCOME_OK) {
        h2->outcome = code == NGHTTP2_FLOW_CONTROL_ERROR  ? OUTCOME_H2_FLOW_CONTROL
                      : code == NGHTTP2_ENHANCE_YOUR_CALM ? OUTCOME_H2_FLOOD
                                                          : OUTCOME_H2_PROTOCOL;
    }
    return 0;
}

/* A DATA frame with its header fits into one TLS record. */
static ssize_t most_data(nghttp2_session *session, uint8_t type, int32_t id, int32_t window,
                         int32_t stream_window, uint32_t max_frame, void *context)
{
    (void)session, (void)type, (void)id, (void)window, (void)stream_window, (void)max_frame;
    (void)context;
    return H2_GATHER_BYTES - 9;
}

nghttp2_session_callbacks *h2_callbacks(void)
{
    nghttp2_session_callbacks *made;

    if (nghttp2_session_callbacks_new(&made) != 0) {
        return NULL;
    }
    nghttp2_session_callbacks_set_on_begin_frame_callback(made, on_begin_frame);
    nghttp2_session_callbacks_set_on_begin_headers_callback(made, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(made, on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(made, on_data_chunk);
    nghttp2_session_callbacks_set_on_frame_recv_callback(made, on_frame);
    nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(made, on_invalid_frame);
    nghttp2_session_callbacks_set_on_stream_close_callback(made, on_stream_close);
    nghttp2_session_callbacks_set_on_frame_send_callback(made, on_frame_sent);
    nghttp2_session_callbacks_set_data_source_read_length_callback(made, most_data);
    return made;
}
