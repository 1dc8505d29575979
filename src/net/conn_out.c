#include "net/codec.h"
#include "net/conn_show.h"

#include <string.h>

#define ONE_RECORD 16384 /* a request that fits is written as one */

static void sent(struct conn *conn, size_t n)
{
    conn->env->bytes_sent += n;
    for (size_t i = 0; i < 2; i++) {
        size_t here = n < conn->out[i].iov_len ? n : conn->out[i].iov_len;

        if (here > 0) { /* what is not there has no address to count from */
            conn->out[i].iov_base = (char *)conn->out[i].iov_base + here;
            conn->out[i].iov_len -= here;
            n -= here;
        }
    }
}

/* Head and body in one record where that is possible. */
static enum tls_status write_once(struct conn *conn, size_t *ret_written)
{
    const struct iovec *head = &conn->out[0], *body = &conn->out[1];
    char both[ONE_RECORD];

    if (head->iov_len > 0 && body->iov_len > 0 && head->iov_len + body->iov_len <= sizeof both) {
        memcpy(both, head->iov_base, head->iov_len);
        memcpy(both + head->iov_len, body->iov_base, body->iov_len);
        return tls_write(conn->tls, both, head->iov_len + body->iov_len, ret_written);
    }
    if (head->iov_len > 0) {
        return tls_write(conn->tls, head->iov_base, head->iov_len, ret_written);
    }
    return tls_write(conn->tls, body->iov_base, body->iov_len, ret_written);
}

void conn_push(struct conn *conn)
{
    enum tls_status status;

    do {
        size_t written = 0;

        status = write_once(conn, &written);
        sent(conn, written);
    } while (status == TLS_DONE && conn_unsent(conn));
    if (status == TLS_FAILED) {
        conn_write_failed(conn);
    }
}

void conn_put(struct conn *conn, const struct conn_request *request)
{
    /* iovec has no const; nothing writes through it. */
    conn->out[0] =
        (struct iovec){.iov_base = (void *)(uintptr_t)request->head, .iov_len = request->head_len};
    conn->out[1] =
        (struct iovec){.iov_base = (void *)(uintptr_t)request->body, .iov_len = request->body_len};
    conn_show_request(conn, request);
    if (request->head_len + request->body_len > ONE_RECORD) {
        conn_no_delay(conn);
    }
    conn_push(conn);
}
