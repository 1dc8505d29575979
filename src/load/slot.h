/* A slot: the place of one connection in a worker, for the whole run.  Its connection comes and
 * goes; the slot dials again (at once after a polite end, after a growing pause when something
 * failed), draws the identity of each connection, and keeps the last TLS session for the share of
 * reconnects that resume: such a one goes on as the same client with the same certificate. */
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
    /* Of this connection; the certificate stays when it has ended, for resumption. */
    struct holding holding;
    struct worker_identity *drawn; /* of the next dial; NULL: not yet drawn */
    struct tls_session *session;   /* owns: of the last connection, made with its certificate */
    bool resume;                   /* the dice of the next dial */
    uint8_t n_failures;            /* in a row */
    enum slot_place place;
    struct worker_identity *starves_as; /* in whose queue for that place; NULL: the worker's */
    struct slot *prev, *next;           /* in that queue */
    ev_timer wait; /* think time of a ready connection, else the pause before the next dial */
};

void slot_init(struct slot *slot, struct worker *worker);
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
