#include "net/h2_mem.h"

#include "base/rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

enum { BLOCKS = 300, STEPS = 200000, LARGEST = 700 };

struct held {
    unsigned char *data;
    size_t size;
    unsigned char fill;
};

static void check(const struct held *held)
{
    for (size_t i = 0; i < held->size; i++) {
        assert_int_equal(held->data[i], held->fill);
    }
}

static void fill(struct held *held, unsigned char *data, size_t size, uint64_t random)
{
    *held = (struct held){.data = data, .size = size, .fill = (unsigned char)random};
    assert_non_null(data);
    assert_int_equal((uintptr_t)data % _Alignof(max_align_t), 0);
    memset(data, held->fill, size);
}

/* As malloc, but for where the blocks are kept: nobody's bytes change, whoever takes, resizes and
 * gives back beside them. */
static void it_is_malloc(void **state)
{
    (void)state;
    struct h2_mem *mem = h2_mem_new();
    nghttp2_mem *of = h2_mem_functions(mem);
    struct held held[BLOCKS] = {{.size = 0}};
    struct rng rng;
    rng_init(&rng, 7, "h2_mem", 0);
    for (int i = 0; i < STEPS; i++) {
        struct held *one = &held[rng_below(&rng, BLOCKS)];
        size_t size = rng_below(&rng, LARGEST);
        uint64_t what = rng_below(&rng, 4);
        check(one);
        if (what == 0) {
            of->free(one->data, of->mem_user_data);
            *one = (struct held){.size = 0};
        } else if (what == 1 || one->data == NULL) {
            of->free(one->data, of->mem_user_data);
            fill(one, of->malloc(size, of->mem_user_data), size, rng_u64(&rng));
        } else if (what == 2) {
            of->free(one->data, of->mem_user_data);
            *one = (struct held){.data = of->calloc(size, 1, of->mem_user_data), .size = size};
            check(one);
        } else {
            one->data = of->realloc(one->data, size, of->mem_user_data);
            one->size = size < one->size ? size : one->size;
            check(one);
            fill(one, one->data, size, rng_u64(&rng));
        }
    }
    for (size_t i = 0; i < BLOCKS; i++) {
        check(&held[i]);
        of->free(held[i].data, of->mem_user_data);
    }
    h2_mem_free(mem);
}

/* What is given back is the next to be taken of its size: no run grows by its requests. */
static void a_block_is_used_again(void **state)
{
    (void)state;
    struct h2_mem *mem = h2_mem_new();
    nghttp2_mem *of = h2_mem_functions(mem);
    void *first = of->malloc(200, of->mem_user_data), *other = of->malloc(60, of->mem_user_data);
    of->free(first, of->mem_user_data);
    of->free(other, of->mem_user_data);
    assert_ptr_equal(of->malloc(193, of->mem_user_data), first);
    assert_ptr_equal(of->malloc(33, of->mem_user_data), other);
    of->free(first, of->mem_user_data);
    of->free(other, of->mem_user_data);
    h2_mem_free(mem);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_malloc),
        cmocka_unit_test(a_block_is_used_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
