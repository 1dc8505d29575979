#include "ident_cert_kit.h"

/* What a section asks for is in the certificate, and it verifies: usages, serial, a chain of CAs
 * made for the run, the CA's own chain. */

struct issue {
    struct plan plan;
    struct plan_cert section;
    char *ca, *ca_key, *chain;
};

static void issue_init(struct issue *issue, const struct kit *kit)
{
    *issue = (struct issue){.section = section_of(KEY_ECDSA_P256),
                            .ca = kit_path(kit, "ca.pem"),
                            .ca_key = kit_path(kit, "ca.key"),
                            .chain = kit_path(kit, "chain.pem")};
    issue->section.ca = issue->ca;
    issue->section.ca_key = issue->ca_key;
}

static void issue_free(struct issue *issue)
{
    free(issue->ca);
    free(issue->ca_key);
    free(issue->chain);
}

/* Writes a root as ca.pem with its key; the caller frees it. */
static struct cert_issuer *write_root(const struct kit *kit, enum key_type type)
{
    CRYPTO_BUFFER *root;
    EVP_PKEY *key = cert_key_new(type);
    struct cert_issuer *issuer =
        ca_new(NULL, "CN=root", key, (int64_t)mono_wall_s() + 100 * DAY_S, &root);
    write_certs(kit, "ca.pem", &root, 1);
    write_certs(kit, "root.pem", &root, 1);
    write_key(kit, "ca.key", key);
    return issuer;
}

static struct cert *mint_one(const struct kit *kit, const struct issue *issue, uint64_t n)
{
    struct cert_issuer *issuer = cert_issuer_load(&issue->plan, &issue->section, "run", kit->diag);
    if (issuer == NULL) {
        fail_msg("%s", diag_text(kit->diag, 0));
    }
    struct cert *cert = cert_mint(issuer, &issue->section, n, "run", NULL);
    cert_issuer_free(issuer);
    write_certs(kit, "leaf.pem", cert->chain, 1);
    write_certs(kit, "above.pem", cert->chain, cert->n_chain);
    return cert;
}

static int verify(const struct kit *kit, const char *options)
{
    return kit_shell(
        "cd %s && openssl verify -x509_strict %s -CAfile root.pem -untrusted above.pem "
        "leaf.pem >out 2>&1",
        kit->dir, options);
}

static void show(const struct kit *kit)
{
    assert_int_equal(kit_shell("cd %s && openssl x509 -in leaf.pem -noout -text >out", kit->dir),
                     0);
}

static void usages_are_written(void **state)
{
    struct kit *kit = *state;
    struct issue issue;
    static char many[] = "digitalSignature, keyEncipherment,keyAgreement, clientAuth, "
                         "emailProtection, any";
    static char only_key[] = "keyAgreement", only_extended[] = "clientAuth", wrong[] = "clientauth";
    cert_issuer_free(write_root(kit, KEY_ECDSA_P256));
    issue_init(&issue, kit);
    issue.section.key_usage = many;
    struct cert *cert = mint_one(kit, &issue, 1);
    /* BIT STRING of one byte, its last three bits unused (X.690 section 11.2.2) */
    assert_non_null(memmem(CRYPTO_BUFFER_data(cert->chain[0]), CRYPTO_BUFFER_len(cert->chain[0]),
                           "\x03\x02\x03\xa8", 4));
    cert_free(cert);
    assert_int_equal(verify(kit, "-purpose sslclient"), 0);
    show(kit);
    expect_out(kit, "Digital Signature, Key Encipherment, Key Agreement\n");
    expect_out(kit, "TLS Web Client Authentication, E-mail Protection, Any Extended Key Usage\n");
    issue.section.key_usage = only_key;
    cert_free(mint_one(kit, &issue, 1));
    show(kit);
    expect_out(kit, "                Key Agreement\n");
    assert_false(out_holds(kit, "Extended Key Usage"));
    issue.section.key_usage = only_extended;
    cert_free(mint_one(kit, &issue, 1));
    show(kit);
    assert_false(out_holds(kit, "X509v3 Key Usage"));
    issue.section.key_usage = wrong;
    assert_null(cert_issuer_load(&issue.plan, &issue.section, "run", kit->diag));
    expect_mistake(kit, "cert.key_usage: \"clientauth\" is not a key usage");
    issue_free(&issue);
}

static void expect_serial(const struct kit *kit, const char *template, uint64_t n,
                          const char *shown)
{
    struct issue issue;
    CLEANUP_FREE char *serial = xstrdup(template);
    CLEANUP_FREE char *line = xasprintf("serial=%s\n", shown);
    issue_init(&issue, kit);
    issue.section.serial = serial;
    issue.section.count = n;
    cert_free(mint_one(kit, &issue, n));
    assert_int_equal(verify(kit, "-purpose sslclient"), 0);
    assert_int_equal(kit_shell("cd %s && openssl x509 -in leaf.pem -noout -serial >out", kit->dir),
                     0);
    expect_out(kit, line);
    issue_free(&issue);
}

static void expect_no_serial(const struct kit *kit, const char *template, uint64_t count,
                             enum pick pick, const char *mistake)
{
    struct issue issue;
    CLEANUP_FREE char *serial = xstrdup(template);
    issue_init(&issue, kit);
    issue.section.serial = serial;
    issue.section.count = count;
    issue.section.pick = pick;
    assert_null(cert_issuer_load(&issue.plan, &issue.section, "run", kit->diag));
    expect_mistake(kit, mistake);
    issue_free(&issue);
}

static void serials_follow_their_template(void **state)
{
    struct kit *kit = *state;
    const char *no_number = "is not a positive number of up to 20 bytes";
    cert_issuer_free(write_root(kit, KEY_ECDSA_P256));
    expect_serial(kit, "{n}", 7, "07");
    expect_serial(kit, "{n}", 200, "C8"); /* a leading zero byte in DER */
    expect_serial(kit, "10{n}", 24, "0400");
    expect_serial(kit, "0x10{n}", 24, "1024");
    expect_serial(kit, "0x7fffffffffffffffffffffffffffffffffffff{n}", 99,
                  "7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF99");
    expect_no_serial(kit, "0xff{n}fffffffffffffffffffffffffffffffffffff", 9, PICK_SEQUENTIAL,
                     no_number);
    expect_no_serial(kit, "0x7fffffffffffffffffffffffffffffffffffff{n}", 100, PICK_SEQUENTIAL,
                     no_number);
    expect_no_serial(kit, "0x7fffffffffffffffffffffffffffffff{n}", 1, PICK_FRESH, no_number);
    expect_no_serial(kit, "-{n}", 9, PICK_SEQUENTIAL, no_number);
    expect_no_serial(kit, "c{n}", 9, PICK_SEQUENTIAL, no_number);
    expect_no_serial(kit, "0", 1, PICK_SEQUENTIAL, no_number);
    expect_no_serial(kit, "{m}", 1, PICK_SEQUENTIAL, "unknown field {m}");
    expect_no_serial(kit, "17", 2, PICK_SEQUENTIAL, "all certificates would have the same");
    expect_no_serial(kit, "17", 1, PICK_FRESH, "all certificates would have the same");
    expect_serial(kit, "17", 1, "11");
}

/* Numbers of an identity that is refused too, and of one without end, go on. */
static void templates_hold_for_the_greatest_number(void **state)
{
    struct kit *kit = *state;
    static char san[] = "IP:10.0.0.{n}", serial[] = "0x7fffffffffffffffffffffffffffffffffffff{n}";
    struct issue issue;
    struct plan_identity identity = {.bound = true, .with_cert = &issue.section};
    struct plan_refuse refuse = {.base = &identity};
    const char *no_address = "cert.san: \"IP:10.0.0.256\" is not DNS:name";
    cert_issuer_free(write_root(kit, KEY_ECDSA_P256));
    issue_init(&issue, kit);
    issue.section.san = san;
    issue.section.count = 255;
    cert_free(mint_one(kit, &issue, 255));
    issue.section.count = 256;
    assert_null(cert_issuer_load(&issue.plan, &issue.section, "run", kit->diag));
    expect_mistake(kit, no_address);
    issue.section.count = 9;
    issue.section.pick = PICK_FRESH;
    assert_null(cert_issuer_load(&issue.plan, &issue.section, "run", kit->diag));
    expect_mistake(kit, "cert.san: \"IP:10.0.0.18446744073709551615\"");
    issue.section.pick = PICK_SEQUENTIAL;
    issue.plan.refuses = &refuse;
    issue.plan.n_refuses = 1;
    assert_null(cert_issuer_load(&issue.plan, &issue.section, "run", kit->diag));
    expect_mistake(kit, "cert.san: \"IP:10.0.0.18446744073709551615\"");
    issue.section.san = NULL;
    issue.section.serial = serial;
    assert_null(cert_issuer_load(&issue.plan, &issue.section, "run", kit->diag));
    expect_mistake(kit, "is not a positive number of up to 20 bytes");
    issue_free(&issue);
}

static void intermediates_are_made(void **state)
{
    struct kit *kit = *state;
    static char subject[] = "CN=between-{n}-{run}";
    const enum key_type types[] = {KEY_ECDSA_P256, KEY_ECDSA_P384, KEY_RSA_2048, KEY_ED25519};
    for (size_t i = 0; i < 4; i++) {
        struct issue issue;
        char name[64];
        cert_issuer_free(write_root(kit, types[i]));
        issue_init(&issue, kit);
        issue.section.intermediates = 3;
        issue.section.intermediate_subject = subject;
        struct cert *cert = mint_one(kit, &issue, 1);
        assert_int_equal(cert->n_chain, 4);
        for (size_t k = 1; k < 4; k++) { /* leaf, the lowest, up to the one below the root */
            struct der_parts parts;
            CLEANUP_FREE char *expected = xasprintf("CN=between-%zu-run", 4 - k);
            assert_true(der_parse(cert->chain[k], &parts));
            der_name_text(parts.subject, name, sizeof name);
            assert_string_equal(name, expected);
        }
        cert_free(cert);
        assert_int_equal(verify(kit, "-purpose sslclient"), 0);
        issue_free(&issue);
    }
}

/* A CA that allows none below it is a mistake, not a run in which every handshake fails. */
static void path_lengths_are_respected(void **state)
{
    struct kit *kit = *state;
    struct issue issue;
    static char subject[] = "CN=between-{n}";
    uint8_t serial[20];
    size_t serial_len;
    int64_t now_s = (int64_t)mono_wall_s();
    EVP_PKEY *key = cert_key_new(KEY_ECDSA_P256);
    cert_serial_new(serial, &serial_len);
    CRYPTO_BUFFER *ca = der_certificate(&(struct der_request){.subject = "CN=root",
                                                              .key = key,
                                                              .role = DER_CA,
                                                              .limits_path = true,
                                                              .path_len = 1,
                                                              .not_before_s = now_s - 60,
                                                              .not_after_s = now_s + DAY_S,
                                                              .serial = serial,
                                                              .serial_len = serial_len});
    write_certs(kit, "ca.pem", &ca, 1);
    write_certs(kit, "root.pem", &ca, 1);
    write_key(kit, "ca.key", key);
    issue_init(&issue, kit);
    issue.section.intermediate_subject = subject;
    issue.section.intermediates = 1;
    cert_free(mint_one(kit, &issue, 1));
    assert_int_equal(verify(kit, "-purpose sslclient"), 0);
    issue.section.intermediates = 2;
    assert_null(cert_issuer_load(&issue.plan, &issue.section, "run", kit->diag));
    expect_mistake(kit, "allows 1 below it (pathLenConstraint)");
    issue_free(&issue);
    CRYPTO_BUFFER_free(ca);
    EVP_PKEY_free(key);
}

/* The server knows the root alone; ca.pem is two below it, chain.pem holds the one between. */
static void the_chain_is_sent_along(void **state)
{
    struct kit *kit = *state;
    struct issue issue;
    CRYPTO_BUFFER *upper, *lower;
    int64_t end_s = (int64_t)mono_wall_s() + DAY_S;
    struct cert_issuer *root = write_root(kit, KEY_ECDSA_P256);
    EVP_PKEY *key = cert_key_new(KEY_ECDSA_P256);
    struct cert_issuer *above =
        ca_new(root, "CN=upper", cert_key_new(KEY_ECDSA_P256), end_s, &upper);
    struct cert_issuer *below = ca_new(above, "CN=lower", key, end_s, &lower);
    write_certs(kit, "ca.pem", &lower, 1);
    write_certs(kit, "chain.pem", &upper, 1);
    write_key(kit, "ca.key", key);
    issue_init(&issue, kit);
    cert_free(mint_one(kit, &issue, 1));
    assert_int_not_equal(verify(kit, "-purpose sslclient"), 0);
    issue.section.chain = issue.chain;
    struct cert *cert = mint_one(kit, &issue, 1);
    assert_int_equal(cert->n_chain, 3);
    cert_free(cert);
    assert_int_equal(verify(kit, "-purpose sslclient"), 0);
    write_certs(kit, "chain.pem", &lower, 0);
    assert_null(cert_issuer_load(&issue.plan, &issue.section, "run", kit->diag));
    expect_mistake(kit, "chain.pem is not PEM");
    CRYPTO_BUFFER *stranger;
    struct cert_issuer *other =
        ca_new(NULL, "CN=other", cert_key_new(KEY_ECDSA_P256), end_s, &stranger);
    write_certs(kit, "chain.pem", &stranger, 1);
    assert_null(cert_issuer_load(&issue.plan, &issue.section, "run", kit->diag));
    expect_mistake(kit, "chain.pem holds no certificate that issued the CA of cert.ca");
    issue_free(&issue);
    cert_issuer_free(other);
    cert_issuer_free(below);
    cert_issuer_free(above);
    cert_issuer_free(root);
}

static void long_rsa_keys_are_made(void **state)
{
    struct kit *kit = *state;
    struct issue issue;
    cert_issuer_free(write_root(kit, KEY_ECDSA_P256));
    issue_init(&issue, kit);
    issue.section.key_type = KEY_RSA_3072;
    cert_free(mint_one(kit, &issue, 1));
    assert_int_equal(verify(kit, "-purpose sslclient"), 0);
    show(kit);
    expect_out(kit, "(3072 bit)");
    EVP_PKEY *key = cert_key_new(KEY_RSA_4096);
    assert_int_equal(EVP_PKEY_bits(key), 4096);
    EVP_PKEY_free(key);
    issue_free(&issue);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(usages_are_written, kit_set_up, kit_tear_down),
        cmocka_unit_test_setup_teardown(serials_follow_their_template, kit_set_up, kit_tear_down),
        cmocka_unit_test_setup_teardown(templates_hold_for_the_greatest_number, kit_set_up,
                                        kit_tear_down),
        cmocka_unit_test_setup_teardown(intermediates_are_made, kit_set_up, kit_tear_down),
        cmocka_unit_test_setup_teardown(path_lengths_are_respected, kit_set_up, kit_tear_down),
        cmocka_unit_test_setup_teardown(the_chain_is_sent_along, kit_set_up, kit_tear_down),
        cmocka_unit_test_setup_teardown(long_rsa_keys_are_made, kit_set_up, kit_tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
