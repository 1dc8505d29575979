/* The machine, as far as it can keep the generator from its work: cores that the hypervisor took
 * (steal), the CPU quota of our control group, descriptors, local ports.  Read by main once a
 * second, from a handful of files of /proc and /sys; what a machine does not tell is 0.  Only the
 * watch decides what it means. */
#ifndef LOAD_MACHINE_H
#define LOAD_MACHINE_H

#include <stdint.h>

/* Cumulative, but for the last four. */
struct machine_reading {
    uint64_t cpu_ticks;    /* of all cores, whatever they did (proc(5), /proc/stat) */
    uint64_t stolen_ticks; /* of these, by the hypervisor */
    uint64_t n_throttled;  /* periods in which the quota of our group or of one above was used up */
    uint64_t throttled_ns; /* the group's threads stood still for it */
    uint64_t n_descriptors, descriptors_max;
    uint64_t n_ports;   /* TCP sockets of this network namespace, with those in TIME_WAIT */
    uint64_t ports_max; /* ephemeral ports: as many can be dialed from to one address */
};

struct machine;

struct machine *machine_open(void) __attribute__((warn_unused_result));
void machine_read(struct machine *machine, struct machine_reading *ret_reading);
void machine_close(struct machine *machine); /* NULL is fine */

#endif
