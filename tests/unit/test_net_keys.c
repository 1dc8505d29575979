/* Client certificates of every kind of key, and such as are presented with the key of another. */
#include "base/mem.h"
#include "base/mono.h"
#include "net/fetch.h"
#include "net_server.h"

#include <openssl/rsa.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static char address[] = "127.0.0.1";

static struct authority {
    struct identity ca, server;
} authority;

static int set_up(void **state)
{
    (void)state;
    authority.ca = identity_make("test CA", NULL, NULL, -DAY_S, DAY_S);
    authority.server = identity_make("server", &authority.ca, "DNS:localhost", -DAY_S, DAY_S);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    identity_free(&authority.ca);
    identity_free(&authority.server);
    return 0;
}

/* One exchange with a server that asks for a certificate of that authority. */
static struct fetch_answer exchange(const struct identity *own, const struct cert *cert,
                                    uint16_t version)
{
    static const char get[] = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
    struct plan plan = {.target = {.verify = VERIFY_NO,
                                   .tls_min = TLS_VERSION_1_2,
                                   .tls_max = TLS_VERSION_1_3,
                                   .dial_host = address,
                                   .timeout_connect_ns = 20 * NS_PER_S,
                                   .timeout_handshake_ns = 20 * NS_PER_S,
                                   .timeout_first_byte_ns = 20 * NS_PER_S}};
    struct diag *diag = diag_new();
    struct server server;
    struct fetch_answer answer;
    struct fetch *fetch;

    server_start(&server, (struct script){.act = ACT_SERVE,
                                          .reply = ORDINARY,
                                          .own = own,
                                          .client_ca = &authority.ca,
                                          .version = version,
                                          .ed25519 = EVP_PKEY_id(cert->key) == EVP_PKEY_ED25519});
    plan.target.dial_port = server.port;
    fetch = fetch_new(&plan, &plan.target, diag);
    assert_non_null(fetch);
    fetch_perform(fetch, cert, get, sizeof get - 1, NULL, 0, &answer);
    free(answer.body);
    fetch_free(fetch);
    server_stop(&server);
    diag_free(diag);
    return answer;
}

static struct fetch_answer present(const struct cert *cert, uint16_t version)
{
    return exchange(&authority.server, cert, version);
}

static void check_key(enum key_type type, uint16_t version)
{
    struct identity client =
        identity_of_key(cert_key_new(type), "client", &authority.ca, NULL, -DAY_S, DAY_S);
    struct cert cert;

    identity_to_cert(&client, &cert);
    assert_int_equal(present(&cert, version).outcome, OUTCOME_OK);
    identity_cert_free(&cert);
    identity_free(&client);
}

static void test_every_kind_of_key(void **state)
{
    (void)state;
    for (enum key_type type = KEY_ECDSA_P256; type <= KEY_ED25519; type++) {
        check_key(type, TLS1_3_VERSION);
    }
    check_key(KEY_ECDSA_P384, TLS1_2_VERSION);
    check_key(KEY_RSA_3072, TLS1_2_VERSION);
    check_key(KEY_ED25519, TLS1_2_VERSION);
}

/* A server may have any of them, too. */
static void test_every_kind_of_server_key(void **state)
{
    struct identity client = identity_make("client", &authority.ca, NULL, -DAY_S, DAY_S);
    struct cert cert;

    (void)state;
    identity_to_cert(&client, &cert);
    for (enum key_type type = KEY_ECDSA_P256; type <= KEY_ED25519; type++) {
        struct identity server = identity_of_key(cert_key_new(type), "server", &authority.ca,
                                                 "DNS:localhost", -DAY_S, DAY_S);

        assert_int_equal(exchange(&server, &cert, TLS1_3_VERSION).outcome, OUTCOME_OK);
        assert_int_equal(exchange(&server, &cert, TLS1_2_VERSION).outcome, OUTCOME_OK);
        identity_free(&server);
    }
    identity_cert_free(&cert);
    identity_free(&client);
}

/* The certificate is good: what the server refuses is the signature. */
static void check_foreign(enum key_type own, enum key_type foreign, uint16_t version)
{
    struct identity client =
        identity_of_key(cert_key_new(own), "client", &authority.ca, NULL, -DAY_S, DAY_S);
    EVP_PKEY *key = cert_key_new(foreign);
    struct fetch_answer answer;
    struct cert cert;

    identity_to_cert(&client, &cert);
    cert.key = key;
    cert.foreign_key = true;
    answer = present(&cert, version);
    assert_int_equal(answer.outcome, OUTCOME_ALERT_OTHER);
    assert_int_equal(answer.alert, SSL_AD_DECRYPT_ERROR);
    assert_int_equal(answer.status, 0);
    cert.key = client.key; /* the same way of signing with its own key is let in */
    assert_int_equal(present(&cert, version).outcome, OUTCOME_OK);
    identity_cert_free(&cert);
    identity_free(&client);
    EVP_PKEY_free(key);
}

static void test_key_of_another(void **state)
{
    (void)state;
    check_foreign(KEY_ECDSA_P256, KEY_ECDSA_P256, TLS1_3_VERSION);
    check_foreign(KEY_ECDSA_P256, KEY_ECDSA_P256, TLS1_2_VERSION);
    check_foreign(KEY_RSA_2048, KEY_RSA_2048, TLS1_3_VERSION);
    check_foreign(KEY_RSA_2048, KEY_RSA_2048, TLS1_2_VERSION);
    check_foreign(KEY_ECDSA_P256, KEY_RSA_2048, TLS1_3_VERSION);
    check_foreign(KEY_RSA_2048, KEY_ECDSA_P256, TLS1_3_VERSION);
}

/* Without the mark, the library itself finds out: no server ever sees that. */
static void test_key_of_another_by_mistake(void **state)
{
    struct identity client = identity_make("client", &authority.ca, NULL, -DAY_S, DAY_S);
    EVP_PKEY *key = identity_key();
    struct cert cert;

    (void)state;
    identity_to_cert(&client, &cert);
    cert.key = key;
    assert_int_equal(present(&cert, TLS1_3_VERSION).outcome, OUTCOME_CLIENT_ERROR);
    identity_cert_free(&cert);
    identity_free(&client);
    EVP_PKEY_free(key);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_kind_of_key),
        cmocka_unit_test(test_every_kind_of_server_key),
        cmocka_unit_test(test_key_of_another),
        cmocka_unit_test(test_key_of_another_by_mistake),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
