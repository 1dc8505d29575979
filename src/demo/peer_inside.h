/* The inside of a connection of the server, shared by peer.c (its life, and HTTP/1.1) and peer_h2.c
 * (HTTP/2), and by nobody else. */
#ifndef DEMO_PEER_INSIDE_H
#define DEMO_PEER_INSIDE_H

#include "demo/answer.h"
#include "demo/h2d.h"
#include "demo/slab.h"
#include "demo/tlsd.h"

#include <ev.h>

#define READ_BYTES       16384u /* one TLS record at most */
#define RECORDS_PER_TURN 16

enum deadline {
    DEADLINE_HANDSHAKE,
    DEADLINE_REQUEST,
    DEADLINE_PARK,
    DEADLINE_LINGER,
    DEADLINE_COUNT,
    DEADLINE_NONE = DEADLINE_COUNT
};

enum peer_state {
    PEER_HANDSHAKE,
    PEER_OPEN,
    PEER_PARKED,
    PEER_LINGER /* all is said; waits for the client to close, so that it can read it */
};

struct peer {
    ev_io io;
    struct peers *peers;
    enum peer_state state;
    int fd;
    unsigned char fingerprint[TLSD_FINGERPRINT]; /* of its certificate, once established */
    struct ssl_st *ssl;                          /* NULL in LINGER */
    struct h2d *h2;                              /* NULL: HTTP/1.1 */
    bool established;                            /* the handshake is done */
    bool reading;                                /* between request_begin and the request's end */
    bool answered;                               /* and nothing has come since */
    bool aborted;                                /* the request in hand is booked as such */
    struct request request;
    struct answer answer; /* to the request, once its head is complete */
    char *pocket;         /* lent to the request while it reads the head */
    char *rest;           /* input that came behind a request whose answer is not out yet */
    size_t rest_len;
    size_t out_len; /* of an answer not yet taken by TLS; 0: none */
    enum deadline armed;
    uint64_t expires_ns;
    struct peer *prev, *next; /* in the list of its deadline */
    char out[ANSWER_MAX];
};

struct peers {
    struct ev_loop *loop;
    ev_io listener;
    struct tlsd *tlsd;
    struct gate *gate;
    struct tally *tally;
    struct slab *slab;    /* of struct peer */
    struct slab *pockets; /* of REQUEST_HEAD_MAX bytes */
    struct h2d_all *h2;
    struct {
        struct peer *first, *last;
    } deadline[DEADLINE_COUNT];
    char input[READ_BYTES];
};

void peer_watch(struct peer *peer, int events);
/* We close first: says so, and lets the client read what it was sent. */
void peer_linger(struct peer *peer);
/* The client closed, or the connection failed. */
void peer_gone(struct peer *peer, enum tlsd_status status);
/* Sends what is in `out`.  False when the peer is closed or must wait for the socket. */
bool peer_flush(struct peer *peer);

/* HTTP/2: writes all that there is to say, a record after the other. */
void peer_say(struct peer *peer);
/* HTTP/2: takes what has come. */
void peer_hear(struct peer *peer);
/* The same as peer_say, for h2d: from the clock. */
void peer_wake(void *context);

#endif
