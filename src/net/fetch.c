#include "net/fetch.h"

#include "base/mem.h"
#include "base/str.h"
#include "ident/crypt.h"
#include "net/conn.h"
#include "net/policy.h"

#include <ev.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_ADDRS = 16 };

struct fetch {
    const struct plan_target *target;
    struct ev_loop *loop;
    struct tls_client *tls;
    struct addr addrs[MAX_ADDRS];
    size_t n_addrs;
    char *kept; /* body_max bytes */
    size_t body_max;
};

/* One request under way. */
struct request {
    const char *head, *body;
    size_t head_len, body_len;
    const struct raw_reply *reply; /* NULL: it is HTTP */
    struct fetch_answer *answer;
    struct stream stream;
    struct h2_fields fields;
    bool answered, ended;
};

static void fetch_ready(struct conn *conn)
{
    struct request *request = conn->owner;

    struct conn_request sent = {.head = request->head,
                                .head_len = request->head_len,
                                .body = request->body,
                                .body_len = request->body_len,
                                .reply = request->reply};

    if (request->head == NULL) {
        conn_close(conn, OUTCOME_OK);
        ev_break(conn->env->loop, EVBREAK_ALL); /* told by the reaping that follows */
        return;
    }
    sent.head_request = request->reply == NULL && str_has_prefix(request->head, "HEAD ");
    if (conn_is_h2(conn)) {
        h2_fields_init(&request->fields, request->head, request->head_len);
        h2_fields_hide(&request->fields, NULL);
        sent.fields = request->fields.fields;
        sent.n_fields = request->fields.n;
    }
    conn->close_after = true;
    conn_send(conn, &request->stream, &sent);
}

static void fetch_exchanged(struct conn *conn, struct stream *stream, enum outcome outcome)
{
    struct request *request = conn->owner;
    size_t most = conn->env->keep_size;

    request->answered = true;
    request->answer->outcome = outcome;
    request->answer->status = stream->status;
    request->answer->body_len = outcome != OUTCOME_OK       ? 0
                                : stream->body_bytes < most ? (size_t)stream->body_bytes
                                                            : most;
}

static void fetch_closed(struct conn *conn, enum outcome outcome)
{
    struct request *request = conn->owner;
    int alert = conn->tls != NULL ? tls_alert(conn->tls) : -1;

    if (!request->answered) {
        request->answer->outcome = outcome;
    }
    request->answer->alert = alert > 0 ? alert : -1; /* 0: its close_notify */
    if (conn->tls != NULL) {
        struct tls_facts facts;
        tls_facts(conn->tls, &facts);
        request->answer->asked = facts.asked_for_certificate;
        request->answer->protocol = facts.protocol;
    }
    request->ended = true;
    ev_break(conn->env->loop, EVBREAK_ALL);
}

void fetch_keep(struct fetch *fetch, size_t body_max)
{
    free(fetch->kept);
    fetch->kept = xmalloc(body_max);
    fetch->body_max = body_max;
}

struct fetch *fetch_new_at(const struct plan *plan, const struct plan_target *target,
                           const struct addr *addrs, size_t n_addrs, struct diag *diag)
{
    struct fetch *fetch = xcalloc(1, sizeof *fetch);

    fetch->n_addrs = n_addrs < MAX_ADDRS ? n_addrs : MAX_ADDRS;
    memcpy(fetch->addrs, addrs, fetch->n_addrs * sizeof *addrs);
    fetch->target = target;
    fetch_keep(fetch, FETCH_BODY_MAX);
    fetch->loop = ev_loop_new(EVBACKEND_EPOLL | EVFLAG_NOENV);
    if (fetch->loop == NULL) {
        diag_add(diag, plan_origin(plan, &target->url), "no descriptors (ulimit -n)");
    }
    fetch->tls = tls_client_new(plan, target, diag);
    if (fetch->loop == NULL || fetch->tls == NULL) {
        fetch_free(fetch);
        return NULL;
    }
    return fetch;
}

struct fetch *fetch_new(const struct plan *plan, const struct plan_target *target,
                        struct diag *diag)
{
    struct addr addrs[MAX_ADDRS];
    size_t n =
        policy_resolve(plan, target, plan_origin(plan, &target->url), addrs, MAX_ADDRS, NULL, diag);

    return n > 0 ? fetch_new_at(plan, target, addrs, n, diag) : NULL;
}

void fetch_free(struct fetch *fetch)
{
    if (fetch == NULL) {
        return;
    }
    tls_client_free(fetch->tls);
    if (fetch->loop != NULL) {
        ev_loop_destroy(fetch->loop);
    }
    free(fetch->kept);
    free(fetch);
}

/* A token in memory that is left behind would be found there. */
static void hand_over_body(struct fetch *fetch, struct fetch_answer *answer)
{
    answer->body = xmalloc(answer->body_len + 1);
    memcpy(answer->body, fetch->kept, answer->body_len);
    answer->body[answer->body_len] = '\0';
}

static void perform(struct fetch *fetch, const struct cert *cert, struct request *request)
{
    struct conn_env env;
    struct conn conn = {.owner = request};
    uint64_t kept;

    *request->answer = (struct fetch_answer){.alert = -1, .protocol = ""};
    conn_env_init(&env, fetch->loop, fetch->tls, fetch->target, fetch->addrs, fetch->n_addrs);
    env.handler = (struct conn_handler){fetch_ready, fetch_exchanged, fetch_closed, NULL};
    env.keep = fetch->kept;
    env.keep_size = fetch->body_max;
    ev_now_update(fetch->loop); /* its clock stood still since the last request */
    conn_dial(&conn, &env, cert, NULL);
    if (!request->ended) { /* a dial may fail at once */
        ev_run(fetch->loop, 0);
    }
    conn_reap(&env);
    conn_env_stop(&env);
    hand_over_body(fetch, request->answer);
    h2_fields_clear(&request->fields);
    kept =
        request->stream.body_bytes < fetch->body_max ? request->stream.body_bytes : fetch->body_max;
    crypt_wipe(fetch->kept, (size_t)kept);
}

void fetch_perform(struct fetch *fetch, const struct cert *cert, const char *head, size_t head_len,
                   const char *body, size_t body_len, struct fetch_answer *ret_answer)
{
    struct request request = {.head = head,
                              .head_len = head_len,
                              .body = body,
                              .body_len = body_len,
                              .answer = ret_answer};

    perform(fetch, cert, &request);
}

void fetch_perform_raw(struct fetch *fetch, const struct cert *cert, const char *bytes, size_t len,
                       const struct raw_reply *reply, struct fetch_answer *ret_answer)
{
    struct request request = {.head = bytes, .head_len = len, .reply = reply, .answer = ret_answer};

    perform(fetch, cert, &request);
}
