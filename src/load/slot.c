#include "load/slot.h"

#include "base/bug.h"
#include "base/mono.h"
#include "base/str.h"
#include "load/worker_inside.h"

#define BACKOFF_MIN_NS  (10 * NS_PER_MS)
#define BACKOFF_MAX_NS  NS_PER_S
#define BACKOFF_DOUBLES 7 /* 10 ms << 7 is beyond a second */

/* Dials of one loop turn; more would keep responses waiting (a connect costs 10 us and more). */
enum { DIALS_A_TURN = 32 };

void slot_put(struct slot *slot, enum slot_place place)
{
    struct slot_queue *queues = slot->worker->queue;
    if (slot->place != SLOT_NOWHERE) {
        struct slot_queue *from = &queues[slot->place];
        *(slot->prev != NULL ? &slot->prev->next : &from->first) = slot->next;
        *(slot->next != NULL ? &slot->next->prev : &from->last) = slot->prev;
    }
    slot->place = place;
    slot->prev = slot->next = NULL;
    if (place != SLOT_NOWHERE) {
        struct slot_queue *to = &queues[place];
        slot->prev = to->last;
        *(to->last != NULL ? &to->last->next : &to->first) = slot;
        to->last = slot;
    }
}

static void put_first(struct slot *slot, enum slot_place place)
{
    struct slot_queue *to = &slot->worker->queue[place];
    slot_put(slot, SLOT_NOWHERE);
    slot->place = place;
    slot->next = to->first;
    *(to->first != NULL ? &to->first->prev : &to->last) = slot;
    to->first = slot;
}

static void wait_over(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop;
    (void)events;
    struct slot *slot = timer->data;
    if (slot->conn.state == CONN_READY) {
        slot_put(slot, SLOT_IDLE);
        exchange_pump(slot->worker);
    } else {
        slot_put(slot, SLOT_TO_DIAL);
    }
}

void slot_init(struct slot *slot, struct worker *worker)
{
    slot->worker = worker;
    slot->conn.owner = slot;
    ev_init(&slot->wait, wait_over);
    slot->wait.data = slot;
}

static void wait_for(struct slot *slot, uint64_t pause_ns)
{
    ev_timer_set(&slot->wait, (double)pause_ns * 1e-9, 0.);
    ev_timer_start(slot->worker->loop, &slot->wait);
}

void slot_rest(struct slot *slot, uint64_t pause_ns)
{
    if (pause_ns == 0) {
        slot_put(slot, SLOT_IDLE);
    } else {
        wait_for(slot, pause_ns);
    }
}

void slot_stretch_rest(struct slot *slot, double factor)
{
    if (slot->conn.state == CONN_READY && ev_is_active(&slot->wait)) {
        double left_s = ev_timer_remaining(slot->worker->loop, &slot->wait);
        ev_timer_stop(slot->worker->loop, &slot->wait);
        wait_for(slot, left_s > 0 ? (uint64_t)(left_s * factor * 1e9) : 0);
    }
}

static bool is_expired(const struct credential *credential, int64_t now_s)
{
    return credential->not_after_s != 0 && now_s >= credential->not_after_s;
}

static void drop_session(struct slot *slot)
{
    tls_session_free(slot->session);
    slot->session = NULL;
}

/* The certificate of the next dial.  It stays the same when the dice say resume (a session
 * belongs to the certificate it was made with), and when the server has not yet seen it: its
 * first use is counted once, by whichever dial succeeds. */
static bool choose_certificate(struct slot *slot, uint64_t now_ns)
{
    struct worker *worker = slot->worker;
    struct credential **held = &slot->held[CREDENTIAL_CERT];
    bool resumes = slot->resume && slot->session != NULL;
    if (worker->pool[CREDENTIAL_CERT] != NULL) {
        bool usable = *held != NULL && !is_expired(*held, worker_epoch_s(worker, now_ns));
        resumes = resumes && usable;
        if (!resumes && !(usable && slot->first[CREDENTIAL_CERT])) {
            struct credential *fresh = NULL;
            bool first = false;
            if (!worker_take_credential(worker, CREDENTIAL_CERT, &fresh, &first)) {
                return false;
            }
            worker_drop_credential(worker, CREDENTIAL_CERT, held);
            *held = fresh;
            slot->first[CREDENTIAL_CERT] = first;
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
    const struct credential *credential = slot->held[CREDENTIAL_CERT];
    slot_put(slot, SLOT_NOWHERE);
    worker_count(worker, COUNTER_DIALED);
    worker->n_handshaking++;
    conn_dial(&slot->conn, &worker->env, credential != NULL ? credential->cert : NULL,
              slot->session);
}

void slot_dial_waiting(struct worker *worker)
{
    struct slot_queue *waiting = &worker->queue[SLOT_TO_DIAL];
    for (int i = 0; i < DIALS_A_TURN; i++) {
        if (waiting->first == NULL || worker->dial_blocked ||
            worker->n_handshaking >= worker->max_handshaking) {
            return;
        }
        if (!choose_certificate(waiting->first, mono_now_ns())) {
            worker->dial_blocked = true;
            return;
        }
        dial(waiting->first);
    }
    if (waiting->first != NULL) {
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
    if (!facts.resumed && facts.asked_for_certificate && slot->held[CREDENTIAL_CERT] != NULL) {
        worker_expose(worker, CREDENTIAL_CERT, &slot->first[CREDENTIAL_CERT]);
    }
    /* A TLS 1.3 session is used once (RFC 8446, appendix C.4); a TLS 1.2 server that resumes may
     * well not give another. */
    if (!facts.resumed || !str_equal(facts.version, "TLSv1.2")) {
        drop_session(slot);
    }
    if (worker->retry.first != NULL) {
        put_first(slot, SLOT_IDLE); /* for what must be sent again */
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
    if (slot->held[CREDENTIAL_CERT] != NULL && judged_certificate(outcome)) {
        worker_expose(worker, CREDENTIAL_CERT, &slot->first[CREDENTIAL_CERT]);
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
    for (int kind = CREDENTIAL_APIKEY; kind < CREDENTIAL_KINDS; kind++) {
        if (!slot->first[kind]) {
            worker_drop_credential(worker, kind, &slot->held[kind]);
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
    BUG_ON(slot->exchange != NULL);
    slot_put(slot, SLOT_NOWHERE);
    ev_timer_stop(worker->loop, &slot->wait);
    count_closed(slot, outcome);
    keep_for_next(slot);
    if (worker->state != WORKER_RUNNING) {
        return;
    }
    /* A connection that carried nothing has failed even when it ended politely: a TLS 1.3 server
     * refuses a client's certificate only after the client has finished. */
    bool served = conn->was_ready && conn->n_exchanges > 0;
    if (served && (outcome == OUTCOME_OK || exchange_outlives(conn, outcome))) {
        slot_put(slot, SLOT_TO_DIAL);
    } else {
        wait_for(slot, backoff_ns(slot));
    }
}

void slot_clear(struct slot *slot)
{
    drop_session(slot);
    for (int kind = 0; kind < CREDENTIAL_KINDS; kind++) {
        worker_drop_credential(slot->worker, kind, &slot->held[kind]);
    }
}
