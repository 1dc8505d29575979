/* FNV-1a of 64 bits (Fowler, Noll and Vo): a number for a few bytes, the same everywhere and
 * always.  It keeps no one out. */
#ifndef BASE_HASH_H
#define BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

uint64_t hash_bytes(const void *bytes, size_t len);

#endif
