/* One GET over plain HTTP/1.1, blocking, with a deadline: for endpoints of the server that measure
 * or prepare it (a forced collection, a page of metrics), beside the load. */
#ifndef NET_FETCH_PLAIN_H
#define NET_FETCH_PLAIN_H

#include "net/addr.h"
#include "profile/plan.h"

#include <stddef.h>
#include <stdint.h>

struct fetch_plain {
    const struct plan_target *target; /* url_path and host_header */
    const struct addr *addrs;         /* tried in their order */
    size_t n_addrs;
    uint64_t until_ns; /* monotonic: the deadline of the whole */
    int stop_fd;       /* readable: give up at once; -1: none */
    char *body;        /* gets its first body_size bytes; NULL: it is read and forgotten */
    size_t body_size;
};

/* Dials, asks and closes.  The status of a complete response, *ret_body_len what of its body was
 * kept (it may be NULL); 0 with one sentence in `why`. */
int fetch_plain(const struct fetch_plain *fetch, size_t *ret_body_len, char *why, size_t size)
    __attribute__((warn_unused_result));

#endif
