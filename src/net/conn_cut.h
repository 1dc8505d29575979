/* What a client that misbehaves does to a connection. */
#ifndef NET_CONN_CUT_H
#define NET_CONN_CUT_H

#include <stdbool.h>

struct conn;

/* Closes a READY connection without a word: no GOAWAY, no close_notify; with a reset, or with a FIN
 * (and a reset for what comes after it).  conn_reap tells it as it does after conn_close. */
void conn_cut(struct conn *conn, bool reset);
/* Has the socket taken all that could be sent by now? */
bool conn_is_written(const struct conn *conn);

#endif
