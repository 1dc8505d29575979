/* A test PKI in files: CA, intermediate, server certificate, client identities, bad ones with the
 * CRL that revokes one of them, secrets and keys for API keys and tokens; what `tlsoak pki` and
 * `tlsoak demo` make.  Keys are written with mode 0600. */
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
    /* clients/client-N.p12 too, under this passphrase; NULL: not */
    const char *pkcs12_password;
};

/* Writes ca.pem, ca.key, intermediate.pem, intermediate.key (beneath the CA), server.pem (leaf),
 * server.key, server-all.pem (both), clients/client-N.pem, apikey.secret and jwt.secret (32 random
 * bytes in hex), jwt.key and jwt.pub (P-256, for ES256), crl.pem (the CRLs of both CAs, for ten
 * years: empty, or with `bad` the CA's revokes bad/revoked.pem), and with `bad` bad/expired.pem,
 * not-yet-valid.pem, unknown-ca.pem, wrong-usage.pem, self-signed.pem, revoked.pem,
 * via-intermediate.pem (a good one, for servers whose depth forbids it), each with chain and key,
 * and wrong-key.pem (a certificate with the key of another).  CAs, secrets and keys that are there
 * are used again, and without `bad` the CRLs.  False with mistakes. */
bool pki_make(const struct pki_request *request, struct diag *diag)
    __attribute__((warn_unused_result));

#endif
