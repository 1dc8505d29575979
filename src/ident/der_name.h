/* Names in certificates: subjects ("CN=client-1, O=acme") and subject alternative names
 * ("DNS:a.test, URI:spiffe://test/1"), from text to DER.  Private to ident. */
#ifndef IDENT_DER_NAME_H
#define IDENT_DER_NAME_H

#include "ident/der.h"

/* Appends the Name; false with a reason. */
bool der_add_subject(CBB *out, const char *subject, char error[DER_ERROR])
    __attribute__((warn_unused_result));
/* Appends the GeneralNames; false with a reason. */
bool der_add_san(CBB *out, const char *san, char error[DER_ERROR])
    __attribute__((warn_unused_result));

#endif
