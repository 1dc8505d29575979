#include "ident/pki.h"

#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "ident_kit.h"

#include <cmocka.h>

static struct pki_request request_of(const char *dir, enum key_type type)
{
    return (struct pki_request){.dir = dir,
                                .server_names = "localhost, 127.0.0.1,::1",
                                .key_type = type,
                                .days = 30,
                                .n_clients = 2,
                                .bad = true};
}

/* OpenSSL's verdict on a certificate under the CA that was made. */
static int verify(const struct kit *kit, const char *purpose, const char *file)
{
    return kit_shell("cd %s/pki && openssl verify -x509_strict -purpose %s -CAfile ca.pem "
                     "-untrusted intermediate.pem %s >../out 2>&1",
                     kit->dir, purpose, file);
}

static bool out_holds(const struct kit *kit, const char *text)
{
    CLEANUP_FREE char *path = kit_path(kit, "out");
    CLEANUP_FREE char *out = file_read(path, 65536, NULL);
    assert_non_null(out);
    return strstr(out, text) != NULL;
}

static unsigned mode_of(const struct kit *kit, const char *name)
{
    struct stat status;
    CLEANUP_FREE char *path = kit_path(kit, name);
    assert_int_equal(stat(path, &status), 0);
    return status.st_mode & 0777;
}

static void expect_bad(const struct kit *kit, const char *file, const char *why)
{
    assert_int_not_equal(verify(kit, "sslclient", file), 0);
    if (!out_holds(kit, why)) {
        fail_msg("%s is not refused with \"%s\"", file, why);
    }
    const char *name = strrchr(file, ' ') != NULL ? strrchr(file, ' ') + 1 : file;
    assert_int_equal(kit_shell("cd %s/pki && openssl pkey -in %s -noout 2>../out", kit->dir, name),
                     0);
}

static void everything_is_there(void **state)
{
    struct kit *kit = *state;
    CLEANUP_FREE char *dir = kit_path(kit, "pki");
    const enum key_type types[] = {KEY_ECDSA_P256, KEY_ECDSA_P384, KEY_RSA_2048, KEY_ED25519};
    for (size_t i = 0; i < 4; i++) {
        struct pki_request request = request_of(dir, types[i]);
        assert_int_equal(kit_shell("rm -rf %s", dir), 0);
        assert_true(pki_make(&request, kit->diag));
        assert_int_equal(verify(kit, "sslserver", "server.pem"), 0);
        assert_int_equal(verify(kit, "sslserver", "-verify_ip 127.0.0.1 server.pem"), 0);
        assert_int_equal(verify(kit, "sslserver", "-verify_ip ::1 server.pem"), 0);
        assert_int_equal(verify(kit, "sslserver", "-verify_hostname localhost server.pem"), 0);
        assert_int_not_equal(verify(kit, "sslclient", "server.pem"), 0);
        assert_int_equal(
            kit_shell("cd %s && cat server.pem server.key | cmp - server-all.pem", dir), 0);
        assert_int_equal(verify(kit, "sslclient", "clients/client-1.pem clients/client-2.pem"), 0);
        expect_bad(kit, "bad/expired.pem", "certificate has expired");
        expect_bad(kit, "bad/not-yet-valid.pem", "certificate is not yet valid");
        expect_bad(kit, "bad/unknown-ca.pem", "unable to get local issuer certificate");
        expect_bad(kit, "bad/wrong-usage.pem", "certificate purpose");
        expect_bad(kit, "bad/self-signed.pem", "self-signed certificate");
        assert_int_equal(verify(kit, "sslclient", "bad/revoked.pem bad/wrong-key.pem"), 0);
        expect_bad(kit, "-CRLfile crl.pem -crl_check bad/revoked.pem", "certificate revoked");
        assert_int_equal(
            verify(kit, "sslclient", "-CRLfile crl.pem -crl_check clients/client-1.pem"), 0);
        assert_int_equal(
            verify(kit, "sslclient", "-CRLfile crl.pem -crl_check_all bad/via-intermediate.pem"),
            0);
        assert_int_not_equal(verify(kit, "sslclient", "-verify_depth 0 bad/via-intermediate.pem"),
                             0);
        assert_int_equal(kit_shell("cd %s/bad && test $(grep -c 'BEGIN CERT' via-intermediate.pem) "
                                   "= 2",
                                   dir),
                         0);
        assert_int_equal(kit_shell("cd %s/bad && openssl x509 -in wrong-key.pem -noout -pubkey >a "
                                   "&& openssl pkey -in wrong-key.pem -pubout >b && ! cmp -s a b",
                                   dir),
                         0);
    }
    assert_int_equal(mode_of(kit, "pki/ca.key"), 0600);
    assert_int_equal(mode_of(kit, "pki/server.key"), 0600);
    assert_int_equal(mode_of(kit, "pki/server-all.pem"), 0600);
    assert_int_equal(mode_of(kit, "pki/clients/client-1.pem"), 0600);
    assert_int_equal(mode_of(kit, "pki/bad/expired.pem"), 0600);
    assert_int_equal(mode_of(kit, "pki/jwt.secret"), 0600);
    assert_int_equal(mode_of(kit, "pki/apikey.secret"), 0600);
}

/* RFC 5280 section 5: both CAs' lists, signed, dated, numbered, the second empty. */
static void lists_are_whole(void **state)
{
    struct kit *kit = *state;
    CLEANUP_FREE char *dir = kit_path(kit, "pki");
    struct pki_request request = request_of(dir, KEY_ECDSA_P256);
    assert_true(pki_make(&request, kit->diag));
    for (int i = 0; i < 2; i++) {
        const char *ca = i == 0 ? "ca" : "intermediate";
        assert_int_equal(kit_shell("cd %s && awk '/BEGIN/ {i++} i == %d' crl.pem >one.pem && "
                                   "openssl crl -in one.pem -noout -text -CAfile %s.pem -verify "
                                   ">../out 2>&1",
                                   dir, i + 1, ca),
                         0);
        assert_true(out_holds(kit, "verify OK"));
        assert_true(out_holds(kit, "Version 2 (0x1)"));
        assert_true(out_holds(kit, "X509v3 CRL Number"));
        assert_true(out_holds(kit, "X509v3 Authority Key Identifier"));
        assert_int_equal(out_holds(kit, "No Revoked Certificates"), i == 1);
    }
    assert_int_equal(kit_shell("cd %s && cp crl.pem crl.old", dir), 0);
    request.bad = false; /* what was revoked stays revoked */
    assert_true(pki_make(&request, kit->diag));
    assert_int_equal(kit_shell("cd %s && cmp crl.pem crl.old", dir), 0);
    assert_int_equal(kit_shell("rm -r %s", dir), 0);
    assert_true(pki_make(&request, kit->diag));
    assert_int_equal(kit_shell("cd %s && openssl crl -in crl.pem -noout -text >../out", dir), 0);
    assert_true(out_holds(kit, "No Revoked Certificates"));
}

static void token_keys_belong_together(void **state)
{
    struct kit *kit = *state;
    CLEANUP_FREE char *dir = kit_path(kit, "pki");
    struct pki_request request = request_of(dir, KEY_ED25519);
    assert_true(pki_make(&request, kit->diag));
    assert_int_equal(kit_shell("cd %s && openssl pkey -in jwt.key -pubout | cmp - jwt.pub && "
                               "openssl pkey -pubin -in jwt.pub -noout -text >../out",
                               dir),
                     0);
    assert_true(out_holds(kit, "prime256v1"));
    assert_int_equal(mode_of(kit, "pki/jwt.key"), 0600);
}

static void clients_come_as_pkcs12(void **state)
{
    struct kit *kit = *state;
    CLEANUP_FREE char *dir = kit_path(kit, "pki");
    struct pki_request request = request_of(dir, KEY_ECDSA_P256);
    request.pkcs12_password = "a secret";
    assert_true(pki_make(&request, kit->diag));
    assert_int_equal(mode_of(kit, "pki/clients/client-2.p12"), 0600);
    assert_int_equal(kit_shell("cd %s/clients && openssl pkcs12 -in client-2.p12 -passin "
                               "'pass:a secret' -noenc -nokeys | openssl x509 >a && openssl x509 "
                               "-in client-2.pem | cmp - a && openssl pkcs12 -in client-2.p12 "
                               "-passin 'pass:a secret' -noenc -nocerts | openssl pkey >a && "
                               "openssl pkey -in client-2.pem | cmp - a",
                               dir),
                     0);
}

static void secrets_are_random_hex(void **state)
{
    struct kit *kit = *state;
    CLEANUP_FREE char *dir = kit_path(kit, "pki");
    struct pki_request request = request_of(dir, KEY_ECDSA_P256);
    assert_true(pki_make(&request, kit->diag));
    CLEANUP_FREE char *jwt_path = kit_path(kit, "pki/jwt.secret");
    CLEANUP_FREE char *apikey_path = kit_path(kit, "pki/apikey.secret");
    CLEANUP_FREE char *jwt = file_read(jwt_path, 1000, NULL);
    CLEANUP_FREE char *apikey = file_read(apikey_path, 1000, NULL);
    assert_int_equal(strspn(jwt, "0123456789abcdef"), 64);
    assert_string_equal(jwt + 64, "\n");
    assert_string_not_equal(jwt, apikey);
}

static void an_existing_ca_is_used_again(void **state)
{
    struct kit *kit = *state;
    CLEANUP_FREE char *dir = kit_path(kit, "pki");
    struct pki_request request = request_of(dir, KEY_ECDSA_P256);
    assert_true(pki_make(&request, kit->diag));
    assert_int_equal(kit_shell("cp -r %s %s-old", dir, dir), 0);
    assert_true(pki_make(&request, kit->diag));
    assert_int_equal(
        kit_shell("cd %s && for f in ca.pem intermediate.pem jwt.secret jwt.key jwt.pub; "
                  "do cmp $f ../pki-old/$f || exit 1; done",
                  dir),
        0);
    assert_int_equal(verify(kit, "sslclient", "clients/client-1.pem"), 0);
    assert_int_not_equal(kit_shell("cmp -s %s/server.pem %s-old/server.pem", dir, dir), 0);

    assert_int_equal(kit_shell("cp %s/server.key %s/ca.key", dir, dir), 0);
    assert_false(pki_make(&request, kit->diag));
    assert_non_null(strstr(diag_text(kit->diag, 0), "do not belong together"));
}

static void wrong_requests_are_mistakes(void **state)
{
    struct kit *kit = *state;
    CLEANUP_FREE char *dir = kit_path(kit, "pki");
    struct pki_request request = request_of(dir, KEY_ECDSA_P256);
    request.server_names = " , ";
    assert_false(pki_make(&request, kit->diag));
    request.server_names = "a b";
    assert_false(pki_make(&request, kit->diag));
    request = request_of("/proc/nowhere", KEY_ECDSA_P256);
    assert_false(pki_make(&request, kit->diag));
    assert_int_equal(diag_count(kit->diag), 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(everything_is_there, kit_set_up, kit_tear_down),
        cmocka_unit_test_setup_teardown(lists_are_whole, kit_set_up, kit_tear_down),
        cmocka_unit_test_setup_teardown(token_keys_belong_together, kit_set_up, kit_tear_down),
        cmocka_unit_test_setup_teardown(clients_come_as_pkcs12, kit_set_up, kit_tear_down),
        cmocka_unit_test_setup_teardown(secrets_are_random_hex, kit_set_up, kit_tear_down),
        cmocka_unit_test_setup_teardown(an_existing_ca_is_used_again, kit_set_up, kit_tear_down),
        cmocka_unit_test_setup_teardown(wrong_requests_are_mistakes, kit_set_up, kit_tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
