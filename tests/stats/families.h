/* Invented servers' memory: 22 families that do not leak and 14 that do, each a random member by
 * seed.  One reading a second; time constants scale with the length.  The families that look like a
 * leak for a while (warm-up, filling caches, ratchets, collectors, steps) are the point.  The 15
 * hard ones are innocent too, but some of them can't be told from a leak within the run, by anyone:
 * a cache that is not full at its end, for example. */
#ifndef STATS_FAMILIES_H
#define STATS_FAMILIES_H

#include "base/rng.h"

#include <stddef.h>

#define N_CLEAN_FAMILIES 22
#define N_LEAK_FAMILIES  14
#define N_HARD_FAMILIES  15

struct trace {
    size_t n;
    double *y; /* bytes */
    int *part; /* incarnation */
};

struct noise {
    double sigma; /* bytes */
    double phi;   /* AR(1) coefficient */
    int spikes;
};

struct clean_family {
    const char *name;
    void (*make)(struct rng *rng, struct trace *trace);
};

struct hard_family {
    const char *name;
    void (*make)(struct rng *rng, struct trace *trace);
    int unknowable; /* within the run, from the memory alone */
};

struct leak_family {
    const char *name;
    void (*make)(struct rng *rng, struct trace *trace, double bytes_per_s, struct noise noise);
};

extern const struct clean_family clean_families[N_CLEAN_FAMILIES];
extern const struct hard_family hard_families[N_HARD_FAMILIES];
extern const struct leak_family leak_families[N_LEAK_FAMILIES];

struct trace trace_new(size_t n);
void trace_free(struct trace *trace);
/* All zero. */
void trace_begin(struct trace *trace);
/* As the kernel counts it. */
void trace_round_to_pages(struct trace *trace);
/* A clean, hard or leaking trace (with this noise) from a seed. */
void trace_clean(struct trace *trace, size_t family, unsigned seed);
void trace_hard(struct trace *trace, size_t family, unsigned seed);
void trace_leak(struct trace *trace, size_t family, double bytes_per_s, struct noise noise,
                unsigned seed);

#endif
