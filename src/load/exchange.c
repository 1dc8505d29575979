#include "load/exchange.h"

#include "base/bug.h"
#include "base/mem.h"
#include "base/mono.h"
#include "load/misuse.h"
#include "load/refusal.h"
#include "load/slot.h"
#include "load/worker_clock.h"
#include "load/worker_inside.h"
#include "net/tls_early.h"

#include <stdlib.h>

/* Once again and no more (RFC 9110, section 9.2.2).  What a GOAWAY left untouched may go on to the
 * next connection, and that may close as early: the oldest get through each time. */
enum { MAX_SENT = 2, MAX_SENT_UNTOUCHED = 16 };
enum { HTTP_TOO_EARLY = 425 };

static struct exchange *exchange_new(struct worker *worker)
{
    struct exchange *exchange = worker->free_exchanges;
    if (exchange == NULL) {
        exchange = xcalloc(1, sizeof *exchange);
        exchange->stream.owner = exchange;
        return exchange;
    }
    worker->free_exchanges = exchange->next;
    exchange->next = NULL;
    return exchange;
}

static void exchange_done(struct worker *worker, struct exchange *exchange)
{
    holding_turn_to(&exchange->holding, NULL);
    exchange->request = NULL;
    exchange->n_sent = 0;
    exchange->wants_fresh = false;
    exchange->next = worker->free_exchanges;
    worker->free_exchanges = exchange;
}

static bool ends_by(const struct worker *worker, const struct credential *credential,
                    uint64_t ahead_ns)
{
    return credential != NULL && credential->not_after_s != 0 &&
           worker_has_ended(worker, credential, mono_now_ns() + ahead_ns);
}

/* A token of a connection may end before the connection does; a second early, since the server's
 * clock rounds as it likes.  One that had ended at the handshake comes from a file, and there is no
 * better. */
static bool runs_out(const struct slot *slot, const struct credential *credential)
{
    return ends_by(slot->worker, credential, NS_PER_S) &&
           !worker_has_ended(slot->worker, credential, slot->conn.ready_ns);
}

/* Sees to it that the keys and tokens are there: those of the connection in the slot, where a token
 * may end before the connection does, those of a request in the exchange. */
static bool equip(struct worker *worker, struct slot *slot, struct exchange *exchange)
{
    struct worker_identity *identity = slot->holding.identity;
    holding_turn_to(&exchange->holding, identity);
    enum credential_kind dialed = holding_dial_kind(identity);
    for (int kind = CREDENTIAL_APIKEY; kind < CREDENTIAL_KINDS; kind++) {
        struct pool *pool = identity->pool[kind];
        if (pool == NULL || kind == (int)dialed) {
            continue;
        }
        bool lasting = pool_per_connection(pool);
        struct holding *holding = lasting ? &slot->holding : &exchange->holding;
        if (lasting && runs_out(slot, holding->held[kind])) {
            holding_drop(holding, kind);
        }
        if (holding->held[kind] == NULL && !holding_take(worker, holding, kind)) {
            return false;
        }
    }
    return true;
}

/* The token of a client that is one with its certificate ends: only another connection can carry
 * its successor. */
static bool has_outlived_token(const struct slot *slot)
{
    const struct credential *persona = slot->holding.held[CREDENTIAL_PERSONA];
    if (persona == NULL || holding_dial_kind(slot->holding.identity) != CREDENTIAL_PERSONA ||
        slot->conn.n_sent == 0) {
        return false;
    }
    return runs_out(slot, persona->part[CREDENTIAL_JWT]);
}

static bool is_spent(const struct worker *worker, uint64_t n_sent)
{
    return worker->requests_per_connection != 0 && n_sent >= worker->requests_per_connection;
}

/* What the request carries.  Its use is counted when it is first sent. */
static void present(struct slot *slot, struct exchange *exchange,
                    struct credential *credentials[CREDENTIAL_PARTS])
{
    struct worker *worker = slot->worker;
    bool expired = false;
    credentials[CREDENTIAL_CERT] = NULL;
    for (int kind = CREDENTIAL_APIKEY; kind < CREDENTIAL_PARTS; kind++) {
        bool own = holding_part(&exchange->holding, kind) != NULL;
        struct holding *holding = own ? &exchange->holding : &slot->holding;
        credentials[kind] = holding_part(holding, kind);
        if (credentials[kind] == NULL) {
            continue;
        }
        holding_expose(worker, holding, kind, exchange->n_sent == 0);
        expired = expired || ends_by(worker, credentials[kind], 0);
    }
    if (expired) {
        worker_count(worker, COUNTER_IDENTITY_EXPIRED);
    }
}

static void send_on(struct slot *slot, struct exchange *exchange)
{
    struct worker *worker = slot->worker;
    struct credential *credentials[CREDENTIAL_PARTS];
    const struct request *request = exchange->request;
    size_t identity = slot->holding.identity->index;
    present(slot, exchange, credentials);
    size_t size = request_size(&worker->requests, identity, request, credentials);
    if (size > exchange->head_size) {
        exchange->head = xrealloc(exchange->head, size);
        exchange->head_size = size;
    }
    struct conn_request made;
    request_make(&worker->requests, identity, request, credentials, conn_is_h2(&slot->conn),
                 exchange->head, &made);
    exchange->n_sent++;
    exchange->early = slot->conn.state != CONN_READY;
    /* One that is early may have to be sent again on this connection. */
    slot->conn.close_after = !exchange->early && is_spent(worker, slot->conn.n_sent + 1u);
    conn_send(&slot->conn, &exchange->stream, &made);
    slot_put(slot, slot_has_room(slot) ? SLOT_IDLE : SLOT_NOWHERE); /* its turn is over */
}

static void begin(struct worker *worker, struct slot *slot, struct exchange *exchange)
{
    exchange->due_ns = worker_exchanges_fall_due(worker) ? worker_clock_take(worker) : slot->due_ns;
    slot->due_ns = 0;
    worker_count(worker, COUNTER_STARTED);
    worker->n_in_flight++;
    refusals_earn(worker->refusals);
    misuses_earn(worker->misuses);
    send_on(slot, exchange);
}

/* Sends the oldest of what must be sent again. */
static bool send_again(struct worker *worker, struct slot *slot)
{
    struct exchange *exchange = worker->retry.first;
    if (!equip(worker, slot, exchange)) {
        return false;
    }
    worker->retry.first = exchange->next;
    if (worker->retry.first == NULL) {
        worker->retry.last = NULL;
    }
    exchange->next = NULL;
    send_on(slot, exchange);
    return true;
}

/* What this client asks next, with its credentials; NULL: one is not there.  It is the same until
 * it is begun. */
static struct exchange *prepare_next(struct worker *worker, struct slot *slot)
{
    struct worker_identity *identity = slot->holding.identity;
    if (identity->next_exchange == NULL) {
        identity->next_exchange = exchange_new(worker);
    }
    struct exchange *exchange = identity->next_exchange;
    if (!equip(worker, slot, exchange)) {
        return NULL;
    }
    if (exchange->request == NULL) {
        exchange->request = request_pick(&worker->requests, &worker->request_rng);
    }
    return exchange;
}

static bool begin_next(struct worker *worker, struct slot *slot)
{
    struct exchange *exchange = prepare_next(worker, slot);
    if (exchange == NULL) {
        return false;
    }
    slot->holding.identity->next_exchange = NULL;
    begin(worker, slot, exchange);
    return true;
}

/* Another connection that has been idle as long may be dead as well: only a new one proves
 * anything.  The slot that failed dials one at once; at the end of the run nobody does. */
static bool may_carry_again(const struct worker *worker, const struct slot *slot)
{
    const struct exchange *first = worker->retry.first;
    return first != NULL &&
           (!first->wants_fresh || slot->conn.n_exchanges == 0 || worker->state != WORKER_RUNNING);
}

static bool has_next(const struct worker *worker)
{
    return worker->state == WORKER_RUNNING && !worker->idle &&
           (!worker_exchanges_fall_due(worker) || worker->backlog.n > 0);
}

/* What has to be sent again goes first, and never early. */
void exchange_early(struct conn *conn)
{
    struct slot *slot = conn->owner;
    struct worker *worker = slot->worker;
    if (worker->state == WORKER_CLOSING || worker->retry.first != NULL || !has_next(worker)) {
        return;
    }
    struct exchange *exchange = prepare_next(worker, slot);
    if (exchange != NULL && exchange->request->may_be_early) {
        slot->holding.identity->next_exchange = NULL;
        begin(worker, slot, exchange);
    }
}

/* A connection that can carry what must be sent again goes before those that starved. */
static struct slot *next_sender(const struct worker *worker)
{
    struct slot *idle = worker->queue[SLOT_IDLE].first;
    return idle != NULL && may_carry_again(worker, idle) ? idle : slot_next(worker, SLOT_IDLE);
}

void exchange_pump(struct worker *worker)
{
    if (worker->pumping || worker->state == WORKER_CLOSING) {
        return;
    }
    worker->pumping = true;
    for (struct slot *slot; (slot = next_sender(worker)) != NULL;) {
        struct worker_identity *identity = slot->holding.identity;
        bool again = may_carry_again(worker, slot);
        if (!again && !has_next(worker)) {
            break;
        }
        if (!slot_has_room(slot)) { /* the server has lowered its limit, or goes away */
            slot_put(slot, SLOT_NOWHERE);
        } else if (has_outlived_token(slot)) {
            slot_put(slot, SLOT_NOWHERE);
            slot_retire(slot);
        } else if (identity->blocked[SLOT_IDLE] ||
                   !(again ? send_again(worker, slot) : begin_next(worker, slot))) {
            slot_starve(slot, identity);
        }
    }
    worker->pumping = false;
}

/* Did the server close a kept connection at the moment we used it again?  That is no fault of
 * anybody's, and a client with keep-alive sends an idempotent request once more. */
static bool outlives(const struct conn *conn, const struct exchange *exchange, enum outcome outcome)
{
    return (outcome == OUTCOME_HTTP_CLOSED || outcome == OUTCOME_HTTP_RESET) &&
           conn->n_exchanges > 0 && !exchange->stream.started;
}

/* What the server has not touched may be sent again whatever its method (RFC 9113, sections 6.8
 * and 8.7). */
static bool may_send_again(const struct worker *worker, const struct conn *conn,
                           const struct exchange *exchange, enum outcome outcome)
{
    if (worker->state == WORKER_CLOSING) {
        return false;
    }
    if (exchange->early && !conn->was_ready) { /* a handshake without early data may do better */
        return exchange->n_sent < MAX_SENT;
    }
    if (exchange->stream.unprocessed) {
        return exchange->n_sent < (outcome == OUTCOME_H2_GOAWAY ? MAX_SENT_UNTOUCHED : MAX_SENT);
    }
    return outlives(conn, exchange, outcome) && exchange->request->idempotent &&
           exchange->n_sent < MAX_SENT;
}

static void put_back(struct worker *worker, struct exchange *exchange)
{
    worker_count(worker, COUNTER_RETRIED);
    exchange->wants_fresh = !exchange->stream.unprocessed;
    exchange->next = NULL;
    *(worker->retry.last != NULL ? &worker->retry.last->next : &worker->retry.first) = exchange;
    worker->retry.last = exchange;
}

static void fail(struct worker *worker, struct exchange *exchange, enum outcome outcome)
{
    worker->n_in_flight--;
    worker_count(worker, COUNTER_FAILED);
    worker->interval->outcome[outcome]++;
    exchange_done(worker, exchange);
}

static void count_completed(struct worker *worker, const struct exchange *exchange, uint64_t now_ns)
{
    struct interval *interval = worker->interval;
    const struct stream *stream = &exchange->stream;
    int class = stream->status / 100;
    uint64_t response_from_ns = exchange->due_ns != 0 ? exchange->due_ns : stream->sent_ns;
    worker->n_in_flight--;
    worker_count(worker, COUNTER_COMPLETED);
    interval->status[class >= 1 && class <= 5 ? class : 0] += !exchange->request->raw;
    if (request_expects(exchange->request, stream->status)) {
        interval->outcome[OUTCOME_OK]++;
    } else {
        worker_count(worker, COUNTER_UNEXPECTED);
        interval->outcome[OUTCOME_STATUS]++;
    }
    hist_record(&interval->latency[LATENCY_SERVICE], now_ns - stream->sent_ns);
    hist_record(&interval->latency[LATENCY_RESPONSE], now_ns - response_from_ns);
    if (stream->first_byte_ns != 0) { /* a raw exchange may end without */
        hist_record(&interval->latency[LATENCY_FIRST_BYTE],
                    stream->first_byte_ns - stream->sent_ns);
    }
}

/* Closed loop: think time, and in a dwell of low rate what makes the whole cycle that much
 * longer. */
static uint64_t pause_ns(const struct worker *worker, uint64_t service_ns)
{
    if (worker_exchanges_fall_due(worker)) {
        return 0;
    }
    if (!worker->slow) {
        return worker->phase->think_time_ns;
    }
    return SCHEDULE_LOW_RATE * (worker->phase->think_time_ns + service_ns) - service_ns;
}

/* The server may have closed under it.  Where the connection stays, the slot has a place again. */
static void not_completed(struct worker *worker, struct slot *slot, struct exchange *exchange,
                          enum outcome outcome)
{
    slot->outlived = outlives(&slot->conn, exchange, outcome);
    if (may_send_again(worker, &slot->conn, exchange, outcome)) {
        put_back(worker, exchange);
    } else {
        fail(worker, exchange, outcome);
    }
    if (slot->conn.state == CONN_READY) {
        slot_settle(slot);
    }
    exchange_pump(worker);
}

/* RFC 8470, section 5.2: the server wants it behind the handshake, which is done by now. */
static bool is_too_early(const struct conn *conn, const struct exchange *exchange)
{
    return exchange->stream.status == HTTP_TOO_EARLY && exchange->early &&
           tls_early(conn->tls) == TLS_EARLY_ACCEPTED;
}

/* On the same connection, where that stays. */
static void send_later(struct worker *worker, struct slot *slot, struct exchange *exchange)
{
    worker_count(worker, COUNTER_EARLY_PUT_OFF);
    put_back(worker, exchange);
    exchange->wants_fresh = false;
    if (slot->conn.state == CONN_READY) {
        slot_settle(slot);
    }
    exchange_pump(worker);
}

void exchange_ended(struct conn *conn, struct stream *stream, enum outcome outcome)
{
    struct slot *slot = conn->owner;
    struct worker *worker = slot->worker;
    struct exchange *exchange = stream->owner;
    if (outcome != OUTCOME_OK) {
        not_completed(worker, slot, exchange, outcome);
        return;
    }
    if (is_too_early(conn, exchange)) {
        send_later(worker, slot, exchange);
        return;
    }
    uint64_t now_ns = mono_now_ns();
    uint64_t service_ns = now_ns - stream->sent_ns;
    bool last = exchange->early && is_spent(worker, conn->n_sent);
    count_completed(worker, exchange, now_ns);
    exchange_done(worker, exchange);
    slot->n_failures = 0;
    if (conn->state == CONN_READY && !conn->close_after) {
        if (last) {
            slot_retire(slot);
        } else {
            slot_rest(slot, pause_ns(worker, service_ns));
        }
        exchange_pump(worker);
    }
}

void exchange_give_up(struct worker *worker, enum outcome outcome)
{
    while (worker->retry.first != NULL) {
        struct exchange *exchange = worker->retry.first;
        worker->retry.first = exchange->next;
        fail(worker, exchange, outcome);
    }
    worker->retry.last = NULL;
}

void exchange_clear(struct worker *worker)
{
    BUG_ON(worker->retry.first != NULL);
    for (size_t i = 0; worker->identities != NULL && i < worker->job.plan->n_identities; i++) {
        struct worker_identity *identity = &worker->identities[i];
        if (identity->next_exchange != NULL) {
            exchange_done(worker, identity->next_exchange);
            identity->next_exchange = NULL;
        }
    }
    while (worker->free_exchanges != NULL) {
        struct exchange *exchange = worker->free_exchanges;
        worker->free_exchanges = exchange->next;
        free(exchange->head);
        free(exchange);
    }
}
