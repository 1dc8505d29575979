#include "load/exchange.h"

#include "base/bug.h"
#include "base/mem.h"
#include "base/mono.h"
#include "load/slot.h"
#include "load/worker_inside.h"

#include <stdlib.h>

#define LATE_NS NS_PER_MS

/* Once again and no more (RFC 9110, section 9.2.2). */
enum { MAX_SENT = 2 };

static struct exchange *exchange_new(struct worker *worker)
{
    struct exchange *exchange = worker->free_exchanges;
    if (exchange == NULL) {
        return xcalloc(1, sizeof *exchange);
    }
    worker->free_exchanges = exchange->next;
    exchange->next = NULL;
    return exchange;
}

static void exchange_done(struct worker *worker, struct exchange *exchange)
{
    for (int kind = CREDENTIAL_APIKEY; kind < CREDENTIAL_KINDS; kind++) {
        worker_drop_credential(worker, kind, &exchange->held[kind]);
        exchange->first[kind] = false;
    }
    exchange->n_sent = 0;
    exchange->next = worker->free_exchanges;
    worker->free_exchanges = exchange;
}

/* A token of a connection may end before the connection does; a second early, since the server's
 * clock rounds as it likes. */
static bool is_ending(const struct worker *worker, const struct credential *held)
{
    return held != NULL && held->not_after_s != 0 &&
           held->not_after_s <= worker_epoch_s(worker, mono_now_ns()) + 1;
}

/* Sees to it that the keys and tokens are there: those of the connection in the slot, those of a
 * request in the exchange. */
static bool equip(struct worker *worker, struct slot *slot, struct exchange *exchange)
{
    for (int kind = CREDENTIAL_APIKEY; kind < CREDENTIAL_KINDS; kind++) {
        struct pool *pool = worker->pool[kind];
        if (pool == NULL) {
            continue;
        }
        bool lasting = pool_per_connection(pool);
        struct credential **held = lasting ? &slot->held[kind] : &exchange->held[kind];
        bool *first = lasting ? &slot->first[kind] : &exchange->first[kind];
        if (lasting && is_ending(worker, *held)) {
            worker_drop_credential(worker, kind, held);
        }
        if (*held == NULL && !worker_take_credential(worker, kind, held, first)) {
            return false;
        }
    }
    return true;
}

static bool is_last_of_connection(const struct worker *worker, const struct conn *conn)
{
    return worker->requests_per_connection != 0 &&
           conn->n_exchanges + 1 >= worker->requests_per_connection;
}

static void send_on(struct slot *slot, struct exchange *exchange)
{
    struct worker *worker = slot->worker;
    struct credential *credentials[CREDENTIAL_KINDS];
    for (int kind = 0; kind < CREDENTIAL_KINDS; kind++) {
        credentials[kind] = exchange->held[kind] != NULL ? exchange->held[kind] : slot->held[kind];
        if (kind != CREDENTIAL_CERT && credentials[kind] != NULL && exchange->n_sent == 0) {
            bool lasting = exchange->held[kind] == NULL;
            worker_expose(worker, kind, lasting ? &slot->first[kind] : &exchange->first[kind]);
        }
    }
    const struct request *request = exchange->request;
    size_t size = request_size(&worker->requests, request, credentials);
    if (size > exchange->head_size) {
        exchange->head = xrealloc(exchange->head, size);
        exchange->head_size = size;
    }
    size_t len = request_write(&worker->requests, request, credentials, exchange->head);
    exchange->n_sent++;
    slot->exchange = exchange;
    slot_put(slot, SLOT_NOWHERE);
    slot->conn.close_after = is_last_of_connection(worker, &slot->conn);
    /* May fail at once and call exchange_ended and slot_closed before it returns. */
    conn_send(&slot->conn, exchange->head, len, request->body, request->body_len,
              request->head_request);
}

static void begin(struct worker *worker, struct slot *slot, struct exchange *exchange)
{
    exchange->due_ns = 0;
    if (worker->job.plan->pace.mode == PACE_OPEN) {
        exchange->due_ns = worker->zero_ns + backlog_first(&worker->backlog);
        backlog_pop(&worker->backlog);
        if (mono_now_ns() > exchange->due_ns + LATE_NS) {
            worker_count(worker, COUNTER_LATE);
        }
    }
    exchange->request = request_pick(&worker->requests, &worker->request_rng);
    worker_count(worker, COUNTER_STARTED);
    worker->n_in_flight++;
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

static bool begin_next(struct worker *worker, struct slot *slot)
{
    if (worker->next_exchange == NULL) {
        worker->next_exchange = exchange_new(worker);
    }
    if (!equip(worker, slot, worker->next_exchange)) {
        return false;
    }
    struct exchange *exchange = worker->next_exchange;
    worker->next_exchange = NULL;
    begin(worker, slot, exchange);
    return true;
}

/* Another connection that has been idle as long may be dead as well: only a new one proves
 * anything.  The slot that failed dials one at once; at the end of the run nobody does. */
static bool may_carry_again(const struct worker *worker, const struct slot *slot)
{
    return worker->retry.first != NULL &&
           (slot->conn.n_exchanges == 0 || worker->state != WORKER_RUNNING);
}

static bool has_next(const struct worker *worker)
{
    return worker->state == WORKER_RUNNING &&
           (worker->job.plan->pace.mode == PACE_CLOSED || worker->backlog.n > 0);
}

void exchange_pump(struct worker *worker)
{
    if (worker->pumping || worker->state == WORKER_CLOSING) {
        return;
    }
    worker->pumping = true;
    while (worker->queue[SLOT_IDLE].first != NULL && !worker->send_blocked) {
        struct slot *slot = worker->queue[SLOT_IDLE].first;
        if (may_carry_again(worker, slot)) {
            worker->send_blocked = !send_again(worker, slot);
        } else if (has_next(worker)) {
            worker->send_blocked = !begin_next(worker, slot);
        } else {
            break;
        }
    }
    worker->pumping = false;
}

bool exchange_outlives(const struct conn *conn, enum outcome outcome)
{
    return (outcome == OUTCOME_HTTP_CLOSED || outcome == OUTCOME_HTTP_RESET) &&
           conn->n_exchanges > 0 && !conn->h1.started;
}

static bool may_send_again(const struct worker *worker, const struct conn *conn,
                           const struct exchange *exchange, enum outcome outcome)
{
    return worker->state != WORKER_CLOSING && exchange_outlives(conn, outcome) &&
           exchange->request->idempotent && exchange->n_sent < MAX_SENT;
}

static void put_back(struct worker *worker, struct exchange *exchange)
{
    worker_count(worker, COUNTER_RETRIED);
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

static void count_completed(struct worker *worker, const struct conn *conn,
                            const struct exchange *exchange, uint64_t now_ns)
{
    struct interval *interval = worker->interval;
    int class = conn->h1.status / 100;
    uint64_t response_from_ns = exchange->due_ns != 0 ? exchange->due_ns : conn->sent_ns;
    worker->n_in_flight--;
    worker_count(worker, COUNTER_COMPLETED);
    interval->status[class >= 1 && class <= 5 ? class : 0]++;
    if (request_expects(exchange->request, conn->h1.status)) {
        interval->outcome[OUTCOME_OK]++;
    } else {
        worker_count(worker, COUNTER_UNEXPECTED);
        interval->outcome[OUTCOME_STATUS]++;
    }
    hist_record(&interval->latency[LATENCY_SERVICE], now_ns - conn->sent_ns);
    hist_record(&interval->latency[LATENCY_RESPONSE], now_ns - response_from_ns);
    hist_record(&interval->latency[LATENCY_FIRST_BYTE], conn->first_byte_ns - conn->sent_ns);
}

/* Closed loop: think time, and in a dwell of low rate what makes the whole cycle that much
 * longer. */
static uint64_t pause_ns(const struct worker *worker, uint64_t service_ns)
{
    const struct plan_pace *pace = &worker->job.plan->pace;
    if (pace->mode == PACE_OPEN) {
        return 0;
    }
    if (!worker->slow) {
        return pace->think_time_ns;
    }
    return SCHEDULE_LOW_RATE * (pace->think_time_ns + service_ns) - service_ns;
}

void exchange_ended(struct conn *conn, enum outcome outcome)
{
    struct slot *slot = conn->owner;
    struct worker *worker = slot->worker;
    struct exchange *exchange = slot->exchange;
    BUG_ON(exchange == NULL);
    slot->exchange = NULL;
    if (outcome != OUTCOME_OK) {
        if (may_send_again(worker, conn, exchange, outcome)) {
            put_back(worker, exchange);
            exchange_pump(worker);
        } else {
            fail(worker, exchange, outcome);
        }
        return;
    }
    uint64_t now_ns = mono_now_ns();
    uint64_t service_ns = now_ns - conn->sent_ns;
    count_completed(worker, conn, exchange, now_ns);
    exchange_done(worker, exchange);
    slot->n_failures = 0;
    if (conn->h1.keep_alive && !conn->close_after) {
        slot_rest(slot, pause_ns(worker, service_ns));
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
    if (worker->next_exchange != NULL) {
        exchange_done(worker, worker->next_exchange);
        worker->next_exchange = NULL;
    }
    while (worker->free_exchanges != NULL) {
        struct exchange *exchange = worker->free_exchanges;
        worker->free_exchanges = exchange->next;
        free(exchange->head);
        free(exchange);
    }
}
