#include "ident/cert.h"
#include "ident/cert_parts.h"
#include "ident/der.h"
#include "ident/mint.h"
#include "ident/pem.h"

#include "base/file.h"
#include "base/mem.h"
#include "base/mono.h"
#include "base/sink.h"
#include "base/str.h"
#include "profile/profile.h"

#include <openssl/evp.h>
#include <openssl/nid.h>
#include <openssl/pool.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "ident_kit.h"

#include <cmocka.h>

#define DAY_S 86400

static void write_certs(const struct kit *kit, const char *name, CRYPTO_BUFFER *const *certs,
                        size_t n)
{
    CLEANUP_FREE char *path = kit_path(kit, name);
    struct sink *sink = sink_new();
    size_t len;
    for (size_t i = 0; i < n; i++) {
        pem_write_cert(sink, certs[i]);
    }
    const char *text = sink_text(sink, &len);
    assert_true(file_write(path, text, len, 0600));
    sink_free(sink);
}

static void write_key(const struct kit *kit, const char *name, EVP_PKEY *key)
{
    CLEANUP_FREE char *path = kit_path(kit, name);
    size_t len;
    CLEANUP_FREE char *text = pem_from_key(key, &len);
    assert_true(file_write(path, text, len, 0600));
}

static EVP_PKEY *p384_key_new(void)
{
    EVP_PKEY *key = NULL;
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_id(EVP_PKEY_EC, NULL);
    assert_true(EVP_PKEY_keygen_init(context) &&
                EVP_PKEY_CTX_set_ec_paramgen_curve_nid(context, NID_secp384r1) &&
                EVP_PKEY_keygen(context, &key));
    EVP_PKEY_CTX_free(context);
    return key;
}

/* A CA below `above` (NULL: a root). */
static struct cert_issuer *ca_new(const struct cert_issuer *above, const char *subject,
                                  EVP_PKEY *key, int64_t end_s, CRYPTO_BUFFER **ret_certificate)
{
    uint8_t serial[20];
    size_t serial_len;
    int64_t now_s = (int64_t)mono_wall_s();
    cert_serial_new(serial, &serial_len);
    *ret_certificate = der_certificate(
        &(struct der_request){.issuer = above != NULL ? cert_issuer_der(above) : NULL,
                              .subject = subject,
                              .key = key,
                              .usage = DER_CA,
                              .not_before_s = now_s - DAY_S,
                              .not_after_s = end_s,
                              .serial = serial,
                              .serial_len = serial_len});
    return cert_issuer_new(*ret_certificate, key);
}

static struct plan_cert section_of(enum key_type type)
{
    static char subject[] = "CN=client-{n}, O=Acme\\, Inc., C=DE", name[] = "default";
    static char san[] = "DNS:client-{n}.test, URI:spiffe://test/client/{n},email:c{n}@a.test, "
                        "IP:10.0.0.1, IP:2001:db8::1";
    return (struct plan_cert){.name = name,
                              .key_type = type,
                              .key_per_cert = true,
                              .subject = subject,
                              .san = san,
                              .lifetime_ns = 3600 * NS_PER_S,
                              .count = 1};
}

static EVP_PKEY *ca_key_of(int i)
{
    return i == 3 ? p384_key_new() : cert_key_new((enum key_type)i);
}

/* Every kind of CA key with every kind of client key, by OpenSSL's own strict eyes. */
static void minted_certificates_verify(void **state)
{
    struct kit *kit = *state;
    for (int ca_type = 0; ca_type < 4; ca_type++) {
        CRYPTO_BUFFER *root;
        struct cert_issuer *issuer = ca_new(NULL, "CN=root, O=test", ca_key_of(ca_type),
                                            (int64_t)mono_wall_s() + 20000LL * DAY_S, &root);
        write_certs(kit, "ca.pem", &root, 1);
        for (int type = 0; type < 3; type++) {
            struct plan_cert section = section_of((enum key_type)type);
            struct cert *cert = cert_mint(issuer, &section, 7, "run", NULL);
            assert_int_equal(cert->n_chain, 1);
            assert_int_equal(cert->n, 7);
            write_certs(kit, "leaf.pem", cert->chain, 1);
            assert_int_equal(kit_shell("openssl verify -x509_strict -purpose sslclient -CAfile "
                                       "%s/ca.pem %s/leaf.pem >%s/out 2>&1",
                                       kit->dir, kit->dir, kit->dir),
                             0);
            assert_int_not_equal(kit_shell("openssl verify -x509_strict -purpose sslserver -CAfile "
                                           "%s/ca.pem %s/leaf.pem >%s/out 2>&1",
                                           kit->dir, kit->dir, kit->dir),
                                 0);
            cert_free(cert);
        }
        cert_issuer_free(issuer);
    }
}

static void names_are_written(void **state)
{
    struct kit *kit = *state;
    CRYPTO_BUFFER *root;
    char text[256];
    struct cert_issuer *issuer = ca_new(NULL, "CN=root", cert_key_new(KEY_ECDSA_P256),
                                        (int64_t)mono_wall_s() + DAY_S, &root);
    struct plan_cert section = section_of(KEY_ECDSA_P256);
    struct cert *cert = cert_mint(issuer, &section, 7, "run", NULL);
    write_certs(kit, "leaf.pem", cert->chain, 1);
    cert_describe(cert, text, sizeof text);
    assert_true(str_has_prefix(text, "CN=client-7, O=Acme, Inc., C=DE (serial "));
    assert_int_equal(cert->serial_len, 16);
    assert_int_equal(kit_shell("openssl x509 -in %s/leaf.pem -noout -subject -serial -ext "
                               "subjectAltName,keyUsage,extendedKeyUsage,basicConstraints >%s/out",
                               kit->dir, kit->dir),
                     0);
    CLEANUP_FREE char *path = kit_path(kit, "out");
    CLEANUP_FREE char *out = file_read(path, 65536, NULL);
    assert_non_null(out);
    assert_non_null(strstr(out, "subject=CN = client-7, O = \"Acme, Inc.\", C = DE"));
    assert_non_null(strstr(out, "DNS:client-7.test, URI:spiffe://test/client/7, email:c7@a.test, "
                                "IP Address:10.0.0.1, IP Address:2001:DB8:0:0:0:0:0:1"));
    assert_non_null(strstr(out, "TLS Web Client Authentication"));
    assert_non_null(strstr(out, "Digital Signature"));
    assert_non_null(strstr(out, "CA:FALSE"));
    cert_free(cert);
    cert_issuer_free(issuer);
}

/* The CA file holds the issuing CA and its root: the client sends its leaf and the intermediate. */
static void intermediates_are_sent(void **state)
{
    struct kit *kit = *state;
    int64_t end_s = (int64_t)mono_wall_s() + 1000 * DAY_S;
    CRYPTO_BUFFER *certs[2];
    EVP_PKEY *key = cert_key_new(KEY_ECDSA_P256);
    struct cert_issuer *root =
        ca_new(NULL, "CN=root", cert_key_new(KEY_RSA_2048), end_s, &certs[1]);
    struct cert_issuer *below = ca_new(root, "CN=intermediate", key, end_s, &certs[0]);
    write_certs(kit, "ca.pem", certs, 2);
    write_certs(kit, "root.pem", certs + 1, 1);
    write_key(kit, "ca.key", key);
    cert_issuer_free(below);
    cert_issuer_free(root);

    struct plan plan = {.n_certs = 0};
    struct plan_cert section = section_of(KEY_ED25519);
    CLEANUP_FREE char *ca = kit_path(kit, "ca.pem");
    CLEANUP_FREE char *ca_key = kit_path(kit, "ca.key");
    section.ca = ca;
    section.ca_key = ca_key;
    struct cert_issuer *issuer = cert_issuer_load(&plan, &section, kit->diag);
    assert_non_null(issuer);
    struct cert *cert = cert_mint(issuer, &section, 1, "run", NULL);
    assert_int_equal(cert->n_chain, 2);
    write_certs(kit, "leaf.pem", cert->chain, 1);
    write_certs(kit, "between.pem", cert->chain + 1, 1);
    assert_int_equal(
        kit_shell("openssl verify -x509_strict -purpose sslclient -CAfile %s/root.pem -untrusted "
                  "%s/between.pem %s/leaf.pem >%s/out 2>&1",
                  kit->dir, kit->dir, kit->dir, kit->dir),
        0);
    cert_free(cert);
    cert_issuer_free(issuer);
}

/* A certificate ends with its lifetime, or with its CA, past 2038 and past 2050 too. */
static void times_are_64_bits(void **state)
{
    struct kit *kit = *state;
    int64_t now_s = (int64_t)mono_wall_s();
    int64_t ca_end_s = now_s + 40000LL * DAY_S;
    CRYPTO_BUFFER *root;
    struct cert_issuer *issuer =
        ca_new(NULL, "CN=root", cert_key_new(KEY_ECDSA_P256), ca_end_s, &root);
    struct plan_cert section = section_of(KEY_ECDSA_P256);
    const int64_t days[] = {1, 6000, 12000, 36500, 80000};
    for (size_t i = 0; i < 5; i++) {
        struct der_parts parts;
        section.lifetime_ns = (uint64_t)days[i] * DAY_S * NS_PER_S;
        struct cert *cert = cert_mint_at(issuer, &section, 1, "run", NULL, now_s);
        int64_t end_s = now_s + days[i] * DAY_S;
        assert_int_equal(cert->not_after_s, end_s < ca_end_s ? end_s : ca_end_s);
        assert_true(der_parse(cert->chain[0], &parts));
        assert_int_equal(parts.not_after_s, cert->not_after_s);
        assert_int_equal(parts.not_before_s, now_s - 300);
        write_certs(kit, "leaf.pem", cert->chain, 1);
        assert_int_equal(kit_shell("openssl x509 -in %s/leaf.pem -noout -checkend %lld >%s/out",
                                   kit->dir, (long long)(cert->not_after_s - now_s - 60), kit->dir),
                         0);
        cert_free(cert);
    }
    cert_issuer_free(issuer);
}

static void expect_names(const char *subject, const char *san, const char *mistake)
{
    struct plan plan = {.n_certs = 0};
    struct diag *diag = diag_new();
    CLEANUP_FREE char *subject_text = xstrdup(subject);
    CLEANUP_FREE char *san_text = san != NULL ? xstrdup(san) : NULL;
    struct plan_cert section = {.subject = subject_text, .san = san_text};
    assert_int_equal(cert_check_names(&plan, &section, diag), mistake == NULL);
    assert_int_equal(diag_count(diag), mistake == NULL ? 0 : 1);
    if (mistake != NULL && strstr(diag_text(diag, 0), mistake) == NULL) {
        fail_msg("\"%s\" is not in \"%s\"", mistake, diag_text(diag, 0));
    }
    diag_free(diag);
}

static void odd_names_are_mistakes(void **state)
{
    (void)state;
    expect_names("CN={uuid}, UID={random}, DC=test", NULL, NULL);
    expect_names("cn=lower", "dns:a.test", NULL);
    expect_names("", NULL, "the subject is empty");
    expect_names("client", NULL, "\"client\" is not TYPE=value");
    expect_names("CM=client", NULL, "unknown attribute \"CM\"");
    expect_names("CN=", NULL, "is not a value of CN");
    expect_names("CN=a, C=Germany", NULL, "is not a value of C");
    expect_names("CN=a,, O=b", NULL, "is not TYPE=value");
    expect_names("CN={m}", NULL, "unknown field {m}");
    expect_names("CN=a", "a.test", "is not DNS:name");
    expect_names("CN=a", "IP:10.0.0", "is not DNS:name");
    expect_names("CN=a", "DNS:", "is not DNS:name");
    expect_names("CN=a", "DNS:a b", "is not DNS:name");
    expect_names("CN=a", " ", "the list of names is empty");
}

static struct plan *load_plan(const struct kit *kit, const char *keys)
{
    CLEANUP_FREE char *text = xasprintf("[run]\nduration = 1m\n[target]\nurl = https://localhost:1/"
                                        "\n[cert]\n%s",
                                        keys);
    struct plan *plan = profile_load_text("cert.ini", text, NULL, 0, kit->diag);
    for (size_t i = 0; plan == NULL && i < diag_count(kit->diag); i++) {
        print_message("%s\n", diag_text(kit->diag, i));
    }
    assert_non_null(plan);
    return plan;
}

/* The last mistake is this one. */
static void expect_mistake(const struct kit *kit, const char *mistake)
{
    assert_true(diag_count(kit->diag) > 0);
    const char *text = diag_text(kit->diag, diag_count(kit->diag) - 1);
    if (strstr(text, mistake) == NULL) {
        fail_msg("\"%s\" is not in \"%s\"", mistake, text);
    }
}

static void expect_no_issuer(const struct kit *kit, const char *ca, const char *ca_key,
                             const char *mistake)
{
    CLEANUP_FREE char *keys =
        xasprintf("ca = %s/%s\nca_key = %s/%s\n", kit->dir, ca, kit->dir, ca_key);
    struct plan *plan = load_plan(kit, keys);
    struct mint *mint = mint_new(plan, 1, "run", NULL, kit->diag);
    assert_null(mint);
    expect_mistake(kit, mistake);
    plan_free(plan);
}

static void mistakes_in_a_ca_name_their_line(void **state)
{
    struct kit *kit = *state;
    int64_t now_s = (int64_t)mono_wall_s();
    CRYPTO_BUFFER *root, *old, *soon;
    EVP_PKEY *key = cert_key_new(KEY_ECDSA_P256), *other = cert_key_new(KEY_ECDSA_P256);
    struct cert_issuer *issuer = ca_new(NULL, "CN=root", key, now_s + DAY_S, &root);
    EVP_PKEY_up_ref(key);
    struct cert_issuer *old_issuer = ca_new(NULL, "CN=old", key, now_s - 60, &old);
    EVP_PKEY_up_ref(key);
    struct cert_issuer *soon_issuer = ca_new(NULL, "CN=soon", key, now_s + 30, &soon);
    struct plan_cert section = section_of(KEY_ECDSA_P256);
    struct cert *leaf = cert_mint(issuer, &section, 1, "run", key);
    write_certs(kit, "ca.pem", &root, 1);
    write_certs(kit, "old.pem", &old, 1);
    write_certs(kit, "soon.pem", &soon, 1);
    write_certs(kit, "leaf.pem", leaf->chain, 1);
    write_key(kit, "ca.key", key);
    write_key(kit, "other.key", other);
    assert_int_equal(kit_shell("cd %s && openssl pkcs8 -topk8 -in ca.key -passout pass:secret "
                               "-out locked.key && openssl ec -in ca.key -aes128 -passout "
                               "pass:secret -out old-locked.key 2>/dev/null && echo x >junk",
                               kit->dir),
                     0);
    expect_no_issuer(kit, "ca.pem", "other.key",
                     "cert.ini:7: cert.ca_key: the key does not match the certificate in ");
    expect_no_issuer(kit, "ca.pem", "locked.key", "is protected by a passphrase");
    expect_no_issuer(kit, "ca.pem", "old-locked.key", "is protected by a passphrase");
    expect_no_issuer(kit, "ca.pem", "ca.pem", "holds no private key");
    expect_no_issuer(kit, "ca.pem", "junk", "junk is not PEM");
    expect_no_issuer(kit, "ca.key", "ca.key", "cert.ini:6: cert.ca: ");
    expect_no_issuer(kit, "old.pem", "ca.key", "old.pem has expired");
    expect_no_issuer(kit, "soon.pem", "ca.key", "soon.pem expires before the run ends");
    expect_no_issuer(kit, "leaf.pem", "ca.key", "leaf.pem is not a CA certificate");
    cert_free(leaf);
    cert_issuer_free(issuer);
    cert_issuer_free(old_issuer);
    cert_issuer_free(soon_issuer);
    EVP_PKEY_free(other);
}

static size_t load_files(const struct kit *kit, const char *name, struct cert ***ret_certs)
{
    CLEANUP_FREE char *keys = xasprintf("source = files\npath = %s/%s\n", kit->dir, name);
    struct plan *plan = load_plan(kit, keys);
    size_t n = cert_load_files(plan, &plan->certs[0], ret_certs, kit->diag);
    plan_free(plan);
    return n;
}

static void free_certs(struct cert **certs, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        cert_free(certs[i]);
    }
    free(certs);
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
    struct cert **certs = NULL;
    char text[256];
    struct cert_issuer *issuer = ca_new(NULL, "CN=root", cert_key_new(KEY_ECDSA_P256),
                                        (int64_t)mono_wall_s() + DAY_S, &root);
    write_clients(kit, issuer);
    size_t n = load_files(kit, "d", &certs);
    assert_int_equal(n, 10);
    for (size_t i = 0; i < n; i++) {
        CLEANUP_FREE char *expected = xasprintf("CN=client-%zu, ", i + 1);
        cert_describe(certs[i], text, sizeof text);
        assert_true(str_has_prefix(text, expected));
        assert_int_equal(certs[i]->n, i + 1);
        assert_true(certs[i]->not_after_s > (int64_t)mono_wall_s() + 3000);
    }
    free_certs(certs, n);
    n = load_files(kit, "d/c-2.crt", &certs);
    assert_int_equal(n, 1);
    free_certs(certs, n);
    assert_int_equal(diag_count(kit->diag), 0);

    assert_int_equal(kit_shell("cd %s/d && cp c-4.key c-2.key", kit->dir), 0);
    assert_int_equal(load_files(kit, "d", &certs), 0);
    expect_mistake(kit, "cert.ini:7: cert.path: ");
    expect_mistake(kit, "d/c-2.crt holds a certificate that does not match its private key");
    assert_int_equal(kit_shell("cd %s/d && rm c-2.key", kit->dir), 0);
    assert_int_equal(load_files(kit, "d", &certs), 0);
    expect_mistake(kit, "d/c-2.crt has no private key");
    assert_int_equal(kit_shell("cd %s/d && rm c-2.crt && head -c 300 c-1.pem >c-0.pem", kit->dir),
                     0);
    assert_int_equal(load_files(kit, "d", &certs), 0);
    expect_mistake(kit, "d/c-0.pem is ");
    assert_int_equal(kit_shell("mkdir %s/empty", kit->dir), 0);
    assert_int_equal(load_files(kit, "empty", &certs), 0);
    expect_mistake(kit, "empty holds no .pem or .crt file");
    cert_issuer_free(issuer);
}

static void expired_files_are_mistakes(void **state)
{
    struct kit *kit = *state;
    CRYPTO_BUFFER *root;
    struct cert **certs;
    int64_t now_s = (int64_t)mono_wall_s();
    struct cert_issuer *issuer =
        ca_new(NULL, "CN=root", cert_key_new(KEY_ECDSA_P256), now_s + DAY_S, &root);
    struct plan_cert section = section_of(KEY_ECDSA_P256);
    struct cert *cert = cert_mint_at(issuer, &section, 1, "run", NULL, now_s - 7200);
    write_certs(kit, "c.pem", cert->chain, 1);
    write_key(kit, "c.key", cert->key);
    assert_int_equal(load_files(kit, "c.pem", &certs), 0);
    expect_mistake(kit, "c.pem holds a certificate that has expired");
    cert_free(cert);
    cert_issuer_free(issuer);
}

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
        struct mint *mint = mint_new(plan, 1, "run", NULL, kit->diag);
        struct pool *pool = mint_pool(mint, 0, CREDENTIAL_CERT);
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
        cmocka_unit_test_setup_teardown(minted_certificates_verify, kit_set_up, kit_tear_down),
        cmocka_unit_test_setup_teardown(names_are_written, kit_set_up, kit_tear_down),
        cmocka_unit_test_setup_teardown(intermediates_are_sent, kit_set_up, kit_tear_down),
        cmocka_unit_test_setup_teardown(times_are_64_bits, kit_set_up, kit_tear_down),
        cmocka_unit_test(odd_names_are_mistakes),
        cmocka_unit_test_setup_teardown(mistakes_in_a_ca_name_their_line, kit_set_up,
                                        kit_tear_down),
        cmocka_unit_test_setup_teardown(files_are_loaded_by_name, kit_set_up, kit_tear_down),
        cmocka_unit_test_setup_teardown(expired_files_are_mistakes, kit_set_up, kit_tear_down),
        cmocka_unit_test_setup_teardown(pools_hold_certificates, kit_set_up, kit_tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
