#include "load/slot.h"

#include "base/bug.h"
#include "base/mono.h"
#include "base/str.h"
#include "load/exchange.h"
#include "load/worker_inside.h"

#include <string.h>

#define BACKOFF_MIN_NS  (10 * NS_PER_MS)
#define BACKOFF_MAX_NS  NS_PER_S
#define BACKOFF_DOUBLES 7 /* 10 ms << 7 is beyond a second */

/* Dials of one loop turn; more would keep responses waiting (a connect costs 10 us and more). */
enum { DIALS_A_TURN = 32 };

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
    if (slot->conn.state == CONN_READY) {
        end_rests(slot);
        slot_settle(slot);
        exchange_pump(slot->worker);
    } else {
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

void slot_rest(struct slot *slot, uint64_t pause_ns)
{
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

void slot_stretch_rest(struct slot *slot, double factor)
{
    uint64_t now_ns = mono_now_ns();
    for (uint32_t i = 0; i < slot->n_rests; i++) {
        uint64_t left_ns = slot->rests[i] > now_ns ? slot->rests[i] - now_ns : 0;
        slot->rests[i] = now_ns + (uint64_t)((double)left_ns * factor);
    }
    wait_for_rest(slot, now_ns);
}

static void drop_session(struct slot *slot)
{
    tls_session_free(slot->session);
    slot->session = NULL;
}

/* The identity of the next dial and its certificate.  A session is offered by the client that it
 * was made with.  Else the weights decide for every dial, since an identity that always fails would
 * otherwise end up in all slots; when they decide the same again, what no server has seen is kept.
 * False: a credential is not there. */
static bool choose_client(struct slot *slot, uint64_t now_ns)
{
    struct worker *worker = slot->worker;
    struct holding *holding = &slot->holding;
    if (slot->drawn == NULL) {
        bool resumes = slot->resume && slot->session != NULL;
        slot->drawn = resumes ? holding->identity : worker_draw_identity(worker);
    }
    bool same = slot->drawn == holding->identity;
    bool resumes = same && slot->resume && slot->session != NULL;
    enum credential_kind kind = holding_dial_kind(slot->drawn);
    holding_turn_to(holding, slot->drawn);
    if (kind != CREDENTIAL_KINDS) {
        bool usable =
            holding->held[kind] != NULL && !worker_has_ended(worker, holding->held[kind], now_ns);
        resumes = resumes && usable;
        if (!resumes && !(usable && holding->unseen[kind]) &&
            (slot->drawn->blocked[SLOT_TO_DIAL] || !holding_take(worker, holding, kind))) {
            return false;
        }
    }
    if (!resumes) {
        drop_session(slot);
    }
    return true;
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
    conn_dial(&slot->conn, &worker->env, part != NULL ? part->cert : NULL, slot->session);
}

void slot_dial_waiting(struct worker *worker)
{
    struct slot *slot = NULL;
    for (int i = 0; i < DIALS_A_TURN; i++) {
        slot = slot_next(worker, SLOT_TO_DIAL);
        if (slot == NULL || worker->n_handshaking >= worker->max_handshaking) {
            return;
        }
        if (choose_client(slot, mono_now_ns())) {
            dial(slot);
        } else {
            slot_starve(slot, slot->drawn);
        }
    }
    if (slot_next(worker, SLOT_TO_DIAL) != NULL) {
        ev_timer_set(&worker->more, 0., 0.);
        ev_timer_start(worker->loop, &worker->more);
    }
}

void slot_ready(struct conn *conn)
{
    struct slot *slot = conn->owner;
    struct worker *worker = slot->worker;
    struct hist *latency = worker->interval->latency;
    struct tls_facts facts;
    tls_facts(conn->tls, &facts);
    worker->n_handshaking--;
    worker->n_open++;
    worker_count(worker, facts.resumed ? COUNTER_HANDSHAKE_RESUMED : COUNTER_HANDSHAKE_FULL);
    hist_record(&latency[LATENCY_CONNECT], conn->connected_ns - conn->dial_ns);
    hist_record(&latency[facts.resumed ? LATENCY_HANDSHAKE_RESUMED : LATENCY_HANDSHAKE_FULL],
                conn->ready_ns - conn->connected_ns);
    if (!facts.resumed && facts.asked_for_certificate &&
        holding_part(&slot->holding, CREDENTIAL_CERT) != NULL) {
        holding_expose(worker, &slot->holding, CREDENTIAL_CERT, true);
    }
    /* A TLS 1.3 session is used once (RFC 8446, appendix C.4); a TLS 1.2 server that resumes may
     * well not give another. */
    if (!facts.resumed || !str_equal(facts.version, "TLSv1.2")) {
        drop_session(slot);
    }
    slot->outlived = false;
    if (worker->retry.first != NULL) {
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
    if (slot->conn.was_ready) {
        worker->n_open--;
        worker_count(worker, COUNTER_CLOSED);
        return;
    }
    worker->n_handshaking--;
    worker_count(worker, COUNTER_DIAL_FAILED);
    worker->interval->outcome[outcome]++;
    if (holding_part(&slot->holding, CREDENTIAL_CERT) != NULL && judged_certificate(outcome)) {
        holding_expose(worker, &slot->holding, CREDENTIAL_CERT, true);
    }
}

/* What the next connection of this slot may go on with. */
static void keep_for_next(struct slot *slot)
{
    struct worker *worker = slot->worker;
    double ratio = worker->job.plan->pace.resume_ratio;
    slot->resume = ratio > 0 && rng_double(&worker->dial_rng) < ratio;
    if (slot->resume && slot->conn.was_ready) {
        struct tls_session *newest = tls_take_session(slot->conn.tls);
        if (newest != NULL) {
            drop_session(slot);
            slot->session = newest;
        }
    } else {
        drop_session(slot);
    }
    enum credential_kind kept = holding_dial_kind(slot->holding.identity);
    for (int kind = 0; kind < CREDENTIAL_KINDS; kind++) {
        if (kind != (int)kept && !slot->holding.unseen[kind]) {
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
    slot->n_rests = 0;
    count_closed(slot, outcome);
    keep_for_next(slot);
    if (worker->state != WORKER_RUNNING) {
        return;
    }
    /* A connection that carried nothing has failed even when it ended politely: a TLS 1.3 server
     * refuses a client's certificate only after the client has finished. */
    bool served = conn->was_ready && conn->n_exchanges > 0;
    if (served && (outcome == OUTCOME_OK || slot->outlived)) {
        slot_put(slot, SLOT_TO_DIAL);
    } else {
        wait_for(slot, backoff_ns(slot));
    }
}

void slot_clear(struct slot *slot)
{
    drop_session(slot);
    holding_turn_to(&slot->holding, NULL);
}
