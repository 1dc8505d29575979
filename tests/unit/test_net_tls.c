/* Below the connection: the shared read buffer and the cache of verdicts. */
#include "base/mem.h"
#include "base/mono.h"
#include "net/tls.h"
#include "net/trust.h"
#include "tls_kit.h"

#include <sys/ioctl.h>

/* One connection stops reading in the middle of what it took from its socket, and another one takes
 * the shared buffer: the first must find its ciphertext again. */
static void test_two_connections_share_the_buffer(void **state)
{
    struct fixture *f = *state;
    const size_t len = 40000;
    char *reply = xmalloc(len);
    struct script script = {.act = ACT_SERVE, .reply = reply, .reply_len = len, .own = &f->server};
    struct server servers[2];
    struct diag *diag = diag_new();
    struct tls_client *client = tls_client_new(&f->plan, &f->plan.target, diag);
    struct tls *one, *two;
    const char *data;
    int fd[2], there = 0;
    size_t n;

    memset(reply, 'x', len);
    server_start(&servers[0], script);
    server_start(&servers[1], script);
    fd[0] = connect_to(&servers[0]);
    fd[1] = connect_to(&servers[1]);
    one = handshake(client, fd[0]);
    write_request(one);
    while ((size_t)there < len) {
        wait_readable(fd[0]);
        assert_int_equal(ioctl(fd[0], FIONREAD, &there), 0);
    }
    while (tls_read(one, &data, &n) !=
           TLS_DONE) { /* its budget may still be that of the handshake */
    }
    assert_true(n < len);
    two = handshake(client, fd[1]);
    write_request(two);
    read_all(two, fd[1], len);
    read_all(one, fd[0], len - n);
    tls_shutdown(one, false);
    tls_shutdown(two, false);
    for (size_t i = 0; i < 2; i++) {
        tls_close(i == 0 ? one : two);
        (void)close(fd[i]);
        server_stop(&servers[i]);
    }
    tls_client_free(client);
    diag_free(diag);
    free(reply);
}

static STACK_OF(CRYPTO_BUFFER) * chain_of(const struct identity *identity)
{
    STACK_OF(CRYPTO_BUFFER) *chain = sk_CRYPTO_BUFFER_new_null();
    unsigned char *der = NULL;
    int len = i2d_X509(identity->cert, &der);

    assert_int_equal(sk_CRYPTO_BUFFER_push(chain, CRYPTO_BUFFER_new(der, (size_t)len, NULL)), 1);
    OPENSSL_free(der);
    return chain;
}

static void test_verdicts_live_for_a_minute(void **state)
{
    struct fixture *f = *state;
    struct diag *diag = diag_new();
    struct trust *trust = trust_new(&f->plan, &f->plan.target, diag);
    STACK_OF(CRYPTO_BUFFER) *good = chain_of(&f->server), *bad = chain_of(&f->other);
    const uint64_t t = 1000 * NS_PER_S;

    assert_int_equal(trust_verify(trust, good, t), OUTCOME_OK);
    assert_int_equal(trust_full_checks(trust), 1);
    assert_int_equal(trust_verify(trust, good, t + 59 * NS_PER_S), OUTCOME_OK);
    assert_int_equal(trust_full_checks(trust), 1);
    assert_int_equal(trust_verify(trust, good, t + 60 * NS_PER_S), OUTCOME_OK);
    assert_int_equal(trust_full_checks(trust), 2);
    assert_int_equal(trust_verify(trust, bad, t), OUTCOME_SERVER_CERT_UNTRUSTED);
    assert_int_equal(trust_verify(trust, bad, t), OUTCOME_SERVER_CERT_UNTRUSTED);
    assert_int_equal(trust_full_checks(trust), 3);
    sk_CRYPTO_BUFFER_push(good, CRYPTO_BUFFER_new((const uint8_t *)"x", 1, NULL));
    assert_int_equal(trust_verify(trust, good, t), OUTCOME_SERVER_CERT_INVALID);
    assert_int_equal(trust_full_checks(trust), 4); /* the whole chain is the key */
    sk_CRYPTO_BUFFER_pop_free(good, CRYPTO_BUFFER_free);
    sk_CRYPTO_BUFFER_pop_free(bad, CRYPTO_BUFFER_free);
    trust_free(trust);
    diag_free(diag);
}

/* A certificate that expires in ten seconds is not taken for a minute. */
static void test_a_verdict_ends_with_its_certificate(void **state)
{
    struct fixture *f = *state;
    struct diag *diag = diag_new();
    struct trust *trust = trust_new(&f->plan, &f->plan.target, diag);
    struct identity brief = identity_make("server", &f->ca, "DNS:localhost", -DAY_S, 10);
    STACK_OF(CRYPTO_BUFFER) *chain = chain_of(&brief);
    const uint64_t t = 1000 * NS_PER_S;

    assert_int_equal(trust_verify(trust, chain, t), OUTCOME_OK);
    assert_int_equal(trust_full_checks(trust), 1);
    (void)trust_verify(trust, chain, t + 11 * NS_PER_S);
    assert_int_equal(trust_full_checks(trust), 2);
    sk_CRYPTO_BUFFER_pop_free(chain, CRYPTO_BUFFER_free);
    identity_free(&brief);
    trust_free(trust);
    diag_free(diag);
}

static void test_always_means_always(void **state)
{
    struct fixture *f = *state;
    struct diag *diag = diag_new();
    struct plan plan = f->plan;
    STACK_OF(CRYPTO_BUFFER) *good = chain_of(&f->server);
    struct trust *trust;

    plan.target.verify = VERIFY_ALWAYS;
    trust = trust_new(&plan, &plan.target, diag);
    for (uint64_t i = 1; i <= 3; i++) {
        assert_int_equal(trust_verify(trust, good, 1), OUTCOME_OK);
        assert_int_equal(trust_full_checks(trust), i);
    }
    sk_CRYPTO_BUFFER_pop_free(good, CRYPTO_BUFFER_free);
    trust_free(trust);
    diag_free(diag);
}

static void test_library(void **state)
{
    (void)state;
    assert_non_null(strstr(tls_library(), "BoringSSL API "));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_two_connections_share_the_buffer, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_verdicts_live_for_a_minute, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_verdict_ends_with_its_certificate, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_always_means_always, set_up, tear_down),
        cmocka_unit_test(test_library),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
