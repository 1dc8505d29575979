/* 0-RTT under load: what goes early, what becomes of it, and that nothing is lost, done twice or
 * counted wrong by it. */
#include "load_bench.h"

#include <signal.h>

static atomic_uint n_hellos;

static void takes_early_data(SSL_CTX *ctx)
{
    SSL_CTX_set_early_data_enabled(ctx, 1);
}

/* Every other hello is refused what its ticket allows. */
static enum ssl_select_cert_result_t every_other(const SSL_CLIENT_HELLO *hello)
{
    SSL_set_early_data_enabled(hello->ssl, atomic_fetch_add(&n_hellos, 1) % 2 == 0);
    return ssl_select_cert_success;
}

static void refuses_some(SSL_CTX *ctx)
{
    takes_early_data(ctx);
    SSL_CTX_set_select_certificate_cb(ctx, every_other);
}

/* A server that cannot cope: the hello that offers early data is its last word. */
static enum ssl_select_cert_result_t none_at_all(const SSL_CLIENT_HELLO *hello)
{
    const uint8_t *data;
    size_t len;
    bool offered =
        SSL_early_callback_ctx_extension_get(hello, TLSEXT_TYPE_early_data, &data, &len) == 1;
    return offered ? ssl_select_cert_error : ssl_select_cert_success;
}

static void breaks_on_it(SSL_CTX *ctx)
{
    takes_early_data(ctx);
    SSL_CTX_set_select_certificate_cb(ctx, none_at_all);
}

/* A second of clients that come back again and again. */
static struct bench *perform_with(void (*prepare)(SSL_CTX *ctx), bool puts_off,
                                  const char *requests, const char *const *sets)
{
    struct bench *bench = bench_new();
    const char *dir = bench->target.dir;
    bench->target.prepare = prepare;
    bench->target.puts_off = puts_off;
    target_start(&bench->target);
    CLEANUP_FREE char *text =
        xasprintf("[run]\nduration = 1s\nthreads = 2\ndrain = 10s\n"
                  "[target]\nurl = https://127.0.0.1:%u/\nserver_ca = %s/ca.pem\nearly_data = yes\n"
                  "[pace]\nconnections = 4\nthink_time = 2ms\nrequests_per_connection = 1\n"
                  "resume_ratio = 100%%\n"
                  "[cert c]\nca = %s/ca.pem\nca_key = %s/ca.key\ncount = 10\n"
                  "[apikey k]\nsecret = @%s/apikey.secret\ncount = 20\n"
                  "[jwt j]\nkey = @%s/jwt.secret\ncount = 10\n%s",
                  bench->target.port, dir, dir, dir, dir, dir, requests);
    load_text(bench, text, sets);
    perform(bench, NULL);
    return bench;
}

static uint64_t offered(const struct bench *bench)
{
    return count(bench, COUNTER_EARLY_OFFERED);
}

static void every_way_of_pacing(void **state)
{
    static const char *const closed[] = {NULL};
    static const char *const open[] = {"pace.mode=open", "pace.rate=150/s", NULL};
    static const char *const churn[] = {"pace.mode=churn", "pace.rate=150/s", NULL};
    static const char *const longer[] = {"pace.requests_per_connection=3", NULL};
    const char *const *const paces[] = {closed, open, churn, longer};
    (void)state;
    for (size_t i = 0; i < sizeof paces / sizeof *paces; i++) {
        struct bench *bench = perform_with(takes_early_data, false, "", paces[i]);
        check_both_ends(bench);
        /* In the open loop connections stand before anything is due. */
        assert_true(offered(bench) > 5 || paces[i] == open);
        assert_int_equal(count(bench, COUNTER_EARLY_ACCEPTED), offered(bench));
        assert_int_equal(bench->target.n_early, offered(bench));
        assert_true(offered(bench) <= count(bench, COUNTER_HANDSHAKE_RESUMED));
        assert_int_equal(count(bench, COUNTER_RETRIED), 0);
        if (paces[i] == longer) { /* the early one is the first of three */
            assert_true(count(bench, COUNTER_COMPLETED) > 2 * count(bench, COUNTER_CLOSED));
        } else {
            assert_true(count(bench, COUNTER_CLOSED) >= count(bench, COUNTER_COMPLETED));
        }
        bench_free(bench);
    }
}

static void rejected_and_sent_again(void **state)
{
    (void)state;
    struct bench *bench =
        perform_with(refuses_some, false, "", (const char *const[]){"run.threads=1", NULL});
    check_both_ends(bench); /* each request once */
    assert_true(count(bench, COUNTER_EARLY_REJECTED) > 5);
    assert_true(count(bench, COUNTER_EARLY_ACCEPTED) > 0);
    assert_int_equal(count(bench, COUNTER_EARLY_ACCEPTED), bench->target.n_early);
    assert_int_equal(offered(bench),
                     count(bench, COUNTER_EARLY_ACCEPTED) + count(bench, COUNTER_EARLY_REJECTED));
    assert_int_equal(count(bench, COUNTER_RETRIED), 0);
    bench_free(bench);
}

static void put_off_and_sent_again(void **state)
{
    static const char *const once[] = {NULL};
    static const char *const longer[] = {"pace.requests_per_connection=3", NULL};
    const char *const *const paces[] = {once, longer};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct bench *bench = perform_with(takes_early_data, true, "", paces[i]);
        uint64_t n = count(bench, COUNTER_EARLY_PUT_OFF);
        interval_check(bench->result.total);
        assert_true(n > 5);
        assert_int_equal(n, bench->target.n_early);
        assert_int_equal(n, count(bench, COUNTER_EARLY_ACCEPTED));
        assert_int_equal(n, count(bench, COUNTER_RETRIED));
        assert_int_equal(count(bench, COUNTER_COMPLETED), count(bench, COUNTER_STARTED));
        assert_int_equal(count(bench, COUNTER_UNEXPECTED), 0);
        assert_int_equal(bench->target.n_requests, count(bench, COUNTER_COMPLETED) + n);
        /* On the same connection: none is dialed for it. */
        uint64_t a_connection = i == 0 ? 1 : 2;
        assert_true(count(bench, COUNTER_COMPLETED) + 4 * a_connection >=
                    a_connection * count(bench, COUNTER_CLOSED));
        bench_free(bench);
    }
}

static void a_handshake_that_fails_of_it(void **state)
{
    (void)state;
    struct bench *bench = perform_with(breaks_on_it, false, "", (const char *const[]){NULL});
    uint64_t n = count(bench, COUNTER_DIAL_FAILED);
    interval_check(bench->result.total);
    assert_true(n > 2);
    assert_int_equal(offered(bench), n);
    assert_int_equal(count(bench, COUNTER_EARLY_ACCEPTED) + count(bench, COUNTER_EARLY_REJECTED),
                     0);
    assert_int_equal(count(bench, COUNTER_RETRIED), n);
    /* At the end nobody dials for what is to be sent again. */
    assert_int_equal(count(bench, COUNTER_FAILED), bench->result.total->outcome[OUTCOME_STOPPED]);
    assert_true(count(bench, COUNTER_FAILED) <= 4);
    assert_int_equal(bench->target.n_requests, count(bench, COUNTER_COMPLETED));
    bench_free(bench);
}

static void nothing_that_may_not_be_repeated(void **state)
{
    static const char *const none[] = {"[request r]\nmethod = POST\n",
                                       "[request r]\nmethod = DELETE\n", "[request r]\nbody = x\n"};
    (void)state;
    for (size_t i = 0; i < sizeof none / sizeof *none; i++) {
        struct bench *bench =
            perform_with(takes_early_data, false, none[i], (const char *const[]){NULL});
        check_both_ends(bench);
        assert_true(count(bench, COUNTER_HANDSHAKE_RESUMED) > 5);
        assert_int_equal(offered(bench) + bench->target.n_early, 0);
        bench_free(bench);
    }
}

/* What may not go early waits for its turn and is asked as often as before. */
static void shares_stay(void **state)
{
    (void)state;
    struct bench *bench =
        perform_with(takes_early_data, false,
                     "[request get]\n[request post]\nmethod = POST\nbody = 1234567890\n",
                     (const char *const[]){NULL});
    check_both_ends(bench);
    double n = (double)count(bench, COUNTER_STARTED);
    double posts = (double)bench->target.n_body_bytes / 10;
    assert_true(fabs(posts - n / 2) < 5 * sqrt(n / 4));
    assert_true(offered(bench) > 2 && (double)offered(bench) <= n - posts);
    assert_int_equal(bench->target.n_early, offered(bench));
    bench_free(bench);
}

static void never_by_default(void **state)
{
    (void)state;
    struct bench *bench = perform_with(takes_early_data, false, "",
                                       (const char *const[]){"target.early_data=no", NULL});
    check_both_ends(bench);
    assert_true(count(bench, COUNTER_HANDSHAKE_RESUMED) > 5);
    assert_int_equal(offered(bench) + bench->target.n_early, 0);
    bench_free(bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_way_of_pacing),
        cmocka_unit_test(rejected_and_sent_again),
        cmocka_unit_test(put_off_and_sent_again),
        cmocka_unit_test(a_handshake_that_fails_of_it),
        cmocka_unit_test(nothing_that_may_not_be_repeated),
        cmocka_unit_test(shares_stay),
        cmocka_unit_test(never_by_default),
    };
    (void)signal(SIGPIPE, SIG_IGN);
    return run_patiently(tests);
}
