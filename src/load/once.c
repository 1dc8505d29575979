#include "load/once.h"

#include "base/mem.h"
#include "base/mono.h"
#include "base/unit.h"
#include "load/request.h"
#include "load/sample.h"
#include "net/conn.h"

#include <ev.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct once {
    const struct plan *plan;
    struct mint *mint;
    struct sink *seen; /* as the connection tells it, with credentials */
    struct conn_env env;
    struct conn conn;
    struct request_set requests;
    struct sample sample;
    struct stream stream;
    char *head; /* owns */
    enum outcome outcome;
    bool answered;
    uint64_t end_ns;
};

static bool take_identity(struct once *once, struct diag *diag)
{
    bool ok = sample_take(&once->sample, once->mint);
    if (!ok) {
        diag_add(diag, plan_origin(once->plan, &once->plan->target.url),
                 "no credential was ready, or all have expired");
    }
    return ok;
}

static void once_ready(struct conn *conn)
{
    struct once *once = conn->owner;
    const struct request *request = once->requests.requests;
    struct credential *const *parts = once->sample.part;
    once->head = xmalloc(request_size(&once->requests, 0, request, parts));
    struct conn_request made;
    request_make(&once->requests, 0, request, parts, conn_is_h2(conn), once->head, &made);
    conn->close_after = true;
    conn_send(conn, &once->stream, &made);
}

static void once_exchanged(struct conn *conn, struct stream *stream, enum outcome outcome)
{
    struct once *once = conn->owner;
    bool expected = request_expects(once->requests.requests, stream->status);
    once->outcome = outcome == OUTCOME_OK && !expected ? OUTCOME_STATUS : outcome;
    once->answered = true;
    once->end_ns = mono_now_ns();
}

static void once_closed(struct conn *conn, enum outcome outcome)
{
    struct once *once = conn->owner;
    if (!once->answered) {
        once->outcome = outcome;
        once->end_ns = mono_now_ns();
    }
    ev_break(conn->env->loop, EVBREAK_ALL);
}

/* A header that the profile writes itself, such as Cookie. */
static bool is_secret_header(const struct once *once, const char *line, size_t *ret_keep)
{
    const struct plan_request *request = once->plan->requests;
    for (size_t i = 0; i < request->n_headers; i++) {
        const struct plan_header *header = &request->headers[i];
        size_t len = strlen(header->name);
        if (header->secret && strncmp(line, "> ", 2) == 0 &&
            strncasecmp(line + 2, header->name, len) == 0 &&
            strncmp(line + 2 + len, ": ", 2) == 0) {
            *ret_keep = len + 4;
            return true;
        }
    }
    return false;
}

/* Is this line of the request a header that carries a credential?  Gives the length to keep. */
static bool is_secret(const struct once *once, const char *line, size_t *ret_keep)
{
    for (int kind = CREDENTIAL_APIKEY; kind < CREDENTIAL_PARTS; kind++) {
        const struct request_prefix *prefix = &once->requests.prefix[0][kind];
        if (prefix->text != NULL && !prefix->in_query && strncmp(line, "> ", 2) == 0 &&
            strncasecmp(line + 2, prefix->text, prefix->len) == 0) {
            *ret_keep = prefix->len + 2;
            return true;
        }
    }
    return is_secret_header(once, line, ret_keep);
}

/* The request line with a key in its query, which is the last parameter. */
static bool show_request_line(const struct once *once, const char *line, size_t len,
                              struct sink *show)
{
    const struct request_prefix *prefix = &once->requests.prefix[0][CREDENTIAL_APIKEY];
    const struct request *request = once->requests.requests;
    size_t keep = 2 + request->target_len + 1 + prefix->len; /* "> GET /?key=" */
    if (!prefix->in_query || once->sample.part[CREDENTIAL_APIKEY] == NULL || len < keep ||
        strncmp(line, "> ", 2) != 0 || strncmp(line + 2, request->head, request->target_len) != 0) {
        return false;
    }
    sink_write(show, line, keep);
    const char *version = memrchr(line, ' ', len);
    sink_printf(show, "(not shown)");
    sink_write(show, version, (size_t)(line + len - version));
    sink_printf(show, "\n");
    return true;
}

/* What is shown gets pasted into bug reports and chats: without credentials. */
static void copy_without_secrets(const struct once *once, struct sink *show)
{
    const char *line = sink_text(once->seen, NULL);
    while (*line != '\0') {
        size_t len = strcspn(line, "\n"), keep;
        if (is_secret(once, line, &keep)) {
            sink_write(show, line, keep);
            sink_printf(show, "(not shown)\n");
        } else if (!show_request_line(once, line, len, show)) {
            sink_write(show, line, len);
            sink_printf(show, "\n");
        }
        line += len + (line[len] == '\n');
    }
}

static void show_span(struct sink *show, const char *name, uint64_t from_ns, uint64_t to_ns)
{
    char text[UNIT_TEXT];
    if (from_ns != 0 && to_ns >= from_ns) {
        sink_printf(show, "  %-14s %s\n", name, unit_duration(text, (double)(to_ns - from_ns)));
    }
}

static void show_times(const struct once *once, struct sink *show)
{
    const struct conn *conn = &once->conn;
    sink_printf(show, "times\n");
    show_span(show, "tcp connect", conn->dial_ns, conn->connected_ns);
    show_span(show, "tls handshake", conn->connected_ns, conn->ready_ns);
    show_span(show, "first byte", once->stream.sent_ns, once->stream.first_byte_ns);
    show_span(show, "total", conn->dial_ns, once->end_ns);
}

static void exchange_once(struct once *once, struct ev_loop *loop, struct tls_client *tls,
                          const struct addr *addrs, size_t n_addrs)
{
    const struct credential *cert = once->sample.part[CREDENTIAL_CERT];
    conn_env_init(&once->env, loop, tls, &once->plan->target, addrs, n_addrs);
    once->env.handler = (struct conn_handler){once_ready, once_exchanged, once_closed, NULL};
    once->env.show = once->seen;
    once->conn.owner = once;
    conn_dial(&once->conn, &once->env, cert != NULL ? cert->cert : NULL, NULL);
    if (once->end_ns == 0) { /* a dial may fail at once */
        ev_run(loop, 0);
    }
    conn_reap(&once->env);
    conn_env_stop(&once->env);
}

bool once_perform(const struct plan *plan, const struct addr *addrs, size_t n_addrs,
                  struct mint *mint, struct sink *show, enum outcome *ret_outcome,
                  struct diag *diag)
{
    struct once once = {.plan = plan, .mint = mint, .seen = sink_new()};
    struct tls_client *tls = tls_client_new(plan, &plan->target, diag);
    request_set_init(&once.requests, plan, mint_run_id(mint));
    struct ev_loop *loop = ev_loop_new(EVBACKEND_EPOLL | EVFLAG_NOENV);
    bool ok = tls != NULL && take_identity(&once, diag);
    if (ok && loop == NULL) {
        diag_add(diag, plan_origin(plan, &plan->target.url), "no descriptors (ulimit -n)");
        ok = false;
    }
    if (ok) {
        exchange_once(&once, loop, tls, addrs, n_addrs);
        copy_without_secrets(&once, show);
        show_times(&once, show);
        *ret_outcome = once.outcome;
    }
    sample_drop(&once.sample, mint);
    free(once.head);
    request_set_clear(&once.requests);
    sink_free(once.seen);
    if (loop != NULL) {
        ev_loop_destroy(loop);
    }
    tls_client_free(tls);
    return ok;
}
