/* Invented servers under a designed load: every two seconds five switches (request rate,
 * reconnect share, fresh certificates, fresh API keys, fresh tokens) are drawn from a shuffled
 * full factorial, and the server keeps what its fault makes it keep.  Readings come at 5 Hz. */
#ifndef STATS_SERVERS_H
#define STATS_SERVERS_H

#include "judge/series.h"

#define SERVER_WARMUP_S 6.0

enum server_fault {
    FAULT_NONE,
    FAULT_KEEPS,   /* `bytes` for each event of `driver`, for ever */
    FAULT_LRU,     /* the same, bounded at `bound` of the run's events */
    FAULT_TTL,     /* the same, given back after `bound` of the run */
    FAULT_STEP,    /* one jump of `bytes` */
    FAULT_SAWTOOTH /* `bytes` a request, swept at once every few seconds */
};

struct server {
    const char *name;
    enum server_fault fault;
    enum driver driver;
    double bytes;
    double bound;
};

/* One run of 6 s warm-up and 32 dwells of 2 s; steady: no switches at all.  The noise of the
 * readings is AR(1) with a deviation of `least_noise` bytes to four times that. */
void server_run(const struct server *server, unsigned seed, double least_noise, bool steady,
                struct series *ret_series);

#endif
