#include "net/h2_mem.h"

#include "base/bug.h"
#include "base/mem.h"

#include <sanitizer/asan_interface.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define STEP  32 /* bytes; a power of two */
#define SIZES 16 /* larger blocks are malloc's */

struct block {
    struct block *next; /* while it is spare */
    size_t size;        /* that it has room for */
    max_align_t data[];
};

struct h2_mem {
    nghttp2_mem functions;
    struct block *spare[SIZES];
    size_t n_taken;
};

static struct block *block_of(void *data)
{
    return (struct block *)(void *)((char *)data - offsetof(struct block, data));
}

/* Which list a block of this size, a multiple of STEP, belongs to; SIZES: none. */
static size_t list_of(size_t size)
{
    return size <= STEP * SIZES ? size / STEP - 1 : SIZES;
}

static void *take(size_t asked, void *context)
{
    struct h2_mem *mem = context;
    BUG_ON(asked > SIZE_MAX / 2);
    size_t size = asked > 0 ? (asked + STEP - 1) & ~(size_t)(STEP - 1) : STEP;
    size_t list = list_of(size);
    struct block *block = list < SIZES ? mem->spare[list] : NULL;

    if (block != NULL) {
        mem->spare[list] = block->next;
    } else {
        block = xmalloc(sizeof *block + size);
        block->size = size;
    }
    mem->n_taken++;
    ASAN_POISON_MEMORY_REGION(block->data, size);
    ASAN_UNPOISON_MEMORY_REGION(block->data, asked);
    return block->data;
}

static void give_back(void *data, void *context)
{
    struct h2_mem *mem = context;

    if (data == NULL) {
        return;
    }
    struct block *block = block_of(data);
    size_t list = list_of(block->size);
    mem->n_taken--;
    if (list == SIZES) {
        free(block);
        return;
    }
    ASAN_POISON_MEMORY_REGION(block->data, block->size);
    block->next = mem->spare[list];
    mem->spare[list] = block;
}

static void *take_zeroed(size_t n, size_t size, void *context)
{
    BUG_ON(size > 0 && n > SIZE_MAX / size);
    return memset(take(n * size, context), 0, n * size);
}

static void *resize(void *data, size_t size, void *context)
{
    if (data == NULL) {
        return take(size, context);
    }
    struct block *block = block_of(data);
    if (size <= block->size) {
        ASAN_UNPOISON_MEMORY_REGION(block->data, size);
        return data;
    }
    void *larger = take(size, context);
    ASAN_UNPOISON_MEMORY_REGION(block->data, block->size);
    memcpy(larger, data, block->size);
    give_back(data, context);
    return larger;
}

struct h2_mem *h2_mem_new(void)
{
    struct h2_mem *mem = xcalloc(1, sizeof *mem);

    mem->functions = (nghttp2_mem){.mem_user_data = mem,
                                   .malloc = take,
                                   .free = give_back,
                                   .calloc = take_zeroed,
                                   .realloc = resize};
    return mem;
}

void h2_mem_free(struct h2_mem *mem)
{
    BUG_ON(mem->n_taken != 0);
    for (size_t i = 0; i < SIZES; i++) {
        while (mem->spare[i] != NULL) {
            struct block *block = mem->spare[i];

            mem->spare[i] = block->next;
            ASAN_UNPOISON_MEMORY_REGION(block->data, block->size);
            free(block);
        }
    }
    free(mem);
}

nghttp2_mem *h2_mem_functions(struct h2_mem *mem)
{
    return &mem->functions;
}
