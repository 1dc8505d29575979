#include "load/backlog.h"
#include "load/request.h"

#include "base/mem.h"
#include "net/conn.h"
#include "profile/store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static char get[] = "GET", post[] = "POST", head[] = "HEAD", path[] = "/a?b=c", body[] = "x=1";
static char host[] = "example.test:8443", url_path[] = "/index", key_header[] = "X-API-Key";
static char jwt_header[] = "Authorization", scheme[] = "Bearer";
static struct plan_header headers[] = {{.name = (char[]){"Accept"}, .value = (char[]){"*/*"}},
                                       {.name = (char[]){"host"}, .value = (char[]){"other.test"}}};
static struct plan_request requests[] = {
    {.method = get, .weight = 6},
    {.method = post, .path = path, .body = body, .body_len = 3, .weight = 3, .expect_status = 201},
    {.method = head, .headers = headers, .n_headers = 2, .weight = 1},
};
static struct plan_apikey apikey = {.header = key_header};
static struct plan_jwt jwt = {.header = jwt_header, .scheme = scheme};

static struct plan_apikey in_query = {.query = (char[]){"api_key"}};
static struct plan_apikey with_scheme = {.header = jwt_header, .scheme = (char[]){"ApiKey"}};
static struct plan_identity identities[] = {
    {.with_apikey = &apikey, .with_jwt = &jwt},
    {.with_apikey = &in_query, .with_jwt = &jwt},
    {.with_apikey = &with_scheme},
};

static struct plan plan_of(size_t n_requests)
{
    return (struct plan){.target = {.host_header = host, .url_path = url_path},
                         .identities = identities,
                         .n_identities = 3,
                         .requests = requests,
                         .n_requests = n_requests};
}

static void check_head(const struct request_set *set, size_t identity, size_t i,
                       struct credential *const held[CREDENTIAL_PARTS], const char *expected)
{
    size_t size = request_size(set, identity, &set->requests[i], held);
    CLEANUP_FREE char *text = xcalloc(size + 1, 1);
    assert_in_range(request_write(set, identity, &set->requests[i], held, text), size - 2, size);
    assert_string_equal(text, expected);
}

static void heads_to_the_byte(void **state)
{
    (void)state;
    struct plan plan = plan_of(3);
    struct request_set set;
    struct credential key = {.text = (char[]){"k1"}, .text_len = 2};
    struct credential token = {.text = (char[]){"a.b.c"}, .text_len = 5};
    struct credential *both[CREDENTIAL_PARTS] = {NULL, &key, &token};
    struct credential *none[CREDENTIAL_PARTS] = {NULL, NULL, NULL};
    request_set_init(&set, &plan, NULL);
    check_head(
        &set, 0, 0, both,
        "GET /index HTTP/1.1\r\nHost: example.test:8443\r\nUser-Agent: tlsoak/" TLSOAK_VERSION
        "\r\nX-API-Key: k1\r\nAuthorization: Bearer a.b.c\r\n\r\n");
    check_head(&set, 0, 1, none,
               "POST /a?b=c HTTP/1.1\r\nHost: example.test:8443\r\nUser-Agent: "
               "tlsoak/" TLSOAK_VERSION "\r\nContent-Length: 3\r\n\r\n");
    check_head(&set, 0, 2, none,
               "HEAD /index HTTP/1.1\r\nUser-Agent: tlsoak/" TLSOAK_VERSION
               "\r\nAccept: */*\r\nhost: other.test\r\n\r\n");
    assert_int_equal(set.requests[1].body_len, 3);
    assert_true(set.requests[0].idempotent);
    assert_false(set.requests[1].idempotent);
    assert_true(set.requests[2].head_request);
    request_set_clear(&set);
}

/* The operator of the server can tell whose load it is, unless the profile says otherwise. */
static void heads_name_the_run(void **state)
{
    (void)state;
    struct plan plan = plan_of(2);
    struct request_set set;
    struct credential *none[CREDENTIAL_PARTS] = {NULL, NULL, NULL};
    struct plan_header own[] = {{.name = (char[]){"tlsoak-run"}, .value = (char[]){"mine"}},
                                {.name = (char[]){"user-agent"}, .value = (char[]){"me/1"}}};
    plan.requests[1].headers = own;
    plan.requests[1].n_headers = 2;
    request_set_init(&set, &plan, "20261120-101500-beef");
    check_head(
        &set, 0, 0, none,
        "GET /index HTTP/1.1\r\nHost: example.test:8443\r\nUser-Agent: tlsoak/" TLSOAK_VERSION
        "\r\nTlsoak-Run: 20261120-101500-beef\r\n\r\n");
    check_head(&set, 0, 1, none,
               "POST /a?b=c HTTP/1.1\r\nHost: example.test:8443\r\ntlsoak-run: mine\r\n"
               "user-agent: me/1\r\nContent-Length: 3\r\n\r\n");
    request_set_clear(&set);
    plan.requests[1].headers = NULL;
    plan.requests[1].n_headers = 0;
}

/* The profile's bytes, with the client's credentials where their names stand. */
static void raw_bytes_with_credentials(void **state)
{
    static char send[] = "A {apikey}\0{jwt}{apikey}\r\n";
    (void)state;
    struct plan plan = plan_of(1);
    struct plan_request raw[] = {
        {.weight = 1,
         .send = send,
         .send_len = sizeof send - 1,
         .places = {{2, 8, false}, {11, 5, true}, {16, 8, false}},
         .n_places = 3,
         .expect_until = (char[]){"aab"},
         .expect_until_len = 3},
        {.weight = 1},
    };
    struct request_set set;
    struct conn_request made;
    char to[64];
    struct credential key = {.text = (char[]){"key-17"}, .text_len = 6};
    struct credential token = {.text = (char[]){"t"}, .text_len = 1};
    struct credential *both[CREDENTIAL_PARTS] = {NULL, &key, &token};
    static const char expected[] = "A key-17\0tkey-17\r\n";
    plan.target.raw = true;
    plan.requests = raw;
    plan.n_requests = 2;
    plan.store = store_new();
    request_set_init(&set, &plan, "a run");
    assert_in_range(request_size(&set, 0, &set.requests[0], both), sizeof expected - 1, sizeof to);
    request_make(&set, 0, &set.requests[0], both, false, to, &made);
    assert_int_equal(made.head_len, sizeof expected - 1);
    assert_memory_equal(made.head, expected, made.head_len);
    assert_int_equal(made.reply->kind, RAW_UNTIL);
    assert_true(made.secret);
    assert_false(set.requests[0].idempotent);
    request_make(&set, 0, &set.requests[1], both, false, to, &made);
    assert_int_equal(made.head_len, 0);
    assert_int_equal(made.reply->kind, RAW_NOTHING);
    assert_false(made.secret);
    assert_true(request_expects(&set.requests[0], 0));
    request_set_clear(&set);
    store_free(plan.store);
}

/* Each identity carries its key in its own way. */
static void keys_where_they_belong(void **state)
{
    (void)state;
    struct plan plan = plan_of(3);
    struct request_set set;
    struct credential key = {.text = (char[]){"k%2F1"}, .text_len = 5};
    struct credential token = {.text = (char[]){"a.b.c"}, .text_len = 5};
    struct credential *both[CREDENTIAL_PARTS] = {NULL, &key, &token};
    struct credential *alone[CREDENTIAL_PARTS] = {NULL, &key, NULL};
    request_set_init(&set, &plan, NULL);
    check_head(&set, 1, 0, both,
               "GET /index?api_key=k%2F1 HTTP/1.1\r\nHost: example.test:8443\r\nUser-Agent: "
               "tlsoak/" TLSOAK_VERSION "\r\nAuthorization: Bearer a.b.c\r\n\r\n");
    check_head(&set, 1, 1, alone,
               "POST /a?b=c&api_key=k%2F1 HTTP/1.1\r\nHost: example.test:8443\r\nUser-Agent: "
               "tlsoak/" TLSOAK_VERSION "\r\nContent-Length: 3\r\n\r\n");
    check_head(&set, 2, 0, alone,
               "GET /index HTTP/1.1\r\nHost: example.test:8443\r\nUser-Agent: "
               "tlsoak/" TLSOAK_VERSION "\r\nAuthorization: ApiKey k%2F1\r\n\r\n");
    request_set_clear(&set);
}

static void expected_status(void **state)
{
    (void)state;
    struct plan plan = plan_of(2);
    struct request_set set;
    request_set_init(&set, &plan, NULL);
    assert_true(request_expects(&set.requests[0], 200));
    assert_true(request_expects(&set.requests[0], 299));
    assert_false(request_expects(&set.requests[0], 301));
    assert_false(request_expects(&set.requests[0], 199));
    assert_true(request_expects(&set.requests[1], 201));
    assert_false(request_expects(&set.requests[1], 200));
    request_set_clear(&set);
}

static void picked_by_weight(void **state)
{
    (void)state;
    struct plan plan = plan_of(3);
    struct request_set set;
    struct rng rng;
    int n[3] = {0};
    request_set_init(&set, &plan, NULL);
    rng_init(&rng, 1, "request", 0);
    for (int i = 0; i < 100000; i++) {
        n[request_pick(&set, &rng) - set.requests]++;
    }
    assert_in_range(n[0], 59000, 61000);
    assert_in_range(n[1], 29000, 31000);
    assert_in_range(n[2], 9000, 11000);
    request_set_clear(&set);
}

static void backlog_keeps_order_and_bound(void **state)
{
    (void)state;
    struct backlog backlog;
    uint64_t in = 0, out = 0;
    backlog_init(&backlog, 1000);
    /* Wraps around many times while it grows. */
    for (int round = 0; round < 200; round++) {
        for (int i = 0; i < 50 && backlog_push(&backlog, in); i++) {
            in++;
        }
        for (int i = 0; i < 45; i++, out++) {
            assert_int_equal(backlog_first(&backlog), out);
            backlog_pop(&backlog);
        }
    }
    assert_int_equal(backlog.n, in - out);
    while (backlog_push(&backlog, in)) {
        in++;
    }
    assert_int_equal(backlog.n, 1000);
    assert_true(backlog.room <= 1000);
    for (; backlog.n > 0; out++) {
        assert_int_equal(backlog_first(&backlog), out);
        backlog_pop(&backlog);
    }
    assert_int_equal(in, out);
    backlog_clear(&backlog);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(heads_to_the_byte),
        cmocka_unit_test(heads_name_the_run),
        cmocka_unit_test(raw_bytes_with_credentials),
        cmocka_unit_test(keys_where_they_belong),
        cmocka_unit_test(expected_status),
        cmocka_unit_test(picked_by_weight),
        cmocka_unit_test(backlog_keeps_order_and_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
