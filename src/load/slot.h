/* A slot: the place of one connection in a worker, for the whole run.  Its connection comes and
 * goes; the slot dials again (at once after a polite end, after a growing pause when something
 * failed), draws the identity of each connection, and offers a session to the share of reconnects
 * that resume: one that the same certificate was given, on whatever connection of the worker. */
#ifndef LOAD_SLOT_H
#define LOAD_SLOT_H

#include "load/holding.h"
#include "load/slot_queue.h"
#include "net/conn.h"

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>

struct worker;
struct exchange;

struct slot {
    struct conn conn;
    struct worker *worker;
    struct exchange *exchange; /* in flight, or NULL */
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
    enum slot_place place;
    struct worker_identity *starves_as; /* in whose queue for that place; NULL: the worker's */
    struct slot *prev, *next;           /* in that queue */
    ev_timer wait; /* think time of a ready connection, else the pause before the next dial */
};

void slot_init(struct slot *slot, struct worker *worker);
/* It shall have a connection from now on, or none, as soon as what it carries has ended. */
void slot_want(struct slot *slot, bool wanted);
/* Dials for those that wait, within the limits of the plan.  Once a loop turn, after conn_reap. */
void slot_dial_waiting(struct worker *worker);
/* Lets a ready connection rest before its next exchange. */
void slot_rest(struct slot *slot, uint64_t pause_ns);
/* What is left of that rest times `factor`, when the rate changes in mid-rest. */
void slot_stretch_rest(struct slot *slot, double factor);
/* conn_handler's ready() and closed(). */
void slot_ready(struct conn *conn);
void slot_closed(struct conn *conn, enum outcome outcome);
/* Drops what it holds. */
void slot_clear(struct slot *slot);

#endif
