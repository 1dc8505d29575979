/* The memory of nghttp2's sessions: a list of spare blocks for each small size, since nghttp2
 * allocates eleven times for a request, of which hundreds are under way at once.  A thread has its
 * own; what a run needs at most it keeps to its end.  Out of memory ends the process. */
#ifndef NET_H2_MEM_H
#define NET_H2_MEM_H

#include <nghttp2/nghttp2.h>

struct h2_mem;

struct h2_mem *h2_mem_new(void) __attribute__((warn_unused_result));
/* All that was taken from it must have been given back. */
void h2_mem_free(struct h2_mem *mem);
/* What a session is made with; lives as long as `mem`, which must live longer than the session. */
nghttp2_mem *h2_mem_functions(struct h2_mem *mem);

#endif
