/* The client of the fault server: one loop with many connections at once, each of which meets one
 * fault after another, as a worker's do.  What came of each is checked when all is over: its
 * outcome is one of those that the fault allows, it ended in time, the client's memory stayed
 * bounded, and the next connection of the same seat went on as if nothing had been. */
#ifndef TESTS_FAULT_CROWD_H
#define TESTS_FAULT_CROWD_H

#include "base/file.h"
#include "base/mono.h"
#include "fault_server.h"
#include "net/conn.h"
#include "net/h2_fields.h"

#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define FAULT_LONG_NS (20 * NS_PER_S)
#define FAULT_SHOWN   10
#define FAULT_SEATS   400
#define FAULT_BUSY    24 /* connections at once that have not come to rest */
#define FAULT_SLACK   20 /* a deadline may take so many times its length on a busy machine */

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
size_t __sanitizer_get_current_allocated_bytes(void);
#endif

/* Live bytes of the heap, the server's share included. */
static inline size_t fault_heap(void)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    return __sanitizer_get_current_allocated_bytes();
#else
    return mallinfo2().uordblks;
#endif
}

static struct fault_pki {
    struct identity ca, server, client;
    struct cert client_cert;
    char dir[64], ca_path[96];
} fault_pki;

struct fault_seat {
    struct crowd *crowd;
    struct conn conn;
    struct stream stream;
    struct fault *fault; /* of the connection; NULL: none */
    uint64_t from_ns;
};

struct crowd {
    /* wants */
    uint64_t handshake_ns, first_byte_ns, exchange_ns; /* deadlines */
    unsigned n_seats;
    bool weighs; /* looks at the heap */
    const char *method;
    const char *body;
    size_t body_len;
    struct fault **faults;
    size_t n_faults;
    /* found */
    size_t peak_heap; /* above that at the start */
    /* machinery */
    struct fault_server *server;
    struct ev_loop *loop;
    struct conn_env env;
    struct plan plan;
    ev_prepare turn;
    ev_timer tick; /* the server's connections come to rest without an event here */
    struct fault_seat seats[FAULT_SEATS];
    size_t next, n_open;
    size_t heap;
    struct h2_fields fields;
    char *head;
};

/* Told by the connection. */

static inline void crowd_ready(struct conn *conn)
{
    struct fault_seat *seat = conn->owner;
    struct crowd *crowd = seat->crowd;
    struct conn_request request = {.head = crowd->head,
                                   .head_len = strlen(crowd->head),
                                   .fields = crowd->fields.fields,
                                   .n_fields = crowd->fields.n,
                                   .body = crowd->body,
                                   .body_len = crowd->body_len};

    tls_keep_sessions(conn->tls);
    seat->fault->seen.begun = true;
    conn_send(conn, &seat->stream, &request);
}

static inline void crowd_exchanged(struct conn *conn, struct stream *stream, enum outcome outcome)
{
    struct fault_seat *seat = conn->owner;

    seat->fault->seen.exchange = outcome;
    seat->fault->seen.status = stream->status;
    conn_close(conn, OUTCOME_OK); /* a stream may have ended alone */
}

static inline void crowd_closed(struct conn *conn, enum outcome outcome)
{
    struct fault_seat *seat = conn->owner;

    seat->fault->seen.close = outcome;
    seat->fault->seen.took_ns = mono_now_ns() - seat->from_ns;
    seat->fault = NULL;
    seat->crowd->n_open--;
}

static inline void crowd_dial(struct crowd *crowd, struct fault_seat *seat, struct fault *fault)
{
    struct sockaddr_in sa;
    socklen_t len = sizeof sa;

    seat->fault = fault;
    seat->from_ns = mono_now_ns();
    crowd->n_open++;
    conn_dial(&seat->conn, &crowd->env, &fault_pki.client_cert, NULL);
    assert_int_equal(getsockname(seat->conn.fd, (struct sockaddr *)&sa, &len), 0);
    atomic_store(&crowd->server->by_port[ntohs(sa.sin_port)], fault);
}

/* Those that have come to rest wait for a deadline, and cost nothing. */
static inline void crowd_fill(struct crowd *crowd)
{
    for (unsigned i = 0; i < crowd->n_seats && crowd->next < crowd->n_faults; i++) {
        size_t resting = atomic_load(&crowd->server->n_waiting);

        if (crowd->n_open >= resting + FAULT_BUSY) {
            return;
        }
        if (crowd->seats[i].fault == NULL && crowd->seats[i].conn.state == CONN_IDLE) {
            crowd_dial(crowd, &crowd->seats[i], crowd->faults[crowd->next++]);
        }
    }
}

static inline void crowd_turn(struct ev_loop *loop, ev_prepare *prepare, int revents)
{
    struct crowd *crowd = prepare->data;
    size_t heap = crowd->weighs ? fault_heap() : 0; /* dear where there are many threads */

    (void)revents;
    if (heap > crowd->heap && heap - crowd->heap > crowd->peak_heap) {
        crowd->peak_heap = heap - crowd->heap;
    }
    conn_reap(&crowd->env);
    crowd_fill(crowd);
    conn_reap(&crowd->env);
    if (crowd->next == crowd->n_faults && crowd->n_open == 0) {
        ev_break(loop, EVBREAK_ALL);
    }
}

static inline void crowd_tick(struct ev_loop *loop, ev_timer *timer, int revents)
{
    (void)loop, (void)timer, (void)revents;
}

/* Deadlines that nothing here may reach; the faults are borrowed until crowd_run has ended. */
static inline struct crowd *crowd_new(struct fault **faults, size_t n_faults)
{
    struct crowd *crowd = xcalloc(1, sizeof *crowd);

    crowd->faults = faults;
    crowd->n_faults = n_faults;
    crowd->handshake_ns = crowd->first_byte_ns = crowd->exchange_ns = FAULT_LONG_NS;
    crowd->n_seats = FAULT_BUSY;
    return crowd;
}

static inline void crowd_plan(struct crowd *crowd)
{
    static char localhost[] = "localhost";
    struct plan_target *target = &crowd->plan.target;

    target->verify = VERIFY_CACHED;
    target->alpn = ALPN_H2_H1;
    target->tls_min = TLS_VERSION_1_2;
    target->tls_max = TLS_VERSION_1_3;
    target->server_ca = fault_pki.ca_path;
    target->server_name = target->verify_name = localhost;
    target->timeout_connect_ns = FAULT_LONG_NS;
    target->timeout_handshake_ns = crowd->handshake_ns;
    target->timeout_first_byte_ns = crowd->first_byte_ns;
    target->timeout_exchange_ns = crowd->exchange_ns;
    crowd->plan.pace.resume_ratio = 1;
}

static inline void crowd_loop(struct crowd *crowd, struct tls_client *client,
                              const struct addr *addr)
{
    crowd->loop = ev_loop_new(EVBACKEND_EPOLL);
    conn_env_init(&crowd->env, crowd->loop, client, &crowd->plan.target, addr, 1);
    crowd->env.handler = (struct conn_handler){crowd_ready, crowd_exchanged, crowd_closed, NULL};
    ev_prepare_init(&crowd->turn, crowd_turn);
    crowd->turn.data = crowd;
    ev_prepare_start(crowd->loop, &crowd->turn);
    ev_timer_init(&crowd->tick, crowd_tick, 0., 0.002);
    ev_timer_start(crowd->loop, &crowd->tick);
    for (unsigned i = 0; i < crowd->n_seats; i++) {
        crowd->seats[i].crowd = crowd;
        crowd->seats[i].conn.owner = &crowd->seats[i];
    }
    crowd->heap = fault_heap();
    (void)ev_run(crowd->loop, 0);
    conn_reap(&crowd->env);
    conn_env_stop(&crowd->env);
    ev_loop_destroy(crowd->loop);
}

/* Meets all faults. */
static inline void crowd_run(struct crowd *crowd)
{
    struct diag *diag = diag_new();
    struct tls_client *client;
    struct addr addr;

    crowd_plan(crowd);
    client = tls_client_new(&crowd->plan, &crowd->plan.target, diag);
    assert_non_null(client);
    crowd->server = fault_server_start(&fault_pki.server, crowd->n_seats + FAULT_BUSY, NULL);
    assert_int_equal(addr_resolve("127.0.0.1", crowd->server->port, FAULT_LONG_NS,
                                  (struct origin){"test", 0}, &addr, 1, diag),
                     1);
    crowd->head = xasprintf("%s / HTTP/1.1\r\nHost: localhost\r\nContent-Length: %zu\r\n\r\n",
                            crowd->method != NULL ? crowd->method : "GET", crowd->body_len);
    h2_fields_init(&crowd->fields, crowd->head, strlen(crowd->head));
    crowd_loop(crowd, client, &addr);
    fault_server_stop(crowd->server);
    h2_fields_clear(&crowd->fields);
    free(crowd->head);
    tls_client_free(client);
    diag_free(diag);
}

/* Faults that are met together, and what must hold of each. */

struct fault_row {
    struct fault *faults;
    size_t n, room;
    uint64_t deadline_ns;                          /* 0: none is ever reached */
    uint64_t (*expect)(const struct fault *fault); /* or NULL: fault->expect */
    size_t most_heap; /* bytes, for all seats and their servers; 0: not looked at */
    const char *method, *body;
    size_t body_len;
    unsigned n_seats; /* 0: as many as are busy, or FAULT_SEATS with a deadline */
};

static inline struct fault *row_add(struct fault_row *row)
{
    row->faults = mem_array_reserve(row->faults, row->n, &row->room, sizeof *row->faults);
    row->faults[row->n] = (struct fault){.flip = 0};
    return &row->faults[row->n++];
}

static inline enum outcome fault_outcome(const struct fault *fault)
{
    return fault->seen.begun ? fault->seen.exchange : fault->seen.close;
}

static inline uint64_t row_expect(const struct fault_row *row, const struct fault *fault)
{
    return row->expect != NULL ? row->expect(fault) : fault->expect;
}

static inline void row_complain(const struct fault_row *row, const struct fault *fault)
{
    uint64_t set = row_expect(row, fault);
    struct sink *sink = sink_new();

    for (int i = 0; i < OUTCOME_COUNT; i++) {
        if ((set & OF(i)) != 0) {
            sink_printf(sink, " %s", outcome_info((enum outcome)i)->name);
        }
    }
    print_message("%s: %s (closed: %s) after %.0f ms; expected%s\n", fault->name,
                  outcome_info(fault_outcome(fault))->name, outcome_info(fault->seen.close)->name,
                  (double)fault->seen.took_ns / 1e6, sink_text(sink, NULL));
    sink_free(sink);
}

/* No deadline passes early, and none is forgotten. */
static inline bool fault_in_time(const struct fault *fault, const struct crowd *crowd)
{
    enum outcome outcome = fault_outcome(fault);
    uint64_t least = outcome == OUTCOME_TIMEOUT_HANDSHAKE    ? crowd->handshake_ns
                     : outcome == OUTCOME_TIMEOUT_FIRST_BYTE ? crowd->first_byte_ns
                     : outcome == OUTCOME_TIMEOUT_EXCHANGE   ? crowd->exchange_ns
                                                             : 0;

    return fault->seen.took_ns >= least &&
           fault->seen.took_ns < FAULT_SLACK * (crowd->handshake_ns + crowd->exchange_ns);
}

/* Leaves in `todo` those that may have been hurried by a busy machine; gives how many are wrong. */
static inline size_t row_judge(const struct fault_row *row, const struct crowd *crowd,
                               struct fault **todo, size_t *n_todo, bool last)
{
    size_t n_wrong = 0, n_again = 0;

    for (size_t i = 0; i < *n_todo; i++) {
        struct fault *fault = todo[i];
        enum outcome_class class = outcome_info(fault_outcome(fault))->class;
        bool in_time = fault_in_time(fault, crowd);

        if (fault->seen.served && in_time &&
            (row_expect(row, fault) & OF(fault_outcome(fault))) != 0) {
            continue;
        }
        if (!last && (class == OUTCOME_CLASS_TIMEOUT || !in_time)) {
            fault->seen = (struct fault_seen){.served = false};
            todo[n_again++] = fault;
        } else if (n_wrong++ < FAULT_SHOWN) {
            row_complain(row, fault);
        }
    }
    *n_todo = n_again;
    return n_wrong;
}

static inline size_t row_round(const struct fault_row *row, struct fault **todo, size_t *n_todo,
                               uint64_t deadline_ns, bool last)
{
    struct crowd *crowd = crowd_new(todo, *n_todo);
    size_t n_wrong;

    if (deadline_ns != 0) {
        crowd->n_seats = FAULT_SEATS;
        crowd->handshake_ns = 2 * deadline_ns;
        crowd->first_byte_ns = deadline_ns;
        crowd->exchange_ns = 2 * deadline_ns;
    }
    crowd->n_seats = row->n_seats != 0 ? row->n_seats : crowd->n_seats;
    crowd->weighs = row->most_heap != 0;
    crowd->method = row->method;
    crowd->body = row->body;
    crowd->body_len = row->body_len;
    crowd_run(crowd);
    if (row->most_heap != 0) {
        assert_in_range(crowd->peak_heap, 1, row->most_heap);
    }
    n_wrong = row_judge(row, crowd, todo, n_todo, last);
    free(crowd);
    return n_wrong;
}

/* A deadline that came too early for what was to be seen is tried again with a longer one. */
static inline void row_meet(struct fault_row *row)
{
    struct fault **todo = xcalloc(row->n, sizeof *todo);
    uint64_t deadline_ns = row->deadline_ns;
    size_t n_todo = row->n, n_wrong = 0;

    for (size_t i = 0; i < row->n; i++) {
        todo[i] = &row->faults[i];
    }
    for (int i = 0; i < 4 && n_todo > 0; i++) {
        n_wrong += row_round(row, todo, &n_todo, deadline_ns, deadline_ns == 0 || i == 3);
        deadline_ns *= 4;
    }
    free(todo);
    assert_int_equal(n_wrong, 0);
}

static inline void row_clear(struct fault_row *row)
{
    free(row->faults);
}

/* Ed25519: thousands of handshakes cost little, and their signatures have one length. */
static inline EVP_PKEY *fault_key(const char *name)
{
    unsigned char seed[32] = {0};

    memcpy(seed, name, strlen(name));
    return EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, seed, sizeof seed);
}

static inline int fault_setup(void **state)
{
    (void)state;
    (void)snprintf(fault_pki.dir, sizeof fault_pki.dir, "/tmp/tlsoak-test-XXXXXX");
    assert_non_null(mkdtemp(fault_pki.dir));
    (void)snprintf(fault_pki.ca_path, sizeof fault_pki.ca_path, "%s/ca.pem", fault_pki.dir);
    fault_pki.ca = identity_make("test CA", NULL, NULL, -DAY_S, DAY_S);
    fault_pki.server = identity_of_key(fault_key("server"), "server", &fault_pki.ca,
                                       "DNS:localhost", -DAY_S, DAY_S);
    fault_pki.client =
        identity_of_key(fault_key("client"), "client", &fault_pki.ca, NULL, -DAY_S, DAY_S);
    identity_to_cert(&fault_pki.client, &fault_pki.client_cert);
    identity_save(&fault_pki.ca, fault_pki.ca_path);
    return 0;
}

static inline int fault_teardown(void **state)
{
    (void)state;
    identity_cert_free(&fault_pki.client_cert);
    identity_free(&fault_pki.ca);
    identity_free(&fault_pki.server);
    identity_free(&fault_pki.client);
    (void)unlink(fault_pki.ca_path);
    (void)rmdir(fault_pki.dir);
    return 0;
}

#endif
