/* What a certificate may be used for: key usage and extended key usage (RFC 5280 sections 4.2.1.3
 * and 4.2.1.12), from words to DER.  Private to ident. */
#ifndef IDENT_DER_USAGE_H
#define IDENT_DER_USAGE_H

#include "ident/der.h"

/* "digitalSignature, clientAuth"; false with a reason. */
bool der_usage_parse(const char *text, struct der_usage *ret_usage, char error[DER_ERROR])
    __attribute__((warn_unused_result));
/* digitalSignature with clientAuth or serverAuth; keyCertSign and cRLSign. */
struct der_usage der_usage_of(enum der_role role);
/* Appends the two extensions, each only where it says something. */
bool der_add_usage(CBB *extensions, const struct der_usage *usage)
    __attribute__((warn_unused_result));

#endif
