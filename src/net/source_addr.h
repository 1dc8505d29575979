/* Where connections come from: the addresses of target.source in turn.  A pair of addresses has as
 * many connections as there are local ports, so more of them is how one machine holds more.
 *
 * The kernel chooses the port at connect(), when it knows the other end (IP_BIND_ADDRESS_NO_PORT).
 * Its search prefers even ports and is forty times slower once those are taken (14,000 connections
 * between two addresses); a socket with a range of its own is spared that (Linux 6.8 and later).
 * Since that is one more system call for each dial, it begins where ports may run low: with many
 * connections, or many that wait out their end (TIME_WAIT, which on loopback they do not:
 * net.ipv4.tcp_tw_reuse is 2 by default). */
#ifndef NET_SOURCE_ADDR_H
#define NET_SOURCE_ADDR_H

#include "base/diag.h"
#include "net/addr.h"
#include "profile/plan.h"

#include <stdbool.h>
#include <stdint.h>

/* Of one conn_env; the next address is its own affair. */
struct source_addr {
    const struct plan_target *target; /* borrows; sources, n_sources */
    uint64_t n_dials;
    uint64_t n_open; /* sockets */
};

/* Adds a mistake for each address of target.source that this machine cannot connect from, and one
 * when none is of the family of any of `addrs`. */
void source_addr_check(const struct plan *plan, const struct addr *addrs, size_t n_addrs,
                       struct diag *diag);
/* How many addresses connections to `addr` come from: 1 without target.source. */
uint64_t source_addr_count(const struct plan_target *target, const struct addr *addr);
/* Prepares a socket that will be connected to `addr`; 0 or errno.  source_addr_close in both
 * cases. */
int source_addr_bind(struct source_addr *source, int fd, const struct addr *addr)
    __attribute__((warn_unused_result));
/* Closes a socket, with a reset where target.reset_on_close says so. */
void source_addr_close(struct source_addr *source, int fd);

#endif
