/* What happens on a connection in words, for the person who looks at one exchange (`--once -v`);
 * each does nothing without env->show.  Private to conn. */
#ifndef NET_CONN_SHOW_H
#define NET_CONN_SHOW_H

#include "net/conn.h"

void conn_show_connected(const struct conn *conn);
void conn_show_ready(const struct conn *conn);
void conn_show_request(const struct conn *conn, const char *head, size_t head_len, size_t body_len);
void conn_show_closed(const struct conn *conn, enum outcome outcome);

#endif
