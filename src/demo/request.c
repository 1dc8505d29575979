#include "demo/request.h"

#include "base/str.h"

#include <llhttp.h>
#include <string.h>
#include <strings.h>

/* What ": " and CR LF add to each header; the limit is on the head as it is sent. */
#define HEADER_EXTRA 4

_Static_assert(sizeof(llhttp_t) <= REQUEST_PARSER_BYTES, "room for the parser");

static llhttp_t *parser_of(struct request *request)
{
    return (llhttp_t *)(void *)request->parser;
}

static unsigned method_of(const struct request *request)
{
    return ((const llhttp_t *)(const void *)request->parser)->method;
}

static struct request *request_of(llhttp_t *parser)
{
    return parser->data;
}

/* False when the head has grown too large. */
static bool grow(struct request *request, size_t len)
{
    request->head_bytes += len;
    request->too_large = request->head_bytes > REQUEST_HEAD_MAX;
    return !request->too_large;
}

static int on_message_begin(llhttp_t *parser)
{
    request_of(parser)->started = true;
    return 0;
}

static int on_url(llhttp_t *parser, const char *at, size_t len)
{
    struct request *request = request_of(parser);
    if (!grow(request, len)) {
        return HPE_USER;
    }
    for (size_t i = 0; i < len && request->path_len < sizeof request->path; i++) {
        request->path[request->path_len++] = at[i];
    }
    return 0;
}

static int on_url_complete(llhttp_t *parser)
{
    struct request *request = request_of(parser);
    char *query = memchr(request->path, '?', request->path_len);
    if (query != NULL) {
        *query = '\0';
    } else if (request->path_len < sizeof request->path) {
        request->path[request->path_len] = '\0';
    } else {
        request->path[0] = '\0';
    }
    return 0;
}

static int on_header_field(llhttp_t *parser, const char *at, size_t len)
{
    struct request *request = request_of(parser);
    for (size_t i = 0; i < len && request->header_len < sizeof request->header; i++) {
        request->header[request->header_len++] = at[i];
    }
    return grow(request, len) ? 0 : HPE_USER;
}

static bool header_is(const struct request *request, const char *name)
{
    return request->header_len == strlen(name) &&
           strncasecmp(request->header, name, request->header_len) == 0;
}

static int on_header_field_complete(llhttp_t *parser)
{
    struct request *request = request_of(parser);
    request->value = NULL;
    if (!request->head_done && header_is(request, "x-api-key")) {
        request->value = &request->key;
    } else if (!request->head_done && header_is(request, "authorization")) {
        request->value = &request->token;
    }
    if (request->value != NULL) {
        request->value->at = request->pocket_len;
        request->value->len = 0;
        request->value->count++;
    }
    request->header_len = 0;
    return grow(request, HEADER_EXTRA) ? 0 : HPE_USER;
}

static int on_header_value(llhttp_t *parser, const char *at, size_t len)
{
    struct request *request = request_of(parser);
    if (!grow(request, len)) {
        return HPE_USER;
    }
    if (request->value != NULL) {
        /* It fits: the pocket is as large as all that a head may have. */
        memcpy(request->pocket + request->pocket_len, at, len);
        request->pocket_len += len;
        request->value->len += len;
    }
    return 0;
}

static int on_header_value_complete(llhttp_t *parser)
{
    struct request *request = request_of(parser);
    struct request_value *value = request->value;
    while (value != NULL && value->len > 0 &&
           strchr(" \t", request->pocket[value->at + value->len - 1]) != NULL) {
        value->len--;
    }
    request->value = NULL;
    return 0;
}

static int on_headers_complete(llhttp_t *parser)
{
    struct request *request = request_of(parser);
    request->head_done = true;
    request->keep_alive = llhttp_should_keep_alive(parser);
    /* We upgrade to nothing: what follows is HTTP/1.1 as before. */
    parser->upgrade = 0;
    request->stopped = !request->head(request, request->context);
    if (!request->keep_body) {
        request->pocket = NULL;
    }
    return request->stopped ? HPE_USER : 0;
}

void request_body(struct request *request, const char *data, size_t len)
{
    if (!request->keep_body) {
        return;
    }
    size_t room = REQUEST_BODY_MAX - request->body_len;
    size_t n = len < room ? len : room;
    memcpy(request->pocket + request->body_len, data, n);
    request->body_len += n;
    request->body_cut = request->body_cut || n < len;
}

static int on_body(llhttp_t *parser, const char *at, size_t len)
{
    request_body(request_of(parser), at, len);
    return 0;
}

static int on_message_complete(llhttp_t *parser)
{
    (void)parser;
    return HPE_PAUSED;
}

static const llhttp_settings_t settings = {
    .on_message_begin = on_message_begin,
    .on_url = on_url,
    .on_url_complete = on_url_complete,
    .on_header_field = on_header_field,
    .on_header_field_complete = on_header_field_complete,
    .on_header_value = on_header_value,
    .on_header_value_complete = on_header_value_complete,
    .on_headers_complete = on_headers_complete,
    .on_body = on_body,
    .on_message_complete = on_message_complete,
};

void request_init(struct request *request, bool (*head)(struct request *, void *), void *context)
{
    memset(request, 0, sizeof *request);
    request->head = head;
    request->context = context;
}

void request_begin(struct request *request, char *pocket)
{
    bool (*head)(struct request *, void *) = request->head;
    void *context = request->context;
    request_init(request, head, context);
    llhttp_init(parser_of(request), HTTP_REQUEST, &settings);
    parser_of(request)->data = request;
    request->pocket = pocket;
}

enum request_step request_feed(struct request *request, const char *data, size_t len,
                               size_t *ret_used)
{
    llhttp_errno_t error = llhttp_execute(parser_of(request), data, len);
    *ret_used = len;
    if (error == HPE_OK) {
        return REQUEST_MORE;
    }
    if (error == HPE_PAUSED) {
        *ret_used = (size_t)(llhttp_get_error_pos(parser_of(request)) - data);
        return REQUEST_DONE;
    }
    if (request->stopped) {
        return REQUEST_STOPPED;
    }
    return request->too_large ? REQUEST_TOO_LARGE : REQUEST_GARBAGE;
}

static unsigned method_from(const char *text, size_t len)
{
    static const struct {
        const char *name;
        unsigned method;
    } known[] = {{"GET", HTTP_GET}, {"HEAD", HTTP_HEAD}, {"POST", HTTP_POST}, {"PUT", HTTP_PUT}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (len == strlen(known[i].name) && memcmp(text, known[i].name, len) == 0) {
            return known[i].method;
        }
    }
    return HTTP_OPTIONS; /* as good as any other that we have no route for */
}

bool request_field(struct request *request, const char *name, size_t name_len, const char *value,
                   size_t value_len)
{
    llhttp_t *parser = parser_of(request);
    request->started = true;
    if (name_len == 7 && memcmp(name, ":method", 7) == 0) {
        parser->method = (uint8_t)method_from(value, value_len);
        return grow(request, value_len);
    }
    if (name_len == 5 && memcmp(name, ":path", 5) == 0) {
        bool fits = on_url(parser, value, value_len) == 0;
        return fits && on_url_complete(parser) == 0;
    }
    return on_header_field(parser, name, name_len) == 0 && on_header_field_complete(parser) == 0 &&
           on_header_value(parser, value, value_len) == 0 && on_header_value_complete(parser) == 0;
}

bool request_is(const struct request *request, const char *path)
{
    return str_equal(request->path, path);
}

bool request_is_head(const struct request *request)
{
    return method_of(request) == HTTP_HEAD;
}

bool request_is_read(const struct request *request)
{
    return method_of(request) == HTTP_GET || method_of(request) == HTTP_HEAD;
}

bool request_is_write(const struct request *request)
{
    return method_of(request) == HTTP_POST || method_of(request) == HTTP_PUT;
}
