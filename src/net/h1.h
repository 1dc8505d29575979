/* HTTP/1.1, the client's half: a response parser (llhttp behind it; nobody else here names llhttp).
 * Handles keep-alive, content-length, chunked, 1xx, 204, 304, HEAD and close-delimited bodies.
 * Memory is bounded: bodies are counted, not kept (but for a first piece where asked).  More than
 * 64 KiB without progress (one head with its interim responses, trailers, a chunk extension), more
 * than 16 interim responses or an absurd chunk size is OUTCOME_HTTP_LIMIT. */
#ifndef NET_H1_H
#define NET_H1_H

#include "base/sink.h"
#include "record/outcome.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define H1_PARSER_BYTES 112
#define H1_MAX_HEAD     65536
#define H1_MAX_INTERIM  16

enum h1_status { H1_MORE, H1_DONE, H1_FAILED };

/* One response being parsed.  Embedded by value in a connection; the first members are for reading.
 */
struct h1 {
    int status;      /* of the final response; 0 until its head is complete */
    bool keep_alive; /* valid at H1_DONE: may another request follow on this connection? */
    bool started;    /* a byte of a response has come */
    bool head_request;
    bool done;
    bool progress;        /* the parser left a head or framing since this was cleared */
    bool in_line;         /* `show` is inside a line */
    enum outcome outcome; /* valid at H1_FAILED */
    unsigned interim;     /* 1xx responses before the final one */
    uint64_t body_bytes;
    size_t head_bytes; /* of the head (or of framing) since the last progress */
    struct sink *show; /* `--once -v`: gets head and the first 4 KiB of the body; usually NULL */
    char *keep;        /* gets the first keep_size bytes of the body; usually NULL */
    size_t keep_size;
    _Alignas(16) unsigned char parser[H1_PARSER_BYTES];
};

/* Begins a response.  `head_request`: the method was HEAD, so no body follows.  `show` as above. */
void h1_begin(struct h1 *h1, bool head_request, struct sink *show);
/* From h1_begin on: keeps the body, as much as fits. */
void h1_keep(struct h1 *h1, char *keep, size_t size);
/* Feeds bytes.  H1_DONE: the final response is complete; *ret_used bytes belonged to it (bytes
 * after it on a connection without pipelining are the caller's garbage). */
enum h1_status h1_feed(struct h1 *h1, const char *data, size_t len, size_t *ret_used);
/* The peer closed its side: H1_DONE for a close-delimited body, else H1_FAILED with HTTP_CLOSED or
 * HTTP_TRUNCATED. */
enum h1_status h1_end(struct h1 *h1);

#endif
