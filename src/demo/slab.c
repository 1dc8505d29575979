#include "demo/slab.h"

#include "base/bug.h"
#include "base/mem.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

struct slab {
    char *pieces;
    size_t n, size;
    size_t n_touched; /* pieces beyond were never handed out */
    uint32_t *spare;  /* indices given back */
    size_t n_spare;
    bool *taken;
};

struct slab *slab_new(size_t n, size_t size)
{
    size = (size + 63) / 64 * 64;
    void *pieces = mmap(NULL, n * size, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (pieces == MAP_FAILED) {
        return NULL;
    }
    struct slab *slab = xcalloc(1, sizeof *slab);
    slab->pieces = pieces;
    slab->n = n;
    slab->size = size;
    slab->spare = xcalloc(n, sizeof *slab->spare);
    slab->taken = xcalloc(n, sizeof *slab->taken);
    return slab;
}

void slab_free(struct slab *slab)
{
    if (slab != NULL) {
        munmap(slab->pieces, slab->n * slab->size);
        free(slab->spare);
        free(slab->taken);
        free(slab);
    }
}

void *slab_take(struct slab *slab)
{
    BUG_ON(slab_is_empty(slab));
    size_t i = slab->n_spare > 0 ? slab->spare[--slab->n_spare] : slab->n_touched++;
    slab->taken[i] = true;
    return slab->pieces + i * slab->size;
}

void slab_put(struct slab *slab, void *piece)
{
    size_t i = (size_t)((char *)piece - slab->pieces) / slab->size;
    BUG_ON(i >= slab->n || !slab->taken[i]);
    slab->taken[i] = false;
    slab->spare[slab->n_spare++] = (uint32_t)i;
}

bool slab_is_empty(const struct slab *slab)
{
    return slab->n_spare == 0 && slab->n_touched == slab->n;
}

void slab_each(struct slab *slab, void (*each)(void *piece, void *context), void *context)
{
    for (size_t i = 0; i < slab->n_touched; i++) {
        if (slab->taken[i]) {
            each(slab->pieces + i * slab->size, context);
        }
    }
}
