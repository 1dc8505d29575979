#include "ident/zipf.h"

#include <math.h>

#include "mint_kit.h"

/* Chi-square of many draws against the exact law, cells of less than 20 expected put together. */
static double chi_square(double exponent, uint64_t n, uint64_t draws, unsigned *ret_cells)
{
    struct zipf zipf = zipf_of(exponent, n);
    struct rng rng;
    CLEANUP_FREE uint64_t *seen = xcalloc(n + 1, sizeof *seen);
    double norm = 0, chi = 0, expected = 0, observed = 0;
    unsigned cells = 0;
    rng_init(&rng, 3, "zipf", n);
    for (uint64_t i = 0; i < draws; i++) {
        uint64_t k = zipf_draw(&zipf, &rng);
        assert_in_range(k, 1, n);
        seen[k]++;
    }
    for (uint64_t k = 1; k <= n; k++) {
        norm += pow((double)k, -exponent);
    }
    for (uint64_t k = 1; k <= n; k++) {
        expected += (double)draws * pow((double)k, -exponent) / norm;
        observed += (double)seen[k];
        if (expected >= 20 || k == n) {
            chi += (observed - expected) * (observed - expected) / expected;
            cells++;
            expected = observed = 0;
        }
    }
    *ret_cells = cells;
    return chi;
}

/* Of a right sampler one in 30,000 would be four deviations off (seeds are fixed: none is). */
static void zipf_is_exact(void **state)
{
    (void)state;
    const double exponents[] = {0.01, 0.5, 0.999, 1, 1.1, 2, 5, 10};
    const uint64_t sizes[] = {1, 2, 3, 10, 1000};
    for (size_t e = 0; e < sizeof exponents / sizeof exponents[0]; e++) {
        for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
            unsigned cells;
            double chi = chi_square(exponents[e], sizes[s], 100000, &cells);
            double freedom = cells - 1;
            assert_true(chi <= freedom + 4 * sqrt(2 * freedom) + 8);
        }
    }
}

/* A wrong exponent is seen by the test above. */
static void chi_square_can_tell(void **state)
{
    (void)state;
    struct zipf zipf = zipf_of(1.1, 1000);
    struct rng rng;
    uint64_t ones = 0;
    rng_init(&rng, 3, "zipf", 0);
    for (int i = 0; i < 100000; i++) {
        ones += zipf_draw(&zipf, &rng) == 1;
    }
    /* Of exponent 1.1 the first has 1 / 5.5728 of a thousand. */
    assert_in_range(ones, 17500, 18400);
    struct zipf large = zipf_of(1.1, 1ULL << 40);
    for (int i = 0; i < 1000; i++) {
        assert_in_range(zipf_draw(&large, &rng), 1, 1ULL << 40);
    }
}

static struct mint *keys(struct mint_kit *mk, size_t count, enum pick pick, struct rotate rotate,
                         uint64_t retire_after, unsigned n_workers)
{
    mint_kit_plan(mk, false, true, false, true);
    mk->apikey = kit_apikey(count, pick, rotate);
    mk->apikey.exponent = 1.1;
    mk->apikey.retire_after = retire_after;
    struct mint *mint = mint_kit_new(mk, n_workers, NULL);
    assert_non_null(mint);
    return mint;
}

static uint64_t take_n(struct pool *pool, uint64_t now_ns)
{
    bool first;
    struct credential *key = pool_take(pool, now_ns, wall_s(), &first);
    assert_non_null(key);
    uint64_t n = key->n;
    pool_drop(pool, key);
    return n;
}

/* With each pick the rule alone says when another is taken. */
static void rules_hold_for_each_pick(void **state)
{
    const enum pick picks[] = {PICK_SEQUENTIAL, PICK_RANDOM, PICK_ZIPF, PICK_FRESH};
    const struct rotate rotates[] = {{.kind = ROTATE_NEVER},
                                     {.kind = ROTATE_CONNECTION},
                                     {.kind = ROTATE_USES, .uses = 5},
                                     {.kind = ROTATE_EVERY, .every_ns = 5 * NS_PER_MS}};
    for (int p = 0; p < 4; p++) {
        for (int r = 0; r < 4; r++) {
            size_t count = picks[p] == PICK_FRESH ? 0 : 1000000;
            struct mint *mint = keys(*state, count / 1000, picks[p], rotates[r], 0, 1);
            struct pool *pool = mint_pool(mint, 0, 0, CREDENTIAL_APIKEY);
            uint64_t last = 0, switches = 0;
            for (uint64_t i = 0; i < 50; i++) {
                uint64_t n = take_n(pool, (i + 1) * NS_PER_MS);
                bool may = i == 0 || rotates[r].kind == ROTATE_CONNECTION ||
                           (rotates[r].kind > ROTATE_CONNECTION && i % 5 == 0);
                assert_true(may || n == last);
                switches += n != last;
                last = n;
            }
            uint64_t most = r == 0 ? 1 : r == 1 ? 50 : 10;
            bool repeats = picks[p] == PICK_RANDOM || picks[p] == PICK_ZIPF;
            assert_true(repeats ? switches <= most && switches > most / 3 : switches == most);
            mint_free(mint);
        }
    }
}

/* The hot ones of a Zipf pool are the first places of each worker's share. */
static void zipf_heats_the_first(void **state)
{
    struct mint *mint =
        keys(*state, 1000, PICK_ZIPF, (struct rotate){.kind = ROTATE_CONNECTION}, 0, 2);
    for (unsigned worker = 0; worker < 2; worker++) {
        uint64_t seen[1001] = {0};
        for (int i = 0; i < 20000; i++) {
            seen[take_n(mint_pool(mint, worker, 0, CREDENTIAL_APIKEY), 0)]++;
        }
        assert_true(seen[worker + 1] > seen[worker + 3]);
        assert_true(seen[worker + 3] > seen[worker + 7]);
        assert_true(seen[worker + 1] > 20000 / 8);
        assert_int_equal(seen[2 - worker], 0);
    }
    mint_free(mint);
}

/* After three uses a key goes for good, and a number that never was takes its place. */
static void retired_ones_never_return(void **state)
{
    const struct rotate rotates[] = {{.kind = ROTATE_NEVER}, {.kind = ROTATE_CONNECTION}};
    const enum pick picks[] = {PICK_SEQUENTIAL, PICK_RANDOM, PICK_ZIPF};
    for (int r = 0; r < 2; r++) {
        for (int p = 0; p < 3; p++) {
            struct mint *mint = keys(*state, 10, picks[p], rotates[r], 3, 2);
            enum { TAKES = 3000, MOST = 20000 };
            CLEANUP_FREE unsigned char *seen = xcalloc(MOST, 1);
            uint64_t n_first = 0;
            mint_start(mint);
            for (unsigned worker = 0; worker < 2; worker++) {
                struct pool *pool = mint_pool(mint, worker, 0, CREDENTIAL_APIKEY);
                for (int i = 0; i < TAKES; i++) {
                    bool first;
                    struct credential *key = take_soon(pool, 0, wall_s(), &first);
                    assert_in_range(key->n, 1, MOST - 1);
                    assert_int_equal(first, seen[key->n] == 0);
                    assert_true(++seen[key->n] <= 3);
                    n_first += first;
                    pool_drop(pool, key);
                }
            }
            assert_in_range(n_first, 2 * TAKES / 3, 2 * TAKES / 3 + 20);
            mint_free(mint);
        }
    }
}

/* Without the mint thread: first the others are given, then what was made ahead, then nothing. */
static void retired_ones_are_waited_for(void **state)
{
    struct mint *mint =
        keys(*state, 4, PICK_SEQUENTIAL, (struct rotate){.kind = ROTATE_NEVER}, 2, 1);
    struct pool *pool = mint_pool(mint, 0, 0, CREDENTIAL_APIKEY);
    uint64_t n_taken = 0;
    bool first;
    struct credential *key;
    while ((key = pool_take(pool, 0, wall_s(), &first)) != NULL) {
        n_taken++;
        pool_drop(pool, key);
    }
    assert_true(n_taken >= 2 * (4 + 1) && n_taken % 2 == 0);
    assert_null(pool_take(pool, 0, wall_s(), &first));
    mint_start(mint);
    key = take_soon(pool, 0, wall_s(), &first);
    assert_true(first);
    assert_true(key->n > 4);
    pool_drop(pool, key);
    mint_free(mint);
}

/* While held, the current one serves on, also past its last use. */
static void held_ones_do_not_retire(void **state)
{
    struct mint *mint =
        keys(*state, 4, PICK_SEQUENTIAL, (struct rotate){.kind = ROTATE_CONNECTION}, 1, 1);
    struct pool *pool = mint_pool(mint, 0, 0, CREDENTIAL_APIKEY);
    assert_int_equal(take_n(pool, 0), 1);
    pool_hold(pool, true);
    for (int i = 0; i < 20; i++) {
        assert_int_equal(take_n(pool, 0), 1);
    }
    pool_hold(pool, false);
    assert_int_equal(take_n(pool, 0), 2);
    mint_free(mint);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(zipf_is_exact),
        cmocka_unit_test(chi_square_can_tell),
        cmocka_unit_test(rules_hold_for_each_pick),
        cmocka_unit_test(zipf_heats_the_first),
        cmocka_unit_test(retired_ones_never_return),
        cmocka_unit_test(retired_ones_are_waited_for),
        cmocka_unit_test(held_ones_do_not_retire),
    };
    return cmocka_run_group_tests(tests, mint_kit_set_up, mint_kit_tear_down);
}
