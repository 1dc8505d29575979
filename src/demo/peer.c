#include "demo/peer.h"

#include "base/bug.h"
#include "base/mem.h"
#include "base/mono.h"
#include "demo/peer_inside.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define ACCEPTS_PER_TURN 64
#define REST_MAX         REQUEST_HEAD_MAX

static const uint64_t deadline_ns[DEADLINE_COUNT] = {
    [DEADLINE_HANDSHAKE] = 10 * NS_PER_S,
    [DEADLINE_REQUEST] = 30 * NS_PER_S,
    [DEADLINE_PARK] = 30 * NS_PER_S,
    [DEADLINE_LINGER] = 2 * NS_PER_S,
};

static void disarm(struct peer *peer)
{
    if (peer->armed == DEADLINE_NONE) {
        return;
    }
    struct peers *peers = peer->peers;
    *(peer->prev != NULL ? &peer->prev->next : &peers->deadline[peer->armed].first) = peer->next;
    *(peer->next != NULL ? &peer->next->prev : &peers->deadline[peer->armed].last) = peer->prev;
    peer->armed = DEADLINE_NONE;
}

/* All deadlines of a kind are equally long, so the end of the list is the latest. */
static void arm(struct peer *peer, enum deadline deadline)
{
    disarm(peer);
    if (deadline == DEADLINE_NONE) {
        return;
    }
    struct peers *peers = peer->peers;
    peer->armed = deadline;
    peer->expires_ns = mono_now_ns() + deadline_ns[deadline];
    peer->next = NULL;
    peer->prev = peers->deadline[deadline].last;
    *(peer->prev != NULL ? &peer->prev->next : &peers->deadline[deadline].first) = peer;
    peers->deadline[deadline].last = peer;
}

void peer_watch(struct peer *peer, int events)
{
    if ((peer->io.events & (EV_READ | EV_WRITE)) != events) {
        ev_io_stop(peer->peers->loop, &peer->io);
        ev_io_modify(&peer->io, events);
        ev_io_start(peer->peers->loop, &peer->io);
    }
}

static void give_back(struct slab *slab, char **pocket)
{
    if (*pocket != NULL) {
        slab_put(slab, *pocket);
        *pocket = NULL;
    }
}

/* Ends TLS and what the peer holds for it; the socket stays. */
static void end_session(struct peer *peer)
{
    struct peers *peers = peer->peers;
    if (peer->established) {
        peer->established = false;
        tally_closed(peers->tally);
    }
    h2d_close(peer->h2);
    peer->h2 = NULL;
    tlsd_close(peer->ssl);
    peer->ssl = NULL;
    give_back(peers->pockets, &peer->pocket);
    give_back(peers->pockets, &peer->rest);
    peer->rest_len = 0;
    peer->out_len = 0;
}

static void peer_close(struct peer *peer)
{
    struct peers *peers = peer->peers;
    end_session(peer);
    disarm(peer);
    ev_io_stop(peers->loop, &peer->io);
    /* A leaked duplicate of the descriptor must not keep the connection open for the client. */
    shutdown(peer->fd, SHUT_RDWR);
    close(peer->fd);
    slab_put(peers->slab, peer);
}

/* Closing at once would reset the connection if anything of the client's were still unread. */
void peer_linger(struct peer *peer)
{
    if (peer->state != PEER_HANDSHAKE) {
        tlsd_shutdown(peer->ssl);
    }
    end_session(peer);
    shutdown(peer->fd, SHUT_WR);
    peer->state = PEER_LINGER;
    arm(peer, DEADLINE_LINGER);
    peer_watch(peer, EV_READ);
}

/* A request that was begun ends without having been answered, or without the answer being read. */
static void book_aborted(struct peer *peer)
{
    if (!peer->aborted) {
        peer->aborted = true;
        tally_event(peer->peers->tally, DRIVER_ABORTED, true);
    }
}

void peer_gone(struct peer *peer, enum tlsd_status status)
{
    bool in_request =
        peer->state == PEER_PARKED || peer->out_len > 0 || (peer->reading && peer->request.started);
    /* Of HTTP/2 the streams know. */
    if (peer->h2 == NULL && (in_request || (peer->answered && status == TLSD_RESET))) {
        book_aborted(peer);
    }
    if (status == TLSD_EOF || status == TLSD_CUT) {
        tlsd_shutdown(peer->ssl);
    }
    if (status == TLSD_CUT) {
        tally_odd(peer->peers->tally, TALLY_CUT);
    }
    peer_close(peer);
}

bool peer_flush(struct peer *peer)
{
    enum tlsd_status status = tlsd_write(peer->ssl, peer->out, peer->out_len);
    if (status == TLSD_WANT_READ || status == TLSD_WANT_WRITE) {
        arm(peer, DEADLINE_REQUEST);
        peer_watch(peer, status == TLSD_WANT_READ ? EV_READ : EV_WRITE);
        return false;
    }
    if (status != TLSD_DONE) {
        peer_gone(peer, status);
        return false;
    }
    peer->out_len = 0;
    peer->answered = true;
    if (peer->answer.close) {
        peer_linger(peer);
        return false;
    }
    arm(peer, DEADLINE_NONE);
    peer_watch(peer, EV_READ);
    return true;
}

/* Answers the request just read.  False as peer_flush, or when the peer is parked. */
static bool peer_answer(struct peer *peer)
{
    bool head_only = peer->reading && peer->request.head_done && request_is_head(&peer->request);
    struct reply reply;
    peer->reading = false;
    if (peer->answer.kind == ANSWER_TOKEN) {
        gate_issue(peer->peers->gate, &peer->answer, &peer->request, peer->fingerprint, peer->ssl,
                   &reply);
        peer->out_len = reply_write(&reply, false, peer->out);
        give_back(peer->peers->pockets, &peer->pocket);
        return peer_flush(peer);
    }
    give_back(peer->peers->pockets, &peer->pocket);
    if (peer->answer.status == 200 && peer->answer.kind == ANSWER_NEVER) {
        peer->state = PEER_PARKED;
        arm(peer, DEADLINE_PARK);
        return false;
    }
    answer_reply(&peer->answer, peer->ssl, &reply);
    peer->out_len = reply_write(&reply, head_only, peer->out);
    return peer_flush(peer);
}

static bool peer_answer_error(struct peer *peer, int status)
{
    peer->answer = answer_error(status);
    return peer_answer(peer);
}

/* The head of a request is complete. */
static bool on_head(struct request *request, void *context)
{
    struct peer *peer = context;
    peer->answer = gate_decide(peer->peers->gate, request, peer->fingerprint);
    request->keep_body = peer->answer.kind == ANSWER_TOKEN;
    if (!request->keep_body) {
        give_back(peer->peers->pockets, &peer->pocket);
    }
    return peer->answer.kind != ANSWER_EARLY;
}

/* False when no more input of this peer can be taken now. */
static bool peer_step(struct peer *peer, const char *data, size_t len, size_t *ret_used)
{
    if (!peer->reading) {
        peer->pocket = slab_take(peer->peers->pockets);
        request_begin(&peer->request, peer->pocket);
        peer->reading = true;
    }
    switch (request_feed(&peer->request, data, len, ret_used)) {
    case REQUEST_MORE:
        if (peer->request.started) {
            peer->answered = false;
        }
        arm(peer, DEADLINE_REQUEST);
        return true;
    case REQUEST_DONE:
    case REQUEST_STOPPED:
        return peer_answer(peer);
    case REQUEST_TOO_LARGE:
        tally_odd(peer->peers->tally, TALLY_OVERSIZED);
        return peer_answer_error(peer, 431);
    default:
        return peer_answer_error(peer, 400);
    }
}

/* Takes input as far as answers go out; keeps the rest for later.  False when the peer is closed
 * (its piece of the slab can still be read then, and nothing is to go out) or waits. */
static bool peer_feed(struct peer *peer, const char *data, size_t len)
{
    bool go_on = true;
    while (len > 0 && go_on) {
        size_t used = 0;
        go_on = peer_step(peer, data, len, &used);
        data += used;
        len -= used;
    }
    if (go_on || peer->out_len == 0) {
        return go_on;
    }
    BUG_ON(len > REST_MAX);
    if (len > 0) {
        peer->rest = slab_take(peer->peers->pockets);
        peer->rest_len = len;
        memcpy(peer->rest, data, len);
    }
    return false;
}

static void peer_read(struct peer *peer)
{
    struct peers *peers = peer->peers;
    for (int i = 0; i < RECORDS_PER_TURN; i++) {
        size_t len = 0;
        enum tlsd_status status = tlsd_read(peer->ssl, peers->input, sizeof peers->input, &len);
        if (status == TLSD_WANT_READ || status == TLSD_WANT_WRITE) {
            peer_watch(peer, status == TLSD_WANT_READ ? EV_READ : EV_WRITE);
            return;
        }
        if (status != TLSD_DONE) {
            peer_gone(peer, status);
            return;
        }
        if (peer->state == PEER_PARKED) {
            /* Whatever it is, its turn would come after an answer that never comes. */
            continue;
        }
        /* An answer ends the turn: more seldom follows at once. */
        if (!peer_feed(peer, peers->input, len) || !peer->reading) {
            return;
        }
    }
}

/* The socket takes output again. */
static void peer_resume(struct peer *peer)
{
    if (peer->h2 != NULL) {
        peer_say(peer);
        return;
    }
    if (!peer_flush(peer)) {
        return;
    }
    char *rest = peer->rest;
    size_t len = peer->rest_len;
    peer->rest = NULL;
    peer->rest_len = 0;
    if (rest != NULL) {
        struct peers *peers = peer->peers;
        peer_feed(peer, rest, len);
        slab_put(peers->pockets, rest);
    }
}

static void peer_handshake(struct peer *peer)
{
    struct peers *peers = peer->peers;
    bool resumed = false;
    enum tlsd_status status = tlsd_handshake(peer->ssl);
    switch (status) {
    case TLSD_WANT_READ:
    case TLSD_WANT_WRITE:
        peer_watch(peer, status == TLSD_WANT_READ ? EV_READ : EV_WRITE);
        return;
    case TLSD_DONE:
        break;
    case TLSD_REFUSED:
        tally_event(peers->tally, DRIVER_REFUSED, true);
        tally_handshake(peers->tally, -1, false);
        peer_linger(peer);
        return;
    case TLSD_FAILED:
        tally_handshake(peers->tally, -1, false);
        peer_linger(peer);
        return;
    default:
        tally_handshake(peers->tally, -1, false);
        tally_odd(peers->tally, TALLY_HANDSHAKE_ABORTED);
        peer_close(peer);
        return;
    }
    /* A verified connection without a certificate cannot be. */
    bool known = tlsd_client(peer->ssl, peer->fingerprint, &resumed);
    BUG_ON(!known);
    peer->state = PEER_OPEN;
    peer->established = true;
    arm(peer, DEADLINE_NONE);
    peer_watch(peer, EV_READ);
    tally_handshake(peers->tally, peer->fd, resumed);
    tally_credential(peers->tally, DRIVER_CLIENT_CERTIFICATE, peer->fingerprint,
                     sizeof peer->fingerprint, true);
    if (tlsd_is_h2(peer->ssl)) {
        peer->h2 = h2d_open(peers->h2, peer->ssl, peer->fingerprint, peer);
        if (peer->h2 == NULL) {
            peer_close(peer);
            return;
        }
        peer_hear(peer);
        return;
    }
    /* The first request often came together with the client's last handshake message. */
    peer_read(peer);
}

static void peer_drain(struct peer *peer)
{
    for (int i = 0; i < RECORDS_PER_TURN; i++) {
        ssize_t n = recv(peer->fd, peer->peers->input, sizeof peer->peers->input, 0);
        if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
            return;
        }
        if (n <= 0) {
            peer_close(peer);
            return;
        }
    }
}

static void on_peer(struct ev_loop *loop, ev_io *io, int events)
{
    struct peer *peer = io->data;
    (void)loop;
    (void)events;
    switch (peer->state) {
    case PEER_HANDSHAKE:
        peer_handshake(peer);
        break;
    case PEER_OPEN:
        if (peer->out_len > 0) {
            peer_resume(peer);
        } else if (peer->h2 != NULL) {
            peer_hear(peer);
        } else {
            peer_read(peer);
        }
        break;
    case PEER_PARKED:
        peer_read(peer);
        break;
    case PEER_LINGER:
        peer_drain(peer);
        break;
    }
}

static void peer_start(struct peers *peers, int fd)
{
    const int on = 1;
    struct peer *peer = slab_take(peers->slab);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    memset(peer, 0, offsetof(struct peer, out));
    peer->peers = peers;
    peer->fd = fd;
    peer->armed = DEADLINE_NONE;
    request_init(&peer->request, on_head, peer);
    ev_io_init(&peer->io, on_peer, fd, EV_READ);
    peer->io.data = peer;
    peer->ssl = tlsd_open(peers->tlsd, fd);
    if (peer->ssl == NULL) {
        tally_handshake(peers->tally, -1, false);
        peer_close(peer);
        return;
    }
    ev_io_start(peers->loop, &peer->io);
    arm(peer, DEADLINE_HANDSHAKE);
}

static void on_accept(struct ev_loop *loop, ev_io *io, int events)
{
    struct peers *peers = io->data;
    (void)events;
    for (int i = 0; i < ACCEPTS_PER_TURN; i++) {
        if (slab_is_empty(peers->slab)) {
            ev_io_stop(loop, io);
            return;
        }
        int fd = accept4(io->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            peer_start(peers, fd);
        } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            /* The socket stays readable; peers_tick tries again. */
            ev_io_stop(loop, io);
            return;
        } else if (errno != ECONNABORTED && errno != EINTR) {
            return;
        }
    }
}

struct peers *peers_new(struct ev_loop *loop, int listener, struct tlsd *tlsd, struct gate *gate,
                        struct tally *tally)
{
    struct slab *slab = slab_new(PEERS_MAX, sizeof(struct peer));
    /* One for the head, one for the rest, and one while a rest is fed again. */
    struct slab *pockets = slab_new(2 * PEERS_MAX + 1, REQUEST_HEAD_MAX);
    if (slab == NULL || pockets == NULL) {
        slab_free(slab);
        slab_free(pockets);
        return NULL;
    }
    struct peers *peers = xcalloc(1, sizeof *peers);
    *peers = (struct peers){
        .loop = loop, .tlsd = tlsd, .gate = gate, .tally = tally, .slab = slab, .pockets = pockets};
    peers->h2 = h2d_new(gate, tally, pockets, peer_wake);
    if (peers->h2 == NULL) {
        slab_free(slab);
        slab_free(pockets);
        free(peers);
        return NULL;
    }
    ev_io_init(&peers->listener, on_accept, listener, EV_READ);
    peers->listener.data = peers;
    ev_io_start(loop, &peers->listener);
    return peers;
}

static void close_taken(void *peer, void *unused)
{
    (void)unused;
    peer_close(peer);
}

void peers_free(struct peers *peers)
{
    if (peers == NULL) {
        return;
    }
    ev_io_stop(peers->loop, &peers->listener);
    slab_each(peers->slab, close_taken, NULL);
    slab_free(peers->slab);
    h2d_free(peers->h2);
    slab_free(peers->pockets);
    free(peers);
}

static void expire(struct peer *peer)
{
    switch (peer->armed) {
    case DEADLINE_HANDSHAKE:
        tally_handshake(peer->peers->tally, -1, false);
        peer_close(peer);
        break;
    case DEADLINE_REQUEST:
        if (peer->out_len > 0 || !peer->request.started) {
            peer_gone(peer, TLSD_EOF);
        } else {
            book_aborted(peer);
            peer_answer_error(peer, 408);
        }
        break;
    case DEADLINE_PARK:
        peer->state = PEER_OPEN;
        peer_answer_error(peer, 503);
        break;
    default:
        peer_close(peer);
        break;
    }
}

void peers_tick(struct peers *peers)
{
    uint64_t now_ns = mono_now_ns();
    h2d_tick(peers->h2, now_ns);
    for (int i = 0; i < DEADLINE_COUNT; i++) {
        while (peers->deadline[i].first != NULL && peers->deadline[i].first->expires_ns <= now_ns) {
            expire(peers->deadline[i].first);
        }
    }
    if (!ev_is_active(&peers->listener) && !slab_is_empty(peers->slab)) {
        ev_io_start(peers->loop, &peers->listener);
    }
}
