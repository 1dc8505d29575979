#include "net/show.h"

#include <string.h>

#define SHOWN_BODY_BYTES 4096

void show_bytes(struct sink *sink, const char *at, size_t length)
{
    char piece[257];

    while (length > 0) {
        size_t n = length < sizeof piece - 1 ? length : sizeof piece - 1;

        memcpy(piece, at, n);
        piece[n] = '\0';
        if (strlen(piece) < n) { /* sink_plain ends at a NUL; show it and go on after it */
            n = strlen(piece) + 1;
            sink_plain(sink, piece);
            sink_printf(sink, "\\x00");
        } else {
            sink_plain(sink, piece);
        }
        at += n;
        length -= n;
    }
}

void show_body(struct sink *sink, const char *at, size_t length, uint64_t before)
{
    size_t left = before < SHOWN_BODY_BYTES ? (size_t)(SHOWN_BODY_BYTES - before) : 0;
    const char *end = at + (length < left ? length : left);

    if (sink == NULL) {
        return;
    }
    for (const char *p = at; p < end;) {
        const char *newline = memchr(p, '\n', (size_t)(end - p));

        show_bytes(sink, p, (size_t)((newline != NULL ? newline : end) - p));
        if (newline == NULL) {
            break;
        }
        sink_printf(sink, "\n");
        p = newline + 1;
    }
    if (left > 0 && length >= left) {
        sink_printf(sink, "\n[the rest of the body is not shown]\n");
    }
}
