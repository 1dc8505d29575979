/* Who listens: the kernel's tables of TCP sockets and the processes that hold one. */
#ifndef PROBE_SOCKETS_H
#define PROBE_SOCKETS_H

#include "probe/process.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

/* Inodes of sockets that listen on `port`, as seen in `net` ("/proc/net" or "/proc/PID/net").
 * With `to`, only those that a connect to this address reaches.  Returns how many; the caller
 * frees. */
size_t sockets_listening(const char *net, uint16_t port, const struct sockaddr *to,
                         uint64_t **ret_inodes) __attribute__((warn_unused_result));
/* Whether the process holds one of these sockets.  *ret_hidden is set (never cleared) when its
 * descriptors may not be read. */
bool sockets_held(const char *root, int64_t pid, const uint64_t *inodes, size_t n, bool *ret_hidden)
    __attribute__((warn_unused_result));

#endif
