#include "net/conn.h"

#include "base/bug.h"
#include "base/mono.h"
#include "base/str.h"
#include "net/codec.h"
#include "net/conn_cut.h"
#include "net/conn_deadline.h"
#include "net/conn_show.h"
#include "net/h2.h"
#include "net/tls_early.h"
#include "net/tls_slow.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define TO(state) (1u << CONN_##state)

static void step_dialing(struct conn *conn, int revents);
static void step_handshaking(struct conn *conn, int revents);
static void step_ready(struct conn *conn, int revents);

static const struct state {
    const char *name;
    void (*step)(struct conn *conn, int revents);
    unsigned successors;
    enum conn_deadline
        deadline; /* armed on entry; in READY the streams have theirs, and h2 its ping */
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
    conn_deadline_disarm(conn->env, &conn->link);
    for (struct stream *stream = conn->streams; stream != NULL; stream = stream->next) {
        conn_deadline_disarm(conn->env, &stream->link[0]);
        conn_deadline_disarm(conn->env, &stream->link[1]);
    }
    conn->state = state;
    if (states[state].deadline != CONN_DEADLINE_NONE) {
        conn_deadline_arm(conn->env, &conn->link, states[state].deadline, now_ns);
    }
}

static int wanted_events(const struct conn *conn)
{
    bool unsent;

    switch (conn->state) {
    case CONN_DIALING:
        return conn->stands ? EV_READ : EV_WRITE;
    case CONN_HANDSHAKING:
    case CONN_READY:
        unsent = conn_unsent(conn) || tls_unsent(conn->tls) || conn->flush_due;
        return EV_READ | (unsent ? EV_WRITE : 0);
    default:
        return 0;
    }
}

/* Nagle's algorithm only ever holds back a segment that follows one not yet acknowledged: never a
 * hello, never a request after a response, nor one that leaves with the last flight of the
 * handshake.  Churning connections so save a system call each. */
void conn_no_delay(struct conn *conn)
{
    int one = 1;

    if (!conn->no_delay) {
        (void)setsockopt(conn->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        conn->no_delay = true;
    }
}

void conn_drive(struct conn *conn, int revents)
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
    if (conn->state == CONN_DIALING && conn->stands && !conn->takes_early) {
        ev_feed_event(loop, &conn->io, EV_WRITE);
    }
}

static void on_io(struct ev_loop *loop, ev_io *io, int revents)
{
    (void)loop;
    conn_drive(io->data, revents);
}

/* The end. */

/* Marks only: what it holds is freed by conn_reap. */
static void conn_leave(struct conn *conn, enum conn_state state)
{
    struct conn_env *env = conn->env;

    conn_enter(conn, state, 0);
    conn->reap_next = env->reap;
    env->reap = conn;
    conn_drive(conn, 0);
}

/* A reset, be it for what is unread, would overtake a close_notify that waits for the FIN. */
static void conn_shut(struct conn *conn, bool all_read)
{
    if (conn->state != CONN_READY) {
        conn_leave(conn, CONN_CLOSED);
        return;
    }
    conn->codec->shut(conn);
    tls_shutdown(conn->tls,
                 all_read && conn->codec == &codec_h1 && !conn->env->source.target->reset_on_close);
    conn_leave(conn, CONN_DRAINING);
}

static void forget_session(struct conn *conn)
{
    tls_session_free(conn->session);
    conn->session = NULL;
}

/* `exchange`: how the exchanges in flight ended that had not yet. */
static void conn_tell(struct conn *conn, enum outcome exchange, enum outcome end)
{
    struct conn_env *env = conn->env;

    BUG_ON(conn->told);
    conn->told = true;
    conn->cert = NULL;
    forget_session(conn);
    while (conn->streams != NULL) {
        struct stream *stream = conn->streams;

        conn_finish(conn, stream, stream->ended ? stream->outcome : exchange);
    }
    conn_show_closed(conn, end);
    env->handler.closed(conn, end);
}

void conn_end(struct conn *conn, enum outcome exchange, enum outcome end)
{
    conn_shut(conn, exchange == OUTCOME_OK && end == OUTCOME_OK);
    conn_tell(conn, exchange, end);
}

void conn_fail(struct conn *conn, enum outcome outcome)
{
    conn_end(conn, outcome, outcome);
}

#define OWNER(link, type, member)                                                                  \
    ((struct type *)(void *)((char *)(link)-offsetof(struct type, member)))

void conn_expire(struct conn_link *link, enum conn_deadline kind)
{
    enum outcome outcome = conn_deadline_info(kind)->expiry;

    if (kind == CONN_DEADLINE_FIRST_BYTE || kind == CONN_DEADLINE_EXCHANGE) {
        struct stream *stream = kind == CONN_DEADLINE_FIRST_BYTE ? OWNER(link, stream, link[0])
                                                                 : OWNER(link, stream, link[1]);

        stream->conn->codec->expired(stream->conn, stream, outcome);
    } else if (kind == CONN_DEADLINE_PING) {
        h2_silent(OWNER(link, conn, link));
    } else {
        conn_fail(OWNER(link, conn, link), outcome);
    }
}

void conn_close(struct conn *conn, enum outcome outcome)
{
    if (conn->state == CONN_IDLE || conn->state >= CONN_DRAINING) {
        return;
    }
    conn->end = outcome;
    conn_shut(conn, conn->streams == NULL && conn->n_exchanges > 0);
}

void conn_cut(struct conn *conn, bool reset)
{
    struct linger linger = {.l_onoff = reset, .l_linger = 0};
    char bytes[4096];

    BUG_ON(conn->state != CONN_READY);
    (void)setsockopt(conn->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
    while (!reset && recv(conn->fd, bytes, sizeof bytes, 0) > 0) {
        /* what is unread would make it a reset */
    }
    conn->end = OUTCOME_STOPPED;
    conn_leave(conn, CONN_CLOSED);
}

bool conn_is_written(const struct conn *conn)
{
    return !tls_unsent(conn->tls) && (conn->h2 == NULL || h2_is_written(conn->h2));
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
    h2_close(conn);
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

    for (h2_env_flush(env); env->reap != NULL; h2_env_flush(env)) {
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
    conn->link.armed = CONN_DEADLINE_NONE;
    ev_init(&conn->io, on_io);
    conn->io.data = conn;
}

/* 0 when the connection is under way or stands, else errno. */
static int start_connecting(struct conn *conn)
{
    struct conn_env *env = conn->env;
    const struct addr *addr = &env->addrs[env->next_addr % env->n_addrs];
    struct sockaddr_storage peer;
    socklen_t len = sizeof peer;

    env->next_addr = (env->next_addr + 1) % env->n_addrs;
    conn->n_tried++;
    conn->fd = socket(addr->sa.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (conn->fd < 0) {
        return errno;
    }
    int error = source_addr_bind(&env->source, conn->fd, addr);
    if (error != 0) {
        return error;
    }
    if (connect(conn->fd, (const struct sockaddr *)&addr->sa, addr->len) != 0 &&
        errno != EINPROGRESS) {
        return errno;
    }
    /* Over loopback it stands by now: no turn of the loop and no change of what is watched. */
    conn->stands = getpeername(conn->fd, (struct sockaddr *)&peer, &len) == 0;
    return 0;
}

/* A server often listens at one of several addresses only: "localhost" is ::1 and 127.0.0.1. */
static bool may_try_next(const struct conn *conn, enum outcome outcome)
{
    return (outcome == OUTCOME_REFUSED || outcome == OUTCOME_UNREACHABLE) &&
           conn->n_tried < conn->env->n_addrs && conn->n_sent == 0;
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

/* What leaves with the hello cannot go on to the next address where this one refuses, so here the
 * socket is asked. */
static enum outcome begin_early(struct conn *conn)
{
    struct conn_env *env = conn->env;
    int error = 0;
    socklen_t len = sizeof error;

    if (!env->target->early_data || env->early == NULL || !tls_early_open(conn->tls)) {
        return OUTCOME_OK;
    }
    if (getsockopt(conn->fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0 || error != 0) {
        return outcome_from_errno(error != 0 ? error : errno, true);
    }
    conn->codec = &codec_h1;
    conn->takes_early = true;
    env->early(conn);
    conn->takes_early = false;
    return OUTCOME_OK;
}

/* The hello goes out at once; if the connection failed, sending it says why, so nobody has to ask
 * first. */
static void step_dialing(struct conn *conn, int revents)
{
    enum tls_status status;
    enum outcome outcome;

    (void)revents;
    conn->tls = tls_open(conn->env->tls, conn->fd, conn->cert, conn->session);
    if (conn->tls == NULL) {
        conn_fail(conn, OUTCOME_CLIENT_ERROR);
        return;
    }
    if (conn->env->own_alpn) {
        tls_offer(conn->tls, conn->env->target->alpn);
    }
    conn->connected_ns = mono_now_ns();
    outcome = begin_early(conn);
    status = outcome == OUTCOME_OK ? tls_handshake(conn->tls) : TLS_FAILED;
    if (status == TLS_FAILED) {
        dial_failed(conn, outcome != OUTCOME_OK ? outcome : tls_outcome(conn->tls));
        return;
    }
    forget_session(conn);
    conn_enter(conn, CONN_HANDSHAKING, conn->connected_ns);
    conn_show_connected(conn);
}

static void receive(struct conn *conn);

static void arm(struct conn *conn, struct stream *stream, uint64_t from_ns)
{
    conn_deadline_arm(conn->env, &stream->link[0], CONN_DEADLINE_FIRST_BYTE, from_ns);
    conn_deadline_arm(conn->env, &stream->link[1], CONN_DEADLINE_EXCHANGE, from_ns);
}

/* A server that does not know ALPN speaks HTTP/1.1. */
static enum outcome choose_protocol(struct conn *conn)
{
    struct tls_facts facts;

    conn->codec = conn->env->target->raw ? &codec_raw : &codec_h1;
    if (conn->env->h2 == NULL) {
        return OUTCOME_OK;
    }
    tls_facts(conn->tls, &facts);
    if (str_equal(facts.protocol, "h2")) {
        conn->codec = &codec_h2;
        return h2_open(conn) ? OUTCOME_OK : OUTCOME_CLIENT_ERROR;
    }
    return conn->env->target->alpn == ALPN_H2 ? OUTCOME_NO_H2 : OUTCOME_OK;
}

static void step_handshaking(struct conn *conn, int revents)
{
    enum tls_status status = tls_handshake(conn->tls);
    enum outcome outcome;

    (void)revents;
    if (status == TLS_WANT_READ || status == TLS_WANT_WRITE) {
        return;
    }
    if (status != TLS_DONE) {
        conn_fail(conn, tls_outcome(conn->tls));
        return;
    }
    if ((outcome = choose_protocol(conn)) != OUTCOME_OK) {
        conn_fail(conn, outcome);
        return;
    }
    conn->ready_ns = mono_now_ns();
    conn->was_ready = true;
    conn_enter(conn, CONN_READY, conn->ready_ns);
    conn_show_ready(conn);
    conn->cert = NULL;
    if (conn->was_early) {
        arm(conn, conn->streams, conn->ready_ns);
    }
    if (conn_is_h2(conn)) {
        h2_begin(conn);
    }
    conn->env->handler.ready(conn);
    if (conn->n_streams == 0 && conn->state == CONN_READY) {
        conn_no_delay(conn); /* the last flight goes alone, and a request may follow soon */
    }
    if (conn->state == CONN_READY && conn_is_h2(conn)) {
        conn->codec->flush(conn); /* in the segment of the last flight */
    }
    receive(conn); /* also lets the last flight go where the worker sent nothing */
}

/* Exchanges. */

size_t conn_room(const struct conn *conn)
{
    return conn->state == CONN_READY && !conn->close_after ? conn->codec->room(conn) : 0;
}

void conn_send(struct conn *conn, struct stream *stream, const struct conn_request *request)
{
    bool early = conn->takes_early;

    BUG_ON((conn->state != CONN_READY && !early) || conn->codec->room(conn) == 0);
    *stream = (struct stream){.owner = stream->owner,
                              .conn = conn,
                              .next = conn->streams,
                              .sent_ns = mono_now_ns(),
                              .head_request = request->head_request,
                              .cancelled = request->cancelled};
    if (stream->next != NULL) {
        stream->next->prev = stream;
    }
    conn->streams = stream;
    conn->n_streams++;
    conn->n_sent++;
    stream->link[0].armed = stream->link[1].armed = CONN_DEADLINE_NONE;
    if (early) {
        conn->was_early = true;
    } else {
        arm(conn, stream, stream->sent_ns);
    }
    if (conn->was_early && !early) {
        conn_no_delay(conn); /* the handshake's last flight went alone, and may be on its way */
    }
    conn->codec->send(conn, stream, request);
}

void conn_finish(struct conn *conn, struct stream *stream, enum outcome outcome)
{
    *(stream->prev != NULL ? &stream->prev->next : &conn->streams) = stream->next;
    if (stream->next != NULL) {
        stream->next->prev = stream->prev;
    }
    conn_deadline_disarm(conn->env, &stream->link[0]);
    conn_deadline_disarm(conn->env, &stream->link[1]);
    if (conn->codec == &codec_h1) {
        stream->status = conn->h1.status;
        stream->started = conn->h1.started;
        stream->body_bytes = conn->h1.body_bytes;
    }
    stream->conn = NULL;
    conn->n_streams--;
    conn->n_exchanges += outcome == OUTCOME_OK;
    conn->env->handler.exchanged(conn, stream, outcome);
}

void conn_write_failed(struct conn *conn)
{
    conn->out[0].iov_len = conn->out[1].iov_len = 0;
    conn->write_failed = true;
    ev_feed_event(conn->env->loop, &conn->io, EV_READ);
}

/* Until the socket has no more; tls_read bounds that. */
static void receive(struct conn *conn)
{
    while (conn->state == CONN_READY) {
        const char *data;
        size_t len;

        switch (tls_read(conn->tls, &data, &len)) {
        case TLS_DONE:
            conn->codec->take(conn, data, len);
            break;
        case TLS_WANT_READ:
        case TLS_WANT_WRITE:
            return;
        case TLS_EOF:
            conn->codec->ended(conn, OUTCOME_OK);
            break;
        case TLS_FAILED:
            conn->codec->ended(conn, tls_outcome(conn->tls));
            break;
        }
    }
}

static void step_ready(struct conn *conn, int revents)
{
    if ((revents & EV_WRITE) != 0) {
        conn->codec->flush(conn);
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
    if (target->alpn != ALPN_H1) {
        h2_env_init(env);
    }
}

void conn_env_stop(struct conn_env *env)
{
    conn_deadline_stop(env);
    h2_env_stop(env);
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
