#include "load/slot.h"

#include "base/bug.h"
#include "base/mono.h"
#include "load/exchange.h"
#include "load/worker_clock.h"
#include "load/worker_inside.h"
#include "net/tls_early.h"

#include <string.h>
#include <sys/socket.h>

#define BACKOFF_MIN_NS  (10 * NS_PER_MS)
#define BACKOFF_MAX_NS  NS_PER_S
#define BACKOFF_DOUBLES 7 /* 10 ms << 7 is beyond a second */

/* Dials of one loop turn; more would keep responses waiting (a connect costs 10 us and more). */
enum { DIALS_A_TURN = 32 };

static bool is_wanted(const struct slot *slot)
{
    return (size_t)(slot - slot->worker->slots) < slot->worker->n_wanted;
}

/* Wanted, or there for what must be sent again. */
static bool is_needed(const struct slot *slot)
{
    return is_wanted(slot) || slot->worker->retry.first != NULL;
}

bool slot_has_room(const struct slot *slot)
{
    size_t n_taken = slot->conn.n_streams + slot->n_rests;
    return n_taken < slot->worker->job.plan->pace.streams && conn_room(&slot->conn) > slot->n_rests;
}

void slot_settle(struct slot *slot)
{
    bool room = slot_has_room(slot);
    if (room != (slot->place == SLOT_IDLE)) {
        slot_put(slot, room ? SLOT_IDLE : SLOT_NOWHERE);
    }
}

void slot_room(struct conn *conn)
{
    struct slot *slot = conn->owner;
    slot_settle(slot);
    exchange_pump(slot->worker);
}

void slot_retire(struct slot *slot)
{
    if (slot->conn.n_streams == 0) {
        conn_close(&slot->conn, OUTCOME_OK);
    } else {
        slot->conn.close_after = true;
    }
}

/* Resting. */

static void wait_for(struct slot *slot, uint64_t pause_ns)
{
    ev_timer_stop(slot->worker->loop, &slot->wait);
    ev_timer_set(&slot->wait, (double)pause_ns * 1e-9, 0.);
    ev_timer_start(slot->worker->loop, &slot->wait);
}

static void wait_for_rest(struct slot *slot, uint64_t now_ns)
{
    if (slot->n_rests > 0) {
        wait_for(slot, slot->rests[0] > now_ns ? slot->rests[0] - now_ns : 0);
    }
}

/* The timer has fired for the first rest, which is over even where this clock is a little behind
 * the loop's. */
static void end_rests(struct slot *slot)
{
    uint64_t now_ns = mono_now_ns();
    uint32_t n = 1;
    while (n < slot->n_rests && slot->rests[n] <= now_ns) {
        n++;
    }
    slot->n_rests -= n;
    memmove(slot->rests, slot->rests + n, slot->n_rests * sizeof *slot->rests);
    wait_for_rest(slot, now_ns);
}

static void wait_over(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop;
    (void)events;
    struct slot *slot = timer->data;
    if (slot->proving) {
        conn_close(&slot->conn, OUTCOME_TIMEOUT_HANDSHAKE);
    } else if (slot->conn.state == CONN_READY) {
        end_rests(slot);
        slot_settle(slot);
        exchange_pump(slot->worker);
    } else if (is_needed(slot)) {
        slot_put(slot, SLOT_TO_DIAL);
    }
}

void slot_init(struct slot *slot, struct worker *worker, uint64_t *rests)
{
    slot->worker = worker;
    slot->rests = rests;
    slot->conn.owner = slot;
    ev_init(&slot->wait, wait_over);
    slot->wait.data = slot;
}

static void join(struct slot *slot)
{
    if (slot->conn.state == CONN_IDLE) {
        ev_timer_stop(slot->worker->loop, &slot->wait);
        slot_put(slot, SLOT_TO_DIAL);
    }
}

/* One that is busy leaves when it comes to rest, one that dials when it is ready, one that closes
 * when it has closed. */
static void leave(struct slot *slot)
{
    bool ready = slot->conn.state == CONN_READY && !slot->proving;
    if (slot->conn.state != CONN_IDLE && !ready) {
        return;
    }
    ev_timer_stop(slot->worker->loop, &slot->wait);
    slot_put(slot, SLOT_NOWHERE);
    if (ready) {
        slot_retire(slot);
    }
}

void slot_want(struct slot *slot, bool wanted)
{
    if (wanted) {
        join(slot);
    } else {
        leave(slot);
    }
}

void slot_rest(struct slot *slot, uint64_t pause_ns)
{
    if (slot->worker->state == WORKER_RUNNING && !is_needed(slot)) {
        leave(slot);
        return;
    }
    if (pause_ns > 0) {
        uint64_t now_ns = mono_now_ns(), until_ns = now_ns + pause_ns;
        uint32_t i = slot->n_rests++;
        for (; i > 0 && slot->rests[i - 1] > until_ns; i--) {
            slot->rests[i] = slot->rests[i - 1];
        }
        slot->rests[i] = until_ns;
        if (i == 0) {
            wait_for(slot, pause_ns);
        }
    }
    slot_settle(slot);
}

void slot_change_rest(struct slot *slot, double factor, uint64_t most_ns)
{
    uint64_t now_ns = mono_now_ns();
    for (uint32_t i = 0; i < slot->n_rests; i++) {
        uint64_t left_ns = slot->rests[i] > now_ns ? slot->rests[i] - now_ns : 0;
        left_ns = (uint64_t)((double)left_ns * factor);
        slot->rests[i] = now_ns + (left_ns < most_ns ? left_ns : most_ns);
    }
    wait_for_rest(slot, now_ns);
}

/* The identity of the next dial and its certificate.  The weights decide for every dial, since an
 * identity that always fails would otherwise end up in all slots; when they decide the same again,
 * what no server has seen is kept.  False: a credential is not there. */
static bool choose_client(struct slot *slot, uint64_t now_ns)
{
    struct worker *worker = slot->worker;
    struct holding *holding = &slot->holding;
    if (slot->drawn == NULL) {
        slot->drawn = worker_draw_identity(worker, &worker->n_drawn);
    }
    enum credential_kind kind = holding_dial_kind(slot->drawn);
    holding_turn_to(holding, slot->drawn);
    if (kind == CREDENTIAL_KINDS) {
        return true;
    }
    bool kept = holding->unseen[kind] && holding->held[kind] != NULL &&
                !worker_has_ended(worker, holding->held[kind], now_ns);
    return kept || (!slot->drawn->blocked[SLOT_TO_DIAL] && holding_take(worker, holding, kind));
}

/* Whether this dial is to offer a session, and of those that the client has, which. */
static struct tls_session *choose_session(struct slot *slot, const struct credential *part)
{
    struct worker *worker = slot->worker;
    const struct holding *holding = &slot->holding;
    const struct cert *cert = part != NULL ? part->cert : NULL;
    struct tls_session *session = NULL;
    bool met = part == NULL ||
               (holding->held[CREDENTIAL_PERSONA] != NULL ? part->used
                                                          : !holding->unseen[CREDENTIAL_CERT]);
    slot->resume_ratio = worker->phase->resume_ratio;
    slot->resume = slot->resume_ratio > 0 && rng_double(&worker->dial_rng) < slot->resume_ratio;
    slot->ticket = tls_client_session(worker->tls, cert, slot->resume ? &session : NULL);
    slot->reconnects = slot->ticket != TLS_TICKET_NONE || (slot->was_ready && met);
    return session;
}

static void dial(struct slot *slot)
{
    struct worker *worker = slot->worker;
    const struct credential *part = holding_part(&slot->holding, CREDENTIAL_CERT);
    slot_put(slot, SLOT_NOWHERE);
    slot->drawn = NULL;
    worker_count(worker, COUNTER_DIALED);
    worker->n_handshaking++;
    if (worker_has_ended(worker, part, mono_now_ns())) {
        worker_count(worker, COUNTER_IDENTITY_EXPIRED);
    }
    slot->due_ns =
        worker_dials_fall_due(worker) && worker->backlog.n > 0 ? worker_clock_take(worker) : 0;
    struct tls_session *session = choose_session(slot, part);
    conn_dial(&slot->conn, &worker->env, part != NULL ? part->cert : NULL, session);
    tls_session_free(session);
}

static bool may_dial(const struct worker *worker)
{
    return !worker_dials_fall_due(worker) || worker->backlog.n > 0 || worker->retry.first != NULL;
}

/* The next turn of the loop comes at once. */
static void dial_soon(struct worker *worker)
{
    if (!ev_is_active(&worker->more)) {
        ev_timer_set(&worker->more, 0., 0.);
        ev_timer_start(worker->loop, &worker->more);
    }
}

void slot_dial_waiting(struct worker *worker)
{
    struct slot *slot = NULL;
    for (int i = 0; i < DIALS_A_TURN; i++) {
        slot = may_dial(worker) ? slot_next(worker, SLOT_TO_DIAL) : NULL;
        if (slot == NULL || worker->n_handshaking >= worker->max_handshaking) {
            return;
        }
        if (choose_client(slot, mono_now_ns())) {
            dial(slot);
        } else {
            slot_starve(slot, slot->drawn);
        }
    }
    if (may_dial(worker) && slot_next(worker, SLOT_TO_DIAL) != NULL) {
        dial_soon(worker);
    }
}

static void count_handshake(const struct slot *slot, const struct tls_facts *facts)
{
    struct worker *worker = slot->worker;
    worker_count(worker, facts->resumed ? COUNTER_HANDSHAKE_RESUMED : COUNTER_HANDSHAKE_FULL);
    worker->interval->count[COUNTER_OCSP_STAPLED] += facts->ocsp_bytes > 0;
    worker->interval->count[COUNTER_SCTS] += facts->n_scts;
    if (!slot->reconnects) {
        return;
    }
    worker_count(worker, COUNTER_RECONNECTED);
    worker->interval->count[COUNTER_RESUME_ASKED] += (uint64_t)(slot->resume_ratio * 1e6 + 0.5);
    if (slot->resume && !facts->resumed) {
        worker_count(worker, slot->ticket == TLS_TICKET_READY     ? COUNTER_RESUME_REFUSED
                             : slot->ticket == TLS_TICKET_EXPIRED ? COUNTER_RESUME_EXPIRED
                                                                  : COUNTER_RESUME_NO_TICKET);
    }
}

/* Also of a handshake that failed. */
static void count_early(const struct slot *slot)
{
    static const enum counter counter[] = {[TLS_EARLY_ACCEPTED] = COUNTER_EARLY_ACCEPTED,
                                           [TLS_EARLY_REJECTED] = COUNTER_EARLY_REJECTED};
    enum tls_early early = slot->conn.tls != NULL ? tls_early(slot->conn.tls) : TLS_EARLY_NONE;
    if (early >= TLS_EARLY_OFFERED) {
        worker_count(slot->worker, COUNTER_EARLY_OFFERED);
    }
    if (early > TLS_EARLY_OFFERED) {
        worker_count(slot->worker, counter[early]);
    }
}

/* The handshake has really ended.  With early data it lasts as long as without: from the hello to
 * the server's Finished, with what a rejection adds; the request went with the hello, so it is its
 * service time that holds the handshake, and saves a round trip of waiting for it. */
static void count_ready(struct slot *slot)
{
    struct conn *conn = &slot->conn;
    struct worker *worker = slot->worker;
    struct hist *latency = worker->interval->latency;
    struct tls_facts facts;
    tls_facts(conn->tls, &facts);
    worker->n_handshaking--;
    worker->n_open++;
    count_handshake(slot, &facts);
    count_early(slot);
    slot->was_ready = true;
    slot->is_open = true;
    hist_record(&latency[LATENCY_CONNECT], conn->connected_ns - conn->dial_ns);
    hist_record(&latency[facts.resumed ? LATENCY_HANDSHAKE_RESUMED : LATENCY_HANDSHAKE_FULL],
                conn->ready_ns - conn->connected_ns);
    if (!facts.resumed && facts.asked_for_certificate &&
        holding_part(&slot->holding, CREDENTIAL_CERT) != NULL) {
        holding_expose(worker, &slot->holding, CREDENTIAL_CERT, true);
    }
}

/* pace.mode = handshake.  In TLS 1.3 the client is through before the server has looked at its
 * certificate (RFC 8446, section 4.4.2.4), and a server that sends no tickets says nothing when it
 * is content.  So we end our side, as if there had been all there was to say: what the server then
 * answers, its own close or an alert, comes after it has taken in all of the handshake.  The
 * library ignores tickets after our close_notify, so who wants them sends TCP's FIN alone.  A
 * server of HTTP may call that a bad request and say so (haproxy does): data that nobody asked for,
 * and it comes after the handshake as well. */
static void prove(struct slot *slot)
{
    size_t written;
    slot->proving = true;
    if (slot->worker->phase->resume_ratio > 0) {
        (void)tls_write(slot->conn.tls, "", 0, &written); /* lets the last flight go */
    } else {
        tls_shutdown(slot->conn.tls, true);
    }
    (void)shutdown(slot->conn.fd, SHUT_WR);
    wait_for(slot, slot->worker->job.plan->target.timeout_handshake_ns);
}

static void end_proof(struct slot *slot, enum outcome outcome)
{
    struct hist *latency = slot->worker->interval->latency;
    uint64_t now_ns = mono_now_ns();
    slot->proving = false;
    if (outcome == OUTCOME_OK || outcome == OUTCOME_HTTP_GARBAGE ||
        outcome == OUTCOME_REPLY_EXTRA) {
        count_ready(slot);
        hist_record(&latency[LATENCY_RESPONSE], now_ns - slot->due_ns);
        hist_record(&latency[LATENCY_SERVICE], now_ns - slot->conn.dial_ns);
    }
}

void slot_ready(struct conn *conn)
{
    struct slot *slot = conn->owner;
    struct worker *worker = slot->worker;
    tls_keep_sessions(conn->tls);
    if (worker->job.plan->pace.mode == PACE_HANDSHAKE) {
        prove(slot);
        return;
    }
    slot->outlived = false;
    count_ready(slot);
    if (slot->due_ns != 0 && (worker->state != WORKER_RUNNING || worker->idle)) {
        worker_count(worker, COUNTER_SKIPPED); /* it comes too late for its exchange */
        slot->due_ns = 0;
    }
    if (worker->state == WORKER_RUNNING && !is_needed(slot)) {
        leave(slot);
    } else if (!slot_has_room(slot)) {
        slot_put(slot, SLOT_NOWHERE); /* its first request went with the hello */
    } else if (worker->retry.first != NULL) {
        slot_put_first(slot, SLOT_IDLE); /* for what must be sent again */
    } else {
        slot_put(slot, SLOT_IDLE);
    }
    exchange_pump(worker);
}

/* Alerts that a server sends after it has looked at the client's certificate. */
static bool judged_certificate(enum outcome outcome)
{
    switch (outcome) {
    case OUTCOME_ALERT_BAD_CERTIFICATE:
    case OUTCOME_ALERT_UNSUPPORTED_CERTIFICATE:
    case OUTCOME_ALERT_CERTIFICATE_REVOKED:
    case OUTCOME_ALERT_CERTIFICATE_EXPIRED:
    case OUTCOME_ALERT_CERTIFICATE_UNKNOWN:
    case OUTCOME_ALERT_UNKNOWN_CA:
    case OUTCOME_ALERT_ACCESS_DENIED:
        return true;
    default:
        return false;
    }
}

static void count_closed(struct slot *slot, enum outcome outcome)
{
    struct worker *worker = slot->worker;
    if (slot->is_open) {
        slot->is_open = false;
        worker->n_open--;
        worker_count(worker, COUNTER_CLOSED);
        return;
    }
    worker->n_handshaking--;
    count_early(slot);
    worker_count(worker, COUNTER_DIAL_FAILED);
    worker->interval->outcome[outcome]++;
    if (holding_part(&slot->holding, CREDENTIAL_CERT) != NULL && judged_certificate(outcome)) {
        holding_expose(worker, &slot->holding, CREDENTIAL_CERT, true);
    }
}

/* What no server has seen stays for the next dial. */
static void keep_unseen(struct slot *slot)
{
    for (int kind = 0; kind < CREDENTIAL_KINDS; kind++) {
        if (!slot->holding.unseen[kind]) {
            holding_drop(&slot->holding, kind);
        }
    }
}

static uint64_t backoff_ns(struct slot *slot)
{
    uint64_t ns = BACKOFF_MIN_NS << slot->n_failures;
    ns = ns < BACKOFF_MAX_NS ? ns : BACKOFF_MAX_NS;
    slot->n_failures += slot->n_failures < BACKOFF_DOUBLES;
    uint64_t jittered = ns / 2 + rng_below(&slot->worker->dial_rng, ns / 2 + 1);
    return jittered > BACKOFF_MIN_NS ? jittered : BACKOFF_MIN_NS;
}

void slot_closed(struct conn *conn, enum outcome outcome)
{
    struct slot *slot = conn->owner;
    struct worker *worker = slot->worker;
    BUG_ON(conn->n_streams != 0);
    slot_put(slot, SLOT_NOWHERE);
    ev_timer_stop(worker->loop, &slot->wait);
    if (slot->proving) {
        end_proof(slot, outcome);
    }
    slot->n_rests = 0;
    count_closed(slot, outcome);
    keep_unseen(slot);
    if (worker->state != WORKER_RUNNING || !is_needed(slot)) {
        return;
    }
    /* A connection that carried nothing has failed even when it ended politely: a TLS 1.3 server
     * refuses a client's certificate only after the client has finished. */
    bool served = conn->was_ready && conn->n_exchanges > 0;
    bool again = worker->retry.first != NULL;
    if (worker_dials_fall_due(worker) && !again) { /* another start is another's: no pause */
        slot_put(slot, SLOT_TO_DIAL);
        if (!conn->was_ready) { /* it may have failed behind this turn's dials */
            dial_soon(worker);
        }
    } else if (served && (outcome == OUTCOME_OK || slot->outlived)) {
        slot_put(slot, SLOT_TO_DIAL);
    } else {
        wait_for(slot, backoff_ns(slot));
    }
}

void slot_clear(struct slot *slot)
{
    holding_turn_to(&slot->holding, NULL);
}
