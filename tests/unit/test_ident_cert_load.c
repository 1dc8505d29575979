#include "ident/cert_load.h"
#include "ident/cert_pkcs12.h"
#include "ident/crypt.h"

#include "ident_cert_kit.h"

/* Loads with source = files, or pkcs12, and perhaps a passphrase; how many there are. */
static size_t load_with(const struct kit *kit, const char *source, const char *name,
                        const char *password, struct cert_list *list)
{
    CLEANUP_FREE char *secret = kit_path(kit, "passphrase");
    CLEANUP_FREE char *keys =
        xasprintf("source = %s\npath = %s/%s\n%s%s\n", source, kit->dir, name,
                  password != NULL ? "password = @" : "", password != NULL ? secret : "");
    assert_true(password == NULL || file_write(secret, password, strlen(password), 0600));
    struct plan *plan = load_plan(kit, keys);
    *list = (struct cert_list){0};
    bool good = cert_list_load(list, plan, &plan->certs[0], kit->diag);
    assert_int_equal(good, list->n_certs > 0);
    plan_free(plan);
    return list->n_certs;
}

static size_t load_files(const struct kit *kit, const char *name, struct cert_list *list)
{
    return load_with(kit, "files", name, NULL, list);
}

/* Clients 1 to 10: odd ones in one file, even ones in two. */
static void write_clients(const struct kit *kit, const struct cert_issuer *issuer)
{
    assert_int_equal(kit_shell("mkdir %s/d", kit->dir), 0);
    for (uint64_t n = 1; n <= 10; n++) {
        struct plan_cert section = section_of(n % 3 == 0 ? KEY_ED25519 : KEY_ECDSA_P256);
        struct cert *cert = cert_mint(issuer, &section, n, "run", NULL);
        CLEANUP_FREE char *crt = xasprintf("d/c-%d.%s", (int)n, n % 2 == 0 ? "crt" : "pem");
        CLEANUP_FREE char *key = xasprintf("d/c-%d.key", (int)n);
        write_certs(kit, crt, cert->chain, 1);
        write_key(kit, key, cert->key);
        assert_true(n % 2 == 0 ||
                    kit_shell("cd %s && cat %s >>%s && rm %s", kit->dir, key, crt, key) == 0);
        cert_free(cert);
    }
}

static void files_are_loaded_by_name(void **state)
{
    struct kit *kit = *state;
    CRYPTO_BUFFER *root;
    struct cert_list list;
    char text[256];
    struct cert_issuer *issuer = ca_new(NULL, "CN=root", cert_key_new(KEY_ECDSA_P256),
                                        (int64_t)mono_wall_s() + DAY_S, &root);
    write_clients(kit, issuer);
    size_t n = load_files(kit, "d", &list);
    assert_int_equal(n, 10);
    for (size_t i = 0; i < n; i++) {
        CLEANUP_FREE char *expected = xasprintf("CN=client-%zu, ", i + 1);
        cert_describe(list.certs[i], text, sizeof text);
        assert_true(str_has_prefix(text, expected));
        assert_int_equal(list.certs[i]->n, i + 1);
        assert_true(list.certs[i]->not_after_s > (int64_t)mono_wall_s() + 3000);
    }
    cert_list_free(&list);
    n = load_files(kit, "d/c-2.crt", &list);
    assert_int_equal(n, 1);
    cert_list_free(&list);
    assert_int_equal(diag_count(kit->diag), 0);

    assert_int_equal(kit_shell("cd %s/d && cp c-4.key c-2.key", kit->dir), 0);
    assert_int_equal(load_files(kit, "d", &list), 0);
    expect_mistake(kit, "cert.ini:7: cert.path: ");
    expect_mistake(kit, "d/c-2.crt holds a certificate that does not match its private key");
    assert_int_equal(kit_shell("cd %s/d && rm c-2.key", kit->dir), 0);
    assert_int_equal(load_files(kit, "d", &list), 0);
    expect_mistake(kit, "d/c-2.crt has no private key");
    assert_int_equal(kit_shell("cd %s/d && rm c-2.crt && head -c 300 c-1.pem >c-0.pem", kit->dir),
                     0);
    assert_int_equal(load_files(kit, "d", &list), 0);
    expect_mistake(kit, "d/c-0.pem is ");
    assert_int_equal(kit_shell("mkdir %s/empty", kit->dir), 0);
    assert_int_equal(load_files(kit, "empty", &list), 0);
    expect_mistake(kit, "empty holds no .pem or .crt file");
    cert_issuer_free(issuer);
}

static void expired_files_are_mistakes(void **state)
{
    struct kit *kit = *state;
    CRYPTO_BUFFER *root;
    struct cert_list list;
    int64_t now_s = (int64_t)mono_wall_s();
    struct cert_issuer *issuer =
        ca_new(NULL, "CN=root", cert_key_new(KEY_ECDSA_P256), now_s + DAY_S, &root);
    struct plan_cert section = section_of(KEY_ECDSA_P256);
    struct cert *cert = cert_mint_at(issuer, &section, 1, "run", NULL, now_s - 7200);
    write_certs(kit, "c.pem", cert->chain, 1);
    write_key(kit, "c.key", cert->key);
    assert_int_equal(load_files(kit, "c.pem", &list), 0);
    expect_mistake(kit, "c.pem holds a certificate that has expired");
    cert_free(cert);
    cert_issuer_free(issuer);
}

static void write_sink(const struct kit *kit, const char *name, struct sink *sink)
{
    CLEANUP_FREE char *path = kit_path(kit, name);
    assert_true(sink_replace_file(sink, path));
    sink_free(sink);
}

/* A bundle of clients below two intermediates, its certificates backwards and before the keys:
 * every key finds its certificate, every leaf its own intermediate. */
static void write_bundle(const struct kit *kit, const char *name, size_t n, bool extra_key)
{
    CRYPTO_BUFFER *root, *above[2];
    int64_t end_s = (int64_t)mono_wall_s() + DAY_S;
    EVP_PKEY *key = cert_key_new(KEY_ECDSA_P256);
    struct cert_issuer *top = ca_new(NULL, "CN=root", cert_key_new(KEY_ECDSA_P256), end_s, &root);
    struct cert_issuer *issuers[2];
    struct sink *certs = sink_new(), *keys = sink_new();
    size_t len;
    for (size_t i = 0; i < 2; i++) { /* of one name, so that only the key identifier tells */
        issuers[i] = ca_new(top, "CN=between", cert_key_new(KEY_ECDSA_P256), end_s, &above[i]);
    }
    for (size_t i = n; i-- > 0;) {
        struct plan_cert section = section_of(KEY_ECDSA_P256);
        struct cert *cert = cert_mint(issuers[i % 2], &section, i + 1, "run", NULL);
        char *text = pem_from_key(cert->key, &len);
        pem_write(certs, "CERTIFICATE", cert->chain[0]);
        sink_write(keys, text, len);
        free(text);
        cert_free(cert);
    }
    for (size_t i = 0; i < 2; i++) {
        pem_write(keys, "CERTIFICATE", above[i]);
    }
    if (extra_key) {
        char *text = pem_from_key(key, &len);
        sink_write(keys, text, len);
        free(text);
    }
    sink_write(certs, sink_text(keys, NULL), strlen(sink_text(keys, NULL)));
    write_sink(kit, name, certs);
    sink_free(keys);
    EVP_PKEY_free(key);
    cert_issuer_free(issuers[0]);
    cert_issuer_free(issuers[1]);
    cert_issuer_free(top);
}

static void bundles_are_sorted_out(void **state)
{
    struct kit *kit = *state;
    struct cert_list list;
    struct der_parts leaf, above;
    char text[256];
    write_bundle(kit, "bundle.pem", 5, false);
    assert_int_equal(load_files(kit, "bundle.pem", &list), 5);
    assert_int_equal(list.n_files, 1);
    assert_int_equal(list.files[0].n, 5);
    assert_null(list.files[0].key_path);
    for (size_t i = 0; i < 5; i++) {
        CLEANUP_FREE char *expected = xasprintf("CN=client-%zu, ", 5 - i);
        cert_describe(list.certs[i], text, sizeof text);
        assert_true(str_has_prefix(text, expected));
        assert_true(pem_matches(list.certs[i]->chain[0], list.certs[i]->key));
        assert_int_equal(list.certs[i]->n_chain, 2);
        write_certs(kit, "leaf.pem", list.certs[i]->chain, 1);
        write_certs(kit, "above.pem", list.certs[i]->chain + 1, 1);
        assert_true(der_parse(list.certs[i]->chain[0], &leaf) &&
                    der_parse(list.certs[i]->chain[1], &above));
        assert_int_equal(kit_shell("cd %s && openssl verify -partial_chain -trusted above.pem "
                                   "leaf.pem >out 2>&1",
                                   kit->dir),
                         0);
    }
    cert_list_free(&list);
    write_bundle(kit, "extra.pem", 3, true);
    assert_int_equal(load_files(kit, "extra.pem", &list), 0);
    expect_mistake(kit, "extra.pem holds a private key that belongs to none of its certificates");
    assert_int_equal(
        kit_shell("cd %s && awk '/BEGIN PRIVATE/ && !n {n = 1; skip = 1} !skip {print} "
                  "/END PRIVATE/ {skip = 0}' bundle.pem >less.pem",
                  kit->dir),
        0);
    assert_int_equal(load_files(kit, "less.pem", &list), 0);
    expect_mistake(kit, "less.pem holds a certificate without its private key (CN=client-5, ");
}

/* Sorting is not quadratic: a thousand pairs in a moment, even with the sanitizers. */
static void large_bundles_load(void **state)
{
    struct kit *kit = *state;
    struct cert_list list;
    write_bundle(kit, "bundle.pem", 1000, false);
    assert_int_equal(load_files(kit, "bundle.pem", &list), 1000);
    assert_true(pem_matches(list.certs[999]->chain[0], list.certs[999]->key));
    assert_int_equal(list.certs[999]->n, 1000);
    cert_list_free(&list);
}

/* One client with its key and its CA, as files for OpenSSL's command. */
static void write_one(const struct kit *kit, enum key_type type)
{
    CRYPTO_BUFFER *root;
    struct cert_issuer *issuer = ca_new(NULL, "CN=root", cert_key_new(KEY_ECDSA_P256),
                                        (int64_t)mono_wall_s() + DAY_S, &root);
    struct plan_cert section = section_of(type);
    struct cert *cert = cert_mint(issuer, &section, 1, "run", NULL);
    write_certs(kit, "ca.pem", &root, 1);
    write_certs(kit, "c.pem", cert->chain, 1);
    write_key(kit, "plain.key", cert->key);
    cert_free(cert);
    cert_issuer_free(issuer);
}

static void encrypted_keys_are_opened(void **state)
{
    struct kit *kit = *state;
    struct cert_list list;
    static const char *const ways[] = {
        "openssl pkcs8 -topk8 -v2 aes-256-cbc -in plain.key",
        "openssl pkcs8 -topk8 -v2 aes-128-cbc -v2prf hmacWithSHA256 -in plain.key",
        "openssl pkcs8 -topk8 -v2 des3 -v2prf hmacWithSHA1 -in plain.key",
        "openssl pkcs8 -topk8 -v1 PBE-SHA1-3DES -in plain.key",
        "openssl ec -aes256 -in plain.key",
    };
    write_one(kit, KEY_ECDSA_P256);
    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
        assert_int_equal(
            kit_shell("cd %s && %s -passout pass:secret -out c.key 2>/dev/null", kit->dir, ways[i]),
            0);
        if (load_with(kit, "files", "c.pem", "secret", &list) != 1) {
            fail_msg("%s: %s", ways[i], diag_text(kit->diag, diag_count(kit->diag) - 1));
        }
        cert_list_free(&list);
        assert_int_equal(load_with(kit, "files", "c.pem", "other", &list), 0);
        expect_mistake(kit, "cert.ini:8: cert.password: wrong passphrase for ");
        expect_mistake(kit, "/c.key");
        assert_int_equal(load_files(kit, "c.pem", &list), 0);
        expect_mistake(kit, "cert.ini:7: cert.path: ");
        expect_mistake(kit, "is protected by a passphrase and none was given");
    }
    assert_int_equal(kit_shell("cd %s && openssl pkcs8 -topk8 -scrypt -in plain.key -passout "
                               "pass:secret -out c.key",
                               kit->dir),
                     0);
    assert_int_equal(load_with(kit, "files", "c.pem", "secret", &list), 0);
    expect_mistake(kit, "c.key the private key is encrypted by a method that is not known here");
}

static void pkcs12_is_opened(void **state)
{
    struct kit *kit = *state;
    struct cert_list list;
    static const char *const ways[] = {"", "-legacy",
                                       "-keypbe PBE-SHA1-3DES -certpbe PBE-SHA1-3DES",
                                       "-macalg sha384", "-keypbe AES-128-CBC -certpbe NONE"};
    write_one(kit, KEY_ECDSA_P256);
    assert_int_equal(kit_shell("mkdir %s/d", kit->dir), 0);
    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
        assert_int_equal(kit_shell("cd %s && openssl pkcs12 -export %s -in c.pem -inkey plain.key "
                                   "-certfile ca.pem -passout pass:secret -out d/c.p12 2>out",
                                   kit->dir, ways[i]),
                         0);
        if (load_with(kit, "pkcs12", "d/c.p12", "secret", &list) != 1) {
            fail_msg("%s: %s", ways[i], diag_text(kit->diag, diag_count(kit->diag) - 1));
        }
        assert_int_equal(list.certs[0]->n_chain, 2);
        assert_true(pem_matches(list.certs[0]->chain[0], list.certs[0]->key));
        cert_list_free(&list);
        assert_int_equal(load_with(kit, "pkcs12", "d/c.p12", "Secret", &list), 0);
        expect_mistake(kit, "cert.ini:8: cert.password: wrong passphrase for ");
        expect_mistake(kit, "/d/c.p12");
    }
    assert_int_equal(kit_shell("cd %s && openssl pkcs12 -export -in c.pem -inkey plain.key "
                               "-passout pass: -out d/e.pfx && cp d/e.pfx empty.p12",
                               kit->dir),
                     0);
    assert_int_equal(load_with(kit, "pkcs12", "empty.p12", NULL, &list), 1);
    cert_list_free(&list);
    assert_int_equal(load_with(kit, "pkcs12", "d", "secret", &list), 0);
    expect_mistake(kit, "wrong passphrase for ");
    assert_int_equal(kit_shell("cp %s/d/c.p12 %s/d/e.pfx", kit->dir, kit->dir), 0);
    assert_int_equal(load_with(kit, "pkcs12", "d", "secret", &list), 2);
    cert_list_free(&list);
    assert_int_equal(load_with(kit, "pkcs12", "ca.pem", "secret", &list), 0);
    expect_mistake(kit, "ca.pem is not PKCS #12, or broken");
    assert_int_equal(kit_shell("cd %s && openssl pkcs12 -export -nokeys -in ca.pem -passout "
                               "pass:secret -out n.p12",
                               kit->dir),
                     0);
    assert_int_equal(load_with(kit, "pkcs12", "n.p12", "secret", &list), 0);
    expect_mistake(kit, "n.p12 has no private key");
}

/* What we write, OpenSSL opens without its legacy algorithms. */
static void pkcs12_is_written(void **state)
{
    struct kit *kit = *state;
    CRYPTO_BUFFER *root;
    struct cert_issuer *issuer = ca_new(NULL, "CN=root", cert_key_new(KEY_ECDSA_P256),
                                        (int64_t)mono_wall_s() + DAY_S, &root);
    struct plan_cert section = section_of(KEY_ED25519);
    struct cert *cert = cert_mint(issuer, &section, 1, "run", NULL);
    CRYPTO_BUFFER *chain[] = {cert->chain[0], root};
    CLEANUP_FREE char *path = kit_path(kit, "c.p12");
    struct cert_list list;
    size_t len;
    unsigned char *bytes = cert_pkcs12_new(cert->key, chain, 2, "secret", &len);
    assert_true(file_write(path, bytes, len, 0600));
    free(bytes);
    assert_int_equal(kit_shell("cd %s && openssl pkcs12 -in c.p12 -passin pass:secret -noenc >out "
                               "2>&1",
                               kit->dir),
                     0);
    expect_out(kit, "CN = client-1");
    expect_out(kit, "CN = root");
    expect_out(kit, "BEGIN PRIVATE KEY");
    assert_int_equal(load_with(kit, "pkcs12", "c.p12", "secret", &list), 1);
    assert_int_equal(EVP_PKEY_cmp(list.certs[0]->key, cert->key), 1);
    cert_list_free(&list);
    cert_free(cert);
    cert_issuer_free(issuer);
}

/* A file that changed gives the same numbers; one that is half written is refused with a reason. */
static void changed_files_are_read_again(void **state)
{
    struct kit *kit = *state;
    struct cert_list list;
    unsigned char old[32], new[32];
    char error[DER_ERROR];
    struct plan_cert section = {.source = CERT_FILES};
    assert_int_equal(kit_shell("mkdir %s/d", kit->dir), 0);
    write_bundle(kit, "d/a.pem", 2, false);
    write_bundle(kit, "d/b.pem", 3, false);
    assert_int_equal(load_files(kit, "d", &list), 5);
    assert_int_equal(list.n_files, 2);
    assert_int_equal(list.files[1].first, 2);
    assert_int_equal(list.files[1].n, 3);
    cert_thumbprint(list.certs[2], old);
    write_bundle(kit, "d/b.pem", 3, false);
    struct cert **again = cert_file_reload(&list.files[1], &section, error);
    assert_non_null(again);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(again[i]->n, 3 + i);
    }
    cert_thumbprint(again[0], new);
    assert_memory_not_equal(old, new, 32);
    for (size_t i = 0; i < 3; i++) {
        cert_free(again[i]);
    }
    free(again);
    write_bundle(kit, "d/b.pem", 2, false);
    assert_null(cert_file_reload(&list.files[1], &section, error));
    assert_non_null(strstr(error, "d/b.pem: holds 2 certificates with keys where there were 3"));
    assert_int_equal(kit_shell("cd %s/d && head -c 1000 b.pem >c && mv c b.pem", kit->dir), 0);
    assert_null(cert_file_reload(&list.files[1], &section, error));
    assert_non_null(strstr(error, "d/b.pem: "));
    cert_list_free(&list);
}

/* x5t#S256 is the hash that OpenSSL shows as the fingerprint. */
static void thumbprints_are_openssls(void **state)
{
    struct kit *kit = *state;
    struct cert_list list;
    unsigned char thumbprint[32];
    char hex[65];
    write_one(kit, KEY_ECDSA_P256);
    assert_int_equal(kit_shell("cd %s && cat plain.key >>c.pem && openssl x509 -in c.pem -noout "
                               "-fingerprint -sha256 | tr -d : | tr A-F a-f >out",
                               kit->dir),
                     0);
    assert_int_equal(load_files(kit, "c.pem", &list), 1);
    cert_thumbprint(list.certs[0], thumbprint);
    crypt_hex(hex, thumbprint, sizeof thumbprint);
    expect_out(kit, hex);
    cert_list_free(&list);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(files_are_loaded_by_name, kit_set_up, kit_tear_down),
        cmocka_unit_test_setup_teardown(expired_files_are_mistakes, kit_set_up, kit_tear_down),
        cmocka_unit_test_setup_teardown(bundles_are_sorted_out, kit_set_up, kit_tear_down),
        cmocka_unit_test_setup_teardown(large_bundles_load, kit_set_up, kit_tear_down),
        cmocka_unit_test_setup_teardown(encrypted_keys_are_opened, kit_set_up, kit_tear_down),
        cmocka_unit_test_setup_teardown(pkcs12_is_opened, kit_set_up, kit_tear_down),
        cmocka_unit_test_setup_teardown(pkcs12_is_written, kit_set_up, kit_tear_down),
        cmocka_unit_test_setup_teardown(changed_files_are_read_again, kit_set_up, kit_tear_down),
        cmocka_unit_test_setup_teardown(thumbprints_are_openssls, kit_set_up, kit_tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
