#include "net/fetch_plain.h"

#include "base/mem.h"
#include "base/mono.h"
#include "net/h1.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* 0 when `fd` is ready, else an errno. */
static int await(const struct fetch_plain *fetch, int fd, short events)
{
    struct pollfd fds[] = {{.fd = fd, .events = events}, {.fd = fetch->stop_fd, .events = POLLIN}};

    for (;;) {
        uint64_t now = mono_now_ns();
        uint64_t left_ms =
            now < fetch->until_ns ? (fetch->until_ns - now + NS_PER_MS - 1) / NS_PER_MS : 0;
        int n = poll(fds, 2, left_ms < INT32_MAX ? (int)left_ms : INT32_MAX);
        if (n > 0) {
            return fds[1].revents != 0 ? ECANCELED : 0;
        }
        if (n == 0 || errno != EINTR) {
            return n == 0 ? ETIMEDOUT : errno;
        }
    }
}

static int dial(const struct fetch_plain *fetch, const struct addr *addr, int *ret_fd)
{
    int fd = socket(addr->sa.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int error = 0;
    socklen_t len = sizeof error;

    if (fd < 0) {
        return errno;
    }
    if (connect(fd, (const struct sockaddr *)(const void *)&addr->sa, addr->len) != 0) {
        error = errno == EINPROGRESS ? await(fetch, fd, POLLOUT) : errno;
        if (error == 0 && getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0) {
            error = errno;
        }
    }
    if (error != 0) {
        (void)close(fd);
        return error;
    }
    *ret_fd = fd;
    return 0;
}

static int send_all(const struct fetch_plain *fetch, int fd, const char *text)
{
    for (size_t left = strlen(text); left > 0;) {
        ssize_t n = send(fd, text, left, MSG_NOSIGNAL);
        int error = n >= 0            ? 0
                    : errno == EAGAIN ? await(fetch, fd, POLLOUT)
                    : errno == EINTR  ? 0
                                      : errno;
        if (error != 0) {
            return error;
        }
        text += n > 0 ? n : 0;
        left -= n > 0 ? (size_t)n : 0;
    }
    return 0;
}

static int receive(const struct fetch_plain *fetch, int fd, struct h1 *h1)
{
    enum h1_status status = H1_MORE;
    char data[16384];
    size_t used;

    while (status == H1_MORE) {
        ssize_t n = recv(fd, data, sizeof data, 0);
        int error = n >= 0            ? 0
                    : errno == EAGAIN ? await(fetch, fd, POLLIN)
                    : errno == EINTR  ? 0
                                      : errno;
        if (error != 0) {
            return error;
        }
        if (n >= 0) {
            status = n > 0 ? h1_feed(h1, data, (size_t)n, &used) : h1_end(h1);
        }
        /* a body that never ends is never waited for */
        if (status == H1_MORE && mono_now_ns() > fetch->until_ns) {
            return ETIMEDOUT;
        }
    }
    return status == H1_DONE ? 0 : EPROTO;
}

int fetch_plain(const struct fetch_plain *fetch, size_t *ret_body_len, char *why, size_t size)
{
    CLEANUP_FREE char *head =
        xasprintf("GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\nAccept: */*\r\n\r\n",
                  fetch->target->url_path, fetch->target->host_header);
    struct h1 h1;
    int fd = -1, error = EHOSTUNREACH;

    for (size_t i = 0; i < fetch->n_addrs && fd < 0; i++) {
        error = dial(fetch, &fetch->addrs[i], &fd);
    }
    h1_begin(&h1, false, NULL);
    h1_keep(&h1, fetch->body, fetch->body_size);
    error = error == 0 ? send_all(fetch, fd, head) : error;
    error = error == 0 ? receive(fetch, fd, &h1) : error;
    if (fd >= 0) {
        (void)close(fd);
    }
    if (error != 0) {
        (void)snprintf(why, size, "%s",
                       error == EPROTO      ? outcome_info(h1.outcome)->text
                       : error == ETIMEDOUT ? "no answer before the deadline"
                                            : strerror(error));
        return 0;
    }
    if (ret_body_len != NULL) {
        *ret_body_len = h1.body_bytes < fetch->body_size ? (size_t)h1.body_bytes : fetch->body_size;
    }
    return h1.status;
}
