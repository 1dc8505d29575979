#include "base/rng.h"

#include "base/bug.h"
#include "base/hash.h"

#include <math.h>
#include <string.h>

static uint64_t splitmix(uint64_t *state)
{
    uint64_t z = (*state += 0x9e3779b97f4a7c15ULL);

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31);
}

void rng_init(struct rng *rng, uint64_t seed, const char *stream, uint64_t number)
{
    uint64_t state = seed ^ hash_bytes(stream, strlen(stream));

    state = splitmix(&state) ^ (number * 0xd1342543de82ef95ULL);
    for (int i = 0; i < 4; i++) {
        rng->s[i] = splitmix(&state);
    }
}

static uint64_t rotate_left(uint64_t x, int k)
{
    return (x << k) | (x >> (64 - k));
}

uint64_t rng_u64(struct rng *rng)
{
    uint64_t *s = rng->s;
    uint64_t result = rotate_left(s[0] + s[3], 23) + s[0];
    uint64_t t = s[1] << 17;

    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate_left(s[3], 45);
    return result;
}

uint64_t rng_below(struct rng *rng, uint64_t n)
{
    BUG_ON(n == 0);
    uint64_t limit = UINT64_MAX - UINT64_MAX % n;
    uint64_t x;

    do {
        x = rng_u64(rng);
    } while (x >= limit);
    return x % n;
}

double rng_double(struct rng *rng)
{
    return (double)(rng_u64(rng) >> 11) * 0x1.0p-53;
}

double rng_exponential(struct rng *rng)
{
    return -log1p(-rng_double(rng));
}

double rng_normal(struct rng *rng)
{
    double r = sqrt(2 * rng_exponential(rng));

    return r * cos(2 * M_PI * rng_double(rng));
}

void rng_shuffle(struct rng *rng, void *items, size_t n, size_t size)
{
    unsigned char held[256];
    unsigned char *bytes = items;

    BUG_ON(size > sizeof held);
    for (size_t i = n; i > 1; i--) {
        size_t j = rng_below(rng, i);
        memcpy(held, bytes + (i - 1) * size, size);
        memmove(bytes + (i - 1) * size, bytes + j * size, size);
        memcpy(bytes + j * size, held, size);
    }
}
