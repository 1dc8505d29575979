#include "load/refusal.h"

#include "base/bug.h"
#include "base/mem.h"
#include "base/mono.h"
#include "base/str.h"
#include "ident/mint.h"
#include "load/worker_inside.h"

#include <stdlib.h>
#include <string.h>

#define CREDIT_MAX (2. * REFUSAL_SLOTS)

/* One [refuse NAME]. */
struct bad_kind {
    const struct plan_refuse *plan;
    struct pool *pool;   /* borrows */
    size_t base;         /* in plan->identities: who presents it */
    double per_exchange; /* attempts that an exchange earns */
    double credit;       /* attempts that are due */
    bool blocked;        /* a bad identity was not there yet */
};

struct attempt {
    struct conn conn;
    struct stream stream;
    struct refusals *refusals;
    size_t kind;
    struct credential *persona;   /* NULL: nothing is under way */
    struct refusal_answer answer; /* once it is answered */
    bool answered;
    char *head; /* owns */
    size_t head_size;
    struct attempt *next; /* among the free or the ended ones */
};

struct refusals {
    struct worker *worker;
    struct conn_env env;
    size_t n_kinds;
    struct bad_kind kinds[PLAN_REFUSES_MAX];
    struct attempt attempts[REFUSAL_SLOTS];
    struct attempt *free;
    struct attempt *ended; /* their connections wait to be reaped */
    size_t next_kind;      /* whose turn it is when more than one is due */
    uint64_t n_under_way;
    struct rng rng;
};

/* Judging. */

static bool is_one_of(int status, const uint16_t *statuses, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (statuses[i] == status) {
            return true;
        }
    }
    return false;
}

/* A way in which servers refuse a client. */
static bool is_refusal(const struct refusal_answer *answer, int alert)
{
    static const uint16_t statuses[] = {400, 401, 403, 495, 496};
    if (answer->status != 0) {
        return is_one_of(answer->status, statuses, sizeof statuses / sizeof *statuses);
    }
    switch (answer->outcome) {
    case OUTCOME_TLS_CLOSED:
    case OUTCOME_TLS_RESET:
    case OUTCOME_HTTP_CLOSED:
    case OUTCOME_HTTP_RESET:
    case OUTCOME_H2_GOAWAY:
    case OUTCOME_H2_CANCEL:
    case OUTCOME_H2_STREAM_RESET:
    case OUTCOME_REPLY_MISMATCH: /* it says so in words of its own */
        return true;
    default:
        return alert > 0;
    }
}

static bool is_as_expected(const struct expect *expect, const struct refusal_answer *answer,
                           int alert)
{
    if (expect->any) {
        return is_refusal(answer, alert);
    }
    if (answer->status != 0) {
        return is_one_of(answer->status, expect->status, expect->n_status);
    }
    return expect->alert && alert > 0 &&
           (expect->alert_name == NULL || str_equal(outcome_alert_name(alert), expect->alert_name));
}

enum refusal_result refusal_judge(const struct expect *expect, const struct refusal_answer *answer,
                                  int alert)
{
    if (is_as_expected(expect, answer, alert)) {
        return REFUSAL_REFUSED;
    }
    if (answer->status != 0 ? answer->status < 400 : answer->outcome == OUTCOME_OK) {
        return REFUSAL_LET_IN;
    }
    return is_refusal(answer, alert) ? REFUSAL_OTHERWISE : REFUSAL_UNCLEAR;
}

static bool was_asked(const struct conn *conn)
{
    struct tls_facts facts = {.asked_for_certificate = false};
    if (conn->tls != NULL) {
        tls_facts(conn->tls, &facts);
    }
    return facts.asked_for_certificate;
}

/* Has the server seen what is bad?  A certificate only when it asked for one; a key or token only
 * with the request, and an alert is about the certificate unless the profile expects it. */
static bool was_presented(const struct attempt *attempt, int alert)
{
    const struct plan_refuse *plan = attempt->refusals->kinds[attempt->kind].plan;
    bool token = plan->jwt != BAD_JWT_NOT || plan->apikey != BAD_APIKEY_NOT;
    if (plan->cert != BAD_CERT_NOT && was_asked(&attempt->conn)) {
        return true;
    }
    return token && attempt->conn.was_ready &&
           (attempt->answer.status != 0 || alert <= 0 || plan->expect.alert);
}

static enum refusal_result judge(const struct attempt *attempt)
{
    const struct conn *conn = &attempt->conn;
    const struct bad_kind *kind = &attempt->refusals->kinds[attempt->kind];
    int alert = conn->tls != NULL ? tls_alert(conn->tls) : -1;
    enum refusal_result result = refusal_judge(&kind->plan->expect, &attempt->answer, alert);
    bool tells = result == REFUSAL_LET_IN || was_presented(attempt, alert);
    return tells ? result : REFUSAL_UNCLEAR;
}

/* Attempts. */

static bool has_good_cert(const struct attempt *attempt)
{
    return attempt->refusals->kinds[attempt->kind].plan->cert == BAD_CERT_NOT;
}

/* What is good of an attempt and comes from no file is as fresh as the attempt. */
static void count_good(const struct attempt *attempt, enum credential_kind kind)
{
    const struct plan_refuse *plan = attempt->refusals->kinds[attempt->kind].plan;
    const struct plan_identity *base = plan->base;
    const bool fresh[CREDENTIAL_PARTS] = {
        [CREDENTIAL_CERT] = plan->cert == BAD_CERT_NOT && base->with_cert != NULL &&
                            base->with_cert->source == CERT_MINT,
        [CREDENTIAL_APIKEY] = plan->apikey == BAD_APIKEY_NOT && base->with_apikey != NULL &&
                              base->with_apikey->path == NULL,
        [CREDENTIAL_JWT] =
            plan->jwt == BAD_JWT_NOT && base->with_jwt != NULL && base->with_jwt->path == NULL,
    };
    holding_count(attempt->refusals->worker, kind, fresh[kind], fresh[kind]);
}

/* The request is on its way over a connection that the server has taken.  A server looks at the
 * certificate, then, like the embedded one, at the key and then at the token, and no further than
 * at what it refuses.  So a good key is seen, and a good token is not: what is bad comes first. */
static void count_sent(const struct attempt *attempt)
{
    struct worker *worker = attempt->refusals->worker;
    worker_count(worker, COUNTER_REFUSAL_HANDSHAKE);
    worker_count(worker, COUNTER_REFUSAL_REQUEST);
    count_good(attempt, CREDENTIAL_CERT);
    count_good(attempt, CREDENTIAL_APIKEY);
}

/* A server that lets it in has looked at all that is good. */
static void count_let_in(const struct attempt *attempt)
{
    if (!has_good_cert(attempt)) {
        count_good(attempt, CREDENTIAL_APIKEY);
    }
    count_good(attempt, CREDENTIAL_JWT);
}

static void finish(struct attempt *attempt)
{
    static const enum counter counter[REFUSAL_RESULTS] = {
        [REFUSAL_REFUSED] = COUNTER_REFUSED,
        [REFUSAL_LET_IN] = COUNTER_LET_IN,
        [REFUSAL_OTHERWISE] = COUNTER_REFUSED,
        [REFUSAL_UNCLEAR] = COUNTER_REFUSAL_UNCLEAR,
    };
    struct refusals *refusals = attempt->refusals;
    struct interval *interval = refusals->worker->interval;
    enum refusal_result result = judge(attempt);
    refusal_count(&interval->refusal[attempt->kind], result, attempt->answer);
    interval->count[counter[result]]++;
    if (result == REFUSAL_LET_IN) {
        count_let_in(attempt);
    }
    if (counter[result] == COUNTER_REFUSED) {
        hist_record(&interval->latency[LATENCY_REFUSAL], mono_now_ns() - attempt->conn.dial_ns);
    }
    pool_drop(refusals->kinds[attempt->kind].pool, attempt->persona);
    attempt->persona = NULL;
    attempt->next = refusals->ended;
    refusals->ended = attempt;
    refusals->n_under_way--;
}

static void attempt_ready(struct conn *conn)
{
    struct attempt *attempt = conn->owner;
    struct refusals *refusals = attempt->refusals;
    struct worker *worker = refusals->worker;
    size_t base = refusals->kinds[attempt->kind].base;
    const struct request *request = request_pick(&worker->requests, &refusals->rng);
    size_t size = request_size(&worker->requests, base, request, attempt->persona->part);
    if (size > attempt->head_size) {
        attempt->head = xrealloc(attempt->head, size);
        attempt->head_size = size;
    }
    struct conn_request made;
    request_make(&worker->requests, base, request, attempt->persona->part, conn_is_h2(conn),
                 attempt->head, &made);
    if (has_good_cert(attempt)) {
        count_sent(attempt);
    }
    conn->close_after = true;
    conn_send(conn, &attempt->stream, &made);
}

/* The first bytes of an answer are none yet, but a raw one that was read to its end, or as far as
 * it was the expected one, is.  A server that did nothing, since it goes away or is busy, has not
 * refused this client. */
static enum outcome outcome_without_status(const struct stream *stream, enum outcome outcome)
{
    bool is_reply = outcome == OUTCOME_OK || outcome == OUTCOME_REPLY_MISMATCH;
    if (stream->unprocessed) {
        return OUTCOME_H2_REFUSED_STREAM;
    }
    return stream->started && !is_reply ? OUTCOME_HTTP_TRUNCATED : outcome;
}

static void attempt_exchanged(struct conn *conn, struct stream *stream, enum outcome outcome)
{
    struct attempt *attempt = conn->owner;
    /* A head is an answer, whatever becomes of its body. */
    attempt->answered = true;
    attempt->answer.status = stream->status;
    attempt->answer.outcome =
        stream->status != 0 ? OUTCOME_OK : outcome_without_status(stream, outcome);
}

static void attempt_closed(struct conn *conn, enum outcome outcome)
{
    struct attempt *attempt = conn->owner;
    if (!attempt->answered) {
        attempt->answer.outcome = outcome;
    }
    finish(attempt);
}

/* False: its bad identity is not there. */
static bool begin(struct refusals *refusals, size_t i)
{
    struct worker *worker = refusals->worker;
    struct bad_kind *kind = &refusals->kinds[i];
    struct attempt *attempt = refusals->free;
    uint64_t now_ns = mono_now_ns();
    bool first;
    struct credential *persona =
        pool_take(kind->pool, now_ns, worker_epoch_s(worker, now_ns), &first);
    if (persona == NULL) {
        worker_wait(worker);
        return false;
    }
    refusals->free = attempt->next;
    attempt->next = NULL;
    attempt->kind = i;
    attempt->persona = persona;
    attempt->answer = (struct refusal_answer){.outcome = OUTCOME_OK};
    attempt->answered = false;
    kind->credit -= 1;
    refusals->n_under_way++;
    worker_count(worker, COUNTER_REFUSAL_TRIED);
    worker->interval->refusal[i].tried++;
    const struct credential *cert = persona->part[CREDENTIAL_CERT];
    conn_dial(&attempt->conn, &refusals->env, cert != NULL ? cert->cert : NULL, NULL);
    return true;
}

/* Begins what is due, kind by kind in turn. */
static void begin_due(struct refusals *refusals)
{
    size_t n_idle = 0;
    const struct worker *worker = refusals->worker;
    while (n_idle < refusals->n_kinds && refusals->free != NULL && worker->refusing &&
           worker->state == WORKER_RUNNING) {
        struct bad_kind *kind = &refusals->kinds[refusals->next_kind];
        bool due = kind->credit >= 1 && !kind->blocked;
        if (due) {
            kind->blocked = !begin(refusals, refusals->next_kind);
        }
        n_idle = due && !kind->blocked ? 0 : n_idle + 1;
        refusals->next_kind = (refusals->next_kind + 1) % refusals->n_kinds;
    }
}

/* The worker's side. */

/* share = refusals / (refusals + exchanges), so each exchange earns share / (1 - all shares). */
static void kinds_init(struct refusals *refusals)
{
    const struct worker_job *job = &refusals->worker->job;
    const struct plan *plan = job->plan;
    double all = 0;
    for (size_t i = 0; i < plan->n_refuses; i++) {
        all += plan->refuses[i].share;
    }
    BUG_ON(plan->n_refuses > PLAN_REFUSES_MAX || all >= 1);
    for (size_t i = 0; i < plan->n_refuses; i++) {
        const struct plan_refuse *refuse = &plan->refuses[i];
        /* Where each worker starts makes their sum exact, too. */
        refusals->kinds[i] = (struct bad_kind){
            .plan = refuse,
            .pool = mint_refusals(job->mint, job->index, i),
            .base = (size_t)(refuse->base - plan->identities),
            .per_exchange = refuse->share / (1 - all),
            .credit = ((double)job->index + 0.5) / job->n_workers,
        };
    }
    refusals->n_kinds = plan->n_refuses;
}

struct refusals *refusals_new(struct worker *worker)
{
    const struct worker_job *job = &worker->job;
    if (job->plan->n_refuses == 0) {
        return NULL;
    }
    struct refusals *refusals = xcalloc(1, sizeof *refusals);
    refusals->worker = worker;
    conn_env_init(&refusals->env, worker->loop, worker->tls, &job->plan->target, job->addrs,
                  job->n_addrs);
    refusals->env.handler =
        (struct conn_handler){attempt_ready, attempt_exchanged, attempt_closed, NULL};
    for (size_t i = 0; i < REFUSAL_SLOTS; i++) {
        struct attempt *attempt = &refusals->attempts[i];
        attempt->refusals = refusals;
        attempt->conn.owner = attempt;
        attempt->next = refusals->free;
        refusals->free = attempt;
    }
    rng_init(&refusals->rng, job->plan->run.seed, "refusal", job->index);
    kinds_init(refusals);
    return refusals;
}

void refusals_free(struct refusals *refusals)
{
    for (size_t i = 0; refusals != NULL && i < REFUSAL_SLOTS; i++) {
        free(refusals->attempts[i].head);
    }
    if (refusals != NULL) {
        conn_env_stop(&refusals->env); /* of a worker that never ran */
    }
    free(refusals);
}

void refusals_earn(struct refusals *refusals)
{
    if (refusals == NULL || !refusals->worker->refusing) {
        return;
    }
    for (size_t i = 0; i < refusals->n_kinds; i++) {
        struct bad_kind *kind = &refusals->kinds[i];
        kind->credit += kind->per_exchange;
        kind->credit = kind->credit < CREDIT_MAX ? kind->credit : CREDIT_MAX;
    }
    begin_due(refusals);
}

void refusals_try_again(struct refusals *refusals)
{
    if (refusals == NULL) {
        return;
    }
    for (size_t i = 0; i < refusals->n_kinds; i++) {
        refusals->kinds[i].blocked = false;
    }
    begin_due(refusals);
}

void refusals_reap(struct refusals *refusals)
{
    if (refusals == NULL) {
        return;
    }
    begin_due(refusals);
    conn_reap(&refusals->env);
    while (refusals->ended != NULL) { /* their connections may be dialed again now */
        struct attempt *attempt = refusals->ended;
        refusals->ended = attempt->next;
        attempt->next = refusals->free;
        refusals->free = attempt;
    }
}

void refusals_stop(struct refusals *refusals)
{
    if (refusals == NULL) {
        return;
    }
    for (size_t i = 0; i < REFUSAL_SLOTS; i++) {
        if (refusals->attempts[i].persona != NULL) {
            conn_close(&refusals->attempts[i].conn, OUTCOME_STOPPED);
        }
    }
    conn_reap(&refusals->env);
    conn_env_stop(&refusals->env);
    BUG_ON(refusals->n_under_way != 0);
}

uint64_t refusals_under_way(const struct refusals *refusals)
{
    return refusals != NULL ? refusals->n_under_way : 0;
}
