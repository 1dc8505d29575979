#include "net/conn_show.h"

#include "base/escape.h"
#include "net/codec.h"
#include "net/show.h"

#include <inttypes.h>
#include <string.h>

#define RAW_SHOWN_BYTES 4096

#define MS(from_ns, to_ns) ((double)((to_ns) - (from_ns)) / 1e6)

static const char *socket_name(int fd, bool peer, char text[ADDR_TEXT])
{
    struct addr addr = {.len = sizeof addr.sa};
    struct sockaddr *sa = (struct sockaddr *)&addr.sa;
    int rc = peer ? getpeername(fd, sa, &addr.len) : getsockname(fd, sa, &addr.len);

    return rc == 0 ? addr_text(&addr, text) : "?";
}

void conn_show_connected(const struct conn *conn)
{
    char peer[ADDR_TEXT], own[ADDR_TEXT];

    if (conn->env->show == NULL) {
        return;
    }
    sink_printf(conn->env->show, "* connected to %s from %s in %.1f ms\n",
                socket_name(conn->fd, true, peer), socket_name(conn->fd, false, own),
                MS(conn->dial_ns, conn->connected_ns));
}

static void show_client_certificate(const struct conn *conn, const struct tls_facts *facts)
{
    struct sink *show = conn->env->show;
    char text[512];

    if (!facts->asked_for_certificate) {
        sink_printf(show, "* the server did not ask for a client certificate%s\n",
                    facts->resumed ? " again" : "");
    } else if (conn->cert == NULL) {
        sink_printf(show, "* the server asked for a client certificate; sent none\n");
    } else {
        cert_describe(conn->cert, text, sizeof text);
        sink_printf(show, "* the server asked for a client certificate; sent ");
        sink_plain(show, text);
        sink_printf(show, "\n");
    }
}

void conn_show_ready(const struct conn *conn)
{
    struct sink *show = conn->env->show;
    struct tls_facts facts;

    if (show == NULL) {
        return;
    }
    tls_facts(conn->tls, &facts);
    sink_printf(show, "* %s, %s, %s%s%s handshake, %.1f ms\n", facts.version, facts.cipher,
                facts.group, facts.group[0] != '\0' ? ", " : "", facts.resumed ? "resumed" : "full",
                MS(conn->connected_ns, conn->ready_ns));
    sink_printf(show, "* %s (%s by ALPN)\n", conn->codec->name,
                facts.protocol[0] != '\0' ? "selected" : "nothing selected");
    tls_describe_chain(conn->tls, show);
    show_client_certificate(conn, &facts);
}

static void show_head(struct sink *show, const char *head, size_t head_len)
{
    const char *end = head + head_len;

    while (head < end) {
        const char *newline = memchr(head, '\n', (size_t)(end - head));
        size_t len = (size_t)((newline != NULL ? newline : end) - head);

        sink_printf(show, "> ");
        sink_write(show, head, len > 0 && head[len - 1] == '\r' ? len - 1 : len);
        sink_printf(show, "\n");
        head += len + 1;
    }
}

/* As HTTP/1.1 would have it, which people can read. */
static void show_fields(struct sink *show, const struct h2_field *fields, size_t n)
{
    sink_printf(show, "> ");
    sink_write(show, fields[H2_METHOD].value, fields[H2_METHOD].value_len);
    sink_printf(show, " ");
    sink_write(show, fields[H2_PATH].value, fields[H2_PATH].value_len);
    sink_printf(show, " HTTP/2\n> host: ");
    sink_write(show, fields[H2_AUTHORITY].value, fields[H2_AUTHORITY].value_len);
    for (size_t i = H2_PSEUDO; i < n; i++) {
        sink_printf(show, "\n> ");
        sink_write(show, fields[i].name, fields[i].name_len);
        sink_printf(show, ": ");
        sink_write(show, fields[i].value, fields[i].value_len);
    }
    sink_printf(show, "\n> \n");
}

static void show_raw(struct sink *show, char way, const char *bytes, size_t len, bool secret)
{
    size_t shown = len < RAW_SHOWN_BYTES ? len : RAW_SHOWN_BYTES;

    sink_printf(show, "%c ", way);
    if (secret) {
        sink_printf(show, "(not shown)");
        shown = 0;
    } else {
        escape_write(show, bytes, shown);
    }
    sink_printf(show, shown < len ? " (%zu bytes)\n" : "\n", len);
}

void conn_show_raw(const struct conn *conn, const char *data, size_t len)
{
    if (conn->env->show != NULL && conn->raw.n_bytes < RAW_SHOWN_BYTES) {
        show_raw(conn->env->show, '<', data, len, false);
    }
}

void conn_show_mismatch(const struct conn *conn, const char *data)
{
    const struct raw *raw = &conn->raw;
    struct sink *show = conn->env->show;

    if (show == NULL || raw->outcome != OUTCOME_REPLY_MISMATCH) {
        return;
    }
    sink_printf(show, "* byte %" PRIu64 " of the reply, counted from 0, is \"", raw->n_bytes);
    escape_write(show, data, 1);
    sink_printf(show, "\", expected was \"");
    escape_write(show, raw->reply->bytes + raw->n_bytes, 1);
    sink_printf(show, "\"\n");
}

void conn_show_request(const struct conn *conn, const struct conn_request *request)
{
    struct sink *show = conn->env->show;

    if (show == NULL) {
        return;
    }
    if (conn_is_h2(conn)) {
        show_fields(show, request->fields, request->n_fields);
    } else if (request->reply != NULL) {
        show_raw(show, '>', request->head, request->head_len, request->secret);
    } else {
        show_head(show, request->head, request->head_len);
    }
    if (request->body_len > 0) {
        sink_printf(show, "* and a body of %zu bytes\n", request->body_len);
    }
}

void conn_show_field(const struct conn *conn, const char *name, size_t name_len, const char *value,
                     size_t value_len)
{
    struct sink *show = conn->env->show;

    if (show == NULL) {
        return;
    }
    if (name == NULL) {
        sink_printf(show, "<\n");
        return;
    }
    sink_printf(show, "< ");
    if (name_len > 0 && name[0] == ':') {
        sink_printf(show, "HTTP/2");
    } else {
        show_bytes(show, name, name_len);
        sink_printf(show, ":");
    }
    sink_printf(show, " ");
    show_bytes(show, value, value_len);
    sink_printf(show, "\n");
}

void conn_show_note(const struct conn *conn, const char *text, const char *more)
{
    struct sink *show = conn->env->show;

    if (show == NULL) {
        return;
    }
    sink_printf(show, "* %s", text);
    sink_printf(show, more != NULL ? " (%s)\n" : "\n", more);
}

void conn_show_closed(const struct conn *conn, enum outcome outcome)
{
    struct sink *show = conn->env->show;
    int alert = conn->tls != NULL ? tls_alert(conn->tls) : -1;

    if (show == NULL) {
        return;
    }
    if (alert > 0) {
        sink_printf(show, "* the server sent the alert %s (%d)\n", outcome_alert_name(alert),
                    alert);
    }
    if (!conn->was_ready && conn->tls != NULL) {
        tls_describe_chain(conn->tls, show); /* which may be why */
    }
    if (outcome == OUTCOME_OK) {
        sink_printf(show, "* connection closed\n");
    } else {
        sink_printf(show, "* connection ended: %s (%s)\n", outcome_info(outcome)->text,
                    outcome_info(outcome)->name);
    }
}
