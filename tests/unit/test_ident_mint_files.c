#include "ident/cert.h"
#include "ident/jwt.h"

#include "base/file.h"
#include "base/sink.h"
#include "base/str.h"

#include <openssl/pool.h>
#include <string.h>

#include "mint_kit.h"

static void copy_file(const char *from, const char *to)
{
    size_t len;
    CLEANUP_FREE char *text = file_read(from, 1 << 20, &len);
    assert_non_null(text);
    assert_true(file_write(to, text, len, 0600));
}

static struct mint *start(struct mint_kit *mk, unsigned n_workers)
{
    struct mint *mint = mint_kit_new(mk, n_workers, NULL);
    assert_non_null(mint);
    mint_start(mint);
    return mint;
}

static void expect_event(struct mint *mint, const char *part)
{
    struct mint_event *event = event_soon(mint);
    if (strstr(event->text, part) == NULL) {
        fail_msg("\"%s\" and not \"%s\"", event->text, part);
    }
    assert_null(event->next);
    events_drop(event);
}

static bool is_same(const struct cert *a, const struct cert *b)
{
    unsigned char x[32], y[32];
    cert_thumbprint(a, x);
    cert_thumbprint(b, y);
    return memcmp(x, y, sizeof x) == 0;
}

/* A client's new certificate comes into use, its token after it; who holds the old keeps it.  A
 * worker that has no client of its own shares the new one. */
static void changed_certificates_are_adopted(void **state)
{
    struct mint_kit *mk = *state;
    CLEANUP_FREE char *dir = kit_path(&mk->kit, "clients");
    CLEANUP_FREE char *changing = kit_path(&mk->kit, "clients/client-2.pem");
    CLEANUP_FREE char *other = kit_path(&mk->kit, "clients/client-3.pem");
    CLEANUP_FREE char *kept = kit_path(&mk->kit, "kept.pem");
    bool first;
    copy_file(changing, kept);
    mint_kit_plan(mk, true, true, true, true);
    mk->cert.source = CERT_FILES;
    mk->cert.path = dir;
    mk->jwt.bind_certificate = true;
    struct mint *mint = start(mk, 5);
    struct pool *pools[2] = {mint_pool(mint, 1, 0, CREDENTIAL_PERSONA),
                             mint_pool(mint, 4, 0, CREDENTIAL_PERSONA)};
    struct credential *old = pool_take(pools[0], 0, wall_s(), &first);
    assert_int_equal(old->n, 2);
    assert_true(credential_claim(old->part[CREDENTIAL_CERT]));
    assert_true(credential_claim(old->part[CREDENTIAL_APIKEY]));
    copy_file(other, changing);
    expect_event(mint, "client-2.pem changed; 1 of it is new");
    unsigned n_new_certs = 0, n_new_keys = 0;
    for (int i = 0; i < 2; i++) {
        struct credential *new;
        do {
            new = take_soon(pools[i], 0, wall_s(), &first);
            pool_drop(pools[i], new);
        } while (is_same(new->part[CREDENTIAL_CERT]->cert, old->part[CREDENTIAL_CERT]->cert));
        assert_int_equal(new->n, 2);
        assert_string_not_equal(new->part[CREDENTIAL_JWT]->text, old->part[CREDENTIAL_JWT]->text);
        n_new_certs += credential_claim(new->part[CREDENTIAL_CERT]);
        n_new_keys += credential_claim(new->part[CREDENTIAL_APIKEY]);
    }
    assert_int_equal(n_new_certs, 1);
    assert_int_equal(n_new_keys, 0);
    pool_drop(pools[0], old);
    mint_free(mint);
    copy_file(kept, changing);
}

/* What does not parse changes nothing, and is named once; when it is whole it counts. */
static void broken_files_change_nothing(void **state)
{
    struct mint_kit *mk = *state;
    CLEANUP_FREE char *path = kit_path(&mk->kit, "one.pem");
    CLEANUP_FREE char *source = kit_path(&mk->kit, "clients/client-1.pem");
    CLEANUP_FREE char *better = kit_path(&mk->kit, "clients/client-2.pem");
    bool first;
    copy_file(source, path);
    mint_kit_plan(mk, true, false, false, true);
    mk->cert.source = CERT_FILES;
    mk->cert.path = path;
    struct mint *mint = start(mk, 1);
    struct pool *pool = mint_pool(mint, 0, 0, CREDENTIAL_CERT);
    struct credential *old = pool_take(pool, 0, wall_s(), &first);
    assert_true(file_write(path, "-----BEGIN CERT", 15, 0600));
    expect_event(mint, "what was read before is kept");
    struct credential *same = pool_take(pool, 0, wall_s(), &first);
    assert_ptr_equal(same, old);
    pool_drop(pool, same);
    copy_file(better, path);
    expect_event(mint, "one.pem changed; 1 of it is new");
    struct credential *new;
    do {
        new = take_soon(pool, 0, wall_s(), &first);
        pool_drop(pool, new);
    } while (new == old);
    assert_false(is_same(new->cert, old->cert));
    /* Written again without a change, it is the same certificate: nothing befell. */
    copy_file(better, path);
    assert_true(file_write(path, "no", 2, 0600));
    expect_event(mint, "what was read before is kept");
    pool_drop(pool, old);
    mint_free(mint);
    mk->cert.source = CERT_MINT;
}

/* Keys of a file: those lines that are others, and never fewer. */
static void changed_keys_are_adopted(void **state)
{
    static const char first_keys[] = "one\n# two\ntwo\nthree\n", fewer[] = "one\ntwo\n";
    static const char changed[] = "one\nsecond\nthree\nfour\n";
    struct mint_kit *mk = *state;
    CLEANUP_FREE char *path = kit_path(&mk->kit, "keys");
    bool first;
    assert_true(file_write(path, first_keys, strlen(first_keys), 0600));
    mint_kit_plan(mk, false, true, false, true);
    mk->apikey.path = path;
    struct mint *mint = start(mk, 1);
    struct pool *pool = mint_pool(mint, 0, 0, CREDENTIAL_APIKEY);
    for (int i = 0; i < 3; i++) {
        struct credential *key = pool_take(pool, 0, wall_s(), &first);
        assert_true(first);
        pool_drop(pool, key);
    }
    assert_true(file_write(path, fewer, strlen(fewer), 0600));
    expect_event(mint, "holds 2 keys and not 3");
    assert_true(file_write(path, changed, strlen(changed), 0600));
    expect_event(mint, "keys changed; 1 of it is new");
    size_t n_new = 0;
    for (int i = 0; i < 3 || n_new == 0; i++) {
        struct credential *key = pool_take(pool, 0, wall_s(), &first);
        assert_true(!first || (key->n == 2 && str_equal(key->text, "second")));
        n_new += first;
        pool_drop(pool, key);
    }
    mint_free(mint);
    mk->apikey.path = NULL;
}

/* A token that ends is named when it does, and given all the same. */
static void expired_tokens_are_named(void **state)
{
    struct mint_kit *mk = *state;
    CLEANUP_FREE char *path = kit_path(&mk->kit, "tokens");
    struct sink *text = sink_new();
    struct diag *diag = diag_new();
    int64_t end_s = 0;
    mint_kit_plan(mk, false, false, true, true);
    for (uint64_t n = 1; n <= 2; n++) {
        size_t len;
        mk->jwt.lifetime_ns = (n == 1 ? 2 : 400) * NS_PER_S;
        struct jwt_signer *signer = jwt_signer_new(&mk->plan, &mk->jwt, diag);
        const struct jwt_order order = {.n = n, .run_id = "run", .now_s = wall_s()};
        CLEANUP_FREE char *token = jwt_mint(signer, &order, &len, &end_s);
        sink_printf(text, "%s\n", token);
        jwt_signer_free(signer);
    }
    assert_true(sink_replace_file(text, path));
    sink_free(text);
    diag_free(diag);
    mk->jwt.path = path;
    struct mint *mint = start(mk, 1);
    struct pool *pool = mint_pool(mint, 0, 0, CREDENTIAL_JWT);
    expect_event(mint, "jwt c: token 1 of ");
    bool first;
    struct credential *token = pool_take(pool, 0, wall_s(), &first);
    assert_non_null(token);
    assert_int_equal(token->n, 1);
    assert_true(token->not_after_s <= wall_s());
    pool_drop(pool, token);
    mint_free(mint);
    mk->jwt = kit_jwt(10, PICK_SEQUENTIAL, 400);
    mk->jwt.name = mk->cert.name;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(changed_certificates_are_adopted),
        cmocka_unit_test(broken_files_change_nothing),
        cmocka_unit_test(changed_keys_are_adopted),
        cmocka_unit_test(expired_tokens_are_named),
    };
    return cmocka_run_group_tests(tests, mint_kit_set_up, mint_kit_tear_down);
}
