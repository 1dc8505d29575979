/* The embedded server: mutual TLS over HTTP/1.1 and HTTP/2 in a process of its own (never a
 * thread), which verifies certificate, API key and JWT for real and leaks, or only looks as if it
 * did, exactly as it is told. */
#ifndef DEMO_SERVE_H
#define DEMO_SERVE_H

#include "base/diag.h"
#include "profile/plan.h"
#include "record/driver.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum innocent {
    INNOCENT_NONE,
    INNOCENT_BOUNDED_CACHE, /* LRU of cap entries per certificate, key and token */
    INNOCENT_TTL,           /* entries expire after ttl, swept every sweep */
    INNOCENT_WARMUP,        /* exponential approach */
    INNOCENT_SAWTOOTH,      /* grows and falls back, as a collected heap does */
    INNOCENT_STEP,          /* one buffer resize in mid-run */
    INNOCENT_STAIRS,        /* steps that end */
    INNOCENT_FRAGMENTATION,
    INNOCENT_COUNT
};

struct serve_options {
    const char *listen;          /* "127.0.0.1:0" */
    const char *ca, *cert, *key; /* PEM files */
    const char *apikey_secret;   /* file; NULL: keys are not asked for */
    /* Where tokens are verified with, one of the three at most; none: they are not asked for. */
    const char *jwt_secret; /* file: HS* */
    const char *jwt_key;    /* PEM file: a public key; with oauth the private one */
    const char *jwks;       /* file (RFC 7517), read again when it changes */
    enum jwt_alg jwt_alg;
    const char *audience;      /* that tokens must name; NULL: any */
    bool jwt_bound;            /* tokens must be bound to the client's certificate (RFC 8705) */
    const char *crl;           /* PEM file: revoked client certificates; NULL: none */
    const char *oauth;         /* path of a token endpoint (RFC 6749); NULL: none */
    double token_lifetime_s;   /* of what it issues */
    double leak[DRIVER_COUNT]; /* bytes per event (time: per second) */
    enum innocent innocent;
    uint64_t cap, ttl_s, sweep_s, payload;
    const char *truth;         /* file, or NULL */
    double late_s;             /* leaks start only after this time */
    bool fd_leak, thread_leak; /* one per connection */
    double crash_at_s;         /* 0: never */
    bool poison;               /* after one bad token every answer is 500 */
    bool watch_stdin;          /* end when stdin is at its end */
};

const char *innocent_name(enum innocent innocent);
bool innocent_from_name(const char *name, enum innocent *ret_innocent)
    __attribute__((warn_unused_result));
/* Serves until SIGTERM, SIGINT or the end of stdin; returns the exit code.  Prints the READY
 * line on stdout when it accepts. */
int serve_run(const struct serve_options *options, struct diag *diag);

#endif
