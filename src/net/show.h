/* What a person is shown of a response, piece by piece as the bytes come (`--once -v`). */
#ifndef NET_SHOW_H
#define NET_SHOW_H

#include "base/sink.h"

#include <stddef.h>
#include <stdint.h>

/* The server's bytes, with control characters visible. */
void show_bytes(struct sink *sink, const char *at, size_t length);
/* The first 4 KiB of a body; `before` bytes of it have come already.  `sink` may be NULL. */
void show_body(struct sink *sink, const char *at, size_t length, uint64_t before);

#endif
