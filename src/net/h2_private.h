/* What the two files of HTTP/2 share: h2.c writes and decides, h2_events.c reads. */
#ifndef NET_H2_PRIVATE_H
#define NET_H2_PRIVATE_H

#include "net/conn.h"

#include <ev.h>
#include <nghttp2/nghttp2.h>

#define H2_GATHER_BYTES 16384 /* one TLS record */

struct h2_env {
    nghttp2_session_callbacks *callbacks;
    nghttp2_option *option;
    struct h2_mem *mem; /* of all sessions */
    struct h2 *first;   /* that have something to write */
    ev_prepare turn;    /* where nobody else flushes */
    nghttp2_nv *nv;     /* for the request being submitted; owns */
    size_t n_nv;        /* that it has room for */
    unsigned char gather[H2_GATHER_BYTES];
};

struct h2 {
    nghttp2_session *session;
    struct conn *conn;
    struct h2 *prev, *next; /* while queued, among those that have something to write */
    struct stream *ended_first, *ended_last; /* wait to be told */
    unsigned char *left;                     /* written by nghttp2, and not yet taken by TLS */
    size_t left_len;
    uint64_t heard_ns;     /* when bytes came last */
    uint64_t ping_from_ns; /* when the ping deadline was armed */
    uint64_t empty_from_ns;
    uint32_t n_empty;   /* frames without content since empty_from_ns */
    uint64_t n_ignored; /* bytes since the last frame that nghttp2 told of */
    uint64_t ignored_from_ns;
    struct stream *reading; /* whose header block comes in; NULL: nobody's that we know */
    uint32_t goaway_code;   /* valid with goaway */
    int32_t goaway_last;    /* the last stream that the server may have looked at */
    int32_t reset_id;       /* the stream that the server has just reset */
    int status;             /* of the header block being read */
    enum outcome outcome;   /* why we end the connection, once we do */
    bool queued;
    bool goaway;       /* the server said so */
    bool said_goodbye; /* our GOAWAY is written */
    bool has_settings; /* of the server */
    bool has_room;     /* tell the worker: the server's limit may have changed */
    bool ping_sent;
    bool cancels; /* there were streams to cancel right behind their HEADERS */
    bool lost;    /* the server has gone: nothing is written any more */
};

/* The callbacks that read; NULL when memory ran out. */
nghttp2_session_callbacks *h2_callbacks(void) __attribute__((warn_unused_result));
/* The stream is over; it is told when nghttp2 has returned. */
void h2_end_stream(struct h2 *h2, struct stream *stream, enum outcome outcome);
/* From now on nghttp2 tells us nothing of the stream, whose structure may go. */
void h2_forget(struct h2 *h2, const struct stream *stream);
/* So many bytes have been read: ends the connection where frames come without end that nghttp2
 * leaves out and does not tell of (unknown ones, those of streams that are over). */
void h2_note_ignored(struct h2 *h2, size_t len);
/* The caller's stream of an id, or NULL: none, or we have given it up. */
struct stream *h2_stream(const struct h2 *h2, int32_t id);

#endif
