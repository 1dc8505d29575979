#include "net/tls_speed.h"

#include "base/mono.h"

#include <openssl/ec_key.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/nid.h>
#include <stdint.h>

#define EACH_NS (25 * NS_PER_MS)
#define DIGEST  32
#define MOST    80 /* bytes of a P-256 signature: 72 */

struct test {
    EC_KEY *key;
    uint8_t digest[DIGEST];
    uint8_t signature[MOST];
    unsigned len;
};

static bool sign(struct test *test)
{
    return ECDSA_sign(0, test->digest, DIGEST, test->signature, &test->len, test->key) == 1;
}

static bool verify(struct test *test)
{
    return ECDSA_verify(0, test->digest, DIGEST, test->signature, test->len, test->key) == 1;
}

/* 0 when it failed. */
static double per_s(bool (*step)(struct test *test), struct test *test)
{
    uint64_t start_ns = mono_now_ns(), now_ns = start_ns;
    double n = 0;

    for (; now_ns - start_ns < EACH_NS; now_ns = mono_now_ns()) {
        if (!step(test)) {
            return 0;
        }
        n++;
    }
    return n / ((double)(now_ns - start_ns) / (double)NS_PER_S);
}

bool tls_speed(struct tls_speed *ret_speed)
{
    struct test test = {.key = EC_KEY_new_by_curve_name(NID_X9_62_prime256v1),
                        .digest = {'t', 'l', 's', 'o', 'a', 'k'}};
    struct tls_speed speed = {0, 0};
    bool ok = test.key != NULL && EC_KEY_generate_key(test.key) == 1;

    if (ok) {
        speed.signs_per_s = per_s(sign, &test);
        speed.verifies_per_s = per_s(verify, &test);
        test.digest[0] ^= 1;
        ok = speed.signs_per_s > 0 && speed.verifies_per_s > 0 && !verify(&test);
        ERR_clear_error();
    }
    EC_KEY_free(test.key);
    if (ok) {
        *ret_speed = speed;
    }
    return ok;
}
