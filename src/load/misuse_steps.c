#include "load/misuse_inside.h"

#include "base/mem.h"
#include "base/mono.h"
#include "load/misuse_count.h"
#include "load/worker_inside.h"
#include "net/tls_slow.h"

#include <errno.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#define ARRIVE_NS   NS_PER_MS         /* between two looks at what is acknowledged */
#define DRIP_NS     (100 * NS_PER_MS) /* between two pieces of a slow sender */
#define DRIP_BYTES  4
#define SIP_NS      (50 * NS_PER_MS) /* between two pieces of a slow reader */
#define SIP_BYTES   32
#define SCRAP_BYTES 4096
#define LONG_HEADER "X-Misuse: "

static enum misuse_result wait_for(struct misuse *misuse, uint64_t pause_ns)
{
    misuse->wake_ns = mono_now_ns() + pause_ns;
    return MISUSE_WAIT;
}

/* Sending. */

static bool is_unsent(const struct misuse *misuse)
{
    bool unsent = tls_unsent(misuse->tls);
    for (size_t i = 0; i < sizeof misuse->parts / sizeof *misuse->parts; i++) {
        unsent = unsent || misuse->parts[i].left > 0;
    }
    return unsent;
}

/* The next bytes, at most so many; 0: there are none. */
static size_t next_piece(struct misuse *misuse, size_t most, struct misuse_part **ret_part)
{
    struct misuse_part *part = misuse->parts, *end = part + sizeof misuse->parts / sizeof *part;
    while (part + 1 < end && part->left == 0) {
        part++;
    }
    size_t n = part->left < most ? part->left : most;
    *ret_part = part;
    return part->repeats && n > MISUSE_FILLER ? MISUSE_FILLER : n;
}

static enum tls_status push(struct misuse *misuse, size_t most)
{
    struct worker *worker = misuse->misuses->worker;
    struct misuse_part *part;
    size_t written = 0, n = next_piece(misuse, most, &part);
    enum tls_status status = tls_write(misuse->tls, part->bytes, n, &written);
    part->left -= written;
    part->bytes += part->repeats ? 0 : written;
    worker->interval->count[COUNTER_BYTES_SENT] += written;
    if (misuse->whole_head && misuse->parts[0].left == 0) {
        misuse->whole_head = false;
        misuse_count_request(misuse);
    }
    return status;
}

static enum misuse_result step_send(struct misuse *misuse)
{
    while (is_unsent(misuse)) {
        enum tls_status status = push(misuse, SIZE_MAX);
        if (status == TLS_FAILED) {
            return misuse_failed(misuse, tls_outcome(misuse->tls));
        }
        if (status == TLS_WANT_WRITE) {
            return MISUSE_WAIT_WRITE;
        }
    }
    return MISUSE_NEXT;
}

/* A server may keep its acknowledgement back until it answers (RFC 9293, section 3.8.6.3). */
bool misuse_has_arrived(int fd, uint64_t since_ns)
{
    int unacknowledged = 0, unsent = 0;
    struct tcp_info info;
    socklen_t len = sizeof info;
    if (ioctl(fd, SIOCOUTQ, &unacknowledged) != 0 || ioctl(fd, SIOCOUTQNSD, &unsent) != 0 ||
        getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) != 0) {
        return false;
    }
    uint64_t way_ns = 2 * (uint64_t)info.tcpi_rtt * NS_PER_US + ARRIVE_NS;
    return unacknowledged == 0 || (unsent == 0 && mono_now_ns() >= since_ns + way_ns);
}

/* Until a reset would take nothing back of what was sent. */
static enum misuse_result step_arrive(struct misuse *misuse)
{
    size_t written;
    int error = misuse_socket_error(misuse);
    if (error != 0) {
        return misuse_failed(misuse, outcome_from_errno(error, false));
    }
    if (tls_unsent(misuse->tls) && tls_write(misuse->tls, "", 0, &written) == TLS_FAILED) {
        return misuse_failed(misuse, tls_outcome(misuse->tls));
    }
    bool arrived = !tls_unsent(misuse->tls) && misuse_has_arrived(misuse->fd, misuse->step_ns);
    return arrived ? MISUSE_NEXT : wait_for(misuse, ARRIVE_NS);
}

void misuse_credentials(const struct misuse *misuse,
                        struct credential *ret_credentials[CREDENTIAL_PARTS])
{
    ret_credentials[CREDENTIAL_CERT] = NULL;
    for (int kind = CREDENTIAL_APIKEY; kind < CREDENTIAL_PARTS; kind++) {
        ret_credentials[kind] = holding_part(&misuse->holding, kind);
    }
}

/* What it carries.  Keys and tokens are seen once the head is out, not before. */
static size_t write_head(struct misuse *misuse, const struct request_set *set)
{
    struct credential *credentials[CREDENTIAL_PARTS];
    size_t identity = misuse->holding.identity->index;
    misuse->request = request_pick(set, &misuse->misuses->rng);
    misuse_credentials(misuse, credentials);
    size_t size = request_size(set, identity, misuse->request, credentials) + strlen(LONG_HEADER);
    if (size > misuse->head_size) {
        misuse->head = xrealloc(misuse->head, size);
        misuse->head_size = size;
    }
    size_t len = request_write(set, identity, misuse->request, credentials, misuse->head);
    h1_begin(&misuse->h1, misuse->request->head_request, NULL);
    raw_begin(&misuse->raw, &misuse->request->reply);
    misuse->parts[0] = (struct misuse_part){.bytes = misuse->head, .left = len};
    misuse->parts[1] = misuse->parts[2] = (struct misuse_part){.left = 0};
    return len;
}

static struct request_set *all_requests(struct misuse *misuse)
{
    return &misuse->misuses->worker->requests;
}

static enum misuse_result step_request(struct misuse *misuse)
{
    (void)write_head(misuse, all_requests(misuse));
    misuse->parts[1].bytes = misuse->request->body;
    misuse->parts[1].left = misuse->request->body_len;
    misuse->whole_head = true;
    return MISUSE_NEXT;
}

static enum misuse_result step_half_request(struct misuse *misuse)
{
    (void)write_head(misuse, &misuse->misuses->bodies);
    misuse->parts[1].bytes = misuse->request->body;
    misuse->parts[1].left = misuse->request->body_len / 2;
    misuse->whole_head = true;
    return MISUSE_NEXT;
}

/* A head that goes on where the empty line would be, with a header of `size` bytes. */
static void write_long_head(struct misuse *misuse, size_t size)
{
    size_t len = write_head(misuse, all_requests(misuse)) - strlen("\r\n");
    memcpy(misuse->head + len, LONG_HEADER, strlen(LONG_HEADER));
    misuse->parts[0].left = len + strlen(LONG_HEADER);
    misuse->parts[1] =
        (struct misuse_part){.bytes = misuse->misuses->filler, .left = size, .repeats = true};
    misuse->parts[2] = (struct misuse_part){.bytes = "\r\n\r\n", .left = 4};
}

static enum misuse_result step_oversized(struct misuse *misuse)
{
    const struct plan_misuse *plan = misuse->misuses->kinds[misuse->kind].plan;
    write_long_head(misuse, (size_t)plan->size_bytes);
    return MISUSE_NEXT;
}

/* Never comes to its end. */
static enum misuse_result step_endless(struct misuse *misuse)
{
    write_long_head(misuse, SIZE_MAX / 2);
    return MISUSE_NEXT;
}

/* Receiving. */

static enum misuse_result take_in(struct misuse *misuse, const char *data, size_t len,
                                  bool *ret_done)
{
    size_t used;
    if (misuse->request->raw) {
        enum raw_status status = raw_feed(&misuse->raw, data, len, &used);
        *ret_done = status == RAW_DONE;
        return status == RAW_FAILED ? misuse_failed(misuse, misuse->raw.outcome) : MISUSE_NEXT;
    }
    enum h1_status status = h1_feed(&misuse->h1, data, len, &used);
    *ret_done = status == H1_DONE;
    return status == H1_FAILED ? misuse_failed(misuse, misuse->h1.outcome) : MISUSE_NEXT;
}

/* The server closed its side. */
static enum misuse_result take_end(struct misuse *misuse, bool *ret_done)
{
    if (misuse->request->raw) {
        return misuse_failed(misuse, misuse->raw.n_bytes > 0 ? OUTCOME_HTTP_TRUNCATED
                                                             : OUTCOME_HTTP_CLOSED);
    }
    *ret_done = h1_end(&misuse->h1) == H1_DONE;
    return *ret_done ? MISUSE_NEXT : misuse_failed(misuse, misuse->h1.outcome);
}

/* *ret_done: the response is complete.  MISUSE_NEXT: some of it came. */
static enum misuse_result receive(struct misuse *misuse, bool *ret_done)
{
    const char *data;
    size_t len;
    if (misuse->request->raw && misuse->request->reply.kind == RAW_NOTHING) {
        *ret_done = true;
        return MISUSE_NEXT;
    }
    switch (tls_read(misuse->tls, &data, &len)) {
    case TLS_DONE:
        break;
    case TLS_WANT_READ:
    case TLS_WANT_WRITE:
        return MISUSE_WAIT_READ;
    case TLS_EOF:
        return take_end(misuse, ret_done);
    default:
        return misuse_failed(misuse, tls_outcome(misuse->tls));
    }
    misuse->misuses->worker->interval->count[COUNTER_BYTES_RECEIVED] += len;
    return take_in(misuse, data, len, ret_done);
}

static enum misuse_result step_response(struct misuse *misuse)
{
    enum misuse_result result;
    bool done = false;
    do {
        result = receive(misuse, &done);
    } while (result == MISUSE_NEXT && !done);
    if (result == MISUSE_NEXT) {
        misuse_count_status(misuse, misuse->h1.status);
    }
    return result;
}

/* What a server says to a request that it should not take, if it says anything; it may close while
 * we are still sending. */
static enum misuse_result step_oversized_answer(struct misuse *misuse)
{
    enum misuse_result result = step_send(misuse);
    if (result == MISUSE_WAIT_WRITE) {
        return result;
    }
    result = step_response(misuse);
    if (result == MISUSE_NEXT && misuse->h1.status < 400) {
        misuse_count_request(misuse); /* it took it */
    }
    return result;
}

static enum misuse_result step_first_byte(struct misuse *misuse)
{
    bool done;
    return receive(misuse, &done);
}

/* A few bytes, and a pause. */
static enum misuse_result step_sip(struct misuse *misuse)
{
    bool done = false;
    tls_read_slowly(misuse->tls, SIP_BYTES);
    enum misuse_result result = receive(misuse, &done);
    if (result == MISUSE_FAILED) {
        return result;
    }
    if (done) {
        misuse_count_status(misuse, misuse->h1.status);
        return MISUSE_NEXT;
    }
    return wait_for(misuse, SIP_NS);
}

static enum misuse_result step_drip(struct misuse *misuse)
{
    bool done = false;
    enum misuse_result result = MISUSE_WAIT_READ;
    while (misuse->events != 0 && !done && (result = receive(misuse, &done)) == MISUSE_NEXT) {
    }
    if (done) {
        misuse_count_status(misuse, misuse->h1.status); /* 408, mostly */
        return MISUSE_NEXT;
    }
    if (result == MISUSE_FAILED) {
        return result;
    }
    if (misuse->events == 0 && push(misuse, DRIP_BYTES) == TLS_FAILED) {
        return misuse_failed(misuse, tls_outcome(misuse->tls));
    }
    misuse->wake_ns = mono_now_ns() + DRIP_NS;
    return MISUSE_WAIT_READ;
}

/* Without TLS. */

/* Until the server closes.  What it says is not asked for. */
static enum misuse_result step_hold(struct misuse *misuse)
{
    char bytes[SCRAP_BYTES];
    ssize_t n;
    do {
        n = recv(misuse->fd, bytes, sizeof bytes, 0);
    } while (n > 0 || (n < 0 && errno == EINTR));
    return n < 0 && errno == EAGAIN ? MISUSE_WAIT_READ : MISUSE_NEXT;
}

/* A request of its own: nothing of the profile's, which may be secret, goes in the clear. */
static enum misuse_result step_plain(struct misuse *misuse)
{
    const char *host = misuse->misuses->worker->job.plan->target.host_header;
    char head[SCRAP_BYTES];
    int len = snprintf(head, sizeof head, "GET / HTTP/1.1\r\nHost: %.1024s\r\n\r\n", host);
    ssize_t n = send(misuse->fd, head, (size_t)len, MSG_NOSIGNAL);
    h1_begin(&misuse->h1, false, NULL);
    return n == len ? MISUSE_NEXT
                    : misuse_failed(misuse, outcome_from_errno(n < 0 ? errno : EAGAIN, false));
}

static enum misuse_result step_plain_answer(struct misuse *misuse)
{
    char bytes[SCRAP_BYTES];
    size_t used;
    for (;;) {
        ssize_t n = recv(misuse->fd, bytes, sizeof bytes, 0);
        if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
            return MISUSE_WAIT_READ;
        }
        /* An alert is none. */
        if (n <= 0 || h1_feed(&misuse->h1, bytes, (size_t)n, &used) != H1_MORE) {
            misuse_count_status(misuse, misuse->h1.status);
            return MISUSE_NEXT;
        }
    }
}

/* Closing. */

/* We say nothing more, and listen on. */
static enum misuse_result step_notify(struct misuse *misuse)
{
    tls_shutdown(misuse->tls, true);
    (void)shutdown(misuse->fd, SHUT_WR);
    return MISUSE_NEXT;
}

static enum misuse_result step_reset(struct misuse *misuse)
{
    struct linger none = {.l_onoff = 1, .l_linger = 0};
    (void)setsockopt(misuse->fd, SOL_SOCKET, SO_LINGER, &none, sizeof none);
    return MISUSE_NEXT;
}

/* abort-body and abandon-response close in either way. */
static enum misuse_result step_end(struct misuse *misuse)
{
    const struct plan_misuse *plan = misuse->misuses->kinds[misuse->kind].plan;
    return plan->end == END_RESET ? step_reset(misuse) : MISUSE_NEXT;
}

/* The scripts. */

#define CONNECT                                                                                    \
    {                                                                                              \
        misuse_connect, OUTCOME_TIMEOUT_CONNECT, false                                             \
    }
#define SHAKE(step)                                                                                \
    {                                                                                              \
        step, OUTCOME_TIMEOUT_HANDSHAKE, false                                                     \
    }
#define DO(step)                                                                                   \
    {                                                                                              \
        step, OUTCOME_TIMEOUT_EXCHANGE, false                                                      \
    }
#define SEEN(step)                                                                                 \
    {                                                                                              \
        step, OUTCOME_TIMEOUT_EXCHANGE, true                                                       \
    }
#define CLOSE                                                                                      \
    {                                                                                              \
        NULL, OUTCOME_OK, true                                                                     \
    }
#define READY CONNECT, SHAKE(misuse_handshake), SHAKE(misuse_settle)

static const struct misuse_step half_open[] = {CONNECT, SEEN(step_hold), CLOSE};
static const struct misuse_step stop_at_hello[] = {CONNECT, SHAKE(misuse_hello), SHAKE(step_arrive),
                                                   CLOSE};
static const struct misuse_step stop_at_server_flight[] = {CONNECT, SHAKE(misuse_hello),
                                                           SHAKE(misuse_server_flight), CLOSE};
static const struct misuse_step stop_at_client_flight[] = {CONNECT, SHAKE(misuse_handshake),
                                                           SHAKE(step_arrive), CLOSE};
static const struct misuse_step abort_body[] = {
    READY, DO(step_half_request), DO(step_send), DO(step_arrive), DO(step_end), CLOSE};
static const struct misuse_step abandon_before[] = {
    READY, DO(step_request), DO(step_send), DO(step_arrive), DO(step_end), CLOSE};
static const struct misuse_step abandon_at_first_byte[] = {
    READY, DO(step_request), DO(step_send), DO(step_first_byte), DO(step_end), CLOSE};
static const struct misuse_step early_close[] = {
    READY, DO(step_request), DO(step_send), SEEN(step_notify), SEEN(step_response), CLOSE};
static const struct misuse_step reset[] = {CONNECT,       SHAKE(misuse_handshake), DO(step_request),
                                           DO(step_send), DO(step_response),       DO(step_reset),
                                           CLOSE};
static const struct misuse_step no_close_notify[] = {
    CONNECT, SHAKE(misuse_handshake), DO(step_request), DO(step_send), DO(step_response), CLOSE};
static const struct misuse_step slow_send[] = {READY, DO(step_endless), SEEN(step_drip), CLOSE};
static const struct misuse_step slow_read[] = {
    CONNECT, SHAKE(misuse_handshake), DO(step_request), DO(step_send), SEEN(step_sip), CLOSE};
static const struct misuse_step oversized[] = {READY, DO(step_oversized),
                                               SEEN(step_oversized_answer), CLOSE};
static const struct misuse_step plain_http[] = {CONNECT, DO(step_plain), SEEN(step_plain_answer),
                                                CLOSE};

const struct misuse_script *misuse_script(const struct plan_misuse *plan, uint64_t n)
{
    static const struct misuse_script scripts[MISUSE_COUNT][3] = {
        [MISUSE_HALF_OPEN] = {{half_open, .lasts = true}},
        [MISUSE_HANDSHAKE_STOP] = {{stop_at_hello},
                                   {stop_at_server_flight},
                                   {stop_at_client_flight, .presents_certificate = true}},
        [MISUSE_ABORT_BODY] = {{abort_body, true, true, false}},
        [MISUSE_ABANDON_RESPONSE] = {{abandon_before, true, true, false},
                                     {abandon_at_first_byte, true, true, false}},
        [MISUSE_EARLY_CLOSE] = {{early_close, true, true, false}},
        [MISUSE_RESET] = {{reset, true, true, false}},
        [MISUSE_NO_CLOSE_NOTIFY] = {{no_close_notify, true, true, false}},
        [MISUSE_SLOW_SEND] = {{slow_send, true, true, true}},
        [MISUSE_SLOW_READ] = {{slow_read, true, true, true}},
        [MISUSE_OVERSIZED_HEADER] = {{oversized, true, true, false}},
        [MISUSE_PLAIN_HTTP] = {{plain_http}},
        [MISUSE_H2_DISCONNECT] = {{misuse_h2_disconnect, true, true, false}},
        [MISUSE_H2_RESET] = {{misuse_h2_reset, true, true, false}},
    };
    const struct misuse_script *script = scripts[plan->kind];
    size_t n_scripts = script[1].steps == NULL ? 1 : script[2].steps == NULL ? 2 : 3;
    switch (plan->stage) {
    case STAGE_EACH:
        return &script[n % n_scripts];
    case STAGE_REQUEST:
    case STAGE_FIRST_BYTE:
        return &script[plan->stage - STAGE_REQUEST];
    default:
        return &script[plan->stage - STAGE_HELLO];
    }
}
