/* An exchange: one request and its response, from the moment it is begun on a ready connection
 * until it is completed or failed.  It keeps what must outlive its connection: when it was due,
 * its credentials and the bytes of its head, so that an exchange whose idle connection the
 * server closed under it can be sent again on another, as can one that an HTTP/2 server says it has
 * not touched.  Ended exchanges return to a free list; there are never more than were in flight at
 * once. */
#ifndef LOAD_EXCHANGE_H
#define LOAD_EXCHANGE_H

#include "load/holding.h"
#include "net/conn.h"
#include "record/outcome.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct request;
struct worker;

struct exchange {
    struct exchange *next;         /* in the free list or the retry queue */
    const struct request *request; /* NULL: not yet drawn */
    uint64_t due_ns;               /* monotonic; 0 in the closed loop */
    unsigned n_sent;               /* times that it was sent */
    bool wants_fresh;       /* to be sent again on a connection that has carried nothing yet */
    bool early;             /* it was sent before its connection was ready */
    struct stream stream;   /* while it is in flight: this time's */
    struct holding holding; /* taken for this exchange alone */
    char *head;             /* owns */
    size_t head_size;
};

/* Begins what can be begun now: what must be sent again first, then what is due (open loop) or
 * every idle connection (closed loop).  Safe to call from any handler. */
void exchange_pump(struct worker *worker);
/* conn_handler's exchanged(). */
void exchange_ended(struct conn *conn, struct stream *stream, enum outcome outcome);
/* And early(): begins the next exchange of that client, if one is due and it may be repeated. */
void exchange_early(struct conn *conn);
/* Ends with `outcome` what waits to be sent again. */
void exchange_give_up(struct worker *worker, enum outcome outcome);
/* Frees the free list and what waits. */
void exchange_clear(struct worker *worker);

#endif
