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
    return kit_shell("cd %s/pki && openssl verify -x509_strict -purpose %s -CAfile ca.pem %s "
                     ">../out 2>&1",
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
    assert_int_equal(kit_shell("cd %s/pki && openssl pkey -in %s -noout 2>../out", kit->dir, file),
                     0);
}

static void everything_is_there(void **state)
{
    struct kit *kit = *state;
    CLEANUP_FREE char *dir = kit_path(kit, "pki");
    for (int type = 0; type < 3; type++) {
        struct pki_request request = request_of(dir, (enum key_type)type);
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
    }
    assert_int_equal(mode_of(kit, "pki/ca.key"), 0600);
    assert_int_equal(mode_of(kit, "pki/server.key"), 0600);
    assert_int_equal(mode_of(kit, "pki/server-all.pem"), 0600);
    assert_int_equal(mode_of(kit, "pki/clients/client-1.pem"), 0600);
    assert_int_equal(mode_of(kit, "pki/bad/expired.pem"), 0600);
    assert_int_equal(mode_of(kit, "pki/jwt.secret"), 0600);
    assert_int_equal(mode_of(kit, "pki/apikey.secret"), 0600);
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
    assert_int_equal(kit_shell("cd %s && cmp ca.pem ../pki-old/ca.pem && cmp jwt.secret "
                               "../pki-old/jwt.secret",
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
        cmocka_unit_test_setup_teardown(secrets_are_random_hex, kit_set_up, kit_tear_down),
        cmocka_unit_test_setup_teardown(an_existing_ca_is_used_again, kit_set_up, kit_tear_down),
        cmocka_unit_test_setup_teardown(wrong_requests_are_mistakes, kit_set_up, kit_tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
