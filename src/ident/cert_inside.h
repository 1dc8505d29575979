/* What is inside an issuer, for those who mint with it.  Private to ident. */
#ifndef IDENT_CERT_INSIDE_H
#define IDENT_CERT_INSIDE_H

#include "ident/cert.h"
#include "ident/der.h"
#include "ident/pem.h"

#include <stdint.h>

#define CERT_KEY_ID_MAX 64
#define CERT_SKEW_S     300 /* a server's clock may be that far behind ours */

struct cert_issuer {
    CRYPTO_BUFFER *certificate;
    CRYPTO_BUFFER *above[PEM_MAX_CERTS]; /* what a client sends behind its leaf, root left out */
    size_t n_above;
    CRYPTO_BUFFER *known;  /* what the server knows of it: `certificate`, or the CA above those that
                              were made for the run */
    struct der_issuer der; /* its pointers lead into `certificate` and `key_id` */
    struct der_usage usage; /* of the clients: cert.key_usage */
    uint8_t key_id[CERT_KEY_ID_MAX];
    int64_t not_before_s;
    int64_t not_after_s;
};

/* Number n of a template of serials, as a magnitude; false with a reason when it is no number of up
 * to 20 bytes (RFC 5280 section 4.1.2.2). */
bool cert_serial_expand(const char *text, uint64_t n, const char *run_id, unsigned char serial[20],
                        size_t *ret_len, char error[DER_ERROR]) __attribute__((warn_unused_result));

#endif
