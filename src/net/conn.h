/* One connection to the target: dials, shakes hands, then carries exchanges until it is closed:
 * with HTTP/1.1 one after another, with HTTP/2 as many at once as conn_room says.  Mechanism
 * without policy: what to send and when is the worker's business.
 *
 * States: IDLE -> DIALING -> HANDSHAKING -> READY -> DRAINING -> CLOSED (table in conn.c: name,
 * step, legal successors, deadline and what its expiry is called).  conn_enter is the only place
 * that changes the state, conn_drive the only one that starts or stops watchers.  Closing only
 * marks; the worker reaps after the loop turn (conn_reap), so no callback ever frees what its
 * caller still holds.
 *
 * Which protocol it is ALPN decides, or the target where that is raw (tls://); from then on a codec
 * speaks it (codec.h).  An exchange in flight is a stream: the caller's memory, linked into its
 * connection, whatever the protocol.
 *
 * All deadlines of one kind are equal, so each kind is one list in order of expiry with one timer
 * (conn_env). Embedded by value in the worker's slab; about 450 bytes beside the TLS library's, and
 * with HTTP/2 some 20 KiB of nghttp2's. */
#ifndef NET_CONN_H
#define NET_CONN_H

#include "net/addr.h"
#include "net/h1.h"
#include "net/h2_fields.h"
#include "net/raw.h"
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
    CONN_READY,    /* handshake done; exchanges may be in flight */
    CONN_DRAINING, /* close_notify and FIN are out */
    CONN_CLOSED,
    CONN_STATE_COUNT
};

enum conn_deadline {
    CONN_DEADLINE_CONNECT,
    CONN_DEADLINE_HANDSHAKE,
    CONN_DEADLINE_FIRST_BYTE,
    CONN_DEADLINE_EXCHANGE,
    CONN_DEADLINE_PING,
    CONN_DEADLINE_COUNT,
    CONN_DEADLINE_NONE = CONN_DEADLINE_COUNT
};

struct codec;
struct conn;
struct h2;
struct h2_env;
struct stream;

/* What a connection tells its worker.  Called from the loop or from conn_reap, never from inside
 * another conn_* call of the worker's own, except that conn_dial may report a failure at once.  All
 * of them may call conn_send, conn_close and conn_dial, also for the connection at hand where its
 * state allows. */
struct conn_handler {
    /* The handshake is done (facts by tls_facts(conn->tls, ..)); exchanges may be sent. */
    void (*ready)(struct conn *conn);
    /* An exchange ended, and the stream is the caller's again: OUTCOME_OK for any complete response
     * (status in stream->status), else why not.  conn_room says whether another may follow; after a
     * failure that took the connection along, closed() follows.  When a kept connection fails
     * before stream->started, the server most likely closed it as we sent. */
    void (*exchanged)(struct conn *conn, struct stream *stream, enum outcome outcome);
    /* The connection ended.  `outcome` says why a dial or handshake failed (conn->was_ready false);
     * for one that was ready it is OUTCOME_OK when we or the server closed it between exchanges,
     * else what exchanged() said, or HTTP_GARBAGE, HTTP_RESET or an alert that came between
     * exchanges.  Called exactly once a dial; conn->tls is still there. */
    void (*closed)(struct conn *conn, enum outcome outcome);
    /* There is room for an exchange where there was none, and none has ended: the server raised its
     * limit.  May be NULL. */
    void (*room)(struct conn *conn);
};

/* A place in a deadline list. */
struct conn_link {
    struct conn_link *prev, *next;
    uint64_t expires_ns;
    enum conn_deadline armed;
};

/* Connections or streams in order of expiry. */
struct conn_deadline_list {
    struct conn_link *first, *last;
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
    /* TCP stands, and the session to be offered allows early data: one request that is safe to
     * repeat may be sent by conn_send now and leaves with the hello; its deadlines begin when the
     * handshake is done.  Whether the server took it tells tls_early(conn->tls); if not, it has
     * been sent again when ready() is called.  NULL, or where target.early_data is not set: never
     * called. */
    void (*early)(struct conn *conn);
    struct sink *show; /* `--once -v`: what happens, in words; usually NULL */
    char *keep;        /* gets the first keep_size bytes of each response's body; usually NULL */
    size_t keep_size;
    struct conn_deadline_list deadline[CONN_DEADLINE_COUNT];
    struct conn *reap;                   /* closed in this loop turn */
    struct h2_env *h2;                   /* NULL: the target is not offered HTTP/2 */
    bool own_alpn;                       /* offers what `target` says, not what `tls` would */
    bool no_window;                      /* HTTP/2: the server may send no byte of a body */
    uint64_t bytes_sent, bytes_received; /* HTTP bytes; the worker reads and clears them */
};

/* One exchange in flight.  The caller embeds it in its own record and sets `owner`; all else is
 * written by the connection, and may be read from exchanged() on until it is sent again. */
struct stream {
    void *owner;
    struct conn *conn;          /* while it is in flight, else NULL */
    struct stream *prev, *next; /* among the connection's */
    struct conn_link link[2];   /* first byte, and the exchange as a whole */
    uint64_t sent_ns;           /* conn_send was called */
    uint64_t first_byte_ns;     /* of the response; 0: none has come */
    uint64_t body_bytes;        /* of the response, as far as it came */
    const char *body;           /* HTTP/2: what is left to send (borrows) */
    size_t body_len;
    int32_t id; /* HTTP/2 */
    int status; /* of the final response; 0 until its head is complete */
    bool head_request;
    bool cancelled;
    bool started;        /* a byte of a response has come */
    bool unprocessed;    /* the server says that it has done nothing (RFC 9113, 6.8 and 8.7) */
    bool ended;          /* HTTP/2: waits to be told, with `outcome` */
    uint8_t interim;     /* HTTP/2: 1xx responses before the final one */
    uint32_t head_bytes; /* HTTP/2: of the header block being read */
    enum outcome outcome;
    struct stream *ended_next;
};

/* What is sent, in the form of the protocol that conn_is_h2 tells. */
struct conn_request {
    const char *head; /* HTTP/1.1: request line and headers up to the empty line; raw: all of it */
    size_t head_len;
    const struct h2_field *fields; /* HTTP/2 */
    size_t n_fields;
    const char *body;
    size_t body_len;
    const struct raw_reply *reply; /* raw: what is expected, while the connection lives */
    bool secret;                   /* raw: `head` is never shown */
    bool head_request;             /* the method is HEAD */
    bool cancelled;                /* HTTP/2: RST_STREAM(CANCEL) right behind its HEADERS */
};

struct conn {
    struct conn_env *env;
    enum conn_state state;
    int fd;
    ev_io io;
    struct tls *tls;             /* NULL until TCP stands */
    const struct cert *cert;     /* until the handshake has ended */
    struct tls_session *session; /* offered; our reference until TCP stands */
    const struct codec *codec;   /* from READY on, or from early() */
    struct h2 *h2;               /* NULL: it speaks HTTP/1.1 */
    union {
        struct h1 h1;
        struct raw raw;
    };
    struct stream *streams; /* in flight, the newest first */
    uint32_t n_streams;     /* of them */
    uint32_t n_sent;        /* exchanges begun on this connection */
    uint32_t n_exchanges;   /* completed on this connection */
    bool was_ready;
    bool takes_early;      /* while env->early runs */
    bool was_early;        /* its first exchange was begun before it was ready */
    bool close_after;      /* the worker wants it closed when what is in flight has ended */
    uint32_t n_tried;      /* addresses, in this dial */
    uint64_t dial_ns;      /* conn_dial was called */
    uint64_t connected_ns; /* TCP stands; 0 before */
    uint64_t ready_ns;     /* handshake done; 0 before */
    struct iovec out[2];   /* but for HTTP/2: what is left to send, head and body (borrowed) */
    struct conn_link link; /* connect, handshake, ping */
    struct conn *reap_next;
    enum outcome end; /* of one that the worker closed: told by conn_reap */
    bool told;
    bool stands;       /* the connection stood when connect() returned */
    bool no_delay;     /* TCP_NODELAY is set */
    bool write_failed; /* the server takes no more, but may have answered */
    bool flush_due;    /* the codec is to be flushed from the loop, unsent bytes or not */
    void *owner;       /* the worker's own record of this connection */
};

/* Prepares env for `loop` (overwriting all of it); the deadlines are the target's timeouts, 0 for
 * none.  env->handler, env->show and env->keep are the worker's to set afterwards.  conn_env_stop
 * stops its timers and frees what it holds; all connections have been reaped before. */
void conn_env_init(struct conn_env *env, struct ev_loop *loop, struct tls_client *tls,
                   const struct plan_target *target, const struct addr *addrs, size_t n_addrs);
void conn_env_stop(struct conn_env *env);
/* Starts connecting an IDLE connection (zeroed memory, or a reaped one; owner is kept).  `cert`
 * (NULL: none) is borrowed until the handshake has ended; of `session` (NULL: full handshake) a
 * reference is taken. */
void conn_dial(struct conn *conn, struct conn_env *env, const struct cert *cert,
               struct tls_session *session);
/* How many more exchanges it takes now; 0 where it is not READY, or close_after is set. */
size_t conn_room(const struct conn *conn);
/* Sends one request on a READY connection that has room, or in env->early.  All text that `request`
 * points to is borrowed until exchanged().  With HTTP/2 it leaves at the end of the loop turn, with
 * all others. */
void conn_send(struct conn *conn, struct stream *stream, const struct conn_request *request);
/* Closes politely (close_notify, FIN); does nothing to one that is closing already.  conn_reap
 * tells it: exchanged(outcome) for each exchange in flight, then closed(outcome). */
void conn_close(struct conn *conn, enum outcome outcome);
/* Lets go out what HTTP/2 connections gathered in this loop turn, then frees what the connections
 * that closed in it held, after closed() has been called for each.  They are IDLE afterwards.
 * Call once a loop turn (ev_prepare), and after the last one.  Do not dial between it and the end
 * of the turn: descriptors that come back at once cost libev an epoll_ctl more. */
void conn_reap(struct conn_env *env);
/* The protocol of a READY connection. */
static inline bool conn_is_h2(const struct conn *conn)
{
    return conn->h2 != NULL;
}
/* The state table as text, one transition a line: held by a golden test. */
void conn_print_states(struct sink *sink);

#endif
