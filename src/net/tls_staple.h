/* What a server stapled to its certificate, for a person: the status in an OCSP response (RFC 6960)
 * and the number of certificate timestamps (RFC 6962, section 3.3).  Read, not verified: a client
 * under test conditions wants to see what came.  Private to the TLS files of net. */
#ifndef NET_TLS_STAPLE_H
#define NET_TLS_STAPLE_H

#include <stddef.h>
#include <stdint.h>

/* Long enough for any text of staple_status. */
#define STAPLE_TEXT 96

/* "good, from 2026-11-21 08:05 to 2026-11-28 08:05 UTC", "revoked, ...", "unknown, ...",
 * "no status: tryLater", or that it is not an OCSP response. */
void staple_status(const uint8_t *ocsp, size_t len, char text[STAPLE_TEXT]);
/* Timestamps in a SignedCertificateTimestampList; what is malformed is not counted. */
unsigned staple_timestamps(const uint8_t *list, size_t len);

#endif
