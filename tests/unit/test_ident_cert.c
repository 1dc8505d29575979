#include "ident/cert_one.h"

#include "ident_cert_kit.h"

/* RSA of 3,072 and 4,096 bits takes seconds to make; one of them stands for both. */
static const enum key_type types[] = {KEY_ECDSA_P256, KEY_ECDSA_P384, KEY_RSA_2048, KEY_ED25519};
#define N_TYPES ((int)(sizeof types / sizeof types[0]))

/* Every kind of CA key with every kind of client key, by OpenSSL's own strict eyes. */
static void minted_certificates_verify(void **state)
{
    struct kit *kit = *state;
    for (int ca_type = 0; ca_type < N_TYPES; ca_type++) {
        CRYPTO_BUFFER *root;
        struct cert_issuer *issuer = ca_new(NULL, "CN=root, O=test", cert_key_new(types[ca_type]),
                                            (int64_t)mono_wall_s() + 20000LL * DAY_S, &root);
        write_certs(kit, "ca.pem", &root, 1);
        for (int type = 0; type < N_TYPES; type++) {
            struct plan_cert section = section_of(types[type]);
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
    struct cert_issuer *issuer = cert_issuer_load(&plan, &section, "run", kit->diag);
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
    assert_int_equal(cert_check(&plan, &section, diag), mistake == NULL);
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
    expect_names("CN=a\xee", NULL, "\"a\xee\" is not a value of CN");
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

static void expect_no_issuer(const struct kit *kit, const char *ca, const char *ca_key,
                             const char *mistake)
{
    CLEANUP_FREE char *keys =
        xasprintf("ca = %s/%s\nca_key = %s/%s\n", kit->dir, ca, kit->dir, ca_key);
    struct plan *plan = load_plan(kit, keys);
    assert_null(cert_issuer_load(plan, &plan->certs[0], "run", kit->diag));
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

/* One that lives for seconds is made anew in time, and not again before that too nears its end. */
static void a_short_life_is_renewed_in_time(void **state)
{
    struct kit *kit = *state;
    CRYPTO_BUFFER *root;
    EVP_PKEY *key = cert_key_new(KEY_ECDSA_P256);
    int64_t now_s = (int64_t)mono_wall_s();
    struct cert_issuer *issuer = ca_new(NULL, "CN=root", key, now_s + DAY_S, &root);
    write_certs(kit, "ca.pem", &root, 1);
    write_key(kit, "ca.key", key);
    cert_issuer_free(issuer);

    struct plan plan = {.n_certs = 0};
    struct plan_cert section = section_of(KEY_ECDSA_P256);
    CLEANUP_FREE char *ca = kit_path(kit, "ca.pem");
    CLEANUP_FREE char *ca_key = kit_path(kit, "ca.key");
    section.ca = ca;
    section.ca_key = ca_key;
    section.lifetime_ns = 40 * NS_PER_S;
    section.renew_before_ns = 4 * NS_PER_S;
    struct cert_one *one = cert_one_new(&plan, &section, kit->diag);
    assert_non_null(one);
    int64_t end_s = cert_one_get(one, now_s)->not_after_s;
    unsigned char first[20], second[20];
    memcpy(first, cert_one_get(one, now_s)->serial, sizeof first);
    assert_memory_equal(cert_one_get(one, end_s - 5)->serial, first, sizeof first);
    memcpy(second, cert_one_get(one, end_s - 4)->serial, sizeof second);
    assert_memory_not_equal(second, first, sizeof first);
    assert_memory_equal(cert_one_get(one, end_s - 3)->serial, second, sizeof second);
    assert_memory_not_equal(cert_one_get(one, end_s)->serial, second, sizeof second);
    cert_one_free(one);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(minted_certificates_verify, kit_set_up, kit_tear_down),
        cmocka_unit_test_setup_teardown(names_are_written, kit_set_up, kit_tear_down),
        cmocka_unit_test_setup_teardown(intermediates_are_sent, kit_set_up, kit_tear_down),
        cmocka_unit_test_setup_teardown(times_are_64_bits, kit_set_up, kit_tear_down),
        cmocka_unit_test_setup_teardown(a_short_life_is_renewed_in_time, kit_set_up, kit_tear_down),
        cmocka_unit_test(odd_names_are_mistakes),
        cmocka_unit_test_setup_teardown(mistakes_in_a_ca_name_their_line, kit_set_up,
                                        kit_tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
