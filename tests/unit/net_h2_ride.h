/* For the tests of HTTP/2: one connection of ours to a peer, with as many exchanges at once as it
 * has room for, and what came of each. */
#ifndef TESTS_NET_H2_RIDE_H
#define TESTS_NET_H2_RIDE_H

#include "base/file.h"
#include "base/mono.h"
#include "net/conn.h"
#include "net_h2_peer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define RIDE_MAX 64
#define SHORT_NS (100 * NS_PER_MS)
#define LONG_NS  (20 * NS_PER_S)

static struct ride_pki {
    struct identity ca, server;
    char dir[64], ca_path[96];
} ride_pki;

struct ride {
    /* wants */
    struct plan plan;
    unsigned n_wanted;   /* exchanges in all */
    unsigned at_once;    /* 0: as many as there is room for */
    const char *method;  /* NULL: GET */
    const char *headers; /* lines; NULL: none */
    const char *secret;  /* name of one of them */
    const char *body;
    size_t body_len;
    bool close_at_end; /* when all have ended; else the server does */
    char *keep;
    size_t keep_size;
    struct sink *show;
    /* was told, by the order of sending */
    struct stream streams[RIDE_MAX];
    enum outcome outcomes[RIDE_MAX];
    bool was_unprocessed[RIDE_MAX];
    unsigned n_sent, n_ended, n_ok, n_rooms, n_closed;
    bool was_ready, was_h2;
    enum outcome end;
    /* machinery */
    struct ev_loop *loop;
    struct conn_env env;
    struct conn conn;
    ev_prepare prepare;
    struct h2_fields fields;
    char *head;
};

static inline struct ride ride_new(unsigned n_wanted)
{
    static char localhost[] = "localhost";
    struct ride ride = {.n_wanted = n_wanted, .close_at_end = true};
    struct plan_target *target = &ride.plan.target;

    target->verify = VERIFY_CACHED;
    target->alpn = ALPN_H2;
    target->tls_min = TLS_VERSION_1_2;
    target->tls_max = TLS_VERSION_1_3;
    target->server_ca = ride_pki.ca_path;
    target->server_name = target->verify_name = localhost;
    target->timeout_connect_ns = target->timeout_handshake_ns = LONG_NS;
    target->timeout_first_byte_ns = target->timeout_exchange_ns = LONG_NS;
    return ride;
}

static inline void ride_send(struct ride *ride)
{
    while (ride->n_sent < ride->n_wanted && conn_room(&ride->conn) > 0 &&
           (ride->at_once == 0 || ride->conn.n_streams < ride->at_once)) {
        struct conn_request request = {.head = ride->head,
                                       .head_len = strlen(ride->head),
                                       .fields = ride->fields.fields,
                                       .n_fields = ride->fields.n,
                                       .body = ride->body,
                                       .body_len = ride->body_len,
                                       .head_request = str_has_prefix(ride->head, "HEAD ")};

        conn_send(&ride->conn, &ride->streams[ride->n_sent++], &request);
    }
}

static inline void ride_ready(struct conn *conn)
{
    struct ride *ride = conn->owner;

    ride->was_h2 = conn_is_h2(conn);
    ride_send(ride);
}

static inline void ride_room(struct conn *conn)
{
    struct ride *ride = conn->owner;

    ride->n_rooms++;
    ride_send(ride);
}

static inline void ride_exchanged(struct conn *conn, struct stream *stream, enum outcome outcome)
{
    struct ride *ride = conn->owner;
    ptrdiff_t i = stream - ride->streams;

    assert_true(i >= 0 && i < RIDE_MAX);
    assert_null(stream->conn);
    ride->outcomes[i] = outcome;
    ride->was_unprocessed[i] = stream->unprocessed;
    ride->n_ended++;
    ride->n_ok += outcome == OUTCOME_OK;
    ride_send(ride);
    if (ride->n_ended == ride->n_wanted && ride->close_at_end) {
        conn_close(conn, OUTCOME_OK);
    }
}

static inline void ride_closed(struct conn *conn, enum outcome outcome)
{
    struct ride *ride = conn->owner;

    ride->n_closed++;
    ride->end = outcome;
    ride->was_ready = conn->was_ready;
    ev_break(ride->loop, EVBREAK_ALL);
}

static inline void ride_turn(struct ev_loop *loop, ev_prepare *prepare, int revents)
{
    (void)loop, (void)revents;
    conn_reap(prepare->data);
}

/* Dials once and runs until closed() has been told: once, after the end of all that was sent. */
static inline void ride_to(struct ride *ride, uint16_t port)
{
    struct diag *diag = diag_new();
    struct tls_client *client = tls_client_new(&ride->plan, &ride->plan.target, diag);
    struct addr addr;

    assert_int_equal(
        addr_resolve("127.0.0.1", port, LONG_NS, (struct origin){"test", 0}, &addr, 1, diag), 1);
    ride->head = xasprintf("%s /path HTTP/1.1\r\nHost: test\r\n%s\r\n",
                           ride->method != NULL ? ride->method : "GET",
                           ride->headers != NULL ? ride->headers : "");
    h2_fields_init(&ride->fields, ride->head, strlen(ride->head));
    if (ride->secret != NULL) {
        h2_fields_hide(&ride->fields, ride->secret);
    }
    ride->loop = ev_loop_new(EVBACKEND_EPOLL);
    conn_env_init(&ride->env, ride->loop, client, &ride->plan.target, &addr, 1);
    ride->env.handler = (struct conn_handler){ride_ready, ride_exchanged, ride_closed, ride_room};
    ride->env.show = ride->show;
    ride->env.keep = ride->keep;
    ride->env.keep_size = ride->keep_size;
    ev_prepare_init(&ride->prepare, ride_turn);
    ride->prepare.data = &ride->env;
    ev_prepare_start(ride->loop, &ride->prepare);
    ride->conn.owner = ride;
    conn_dial(&ride->conn, &ride->env, NULL, NULL);
    while (ride->n_closed == 0) {
        ev_run(ride->loop, EVRUN_ONCE);
    }
    conn_reap(&ride->env);
    assert_int_equal(ride->conn.state, CONN_IDLE);
    assert_int_equal(ride->n_closed, 1);
    assert_int_equal(ride->n_ended, ride->n_sent);
    conn_env_stop(&ride->env);
    ev_loop_destroy(ride->loop);
    h2_fields_clear(&ride->fields);
    free(ride->head);
    tls_client_free(client);
    diag_free(diag);
}

/* The usual case. */
static inline void ride_with(struct ride *ride, struct peer *peer, void (*serve)(struct peer *peer))
{
    *peer = (struct peer){.serve = serve, .alpn = "h2", .own = &ride_pki.server};
    peer_start(peer);
    ride_to(ride, peer->port);
    peer_stop(peer);
}

static inline void expect_outcome(enum outcome got, enum outcome wanted)
{
    if (got != wanted) {
        fail_msg("%s; expected %s", outcome_info(got)->name, outcome_info(wanted)->name);
    }
}

/* One exchange, and how it and the connection ended. */
static inline void expect(void (*serve)(struct peer *peer), enum outcome exchange, enum outcome end)
{
    struct ride ride = ride_new(1);
    struct peer peer;

    ride_with(&ride, &peer, serve);
    assert_int_equal(ride.n_ended, 1);
    expect_outcome(ride.outcomes[0], exchange);
    expect_outcome(ride.end, end);
}

static inline int ride_setup(void **state)
{
    (void)state;
    (void)snprintf(ride_pki.dir, sizeof ride_pki.dir, "/tmp/tlsoak-test-XXXXXX");
    assert_non_null(mkdtemp(ride_pki.dir));
    (void)snprintf(ride_pki.ca_path, sizeof ride_pki.ca_path, "%s/ca.pem", ride_pki.dir);
    ride_pki.ca = identity_make("test CA", NULL, NULL, -DAY_S, DAY_S);
    ride_pki.server =
        identity_make("server", &ride_pki.ca, "DNS:localhost,IP:127.0.0.1", -DAY_S, DAY_S);
    identity_save(&ride_pki.ca, ride_pki.ca_path);
    return 0;
}

static inline int ride_teardown(void **state)
{
    (void)state;
    identity_free(&ride_pki.ca);
    identity_free(&ride_pki.server);
    (void)unlink(ride_pki.ca_path);
    (void)rmdir(ride_pki.dir);
    return 0;
}

#endif
