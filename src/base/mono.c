#include "base/mono.h"

#include <stddef.h>
#include <time.h>

static uint64_t read_clock(clockid_t id)
{
    struct timespec ts;

    clock_gettime(id, &ts);
    return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

static uint64_t real_now_ns(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

static uint64_t (*current)(void) = real_now_ns;

uint64_t mono_now_ns(void)
{
    return current();
}

void mono_replace(uint64_t (*now_ns)(void))
{
    current = now_ns != NULL ? now_ns : real_now_ns;
}

double mono_wall_s(void)
{
    return (double)read_clock(CLOCK_REALTIME) / (double)NS_PER_S;
}

uint64_t mono_thread_cpu_ns(void)
{
    return read_clock(CLOCK_THREAD_CPUTIME_ID);
}

uint64_t mono_process_cpu_ns(void)
{
    return read_clock(CLOCK_PROCESS_CPUTIME_ID);
}
