/* What a profile may ask of TLS beside the handshake: updates of the keys, staples, groups. */
#include "base/mono.h"
#include "net/tls_speed.h"
#include "net/tls_staple.h"
#include "tls_kit.h"

#include <openssl/bytestring.h>

#define PIECE 3000

/* Of the server's thread, read when it has ended. */
static int n_updates; /* KeyUpdate messages that came from the client */
static int asks;      /* SSL_KEY_UPDATE_* of the server's own */

static void count_messages(int is_write, int version, int type, const void *bytes, size_t len,
                           SSL *ssl, void *arg)
{
    (void)version, (void)ssl, (void)arg;
    n_updates += !is_write && type == SSL3_RT_HANDSHAKE && len > 0 &&
                 ((const uint8_t *)bytes)[0] == SSL3_MT_KEY_UPDATE;
}

static void counts_updates(SSL_CTX *ctx)
{
    SSL_CTX_set_msg_callback(ctx, count_messages);
}

/* In the middle of the answer, twice. */
static void updates_keys(SSL *ssl)
{
    char piece[PIECE];

    memset(piece, 'x', sizeof piece);
    for (int i = 0; i < 3; i++) {
        server_say(ssl, piece, sizeof piece);
        if (i < 2) {
            BUG_ON(SSL_key_update(ssl, asks) != 1);
        }
    }
}

/* Three exchanges on one connection; how many updates the client began. */
static uint64_t exchange_thrice(struct fixture *f, struct script script, size_t len)
{
    struct diag *diag = diag_new();
    struct tls_client *client = tls_client_new(&f->plan, &f->plan.target, diag);
    struct server server;
    uint64_t n;

    n_updates = 0;
    script.act = ACT_SERVE;
    script.own = &f->server;
    script.prepare = counts_updates;
    server_start(&server, script);
    int fd = connect_to(&server);
    struct tls *tls = handshake(client, fd);
    for (int i = 0; i < 3; i++) {
        write_request(tls);
        read_all(tls, fd, len);
    }
    n = tls_client_key_updates(client);
    assert_int_equal(tls_client_key_updates(client), 0);
    tls_close(tls);
    (void)close(fd);
    server_stop(&server);
    tls_client_free(client);
    diag_free(diag);
    return n;
}

/* Asked for its own, the client answers before it says more; not asked, it does not. */
static void test_the_server_updates_keys(void **state)
{
    struct script script = {.version = TLS1_3_VERSION, .answer = updates_keys};

    asks = SSL_KEY_UPDATE_NOT_REQUESTED;
    assert_int_equal(exchange_thrice(*state, script, 3 * PIECE), 0);
    assert_int_equal(n_updates, 0);
    asks = SSL_KEY_UPDATE_REQUESTED;
    assert_int_equal(exchange_thrice(*state, script, 3 * PIECE), 0);
    assert_in_range(n_updates, 2, 4); /* one answer may do for two (RFC 8446, section 4.6.3) */
}

static void test_the_client_updates_keys(void **state)
{
    struct fixture *f = *state;
    struct script script = {.version = TLS1_3_VERSION, .reply = "x"};

    f->plan.target.key_update_bytes = 1; /* with each request but the first */
    assert_int_equal(exchange_thrice(f, script, 1), 2);
    assert_int_equal(n_updates, 2);
    f->plan.target.key_update_bytes = 25; /* 18 + 1 + 18 */
    assert_int_equal(exchange_thrice(f, script, 1), 1);
    assert_int_equal(n_updates, 1);
    f->plan.target.key_update_bytes = 0;
    assert_int_equal(exchange_thrice(f, script, 1), 0);
    assert_int_equal(n_updates, 0);
    f->plan.target.key_update_bytes = 1;
    script.version = TLS1_2_VERSION; /* has none */
    assert_int_equal(exchange_thrice(f, script, 1), 0);
    assert_int_equal(n_updates, 0);
}

/* Staples. */

/* An OCSPResponse (RFC 6960, section 4.2.1) about the only certificate, whose status has this tag.
 * Nobody signed it: it is shown, not believed. */
static size_t make_ocsp(uint8_t ocsp[256], unsigned status_tag)
{
    static const char produced[] = "20261121080500Z", until[] = "20261128090600Z";
    const unsigned explicit = CBS_ASN1_CONSTRUCTED | CBS_ASN1_CONTEXT_SPECIFIC;
    CBB all, answer, part, bytes, oid, octets, basic, data, field, list, single, item, next, time;
    size_t len;

    BUG_ON(!CBB_init_fixed(&all, ocsp, 256) || !CBB_add_asn1(&all, &answer, CBS_ASN1_SEQUENCE) ||
           !CBB_add_asn1(&answer, &part, CBS_ASN1_ENUMERATED) || !CBB_add_u8(&part, 0) ||
           !CBB_add_asn1(&answer, &part, explicit) ||
           !CBB_add_asn1(&part, &bytes, CBS_ASN1_SEQUENCE) ||
           !CBB_add_asn1(&bytes, &oid, CBS_ASN1_OBJECT) || !CBB_add_u8(&oid, 42) ||
           !CBB_add_asn1(&bytes, &octets, CBS_ASN1_OCTETSTRING) ||
           !CBB_add_asn1(&octets, &basic, CBS_ASN1_SEQUENCE) ||
           !CBB_add_asn1(&basic, &data, CBS_ASN1_SEQUENCE) ||
           !CBB_add_asn1(&data, &field, explicit | 2) || !CBB_add_u8(&field, 0) ||
           !CBB_add_asn1(&data, &field, CBS_ASN1_GENERALIZEDTIME) ||
           !CBB_add_bytes(&field, (const uint8_t *)produced, strlen(produced)) ||
           !CBB_add_asn1(&data, &list, CBS_ASN1_SEQUENCE) ||
           !CBB_add_asn1(&list, &single, CBS_ASN1_SEQUENCE) ||
           !CBB_add_asn1(&single, &item, CBS_ASN1_SEQUENCE) || !CBB_add_u16(&item, 0x0500) ||
           !CBB_add_asn1(&single, &item, status_tag) ||
           !CBB_add_asn1(&single, &item, CBS_ASN1_GENERALIZEDTIME) ||
           !CBB_add_bytes(&item, (const uint8_t *)produced, strlen(produced)) ||
           !CBB_add_asn1(&single, &next, explicit) ||
           !CBB_add_asn1(&next, &time, CBS_ASN1_GENERALIZEDTIME) ||
           !CBB_add_bytes(&time, (const uint8_t *)until, strlen(until)) ||
           !CBB_finish(&all, NULL, &len));
    return len;
}

static const unsigned GOOD = CBS_ASN1_CONTEXT_SPECIFIC;

static void test_the_status_is_read(void **state)
{
    const unsigned tags[] = {GOOD, GOOD | CBS_ASN1_CONSTRUCTED | 1, GOOD | 2};
    static const char *const words[] = {"good", "revoked", "unknown"};
    uint8_t ocsp[256];
    char text[STAPLE_TEXT], wanted[STAPLE_TEXT];

    (void)state;
    for (int i = 0; i < 3; i++) {
        size_t len = make_ocsp(ocsp, tags[i]);

        (void)snprintf(wanted, sizeof wanted, "%s, from 2026-11-21 08:05 to 2026-11-28 09:06 UTC",
                       words[i]);
        staple_status(ocsp, len, text);
        assert_string_equal(text, wanted);
        for (size_t cut = 0; cut < len; cut++) { /* never reads beyond */
            CLEANUP_FREE uint8_t *part = xmalloc(cut + 1);

            memcpy(part, ocsp, cut);
            staple_status(part, cut, text);
            assert_string_equal(text, "not an OCSP response that can be read");
        }
    }
    staple_status((const uint8_t *)"\x30\x03\x0a\x01\x03", 5, text);
    assert_string_equal(text, "no status: tryLater");
}

static const uint8_t scts[] = {0, 8, 0, 2, 1, 2, 0, 2, 3, 4};

static void staples(SSL_CTX *ctx)
{
    uint8_t ocsp[256];

    BUG_ON(SSL_CTX_set_ocsp_response(ctx, ocsp, make_ocsp(ocsp, GOOD)) != 1);
    BUG_ON(SSL_CTX_set_signed_cert_timestamp_list(ctx, scts, sizeof scts) != 1);
}

/* What a person is shown of the server, with the facts. */
static struct sink *meet(struct fixture *f, struct script script, struct tls_facts *ret_facts)
{
    struct diag *diag = diag_new();
    struct tls_client *client = tls_client_new(&f->plan, &f->plan.target, diag);
    struct sink *shown = sink_new();
    struct server server;

    script.act = ACT_CLOSE_IDLE;
    script.own = &f->server;
    server_start(&server, script);
    int fd = connect_to(&server);
    struct tls *tls = handshake(client, fd);
    tls_facts(tls, ret_facts);
    tls_describe_chain(tls, shown);
    tls_close(tls);
    (void)close(fd);
    server_stop(&server);
    tls_client_free(client);
    diag_free(diag);
    return shown;
}

static void test_staples(void **state)
{
    static const uint16_t versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
    struct fixture *f = *state;
    struct tls_facts facts;

    for (int asked = 0; asked < 2; asked++) {
        f->plan.target.ocsp = f->plan.target.sct = asked == 1;
        for (int i = 0; i < 2; i++) {
            struct script script = {.version = versions[i], .prepare = staples};
            struct sink *shown = meet(f, script, &facts);
            const char *text = sink_text(shown, NULL);

            assert_int_equal(facts.n_scts, asked ? 2 : 0);
            assert_int_equal(facts.ocsp_bytes > 80, asked);
            assert_int_equal(strstr(text, "bytes: good, from 2026-11-21 08:05") != NULL, asked);
            assert_int_equal(strstr(text, "timestamps: 2 in 10 bytes") != NULL, asked);
            sink_free(shown);
        }
    }
    struct sink *none = meet(f, (struct script){.version = TLS1_3_VERSION}, &facts);
    assert_int_equal(facts.ocsp_bytes + facts.n_scts, 0);
    assert_non_null(strstr(sink_text(none, NULL), "* no stapled OCSP response, though asked for"));
    assert_non_null(strstr(sink_text(none, NULL), "* no certificate timestamps, though"));
    sink_free(none);
}

/* Names. */

static void expect_mistake(const struct fixture *f, const char *part)
{
    struct diag *diag = diag_new();
    CLEANUP_FREE char *text = NULL;
    size_t len = 0;
    FILE *file = open_memstream(&text, &len);

    assert_null(tls_client_new(&f->plan, &f->plan.target, diag));
    assert_int_equal(diag_count(diag), 1);
    diag_print(diag, file);
    assert_int_equal(fclose(file), 0);
    if (strstr(text, part) == NULL) {
        fail_msg("%s does not say: %s", text, part);
    }
    diag_free(diag);
}

/* The word at fault is named, and what there is instead. */
static void test_unknown_names(void **state)
{
    static char groups[] = "X25519:X25519Kyber1024:P-256", kept[] = "X25519:P-256";
    static char cipher[] = "ECDHE-RSA-AES128-GCM-SHA256:!NO-SUCH",
                of_13[] = "TLS_AES_128_GCM_SHA256";
    struct fixture *f = *state;

    f->plan.target.groups = groups;
    expect_mistake(f, "target.groups: \"X25519Kyber1024\" is not in this BoringSSL (API ");
    expect_mistake(f, "X25519, P-256, P-384");
    f->plan.target.groups = kept;
    f->plan.target.ciphers = cipher;
    expect_mistake(f, "target.ciphers: \"NO-SUCH\" is not in this BoringSSL (API ");
    expect_mistake(f, "ECDHE-ECDSA-AES128-GCM-SHA256, ");
    f->plan.target.ciphers = of_13;
    expect_mistake(f, "\"TLS_AES_128_GCM_SHA256\" is of TLS 1.3");
}

static const char *only_group;

static void takes_one_group(SSL_CTX *ctx)
{
    BUG_ON(SSL_CTX_set1_curves_list(ctx, only_group) != 1);
}

/* A post-quantum group is used where there is one, and named as missing where not. */
static void test_post_quantum(void **state)
{
    static char names[3][24] = {"X25519MLKEM768", "X25519Kyber768Draft00", "CECPQ2"};
    struct fixture *f = *state;
    SSL_CTX *ctx = SSL_CTX_new(TLS_method());

    for (int i = 0; i < 3; i++) {
        CLEANUP_FREE char *missing = xasprintf("target.groups: \"%s\" is not in this", names[i]);

        f->plan.target.groups = names[i];
        if (SSL_CTX_set1_curves_list(ctx, names[i]) == 1) {
            struct tls_facts facts;

            only_group = names[i];
            sink_free(meet(
                f, (struct script){.version = TLS1_3_VERSION, .prepare = takes_one_group}, &facts));
            assert_string_equal(facts.group, names[i]);
        } else {
            expect_mistake(f, missing);
        }
    }
    SSL_CTX_free(ctx);
}

/* The self-test finds a sound library, and counts. */
static void test_speed(void **state)
{
    struct tls_speed speed = {0, 0};

    (void)state;
    assert_true(tls_speed(&speed));
    assert_true(speed.signs_per_s >= 1);
    assert_true(speed.verifies_per_s >= 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_the_server_updates_keys, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_the_client_updates_keys, set_up, tear_down),
        cmocka_unit_test(test_the_status_is_read),
        cmocka_unit_test_setup_teardown(test_staples, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_unknown_names, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_post_quantum, set_up, tear_down),
        cmocka_unit_test(test_speed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
