/* A fleet on a server that goes wrong now and again, over both HTTP versions: what it counts is
 * what the server did, and the run goes on. */
#include "fault_server.h"
#include "load_bench.h"

#include <limits.h>
#include <signal.h>

static struct identity identity_load(const char *dir, const char *name)
{
    struct identity identity;
    CLEANUP_FREE char *cert = xasprintf("%s/%s.pem", dir, name);
    CLEANUP_FREE char *key = xasprintf("%s/%s.key", dir, name);
    FILE *file = fopen(cert, "r");
    assert_non_null(file);
    identity.cert = PEM_read_X509(file, NULL, NULL, NULL);
    assert_int_equal(fclose(file), 0);
    file = fopen(key, "r");
    assert_non_null(file);
    identity.key = PEM_read_PrivateKey(file, NULL, NULL, NULL);
    assert_int_equal(fclose(file), 0);
    assert_true(identity.cert != NULL && identity.key != NULL);
    return identity;
}

/* One answer, or its first `most` bytes; gives whether it is whole. */
static bool answer_once(struct fault_conn *conn, uint32_t id, size_t most)
{
    static const char h1[] = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
    char h2[] = "\0\0\1\1\4\0\0\0\0\x88\0\0\5\0\1\0\0\0\0hello";
    size_t len = conn->fault->h2 ? sizeof h2 - 1 : sizeof h1 - 1;
    h2[7] = h2[17] = (char)(id >> 8);
    h2[8] = h2[18] = (char)id;
    bool whole = most >= len;
    return fault_say(conn, conn->fault->h2 ? h2 : h1, whole ? len : most) && whole;
}

/* Answers that must have come, where others may be damaged or overtaken by a reset. */
static atomic_ulong n_sure;

static bool is_sure(const struct fault *fault)
{
    return !fault->flips && !fault->cuts && (!fault->h2 || fault->end != FAULT_RESET);
}

/* `code` good answers, and then the first bytes of one more. */
static void serve_load(struct fault_conn *conn)
{
    static const char settings[] = "\0\0\0\4\0\0\0\0\0\0\0\0\4\1\0\0\0\0";
    const struct fault *fault = conn->fault;
    uint32_t id = fault->h2 ? fault_read_h2(conn) : fault_read_h1(conn);
    if (fault->h2 && !fault_say(conn, settings, sizeof settings - 1)) {
        return;
    }
    for (unsigned n = 0; id != 0 && n < fault->code; n++) {
        if (!answer_once(conn, id, SIZE_MAX)) {
            return;
        }
        atomic_fetch_add(&conn->server->n_answered, 1);
        atomic_fetch_add(&n_sure, is_sure(fault));
        id = fault->h2 ? fault_read_h2(conn) : fault_read_h1(conn);
    }
    if (id != 0) {
        (void)answer_once(conn, id, fault->len);
    }
}

static void plain_text(struct fault_conn *conn)
{
    static const char text[] = "HTTP/1.1 400 Bad Request\r\n\r\n";
    (void)fault_send(conn, text, sizeof text - 1);
}

static void pick_good(struct fault *fault, unsigned n)
{
    fault->h2 = true;
    fault->version = n % 4 == 0 ? TLS1_2_VERSION : TLS1_3_VERSION;
    fault->talk = serve_load;
    fault->code = UINT_MAX;
    fault->end = FAULT_NOTIFY;
}

/* One connection in four is good until it is closed between two exchanges; the others go wrong
 * sooner or later, in a handshake or in an answer. */
static void pick_fault(struct fault *fault, unsigned n)
{
    fault->version = n % 5 == 0 ? TLS1_2_VERSION : TLS1_3_VERSION;
    fault->talk = serve_load;
    fault->code = 1 + n % 23;
    fault->end = (enum fault_end)(n / 4 % FAULT_END_COUNT);
    fault->len = n % 20;
    switch (n % 8) {
    case 1:
        fault->cuts = true;
        fault->at = 37 * (n % 50);
        break;
    case 3:
        fault->flips = true;
        fault->flip = 0x55;
        fault->at = 41 * (n % 50);
        break;
    case 5:
        fault->raw = n % 16 == 5 ? plain_text : NULL;
        break;
    default:
        break;
    }
}

static void pick_fault_h2(struct fault *fault, unsigned n)
{
    pick_fault(fault, n);
    fault->h2 = true;
}

static struct bench *run_on(void (*pick)(struct fault *fault, unsigned n), bool h2,
                            uint64_t *ret_answered, unsigned *ret_accepted)
{
    struct bench *bench = bench_new();
    atomic_store(&n_sure, 0);
    struct identity own = identity_load(bench->target.dir, "server");
    struct fault_server *server = fault_server_start(&own, 64, pick);
    const char *alpn = h2 ? "target.alpn=h2" : "target.alpn=http/1.1";
    const char *streams = h2 ? "pace.streams=4" : "pace.streams=1";
    bench->target.port = server->port;
    perform(bench,
            (const char *const[]){alpn, streams, "pace.connections=16", "pace.think_time=2ms",
                                  "pace.resume_ratio=0.5", "target.timeout.handshake=300ms",
                                  "target.timeout.first_byte=300ms",
                                  "target.timeout.exchange=300ms", "run.duration=2s", NULL});
    *ret_answered = atomic_load(&server->n_answered);
    *ret_accepted = atomic_load(&server->n_picked);
    fault_server_stop(server);
    identity_free(&own);
    return bench;
}

static void good_h2(void **state)
{
    (void)state;
    uint64_t n_answered;
    unsigned n_accepted;
    struct bench *bench = run_on(pick_good, true, &n_answered, &n_accepted);
    interval_check(bench->result.total);
    assert_int_equal(count(bench, COUNTER_FAILED), 0);
    assert_int_equal(count(bench, COUNTER_COMPLETED), n_answered);
    assert_int_equal(count(bench, COUNTER_DIALED), n_accepted);
    assert_true(n_answered > 16);
    bench_free(bench);
}

/* Only what a server did wrong is counted, under names that say so. */
static void check_outcomes(const struct interval *total)
{
    unsigned n_kinds = 0;
    for (int i = 0; i < OUTCOME_COUNT; i++) {
        enum outcome_class class = outcome_info((enum outcome)i)->class;
        n_kinds += total->outcome[i] > 0;
        if (class == OUTCOME_CLASS_CLIENT && i != OUTCOME_STOPPED) {
            assert_int_equal(total->outcome[i], 0);
        }
    }
    assert_true(n_kinds >= 6);
    assert_true(total->outcome[OUTCOME_HTTP_TRUNCATED] > 0);
    assert_true(total->outcome[OUTCOME_HTTP_RESET] > 0);
    assert_true(total->outcome[OUTCOME_NOT_TLS] > 0);
}

static void faults(void (*pick)(struct fault *fault, unsigned n), bool h2)
{
    uint64_t n_answered;
    unsigned n_accepted;
    struct bench *bench = run_on(pick, h2, &n_answered, &n_accepted);
    interval_check(bench->result.total);
    check_outcomes(bench->result.total);
    assert_in_range(count(bench, COUNTER_COMPLETED), atomic_load(&n_sure), n_answered);
    assert_int_equal(count(bench, COUNTER_DIALED), n_accepted);
    bench_free(bench);
}

static void faults_h1(void **state)
{
    (void)state;
    faults(pick_fault, false);
}

static void faults_h2(void **state)
{
    (void)state;
    faults(pick_fault_h2, true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_h2),
        cmocka_unit_test(faults_h1),
        cmocka_unit_test(faults_h2),
    };
    (void)signal(SIGPIPE, SIG_IGN);
    return run_patiently(tests);
}
