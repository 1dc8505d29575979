#include "load/misuse.h"

#include "base/bug.h"
#include "base/mem.h"
#include "base/mono.h"
#include "ident/mint.h"
#include "load/misuse_h2.h"
#include "load/misuse_inside.h"
#include "load/worker_inside.h"

#include <stdlib.h>
#include <string.h>

/* The end of one. */

static void finish(struct misuse *misuse, bool done)
{
    struct misuses *misuses = misuse->misuses;
    struct worker *worker = misuses->worker;
    struct misuse_tally *tally = &worker->interval->misuse[misuse->kind];
    BUG_ON(!misuse->under_way);
    if (done) {
        tally->done++;
    } else if (tally->undone++ == 0) {
        tally->why = misuse->why;
    }
    worker_count(worker, done ? COUNTER_MISUSE_DONE : COUNTER_MISUSE_UNDONE);
    misuse_let_go(misuse);
    ev_timer_stop(worker->loop, &misuse->timer);
    holding_turn_to(&misuse->holding, NULL);
    misuse->under_way = false;
    misuses->n_under_way--;
    misuses->n_lasting -= misuse->script->lasts;
    struct misuse **list = misuse_h2_let_go(misuse) ? &misuses->free : &misuses->closing;
    misuse->next = *list;
    *list = misuse;
}

/* Going on. */

static uint64_t time_for(const struct misuse *misuse)
{
    const struct misuses *misuses = misuse->misuses;
    const struct plan_target *target = &misuses->worker->job.plan->target;
    switch (misuse->step->expiry) {
    case OUTCOME_TIMEOUT_CONNECT:
        return misuse->step_ns + target->timeout_connect_ns;
    case OUTCOME_TIMEOUT_HANDSHAKE:
        return misuse->stood_ns + target->timeout_handshake_ns;
    default:
        return misuse->stood_ns + misuses->kinds[misuse->kind].plan->hold_ns;
    }
}

static void take_step(struct misuse *misuse, const struct misuse_step *step)
{
    misuse->step = step;
    misuse->events = 0;
    misuse->step_ns = mono_now_ns();
    misuse->expires_ns = time_for(misuse);
}

static void watch(struct misuse *misuse, enum misuse_result wanted)
{
    struct worker *worker = misuse->misuses->worker;
    int events = wanted == MISUSE_WAIT_READ ? EV_READ : wanted == MISUSE_WAIT_WRITE ? EV_WRITE : 0;
    uint64_t at_ns = misuse->expires_ns;
    if (misuse->wake_ns != 0 && misuse->wake_ns < at_ns) {
        at_ns = misuse->wake_ns;
    }
    worker_timer_at(worker, &misuse->timer, at_ns);
    ev_io_stop(worker->loop, &misuse->io);
    if (events != 0) {
        ev_io_set(&misuse->io, misuse->fd, events);
        ev_io_start(worker->loop, &misuse->io);
    }
}

static void go_on(struct misuse *misuse)
{
    while (misuse->step->run != NULL) {
        misuse->wake_ns = 0;
        enum misuse_result result = misuse->step->run(misuse);
        if (result == MISUSE_FAILED) {
            finish(misuse, misuse->step->seen);
            return;
        }
        if (result != MISUSE_NEXT) {
            watch(misuse, result);
            return;
        }
        take_step(misuse, misuse->step + 1);
    }
    finish(misuse, true);
}

static void on_io(struct ev_loop *loop, ev_io *io, int events)
{
    (void)loop;
    struct misuse *misuse = io->data;
    misuse->events = events;
    go_on(misuse);
}

static void on_timer(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop;
    (void)events;
    struct misuse *misuse = timer->data;
    if (mono_now_ns() >= misuse->expires_ns) {
        misuse->why = misuse->step->expiry;
        finish(misuse, misuse->step->seen);
        return;
    }
    misuse->events = 0;
    go_on(misuse);
}

/* Beginning. */

/* What it will present; false: a credential is not there, and nothing is held. */
static bool equip(struct misuse *misuse, struct worker_identity *identity)
{
    struct worker *worker = misuse->misuses->worker;
    struct holding *holding = &misuse->holding;
    const struct misuse_script *script = misuse->script;
    enum credential_kind dialed = holding_dial_kind(identity);
    holding_turn_to(holding, identity);
    for (int kind = 0; kind < CREDENTIAL_KINDS; kind++) {
        bool needed = kind == (int)dialed ? script->presents_certificate : script->presents_keys;
        if (identity->pool[kind] != NULL && needed && !holding_take(worker, holding, kind)) {
            holding_turn_to(holding, NULL);
            return false;
        }
    }
    return true;
}

static bool begin(struct misuses *misuses, size_t i)
{
    struct worker *worker = misuses->worker;
    struct misuse_of *kind = &misuses->kinds[i];
    struct misuse *misuse = misuses->free;
    misuse->script = misuse_script(kind->plan, kind->n_begun);
    if (kind->drawn == NULL) {
        kind->drawn = worker_draw_identity(worker, &misuses->n_drawn);
    }
    if (!equip(misuse, kind->drawn)) {
        return false;
    }
    kind->drawn = NULL;
    kind->n_begun++;
    kind->credit -= 1;
    misuses->free = misuse->next;
    misuses->n_under_way++;
    misuses->n_lasting += misuse->script->lasts;
    misuse->under_way = true;
    misuse->kind = i;
    misuse->n_tried = 0;
    misuse->stood_ns = 0;
    misuse->whole_head = false;
    memset(misuse->parts, 0, sizeof misuse->parts);
    worker_count(worker, COUNTER_MISUSE_TRIED);
    worker->interval->misuse[i].tried++;
    take_step(misuse, misuse->script->steps);
    go_on(misuse);
    return true;
}

static bool is_due(const struct misuses *misuses, const struct misuse_of *kind)
{
    const struct misuse_script *script = misuse_script(kind->plan, kind->n_begun);
    return kind->credit >= 1 && (!script->lasts || misuses->n_lasting < MISUSE_LASTING_SLOTS);
}

/* Begins what is due, kind by kind in turn. */
static void begin_due(struct misuses *misuses)
{
    size_t n_idle = 0;
    const struct worker *worker = misuses->worker;
    while (n_idle < misuses->n_kinds && misuses->free != NULL && !misuses->blocked &&
           worker->misusing && worker->state == WORKER_RUNNING) {
        bool due = is_due(misuses, &misuses->kinds[misuses->next_kind]);
        if (due) {
            misuses->blocked = !begin(misuses, misuses->next_kind);
        }
        n_idle = due ? 0 : n_idle + 1;
        misuses->next_kind = (misuses->next_kind + 1) % misuses->n_kinds;
    }
}

/* The worker's side. */

/* share = misuses / (misuses + refusals + exchanges), where an exchange earns r refusals: of all
 * misuses an exchange earns M = shares / (1 - shares) x (1 + r). */
static void kinds_init(struct misuses *misuses)
{
    const struct worker_job *job = &misuses->worker->job;
    const struct plan *plan = job->plan;
    double all = 0, refusals = 0;
    for (size_t i = 0; i < plan->n_misuses; i++) {
        all += plan->misuses[i].share;
    }
    for (size_t i = 0; i < plan->n_refuses; i++) {
        refusals += plan->refuses[i].share;
    }
    BUG_ON(plan->n_misuses > PLAN_MISUSES_MAX || all >= 1 || refusals >= 1);
    for (size_t i = 0; i < plan->n_misuses; i++) {
        /* Where each worker starts makes their sum exact, too. */
        misuses->kinds[i] = (struct misuse_of){
            .plan = &plan->misuses[i],
            .per_exchange = plan->misuses[i].share / ((1 - all) * (1 - refusals)),
            .credit = ((double)job->index + 0.5) / job->n_workers,
            .n_begun = job->index,
        };
    }
    misuses->n_kinds = plan->n_misuses;
}

static bool wants_bodies(const struct plan *plan)
{
    bool wants = false;
    for (size_t i = 0; i < plan->n_misuses; i++) {
        wants = wants || plan->misuses[i].kind == MISUSE_ABORT_BODY;
    }
    return wants;
}

/* The plan's requests that have a body to be sent half; where there is none, all of them, sent with
 * POST and a body of filler. */
static void bodies_init(struct misuses *misuses)
{
    static char post[] = "POST";
    const struct worker_job *job = &misuses->worker->job;
    struct plan with_bodies = *job->plan;
    CLEANUP_FREE struct plan_request *requests = xcalloc(job->plan->n_requests, sizeof *requests);
    size_t n = 0;
    for (size_t i = 0; i < job->plan->n_requests; i++) {
        if (job->plan->requests[i].body_len > 1) {
            requests[n++] = job->plan->requests[i];
        }
    }
    for (size_t i = 0; n == 0 && i < job->plan->n_requests; i++) {
        requests[i] = job->plan->requests[i];
        requests[i].method = post;
        requests[i].body = misuses->filler;
        requests[i].body_len = sizeof misuses->filler;
    }
    with_bodies.requests = requests;
    with_bodies.n_requests = n > 0 ? n : job->plan->n_requests;
    request_set_init(&misuses->bodies, &with_bodies, mint_run_id(job->mint));
}

static void slot_init_all(struct misuses *misuses)
{
    for (size_t i = 0; i < MISUSE_SLOTS; i++) {
        struct misuse *misuse = &misuses->slots[i];
        misuse->misuses = misuses;
        misuse->fd = -1;
        ev_init(&misuse->io, on_io);
        ev_init(&misuse->timer, on_timer);
        misuse->io.data = misuse;
        misuse->timer.data = misuse;
        misuse->next = misuses->free;
        misuses->free = misuse;
    }
}

struct misuses *misuses_new(struct worker *worker)
{
    const struct plan *plan = worker->job.plan;
    if (plan->n_misuses == 0) {
        return NULL;
    }
    struct misuses *misuses = xcalloc(1, sizeof *misuses);
    misuses->worker = worker;
    misuses->source.target = &plan->target;
    memset(misuses->filler, 'x', sizeof misuses->filler);
    rng_init(&misuses->rng, plan->run.seed, "misuse", worker->job.index);
    slot_init_all(misuses);
    kinds_init(misuses);
    if (wants_bodies(plan)) {
        bodies_init(misuses);
    }
    misuses_h2_init(misuses);
    return misuses;
}

void misuses_free(struct misuses *misuses)
{
    if (misuses == NULL) {
        return;
    }
    for (size_t i = 0; i < MISUSE_SLOTS; i++) {
        struct misuse *misuse = &misuses->slots[i];
        for (size_t k = 0; misuse->streams != NULL && k < misuses->h2_most_streams; k++) {
            free(misuse->streams[k].head);
        }
        free(misuse->streams);
        free(misuse->head);
    }
    misuses_h2_stop(misuses);
    request_set_clear(&misuses->h2_requests);
    request_set_clear(&misuses->bodies);
    free(misuses);
}

void misuses_earn(struct misuses *misuses)
{
    if (misuses == NULL || !misuses->worker->misusing) {
        return;
    }
    for (size_t i = 0; i < misuses->n_kinds; i++) {
        struct misuse_of *kind = &misuses->kinds[i];
        kind->credit += kind->per_exchange;
        if (kind->credit > MISUSE_CREDIT_MAX) {
            kind->credit -= 1;
            misuses->worker->interval->misuse[i].forgone++;
        }
    }
    begin_due(misuses);
}

void misuses_try_again(struct misuses *misuses)
{
    if (misuses != NULL) {
        misuses->blocked = false;
        begin_due(misuses);
    }
}

void misuses_turn(struct misuses *misuses)
{
    if (misuses != NULL) {
        begin_due(misuses);
        misuses_h2_reap(misuses);
    }
}

void misuses_drain(struct misuses *misuses)
{
    for (size_t i = 0; misuses != NULL && i < MISUSE_SLOTS; i++) {
        struct misuse *misuse = &misuses->slots[i];
        if (misuse->under_way && misuse->script->lasts && misuse->step->seen) {
            finish(misuse, true);
        }
    }
}

void misuses_stop(struct misuses *misuses)
{
    for (size_t i = 0; misuses != NULL && i < MISUSE_SLOTS; i++) {
        struct misuse *misuse = &misuses->slots[i];
        if (misuse->under_way) {
            misuse->why = OUTCOME_STOPPED;
            finish(misuse, misuse->step->seen);
        }
    }
    if (misuses != NULL) {
        BUG_ON(misuses->n_under_way != 0);
        misuses_h2_reap(misuses);
        misuses_h2_stop(misuses);
    }
}

uint64_t misuses_under_way(const struct misuses *misuses)
{
    return misuses != NULL ? misuses->n_under_way : 0;
}
