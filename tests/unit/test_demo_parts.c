/* The embedded server's parts: exact accounts, bounds, and a request parser that nothing upsets. */
#include "base/mem.h"
#include "demo/cache.h"
#include "demo/leak.h"
#include "demo/request.h"
#include "demo/seen.h"
#include "demo/slab.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void test_fractions_of_a_chunk_add_up(void **state)
{
    (void)state;
    struct serve_options options = {.leak[DRIVER_REQUEST] = 0.25, .leak[DRIVER_TIME] = 100};
    struct leak *leak = leak_new(&options);
    for (int i = 0; i < 4000; i++) {
        leak_event(leak, DRIVER_REQUEST);
        leak_event(leak, DRIVER_JWT);
    }
    assert_in_range(leak_ledger(leak)->bytes, 1000 - 32, 1000);
    for (int i = 1; i <= 50; i++) {
        leak_tick(leak, i * 0.1);
    }
    assert_in_range(leak_ledger(leak)->bytes, 1500 - 64, 1500);
    leak_free(leak);
}

static void test_nothing_leaks_before_late(void **state)
{
    (void)state;
    struct serve_options options = {
        .leak[DRIVER_REQUEST] = 64, .leak[DRIVER_TIME] = 1600, .late_s = 3};
    struct leak *leak = leak_new(&options);
    leak_tick(leak, 2.9);
    leak_event(leak, DRIVER_REQUEST);
    assert_int_equal(leak_ledger(leak)->bytes, 0);
    leak_tick(leak, 4);
    assert_in_range(leak_ledger(leak)->bytes, 1600 - 32, 1600);
    leak_event(leak, DRIVER_REQUEST);
    assert_in_range(leak_ledger(leak)->bytes, 1664 - 32, 1664);
    leak_free(leak);
}

static void test_cache_drops_the_least_recently_used(void **state)
{
    (void)state;
    struct ledger ledger = {0};
    struct cache *cache = cache_new(3, 100, &ledger);
    const uint64_t all[] = {1, 2, 3};
    for (size_t i = 0; i < 3; i++) {
        cache_touch(cache, all[i], (double)i);
    }
    uint64_t three = ledger.bytes;
    cache_touch(cache, 1, 3);
    /* Drops 2; so 2 and then 3 are made anew, and 1 never. */
    cache_touch(cache, 4, 4);
    assert_int_equal(ledger.entries, 3);
    assert_int_equal(ledger.bytes, three);
    cache_expire(cache, 3);
    assert_int_equal(ledger.entries, 2);
    cache_expire(cache, 4);
    assert_int_equal(ledger.entries, 1);
    cache_free(cache);
    assert_int_equal(ledger.entries, 0);
    assert_int_equal(ledger.bytes, 0);
}

static void test_seen_is_bounded(void **state)
{
    (void)state;
    struct seen *seen = seen_new(4);
    uint64_t a = seen_fingerprint(DRIVER_JWT, "x", 1);
    assert_int_not_equal(a, seen_fingerprint(DRIVER_API_KEY, "x", 1));
    assert_true(seen_first(seen, a));
    assert_false(seen_first(seen, a));
    for (uint64_t i = 0; i < 11; i++) {
        assert_false(seen_full(seen));
        assert_true(seen_first(seen, 16 * (i + 1)));
    }
    assert_true(seen_full(seen));
    assert_false(seen_first(seen, 7));
    assert_false(seen_first(seen, a));
    seen_free(seen);
}

static void count_piece(void *piece, void *n)
{
    (void)piece;
    ++*(int *)n;
}

static void test_slab_hands_out_the_last_given_back(void **state)
{
    (void)state;
    struct slab *slab = slab_new(3, 10);
    char *a = slab_take(slab), *b = slab_take(slab);
    int n = 0;
    assert_true(b - a >= 10);
    slab_put(slab, a);
    assert_ptr_equal(slab_take(slab), a);
    assert_false(slab_is_empty(slab));
    assert_non_null(slab_take(slab));
    assert_true(slab_is_empty(slab));
    slab_put(slab, b);
    slab_each(slab, count_piece, &n);
    assert_int_equal(n, 2);
    slab_free(slab);
}

struct heard {
    int n_heads;
    char key[32], token[64];
};

static bool on_head(struct request *request, void *context)
{
    struct heard *heard = context;
    heard->n_heads++;
    memcpy(heard->key, request->pocket + request->key.at, request->key.len);
    heard->key[request->key.len] = '\0';
    memcpy(heard->token, request->pocket + request->token.at, request->token.len);
    heard->token[request->token.len] = '\0';
    return true;
}

static const char post[] = "POST /body?q=1 HTTP/1.1\r\nHost: x\r\nX-api-KEY:  k.1 \t\r\n"
                           "Authorization: Bearer a.b.c\r\nTransfer-Encoding: chunked\r\n\r\n"
                           "4\r\nabcd\r\n0\r\nX-API-Key: trailer\r\n\r\n";

static void test_request_split_anywhere(void **state)
{
    (void)state;
    char pocket[REQUEST_HEAD_MAX];
    for (size_t cut = 0; cut < sizeof post - 1; cut++) {
        struct heard heard = {0};
        struct request request;
        size_t used = 0;
        request_init(&request, on_head, &heard);
        request_begin(&request, pocket);
        if (cut > 0) {
            assert_int_equal(request_feed(&request, post, cut, &used), REQUEST_MORE);
        }
        assert_int_equal(request_feed(&request, post + cut, sizeof post - 1 - cut, &used),
                         REQUEST_DONE);
        assert_int_equal(used, sizeof post - 1 - cut);
        assert_int_equal(heard.n_heads, 1);
        assert_string_equal(heard.key, "k.1");
        assert_string_equal(heard.token, "Bearer a.b.c");
        assert_true(request_is(&request, "/body"));
        assert_true(request_is_write(&request));
        assert_true(request.keep_alive);
    }
}

static enum request_step feed_whole(const char *text, size_t len)
{
    char pocket[REQUEST_HEAD_MAX];
    struct heard heard = {0};
    struct request request;
    size_t used = 0;
    request_init(&request, on_head, &heard);
    request_begin(&request, pocket);
    return request_feed(&request, text, len, &used);
}

static bool on_head_keeping(struct request *request, void *context)
{
    (void)context;
    request->keep_body = true;
    return true;
}

/* The body stands in the pocket, by length or chunked, cut where it is too long. */
static void test_request_keeps_a_body_that_is_asked_for(void **state)
{
    (void)state;
    char pocket[REQUEST_HEAD_MAX];
    static const size_t sizes[] = {0, 4, REQUEST_BODY_MAX, REQUEST_BODY_MAX + 1};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        CLEANUP_FREE char *body = xmalloc(sizes[i] + 1);
        memset(body, 'b', sizes[i]);
        body[sizes[i]] = '\0';
        CLEANUP_FREE char *text = xasprintf(
            "POST /token HTTP/1.1\r\nHost: x\r\nContent-Length: %zu\r\n\r\n%s", sizes[i], body);
        struct request request;
        size_t used = 0, half = strlen(text) - sizes[i] / 2;
        request_init(&request, on_head_keeping, NULL);
        request_begin(&request, pocket);
        if (sizes[i] > 0) {
            assert_int_equal(request_feed(&request, text, half, &used), REQUEST_MORE);
        } else {
            half = 0;
        }
        assert_int_equal(request_feed(&request, text + half, strlen(text) - half, &used),
                         REQUEST_DONE);
        bool cut = sizes[i] > REQUEST_BODY_MAX;
        assert_int_equal(request.body_cut, cut);
        assert_int_equal(request.body_len, cut ? REQUEST_BODY_MAX : sizes[i]);
        assert_memory_equal(pocket, body, request.body_len);
    }
    struct request request;
    size_t used = 0;
    request_init(&request, on_head_keeping, NULL);
    request_begin(&request, pocket);
    assert_int_equal(request_feed(&request, post, sizeof post - 1, &used), REQUEST_DONE);
    assert_int_equal(request.body_len, 4);
    assert_memory_equal(pocket, "abcd", 4);
}

static void test_request_limits_and_garbage(void **state)
{
    (void)state;
    static const char start[] = "GET / HTTP/1.1\r\nX-API-Key: ";
    size_t fits = REQUEST_HEAD_MAX - strlen("/X-API-Key") - 4;
    CLEANUP_FREE char *text = xmalloc(2 * REQUEST_HEAD_MAX);
    memset(text, 'k', 2 * REQUEST_HEAD_MAX);
    memcpy(text, start, sizeof start - 1);
    assert_int_equal(feed_whole(text, sizeof start - 1 + fits), REQUEST_MORE);
    assert_int_equal(feed_whole(text, sizeof start + fits), REQUEST_TOO_LARGE);
    assert_int_equal(feed_whole("\x16\x03\x01", 3), REQUEST_GARBAGE);
    assert_int_equal(feed_whole("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 24), REQUEST_GARBAGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fractions_of_a_chunk_add_up),
        cmocka_unit_test(test_nothing_leaks_before_late),
        cmocka_unit_test(test_cache_drops_the_least_recently_used),
        cmocka_unit_test(test_seen_is_bounded),
        cmocka_unit_test(test_slab_hands_out_the_last_given_back),
        cmocka_unit_test(test_request_split_anywhere),
        cmocka_unit_test(test_request_keeps_a_body_that_is_asked_for),
        cmocka_unit_test(test_request_limits_and_garbage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
