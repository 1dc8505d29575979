#include "demo/h2d.h"

#include "demo/answer.h"
#include "demo/slab.h"
#include "demo/tally.h"

#include "base/bug.h"
#include "base/mem.h"
#include "base/mono.h"

#include <ctype.h>
#include <nghttp2/nghttp2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STREAMS_MAX 65536u
#define PER_PEER    128
#define PATIENCE_NS (30 * NS_PER_S)
#define HEADER_NAME 32
#define FIELDS_MAX  4

struct h2d_stream {
    struct h2d *h2d;
    struct h2d_stream *prev, *next;         /* of the connection */
    struct h2d_stream *due_prev, *due_next; /* of all that wait, the first to expire first */
    uint64_t due_ns;                        /* 0: it waits for nothing */
    int32_t id;
    bool too_large;
    bool whole;    /* the request's end has come */
    bool answered; /* an answer is submitted */
    bool done;     /* and written */
    bool aborted;  /* booked as such */
    struct request request;
    struct answer answer;
    size_t said; /* of the reply's body */
    struct reply reply;
};

struct h2d_all {
    struct gate *gate;
    struct tally *tally;
    struct slab *pockets;
    struct slab *streams;
    void (*wake)(void *context);
    nghttp2_session_callbacks *callbacks;
    struct h2d_stream *due_first, *due_last;
};

struct h2d {
    struct h2d_all *all;
    nghttp2_session *session;
    struct ssl_st *ssl;
    const unsigned char *fingerprint;
    void *context;
    struct h2d_stream *streams;
    const uint8_t *pending; /* of nghttp2's, not yet filled in */
    size_t pending_len;
};

/* Waiting. */

static void wait_no_more(struct h2d_stream *stream)
{
    struct h2d_all *all = stream->h2d->all;
    if (stream->due_ns == 0) {
        return;
    }
    *(stream->due_prev != NULL ? &stream->due_prev->due_next : &all->due_first) = stream->due_next;
    *(stream->due_next != NULL ? &stream->due_next->due_prev : &all->due_last) = stream->due_prev;
    stream->due_ns = 0;
}

static void wait_on(struct h2d_stream *stream)
{
    struct h2d_all *all = stream->h2d->all;
    wait_no_more(stream);
    stream->due_ns = mono_now_ns() + PATIENCE_NS;
    stream->due_next = NULL;
    stream->due_prev = all->due_last;
    *(all->due_last != NULL ? &all->due_last->due_next : &all->due_first) = stream;
    all->due_last = stream;
}

/* Streams. */

static void give_pocket_back(struct h2d_stream *stream)
{
    if (stream->request.pocket != NULL) {
        slab_put(stream->h2d->all->pockets, stream->request.pocket);
        stream->request.pocket = NULL;
    }
}

static void book_aborted(struct h2d_stream *stream)
{
    if (!stream->aborted) {
        stream->aborted = true;
        tally_event(stream->h2d->all->tally, DRIVER_ABORTED, true);
    }
}

static void stream_end(struct h2d_stream *stream)
{
    struct h2d *h2d = stream->h2d;
    if (!stream->done && stream->request.started) {
        book_aborted(stream);
    }
    wait_no_more(stream);
    give_pocket_back(stream);
    *(stream->prev != NULL ? &stream->prev->next : &h2d->streams) = stream->next;
    if (stream->next != NULL) {
        stream->next->prev = stream->prev;
    }
    slab_put(h2d->all->streams, stream);
}

static ssize_t read_reply(nghttp2_session *session, int32_t id, uint8_t *to, size_t size,
                          uint32_t *flags, nghttp2_data_source *source, void *context)
{
    struct h2d_stream *stream = source->ptr;
    size_t left = stream->reply.body_len - stream->said;
    size_t n = left < size ? left : size;
    (void)session, (void)id, (void)context;
    memcpy(to, stream->reply.body + stream->said, n);
    stream->said += n;
    if (n == left) {
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    }
    return (ssize_t)n;
}

static nghttp2_nv field(const char *name, size_t name_len, const char *value, size_t value_len)
{
    return (nghttp2_nv){.name = (uint8_t *)(uintptr_t)name,
                        .namelen = name_len,
                        .value = (uint8_t *)(uintptr_t)value,
                        .valuelen = value_len};
}

/* "Allow: GET\r\n" as a field; `name` gets its name in lower case. */
static size_t header_field(const char *header, char name[HEADER_NAME], nghttp2_nv *ret_field)
{
    size_t len = strcspn(header, ":");
    if (header[0] == '\0') {
        return 0;
    }
    BUG_ON(len >= HEADER_NAME);
    for (size_t i = 0; i < len; i++) {
        name[i] = (char)tolower((unsigned char)header[i]);
    }
    *ret_field = field(name, len, header + len + 2, strcspn(header + len + 2, "\r"));
    return 1;
}

/* Submits stream->reply. */
static int submit(struct h2d_stream *stream)
{
    const struct reply *reply = &stream->reply;
    char status[12], length[24], name[HEADER_NAME];
    int status_len = snprintf(status, sizeof status, "%d", reply->status);
    int length_len = snprintf(length, sizeof length, "%zu", reply->body_len);
    nghttp2_data_provider body = {.source.ptr = stream, .read_callback = read_reply};
    nghttp2_nv fields[FIELDS_MAX] = {
        field(":status", 7, status, (size_t)status_len),
        field("content-type", 12, reply->type, strlen(reply->type)),
        field("content-length", 14, length, (size_t)length_len),
    };
    size_t n = 3 + header_field(reply->header, name, &fields[3]);
    bool head_only = stream->request.head_done && request_is_head(&stream->request);
    stream->answered = true;
    wait_no_more(stream);
    return nghttp2_submit_response(stream->h2d->session, stream->id, fields, n,
                                   head_only ? NULL : &body);
}

static int answer(struct h2d_stream *stream)
{
    struct h2d *h2d = stream->h2d;
    if (stream->answer.kind == ANSWER_TOKEN) {
        gate_issue(h2d->all->gate, &stream->answer, &stream->request, h2d->fingerprint, h2d->ssl,
                   &stream->reply);
    } else {
        answer_reply(&stream->answer, h2d->ssl, &stream->reply);
    }
    give_pocket_back(stream);
    return submit(stream);
}

static int answer_with(struct h2d_stream *stream, int status)
{
    stream->answer = answer_error(status);
    return answer(stream);
}

/* The request is whole. */
static int on_whole(struct h2d_stream *stream)
{
    stream->whole = true;
    if (stream->answered) {
        return 0;
    }
    if (stream->answer.kind == ANSWER_NEVER && stream->answer.status == 200) {
        wait_on(stream);
        return 0;
    }
    return answer(stream);
}

static int on_head(struct h2d_stream *stream, bool whole)
{
    struct h2d *h2d = stream->h2d;
    struct request *request = &stream->request;
    if (stream->too_large) {
        stream->whole = whole;
        return answer_with(stream, 431);
    }
    request->head_done = true;
    request->keep_alive = true;
    stream->answer = gate_decide(h2d->all->gate, request, h2d->fingerprint);
    request->keep_body = stream->answer.kind == ANSWER_TOKEN;
    if (!request->keep_body) {
        give_pocket_back(stream);
    }
    if (whole) {
        return on_whole(stream);
    }
    if (stream->answer.kind == ANSWER_EARLY) {
        return answer(stream);
    }
    wait_on(stream);
    return 0;
}

/* Callbacks.  A stream that was not taken has no user data. */

static struct h2d_stream *stream_of(const struct h2d *h2d, int32_t id)
{
    return nghttp2_session_get_stream_user_data(h2d->session, id);
}

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *context)
{
    struct h2d *h2d = context;
    struct h2d_all *all = h2d->all;
    if (frame->headers.cat != NGHTTP2_HCAT_REQUEST) {
        return 0;
    }
    if (slab_is_empty(all->streams) || slab_is_empty(all->pockets)) {
        return nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, frame->hd.stream_id,
                                         NGHTTP2_REFUSED_STREAM);
    }
    struct h2d_stream *stream = slab_take(all->streams);
    memset(stream, 0, offsetof(struct h2d_stream, reply));
    stream->h2d = h2d;
    stream->id = frame->hd.stream_id;
    stream->next = h2d->streams;
    if (stream->next != NULL) {
        stream->next->prev = stream;
    }
    h2d->streams = stream;
    request_init(&stream->request, NULL, NULL);
    request_begin(&stream->request, slab_take(all->pockets));
    return nghttp2_session_set_stream_user_data(session, stream->id, stream);
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_len, const uint8_t *value, size_t value_len, uint8_t flags,
                     void *context)
{
    struct h2d_stream *stream = stream_of(context, frame->hd.stream_id);
    (void)session;
    (void)flags;
    if (stream != NULL && !stream->request.head_done && !stream->too_large) {
        stream->too_large = !request_field(&stream->request, (const char *)name, name_len,
                                           (const char *)value, value_len);
    }
    return 0;
}

static int on_data_chunk(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *data,
                         size_t len, void *context)
{
    struct h2d_stream *stream = stream_of(context, id);
    (void)session;
    (void)flags;
    if (stream != NULL && !stream->answered) {
        request_body(&stream->request, (const char *)data, len);
        wait_on(stream);
    }
    return 0;
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *context)
{
    struct h2d_stream *stream = stream_of(context, frame->hd.stream_id);
    bool whole = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
    (void)session;
    if (stream == NULL) {
        return 0;
    }
    if (frame->hd.type == NGHTTP2_HEADERS && frame->headers.cat == NGHTTP2_HCAT_REQUEST) {
        return on_head(stream, whole);
    }
    bool ends = frame->hd.type == NGHTTP2_HEADERS || frame->hd.type == NGHTTP2_DATA;
    return ends && whole ? on_whole(stream) : 0;
}

/* Whoever was answered early need not send the rest (RFC 9113, section 8.1). */
static int on_frame_sent(nghttp2_session *session, const nghttp2_frame *frame, void *context)
{
    struct h2d_stream *stream = stream_of(context, frame->hd.stream_id);
    bool last = frame->hd.type == NGHTTP2_HEADERS || frame->hd.type == NGHTTP2_DATA;
    if (stream == NULL || !last || (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) == 0) {
        return 0;
    }
    stream->done = true;
    return stream->whole ? 0
                         : nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, stream->id,
                                                     NGHTTP2_NO_ERROR);
}

static int on_stream_close(nghttp2_session *session, int32_t id, uint32_t code, void *context)
{
    struct h2d_stream *stream = stream_of(context, id);
    (void)session;
    (void)code;
    if (stream != NULL) {
        stream_end(stream);
    }
    return 0;
}

/* All connections. */

struct h2d_all *h2d_new(struct gate *gate, struct tally *tally, struct slab *pockets,
                        void (*wake)(void *context))
{
    struct slab *streams = slab_new(STREAMS_MAX, sizeof(struct h2d_stream));
    if (streams == NULL) {
        return NULL;
    }
    struct h2d_all *all = xcalloc(1, sizeof *all);
    *all = (struct h2d_all){
        .gate = gate, .tally = tally, .pockets = pockets, .streams = streams, .wake = wake};
    BUG_ON(nghttp2_session_callbacks_new(&all->callbacks) != 0);
    nghttp2_session_callbacks_set_on_begin_headers_callback(all->callbacks, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(all->callbacks, on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(all->callbacks, on_data_chunk);
    nghttp2_session_callbacks_set_on_frame_recv_callback(all->callbacks, on_frame);
    nghttp2_session_callbacks_set_on_frame_send_callback(all->callbacks, on_frame_sent);
    nghttp2_session_callbacks_set_on_stream_close_callback(all->callbacks, on_stream_close);
    return all;
}

void h2d_free(struct h2d_all *all)
{
    if (all != NULL) {
        nghttp2_session_callbacks_del(all->callbacks);
        slab_free(all->streams);
        free(all);
    }
}

void h2d_tick(struct h2d_all *all, uint64_t now_ns)
{
    while (all->due_first != NULL && all->due_first->due_ns <= now_ns) {
        struct h2d_stream *stream = all->due_first;
        struct h2d *h2d = stream->h2d;
        if (!stream->whole) {
            book_aborted(stream);
        }
        if (answer_with(stream, stream->whole ? 503 : 408) != 0) {
            wait_no_more(stream);
        }
        all->wake(h2d->context);
    }
}

/* A connection. */

struct h2d *h2d_open(struct h2d_all *all, struct ssl_st *ssl, const unsigned char *fingerprint,
                     void *context)
{
    static const nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, PER_PEER},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, REQUEST_HEAD_MAX},
    };
    struct h2d *h2d = xcalloc(1, sizeof *h2d);
    *h2d = (struct h2d){.all = all, .ssl = ssl, .fingerprint = fingerprint, .context = context};
    if (nghttp2_session_server_new(&h2d->session, all->callbacks, h2d) != 0) {
        free(h2d);
        return NULL;
    }
    if (nghttp2_submit_settings(h2d->session, NGHTTP2_FLAG_NONE, settings,
                                sizeof settings / sizeof *settings) != 0) {
        h2d_close(h2d);
        return NULL;
    }
    return h2d;
}

bool h2d_feed(struct h2d *h2d, const char *data, size_t len)
{
    return nghttp2_session_mem_recv(h2d->session, (const uint8_t *)data, len) >= 0;
}

size_t h2d_fill(struct h2d *h2d, char *to, size_t size)
{
    size_t len = 0;
    while (len < size) {
        if (h2d->pending_len == 0) {
            ssize_t n = nghttp2_session_mem_send(h2d->session, &h2d->pending);
            if (n <= 0) {
                break;
            }
            h2d->pending_len = (size_t)n;
        }
        size_t n = h2d->pending_len < size - len ? h2d->pending_len : size - len;
        memcpy(to + len, h2d->pending, n);
        h2d->pending += n;
        h2d->pending_len -= n;
        len += n;
    }
    return len;
}

bool h2d_is_over(const struct h2d *h2d)
{
    return nghttp2_session_want_read(h2d->session) == 0 &&
           nghttp2_session_want_write(h2d->session) == 0;
}

void h2d_close(struct h2d *h2d)
{
    if (h2d == NULL) {
        return;
    }
    while (h2d->streams != NULL) {
        stream_end(h2d->streams);
    }
    nghttp2_session_del(h2d->session);
    free(h2d);
}
