/* A test PKI in files: CA, server certificate, client identities, secrets for keys and tokens; what
 * `tlsoak pki` and `tlsoak demo` make.  Keys are written with mode 0600. */
#ifndef IDENT_PKI_H
#define IDENT_PKI_H

#include "base/diag.h"
#include "profile/plan.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pki_request {
    const char *dir;
    const char *server_names; /* "localhost, 127.0.0.1, ::1" */
    enum key_type key_type;
    uint64_t days;
    size_t n_clients; /* client-1.pem .. client-N.pem, each with its key */
    bool bad;         /* also the identities that a server must refuse */
};

/* Writes ca.pem, ca.key, server.pem (leaf), server.key, clients/client-N.pem, apikey.secret and
 * jwt.secret (32 random bytes in hex), and bad/expired.pem, not-yet-valid.pem, unknown-ca.pem,
 * wrong-usage.pem, self-signed.pem, each with its key.  A CA and secrets that are there are used
 * again.  False with mistakes. */
bool pki_make(const struct pki_request *request, struct diag *diag)
    __attribute__((warn_unused_result));

#endif
