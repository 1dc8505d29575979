#include "net/h1.h"

#include "base/bug.h"
#include "net/show.h"

#include <llhttp.h>
#include <string.h>

#define MAX_CHUNK_BYTES (1ULL << 40)

_Static_assert(sizeof(llhttp_t) <= H1_PARSER_BYTES, "H1_PARSER_BYTES is too small");

static llhttp_t *parser_of(struct h1 *h1)
{
    return (llhttp_t *)(void *)h1->parser;
}

static int refuse(struct h1 *h1, enum outcome outcome)
{
    h1->outcome = outcome;
    return -1;
}

static int on_headers_complete(llhttp_t *parser)
{
    struct h1 *h1 = parser->data;
    int status = llhttp_get_status_code(parser);

    if (status == 101 || status < 100) { /* we never ask for an upgrade */
        return refuse(h1, OUTCOME_HTTP_GARBAGE);
    }
    if (status < 200) {
        return 0;
    }
    h1->status = status;
    h1->progress = true;
    return h1->head_request ? 1 : 0;
}

static int on_body(llhttp_t *parser, const char *at, size_t length)
{
    struct h1 *h1 = parser->data;

    if (h1->body_bytes < h1->keep_size) {
        size_t room = h1->keep_size - (size_t)h1->body_bytes;

        memcpy(h1->keep + h1->body_bytes, at, length < room ? length : room);
    }
    h1->body_bytes += length;
    h1->progress = true;
    return 0;
}

static int on_chunk_header(llhttp_t *parser)
{
    struct h1 *h1 = parser->data;

    if (parser->content_length > MAX_CHUNK_BYTES) {
        return refuse(h1, OUTCOME_HTTP_LIMIT);
    }
    h1->progress = true;
    return 0;
}

static int on_message_complete(llhttp_t *parser)
{
    struct h1 *h1 = parser->data;

    if (h1->status == 0) {
        h1->interim++;
        return h1->interim > H1_MAX_INTERIM ? refuse(h1, OUTCOME_HTTP_LIMIT) : 0;
    }
    h1->done = true;
    h1->keep_alive = llhttp_should_keep_alive(parser);
    return HPE_PAUSED;
}

/* What a person is shown, piece by piece as the bytes come. */

static int show_version_complete(llhttp_t *parser)
{
    struct h1 *h1 = parser->data;

    sink_printf(h1->show, "< HTTP/%d.%d ", parser->http_major, parser->http_minor);
    return 0;
}

static int show_status(llhttp_t *parser, const char *at, size_t length)
{
    struct h1 *h1 = parser->data;

    if (!h1->in_line) {
        sink_printf(h1->show, "%d ", llhttp_get_status_code(parser));
        h1->in_line = true;
    }
    show_bytes(h1->show, at, length);
    return 0;
}

static int show_field(llhttp_t *parser, const char *at, size_t length)
{
    struct h1 *h1 = parser->data;

    if (!h1->in_line) {
        sink_printf(h1->show, "< ");
        h1->in_line = true;
    }
    show_bytes(h1->show, at, length);
    return 0;
}

static int show_field_complete(llhttp_t *parser)
{
    struct h1 *h1 = parser->data;

    sink_printf(h1->show, ": ");
    return 0;
}

static int show_value(llhttp_t *parser, const char *at, size_t length)
{
    struct h1 *h1 = parser->data;

    show_bytes(h1->show, at, length);
    return 0;
}

static int show_line_complete(llhttp_t *parser)
{
    struct h1 *h1 = parser->data;

    sink_printf(h1->show, "\n");
    h1->in_line = false;
    return 0;
}

static int show_status_complete(llhttp_t *parser)
{
    (void)show_status(parser, "", 0); /* the code, where there was no reason phrase */
    return show_line_complete(parser);
}

static int show_headers_complete(llhttp_t *parser)
{
    struct h1 *h1 = parser->data;

    sink_printf(h1->show, "<\n");
    return on_headers_complete(parser);
}

static int show_body_bytes(llhttp_t *parser, const char *at, size_t length)
{
    struct h1 *h1 = parser->data;

    show_body(h1->show, at, length, h1->body_bytes);
    return on_body(parser, at, length);
}

static const llhttp_settings_t lean = {
    .on_headers_complete = on_headers_complete,
    .on_body = on_body,
    .on_chunk_header = on_chunk_header,
    .on_message_complete = on_message_complete,
};

static const llhttp_settings_t showing = {
    .on_status = show_status,
    .on_version_complete = show_version_complete,
    .on_status_complete = show_status_complete,
    .on_header_field = show_field,
    .on_header_field_complete = show_field_complete,
    .on_header_value = show_value,
    .on_header_value_complete = show_line_complete,
    .on_headers_complete = show_headers_complete,
    .on_body = show_body_bytes,
    .on_chunk_header = on_chunk_header,
    .on_message_complete = on_message_complete,
};

void h1_begin(struct h1 *h1, bool head_request, struct sink *show)
{
    llhttp_t *parser = parser_of(h1);

    memset(h1, 0, offsetof(struct h1, parser));
    h1->head_request = head_request;
    h1->show = show;
    llhttp_init(parser, HTTP_RESPONSE, show != NULL ? &showing : &lean);
    parser->data = h1;
}

void h1_keep(struct h1 *h1, char *keep, size_t size)
{
    h1->keep = keep;
    h1->keep_size = size;
}

static enum h1_status failed(struct h1 *h1, enum outcome outcome)
{
    h1->outcome = outcome;
    return H1_FAILED;
}

static enum outcome outcome_of_error(const struct h1 *h1, const llhttp_t *parser,
                                     llhttp_errno_t error)
{
    const char *reason = llhttp_get_error_reason(parser);

    if (h1->outcome != OUTCOME_OK) {
        return h1->outcome;
    }
    if ((error == HPE_INVALID_CHUNK_SIZE || error == HPE_INVALID_CONTENT_LENGTH) &&
        reason != NULL && strstr(reason, "overflow") != NULL) {
        return OUTCOME_HTTP_LIMIT;
    }
    return OUTCOME_HTTP_GARBAGE;
}

enum h1_status h1_feed(struct h1 *h1, const char *data, size_t len, size_t *ret_used)
{
    llhttp_t *parser = parser_of(h1);
    size_t used = 0;

    BUG_ON(h1->done);
    if (len > 0) {
        h1->started = true;
    }
    while (used < len) {
        size_t allowed = H1_MAX_HEAD - h1->head_bytes;
        size_t n = len - used < allowed ? len - used : allowed;
        llhttp_errno_t error;

        if (n == 0) {
            return failed(h1, OUTCOME_HTTP_LIMIT);
        }
        h1->progress = false;
        error = llhttp_execute(parser, data + used, n);
        h1->head_bytes = h1->progress ? 0 : h1->head_bytes + n;
        if (h1->done) {
            *ret_used = (size_t)(llhttp_get_error_pos(parser) - data);
            return H1_DONE;
        }
        if (error != HPE_OK) {
            return failed(h1, outcome_of_error(h1, parser, error));
        }
        used += n;
    }
    *ret_used = used;
    return H1_MORE;
}

enum h1_status h1_end(struct h1 *h1)
{
    if (!h1->started) {
        return failed(h1, OUTCOME_HTTP_CLOSED);
    }
    (void)llhttp_finish(parser_of(h1)); /* calls on_message_complete where the end is the end */
    if (!h1->done) {
        return failed(h1, OUTCOME_HTTP_TRUNCATED);
    }
    h1->keep_alive = false;
    return H1_DONE;
}
