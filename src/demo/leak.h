/* The planted leaks: so many bytes for each event of a driver, kept until the server ends, and
 * beside memory a descriptor or a thread for each connection.  A driver's bytes are a running
 * credit from which whole chunks are taken, so that fractions and sizes below the allocator's
 * smallest chunk come out right too: what is held is never more than a chunk away from bytes per
 * event times events. */
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

#endif
