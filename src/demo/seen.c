#include "demo/seen.h"

#include "base/mem.h"

#include <openssl/sha.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

struct seen {
    uint64_t *slots; /* 0: free */
    size_t mask;
    size_t n, max; /* probes stay short up to three quarters */
};

struct seen *seen_new(unsigned bits)
{
    size_t n = (size_t)1 << bits;
    void *slots = mmap(NULL, n * sizeof(uint64_t), PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (slots == MAP_FAILED) {
        return NULL;
    }
    struct seen *seen = xcalloc(1, sizeof *seen);
    seen->slots = slots;
    seen->mask = n - 1;
    seen->max = n / 4 * 3;
    return seen;
}

void seen_free(struct seen *seen)
{
    if (seen == NULL) {
        return;
    }
    munmap(seen->slots, (seen->mask + 1) * sizeof(uint64_t));
    free(seen);
}

uint64_t seen_fingerprint(enum driver kind, const void *bytes, size_t len)
{
    unsigned char prefix = (unsigned char)kind, digest[SHA256_DIGEST_LENGTH];
    SHA256_CTX sha;
    SHA256_Init(&sha);
    SHA256_Update(&sha, &prefix, 1);
    SHA256_Update(&sha, bytes, len);
    SHA256_Final(digest, &sha);
    uint64_t fingerprint;
    memcpy(&fingerprint, digest, sizeof fingerprint);
    return fingerprint != 0 ? fingerprint : 1;
}

bool seen_first(struct seen *seen, uint64_t fingerprint)
{
    size_t i = fingerprint & seen->mask;
    while (seen->slots[i] != 0) {
        if (seen->slots[i] == fingerprint) {
            return false;
        }
        i = (i + 1) & seen->mask;
    }
    if (seen_full(seen)) {
        return false;
    }
    seen->slots[i] = fingerprint;
    seen->n++;
    return true;
}

bool seen_full(const struct seen *seen)
{
    return seen->n >= seen->max;
}
