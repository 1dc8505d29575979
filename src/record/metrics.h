/* THE metric table: one row declares a metric (name, kind, unit, better direction, help).  It
 * drives the columns of ticks.csv, JSON keys, live labels and plot titles. */
#ifndef RECORD_METRICS_H
#define RECORD_METRICS_H

#include "record/driver.h"

#include <stdbool.h>

/* Counted by workers, on the request path. */
enum counter {
    COUNTER_STARTED,     /* exchanges whose request was begun on a ready connection, or early */
    COUNTER_COMPLETED,   /* a complete response came, whatever its status */
    COUNTER_FAILED,      /* begun and ended without a complete response */
    COUNTER_UNEXPECTED,  /* completed, with a status that was not expected */
    COUNTER_RETRIED,     /* sent again: an idle connection was closed under it, a 425, and such */
    COUNTER_DUE,         /* open loop: starts that fell due */
    COUNTER_LATE,        /* open loop: started more than 1 ms after they were due */
    COUNTER_SKIPPED,     /* open loop: due but never started (backlog bound, end of run) */
    COUNTER_DIALED,      /* connects begun */
    COUNTER_DIAL_FAILED, /* ended before READY, at connect or in the handshake */
    COUNTER_CLOSED,      /* connections that had been READY and ended */
    COUNTER_HANDSHAKE_FULL,
    COUNTER_HANDSHAKE_RESUMED,
    COUNTER_RECONNECTED,      /* handshakes of clients that had been connected before */
    COUNTER_RESUME_ASKED,     /* of these, how many should resume, in millionths */
    COUNTER_RESUME_NO_TICKET, /* of these, should and could not: nothing to offer */
    COUNTER_RESUME_EXPIRED,   /* what there was had expired */
    COUNTER_RESUME_REFUSED,   /* the server did not take what was offered */
    COUNTER_EARLY_OFFERED,    /* requests that went as early data (0-RTT) */
    COUNTER_EARLY_ACCEPTED,   /* of these, taken by the server */
    COUNTER_EARLY_REJECTED,   /* and not, so that they went again behind the handshake */
    COUNTER_EARLY_PUT_OFF,    /* of the accepted, answered 425 and sent again */
    COUNTER_KEY_UPDATED,      /* KeyUpdate messages sent on our own account */
    COUNTER_OCSP_STAPLED,     /* full handshakes with an OCSP response */
    COUNTER_SCTS,             /* certificate timestamps that came with full handshakes */
    COUNTER_CERT_NEW,         /* distinct first uses */
    COUNTER_CERT_USED,
    COUNTER_KEY_NEW,
    COUNTER_KEY_USED,
    COUNTER_JWT_NEW,
    COUNTER_JWT_USED,
    COUNTER_BYTES_SENT, /* HTTP bytes, before TLS */
    COUNTER_BYTES_RECEIVED,
    COUNTER_IDENTITY_EXPIRED,  /* dials and requests with a credential that had expired */
    COUNTER_REFUSAL_TRIED,     /* attempts with bad identities, begun */
    COUNTER_REFUSED,           /* ended as refusals, as expected or otherwise */
    COUNTER_LET_IN,            /* ended with a status below 400 */
    COUNTER_REFUSAL_UNCLEAR,   /* ended otherwise */
    COUNTER_REFUSAL_HANDSHAKE, /* full handshakes of attempts whose certificate was good */
    COUNTER_REFUSAL_REQUEST,   /* requests sent after such handshakes */
    COUNTER_MISUSE_TRIED,      /* misuses begun */
    COUNTER_MISUSE_DONE,       /* ended, and the server saw them */
    COUNTER_MISUSE_UNDONE,     /* could not be done: the connection failed before */
    COUNTER_MISUSE_HANDSHAKE,  /* full handshakes of misuses */
    COUNTER_MISUSE_REQUEST,    /* requests of misuses whose head was sent in full */
    COUNTER_ROTATION,          /* the hook rotated something on the server; counted by main */
    COUNTER_MINT_WAIT,         /* times that a worker had to wait for a credential */
    COUNTER_LAG_NS,            /* loop lag: how late the worker's tick timer ran, summed */
    COUNTER_CPU_NS,            /* CPU time of the worker thread */
    COUNTER_WAIT_NS,           /* time that the worker thread could run and waited for a core */
    COUNTER_COUNT
};

/* Read when an interval ends. */
enum gauge {
    GAUGE_OPEN,        /* connections that are READY */
    GAUGE_HANDSHAKING, /* dialing or handshaking */
    GAUGE_IN_FLIGHT,   /* exchanges begun and not ended */
    GAUGE_BACKLOG,     /* open loop: due and not yet started */
    GAUGE_REFUSING,    /* attempts with bad identities under way */
    GAUGE_MISUSING,    /* misuses under way */
    GAUGE_BACKLOG_NS, /* open loop: the longest that a start waited in the interval, begun or not */
    GAUGE_COUNT
};

/* Latency histograms; names are those of latency.NAME.hlog. */
enum latency {
    LATENCY_RESPONSE, /* due time to end of response (closed loop: the same as service) */
    LATENCY_SERVICE,  /* request sent to end of response */
    LATENCY_CONNECT,  /* TCP connect */
    LATENCY_HANDSHAKE_FULL,
    LATENCY_HANDSHAKE_RESUMED,
    LATENCY_FIRST_BYTE, /* request sent to first byte of response */
    LATENCY_REFUSAL,    /* dial to the refusal of a bad identity */
    LATENCY_OWN_DELAY,  /* open loop: due time to the moment that the generator saw it */
    LATENCY_COUNT
};

/* The server's memory and process, per memory source, from a reading. */
enum memory_metric {
    MEMORY_RSS,
    MEMORY_ANON,
    MEMORY_PSS,
    MEMORY_PRIVATE_DIRTY,
    MEMORY_FDS,
    MEMORY_THREADS,
    MEMORY_CPU_NS,
    MEMORY_PROCESSES,
    MEMORY_COMMAND, /* what [memory] command printed */
    MEMORY_CHOSEN,  /* what [memory] metric says; its column has that metric's name */
    MEMORY_METRIC_COUNT
};

enum metric_kind { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM };
enum metric_better { METRIC_NEITHER, METRIC_LOWER, METRIC_HIGHER };

struct metric {
    const char *name; /* "completed", "handshake_full", "rss_bytes" */
    enum metric_kind kind;
    const char *unit; /* "1", "bytes", "ns" */
    enum metric_better better;
    const char *help; /* one sentence */
};

const struct metric *metric_counter(enum counter counter);
const struct metric *metric_gauge(enum gauge gauge);
/* Of several workers: is it the largest of theirs, and not their sum? */
bool metric_gauge_is_largest(enum gauge gauge);
const struct metric *metric_latency(enum latency latency);
const struct metric *metric_memory(enum memory_metric metric);
#define METRIC_DRIVER_COUNTERS 3
/* The counters whose sum is a driver's events; how many there are: 0 for time, and for drivers that
 * nothing counts yet. */
int metric_driver_counters(enum driver driver, enum counter ret_counters[METRIC_DRIVER_COUNTERS]);

#endif
