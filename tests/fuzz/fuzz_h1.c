/* Fuzzes an HTTP/1.1 server's bytes: parser (h1.h), and through the connection with its codec.
 * However the bytes are cut into pieces, what comes of them is the same.  The first byte of an
 * input says: bit 0 a HEAD request, bit 1 a reset at the end. */
#include "kit/fuzz.h"
#include "kit/wire.h"

#include "base/sink.h"
#include "kit/markup.h"
#include "net/h1.h"

#include <string.h>

#define KEEP 64

struct parsed {
    enum h1_status end;
    enum outcome outcome;
    int status;
    bool keep_alive, started;
    uint64_t body_bytes;
    unsigned interim;
    size_t used;
    char kept[KEEP];
};

static size_t piece_of(enum wire_pieces pieces, size_t i, size_t left)
{
    size_t n = pieces == WIRE_WHOLE ? left : pieces == WIRE_BYTES ? 1 : 1 + (i * 7 + 3) % 23;
    return n < left ? n : left;
}

static struct parsed parse(const char *bytes, size_t len, bool head, enum wire_pieces pieces,
                           struct sink *show)
{
    struct parsed p = {.end = H1_MORE};
    struct h1 h1;
    h1_begin(&h1, head, show);
    h1_keep(&h1, p.kept, sizeof p.kept);
    for (size_t i = 0; p.end == H1_MORE && p.used < len; i++) {
        size_t used = 0, n = piece_of(pieces, i, len - p.used);
        p.end = h1_feed(&h1, bytes + p.used, n, &used);
        fuzz_require(used <= n, "more was used than there is");
        fuzz_require(p.end != H1_MORE || used == n, "it wants more, and left some");
        p.used += used;
    }
    if (p.end == H1_MORE) {
        p.end = h1_end(&h1);
        fuzz_require(p.end != H1_MORE, "it wants more behind the end");
    }
    p.outcome = p.end == H1_FAILED ? h1.outcome : OUTCOME_OK;
    p.status = h1.status;
    p.keep_alive = p.end == H1_DONE && h1.keep_alive;
    p.started = h1.started;
    p.body_bytes = h1.body_bytes;
    p.interim = h1.interim;
    return p;
}

static void compare(const struct parsed *a, const struct parsed *b)
{
    fuzz_require(a->end == b->end && a->outcome == b->outcome, "the pieces change the outcome");
    fuzz_require(a->end != H1_DONE || a->used == b->used, "the pieces change where it ends");
    fuzz_require(a->end != H1_DONE || (a->status == b->status && a->keep_alive == b->keep_alive &&
                                       a->interim == b->interim),
                 "the pieces change the head");
    fuzz_require(a->end != H1_DONE || (a->body_bytes == b->body_bytes &&
                                       memcmp(a->kept, b->kept, sizeof a->kept) == 0),
                 "the pieces change the body");
}

static void check(const struct parsed *p, size_t len, bool head)
{
    fuzz_require(p->end != H1_DONE || (p->status >= 200 && p->status <= 999),
                 "done without a status");
    fuzz_require(p->body_bytes <= len, "a body longer than all that came");
    fuzz_require(p->end != H1_DONE || !head || p->body_bytes == 0, "HEAD has a body");
    fuzz_require(p->end != H1_FAILED || p->outcome != OUTCOME_OK, "it failed, and all is well");
}

static void through_conn(const char *bytes, size_t len, bool head, bool cut)
{
    struct wire_told whole, other;
    wire_run(false, head, cut, false, WIRE_WHOLE, bytes, len, &whole);
    for (enum wire_pieces pieces = WIRE_BYTES; pieces <= WIRE_MIXED; pieces++) {
        wire_run(false, head, cut, false, pieces, bytes, len, &other);
        const struct wire_end *a = &whole.streams[0], *b = &other.streams[0];
        fuzz_require(a->outcome == b->outcome, "the pieces change the exchange's outcome");
        fuzz_require(a->outcome != OUTCOME_OK ||
                         (a->status == b->status && a->body_bytes == b->body_bytes),
                     "the pieces change the exchange");
        fuzz_require(a->outcome != OUTCOME_OK || memcmp(whole.kept, other.kept, WIRE_KEEP) == 0,
                     "the pieces change what is kept");
    }
}

static bool run(const char *bytes, size_t len)
{
    if (len == 0) {
        return false;
    }
    bool head = bytes[0] & 1, cut = bytes[0] & 2;
    bytes++;
    len--;
    struct sink *show = sink_new();
    struct parsed whole = parse(bytes, len, head, WIRE_WHOLE, show);
    size_t shown;
    const char *text = sink_text(show, &shown);
    fuzz_require(markup_is_plain(text, shown, false), "what is shown holds control characters");
    sink_free(show);
    struct parsed bytewise = parse(bytes, len, head, WIRE_BYTES, NULL);
    struct parsed mixed = parse(bytes, len, head, WIRE_MIXED, NULL);
    check(&whole, len, head);
    compare(&whole, &bytewise);
    compare(&whole, &mixed);
    through_conn(bytes, len, head, cut);
    return whole.end == H1_DONE;
}

static const char *const words[] = {"HTTP/1.1 200 OK\r\n",
                                    "HTTP/1.0 200\r\n",
                                    "HTTP/1.1 100 Continue\r\n\r\n",
                                    "HTTP/1.1 101 Switching Protocols\r\n",
                                    "HTTP/1.1 204 No Content\r\n",
                                    "HTTP/1.1 304 Not Modified\r\n",
                                    "Content-Length: 5\r\n",
                                    "Content-Length: 18446744073709551615\r\n",
                                    "Content-Length: -1\r\n",
                                    "Transfer-Encoding: chunked\r\n",
                                    "Transfer-Encoding: gzip, chunked\r\n",
                                    "Transfer-Encoding: identity\r\n",
                                    "Connection: close\r\n",
                                    "Connection: keep-alive\r\n",
                                    "Connection: upgrade\r\n",
                                    "Upgrade: h2c\r\n",
                                    "Trailer: X\r\n",
                                    "\r\n",
                                    "\n",
                                    "\r",
                                    " ",
                                    "\t",
                                    ":",
                                    ";",
                                    "0\r\n\r\n",
                                    "5\r\nhello\r\n",
                                    "5;ext=1\r\n",
                                    "ffffffffffffffff\r\n",
                                    "X: \x1b[31m\r\n",
                                    "\xff",
                                    NULL};

const struct fuzz_target fuzz_target = {
    .name = "h1",
    .about = "net/h1.c net/codec_h1.c",
    .words = words,
    .run = run,
};
