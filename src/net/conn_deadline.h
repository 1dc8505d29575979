/* The deadlines of connections: one list a kind in order of expiry, one timer a list.  Private to
 * conn. */
#ifndef NET_CONN_DEADLINE_H
#define NET_CONN_DEADLINE_H

#include "net/conn.h"

struct conn_deadline_info {
    const char *name;
    enum outcome expiry;
    unsigned link; /* which of the connection's two links */
};

const struct conn_deadline_info *conn_deadline_info(enum conn_deadline kind);
void conn_deadline_init(struct conn_env *env);
void conn_deadline_stop(struct conn_env *env);
/* Arms from `from_ns`, which never goes back for one kind. */
void conn_deadline_arm(struct conn *conn, enum conn_deadline kind, uint64_t from_ns);
void conn_deadline_disarm(struct conn *conn, enum conn_deadline kind);
void conn_deadline_disarm_all(struct conn *conn);
/* Ends a connection whose deadline has passed (conn.c). */
void conn_expire(struct conn *conn, enum outcome outcome);

#endif
