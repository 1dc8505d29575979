#include "ident/cert_bad.h"
#include "ident/cert_load.h"

#include "ident_cert_kit.h"

/* A CA with a CA of the run below it, and an identity whose certificates it mints. */
struct forging {
    struct plan plan;
    struct plan_cert section;
    struct plan_identity identity;
    struct plan_refuse refuse;
    struct cert_issuer *issuer;
    char *ca, *ca_key;
};

static void forging_init(struct forging *f, const struct kit *kit, uint64_t intermediates)
{
    static char subject[] = "CN=between-{n}";
    CRYPTO_BUFFER *root;
    EVP_PKEY *key = cert_key_new(KEY_ECDSA_P256);
    struct cert_issuer *issuer =
        ca_new(NULL, "CN=root", key, (int64_t)mono_wall_s() + 100 * DAY_S, &root);
    write_certs(kit, "ca.pem", &root, 1);
    write_key(kit, "ca.key", key);
    cert_issuer_free(issuer);
    *f = (struct forging){.section = section_of(KEY_ECDSA_P256),
                          .ca = kit_path(kit, "ca.pem"),
                          .ca_key = kit_path(kit, "ca.key")};
    f->section.source = CERT_MINT;
    f->section.ca = f->ca;
    f->section.ca_key = f->ca_key;
    f->section.intermediates = intermediates;
    f->section.intermediate_subject = subject;
    f->identity.with_cert = &f->section;
    f->refuse.base = &f->identity;
    f->issuer = cert_issuer_load(&f->plan, &f->section, "run", kit->diag);
    assert_non_null(f->issuer);
}

static void forging_free(struct forging *f)
{
    cert_issuer_free(f->issuer);
    free(f->ca);
    free(f->ca_key);
}

/* Writes the bad twin of client 3 as leaf.pem and above.pem; the caller frees it. */
static struct cert *forge(const struct kit *kit, struct forging *f, enum bad_cert what,
                          const struct cert_list *good)
{
    f->refuse.cert = what;
    struct cert_bad *bad =
        cert_bad_new(&f->plan, &f->refuse, good == NULL ? f->issuer : NULL, good, kit->diag);
    assert_non_null(bad);
    struct cert *first = cert_bad_make(bad, 2, "run", (int64_t)mono_wall_s());
    struct cert *cert = cert_bad_make(bad, 3, "run", (int64_t)mono_wall_s());
    assert_int_equal(cert->n, 3);
    assert_int_equal(cert->foreign_key, !pem_matches(cert->chain[0], cert->key));
    assert_int_equal(cert->foreign_key, what == BAD_CERT_WRONG_KEY);
    assert_memory_not_equal(first->serial, cert->serial, 16);
    write_certs(kit, "leaf.pem", cert->chain, 1);
    write_certs(kit, "above.pem", cert->chain, cert->n_chain);
    cert_free(first);
    cert_bad_free(bad);
    return cert;
}

static int verify(const struct kit *kit, const char *options)
{
    return kit_shell("cd %s && openssl verify -purpose sslclient %s -CAfile ca.pem -untrusted "
                     "above.pem leaf.pem >out 2>&1",
                     kit->dir, options);
}

static void each_is_refused_for_its_reason(void **state)
{
    struct kit *kit = *state;
    static const struct {
        enum bad_cert what;
        const char *why, *but; /* with this option it is good; NULL: never */
    } cases[] = {
        {BAD_CERT_EXPIRED, "certificate has expired", "-attime"},
        {BAD_CERT_NOT_YET_VALID, "certificate is not yet valid", "-attime"},
        {BAD_CERT_UNKNOWN_CA, "unable to get local issuer certificate", NULL},
        {BAD_CERT_SELF_SIGNED, "self-signed certificate", NULL},
        {BAD_CERT_WRONG_USAGE, "certificate purpose", "-purpose sslserver"},
    };
    for (uint64_t intermediates = 0; intermediates < 2; intermediates++) {
        struct forging f;
        forging_init(&f, kit, intermediates);
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
            struct cert *cert = forge(kit, &f, cases[i].what, NULL);
            assert_int_not_equal(verify(kit, ""), 0);
            expect_out(kit, cases[i].why);
            if (cases[i].but != NULL) { /* nothing else is wrong with it */
                assert_int_equal(verify(kit, str_equal(cases[i].but, "-attime") ? "-no_check_time"
                                                                                : cases[i].but),
                                 0);
            }
            assert_int_equal(
                kit_shell("cd %s && openssl x509 -in leaf.pem -noout -text >out", kit->dir), 0);
            expect_out(kit, "CN = client-3");
            expect_out(kit, "DNS:client-3.test");
            if (cases[i].what == BAD_CERT_UNKNOWN_CA) {
                expect_out(kit, "Issuer: CN = root\n");
            }
            cert_free(cert);
        }
        forging_free(&f);
    }
}

/* The times stand an hour and a day off, so that a clock that is a little wrong changes nothing. */
static void times_are_well_off(void **state)
{
    struct kit *kit = *state;
    struct forging f;
    struct der_parts parts;
    forging_init(&f, kit, 0);
    struct cert *cert = forge(kit, &f, BAD_CERT_EXPIRED, NULL);
    int64_t now_s = (int64_t)mono_wall_s();
    assert_true(cert->not_after_s <= now_s - 3600 && cert->not_after_s > now_s - 3700);
    cert_free(cert);
    cert = forge(kit, &f, BAD_CERT_NOT_YET_VALID, NULL);
    assert_true(der_parse(cert->chain[0], &parts));
    assert_true(parts.not_before_s <= now_s + DAY_S + 60 && parts.not_before_s >= now_s + DAY_S);
    cert_free(cert);
    forging_free(&f);
}

static void wrong_keys_come_with_good_certificates(void **state)
{
    struct kit *kit = *state;
    struct forging f;
    forging_init(&f, kit, 1);
    struct cert *cert = forge(kit, &f, BAD_CERT_WRONG_KEY, NULL);
    assert_int_equal(verify(kit, ""), 0);
    cert_free(cert);
    forging_free(&f);
}

/* Where certificates come from files: their names, their issuer's name, themselves. */
static void loaded_ones_have_bad_twins(void **state)
{
    struct kit *kit = *state;
    struct forging f;
    struct cert *loaded[2];
    forging_init(&f, kit, 0);
    for (uint64_t n = 0; n < 2; n++) {
        loaded[n] = cert_mint(f.issuer, &f.section, n + 1, "run", NULL);
    }
    const struct cert_list good = {.certs = loaded, .n_certs = 2};
    f.section.source = CERT_FILES;
    struct cert *cert = forge(kit, &f, BAD_CERT_WRONG_KEY, &good);
    assert_int_equal(verify(kit, ""), 0);
    assert_ptr_equal(cert->chain[0], loaded[0]->chain[0]); /* the third of two is the first */
    cert_free(cert);
    cert = forge(kit, &f, BAD_CERT_UNKNOWN_CA, &good);
    assert_int_not_equal(verify(kit, ""), 0);
    expect_out(kit, "CN = client-1");
    expect_out(kit, "unable to get local issuer certificate");
    cert_free(cert);
    cert = forge(kit, &f, BAD_CERT_SELF_SIGNED, &good);
    assert_int_not_equal(verify(kit, ""), 0);
    expect_out(kit, "self-signed certificate");
    cert_free(cert);
    f.identity.with_cert = NULL;
    f.refuse.cert = BAD_CERT_UNKNOWN_CA;
    struct cert_bad *bad = cert_bad_new(&f.plan, &f.refuse, NULL, NULL, kit->diag);
    cert = cert_bad_make(bad, 1, "run", (int64_t)mono_wall_s());
    assert_true(pem_matches(cert->chain[0], cert->key));
    cert_free(cert);
    cert_bad_free(bad);
    cert_free(loaded[0]);
    cert_free(loaded[1]);
    forging_free(&f);
}

/* What a file holds is presented whatever is wrong with it. */
static void files_are_taken_as_they_are(void **state)
{
    struct kit *kit = *state;
    struct forging f;
    CLEANUP_FREE char *path = kit_path(kit, "bad.pem");
    forging_init(&f, kit, 1);
    struct cert *old = forge(kit, &f, BAD_CERT_EXPIRED, NULL);
    EVP_PKEY *other = cert_key_new(KEY_ECDSA_P256);
    f.refuse.path = path;
    f.refuse.cert = BAD_CERT_FILE;
    for (int foreign = 0; foreign < 2; foreign++) {
        write_key(kit, "key", foreign ? other : old->key);
        assert_int_equal(kit_shell("cd %s && cat key above.pem >bad.pem", kit->dir), 0);
        struct cert_bad *bad = cert_bad_new(&f.plan, &f.refuse, NULL, NULL, kit->diag);
        assert_non_null(bad);
        struct cert *cert = cert_bad_make(bad, 5, "run", 0);
        assert_int_equal(cert->n_chain, 2);
        assert_int_equal(cert->foreign_key, foreign);
        assert_memory_equal(cert->serial, old->serial, old->serial_len);
        cert_free(cert);
        cert_bad_free(bad);
    }
    assert_int_equal(kit_shell("cp %s/leaf.pem %s", kit->dir, path), 0);
    assert_null(cert_bad_new(&f.plan, &f.refuse, NULL, NULL, kit->diag));
    expect_mistake(kit, "refuse.path: ");
    expect_mistake(kit, "bad.pem: has no private key");
    f.refuse.cert = BAD_CERT_NONE;
    assert_null(cert_bad_new(&f.plan, &f.refuse, NULL, NULL, kit->diag));
    assert_int_equal(diag_count(kit->diag), 1);
    EVP_PKEY_free(other);
    cert_free(old);
    forging_free(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(each_is_refused_for_its_reason, kit_set_up, kit_tear_down),
        cmocka_unit_test_setup_teardown(times_are_well_off, kit_set_up, kit_tear_down),
        cmocka_unit_test_setup_teardown(wrong_keys_come_with_good_certificates, kit_set_up,
                                        kit_tear_down),
        cmocka_unit_test_setup_teardown(loaded_ones_have_bad_twins, kit_set_up, kit_tear_down),
        cmocka_unit_test_setup_teardown(files_are_taken_as_they_are, kit_set_up, kit_tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
