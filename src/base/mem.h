/* Memory that never comes back NULL.  Set-up allocates with these and frees by attribute; the
 * running loop takes what it needs from slabs sized by the plan.  Out of memory ends the
 * process. */
#ifndef BASE_MEM_H
#define BASE_MEM_H

#include <stddef.h>

/* Frees the annotated pointer variable at the end of its scope. */
#define CLEANUP_FREE __attribute__((cleanup(mem_cleanup_free)))

/* Makes room for one more element in a growing array: ARRAY_RESERVE(items, n, capacity); */
#define ARRAY_RESERVE(items, n, capacity)                                                          \
    ((items) = mem_array_reserve((items), (n), &(capacity), sizeof *(items)))

void *xmalloc(size_t size) __attribute__((malloc, warn_unused_result));
/* Zeroed; stops on multiplication overflow. */
void *xcalloc(size_t n, size_t size) __attribute__((malloc, warn_unused_result));
void *xrealloc(void *p, size_t size) __attribute__((warn_unused_result));
char *xstrdup(const char *s) __attribute__((malloc, warn_unused_result));
char *xstrndup(const char *s, size_t max) __attribute__((malloc, warn_unused_result));
/* The formatted text; the caller frees it. */
char *xasprintf(const char *format, ...)
    __attribute__((format(printf, 1, 2), malloc, warn_unused_result));
void mem_cleanup_free(void *pointer_to_pointer);
void *mem_array_reserve(void *items, size_t n, size_t *capacity, size_t size);

#endif
