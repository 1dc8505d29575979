/* The clock.  Durations and record times come from CLOCK_MONOTONIC in nanoseconds; the wall clock
 * is read for labels only.  Tests replace the clock. */
#ifndef BASE_MONO_H
#define BASE_MONO_H

#include <stdint.h>

#define NS_PER_S  1000000000ULL
#define NS_PER_MS 1000000ULL
#define NS_PER_US 1000ULL

uint64_t mono_now_ns(void);
/* Installs another source of mono_now_ns (NULL: the real one).  Not thread-safe: before threads. */
void mono_replace(uint64_t (*now_ns)(void));
/* Seconds since the epoch, with fraction. */
double mono_wall_s(void);
/* CPU time (user + system) of the calling thread and of the process, in nanoseconds. */
uint64_t mono_thread_cpu_ns(void);
uint64_t mono_process_cpu_ns(void);

#endif
