/* A server's bytes through the real connection and codec, without a socket or TLS below: the
 * linker leads the calls of TLS's verbs to wire.c, which hands out the script piece by piece and
 * swallows what is sent.  The connection is READY from the start. */
#ifndef FUZZ_WIRE_H
#define FUZZ_WIRE_H

#include "record/outcome.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WIRE_STREAMS 4
#define WIRE_KEEP    64

enum wire_pieces { WIRE_WHOLE, WIRE_BYTES, WIRE_MIXED };

struct wire_end {
    bool ended, started, unprocessed;
    enum outcome outcome;
    int status;
    uint64_t body_bytes;
};

struct wire_told {
    size_t n_streams; /* that were sent */
    struct wire_end streams[WIRE_STREAMS];
    unsigned n_closed;
    enum outcome closed; /* of the connection */
    char kept[WIRE_KEEP];
};

/* HTTP/1.1: one exchange (HEAD where `head`); HTTP/2: WIRE_STREAMS of them, GET, HEAD, POST and a
 * cancelled one, all behind the server's first SETTINGS, which are not part of `bytes`.  `cut`: the
 * connection is reset at the end instead of closed.  `flush`: what is to be sent goes out between
 * pieces, and not at the end only. */
void wire_run(bool h2, bool head, bool cut, bool flush, enum wire_pieces pieces, const char *bytes,
              size_t len, struct wire_told *ret_told);

#endif
