/* What a core can do as a client of mutual TLS, predicted from the TLS library's self-test, against
 * what a plan asks for: whether the generator would be saturated before it begins. */
#ifndef CMD_CAPACITY_H
#define CMD_CAPACITY_H

#include "net/tls_speed.h"
#include "profile/plan.h"

struct capacity {
    double handshakes_per_s; /* full ones, with a P-256 client certificate, on one core */
    double asked_per_s;      /* handshakes that the plan asks for, so far as it tells */
    double busy;             /* cores that it takes; 0: as many as there are, or not known */
    double cores;            /* that its threads have */
};

/* `plan` may be NULL.  True to about a third: measured on one machine were the time of a handshake
 * beside the signature that it makes and those that it verifies, that of a resumed one in parts of
 * a full one, and that of a request on a connection that stands (tests/bench/HEALTH.md). */
struct capacity capacity_predict(const struct plan *plan, const struct tls_speed *speed);

#endif
