/* HTTP/2 for the embedded server (nghttp2 behind it): the streams of a connection, each one request
 * that is decided, booked and answered as one of HTTP/1.1 would be.  A stream that is reset, or
 * whose connection ends, before its answer was written is aborted.  All streams live in one slab;
 * when that is empty, or a client has more than 128 at one time, they are refused.  Deadlines: 30 s
 * between bytes of a request (408), 30 s for a parked one (503). */
#ifndef DEMO_H2D_H
#define DEMO_H2D_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct gate;
struct slab;
struct ssl_st;
struct tally;

struct h2d_all; /* of all connections */
struct h2d;     /* of one */

/* Borrows all.  `pockets`: REQUEST_HEAD_MAX bytes each; `wake` is called when a connection has
 * something to say on its own.  NULL with errno when there is no memory.  The caller frees it. */
struct h2d_all *h2d_new(struct gate *gate, struct tally *tally, struct slab *pockets,
                        void (*wake)(void *context)) __attribute__((warn_unused_result));
void h2d_free(struct h2d_all *all);
/* A few times a second: what has passed its deadline ends. */
void h2d_tick(struct h2d_all *all, uint64_t now_ns);

/* Serves a connection on which HTTP/2 was agreed.  Borrows ssl and fingerprint (32 bytes). NULL
 * when memory ran out. */
struct h2d *h2d_open(struct h2d_all *all, struct ssl_st *ssl, const unsigned char *fingerprint,
                     void *context) __attribute__((warn_unused_result));
/* Takes bytes from the client; false: it broke the protocol, say the rest and close. */
bool h2d_feed(struct h2d *h2d, const char *data, size_t len) __attribute__((warn_unused_result));
/* Bytes for the client, `size` at the most; 0: none now. */
size_t h2d_fill(struct h2d *h2d, char *to, size_t size);
/* All is said on both sides. */
bool h2d_is_over(const struct h2d *h2d);
void h2d_close(struct h2d *h2d); /* NULL is fine */

#endif
