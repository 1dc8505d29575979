/* Fuzzes an HTTP/2 server's frames, through the connection with its codec.  However the bytes are
 * cut into pieces, each exchange ends the same.  The first byte of an input says: bit 0 what we
 * answer goes out between the pieces of one more turn, bit 1 a reset at the end. */
#include "kit/fuzz.h"
#include "kit/wire.h"

#include <string.h>

/* nghttp2 counts what it is given of CONTINUATION's headers, not the frames: where they come byte by
 * byte it takes one for a flood. */
static bool is_flood(const struct wire_told *told)
{
    return told->closed == OUTCOME_H2_FLOOD;
}

static void compare(const struct wire_told *a, const struct wire_told *b)
{
    if (is_flood(a) || is_flood(b)) {
        return;
    }
    for (size_t i = 0; i < a->n_streams; i++) {
        const struct wire_end *x = &a->streams[i], *y = &b->streams[i];
        fuzz_require(x->outcome == y->outcome, "the pieces change an exchange's outcome");
        fuzz_require(x->unprocessed == y->unprocessed, "the pieces change what was touched");
        fuzz_require(x->outcome != OUTCOME_OK ||
                         (x->status == y->status && x->body_bytes == y->body_bytes),
                     "the pieces change an exchange");
    }
}

static bool check(const struct wire_told *told, size_t len)
{
    uint64_t body = 0;
    bool any = false;
    for (size_t i = 0; i < told->n_streams; i++) {
        const struct wire_end *end = &told->streams[i];
        bool ok = end->outcome == OUTCOME_OK;
        fuzz_require(!ok || (end->status >= 200 && end->status <= 999), "done without a status");
        fuzz_require(!ok || end->started, "done, and nothing has come");
        body += end->body_bytes;
        any = any || ok;
    }
    fuzz_require(body <= len, "bodies longer than all that came");
    return any;
}

static bool run(const char *bytes, size_t len)
{
    struct wire_told whole, other;
    if (len == 0) {
        return false;
    }
    bool flush = bytes[0] & 1, cut = bytes[0] & 2;
    bytes++;
    len--;
    wire_run(true, false, cut, false, WIRE_WHOLE, bytes, len, &whole);
    bool any = check(&whole, len);
    for (enum wire_pieces pieces = WIRE_BYTES; pieces <= WIRE_MIXED; pieces++) {
        wire_run(true, false, cut, false, pieces, bytes, len, &other);
        (void)check(&other, len);
        compare(&whole, &other);
    }
    if (flush) {
        wire_run(true, false, cut, true, WIRE_MIXED, bytes, len, &other);
        (void)check(&other, len);
    }
    return any;
}

/* Words end at a NUL, so of frames there are the parts that hold none. */
static const char *const words[] = {"\x88",
                                    "\x8b",
                                    "\x08\x03"
                                    "200",
                                    "\x48\x03"
                                    "103",
                                    "\x0f\x0d\x01"
                                    "5",
                                    "\x5c\x01"
                                    "5",
                                    "hello",
                                    "\x3f\xe1\x1f",
                                    "\x20",
                                    "\xff\xff\xff\xff",
                                    "\x7f\xff\xff\xff",
                                    "\x01\x05",
                                    "\x01\x04",
                                    "\x04\x01",
                                    "\x06\x01",
                                    "\x07",
                                    "\x09\x04",
                                    NULL};

const struct fuzz_target fuzz_target = {
    .name = "h2",
    .about = "net/h2.c net/h2_events.c",
    .words = words,
    .run = run,
};
