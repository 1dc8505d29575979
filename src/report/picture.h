/* What the live view shows, without the terminal: a pure function of the frames so far. */
#ifndef REPORT_PICTURE_H
#define REPORT_PICTURE_H

#include "base/sink.h"
#include "report/live.h"

#include <stdbool.h>
#include <stddef.h>

#define PICTURE_HISTORY 60

struct picture {
    struct sink *target; /* safe to show */
    bool colours;
    bool utf8;                       /* blocks for the sparkline; else letters */
    double history[PICTURE_HISTORY]; /* bytes of the server, oldest first */
    size_t n_history;
    double first_bytes; /* of the first reading; < 0: none yet */
};

void picture_init(struct picture *picture, const char *target, bool colours, bool utf8);
void picture_free(struct picture *picture);
/* Takes the frame's memory into the history: once a frame. */
void picture_note(struct picture *picture, const struct live_frame *frame);
/* The lines for a terminal of so many columns and rows, none longer; returns how many. */
size_t picture_draw(const struct picture *picture, const struct live_frame *frame, size_t columns,
                    size_t rows, struct sink *sink);
/* What both views say of the server's memory: "anon 8.3 MiB (+1.2 MiB)"; false without a
 * reading. */
bool picture_memory(const struct picture *picture, const struct live_frame *frame,
                    struct sink *sink);
/* "00:20", "1:02:05" */
void picture_clock(struct sink *sink, double seconds);
/* All outcomes but OK. */
uint64_t picture_errors(const struct interval *interval);

#endif
