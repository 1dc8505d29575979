/* Has this credential been seen before?  A table of 8-byte fingerprints (SHA-256 cut off) of fixed
 * size, all of whose pages are there from the start: a set that grew would itself be a leak for
 * each new credential.  It holds three million; when it is full, everything counts as seen. */
#ifndef DEMO_SEEN_H
#define DEMO_SEEN_H

#include "record/driver.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct seen;

/* A table of 2^bits slots; NULL with errno when there is no memory for it.  The caller frees it. */
struct seen *seen_new(unsigned bits) __attribute__((warn_unused_result));
void seen_free(struct seen *seen);
/* The fingerprint of a credential of this kind; never 0. */
uint64_t seen_fingerprint(enum driver kind, const void *bytes, size_t len);
/* True when the fingerprint is new; it is known from then on. */
bool seen_first(struct seen *seen, uint64_t fingerprint);
bool seen_full(const struct seen *seen);

#endif
