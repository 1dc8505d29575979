/* One blocking request against a real server, and the tokens that are fetched by it. */
#include "base/mem.h"
#include "base/mono.h"
#include "net/fetch.h"
#include "net/fetch_token.h"
#include "net_server.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define SHORT_NS (100 * NS_PER_MS)
#define LONG_NS  (20 * NS_PER_S)

static char localhost[] = "localhost", address[] = "127.0.0.1", path[] = "/token?x=1";
static char host[] = "issuer.test";

struct fixture {
    struct identity ca, other_ca, server, client;
    struct cert cert;
    char ca_path[64];
    struct plan plan;
    struct plan_jwt jwt;
    struct diag *diag;
};

static int set_up(void **state)
{
    struct fixture *f = xcalloc(1, sizeof *f);
    int fd;

    f->ca = identity_make("test CA", NULL, NULL, -DAY_S, DAY_S);
    f->other_ca = identity_make("other CA", NULL, NULL, -DAY_S, DAY_S);
    f->server = identity_make("server", &f->ca, "DNS:localhost", -DAY_S, DAY_S);
    f->client = identity_make("client", &f->ca, NULL, -DAY_S, DAY_S);
    identity_to_cert(&f->client, &f->cert);
    (void)snprintf(f->ca_path, sizeof f->ca_path, "/tmp/tlsoak-net-XXXXXX");
    fd = mkstemp(f->ca_path);
    assert_true(fd >= 0);
    (void)close(fd);
    identity_save(&f->ca, f->ca_path);
    f->plan.jwts = &f->jwt;
    f->plan.n_jwts = 1;
    f->jwt.token_target = (struct plan_target){
        .verify = VERIFY_ALWAYS,
        .tls_min = TLS_VERSION_1_2,
        .tls_max = TLS_VERSION_1_3,
        .server_ca = f->ca_path,
        .verify_name = localhost,
        .server_name = localhost,
        .dial_host = address,
        .url_path = path,
        .host_header = host,
        .timeout_connect_ns = LONG_NS,
        .timeout_handshake_ns = LONG_NS,
        .timeout_first_byte_ns = LONG_NS,
        .timeout_exchange_ns = LONG_NS,
    };
    /* What is fetched from another target than the plan's must not look at the plan's. */
    f->plan.target = (struct plan_target){.server_ca = host, .tls_max = TLS_VERSION_1_3};
    f->diag = diag_new();
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    identity_free(&f->ca);
    identity_free(&f->other_ca);
    identity_free(&f->server);
    identity_free(&f->client);
    identity_cert_free(&f->cert);
    diag_free(f->diag);
    (void)unlink(f->ca_path);
    free(f);
    return 0;
}

static struct script script_of(struct fixture *f, enum act act, const char *reply)
{
    return (struct script){
        .act = act, .reply = reply, .own = &f->server, .client_ca = &f->ca, .reply_len = 0};
}

/* Sends one request to a server with that script. */
static struct fetch_answer fetch_once(struct fixture *f, struct script script,
                                      const struct cert *cert)
{
    static const char get[] = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
    struct server server;
    struct fetch_answer answer;
    struct fetch *fetch;

    server_start(&server, script);
    f->jwt.token_target.dial_port = server.port;
    fetch = fetch_new(&f->plan, &f->jwt.token_target, f->diag);
    assert_non_null(fetch);
    fetch_perform(fetch, cert, get, sizeof get - 1, NULL, 0, &answer);
    fetch_free(fetch);
    server_stop(&server);
    assert_string_equal(server.request, answer.outcome == OUTCOME_OK ? get : server.request);
    assert_int_equal(server.n_accepted, 1);
    return answer;
}

static void check_answer(struct fixture *f, const char *reply, int status, const char *body)
{
    struct fetch_answer answer = fetch_once(f, script_of(f, ACT_SERVE, reply), &f->cert);

    assert_int_equal(answer.outcome, OUTCOME_OK);
    assert_int_equal(answer.status, status);
    assert_int_equal(answer.alert, -1);
    assert_int_equal(answer.body_len, strlen(body));
    assert_string_equal(answer.body, body);
    free(answer.body);
}

static void test_status_and_body(void **state)
{
    check_answer(*state, ORDINARY, 200, "hello");
    check_answer(*state, "HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n", 403, "");
    check_answer(*state,
                 "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n"
                 "\r\n5\r\nhello\r\n7\r\n, world\r\n0\r\n\r\n",
                 200, "hello, world");
}

/* The next request of the same fetch is another connection with an answer of its own. */
static void test_one_after_another(void **state)
{
    static const char get[] = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
    struct fixture *f = *state;
    struct server server;
    struct fetch *fetch;

    server_start(&server, script_of(f, ACT_SERVE, ORDINARY));
    f->jwt.token_target.dial_port = server.port;
    fetch = fetch_new(&f->plan, &f->jwt.token_target, f->diag);
    for (int i = 0; i < 3; i++) {
        struct fetch_answer answer;

        fetch_perform(fetch, &f->cert, get, sizeof get - 1, NULL, 0, &answer);
        assert_int_equal(answer.outcome, OUTCOME_OK);
        assert_string_equal(answer.body, "hello");
        free(answer.body);
    }
    fetch_free(fetch);
    server_stop(&server);
    assert_int_equal(server.n_accepted, 3);
}

/* Of a body that is too large the first piece is there; the whole of it is still read. */
static void test_too_large(void **state)
{
    struct fixture *f = *state;
    const size_t body = FETCH_BODY_MAX + 5000;
    CLEANUP_FREE char *reply = xmalloc(body + 100);
    int head = snprintf(reply, 100, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n", body);
    struct script script = script_of(f, ACT_SERVE, reply);
    struct fetch_answer answer;

    for (size_t i = 0; i < body; i++) {
        reply[(size_t)head + i] = (char)('a' + i % 26);
    }
    script.reply_len = (size_t)head + body;
    answer = fetch_once(f, script, &f->cert);
    assert_int_equal(answer.outcome, OUTCOME_OK);
    assert_int_equal(answer.body_len, FETCH_BODY_MAX);
    assert_memory_equal(answer.body, reply + head, FETCH_BODY_MAX);
    assert_int_equal(answer.body[FETCH_BODY_MAX], '\0');
    free(answer.body);
}

static void check_failure(struct fixture *f, struct script script, const struct cert *cert,
                          enum outcome outcome, int alert)
{
    struct fetch_answer answer = fetch_once(f, script, cert);

    assert_int_equal(answer.outcome, outcome);
    assert_int_equal(answer.alert, alert);
    assert_int_equal(answer.body_len, 0);
    assert_string_equal(answer.body, "");
    free(answer.body);
}

static void test_failures(void **state)
{
    struct fixture *f = *state;
    struct plan_target *target = &f->jwt.token_target;

    check_failure(f, script_of(f, ACT_SERVE, ORDINARY), NULL, OUTCOME_ALERT_CERTIFICATE_REQUIRED,
                  SSL_AD_CERTIFICATE_REQUIRED);
    check_failure(f, script_of(f, ACT_CLOSE_IDLE, NULL), &f->cert, OUTCOME_HTTP_CLOSED, -1);
    check_failure(f,
                  script_of(f, ACT_ANSWER_CLOSE, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n1"),
                  &f->cert, OUTCOME_HTTP_TRUNCATED, -1);
    target->timeout_handshake_ns = SHORT_NS;
    check_failure(f, script_of(f, ACT_STALL_HELLO, NULL), &f->cert, OUTCOME_TIMEOUT_HANDSHAKE, -1);
    target->timeout_handshake_ns = LONG_NS;
    target->timeout_exchange_ns = SHORT_NS;
    check_failure(f, script_of(f, ACT_STALL, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n1"),
                  &f->cert, OUTCOME_TIMEOUT_EXCHANGE, -1);
    target->timeout_exchange_ns = LONG_NS;
    target->timeout_first_byte_ns = SHORT_NS;
    check_failure(f, script_of(f, ACT_STALL, NULL), &f->cert, OUTCOME_TIMEOUT_FIRST_BYTE, -1);
}

static void test_nobody_there(void **state)
{
    static const char get[] = "GET / HTTP/1.1\r\n\r\n";
    struct fixture *f = *state;
    struct fetch_answer answer;
    struct server server;
    struct fetch *fetch;

    server_start(&server, script_of(f, ACT_SERVE, ORDINARY));
    server_stop(&server);
    f->jwt.token_target.dial_port = server.port;
    fetch = fetch_new(&f->plan, &f->jwt.token_target, f->diag);
    fetch_perform(fetch, NULL, get, sizeof get - 1, NULL, 0, &answer);
    assert_int_equal(answer.outcome, OUTCOME_REFUSED);
    assert_int_equal(answer.status, 0);
    free(answer.body);
    fetch_free(fetch);
}

static void test_mistakes_name_the_option(void **state)
{
    struct fixture *f = *state;
    static char nowhere[] = "/nowhere/ca.pem";
    char *text = NULL;
    size_t len;
    FILE *file = open_memstream(&text, &len);

    f->jwt.token_ca = f->jwt.token_target.server_ca = nowhere;
    assert_null(fetch_new(&f->plan, &f->jwt.token_target, f->diag));
    diag_print(f->diag, file);
    (void)fclose(file);
    assert_non_null(strstr(text, "jwt.token_ca: cannot read /nowhere/ca.pem"));
    free(text);
}

/* Tokens. */

static bool fetch_a_token(struct fixture *f, struct server *server, const char *reply, char **ret,
                          char error[TOKEN_ERROR])
{
    static const char form[] = "grant_type=client_credentials&client_secret=s3cret";
    const struct token_fetcher *fetcher = fetch_token();
    void *endpoint;
    bool ok;

    server_start(server, script_of(f, ACT_SERVE, reply));
    f->jwt.token_target.dial_port = server->port;
    endpoint = fetcher->open(&f->plan, &f->jwt, f->diag);
    assert_non_null(endpoint);
    ok = fetcher->fetch(endpoint, &f->cert, form, sizeof form - 1, ret, error);
    fetcher->close(endpoint);
    server_stop(server);
    return ok;
}

static void test_token(void **state)
{
    struct server server;
    char error[TOKEN_ERROR] = "", *body = NULL;

    assert_true(fetch_a_token(*state, &server,
                              "HTTP/1.1 200 OK\r\nContent-Length: 24\r\n\r\n"
                              "{\"access_token\":\"a.b.c\"}",
                              &body, error));
    assert_string_equal(body, "{\"access_token\":\"a.b.c\"}");
    assert_non_null(strstr(server.request, "POST /token?x=1 HTTP/1.1\r\nHost: issuer.test\r\n"));
    assert_non_null(
        strstr(server.request, "\r\nContent-Type: application/x-www-form-urlencoded\r\n"));
    assert_non_null(strstr(server.request, "\r\nAccept: application/json\r\n"));
    assert_non_null(strstr(server.request, "\r\nContent-Length: 50\r\n"));
    assert_non_null(
        strstr(server.request, "\r\n\r\ngrant_type=client_credentials&client_secret=s3cret"));
    free(body);
}

static void test_no_token(void **state)
{
    struct server server;
    char error[TOKEN_ERROR] = "", *body = NULL;

    assert_false(fetch_a_token(*state, &server,
                               "HTTP/1.1 401 No\r\nContent-Length: 6\r\n\r\ns3cret", &body, error));
    assert_string_equal(error, "status 401");
    assert_false(fetch_a_token(*state, &server, "HTTP/1.1 204 No\r\n\r\n", &body, error));
    assert_string_equal(error, "status 204");
    assert_false(fetch_a_token(*state, &server, "what is this", &body, error));
    assert_string_equal(error, outcome_info(OUTCOME_HTTP_GARBAGE)->text);
    assert_null(body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_status_and_body, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_one_after_another, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_too_large, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_failures, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_nobody_there, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_mistakes_name_the_option, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_token, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_no_token, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
