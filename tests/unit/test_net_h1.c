/* Replies as servers send them and as they must not, each fed in one piece, byte by byte and in
 * sevens. */
#include "base/mem.h"
#include "net/h1.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct reply {
    const char *name;
    const char *text;
    size_t len; /* 0: strlen(text) */
    bool head_request;
    bool eof; /* the server closes after the text */
    enum h1_status expect;
    enum outcome outcome;
    int status;
    uint64_t body_bytes;
    bool keep_alive;
    unsigned interim;
    size_t extra; /* bytes at the end that belong to no response */
};

#define OK "HTTP/1.1 200 OK\r\n"
#define GARBAGE(title, reply)                                                                      \
    {                                                                                              \
        .name = title, .text = reply, .expect = H1_FAILED, .outcome = OUTCOME_HTTP_GARBAGE         \
    }
#define LIMIT(title, reply)                                                                        \
    {                                                                                              \
        .name = title, .text = reply, .expect = H1_FAILED, .outcome = OUTCOME_HTTP_LIMIT           \
    }
#define TRUNCATED(title, reply)                                                                    \
    {                                                                                              \
        .name = title, .text = reply, .eof = true, .expect = H1_FAILED,                            \
        .outcome = OUTCOME_HTTP_TRUNCATED                                                          \
    }
#define DONE(title, reply, code, bytes, keep)                                                      \
    .name = title, .text = reply, .expect = H1_DONE, .status = code, .body_bytes = bytes,          \
    .keep_alive = keep

static const char nul_in_header[] = OK "A: b\0c\r\nContent-Length: 0\r\n\r\n";

static const struct reply replies[] = {
    {DONE("content-length", OK "Content-Length: 5\r\n\r\nhello", 200, 5, true)},
    {DONE("empty body", OK "content-length: 0\r\n\r\n", 200, 0, true)},
    {DONE("connection close", OK "Connection: close\r\nContent-Length: 2\r\n\r\nok", 200, 2,
          false)},
    {DONE("http/1.0", "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", 200, 2, false)},
    {DONE("http/1.0 kept",
          "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok", 200, 2,
          true)},
    {DONE("chunked", OK "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n3;x=y\r\nabc\r\n0\r\n\r\n",
          200, 8, true)},
    {DONE("chunked with trailers",
          OK "Transfer-Encoding: chunked\r\n\r\nA\r\n0123456789\r\n0\r\nT: 1\r\nU: 2\r\n\r\n", 200,
          10, true)},
    {DONE("100-continue", "HTTP/1.1 100 Continue\r\n\r\n" OK "Content-Length: 1\r\n\r\nx", 200, 1,
          true),
     .interim = 1},
    {DONE(
         "early hints",
         "HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: b\r\n\r\n" OK
         "Content-Length: 1\r\n\r\nx",
         200, 1, true),
     .interim = 2},
    {DONE("204", "HTTP/1.1 204 No Content\r\n\r\n", 204, 0, true)},
    {DONE("304 with a length", "HTTP/1.1 304 Not Modified\r\nContent-Length: 99\r\n\r\n", 304, 0,
          true),
     .head_request = true},
    {DONE("HEAD", OK "Content-Length: 1000\r\n\r\n", 200, 0, true), .head_request = true},
    {DONE("HEAD chunked", OK "Transfer-Encoding: chunked\r\n\r\n", 200, 0, true),
     .head_request = true},
    {DONE("404", "HTTP/1.1 404 Not Found\r\nContent-Length: 3\r\n\r\nno!", 404, 3, true)},
    {DONE("no reason phrase", "HTTP/1.1 500 \r\nContent-Length: 0\r\n\r\n", 500, 0, true)},
    {DONE("close-delimited", OK "\r\nuntil the end", 200, 13, false), .eof = true},
    {DONE("two back to back",
          OK "Content-Length: 1\r\n\r\nxHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\ny", 200, 1,
          true),
     .extra = 39},
    {DONE("garbage after", OK "Content-Length: 1\r\n\r\nx!!", 200, 1, true), .extra = 2},
    {.name = "nothing",
     .text = "",
     .eof = true,
     .expect = H1_FAILED,
     .outcome = OUTCOME_HTTP_CLOSED},
    {.name = "head not done", .text = OK "Content-", .expect = H1_MORE},
    {.name = "body not done",
     .text = OK "Content-Length: 5\r\n\r\nhel",
     .expect = H1_MORE,
     .status = 200},
    TRUNCATED("cut in the status line", "HTTP/1.1 2"),
    TRUNCATED("cut in the head", OK "Content-Le"),
    TRUNCATED("cut in the body", OK "Content-Length: 5\r\n\r\nhel"),
    TRUNCATED("cut in a chunk", OK "Transfer-Encoding: chunked\r\n\r\n5\r\nhe"),
    TRUNCATED("cut before the last chunk", OK "Transfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n"),
    TRUNCATED("cut after an interim response", "HTTP/1.1 100 Continue\r\n\r\n"),
    GARBAGE("not http", "SSH-2.0-OpenSSH_9.2\r\n"),
    GARBAGE("bare line feeds", "HTTP/1.1 200 OK\nContent-Length: 1\n\nx"),
    GARBAGE("status of two digits", "HTTP/1.1 20 OK\r\n\r\n"),
    GARBAGE("status below 100", "HTTP/1.1 099 Odd\r\n\r\n"),
    GARBAGE("an upgrade nobody asked for", "HTTP/1.1 101 Switching Protocols\r\n\r\n"),
    GARBAGE("negative length", OK "Content-Length: -1\r\n\r\n"),
    GARBAGE("two lengths", OK "Content-Length: 3\r\nContent-Length: 4\r\n\r\nabc"),
    GARBAGE("a field name with @", OK "Con@tent: 3\r\n\r\n"),
    GARBAGE("status of four digits", "HTTP/1.1 2000 OK\r\n\r\n"),
    GARBAGE("negative chunk", OK "Transfer-Encoding: chunked\r\n\r\n-5\r\n"),
    GARBAGE("chunk without a size", OK "Transfer-Encoding: chunked\r\n\r\nhello\r\n"),
    {.name = "NUL in a header",
     .text = nul_in_header,
     .len = sizeof nul_in_header - 1,
     .expect = H1_FAILED,
     .outcome = OUTCOME_HTTP_GARBAGE},
    LIMIT("chunk of 17 hex digits", OK "Transfer-Encoding: chunked\r\n\r\n1FFFFFFFFFFFFFFFF\r\n"),
    LIMIT("chunk of 2^60", OK "Transfer-Encoding: chunked\r\n\r\n1000000000000000\r\n"),
    LIMIT("length beyond 64 bits", OK "Content-Length: 99999999999999999999999\r\n\r\n"),
};

static enum h1_status feed(struct h1 *h1, const char *text, size_t len, size_t piece,
                           size_t *ret_used)
{
    enum h1_status status = H1_MORE;
    size_t done = 0;

    while (done < len && status == H1_MORE) {
        size_t n = len - done < piece ? len - done : piece;
        size_t used = 0;
        char *copy = xmalloc(n); /* exactly n bytes, so that reading on is seen */

        memcpy(copy, text + done, n);
        status = h1_feed(h1, copy, n, &used);
        free(copy);
        done += used;
    }
    *ret_used = done;
    return status;
}

static void check(const struct reply *reply, size_t piece)
{
    size_t len = reply->len != 0 ? reply->len : strlen(reply->text), used = 0;
    struct h1 h1;
    enum h1_status status;

    print_message("%s in pieces of %zu\n", reply->name, piece);
    h1_begin(&h1, reply->head_request, NULL);
    status = feed(&h1, reply->text, len, piece, &used);
    if (status == H1_MORE && reply->eof) {
        status = h1_end(&h1);
    }
    assert_int_equal(status, reply->expect);
    assert_int_equal(h1.started, len > 0);
    if (status == H1_FAILED) {
        assert_int_equal(h1.outcome, reply->outcome);
        return;
    }
    assert_int_equal(h1.status, reply->status);
    if (status == H1_DONE) {
        assert_int_equal(h1.body_bytes, reply->body_bytes);
        assert_int_equal(h1.keep_alive, reply->keep_alive);
        assert_int_equal(h1.interim, reply->interim);
        assert_int_equal(used, len - reply->extra);
    }
}

static void test_replies(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof replies / sizeof *replies; i++) {
        check(&replies[i], SIZE_MAX);
        check(&replies[i], 1);
        check(&replies[i], 7);
    }
}

/* `n` times `filler` between `before` and `after`. */
static char *long_text(const char *before, const char *filler, size_t n, const char *after)
{
    size_t b = strlen(before), f = strlen(filler), a = strlen(after);
    char *text = xmalloc(b + n * f + a + 1);

    memcpy(text, before, b);
    for (size_t i = 0; i < n; i++) {
        memcpy(text + b + i * f, filler, f);
    }
    memcpy(text + b + n * f, after, a + 1);
    return text;
}

static void check_long(const char *name, char *text, enum h1_status expect, enum outcome outcome,
                       uint64_t body_bytes)
{
    struct reply reply = {.name = name,
                          .text = text,
                          .expect = expect,
                          .outcome = outcome,
                          .status = 200,
                          .body_bytes = body_bytes,
                          .keep_alive = true};

    check(&reply, SIZE_MAX);
    check(&reply, 1);
    check(&reply, 1000);
    free(text);
}

static void test_limits(void **state)
{
    (void)state;
    check_long("a head of 64 KiB",
               long_text(OK "A: ", "x", 65536 - 43, "\r\nContent-Length: 0\r\n\r\n"), H1_DONE,
               OUTCOME_OK, 0);
    check_long("one byte more",
               long_text(OK "A: ", "x", 65536 - 42, "\r\nContent-Length: 0\r\n\r\n"), H1_FAILED,
               OUTCOME_HTTP_LIMIT, 0);
    check_long("many header lines", long_text(OK, "A: b\r\n", 20000, "\r\n"), H1_FAILED,
               OUTCOME_HTTP_LIMIT, 0);
    check_long("endless spaces", long_text(OK "A:", " ", 70000, ""), H1_FAILED, OUTCOME_HTTP_LIMIT,
               0);
    check_long("endless empty lines", long_text("", "\r\n", 40000, OK), H1_FAILED,
               OUTCOME_HTTP_LIMIT, 0);
    check_long(
        "17 interim responses",
        long_text("", "HTTP/1.1 103 Early Hints\r\n\r\n", 17, OK "Content-Length: 0\r\n\r\n"),
        H1_FAILED, OUTCOME_HTTP_LIMIT, 0);
    check_long("an endless chunk extension",
               long_text(OK "Transfer-Encoding: chunked\r\n\r\n5;a=", "b", 200000, ""), H1_FAILED,
               OUTCOME_HTTP_LIMIT, 0);
    check_long("endless trailers",
               long_text(OK "Transfer-Encoding: chunked\r\n\r\n0\r\n", "A: b\r\n", 40000, ""),
               H1_FAILED, OUTCOME_HTTP_LIMIT, 0);
    check_long("many small chunks are fine",
               long_text(OK "Transfer-Encoding: chunked\r\n\r\n", "1\r\nx\r\n", 50000, "0\r\n\r\n"),
               H1_DONE, OUTCOME_OK, 50000);
    check_long("a long body is fine",
               long_text(OK "Content-Length: 300000\r\n\r\n", "x", 300000, ""), H1_DONE, OUTCOME_OK,
               300000);
}

static void test_16_interim_responses(void **state)
{
    char *text =
        long_text("", "HTTP/1.1 103 Early Hints\r\n\r\n", 16, OK "Content-Length: 0\r\n\r\n");
    struct reply reply = {DONE("16 interim responses", text, 200, 0, true), .interim = 16};

    (void)state;
    check(&reply, SIZE_MAX);
    check(&reply, 1);
    free(text);
}

static void test_one_parser_for_many(void **state)
{
    static const char text[] = OK "Content-Length: 1\r\n\r\nx";
    struct h1 h1;

    (void)state;
    for (int i = 0; i < 3; i++) {
        size_t used = 0;

        h1_begin(&h1, false, NULL);
        assert_int_equal(h1_feed(&h1, text, sizeof text - 1, &used), H1_DONE);
        assert_int_equal(used, sizeof text - 1);
        assert_int_equal(h1.body_bytes, 1);
    }
}

/* Byte by byte the person sees the same as in one piece, and never a raw control character. */
static void test_show(void **state)
{
    static const char text[] = "HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\nHTTP/1.1 200 Fine\r\n"
                               "X-Y:  caf\xe9 au lait\r\nContent-Length: 9\r\n\r\none\ntwo\x07\n";
    static const char shown[] = "< HTTP/1.1 103 Early Hints\n< Link: a\n<\n< HTTP/1.1 200 Fine\n"
                                "< X-Y: caf\\xe9 au lait\n< Content-Length: 9\n<\none\ntwo\\x07\n";

    (void)state;
    for (size_t piece = 1; piece < sizeof text; piece++) {
        struct sink *sink = sink_new();
        struct h1 h1;
        size_t used = 0;

        h1_begin(&h1, false, sink);
        assert_int_equal(feed(&h1, text, sizeof text - 1, piece, &used), H1_DONE);
        assert_string_equal(sink_text(sink, NULL), shown);
        sink_free(sink);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_replies),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_16_interim_responses),
        cmocka_unit_test(test_one_parser_for_many),
        cmocka_unit_test(test_show),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
