#include "net/responder.h"

#include "base/mem.h"
#include "base/mono.h"
#include "base/str.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#define DEADLINE_NS     (5 * NS_PER_S)
#define LINGER_NS       (1 * NS_PER_S)
#define ACCEPTS_A_SPAN  100 /* then the others wait for the next */
#define ACCEPT_SPAN_NS  (100 * NS_PER_MS)
#define BACKLOG         64     /* beyond it the kernel turns away: a long queue is a long wait */
#define DISCARDED_MAX   65536u /* of a request that was answered before its end */
#define FIRST_CLIENT_FD 2

/* LINGERING: all is sent, and what the client still says is dropped: closing before that was read
 * would reset the connection, and the answer with it. */
enum stage { READING, WRITING, LINGERING };

struct client {
    int fd; /* -1: the slot is free */
    enum stage stage;
    uint64_t until_ns;
    char head[RESPONDER_HEAD_MAX + 1];
    size_t n_head, n_sent, n_discarded;
    struct sink *answer;
};

struct responder {
    int listener, stop_fd;
    responder_answer *answer;
    void *context;
    pthread_t thread;
    struct client clients[RESPONDER_SLOTS];
    uint64_t span_ns; /* the span in which accepts are counted began then */
    unsigned n_accepts;
};

/* An answer that nobody takes is reset, or the kernel would hold it as long as the client likes. */
static void drop(struct client *client)
{
    if (client->stage == WRITING) {
        const struct linger reset = {.l_onoff = 1};
        (void)setsockopt(client->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    }
    (void)close(client->fd);
    sink_free(client->answer);
    client->answer = NULL;
    client->fd = -1;
}

static const char *reason_of(int status)
{
    switch (status) {
    case 200:
        return "OK";
    case 400:
        return "Bad Request";
    case 404:
        return "Not Found";
    case 405:
        return "Method Not Allowed";
    case 431:
        return "Request Header Fields Too Large";
    default:
        return "Service Unavailable";
    }
}

/* `body` of anything but 200 is the reason's text.  A HEAD is told the length and no more. */
static void respond(struct client *client, int status, const char *type, struct sink *body,
                    bool head_only)
{
    size_t len;
    if (status != 200) {
        type = "text/plain; charset=utf-8";
        sink_printf(body, "%s\n", reason_of(status));
    }
    const char *text = sink_text(body, &len);
    client->answer = sink_new();
    sink_printf(client->answer,
                "HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n"
                "Cache-Control: no-store\r\n%sConnection: close\r\n\r\n",
                status, reason_of(status), type, len, status == 405 ? "Allow: GET, HEAD\r\n" : "");
    if (!head_only) {
        sink_write(client->answer, text, len);
    }
    client->stage = WRITING;
}

static void refuse(struct client *client, int status)
{
    struct sink *body = sink_new();
    respond(client, status, "", body, false);
    sink_free(body);
}

/* The lines of Accept as one list (RFC 9110, section 5.3) up to the empty line; what does not fit
 * is left out. */
static void gather_accept(char *lines, char accept[RESPONDER_ACCEPT_MAX])
{
    size_t n = 0;
    accept[0] = '\0';
    for (char *line = lines, *next; line != NULL && *line != '\r'; line = next) {
        next = strstr(line, "\r\n");
        if (next != NULL) {
            *next = '\0';
            next += 2;
        }
        if (strncasecmp(line, "accept:", 7) == 0) {
            const char *value = str_trim(line + 7);
            size_t len = strlen(value);
            if (n + len + 2 < RESPONDER_ACCEPT_MAX) {
                memcpy(accept + n, value, len);
                n += len;
                accept[n++] = ',';
                accept[n] = '\0';
            }
        }
    }
}

/* Splits "GET /path?query HTTP/1.1" in place. */
static bool split(char *line, char **ret_path)
{
    char *path = strchr(line, ' ');
    char *version = path != NULL ? strchr(path + 1, ' ') : NULL;
    if (version == NULL || path[1] == ' ' || !str_has_prefix(version + 1, "HTTP/1.")) {
        return false;
    }
    *path++ = '\0';
    *version = '\0';
    path[strcspn(path, "?")] = '\0';
    *ret_path = path;
    return true;
}

/* The whole head is there, up to the empty line. */
static void answer_request(const struct responder *responder, struct client *client)
{
    char accept[RESPONDER_ACCEPT_MAX], *path;
    char *lines = strstr(client->head, "\r\n");
    *lines = '\0';
    if (!split(client->head, &path)) {
        refuse(client, 400);
        return;
    }
    bool head_only = str_equal(client->head, "HEAD");
    if (!head_only && !str_equal(client->head, "GET")) {
        refuse(client, 405);
        return;
    }
    gather_accept(lines + 2, accept);
    struct sink *body = sink_new();
    const char *type = "";
    int status = responder->answer(path, accept, body, &type, responder->context);
    respond(client, status, type, body, head_only);
    sink_free(body);
}

static void read_request(const struct responder *responder, struct client *client)
{
    ssize_t n =
        recv(client->fd, client->head + client->n_head, RESPONDER_HEAD_MAX - client->n_head, 0);
    if (n <= 0) {
        if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
            drop(client);
        }
        return;
    }
    size_t from = client->n_head > 3 ? client->n_head - 3 : 0;
    client->n_head += (size_t)n;
    client->head[client->n_head] = '\0';
    if (memchr(client->head + from, '\0', client->n_head - from) != NULL) {
        refuse(client, 400);
    } else if (strstr(client->head + from, "\r\n\r\n") != NULL) {
        answer_request(responder, client);
    } else if (client->n_head == RESPONDER_HEAD_MAX) {
        refuse(client, 431);
    }
}

static void write_answer(struct client *client, uint64_t now_ns)
{
    size_t len;
    const char *text = sink_text(client->answer, &len);
    ssize_t n = send(client->fd, text + client->n_sent, len - client->n_sent, MSG_NOSIGNAL);
    if (n < 0) {
        if (errno != EAGAIN && errno != EINTR) {
            drop(client);
        }
        return;
    }
    client->n_sent += (size_t)n;
    if (client->n_sent == len) {
        (void)shutdown(client->fd, SHUT_WR);
        client->stage = LINGERING;
        client->until_ns = now_ns + LINGER_NS;
    }
}

static void linger(struct client *client)
{
    ssize_t n = recv(client->fd, client->head, RESPONDER_HEAD_MAX, 0);
    if (n > 0) {
        client->n_discarded += (size_t)n;
    }
    bool waits = n < 0 && (errno == EAGAIN || errno == EINTR);
    if ((n <= 0 && !waits) || client->n_discarded > DISCARDED_MAX) {
        drop(client);
    }
}

/* A free slot; when there is none, that of the client that has waited longest. */
static struct client *free_slot(struct responder *responder)
{
    struct client *oldest = &responder->clients[0];
    for (size_t i = 0; i < RESPONDER_SLOTS; i++) {
        struct client *client = &responder->clients[i];
        if (client->fd < 0) {
            return client;
        }
        oldest = client->until_ns < oldest->until_ns ? client : oldest;
    }
    drop(oldest);
    return oldest;
}

static void accept_client(struct responder *responder, uint64_t now_ns)
{
    int fd = accept4(responder->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
        /* without descriptors the next try is as vain, so it waits as well */
        bool idle = errno == EAGAIN || errno == EINTR || errno == ECONNABORTED;
        responder->n_accepts = idle ? responder->n_accepts : ACCEPTS_A_SPAN;
        return;
    }
    responder->n_accepts++;
    struct client *client = free_slot(responder);
    client->fd = fd;
    client->stage = READING;
    client->until_ns = now_ns + DEADLINE_NS;
    client->n_head = client->n_sent = client->n_discarded = 0;
}

/* Milliseconds until the next deadline, rounded up; -1: none. */
static int patience(const struct responder *responder, uint64_t now_ns)
{
    uint64_t until_ns =
        responder->n_accepts >= ACCEPTS_A_SPAN ? responder->span_ns + ACCEPT_SPAN_NS : UINT64_MAX;
    for (size_t i = 0; i < RESPONDER_SLOTS; i++) {
        const struct client *client = &responder->clients[i];
        if (client->fd >= 0 && client->until_ns < until_ns) {
            until_ns = client->until_ns;
        }
    }
    if (until_ns == UINT64_MAX) {
        return -1;
    }
    return until_ns <= now_ns ? 0 : (int)((until_ns - now_ns) / NS_PER_MS) + 1;
}

static void serve_client(const struct responder *responder, struct client *client, bool ready,
                         uint64_t now_ns)
{
    if (client->fd >= 0 && ready) {
        switch (client->stage) {
        case READING:
            read_request(responder, client);
            break;
        case WRITING:
            write_answer(client, now_ns);
            break;
        case LINGERING:
            linger(client);
            break;
        }
    }
    if (client->fd >= 0 && now_ns >= client->until_ns) {
        drop(client);
    }
}

static void *serve(void *context)
{
    struct responder *responder = context;
    struct pollfd fds[FIRST_CLIENT_FD + RESPONDER_SLOTS];
    for (;;) {
        uint64_t now_ns = mono_now_ns();
        if (now_ns - responder->span_ns >= ACCEPT_SPAN_NS) {
            responder->span_ns = now_ns;
            responder->n_accepts = 0;
        }
        bool open = responder->n_accepts < ACCEPTS_A_SPAN;
        fds[0] = (struct pollfd){.fd = responder->stop_fd, .events = POLLIN};
        fds[1] = (struct pollfd){.fd = open ? responder->listener : -1, .events = POLLIN};
        for (size_t i = 0; i < RESPONDER_SLOTS; i++) {
            const struct client *client = &responder->clients[i];
            fds[FIRST_CLIENT_FD + i] = (struct pollfd){
                .fd = client->fd, .events = client->stage == WRITING ? POLLOUT : POLLIN};
        }
        if (poll(fds, FIRST_CLIENT_FD + RESPONDER_SLOTS, patience(responder, now_ns)) < 0) {
            continue;
        }
        if (fds[0].revents != 0) {
            return NULL;
        }
        now_ns = mono_now_ns();
        for (size_t i = 0; i < RESPONDER_SLOTS; i++) {
            serve_client(responder, &responder->clients[i], fds[FIRST_CLIENT_FD + i].revents != 0,
                         now_ns);
        }
        if (fds[1].revents != 0) {
            accept_client(responder, now_ns);
        }
    }
}

static void close_all(struct responder *responder)
{
    for (size_t i = 0; i < RESPONDER_SLOTS; i++) {
        if (responder->clients[i].fd >= 0) {
            drop(&responder->clients[i]);
        }
    }
    (void)close(responder->listener);
    if (responder->stop_fd >= 0) {
        (void)close(responder->stop_fd);
    }
    free(responder);
}

struct responder *responder_start(int listener, responder_answer *answer, void *context)
{
    struct responder *responder = xcalloc(1, sizeof *responder);
    sigset_t all, before;
    responder->listener = listener;
    responder->answer = answer;
    responder->context = context;
    responder->span_ns = mono_now_ns();
    for (size_t i = 0; i < RESPONDER_SLOTS; i++) {
        responder->clients[i].fd = -1;
    }
    responder->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    int error = responder->stop_fd < 0 || listen(listener, BACKLOG) != 0 ? errno : 0;
    if (error == 0) {
        /* signals are main's */
        sigfillset(&all);
        (void)pthread_sigmask(SIG_BLOCK, &all, &before);
        error = pthread_create(&responder->thread, NULL, serve, responder);
        (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    }
    if (error != 0) {
        close_all(responder);
        errno = error;
        return NULL;
    }
    return responder;
}

void responder_stop(struct responder *responder)
{
    if (responder != NULL) {
        /* an eventfd takes this unless its counter is full, and then it is readable already */
        (void)!eventfd_write(responder->stop_fd, 1);
        (void)pthread_join(responder->thread, NULL);
        close_all(responder);
    }
}
