/* What happens on a connection in words, for the person who looks at one exchange (`--once -v`);
 * each does nothing without env->show.  Private to conn. */
#ifndef NET_CONN_SHOW_H
#define NET_CONN_SHOW_H

#include "net/conn.h"
#include "net/show.h"

void conn_show_connected(const struct conn *conn);
void conn_show_ready(const struct conn *conn);
void conn_show_request(const struct conn *conn, const struct conn_request *request);
/* Bytes of a raw reply; then the one, at `data`, that differs from what was expected. */
void conn_show_raw(const struct conn *conn, const char *data, size_t len);
void conn_show_mismatch(const struct conn *conn, const char *data);
/* A field of an HTTP/2 response; name NULL: its head is complete. */
void conn_show_field(const struct conn *conn, const char *name, size_t name_len, const char *value,
                     size_t value_len);
/* A line of our own; `more` (NULL: none) goes into brackets. */
void conn_show_note(const struct conn *conn, const char *text, const char *more);
void conn_show_closed(const struct conn *conn, enum outcome outcome);

#endif
