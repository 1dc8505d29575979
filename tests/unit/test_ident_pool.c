#include "ident/mint.h"
#include "ident/pool.h"

#include "base/mem.h"
#include "base/mono.h"
#include "base/str.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "mint_kit.h"

#define N_WORKERS 3

/* One identity with all that the plan has, each part for itself. */
static struct mint *mint_of(struct plan *plan, unsigned n_workers)
{
    static struct plan_identity identity;
    struct diag *diag = diag_new();
    identity = kit_identity(plan, false);
    plan->identities = &identity;
    plan->n_identities = 1;
    const struct mint_job job = {.plan = plan, .n_workers = n_workers, .run_id = "run-1"};
    struct mint *mint = mint_new(&job, diag);
    for (size_t i = 0; i < diag_count(diag); i++) {
        print_message("%s\n", diag_text(diag, i));
    }
    assert_non_null(mint);
    diag_free(diag);
    return mint;
}

struct expectation {
    struct rotate rotate;
    enum pick pick;
    size_t n_first; /* over 10,000 takes of each of 3 workers, 1 ms apart, of 1,000 keys */
};

/* Every credential is new exactly once, and each belongs to one worker. */
static void check_counts(const struct expectation *expectation)
{
    struct plan_apikey section = kit_apikey(1000, expectation->pick, expectation->rotate);
    struct plan plan = {.apikeys = &section, .n_apikeys = 1, .run.seed = 7};
    struct mint *mint = mint_of(&plan, N_WORKERS);
    unsigned char first_by[1001] = {0}, seen_by[1001] = {0};
    size_t n_first = 0;
    for (unsigned worker = 0; worker < N_WORKERS; worker++) {
        struct pool *pool = mint_pool(mint, worker, 0, CREDENTIAL_APIKEY);
        for (uint64_t i = 0; i < 10000; i++) {
            bool first;
            struct credential *key = pool_take(pool, i * NS_PER_MS, 1, &first);
            assert_non_null(key);
            assert_in_range(key->n, 1, 1000);
            assert_true(seen_by[key->n] == 0 || seen_by[key->n] == worker + 1);
            assert_int_equal(first, seen_by[key->n] == 0);
            assert_false(first && first_by[key->n]++ > 0);
            seen_by[key->n] = (unsigned char)(worker + 1);
            n_first += first;
            pool_drop(pool, key);
        }
    }
    assert_int_equal(n_first, expectation->n_first);
    mint_free(mint);
}

static void counts_are_exact(void **state)
{
    (void)state;
    const struct rotate never = {.kind = ROTATE_NEVER}, each = {.kind = ROTATE_CONNECTION};
    const struct rotate uses = {.kind = ROTATE_USES, .uses = 50};
    const struct rotate every = {.kind = ROTATE_EVERY, .every_ns = 100 * NS_PER_MS};
    const struct expectation expectations[] = {
        {never, PICK_SEQUENTIAL, 3},   {each, PICK_SEQUENTIAL, 1000}, {uses, PICK_SEQUENTIAL, 600},
        {every, PICK_SEQUENTIAL, 300}, {each, PICK_RANDOM, 1000},     {never, PICK_RANDOM, 3},
    };
    for (size_t i = 0; i < sizeof expectations / sizeof expectations[0]; i++) {
        check_counts(&expectations[i]);
    }
}

static void random_is_the_seeds(void **state)
{
    (void)state;
    struct plan_apikey section =
        kit_apikey(100, PICK_RANDOM, (struct rotate){.kind = ROTATE_CONNECTION});
    uint64_t picked[3][50];
    for (int round = 0; round < 3; round++) {
        struct plan plan = {.apikeys = &section, .n_apikeys = 1, .run.seed = round < 2 ? 5 : 6};
        struct mint *mint = mint_of(&plan, 1);
        struct pool *pool = mint_pool(mint, 0, 0, CREDENTIAL_APIKEY);
        for (int i = 0; i < 50; i++) {
            bool first;
            struct credential *key = pool_take(pool, 0, 1, &first);
            picked[round][i] = key->n;
            pool_drop(pool, key);
        }
        mint_free(mint);
    }
    assert_memory_equal(picked[0], picked[1], sizeof picked[0]);
    assert_memory_not_equal(picked[0], picked[2], sizeof picked[0]);
}

static uint64_t take_n(struct pool *pool, uint64_t now_ns)
{
    bool first;
    struct credential *credential = pool_take(pool, now_ns, wall_s(), &first);
    assert_non_null(credential);
    uint64_t n = credential->n;
    pool_drop(pool, credential);
    return n;
}

static void hold_rests_the_rule(void **state)
{
    (void)state;
    struct plan_apikey section =
        kit_apikey(10, PICK_SEQUENTIAL, (struct rotate){.kind = ROTATE_USES, .uses = 2});
    struct plan plan = {.apikeys = &section, .n_apikeys = 1};
    struct mint *mint = mint_of(&plan, 1);
    struct pool *pool = mint_pool(mint, 0, 0, CREDENTIAL_APIKEY);
    assert_int_equal(take_n(pool, 0), 1);
    pool_hold(pool, true);
    for (int i = 0; i < 100; i++) {
        assert_int_equal(take_n(pool, 0), 1);
    }
    pool_hold(pool, false);
    assert_int_equal(take_n(pool, 0), 1);
    assert_int_equal(take_n(pool, 0), 2);
    mint_free(mint);
}

/* A late take must not move the switches that follow. */
static void every_keeps_its_phase(void **state)
{
    (void)state;
    struct plan_apikey section =
        kit_apikey(10, PICK_SEQUENTIAL, (struct rotate){.kind = ROTATE_EVERY, .every_ns = 100});
    struct plan plan = {.apikeys = &section, .n_apikeys = 1};
    struct mint *mint = mint_of(&plan, 1);
    struct pool *pool = mint_pool(mint, 0, 0, CREDENTIAL_APIKEY);
    assert_int_equal(take_n(pool, 1000), 1);
    assert_int_equal(take_n(pool, 1099), 1);
    assert_int_equal(take_n(pool, 1170), 2);
    assert_int_equal(take_n(pool, 1199), 2);
    assert_int_equal(take_n(pool, 1200), 3);
    assert_int_equal(take_n(pool, 1555), 4);
    assert_int_equal(take_n(pool, 1600), 5);
    mint_free(mint);
}

/* One certificate for three workers is one distinct certificate, whoever comes first. */
static void shared_by_workers_is_new_once(void **state)
{
    (void)state;
    struct plan_apikey section =
        kit_apikey(2, PICK_SEQUENTIAL, (struct rotate){.kind = ROTATE_CONNECTION});
    struct plan plan = {.apikeys = &section, .n_apikeys = 1};
    struct mint *mint = mint_of(&plan, 5);
    unsigned n_first = 0;
    for (unsigned worker = 5; worker-- > 0;) {
        struct pool *pool = mint_pool(mint, worker, 0, CREDENTIAL_APIKEY);
        for (int i = 0; i < 3; i++) {
            bool first;
            struct credential *key = pool_take(pool, 0, 1, &first);
            assert_int_equal(key->n, worker % 2 + 1);
            n_first += first;
            pool_drop(pool, key);
        }
    }
    assert_int_equal(n_first, 2);
    mint_free(mint);
}

/* At three quarters of its life a token is replaced under the same number; who holds it keeps
 * it. */
static void stale_tokens_are_renewed(void **state)
{
    (void)state;
    struct plan_jwt section = kit_jwt(300, PICK_SEQUENTIAL, 400);
    struct plan plan = {.jwts = &section, .n_jwts = 1};
    struct mint *mint = mint_of(&plan, 1);
    struct pool *pool = mint_pool(mint, 0, 0, CREDENTIAL_JWT);
    int64_t start_s = wall_s();
    bool first;
    mint_start(mint);
    struct credential *kept = pool_take(pool, 0, start_s, &first);
    CLEANUP_FREE char *kept_text = xstrdup(kept->text);
    for (size_t i = 1; i < 300; i++) {
        struct credential *token = pool_take(pool, 0, start_s + 290, &first);
        assert_true(first);
        pool_drop(pool, token);
    }
    size_t n_first = 0;
    for (size_t i = 0, all_at = SIZE_MAX; all_at == SIZE_MAX || i < all_at + 600; i++) {
        struct credential *token = take_soon(pool, 0, start_s + 310, &first);
        assert_int_equal(token->n, i % 300 + 1);
        n_first += first;
        all_at = n_first == 300 && all_at == SIZE_MAX ? i : all_at;
        assert_true(!first || token->not_after_s == start_s + 310 + 400);
        pool_drop(pool, token);
    }
    assert_int_equal(n_first, 300);
    assert_string_equal(kept->text, kept_text);
    assert_true(kept->not_after_s <= start_s + 401);
    pool_drop(pool, kept);
    mint_free(mint);
}

/* A tenth of two seconds is still a whole second: nobody sends a token in its last one. */
static void short_lives_end_early(void **state)
{
    (void)state;
    struct plan_jwt section = kit_jwt(1, PICK_SEQUENTIAL, 2);
    section.renew_before_ns = 200 * NS_PER_MS;
    struct plan plan = {.jwts = &section, .n_jwts = 1};
    struct mint *mint = mint_of(&plan, 1);
    struct pool *pool = mint_pool(mint, 0, 0, CREDENTIAL_JWT);
    bool first;
    struct credential *token = pool_take(pool, 0, 0, &first);
    int64_t end_s = token->not_after_s;
    pool_drop(pool, token);
    mint_start(mint);
    do {
        token = take_soon(pool, 0, end_s - 1, &first);
        pool_drop(pool, token);
    } while (!first);
    mint_free(mint);
}

/* Without the mint thread an old token serves while it is valid, and nothing serves after it. */
static void expired_tokens_are_not_given(void **state)
{
    (void)state;
    struct plan_jwt section = kit_jwt(4, PICK_SEQUENTIAL, 400);
    struct plan plan = {.jwts = &section, .n_jwts = 1};
    struct mint *mint = mint_of(&plan, 1);
    struct pool *pool = mint_pool(mint, 0, 0, CREDENTIAL_JWT);
    int64_t start_s = wall_s();
    bool first;
    struct credential *token = pool_take(pool, 0, start_s + 395, &first);
    assert_non_null(token);
    pool_drop(pool, token);
    assert_null(pool_take(pool, 0, start_s + 401, &first));
    assert_null(pool_take(pool, 0, start_s + 401, &first));
    mint_start(mint);
    token = take_soon(pool, 0, start_s + 401, &first);
    assert_int_equal(token->n, 2);
    assert_true(first);
    pool_drop(pool, token);
    mint_free(mint);
}

static void fresh_is_renewed_before_its_end(void **state)
{
    (void)state;
    struct plan_jwt section = kit_jwt(0, PICK_FRESH, 400);
    section.rotate.kind = ROTATE_NEVER;
    struct plan plan = {.jwts = &section, .n_jwts = 1};
    struct mint *mint = mint_of(&plan, 1);
    struct pool *pool = mint_pool(mint, 0, 0, CREDENTIAL_JWT);
    int64_t start_s = wall_s();
    bool first;
    for (int i = 0; i < 10; i++) {
        struct credential *token = pool_take(pool, 0, start_s, &first);
        assert_int_equal(token->n, 1);
        assert_int_equal(first, i == 0);
        pool_drop(pool, token);
    }
    /* All of the first batch is as old, so that without the mint thread the old one goes on. */
    struct credential *token = pool_take(pool, 0, start_s + 310, &first);
    assert_int_equal(token->n, 1);
    pool_drop(pool, token);
    assert_null(pool_take(pool, 0, start_s + 401, &first));
    mint_free(mint);
}

struct worker {
    struct pool *pool;
    size_t n_takes;
    uint64_t *numbers;
    size_t n_first;
    pthread_t thread;
};

static void *work(void *argument)
{
    struct worker *worker = argument;
    struct credential *held[8] = {0};
    for (size_t i = 0; i < worker->n_takes; i++) {
        bool first;
        struct credential *key = take_soon(worker->pool, 0, wall_s(), &first);
        worker->numbers[i] = key->n;
        worker->n_first += first;
        if (held[i % 8] != NULL) {
            pool_drop(worker->pool, held[i % 8]);
        }
        held[i % 8] = key;
    }
    for (size_t i = 0; i < 8; i++) {
        if (held[i] != NULL) {
            pool_drop(worker->pool, held[i]);
        }
    }
    return NULL;
}

static int by_number(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

/* Two workers take 10,000 each while the mint thread mints: none twice. */
static void fresh_never_repeats(void **state)
{
    (void)state;
    struct plan_apikey section =
        kit_apikey(0, PICK_FRESH, (struct rotate){.kind = ROTATE_USES, .uses = 1});
    struct plan plan = {.apikeys = &section, .n_apikeys = 1};
    struct mint *mint = mint_of(&plan, 2);
    uint64_t *numbers = xcalloc(20000, sizeof *numbers);
    struct worker workers[2];
    mint_start(mint);
    for (unsigned i = 0; i < 2; i++) {
        workers[i] = (struct worker){.pool = mint_pool(mint, i, 0, CREDENTIAL_APIKEY),
                                     .n_takes = 10000,
                                     .numbers = numbers + (size_t)i * 10000};
        assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
    }
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(pthread_join(workers[i].thread, NULL), 0);
        assert_int_equal(workers[i].n_first, 10000);
    }
    assert_true(mint_cpu_ns(mint) > 0);
    mint_stop(mint);
    assert_true(mint_cpu_ns(mint) > 0);
    qsort(numbers, 20000, sizeof *numbers, by_number);
    for (size_t i = 1; i < 20000; i++) {
        assert_true(numbers[i] > numbers[i - 1]);
    }
    free(numbers);
    mint_free(mint);
}

static void take_many(struct pool *pool, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        bool first;
        struct credential *key = take_soon(pool, 0, wall_s(), &first);
        assert_true(first);
        pool_drop(pool, key);
    }
}

/* 40,000 more credentials leave nothing behind: at most what is under way, two full batches. */
static void memory_is_flat(void **state)
{
    (void)state;
    struct plan_apikey section =
        kit_apikey(0, PICK_FRESH, (struct rotate){.kind = ROTATE_CONNECTION});
    struct plan plan = {.apikeys = &section, .n_apikeys = 1};
    struct mint *mint = mint_of(&plan, 1);
    struct pool *pool = mint_pool(mint, 0, 0, CREDENTIAL_APIKEY);
    mint_start(mint);
    take_many(pool, 10000);
    size_t before = allocated_bytes();
    take_many(pool, 40000);
    size_t after = allocated_bytes();
    assert_true(after < before + 2 * 1024 * 512);
    mint_free(mint);
}

static size_t told_done, told_total;

static void tell(size_t done, size_t total)
{
    told_done = done;
    told_total = total;
}

static void progress_reaches_its_end(void **state)
{
    (void)state;
    struct plan_apikey apikey =
        kit_apikey(500, PICK_SEQUENTIAL, (struct rotate){.kind = ROTATE_NEVER});
    struct plan_jwt jwt = kit_jwt(700, PICK_SEQUENTIAL, 3600);
    struct plan plan = {.apikeys = &apikey, .n_apikeys = 1, .jwts = &jwt, .n_jwts = 1};
    struct diag *diag = diag_new();
    struct plan_identity identity = kit_identity(&plan, false);
    plan.identities = &identity;
    plan.n_identities = 1;
    const struct mint_job job = {
        .plan = &plan, .n_workers = 2, .run_id = "run-1", .progress = tell};
    struct mint *mint = mint_new(&job, diag);
    assert_non_null(mint);
    assert_null(mint_pool(mint, 0, 0, CREDENTIAL_CERT));
    assert_int_equal(told_done, 1200);
    assert_int_equal(told_total, 1200);
    assert_true(pool_per_connection(mint_pool(mint, 1, 0, CREDENTIAL_JWT)));
    assert_false(pool_per_connection(mint_pool(mint, 1, 0, CREDENTIAL_APIKEY)));
    assert_int_equal(pool_kind(mint_pool(mint, 1, 0, CREDENTIAL_JWT)), CREDENTIAL_JWT);
    mint_free(mint);
    diag_free(diag);
}

int main(void)
{
    (void)mallopt(M_ARENA_MAX, 1);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_are_exact),
        cmocka_unit_test(random_is_the_seeds),
        cmocka_unit_test(hold_rests_the_rule),
        cmocka_unit_test(every_keeps_its_phase),
        cmocka_unit_test(shared_by_workers_is_new_once),
        cmocka_unit_test(stale_tokens_are_renewed),
        cmocka_unit_test(short_lives_end_early),
        cmocka_unit_test(expired_tokens_are_not_given),
        cmocka_unit_test(fresh_is_renewed_before_its_end),
        cmocka_unit_test(fresh_never_repeats),
        cmocka_unit_test(memory_is_flat),
        cmocka_unit_test(progress_reaches_its_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
