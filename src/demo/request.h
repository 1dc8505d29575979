/* One request being read: HTTP/1.0 or 1.1 (llhttp behind it), or field by field HTTP/2.  Of the
 * head only method, path, API key and token are kept, the latter two in a pocket that the caller
 * lends; bodies, by length or chunked, are counted out and thrown away, unless the head's handler
 * asks for this one.  A head beyond 32 KiB is REQUEST_TOO_LARGE. More than eight functions: two
 * protocols fill in one request. */
#ifndef DEMO_REQUEST_H
#define DEMO_REQUEST_H

#include <stdbool.h>
#include <stddef.h>

#define REQUEST_HEAD_MAX     32768u
#define REQUEST_BODY_MAX     8192u
#define REQUEST_PARSER_BYTES 192

enum request_step {
    REQUEST_MORE,
    REQUEST_DONE,      /* head and body have come */
    REQUEST_STOPPED,   /* the head's handler said so; the body is not looked at */
    REQUEST_GARBAGE,   /* 400 */
    REQUEST_TOO_LARGE, /* 431 */
};

/* A header's value in the pocket. */
struct request_value {
    size_t at, len;
    unsigned count; /* how often the header came */
};

struct request {
    bool started;    /* its first byte has come (empty lines before it are none) */
    bool head_done;  /* method, path and values are valid */
    bool keep_alive; /* valid once head_done: may another request follow? */
    struct request_value key, token;
    char path[32]; /* without query; "" when it is longer than any we know */
    size_t path_len;
    char header[16]; /* the name of the header being read */
    size_t header_len;
    struct request_value *value; /* where its value goes; NULL: nowhere */
    size_t head_bytes;           /* header lines and, after a chunked body, trailers */
    bool too_large, stopped;
    bool keep_body; /* the head's handler sets it: the body then takes the head's place */
    size_t body_len;
    bool body_cut; /* there was more */
    char *pocket;  /* REQUEST_HEAD_MAX bytes */
    size_t pocket_len;
    _Alignas(16) unsigned char parser[REQUEST_PARSER_BYTES];
    /* Called once when the head is complete, while key and token stand in the pocket; false
     * stops. */
    bool (*head)(struct request *request, void *context);
    void *context;
};

/* Prepares for the first request of a connection. */
void request_init(struct request *request, bool (*head)(struct request *request, void *context),
                  void *context);
/* Gets ready for a request.  `pocket` is borrowed until the head is done or, with
 * keep_body, the request ended. */
void request_begin(struct request *request, char *pocket);
/* Feeds bytes; *ret_used of them belonged to this request. */
enum request_step request_feed(struct request *request, const char *data, size_t len,
                               size_t *ret_used);
/* HTTP/2, after request_begin: a field of the head; false when the head has grown too large. */
bool request_field(struct request *request, const char *name, size_t name_len, const char *value,
                   size_t value_len);
/* HTTP/2: bytes of the body, which are kept as keep_body says. */
void request_body(struct request *request, const char *data, size_t len);
bool request_is(const struct request *request, const char *path);
bool request_is_head(const struct request *request);
/* GET or HEAD. */
bool request_is_read(const struct request *request);
/* POST or PUT. */
bool request_is_write(const struct request *request);

#endif
