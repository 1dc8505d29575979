/* The deadlines of connections and streams: one list a kind in order of expiry, one timer a list.
 * Private to conn. */
#ifndef NET_CONN_DEADLINE_H
#define NET_CONN_DEADLINE_H

#include "net/conn.h"

struct conn_deadline_info {
    const char *name;
    enum outcome expiry;
};

const struct conn_deadline_info *conn_deadline_info(enum conn_deadline kind);
void conn_deadline_init(struct conn_env *env);
void conn_deadline_stop(struct conn_env *env);
/* Arms from `from_ns`, which never goes back for one kind.  Nothing happens where the plan sets no
 * such deadline. */
void conn_deadline_arm(struct conn_env *env, struct conn_link *link, enum conn_deadline kind,
                       uint64_t from_ns);
/* One that is not armed is fine. */
void conn_deadline_disarm(struct conn_env *env, struct conn_link *link);
/* What happens to the owner of a link whose deadline has passed (conn.c); it is disarmed. */
void conn_expire(struct conn_link *link, enum conn_deadline kind);

#endif
