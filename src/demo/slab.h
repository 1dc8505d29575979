/* A fixed number of equal pieces, last given back first handed out, so that only as many are ever
 * touched as were in use at once.  Address space is reserved from the start, memory is not. */
#ifndef DEMO_SLAB_H
#define DEMO_SLAB_H

#include <stdbool.h>
#include <stddef.h>

struct slab;

/* NULL with errno when there is no address space.  The caller frees it. */
struct slab *slab_new(size_t n, size_t size) __attribute__((warn_unused_result));
void slab_free(struct slab *slab);
/* A piece with whatever is in it; a bug when the slab is empty. */
void *slab_take(struct slab *slab) __attribute__((warn_unused_result));
void slab_put(struct slab *slab, void *piece);
/* True when no piece is left. */
bool slab_is_empty(const struct slab *slab);
/* Calls `each` for the pieces that are taken; it may put them back. */
void slab_each(struct slab *slab, void (*each)(void *piece, void *context), void *context);

#endif
