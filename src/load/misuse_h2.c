#include "load/misuse_h2.h"

#include "base/mem.h"
#include "base/mono.h"
#include "ident/mint.h"
#include "load/misuse_count.h"
#include "load/misuse_inside.h"
#include "load/worker_inside.h"
#include "net/conn_cut.h"

#include <stdlib.h>

#define ARRIVE_NS NS_PER_MS /* between two looks at what is acknowledged */

static uint64_t streams_of(const struct misuse *misuse)
{
    return misuse->misuses->kinds[misuse->kind].plan->streams;
}

/* What the connection tells: its misuse goes on in a callback of its own. */

static void wake(struct misuse *misuse)
{
    if (misuse->under_way) {
        ev_feed_event(misuse->misuses->worker->loop, &misuse->timer, EV_TIMER);
    }
}

static void on_ready(struct conn *conn)
{
    wake(conn->owner);
}

/* The server's SETTINGS, first of all. */
static void on_room(struct conn *conn)
{
    struct misuse *misuse = conn->owner;
    misuse->has_settings = true;
    wake(misuse);
}

static void on_exchanged(struct conn *conn, struct stream *stream, enum outcome outcome)
{
    struct misuse *misuse = conn->owner;
    if (misuse->under_way && outcome == OUTCOME_OK) {
        misuse_count_status(misuse, stream->status);
    }
    wake(misuse);
}

static void on_closed(struct conn *conn, enum outcome outcome)
{
    struct misuse *misuse = conn->owner;
    misuse->over = true;
    misuse->why = outcome != OUTCOME_OK ? outcome : OUTCOME_HTTP_CLOSED;
    wake(misuse);
}

/* Steps. */

static enum misuse_result wait_on(const struct misuse *misuse)
{
    return misuse->over ? MISUSE_FAILED : MISUSE_WAIT;
}

static enum misuse_result step_dial(struct misuse *misuse)
{
    struct misuses *misuses = misuse->misuses;
    struct conn *conn = &misuse->conn;
    if (conn->state == CONN_IDLE) {
        const struct credential *part = holding_part(&misuse->holding, CREDENTIAL_CERT);
        misuse->over = misuse->has_settings = false;
        misuse->n_opened = 0;
        /* It has deadlines of its own for both. */
        misuse->expires_ns += misuses->h2_target.timeout_handshake_ns + NS_PER_S;
        conn_dial(conn, &misuses->h2_env, part != NULL ? part->cert : NULL, NULL);
    }
    if (misuse->over || !conn->was_ready) {
        return wait_on(misuse);
    }
    misuse->stood_ns = conn->connected_ns;
    misuse_count_handshake(misuse, conn->tls);
    return MISUSE_NEXT;
}

/* They prove, too, that the server has taken in the handshake and the certificate. */
static enum misuse_result step_settings(struct misuse *misuse)
{
    return misuse->has_settings && !misuse->over ? MISUSE_NEXT : wait_on(misuse);
}

static void open_stream(struct misuse *misuse, bool cancelled)
{
    struct misuses *misuses = misuse->misuses;
    const struct request_set *set = &misuses->h2_requests;
    struct misuse_stream *opened = &misuse->streams[misuse->n_opened++];
    struct credential *credentials[CREDENTIAL_PARTS];
    size_t identity = misuse->holding.identity->index;
    const struct request *request = request_pick(set, &misuses->rng);
    misuse_credentials(misuse, credentials);
    size_t size = request_size(set, identity, request, credentials);
    if (size > opened->head_size) {
        opened->head = xrealloc(opened->head, size);
        opened->head_size = size;
    }
    struct conn_request made;
    request_make(set, identity, request, credentials, true, opened->head, &made);
    made.cancelled = cancelled;
    misuse_count_request(misuse);
    conn_send(&misuse->conn, &opened->stream, &made);
}

static void open_streams(struct misuse *misuse, bool cancelled)
{
    if (misuse->streams == NULL) {
        misuse->streams = xcalloc(misuse->misuses->h2_most_streams, sizeof *misuse->streams);
    }
    while (!misuse->over && misuse->n_opened < streams_of(misuse) && conn_room(&misuse->conn) > 0) {
        open_stream(misuse, cancelled);
    }
}

static enum misuse_result step_open(struct misuse *misuse)
{
    open_streams(misuse, false);
    return misuse->n_opened > 0 ? MISUSE_NEXT : wait_on(misuse);
}

static enum misuse_result step_open_cancelled(struct misuse *misuse)
{
    open_streams(misuse, true);
    return misuse->n_opened > 0 ? MISUSE_NEXT : wait_on(misuse);
}

/* One that is reset makes room for the next. */
static enum misuse_result step_rest_cancelled(struct misuse *misuse)
{
    open_streams(misuse, true);
    return misuse->n_opened == streams_of(misuse) ? MISUSE_NEXT : wait_on(misuse);
}

static enum misuse_result step_arrive(struct misuse *misuse)
{
    const struct conn *conn = &misuse->conn;
    if (misuse->over) {
        return MISUSE_FAILED;
    }
    if (conn_is_written(conn) && misuse_has_arrived(conn->fd, misuse->step_ns)) {
        return MISUSE_NEXT;
    }
    misuse->wake_ns = mono_now_ns() + ARRIVE_NS;
    return MISUSE_WAIT;
}

static enum misuse_result step_cut(struct misuse *misuse)
{
    const struct plan_misuse *plan = misuse->misuses->kinds[misuse->kind].plan;
    conn_cut(&misuse->conn, plan->end == END_RESET);
    return MISUSE_NEXT;
}

const struct misuse_step misuse_h2_disconnect[] = {
    {step_dial, OUTCOME_TIMEOUT_CONNECT, false},  {step_settings, OUTCOME_TIMEOUT_HANDSHAKE, false},
    {step_open, OUTCOME_TIMEOUT_EXCHANGE, false}, {step_arrive, OUTCOME_TIMEOUT_EXCHANGE, false},
    {step_cut, OUTCOME_TIMEOUT_EXCHANGE, false},  {NULL, OUTCOME_OK, true},
};

const struct misuse_step misuse_h2_reset[] = {
    {step_dial, OUTCOME_TIMEOUT_CONNECT, false},
    {step_settings, OUTCOME_TIMEOUT_HANDSHAKE, false},
    {step_open_cancelled, OUTCOME_TIMEOUT_EXCHANGE, false},
    {step_rest_cancelled, OUTCOME_TIMEOUT_EXCHANGE, true},
    {step_arrive, OUTCOME_TIMEOUT_EXCHANGE, true},
    {NULL, OUTCOME_OK, true},
};

bool misuse_h2_let_go(struct misuse *misuse)
{
    conn_close(&misuse->conn, OUTCOME_STOPPED);
    return misuse->conn.state == CONN_IDLE;
}

/* All of them. */

void misuses_h2_init(struct misuses *misuses)
{
    const struct worker_job *job = &misuses->worker->job;
    struct plan speaks_h2 = *job->plan;
    for (size_t i = 0; i < job->plan->n_misuses; i++) {
        const struct plan_misuse *misuse = &job->plan->misuses[i];
        bool is_h2 = misuse->kind == MISUSE_H2_DISCONNECT || misuse->kind == MISUSE_H2_RESET;
        if (is_h2 && misuse->streams > misuses->h2_most_streams) {
            misuses->h2_most_streams = misuse->streams;
        }
    }
    if (misuses->h2_most_streams == 0) {
        return;
    }
    speaks_h2.target.alpn = ALPN_H2;         /* whatever the profile's own load speaks */
    speaks_h2.target.reset_on_close = false; /* as the kind wants it */
    misuses->h2_target = speaks_h2.target;
    conn_env_init(&misuses->h2_env, misuses->worker->loop, misuses->worker->tls,
                  &misuses->h2_target, job->addrs, job->n_addrs);
    misuses->h2_env.handler = (struct conn_handler){
        .ready = on_ready, .exchanged = on_exchanged, .closed = on_closed, .room = on_room};
    misuses->h2_env.own_alpn = true;
    misuses->h2_env.no_window = true;
    request_set_init(&misuses->h2_requests, &speaks_h2, mint_run_id(job->mint));
    for (size_t i = 0; i < MISUSE_SLOTS; i++) {
        misuses->slots[i].conn.owner = &misuses->slots[i];
    }
}

void misuses_h2_reap(struct misuses *misuses)
{
    uint64_t *count = misuses->worker->interval->count;
    struct conn_env *env = &misuses->h2_env;
    if (misuses->h2_most_streams == 0) {
        return;
    }
    conn_reap(env);
    count[COUNTER_BYTES_SENT] += env->bytes_sent;
    count[COUNTER_BYTES_RECEIVED] += env->bytes_received;
    env->bytes_sent = env->bytes_received = 0;
    while (misuses->closing != NULL) { /* their connections may be dialed again now */
        struct misuse *misuse = misuses->closing;
        misuses->closing = misuse->next;
        misuse->next = misuses->free;
        misuses->free = misuse;
    }
}

void misuses_h2_stop(struct misuses *misuses)
{
    if (misuses->h2_most_streams > 0) {
        conn_env_stop(&misuses->h2_env);
    }
}
