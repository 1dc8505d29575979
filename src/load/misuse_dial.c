#include "load/misuse_inside.h"

#include "base/mono.h"
#include "base/str.h"
#include "load/misuse_count.h"
#include "load/worker_inside.h"
#include "net/tls_slow.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#define SMALL_WINDOW 4096             /* bytes of the receive buffer of a slow reader */
#define SETTLE_NS    (50 * NS_PER_MS) /* a server that sends no tickets tells nothing before */
#define SCRAP_BYTES  4096

enum misuse_result misuse_failed(struct misuse *misuse, enum outcome why)
{
    misuse->why = why;
    return MISUSE_FAILED;
}

void misuse_let_go(struct misuse *misuse)
{
    ev_io_stop(misuse->misuses->worker->loop, &misuse->io);
    tls_close(misuse->tls);
    misuse->tls = NULL;
    if (misuse->fd >= 0) {
        (void)close(misuse->fd); /* as the kind wants it, whatever target.reset_on_close says */
        misuse->fd = -1;
    }
}

static int start_connecting(struct misuse *misuse)
{
    struct misuses *misuses = misuse->misuses;
    const struct worker_job *job = &misuses->worker->job;
    const struct addr *addr = &job->addrs[misuses->next_addr++ % job->n_addrs];
    const int window = SMALL_WINDOW;

    misuse_let_go(misuse);
    misuse->n_tried++;
    misuse->fd = socket(addr->sa.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (misuse->fd < 0) {
        return errno;
    }
    int error = source_addr_bind(&misuses->source, misuse->fd, addr);
    if (error != 0) {
        return error;
    }
    if (misuses->kinds[misuse->kind].plan->kind == MISUSE_SLOW_READ) {
        (void)setsockopt(misuse->fd, SOL_SOCKET, SO_RCVBUF, &window, sizeof window);
    }
    bool begun = connect(misuse->fd, (const struct sockaddr *)&addr->sa, addr->len) == 0;
    return begun || errno == EINPROGRESS ? 0 : errno;
}

int misuse_socket_error(const struct misuse *misuse)
{
    int error = 0;
    socklen_t len = sizeof error;
    return getsockopt(misuse->fd, SOL_SOCKET, SO_ERROR, &error, &len) == 0 ? error : errno;
}

enum misuse_result misuse_connect(struct misuse *misuse)
{
    size_t n_addrs = misuse->misuses->worker->job.n_addrs;
    bool waited = misuse->fd >= 0;
    int error = waited ? misuse_socket_error(misuse) : start_connecting(misuse);
    if (waited && error == 0) {
        misuse->stood_ns = mono_now_ns();
        return MISUSE_NEXT;
    }
    while (error != 0) {
        enum outcome why = outcome_from_errno(error, true);
        bool refused = why == OUTCOME_REFUSED || why == OUTCOME_UNREACHABLE;
        if (!refused || misuse->n_tried >= n_addrs) {
            return misuse_failed(misuse, why);
        }
        error = start_connecting(misuse);
    }
    return MISUSE_WAIT_WRITE;
}

/* The handshake. */

static bool open_tls(struct misuse *misuse)
{
    const struct credential *part = holding_part(&misuse->holding, CREDENTIAL_CERT);
    if (misuse->tls == NULL) {
        misuse->tls = tls_open(misuse->misuses->worker->tls, misuse->fd,
                               part != NULL ? part->cert : NULL, NULL);
    }
    if (misuse->tls != NULL && !misuse->misuses->worker->job.plan->target.raw) {
        tls_offer(misuse->tls, ALPN_H1); /* whatever the profile's own load speaks */
    }
    return misuse->tls != NULL;
}

enum misuse_result misuse_hello(struct misuse *misuse)
{
    if (!open_tls(misuse)) {
        return misuse_failed(misuse, OUTCOME_CLIENT_ERROR);
    }
    return tls_handshake(misuse->tls) == TLS_FAILED
               ? misuse_failed(misuse, tls_outcome(misuse->tls))
               : MISUSE_NEXT;
}

/* Takes the bytes and does not look at them. */
enum misuse_result misuse_server_flight(struct misuse *misuse)
{
    char bytes[SCRAP_BYTES];
    bool came = false;
    ssize_t n;
    do {
        n = recv(misuse->fd, bytes, sizeof bytes, 0);
        came = came || n > 0;
    } while (n > 0 || (n < 0 && errno == EINTR));
    if (came) {
        return MISUSE_NEXT;
    }
    if (n < 0 && errno == EAGAIN) {
        return MISUSE_WAIT_READ;
    }
    return misuse_failed(misuse, n == 0 ? OUTCOME_TLS_CLOSED : OUTCOME_TLS_RESET);
}

enum misuse_result misuse_handshake(struct misuse *misuse)
{
    size_t written;
    if (!open_tls(misuse)) {
        return misuse_failed(misuse, OUTCOME_CLIENT_ERROR);
    }
    switch (tls_handshake(misuse->tls)) {
    case TLS_DONE:
        misuse_count_handshake(misuse, misuse->tls);
        /* Its last flight goes with the next verb. */
        return tls_write(misuse->tls, "", 0, &written) == TLS_FAILED
                   ? misuse_failed(misuse, tls_outcome(misuse->tls))
                   : MISUSE_NEXT;
    case TLS_WANT_WRITE:
        return MISUSE_WAIT_WRITE;
    case TLS_WANT_READ:
        return tls_unsent(misuse->tls) ? MISUSE_WAIT_WRITE : MISUSE_WAIT_READ;
    default:
        return misuse_failed(misuse, tls_outcome(misuse->tls));
    }
}

/* In TLS 1.3 the client is through before the server has looked at its certificate; what comes
 * right afterwards may find a server that has not yet taken the handshake in, and a reset then is
 * none of an established connection. */
enum misuse_result misuse_settle(struct misuse *misuse)
{
    const char *data;
    size_t len;
    struct tls_facts facts;
    tls_facts(misuse->tls, &facts);
    if (misuse->events == 0) {
        uint64_t until_ns = misuse->step_ns + SETTLE_NS;
        misuse->wake_ns = until_ns;
        bool over = str_equal(facts.version, "TLSv1.2") || mono_now_ns() >= until_ns;
        return over ? MISUSE_NEXT : MISUSE_WAIT_READ;
    }
    switch (tls_read(misuse->tls, &data, &len)) {
    case TLS_WANT_READ: /* it has sent tickets */
        return MISUSE_NEXT;
    case TLS_FAILED:
        return misuse_failed(misuse, tls_outcome(misuse->tls));
    default:
        return misuse_failed(misuse, OUTCOME_HTTP_CLOSED);
    }
}
