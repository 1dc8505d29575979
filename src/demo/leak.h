/* The planted leaks: so many bytes for each event of a driver, kept until the server ends, and
 * beside memory a descriptor or a thread for each connection.  The bytes are carved from mappings
 * of their own, one behind the other: blocks of the common heap would leave holes among the
 * server's own buffers and cost more memory than was asked for (1,095 bytes measured for 1,024),
 * so that nobody could be held to the truth.  What is held is never more than a byte away from
 * bytes per event times events. */
#ifndef DEMO_LEAK_H
#define DEMO_LEAK_H

#include "demo/ledger.h"
#include "demo/serve.h"

struct leak;

/* Borrows `options`.  The caller frees it. */
struct leak *leak_new(const struct serve_options *options) __attribute__((warn_unused_result));
/* Gives back everything that was held (but not the threads). */
void leak_free(struct leak *leak);
/* Tells the time since the start, a few times a second: feeds the leak over time, and lets a late
 * leak begin. */
void leak_tick(struct leak *leak, double elapsed_s);
/* One event of a driver other than time. */
void leak_event(struct leak *leak, enum driver driver);
/* A connection stands on `fd`: the leak of descriptors keeps a duplicate, up to 256 below the
 * limit of open files, so that the server can go on; that of threads keeps a sleeping one. */
void leak_connection(struct leak *leak, int fd);
const struct ledger *leak_ledger(const struct leak *leak);
/* The part of it that the events of one driver left behind. */
uint64_t leak_kept_bytes(const struct leak *leak, enum driver driver);

#endif
