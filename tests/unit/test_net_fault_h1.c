/* HTTP/1.1 that is wrong, or without end, over real TLS: each has its name, its time and its
 * bounded memory. */
#include "fault_answers.h"

#include "base/rng.h"

#define DEADLINE_NS (100 * NS_PER_MS)
#define FLOOD_SEATS 6
#define FLOOD_HEAP  (FLOOD_SEATS * 512 * 1024) /* both ends */

#define LINE       "HTTP/1.1 200 OK\r\n"
#define CHUNKED    LINE "Transfer-Encoding: chunked\r\n\r\n"
#define GARBAGE    OF(OUTCOME_HTTP_GARBAGE)
#define LIMIT      OF(OUTCOME_HTTP_LIMIT)
#define LATE       OF(OUTCOME_TIMEOUT_EXCHANGE)
#define TRUNCATED  OF(OUTCOME_HTTP_TRUNCATED)
#define WELL       OF(OUTCOME_OK)
#define TEXT(text) (text), sizeof(text) - 1

/* What is said, and then the connection ends by close_notify. */
static const struct {
    const char *name, *text;
    size_t len;
    uint64_t expect;
} wrong[] = {
    {"SMTP", TEXT("220 mail.test ESMTP\r\n"), GARBAGE},
    {"binary", TEXT("\0\1\2\3\4\5\6\7"), GARBAGE},
    {"HTTP/2 frames", TEXT("\0\0\0\4\0\0\0\0\0"), GARBAGE},
    {"HTTP/0.9", TEXT("<html>hello</html>"), GARBAGE},
    {"a version that is none", TEXT("HTTP/x.y 200 OK\r\n\r\n"), GARBAGE},
    {"no version", TEXT("HTTP 200 OK\r\n\r\n"), GARBAGE},
    {"a status that is none", TEXT("HTTP/1.1 abc OK\r\n\r\n"), GARBAGE},
    {"a negative status", TEXT("HTTP/1.1 -200 OK\r\n\r\n"), GARBAGE},
    {"a long status", TEXT("HTTP/1.1 2000000000000 OK\r\n\r\n"), GARBAGE},
    {"NUL in the reason", TEXT("HTTP/1.1 200 O\0K\r\n\r\n"),
     GARBAGE | WELL}, /* changes no framing */
    {"a line without a colon", TEXT(LINE "Content-Length\r\n\r\n"), GARBAGE},
    {"a space before the colon", TEXT(LINE "Content-Length : 0\r\n\r\n"), GARBAGE},
    {"no name", TEXT(LINE ": 0\r\n\r\n"), GARBAGE | WELL}, /* likewise */
    {"NUL in a value", TEXT(LINE "A: b\0c\r\nContent-Length: 0\r\n\r\n"), GARBAGE},
    {"an upgrade", TEXT("HTTP/1.1 101 Go\r\nUpgrade: h2c\r\nConnection: upgrade\r\n\r\n"), GARBAGE},
    {"a negative length", TEXT(LINE "Content-Length: -5\r\n\r\nhello"), GARBAGE},
    {"a length with a sign", TEXT(LINE "Content-Length: +5\r\n\r\nhello"), GARBAGE},
    {"a length in hexadecimal", TEXT(LINE "Content-Length: 0x5\r\n\r\nhello"), GARBAGE},
    {"an empty length", TEXT(LINE "Content-Length:\r\n\r\nhello"), GARBAGE},
    {"two lengths", TEXT(LINE "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello"), GARBAGE},
    {"two lengths in one", TEXT(LINE "Content-Length: 5, 6\r\n\r\nhello"), GARBAGE},
    {"2^64", TEXT(LINE "Content-Length: 18446744073709551616\r\n\r\nhello"), LIMIT},
    {"2^64 - 1", TEXT(LINE "Content-Length: 18446744073709551615\r\n\r\nhello"), TRUNCATED},
    {"2^63", TEXT(LINE "Content-Length: 9223372036854775808\r\n\r\nhello"), TRUNCATED},
    {"length and chunks",
     TEXT(LINE "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"),
     GARBAGE},
    {"a negative chunk", TEXT(CHUNKED "-5\r\nhello\r\n0\r\n\r\n"), GARBAGE},
    {"a chunk with 0x", TEXT(CHUNKED "0x5\r\nhello\r\n0\r\n\r\n"), GARBAGE},
    {"a chunk without a size", TEXT(CHUNKED "\r\nhello\r\n0\r\n\r\n"), GARBAGE},
    {"a chunk of 2^64", TEXT(CHUNKED "10000000000000000\r\nhello"), LIMIT},
    {"a chunk of 2^64 - 1", TEXT(CHUNKED "ffffffffffffffff\r\nhello"), LIMIT},
    {"a chunk of 2^63 - 1", TEXT(CHUNKED "7fffffffffffffff\r\nhello"), LIMIT},
    {"a chunk of 2^40", TEXT(CHUNKED "10000000000\r\nhello"), TRUNCATED},
    {"a chunk that goes on", TEXT(CHUNKED "5\r\nhello, world\r\n0\r\n\r\n"), GARBAGE},
    {"a chunk that is short", TEXT(CHUNKED "5\r\nhell\r\n0\r\n\r\n"), GARBAGE},
    {"a trailer that is none", TEXT(CHUNKED "5\r\nhello\r\n0\r\nb@d\r\n\r\n"), GARBAGE},
    {"bytes after the end", TEXT(LINE "Content-Length: 5\r\n\r\nhello, world"), WELL},
    {"a second answer", TEXT(LINE "Content-Length: 0\r\n\r\n" LINE "Content-Length: 0\r\n\r\n"),
     WELL},
};

static void test_wrong_answers(void **state)
{
    struct fault_row row = {.n = 0};

    (void)state;
    for (size_t i = 0; i < 3 * sizeof wrong / sizeof *wrong; i++) {
        struct fault *fault = row_add(&row);
        size_t k = i / 3;

        (void)snprintf(fault->name, sizeof fault->name, "%s, by %zu", wrong[k].name, i % 3);
        fault->bytes = wrong[k].text;
        fault->len = wrong[k].len;
        fault->piece = i % 3;
        fault->end = FAULT_NOTIFY;
        fault->expect = wrong[k].expect;
    }
    row_good(&row);
    row_meet(&row);
    for (size_t i = 0; i < row.n; i++) { /* what nobody asked for ends the connection */
        if (strstr(row.faults[i].name, "second answer") != NULL && row.faults[i].piece == 0) {
            assert_int_equal(row.faults[i].seen.close, OUTCOME_HTTP_GARBAGE);
        }
    }
    row_clear(&row);
}

/* Without end: `bytes`, then `extra` for as long as the client takes it. */
static const struct {
    const char *name, *text, *again;
    uint64_t expect;
} floods[] = {
    {"empty lines", "", "\r\n\r\n\r\n\r\n", LIMIT},
    {"a status line", "HTTP/1.1 200 O", "KKKKKKKK", LIMIT},
    {"a name", LINE "X", "xxxxxxxx", LIMIT},
    {"a value", LINE "X: y", "yyyyyyyy", LIMIT},
    {"spaces", LINE "X:", "        ", LIMIT},
    {"header lines", LINE, "X-Endless: y\r\n", LIMIT},
    {"100 Continue", "", "HTTP/1.1 100 Continue\r\n\r\n", LIMIT},
    {"103 Early Hints", "", "HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n", LIMIT},
    {"an interim head", "HTTP/1.1 103 Early Hints\r\n", "Link: a\r\n", LIMIT},
    {"a chunk extension", CHUNKED "5;x=", "yyyyyyyy", LIMIT},
    {"zeros of a chunk's size", CHUNKED, "00000000", LIMIT},
    {"trailers", CHUNKED "5\r\nhello\r\n0\r\n", "X-Endless: y\r\n", LIMIT},
    {"a body of 2^63", LINE "Content-Length: 9223372036854775808\r\n\r\n", "xxxxxxxx", LATE},
    {"a body until the close", LINE "\r\n", "xxxxxxxx", LATE},
    {"a chunk of 2^40", CHUNKED "10000000000\r\n", "xxxxxxxx", LATE},
    {"small chunks", CHUNKED, "1\r\nx\r\n", LATE},
    {"small chunks with extensions", CHUNKED, "1;abcdef=ghijkl\r\nx\r\n", LATE},
    {"bytes after the end", LINE "Content-Length: 0\r\n\r\n", "xxxxxxxx", WELL},
};
enum { N_FLOODS = sizeof floods / sizeof *floods };

/* In large pieces: as fast as it can. */
static void serve_flood(struct fault_conn *conn)
{
    const char *again = floods[conn->fault->code].again;
    size_t len = strlen(again), n = 0;
    static _Thread_local char many[16000];

    for (; n + len <= sizeof many; n += len) {
        memcpy(many + n, again, len);
    }
    if (fault_say(conn, conn->fault->bytes, conn->fault->len)) {
        while (fault_say(conn, many, n)) {
        }
    }
}

/* One after the other, slowly enough to look alive for ever. */
static void serve_trickle(struct fault_conn *conn)
{
    const char *again = floods[conn->fault->code].again;
    size_t len = strlen(again);

    if (fault_say(conn, conn->fault->bytes, conn->fault->len)) {
        for (size_t i = 0; fault_say(conn, again + i % len, 1); i++) {
            (void)poll(NULL, 0, 5);
        }
    }
}

static void flood(void (*serve)(struct fault_conn *conn), bool trickles)
{
    struct fault_row row = {.deadline_ns = DEADLINE_NS, .most_heap = FLOOD_HEAP};

    row.n_seats = FLOOD_SEATS;
    for (unsigned i = 0; i < N_FLOODS; i++) {
        struct fault *fault = row_add(&row);

        (void)snprintf(fault->name, sizeof fault->name, "endless %s", floods[i].name);
        fault->bytes = floods[i].text;
        fault->len = strlen(floods[i].text);
        fault->serve = serve;
        fault->code = i;
        fault->end = FAULT_FIN;
        fault->expect = trickles && floods[i].expect != WELL ? LATE : floods[i].expect;
    }
    row_good(&row);
    row_meet(&row);
    row_clear(&row);
}

static void test_floods(void **state)
{
    (void)state;
    flood(serve_flood, false);
}

static void test_trickles(void **state)
{
    (void)state;
    flood(serve_trickle, true);
}

/* The server does not read what it is sent. */
static void test_request_that_is_not_read(void **state)
{
    static const struct {
        size_t len;
        enum fault_end end;
        uint64_t expect;
    } cases[] = {
        {0, FAULT_STALL, OF(OUTCOME_TIMEOUT_FIRST_BYTE)},
        {10, FAULT_STALL, LATE},
        {0, FAULT_RESET, OF(OUTCOME_HTTP_RESET)},
        {10, FAULT_RESET, OF(OUTCOME_HTTP_RESET)},
        {0, FAULT_NOTIFY, OF(OUTCOME_HTTP_CLOSED) | OF(OUTCOME_HTTP_RESET)},
        {10, FAULT_NOTIFY, TRUNCATED | OF(OUTCOME_HTTP_RESET)},
        {SIZE_MAX, FAULT_NOTIFY, WELL},
    };
    struct fault_row row = {.deadline_ns = DEADLINE_NS, .method = "POST", .body_len = 16 << 20};
    char *body = xcalloc(1, row.body_len);

    (void)state;
    row.body = body;
    row.n_seats = FLOOD_SEATS;
    for (size_t i = 0; i < 2 * sizeof cases / sizeof *cases; i++) {
        struct fault *fault =
            row_answer(&row, &good_answers[0], i % 2 == 0 ? TLS1_2_VERSION : TLS1_3_VERSION);

        (void)snprintf(fault->name, sizeof fault->name, "upload, %zu bytes, %s", cases[i / 2].len,
                       fault_end_names[cases[i / 2].end]);
        fault->len = cases[i / 2].len < fault->len ? cases[i / 2].len : fault->len;
        fault->end = cases[i / 2].end;
        fault->expect = cases[i / 2].expect;
    }
    row_meet(&row);
    row_clear(&row);
    free(body);
}

/* A byte of a good answer is another one: it may mean something else, but it means something. */
static void test_every_byte_another(void **state)
{
    struct fault_row row = {.deadline_ns = DEADLINE_NS};
    static char texts[400][128];
    struct rng rng;
    unsigned n = 0;

    (void)state;
    rng_init(&rng, 1, "another", 0);
    for (size_t i = 0; i < 3; i++) {
        for (size_t at = 0; at < good_answers[i].len && n < 400; at++, n++) {
            struct fault *fault = row_answer(&row, &good_answers[i], 0);

            assert_true(fault->len <= sizeof texts[0]);
            memcpy(texts[n], fault->bytes, fault->len);
            texts[n][at] = (char)(texts[n][at] ^ (char)(1 + rng_below(&rng, 255)));
            fault->bytes = texts[n];
            (void)snprintf(fault->name, sizeof fault->name, "%s, byte %zu is 0x%02x",
                           good_answers[i].name, at, (unsigned char)texts[n][at]);
            fault->expect = WELL | GARBAGE | LIMIT | TRUNCATED;
        }
    }
    row_good(&row);
    row_meet(&row);
    row_clear(&row);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wrong_answers),      cmocka_unit_test(test_floods),
        cmocka_unit_test(test_trickles),           cmocka_unit_test(test_request_that_is_not_read),
        cmocka_unit_test(test_every_byte_another),
    };

    return cmocka_run_group_tests(tests, fault_setup, fault_teardown);
}
