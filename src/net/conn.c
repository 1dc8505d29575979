#include "net/conn.h"

#include "base/bug.h"
#include "base/mono.h"
#include "net/conn_deadline.h"
#include "net/conn_show.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define ONE_RECORD 16384 /* a request that fits is written as one */

#define TO(state) (1u << CONN_##state)

static void step_dialing(struct conn *conn, int revents);
static void step_handshaking(struct conn *conn, int revents);
static void step_ready(struct conn *conn, int revents);

static const struct state {
    const char *name;
    void (*step)(struct conn *conn, int revents);
    unsigned successors;
    enum conn_deadline deadline; /* armed on entry; an exchange arms its own in READY */
} states[CONN_STATE_COUNT] = {
    [CONN_IDLE] = {"idle", NULL, TO(DIALING), CONN_DEADLINE_NONE},
    [CONN_DIALING] = {"dialing", step_dialing, TO(HANDSHAKING) | TO(CLOSED), CONN_DEADLINE_CONNECT},
    [CONN_HANDSHAKING] = {"handshaking", step_handshaking, TO(READY) | TO(CLOSED),
                          CONN_DEADLINE_HANDSHAKE},
    [CONN_READY] = {"ready", step_ready, TO(DRAINING) | TO(CLOSED), CONN_DEADLINE_NONE},
    [CONN_DRAINING] = {"draining", NULL, TO(CLOSED), CONN_DEADLINE_NONE},
    [CONN_CLOSED] = {"closed", NULL, TO(IDLE), CONN_DEADLINE_NONE},
};

static void conn_enter(struct conn *conn, enum conn_state state, uint64_t now_ns)
{
    BUG_ON((states[conn->state].successors & (1u << state)) == 0);
    conn_deadline_disarm_all(conn);
    conn->state = state;
    if (states[state].deadline != CONN_DEADLINE_NONE) {
        conn_deadline_arm(conn, states[state].deadline, now_ns);
    }
}

static int wanted_events(const struct conn *conn)
{
    bool unsent;

    switch (conn->state) {
    case CONN_DIALING:
        return EV_WRITE;
    case CONN_HANDSHAKING:
    case CONN_READY:
        unsent = conn->out[0].iov_len > 0 || conn->out[1].iov_len > 0 || tls_unsent(conn->tls);
        return EV_READ | (unsent ? EV_WRITE : 0);
    default:
        return 0;
    }
}

/* Nagle's algorithm only ever holds back a segment that follows one not yet acknowledged: never a
 * hello, never a request after a response, nor one that leaves with the last flight of the
 * handshake.  Churning connections so save a system call each. */
static void do_not_delay(struct conn *conn)
{
    int one = 1;

    if (!conn->no_delay) {
        (void)setsockopt(conn->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        conn->no_delay = true;
    }
}

/* Takes the step that `revents` allow (0: none), then watches for what the state wants now. */
static void conn_drive(struct conn *conn, int revents)
{
    struct ev_loop *loop = conn->env->loop;
    int wanted;

    if (revents != 0 && states[conn->state].step != NULL) {
        states[conn->state].step(conn, revents);
    }
    wanted = wanted_events(conn);
    if (wanted == 0) {
        ev_io_stop(loop, &conn->io);
    } else if (!ev_is_active(&conn->io) || (conn->io.events & (EV_READ | EV_WRITE)) != wanted) {
        ev_io_stop(loop, &conn->io);
        ev_io_set(&conn->io, conn->fd, wanted);
        ev_io_start(loop, &conn->io);
    }
}

static void on_io(struct ev_loop *loop, ev_io *io, int revents)
{
    (void)loop;
    conn_drive(io->data, revents);
}

/* The end. */

/* Marks only: what it holds is freed by conn_reap. */
static void conn_shut(struct conn *conn)
{
    struct conn_env *env = conn->env;

    conn->out[0].iov_len = conn->out[1].iov_len = 0;
    if (conn->state == CONN_READY) {
        tls_shutdown(conn->tls);
        conn_enter(conn, CONN_DRAINING, 0);
    } else {
        conn_enter(conn, CONN_CLOSED, 0);
    }
    conn->reap_next = env->reap;
    env->reap = conn;
    conn_drive(conn, 0);
}

static void forget_session(struct conn *conn)
{
    tls_session_free(conn->session);
    conn->session = NULL;
}

/* `exchange`: how the exchange in flight ended, where there is one. */
static void conn_tell(struct conn *conn, enum outcome exchange, enum outcome end)
{
    struct conn_env *env = conn->env;

    BUG_ON(conn->told);
    conn->told = true;
    conn->cert = NULL;
    forget_session(conn);
    if (conn->in_flight) {
        conn->in_flight = false;
        conn->n_exchanges += exchange == OUTCOME_OK;
        env->handler.exchanged(conn, exchange);
    }
    conn_show_closed(conn, end);
    env->handler.closed(conn, end);
}

static void conn_end(struct conn *conn, enum outcome exchange, enum outcome end)
{
    conn_shut(conn);
    conn_tell(conn, exchange, end);
}

static void conn_fail(struct conn *conn, enum outcome outcome)
{
    conn_end(conn, outcome, outcome);
}

void conn_expire(struct conn *conn, enum outcome outcome)
{
    conn_fail(conn, outcome);
}

void conn_close(struct conn *conn, enum outcome outcome)
{
    if (conn->state == CONN_IDLE || conn->state >= CONN_DRAINING) {
        return;
    }
    conn->end = outcome;
    conn_shut(conn);
}

static void let_go(struct conn *conn)
{
    tls_close(conn->tls);
    conn->tls = NULL;
    if (conn->fd >= 0) {
        source_addr_close(&conn->env->source, conn->fd);
        conn->fd = -1;
    }
}

static void conn_free(struct conn *conn)
{
    let_go(conn);
    if (conn->state == CONN_DRAINING) {
        conn_enter(conn, CONN_CLOSED, 0);
    }
    conn_enter(conn, CONN_IDLE, 0);
}

/* All are told before any descriptor is closed: what closed() dials must not get a number back that
 * libev has not yet seen go (it would cost an epoll_ctl). */
void conn_reap(struct conn_env *env)
{
    struct conn *told = NULL;

    while (env->reap != NULL) {
        struct conn *conn = env->reap;

        env->reap = conn->reap_next;
        if (!conn->told) {
            conn_tell(conn, conn->end, conn->end);
        }
        conn->reap_next = told;
        told = conn;
    }
    while (told != NULL) {
        struct conn *conn = told;

        told = conn->reap_next;
        conn_free(conn);
    }
}

/* Dialing. */

static void conn_clear(struct conn *conn, struct conn_env *env)
{
    void *owner = conn->owner;

    BUG_ON(conn->state != CONN_IDLE);
    *conn = (struct conn){.env = env, .fd = -1, .owner = owner};
    conn->link[0].armed = conn->link[1].armed = CONN_DEADLINE_NONE;
    ev_init(&conn->io, on_io);
    conn->io.data = conn;
}

/* 0 when the connection is under way or stands, else errno. */
static int start_connecting(struct conn *conn)
{
    struct conn_env *env = conn->env;
    const struct addr *addr = &env->addrs[env->next_addr % env->n_addrs];
    int error;

    env->next_addr = (env->next_addr + 1) % env->n_addrs;
    conn->n_tried++;
    conn->fd = socket(addr->sa.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (conn->fd < 0) {
        return errno;
    }
    error = source_addr_bind(&env->source, conn->fd, addr);
    if (error != 0) {
        return error;
    }
    if (connect(conn->fd, (const struct sockaddr *)&addr->sa, addr->len) != 0 &&
        errno != EINPROGRESS) {
        return errno;
    }
    return 0;
}

/* A server often listens at one of several addresses only: "localhost" is ::1 and 127.0.0.1. */
static bool may_try_next(const struct conn *conn, enum outcome outcome)
{
    return (outcome == OUTCOME_REFUSED || outcome == OUTCOME_UNREACHABLE) &&
           conn->n_tried < conn->env->n_addrs;
}

/* OUTCOME_OK: under way. */
static enum outcome try_addresses(struct conn *conn)
{
    enum outcome outcome;

    do {
        ev_io_stop(conn->env->loop, &conn->io);
        let_go(conn);
        outcome = outcome_from_errno(start_connecting(conn), true);
    } while (may_try_next(conn, outcome));
    return outcome;
}

void conn_dial(struct conn *conn, struct conn_env *env, const struct cert *cert,
               struct tls_session *session)
{
    enum outcome outcome;

    conn_clear(conn, env);
    conn->cert = cert;
    conn->session = session != NULL ? tls_session_hold(session) : NULL;
    conn->dial_ns = mono_now_ns();
    conn_enter(conn, CONN_DIALING, conn->dial_ns);
    outcome = try_addresses(conn);
    if (outcome != OUTCOME_OK) {
        conn_fail(conn, outcome);
        return;
    }
    conn_drive(conn, 0);
}

static void dial_failed(struct conn *conn, enum outcome outcome)
{
    conn->connected_ns = 0;
    if (may_try_next(conn, outcome)) {
        outcome = try_addresses(conn);
    }
    if (outcome != OUTCOME_OK) {
        conn_fail(conn, outcome);
    }
}

/* The hello goes out at once; if the connection failed, sending it says why, so nobody has to ask
 * first. */
static void step_dialing(struct conn *conn, int revents)
{
    enum tls_status status;

    (void)revents;
    conn->tls = tls_open(conn->env->tls, conn->fd, conn->cert, conn->session);
    if (conn->tls == NULL) {
        conn_fail(conn, OUTCOME_CLIENT_ERROR);
        return;
    }
    conn->connected_ns = mono_now_ns();
    status = tls_handshake(conn->tls);
    if (status == TLS_FAILED) {
        dial_failed(conn, tls_outcome(conn->tls));
        return;
    }
    forget_session(conn);
    conn_enter(conn, CONN_HANDSHAKING, conn->connected_ns);
    conn_show_connected(conn);
}

static void receive(struct conn *conn);

static void step_handshaking(struct conn *conn, int revents)
{
    enum tls_status status = tls_handshake(conn->tls);

    (void)revents;
    if (status == TLS_WANT_READ || status == TLS_WANT_WRITE) {
        return;
    }
    if (status != TLS_DONE) {
        conn_fail(conn, tls_outcome(conn->tls));
        return;
    }
    conn->ready_ns = mono_now_ns();
    conn->was_ready = true;
    conn_enter(conn, CONN_READY, conn->ready_ns);
    conn_show_ready(conn);
    conn->cert = NULL;
    conn->env->handler.ready(conn);
    if (!conn->in_flight && conn->state == CONN_READY) {
        do_not_delay(conn); /* the last flight goes alone, and a request may follow soon */
    }
    receive(conn); /* also lets the last flight go where the worker sent nothing */
}

/* Sending. */

static void sent(struct conn *conn, size_t n)
{
    conn->env->bytes_sent += n;
    for (size_t i = 0; i < 2; i++) {
        size_t here = n < conn->out[i].iov_len ? n : conn->out[i].iov_len;

        conn->out[i].iov_base = (char *)conn->out[i].iov_base + here;
        conn->out[i].iov_len -= here;
        n -= here;
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

static void flush(struct conn *conn)
{
    enum tls_status status;

    do {
        size_t written = 0;

        status = write_once(conn, &written);
        sent(conn, written);
    } while (status == TLS_DONE && (conn->out[0].iov_len > 0 || conn->out[1].iov_len > 0));
    if (status == TLS_FAILED) {
        /* What the server said before it closed may explain it: read that, from the loop. */
        conn->out[0].iov_len = conn->out[1].iov_len = 0;
        conn->write_failed = true;
        ev_feed_event(conn->env->loop, &conn->io, EV_READ);
    }
}

void conn_send(struct conn *conn, const char *head, size_t head_len, const char *body,
               size_t body_len, bool head_request)
{
    BUG_ON(conn->state != CONN_READY || conn->in_flight);
    conn->in_flight = true;
    conn->first_byte_ns = 0;
    conn->sent_ns = mono_now_ns();
    /* iovec has no const; nothing writes through it. */
    conn->out[0] = (struct iovec){.iov_base = (void *)(uintptr_t)head, .iov_len = head_len};
    conn->out[1] = (struct iovec){.iov_base = (void *)(uintptr_t)body, .iov_len = body_len};
    h1_begin(&conn->h1, head_request, conn->env->show);
    h1_keep(&conn->h1, conn->env->keep, conn->env->keep_size);
    conn_deadline_arm(conn, CONN_DEADLINE_FIRST_BYTE, conn->sent_ns);
    conn_deadline_arm(conn, CONN_DEADLINE_EXCHANGE, conn->sent_ns);
    conn_show_request(conn, head, head_len, body_len);
    if (head_len + body_len > ONE_RECORD) {
        do_not_delay(conn);
    }
    flush(conn);
    conn_drive(conn, 0);
}

/* Receiving. */

/* A response is complete; `extra`: bytes followed it that nobody asked for. */
static void complete(struct conn *conn, bool extra)
{
    bool unsent = conn->out[0].iov_len > 0 || conn->out[1].iov_len > 0 || conn->write_failed;

    conn->h1.keep_alive = conn->h1.keep_alive && !extra && !unsent && !conn->close_after;
    if (!conn->h1.keep_alive) {
        conn_end(conn, OUTCOME_OK, extra ? OUTCOME_HTTP_GARBAGE : OUTCOME_OK);
        return;
    }
    conn_deadline_disarm_all(conn);
    conn->in_flight = false;
    conn->n_exchanges++;
    conn->env->handler.exchanged(conn, OUTCOME_OK);
}

static void take(struct conn *conn, const char *data, size_t len)
{
    size_t used = 0;

    conn->env->bytes_received += len;
    if (!conn->in_flight) {
        conn_fail(conn, OUTCOME_HTTP_GARBAGE);
        return;
    }
    if (!conn->h1.started) {
        conn->first_byte_ns = mono_now_ns();
        conn_deadline_disarm(conn, CONN_DEADLINE_FIRST_BYTE);
    }
    switch (h1_feed(&conn->h1, data, len, &used)) {
    case H1_MORE:
        break;
    case H1_DONE:
        complete(conn, used < len);
        break;
    case H1_FAILED:
        conn_fail(conn, conn->h1.outcome);
        break;
    }
}

/* The server closed its side. */
static void ended(struct conn *conn)
{
    if (!conn->in_flight) {
        conn_end(conn, OUTCOME_OK, OUTCOME_OK);
    } else if (h1_end(&conn->h1) != H1_DONE) {
        conn_fail(conn, conn->h1.outcome);
    } else if (tls_alert(conn->tls) < 0) {
        /* A body that ends with the connection is whole only after close_notify (RFC 9112 9.8). */
        conn_fail(conn, OUTCOME_HTTP_TRUNCATED);
    } else {
        complete(conn, false);
    }
}

/* Until the socket has no more; tls_read bounds that. */
static void receive(struct conn *conn)
{
    while (conn->state == CONN_READY) {
        const char *data;
        size_t len;

        switch (tls_read(conn->tls, &data, &len)) {
        case TLS_DONE:
            take(conn, data, len);
            break;
        case TLS_WANT_READ:
        case TLS_WANT_WRITE:
            return;
        case TLS_EOF:
            ended(conn);
            break;
        case TLS_FAILED:
            conn_fail(conn, tls_outcome(conn->tls));
            break;
        }
    }
}

static void step_ready(struct conn *conn, int revents)
{
    if ((revents & EV_WRITE) != 0) {
        flush(conn);
    }
    if ((revents & EV_READ) != 0) {
        receive(conn);
    }
}

/* The environment. */

void conn_env_init(struct conn_env *env, struct ev_loop *loop, struct tls_client *tls,
                   const struct plan_target *target, const struct addr *addrs, size_t n_addrs)
{
    BUG_ON(n_addrs == 0);
    *env = (struct conn_env){
        .loop = loop, .tls = tls, .target = target, .addrs = addrs, .n_addrs = n_addrs};
    env->source.target = target;
    conn_deadline_init(env);
}

void conn_env_stop(struct conn_env *env)
{
    conn_deadline_stop(env);
}

void conn_print_states(struct sink *sink)
{
    for (size_t i = 0; i < CONN_STATE_COUNT; i++) {
        for (size_t j = 0; j < CONN_STATE_COUNT; j++) {
            if ((states[i].successors & (1u << j)) != 0) {
                sink_printf(sink, "%s -> %s\n", states[i].name, states[j].name);
            }
        }
        for (enum conn_deadline d = 0; d < CONN_DEADLINE_COUNT; d++) {
            const struct conn_deadline_info *info = conn_deadline_info(d);

            if (states[i].deadline == d || (i == CONN_READY && d > CONN_DEADLINE_HANDSHAKE)) {
                sink_printf(sink, "%s: %s deadline, %s\n", states[i].name, info->name,
                            outcome_info(info->expiry)->name);
            }
        }
    }
}
