/* The sixth verb of TLS: what a handshake found and left behind, for counting and for a person, and
 * the sessions that a later connection may offer. */
#ifndef NET_TLS_FACTS_H
#define NET_TLS_FACTS_H

#include "base/sink.h"

#include <stdbool.h>

struct tls; /* one connection's (tls.h) */
struct tls_session;

/* What a finished handshake agreed on.  Names are static. */
struct tls_facts {
    const char *version; /* "TLSv1.3" */
    const char *cipher;
    const char *group;    /* "" when the session was resumed without key exchange */
    const char *protocol; /* that ALPN selected: "h2", "http/1.1"; "" when none was */
    bool resumed;
    bool asked_for_certificate;
};

void tls_facts(const struct tls *tls, struct tls_facts *ret_facts);
/* The newest session that the server gave, handed over; NULL when there is none (yet).  It may
 * outlive the client it came from, but belongs to its thread until that has ended. */
struct tls_session *tls_take_session(struct tls *tls) __attribute__((warn_unused_result));
/* Another reference to a session; each is given back with tls_session_free. */
struct tls_session *tls_session_hold(struct tls_session *session);
void tls_session_free(void *session);
/* The server's chain for a person: subject, issuer, validity of each, a line each. */
void tls_describe_chain(const struct tls *tls, struct sink *sink);
/* "BoringSSL API 17 (shared)": what every report names. */
const char *tls_library(void);

#endif
