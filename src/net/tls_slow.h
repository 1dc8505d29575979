/* A client that misbehaves on purpose. */
#ifndef NET_TLS_SLOW_H
#define NET_TLS_SLOW_H

#include "profile/plan.h"

#include <stddef.h>

struct tls; /* one connection's (tls.h) */

/* From now on tls_read takes at most so many bytes from the socket each time. */
void tls_read_slowly(struct tls *tls, size_t bytes);

/* Before the handshake: offers these protocols, whatever target.alpn says. */
void tls_offer(struct tls *tls, enum alpn alpn);

#endif
