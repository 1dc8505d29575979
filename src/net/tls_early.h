/* 0-RTT (RFC 8446, section 2.3): a request that leaves with the client's hello, on a connection
 * that resumes a session of TLS 1.3.  Between tls_open and the first tls_handshake, tls_early_open
 * lets tls_write take such bytes; they are kept until the handshake has ended and go with the
 * hello, in one write.  Where the server does not take them, or the library did not offer them,
 * tls_handshake sends them again when it is through, so whoever wrote them sees no difference but
 * in tls_early.
 *
 * A server may see early data twice (section 8), so what is written must be safe to repeat.  Never
 * offered where tls_early_open was not called or nothing was written. */
#ifndef NET_TLS_EARLY_H
#define NET_TLS_EARLY_H

#include <stdbool.h>

struct tls; /* one connection's (tls.h) */

enum tls_early {
    TLS_EARLY_NONE,
    TLS_EARLY_HELD,    /* tls_write keeps what it takes; the library has offered nothing yet */
    TLS_EARLY_OFFERED, /* sent; the server's answer is not known (for ever, where it never came) */
    TLS_EARLY_ACCEPTED,
    TLS_EARLY_REJECTED /* and sent again behind the handshake */
};

/* False: the session that is offered, if any, does not allow early data. */
bool tls_early_open(struct tls *tls) __attribute__((warn_unused_result));
enum tls_early tls_early(const struct tls *tls);

#endif
