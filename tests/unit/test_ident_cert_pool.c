#include "ident/mint.h"

#include "ident_cert_kit.h"

/* A whole pool of certificates through the mint: one key for all, or a key each. */
static void pools_hold_certificates(void **state)
{
    struct kit *kit = *state;
    CRYPTO_BUFFER *root;
    EVP_PKEY *key = cert_key_new(KEY_ECDSA_P256);
    struct cert_issuer *issuer =
        ca_new(NULL, "CN=root", key, (int64_t)mono_wall_s() + DAY_S, &root);
    write_certs(kit, "ca.pem", &root, 1);
    write_key(kit, "ca.key", key);
    for (int each = 0; each < 2; each++) {
        CLEANUP_FREE char *keys =
            xasprintf("ca = %s/ca.pem\nca_key = %s/ca.key\ncount = 50\nlifetime = 1h\n"
                      "key_per_cert = %s\n",
                      kit->dir, kit->dir, each ? "yes" : "no");
        struct plan *plan = load_plan(kit, keys);
        const struct mint_job job = {.plan = plan, .n_workers = 1, .run_id = "run"};
        struct mint *mint = mint_new(&job, kit->diag);
        struct pool *pool = mint_pool(mint, 0, 0, CREDENTIAL_CERT);
        struct credential *taken[50];
        bool first;
        for (size_t i = 0; i < 50; i++) {
            taken[i] = pool_take(pool, 0, (int64_t)mono_wall_s(), &first);
            assert_true(first);
            assert_int_equal(taken[i]->cert->n, i + 1);
            assert_int_equal(taken[i]->cert->key != taken[0]->cert->key, each && i > 0);
            assert_true(pem_matches(taken[i]->cert->chain[0], taken[i]->cert->key));
        }
        for (size_t i = 0; i < 50; i++) {
            pool_drop(pool, taken[i]);
        }
        mint_free(mint);
        plan_free(plan);
    }
    cert_issuer_free(issuer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(pools_hold_certificates, kit_set_up, kit_tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
