/* The connections of the server, from accept to close: handshake, then one request after another,
 * never more than one at a time, or with HTTP/2 as many as h2d.h says.  All of them live in one
 * slab, which is touched only as far as there were connections at once; beyond its size new ones
 * wait in the kernel's queue.  Deadlines: 10 s for a handshake, 30 s between bytes of a request or
 * of an answer that the client does not take, 30 s for a parked request, 2 s for the client to
 * close; none between requests. */
#ifndef DEMO_PEER_H
#define DEMO_PEER_H

#include "demo/answer.h"
#include "demo/tally.h"
#include "demo/tlsd.h"

#include <ev.h>

#define PEERS_MAX 16384u

struct peers;

/* Serves connections on the listening socket, which the caller keeps.  Borrows all else.  NULL
 * with errno when there is no memory.  The caller frees it. */
struct peers *peers_new(struct ev_loop *loop, int listener, struct tlsd *tlsd, struct gate *gate,
                        struct tally *tally) __attribute__((warn_unused_result));
/* Closes every connection. */
void peers_free(struct peers *peers);
/* A few times a second: what has passed its deadline ends. */
void peers_tick(struct peers *peers);

#endif
