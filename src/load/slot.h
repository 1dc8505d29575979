/* A slot: the place of one connection in a worker, for the whole run, with places for pace.streams
 * exchanges at one time (as far as the protocol and the server allow).  A place that rests (think
 * time) is taken as well.  Its connection comes and goes; the slot dials again (at once after a
 * polite end, after a growing pause when something failed), draws the identity of each connection,
 * and offers a session to the share of reconnects that resume: one that the same certificate was
 * given, on whatever connection of the worker. */
#ifndef LOAD_SLOT_H
#define LOAD_SLOT_H

#include "load/holding.h"
#include "load/slot_queue.h"
#include "net/conn.h"

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>

struct worker;

struct slot {
    struct conn conn;
    struct worker *worker;
    uint64_t due_ns; /* of its connection's start, where such fall due, until it is measured from */
    bool is_open;    /* counted as ready */
    bool proving;    /* pace.mode = handshake: the server's last word is awaited */
    struct holding holding;        /* of this connection */
    struct worker_identity *drawn; /* of the next dial; NULL: not yet drawn */
    /* Of the last dial: */
    double resume_ratio; /* as it was asked for then */
    bool resume;         /* the dice */
    bool reconnects;     /* its client had been connected before */
    enum tls_ticket ticket;
    bool was_ready;     /* some connection of this slot */
    uint8_t n_failures; /* in a row */
    bool outlived;      /* the server closed it as it was used once more */
    uint32_t n_rests;
    uint64_t *rests; /* borrows: when places have rested, monotonic, the earliest first */
    enum slot_place place;
    struct worker_identity *starves_as; /* in whose queue for that place; NULL: the worker's */
    struct slot *prev, *next;           /* in that queue */
    ev_timer wait; /* of a ready connection: the first rest; else the pause before the next dial */
};

/* `rests` has room for pace.streams. */
void slot_init(struct slot *slot, struct worker *worker, uint64_t *rests);
/* It shall have a connection from now on, or none, as soon as what it carries has ended. */
void slot_want(struct slot *slot, bool wanted);
/* Dials for those that wait, within the limits of the plan.  Once a loop turn, after conn_reap. */
void slot_dial_waiting(struct worker *worker);
/* May another exchange begin on it now? */
bool slot_has_room(const struct slot *slot);
/* Waits for an exchange where it has room, and does not where it has none. */
void slot_settle(struct slot *slot);
/* Lets a place of a ready connection rest before its next exchange. */
void slot_rest(struct slot *slot, uint64_t pause_ns);
/* Its connection begins nothing more, and closes when what is in flight has ended. */
void slot_retire(struct slot *slot);
/* What is left of its rests times `factor`, and no more than `most_ns`, when the rate or the think
 * time changes in mid-rest. */
void slot_change_rest(struct slot *slot, double factor, uint64_t most_ns);
/* conn_handler's ready(), room() and closed(). */
void slot_ready(struct conn *conn);
void slot_room(struct conn *conn);
void slot_closed(struct conn *conn, enum outcome outcome);
/* Drops what it holds.
 * More than eight functions: a connection's life and its places are one thing. */
void slot_clear(struct slot *slot);

#endif
