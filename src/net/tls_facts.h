/* The sixth verb of TLS: what a handshake found and left behind, for counting and for a person.
 */
#ifndef NET_TLS_FACTS_H
#define NET_TLS_FACTS_H

#include "base/sink.h"

#include <stdbool.h>
#include <stddef.h>

struct tls; /* one connection's (tls.h) */

/* What a finished handshake agreed on.  Names are static. */
struct tls_facts {
    const char *version; /* "TLSv1.3" */
    const char *cipher;
    const char *group;    /* "" when the session was resumed without key exchange */
    const char *protocol; /* that ALPN selected: "h2", "http/1.1"; "" when none was */
    bool resumed;
    bool asked_for_certificate;
    /* Of a full handshake, where target.ocsp and target.sct ask for it: */
    size_t ocsp_bytes; /* of the stapled OCSP response; 0: none came */
    unsigned n_scts;   /* certificate timestamps beside the certificate */
};

void tls_facts(const struct tls *tls, struct tls_facts *ret_facts);
/* The server's chain for a person: subject, issuer, validity of each, a line each, then what was
 * stapled to it. */
void tls_describe_chain(const struct tls *tls, struct sink *sink);
/* "BoringSSL API 17 (shared)": what every report names. */
const char *tls_library(void);

#endif
