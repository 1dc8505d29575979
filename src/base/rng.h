/* Random numbers from one seed: each user of randomness owns a stream named by what it is for and
 * a number (a worker), so that adding one never changes another.  xoshiro256++ (Blackman, Vigna
 * 2019), seeded through splitmix64.  Not for keys: cryptography has its own generator. */
#ifndef BASE_RNG_H
#define BASE_RNG_H

#include <stddef.h>
#include <stdint.h>

struct rng {
    uint64_t s[4];
};

void rng_init(struct rng *rng, uint64_t seed, const char *stream, uint64_t number);
uint64_t rng_u64(struct rng *rng);
/* Uniform in [0, n) without modulo bias; n > 0. */
uint64_t rng_below(struct rng *rng, uint64_t n);
/* Uniform in [0, 1). */
double rng_double(struct rng *rng);
/* Exponential with mean 1. */
double rng_exponential(struct rng *rng);
/* Standard normal. */
double rng_normal(struct rng *rng);
/* Fisher-Yates. */
void rng_shuffle(struct rng *rng, void *items, size_t n, size_t size);

#endif
