/* The run queue: how long the calling thread could have run and got no core, as the kernel counts
 * it (/proc/thread-self/schedstat, second number; Documentation/scheduler/sched-stats.rst).  It is
 * what tells a generator that is starved from one that has nothing to do: a server, however slow,
 * cannot raise it but by taking the cores away.  One read of 2 us through a kept descriptor. */
#ifndef LOAD_RUNQUEUE_H
#define LOAD_RUNQUEUE_H

#include <stdint.h>

/* Of the calling thread; -1 where the kernel does not count it. */
int runqueue_open(void) __attribute__((warn_unused_result));
void runqueue_close(int fd);
/* Cumulative, in nanoseconds, of the thread that opened it; 0 where it is not counted. */
uint64_t runqueue_wait_ns(int fd);

#endif
