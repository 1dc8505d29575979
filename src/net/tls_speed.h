/* The self-test of the TLS library that a run is on: it signs and verifies with ECDSA over P-256,
 * as a handshake does, for 50 ms, and says how fast.  A build without assembly is many times slower
 * than the same version with it, and its name does not tell. */
#ifndef NET_TLS_SPEED_H
#define NET_TLS_SPEED_H

#include <stdbool.h>

/* Of one core, that of the calling thread. */
struct tls_speed {
    double signs_per_s;
    double verifies_per_s;
};

/* False when a good signature does not verify, or a bad one does: the library is broken. */
bool tls_speed(struct tls_speed *ret_speed) __attribute__((warn_unused_result));

#endif
