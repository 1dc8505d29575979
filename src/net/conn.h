/* One connection to the target: dials, shakes hands, then carries one exchange after another until
 * it is closed.  Mechanism without policy: what to send and when is the worker's business.
 *
 * States: IDLE -> DIALING -> HANDSHAKING -> READY -> DRAINING -> CLOSED (table in conn.c: name,
 * step, legal successors, deadline and what its expiry is called).  conn_enter is the only place
 * that changes the state, conn_drive the only one that starts or stops watchers.  Closing only
 * marks; the worker reaps after the loop turn (conn_reap), so no callback ever frees what its
 * caller still holds.
 *
 * All deadlines of one kind are equal, so each kind is one list in order of expiry with one timer
 * (conn_env). Embedded by value in the worker's slab; about 500 bytes beside the TLS library's. */
#ifndef NET_CONN_H
#define NET_CONN_H

#include "net/addr.h"
#include "net/h1.h"
#include "net/source_addr.h"
#include "net/tls.h"
#include "record/outcome.h"

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

enum conn_state {
    CONN_IDLE,
    CONN_DIALING,
    CONN_HANDSHAKING,
    CONN_READY,    /* handshake done; an exchange may be in flight */
    CONN_DRAINING, /* close_notify and FIN are out */
    CONN_CLOSED,
    CONN_STATE_COUNT
};

enum conn_deadline {
    CONN_DEADLINE_CONNECT,
    CONN_DEADLINE_HANDSHAKE,
    CONN_DEADLINE_FIRST_BYTE,
    CONN_DEADLINE_EXCHANGE,
    CONN_DEADLINE_COUNT,
    CONN_DEADLINE_NONE = CONN_DEADLINE_COUNT
};

struct conn;

/* What a connection tells its worker.  Called from the loop or from conn_reap, never from inside
 * another conn_* call of the worker's own, except that conn_dial may report a failure at once.  All
 * of them may call conn_send, conn_close and conn_dial, also for the connection at hand where its
 * state allows. */
struct conn_handler {
    /* The handshake is done (facts by tls_facts(conn->tls, ..)); exchanges may be sent. */
    void (*ready)(struct conn *conn);
    /* The exchange in flight ended: OUTCOME_OK for any complete response (status in
     * conn->h1.status), else why not.  After OK with conn->h1.keep_alive the connection is READY
     * again; else closed() follows.  When a kept connection fails before conn->h1.started, the
     * server most likely closed it as we sent. */
    void (*exchanged)(struct conn *conn, enum outcome outcome);
    /* The connection ended.  `outcome` says why a dial or handshake failed (conn->was_ready false);
     * for one that was ready it is OUTCOME_OK when we or the server closed it between exchanges,
     * else what exchanged() said, or HTTP_GARBAGE, HTTP_RESET or an alert that came between
     * exchanges.  Called exactly once a dial; conn->tls is still there. */
    void (*closed)(struct conn *conn, enum outcome outcome);
};

/* Connections in order of expiry. */
struct conn_deadline_list {
    struct conn *first, *last;
    ev_timer timer; /* armed for the first, or earlier */
    uint64_t length_ns;
};

/* Shared by the connections of one worker. */
struct conn_env {
    struct ev_loop *loop;
    struct tls_client *tls;
    const struct plan_target *target;
    const struct addr *addrs; /* in turn; a dial goes on to the next where one refuses */
    size_t n_addrs;
    size_t next_addr;
    struct source_addr source;
    struct conn_handler handler;
    struct sink *show; /* `--once -v`: what happens, in words; usually NULL */
    char *keep;        /* gets the first keep_size bytes of each response's body; usually NULL */
    size_t keep_size;
    struct conn_deadline_list deadline[CONN_DEADLINE_COUNT];
    struct conn *reap;                   /* closed in this loop turn */
    uint64_t bytes_sent, bytes_received; /* HTTP bytes; the worker reads and clears them */
};

/* A place in a deadline list.  A connection has two: one for connect, handshake and first byte,
 * which follow one another, and one for the exchange as a whole, which runs beside the first
 * byte's. */
struct conn_link {
    struct conn *prev, *next;
    uint64_t expires_ns;
    enum conn_deadline armed;
};

struct conn {
    struct conn_env *env;
    enum conn_state state;
    int fd;
    ev_io io;
    struct tls *tls;             /* NULL until TCP stands */
    const struct cert *cert;     /* until the handshake has ended */
    struct tls_session *session; /* offered; our reference until TCP stands */
    struct h1 h1;
    bool was_ready;
    bool in_flight;
    bool close_after;       /* the worker wants it closed when the exchange in flight has ended */
    uint32_t n_exchanges;   /* completed on this connection */
    uint32_t n_tried;       /* addresses, in this dial */
    uint64_t dial_ns;       /* conn_dial was called */
    uint64_t connected_ns;  /* TCP stands; 0 before */
    uint64_t ready_ns;      /* handshake done; 0 before */
    uint64_t sent_ns;       /* conn_send was called */
    uint64_t first_byte_ns; /* of the response in flight; 0 before */
    struct iovec out[2];    /* what is left to send: head and body (borrowed until exchanged) */
    struct conn_link link[2];
    struct conn *reap_next;
    enum outcome end; /* of one that the worker closed: told by conn_reap */
    bool told;
    bool no_delay;     /* TCP_NODELAY is set */
    bool write_failed; /* the server takes no more, but may have answered */
    void *owner;       /* the worker's own record of this connection */
};

/* Prepares env for `loop` (overwriting all of it); the deadlines are the target's timeouts, 0 for
 * none. env->handler, env->show and env->keep are the worker's to set afterwards.  conn_env_stop
 * stops its timers; all connections have been reaped before. */
void conn_env_init(struct conn_env *env, struct ev_loop *loop, struct tls_client *tls,
                   const struct plan_target *target, const struct addr *addrs, size_t n_addrs);
void conn_env_stop(struct conn_env *env);
/* Starts connecting an IDLE connection (zeroed memory, or a reaped one; owner is kept).  `cert`
 * (NULL: none) is borrowed until the handshake has ended; of `session` (NULL: full handshake) a
 * reference is taken. */
void conn_dial(struct conn *conn, struct conn_env *env, const struct cert *cert,
               struct tls_session *session);
/* Sends one request on a READY connection with nothing in flight.  head and body are borrowed until
 * exchanged(). */
void conn_send(struct conn *conn, const char *head, size_t head_len, const char *body,
               size_t body_len, bool head_request);
/* Closes politely (close_notify, FIN); does nothing to one that is closing already.  conn_reap
 * tells it: exchanged(outcome) for an exchange in flight, then closed(outcome). */
void conn_close(struct conn *conn, enum outcome outcome);
/* Frees what the connections that closed in this loop turn held, after closed() has been called for
 * each.  They are IDLE afterwards.  Call once a loop turn (ev_prepare), and after the last one.  Do
 * not dial between it and the end of the turn: descriptors that come back at once cost libev an
 * epoll_ctl more. */
void conn_reap(struct conn_env *env);
/* The state table as text, one transition a line: held by a golden test. */
void conn_print_states(struct sink *sink);

#endif
