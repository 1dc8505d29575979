/* The inside of the misuses, shared by misuse.c (when, who, how many), misuse_dial.c
 * (the steps up to a connection that is ready), misuse_steps.c (those after it, and what each
 * kind does), misuse_h2.c (the same of HTTP/2) and misuse_count.c, and by nobody else.
 *
 * A script is a list of steps, run in order, after which the socket is closed.  A step says whether
 * it is done, waits (for the socket, or for a moment) or has failed.  In a step marked `seen` the
 * server has seen the misuse: whatever ends it then, the server or its time, it is done. */
#ifndef LOAD_MISUSE_INSIDE_H
#define LOAD_MISUSE_INSIDE_H

#include "base/rng.h"
#include "load/holding.h"
#include "load/misuse.h"
#include "load/request.h"
#include "net/conn.h"
#include "net/h1.h"
#include "net/source_addr.h"
#include "net/tls.h"
#include "profile/plan.h"
#include "record/outcome.h"

#include <ev.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MISUSE_FILLER 16384

struct misuse;
struct worker;

enum misuse_result {
    MISUSE_NEXT,       /* the step is done */
    MISUSE_WAIT_READ,  /* until the socket has something, or wake_ns */
    MISUSE_WAIT_WRITE, /* until it takes something, or wake_ns */
    MISUSE_WAIT,       /* until wake_ns */
    MISUSE_FAILED      /* misuse->why says how; mostly the server ended it */
};

struct misuse_step {
    enum misuse_result (*run)(struct misuse *misuse); /* NULL: the end of the script */
    enum outcome expiry; /* when its time is up; also says which of the target's timeouts it is */
    bool seen;
};

struct misuse_script {
    const struct misuse_step *steps;
    bool presents_certificate, presents_keys; /* what must be there before it begins */
    bool lasts;                               /* until `hold`, unless the server ends it */
};

/* What is still to be sent. */
struct misuse_part {
    const char *bytes;
    size_t left;
    bool repeats; /* the filler, over and over */
};

/* A request of HTTP/2. */
struct misuse_stream {
    struct stream stream;
    char *head; /* owns: what its fields point to */
    size_t head_size;
};

struct misuse {
    struct misuses *misuses;
    struct misuse *next; /* among the free ones, or those whose connection closes yet */
    bool under_way;
    size_t kind;
    const struct misuse_script *script;
    const struct misuse_step *step;
    struct holding holding;
    int fd;
    ev_io io;
    ev_timer timer;
    struct tls *tls;
    size_t n_tried;      /* addresses */
    uint64_t stood_ns;   /* TCP stands; 0 before */
    uint64_t step_ns;    /* the step began */
    uint64_t expires_ns; /* the time of this step is up */
    uint64_t wake_ns;    /* the step wants to run again; 0: only for the socket */
    int events;          /* that the socket had; 0: a moment has passed */
    enum outcome why;
    struct h1 h1;
    struct raw raw; /* of tls:// instead */
    const struct request *request;
    bool whole_head; /* counts as a request when its head is out */
    char *head;      /* owns */
    size_t head_size;
    struct misuse_part parts[3];
    struct conn conn;              /* of HTTP/2, which has its own socket and TLS */
    struct misuse_stream *streams; /* owns: misuses->h2_most_streams, once there was a need */
    uint64_t n_opened;             /* of them, on this connection */
    bool has_settings;             /* of the server */
    bool over;                     /* the connection has ended; `why` says how */
};

/* One [misuse NAME]. */
struct misuse_of {
    const struct plan_misuse *plan;
    double per_exchange;           /* misuses that an exchange earns */
    double credit;                 /* that are due */
    uint64_t n_begun;              /* which script is next */
    struct worker_identity *drawn; /* of the next; NULL: not yet drawn */
};

struct misuses {
    struct worker *worker;
    struct source_addr source;
    size_t next_addr;
    size_t n_kinds;
    struct misuse_of kinds[PLAN_MISUSES_MAX];
    struct misuse slots[MISUSE_SLOTS];
    struct misuse *free;
    size_t n_under_way, n_lasting;
    size_t next_kind; /* whose turn it is when more than one is due */
    bool blocked;     /* a credential was not there yet */
    uint64_t n_drawn; /* identities */
    struct rng rng;
    struct request_set bodies; /* requests that have a body, for aborting it */
    uint64_t h2_most_streams;  /* of any kind; 0: none is of HTTP/2, and nothing of this is there */
    struct plan_target h2_target;
    struct conn_env h2_env;
    struct request_set h2_requests;
    struct misuse *closing; /* ended, and their connections not yet reaped */
    char filler[MISUSE_FILLER];
};

/* Of HTTP/2: the connection is closed with its requests in flight; each request is reset right
 * behind its HEADERS (CVE-2023-44487), then the connection closes politely. */
extern const struct misuse_step misuse_h2_disconnect[];
extern const struct misuse_step misuse_h2_reset[];
/* The script of the n-th misuse of that kind, from 0 on. */
const struct misuse_script *misuse_script(const struct plan_misuse *plan, uint64_t n);
/* Closes the socket and frees what the connection held. */
void misuse_let_go(struct misuse *misuse);
int misuse_socket_error(const struct misuse *misuse);
/* Notes why. */
enum misuse_result misuse_failed(struct misuse *misuse, enum outcome why);
/* All that was sent by `since_ns` is acknowledged, or has had the time to get there. */
bool misuse_has_arrived(int fd, uint64_t since_ns);
/* The key and the token that its requests carry. */
void misuse_credentials(const struct misuse *misuse,
                        struct credential *ret_credentials[CREDENTIAL_PARTS]);

/* Steps; more than eight functions, since each is one.  TCP. */
enum misuse_result misuse_connect(struct misuse *misuse);
/* The client's first flight; then the server's, which is not looked at. */
enum misuse_result misuse_hello(struct misuse *misuse);
enum misuse_result misuse_server_flight(struct misuse *misuse);
/* All of the handshake, as far as the client can tell. */
enum misuse_result misuse_handshake(struct misuse *misuse);
/* Until the server has likely taken it in. */
enum misuse_result misuse_settle(struct misuse *misuse);

#endif
