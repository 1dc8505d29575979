#include "base/mem.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

_Noreturn static void out_of_memory(size_t size)
{
    (void)fprintf(stderr, "tlsoak: out of memory (%zu bytes)\n", size);
    _exit(4);
}

static void *checked(void *p, size_t size)
{
    if (p == NULL && size > 0) {
        out_of_memory(size);
    }
    return p;
}

void *xmalloc(size_t size)
{
    return checked(malloc(size > 0 ? size : 1), size);
}

void *xcalloc(size_t n, size_t size)
{
    if (size > 0 && n > SIZE_MAX / size) {
        out_of_memory(SIZE_MAX);
    }
    return checked(calloc(n > 0 ? n : 1, size > 0 ? size : 1), n * size);
}

void *xrealloc(void *p, size_t size)
{
    return checked(realloc(p, size > 0 ? size : 1), size);
}

char *xstrdup(const char *s)
{
    return xstrndup(s, SIZE_MAX);
}

char *xstrndup(const char *s, size_t max)
{
    size_t len = max == SIZE_MAX ? strlen(s) : strnlen(s, max);
    char *copy = xmalloc(len + 1);

    memcpy(copy, s, len);
    copy[len] = '\0';
    return copy;
}

char *xasprintf(const char *format, ...)
{
    char *text = NULL;
    va_list args;

    va_start(args, format);
    int len = vasprintf(&text, format, args);
    va_end(args);
    if (len < 0) {
        out_of_memory(0);
    }
    return text;
}

void mem_cleanup_free(void *pointer_to_pointer)
{
    free(*(void **)pointer_to_pointer);
}

void *mem_array_reserve(void *items, size_t n, size_t *capacity, size_t size)
{
    if (n < *capacity) {
        return items;
    }
    size_t wanted = *capacity > 0 ? *capacity * 2 : 8;
    if (wanted > SIZE_MAX / size) {
        out_of_memory(SIZE_MAX);
    }
    *capacity = wanted;
    return xrealloc(items, wanted * size);
}
