/* HTTP/2 against a peer that goes away, resets, breaks the protocol or falls silent: every end has
 * its name, its deadline, and what can be sent again is marked. */
#include "net_h2_ride.h"

#include <poll.h>

/* GOAWAY. */

static void goaway_after(struct peer *peer, uint32_t last, uint32_t code)
{
    peer_settings(peer, 0, 0);
    if (peer_requests(peer, 4)) {
        peer_goaway(peer, last, code);
        for (uint32_t id = 1; id <= last && id <= 7; id += 2) {
            peer_answer(peer, id);
        }
        peer_rest(peer);
    }
}

static void serve_goaway_0(struct peer *peer)
{
    goaway_after(peer, 0, NGHTTP2_NO_ERROR);
}

static void serve_goaway_3(struct peer *peer)
{
    goaway_after(peer, 3, NGHTTP2_NO_ERROR);
}

static void serve_goaway_all(struct peer *peer)
{
    goaway_after(peer, 0x7fffffff, NGHTTP2_NO_ERROR);
}

static void serve_goaway_calm(struct peer *peer)
{
    goaway_after(peer, 3, NGHTTP2_ENHANCE_YOUR_CALM);
}

static void test_goaway(void **state)
{
    static const struct {
        void (*serve)(struct peer *peer);
        unsigned n_ok;
        enum outcome end;
    } cases[] = {{serve_goaway_0, 0, OUTCOME_OK},
                 {serve_goaway_3, 2, OUTCOME_OK},
                 {serve_goaway_all, 4, OUTCOME_OK},
                 {serve_goaway_calm, 2, OUTCOME_H2_GOAWAY}};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct ride ride = ride_new(8); /* the last four have no room any more */
        struct peer peer;

        ride.at_once = 4;
        ride.close_at_end = false;
        ride_with(&ride, &peer, cases[i].serve);
        assert_int_equal(ride.n_sent, 4);
        assert_int_equal(ride.n_ok, cases[i].n_ok);
        expect_outcome(ride.end, cases[i].end);
        for (unsigned k = 0; k < 4; k++) {
            bool answered = k < cases[i].n_ok;

            expect_outcome(ride.outcomes[k], answered ? OUTCOME_OK : OUTCOME_H2_GOAWAY);
            assert_int_equal(ride.was_unprocessed[k], !answered);
        }
    }
}

/* It had begun on all of them, and goes without an answer. */
static void serve_goaway_and_close(struct peer *peer)
{
    peer_settings(peer, 0, 0);
    if (peer_requests(peer, 2)) {
        peer_goaway(peer, 3, NGHTTP2_INTERNAL_ERROR);
    }
}

static void serve_goaway_idle(struct peer *peer)
{
    peer_settings(peer, 0, 0);
    if (peer_requests(peer, 1)) {
        peer_answer(peer, 1);
        peer_goaway(peer, 1, NGHTTP2_NO_ERROR);
        peer_rest(peer);
    }
}

static void test_goaway_without_an_answer(void **state)
{
    struct ride ride = ride_new(2), idle = ride_new(1);
    struct peer peer;

    (void)state;
    ride_with(&ride, &peer, serve_goaway_and_close);
    for (unsigned i = 0; i < 2; i++) {
        expect_outcome(ride.outcomes[i], OUTCOME_H2_GOAWAY);
        assert_false(ride.was_unprocessed[i]);
    }
    expect_outcome(ride.end, OUTCOME_H2_GOAWAY);
    idle.close_at_end = false;
    ride_with(&idle, &peer, serve_goaway_idle);
    assert_int_equal(idle.n_ok, 1);
    expect_outcome(idle.end, OUTCOME_OK);
}

/* RST_STREAM. */

static const struct {
    uint32_t code;
    enum outcome outcome;
} resets[] = {
    {NGHTTP2_REFUSED_STREAM, OUTCOME_H2_REFUSED_STREAM},
    {NGHTTP2_CANCEL, OUTCOME_H2_CANCEL},
    {NGHTTP2_INTERNAL_ERROR, OUTCOME_H2_INTERNAL_ERROR},
    {NGHTTP2_ENHANCE_YOUR_CALM, OUTCOME_H2_ENHANCE_YOUR_CALM},
    {NGHTTP2_PROTOCOL_ERROR, OUTCOME_H2_STREAM_RESET},
    {NGHTTP2_HTTP_1_1_REQUIRED, OUTCOME_H2_STREAM_RESET},
    {NGHTTP2_NO_ERROR, OUTCOME_H2_STREAM_RESET},
    {0x12345678, OUTCOME_H2_STREAM_RESET},
};
enum { N_RESETS = sizeof resets / sizeof *resets };

/* Each in another way; every second one when its response has begun; and one is answered. */
static void serve_resets(struct peer *peer)
{
    peer_settings(peer, 0, 0);
    if (peer_requests(peer, N_RESETS + 1)) {
        for (uint32_t i = 0; i < N_RESETS; i++) {
            if (i % 2 == 1) {
                peer_head(peer, 2 * i + 1, 200, false);
            }
            peer_reset(peer, 2 * i + 1, resets[i].code);
        }
        peer_answer(peer, 2 * N_RESETS + 1);
        peer_rest(peer);
    }
}

static void test_resets(void **state)
{
    struct ride ride = ride_new(N_RESETS + 1);
    struct peer peer;

    (void)state;
    ride_with(&ride, &peer, serve_resets);
    for (unsigned i = 0; i < N_RESETS; i++) {
        expect_outcome(ride.outcomes[i], resets[i].outcome);
        assert_int_equal(ride.was_unprocessed[i], resets[i].code == NGHTTP2_REFUSED_STREAM);
    }
    assert_int_equal(ride.n_ok, 1);
    expect_outcome(ride.end, OUTCOME_OK);
}

/* What is not HTTP, or not HTTP/2. */

static void begin(struct peer *peer)
{
    peer_settings(peer, 0, 0);
    (void)peer_requests(peer, 1);
}

static void head(struct peer *peer, const char *block, size_t len, unsigned flags)
{
    peer_frame(peer, HEADERS, END_HEADERS | flags, 1, block, len);
}

static void serve_short_body(struct peer *peer)
{
    begin(peer);
    head(peer, "\x88\x0f\x0d\x01\x36", 5, 0); /* content-length: 6 */
    peer_data(peer, 1, 5, true);
    peer_rest(peer);
}

static void serve_long_body(struct peer *peer)
{
    begin(peer);
    head(peer, "\x88\x0f\x0d\x01\x34", 5, 0);
    peer_data(peer, 1, 5, false);
    peer_rest(peer);
}

static void serve_no_status(struct peer *peer)
{
    begin(peer);
    head(peer, "\x00\x01x\x01y", 5, END_STREAM);
    peer_rest(peer);
}

static void serve_http11_text(struct peer *peer)
{
    peer_write(peer, ORDINARY, strlen(ORDINARY));
    peer_rest(peer);
}

static void serve_no_settings(struct peer *peer)
{
    peer_frame(peer, PING, 0, 0, "12345678", 8);
    peer_rest(peer);
}

static void serve_bad_hpack(struct peer *peer)
{
    begin(peer);
    head(peer, "\xff\xff\xff\xff\x0f", 5, END_STREAM);
    peer_rest(peer);
}

static void serve_data_on_0(struct peer *peer)
{
    begin(peer);
    peer_data(peer, 0, 5, true);
    peer_rest(peer);
}

static void serve_push(struct peer *peer)
{
    begin(peer);
    peer_frame(peer, PUSH_PROMISE, END_HEADERS, 1, "\0\0\0\2\x82", 5);
    peer_rest(peer);
}

static void serve_broken_continuation(struct peer *peer)
{
    begin(peer);
    peer_frame(peer, HEADERS, 0, 1, "\x88", 1);
    peer_frame(peer, PING, 0, 0, "12345678", 8);
    peer_rest(peer);
}

static void serve_bad_settings(struct peer *peer)
{
    begin(peer);
    peer_settings(peer, NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 0x80000000);
    peer_rest(peer);
}

/* More than any window. */
static void serve_too_much(struct peer *peer)
{
    begin(peer);
    peer_head(peer, 1, 200, false);
    for (int i = 0; i < 2000; i++) {
        peer_frame(peer, DATA, 0, 3, NULL, 0); /* of no stream, so nobody reads it: no update */
    }
    peer_rest(peer);
}

static void serve_window_overflow(struct peer *peer)
{
    begin(peer);
    peer_window(peer, 0, 0x7fffffff);
    peer_rest(peer);
}

static void serve_many_interims(struct peer *peer)
{
    begin(peer);
    for (int i = 0; i < 30; i++) {
        head(peer, "\x08\x03\x31\x30\x33", 5, 0);
    }
    peer_answer(peer, 1);
    peer_rest(peer);
}

static void serve_status_003(struct peer *peer)
{
    begin(peer);
    head(peer, "\x08\x03\x30\x30\x33", 5, END_STREAM);
    peer_rest(peer);
}

/* 80 KiB of fields in a few frames. */
static void serve_large_head(struct peer *peer)
{
    static char block[16000];
    size_t len = 0;

    begin(peer);
    while (len + 260 < sizeof block) {
        memcpy(block + len, "\x00\x01x\x7f\x73", 5); /* a value of 127 + 115 bytes */
        memset(block + len + 5, 'v', 242);
        len += 247;
    }
    peer_frame(peer, HEADERS, 0, 1, "\x88", 1);
    for (int i = 0; i < 5; i++) {
        peer_frame(peer, CONTINUATION, i == 4 ? END_HEADERS : 0, 1, block, len);
    }
    peer_data(peer, 1, 5, true);
    peer_rest(peer);
}

static void serve_cut(struct peer *peer)
{
    begin(peer);
    peer_head(peer, 1, 200, false);
    peer_data(peer, 1, 5, false);
}

static void serve_nothing(struct peer *peer)
{
    begin(peer);
}

static void test_wrong_servers(void **state)
{
    static const struct {
        void (*serve)(struct peer *peer);
        enum outcome exchange, end;
    } cases[] = {
        {serve_short_body, OUTCOME_HTTP_GARBAGE, OUTCOME_OK},
        {serve_long_body, OUTCOME_HTTP_GARBAGE, OUTCOME_OK},
        {serve_no_status, OUTCOME_HTTP_GARBAGE, OUTCOME_OK},
        {serve_status_003, OUTCOME_HTTP_GARBAGE, OUTCOME_OK},
        {serve_http11_text, OUTCOME_H2_PROTOCOL, OUTCOME_H2_PROTOCOL},
        {serve_no_settings, OUTCOME_H2_PROTOCOL, OUTCOME_H2_PROTOCOL},
        {serve_bad_hpack, OUTCOME_H2_PROTOCOL, OUTCOME_H2_PROTOCOL},
        {serve_data_on_0, OUTCOME_H2_PROTOCOL, OUTCOME_H2_PROTOCOL},
        {serve_push, OUTCOME_H2_PROTOCOL, OUTCOME_H2_PROTOCOL},
        {serve_broken_continuation, OUTCOME_H2_PROTOCOL, OUTCOME_H2_PROTOCOL},
        {serve_bad_settings, OUTCOME_H2_FLOW_CONTROL, OUTCOME_H2_FLOW_CONTROL},
        {serve_too_much, OUTCOME_H2_PROTOCOL, OUTCOME_H2_PROTOCOL},
        {serve_window_overflow, OUTCOME_H2_FLOW_CONTROL, OUTCOME_H2_FLOW_CONTROL},
        {serve_many_interims, OUTCOME_HTTP_LIMIT, OUTCOME_OK},
        {serve_large_head, OUTCOME_HTTP_LIMIT, OUTCOME_OK},
        {serve_cut, OUTCOME_HTTP_TRUNCATED, OUTCOME_HTTP_TRUNCATED},
        {serve_nothing, OUTCOME_HTTP_CLOSED, OUTCOME_HTTP_CLOSED},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        expect(cases[i].serve, cases[i].exchange, cases[i].end);
    }
}

/* Its own data are within the connection's window, but not within the stream's. */
static void serve_beyond_the_stream(struct peer *peer)
{
    begin(peer);
    peer_head(peer, 1, 200, false);
    for (int i = 0; i < 40; i++) { /* in the air before any update can come */
        peer_data(peer, 1, 16384, false);
    }
    while (peer->stream_window > 0) {
        peer_data(peer, 1, 16384, false);
    }
    peer_rest(peer);
}

static void test_windows_are_given(void **state)
{
    struct ride ride = ride_new(1);
    struct peer peer;

    (void)state;
    ride.plan.target.timeout_exchange_ns = 5 * SHORT_NS;
    ride_with(&ride, &peer, serve_beyond_the_stream);
    assert_true(ride.streams[0].body_bytes >= 1 << 20);
}

/* Silence. */

static void serve_silence(struct peer *peer)
{
    begin(peer);
    peer_rest(peer);
}

static void test_ping_timeout(void **state)
{
    struct ride ride = ride_new(1);
    struct peer peer;

    (void)state;
    ride.plan.target.timeout_ping_ns = SHORT_NS;
    ride_with(&ride, &peer, serve_silence);
    expect_outcome(ride.outcomes[0], OUTCOME_H2_PING_TIMEOUT);
    expect_outcome(ride.end, OUTCOME_H2_PING_TIMEOUT);
    assert_int_equal(peer.n_pings, 1);
}

/* Answers pings, and the request after the third of them. */
static void serve_pongs(struct peer *peer)
{
    begin(peer);
    while (peer->n_pings < 3 && peer_next(peer)) {
        if (peer->type == PING) {
            peer_frame(peer, PING, ACK, 0, peer->payload, 8);
        }
    }
    peer_answer(peer, 1);
    peer_rest(peer);
}

static void test_pings_keep_it_alive(void **state)
{
    struct ride ride = ride_new(1);
    struct peer peer;

    (void)state;
    ride.plan.target.timeout_ping_ns = SHORT_NS;
    ride_with(&ride, &peer, serve_pongs);
    expect_outcome(ride.outcomes[0], OUTCOME_OK);
    assert_true(peer.n_pings >= 3);
}

/* Its SETTINGS came after the first request, so that may be slow; nothing at all after the second,
 * so the connection is dead. */
static void test_no_pings_when_none_are_wanted(void **state)
{
    struct ride ride = ride_new(2);
    struct peer peer;

    (void)state;
    ride.at_once = 1;
    ride.plan.target.timeout_first_byte_ns = 3 * SHORT_NS;
    ride_with(&ride, &peer, serve_silence);
    expect_outcome(ride.outcomes[0], OUTCOME_TIMEOUT_FIRST_BYTE);
    expect_outcome(ride.outcomes[1], OUTCOME_TIMEOUT_FIRST_BYTE);
    expect_outcome(ride.end, OUTCOME_TIMEOUT_FIRST_BYTE);
    assert_int_equal(peer.n_pings, 0);
}

/* One stream is never answered, one never ends, and the others are: those two are given up alone. */
static void serve_some(struct peer *peer)
{
    peer_settings(peer, 0, 0);
    if (!peer_requests(peer, 3)) {
        return;
    }
    peer_head(peer, 3, 200, false);
    peer_answer(peer, 5);
    while (peer->n_reset < 2 && peer_next(peer)) {
        if (peer->type == HEADERS) {
            peer_answer(peer, peer->id);
        }
    }
}

static void test_one_stream_times_out(void **state)
{
    struct ride ride = ride_new(6);
    struct peer peer;

    (void)state;
    ride.at_once = 3;
    ride.close_at_end = false;
    ride.plan.target.timeout_first_byte_ns = 0;
    ride.plan.target.timeout_exchange_ns = 3 * SHORT_NS;
    ride_with(&ride, &peer, serve_some);
    expect_outcome(ride.outcomes[0], OUTCOME_TIMEOUT_EXCHANGE);
    expect_outcome(ride.outcomes[1], OUTCOME_TIMEOUT_EXCHANGE);
    expect_outcome(ride.end, OUTCOME_OK);
    assert_int_equal(ride.n_ok, 4);
    assert_int_equal(peer.n_reset, 2);
    assert_int_equal(peer.reset_code, NGHTTP2_CANCEL);
}

/* The server reads nothing at all, and the request does not fit into the socket. */
static void serve_without_reading(struct peer *peer)
{
    peer_settings(peer, NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 0x7fffffff);
    peer_window(peer, 0, 0x7fffffff - 65535);
    if (peer_requests(peer, 1)) {
        (void)poll(NULL, 0, 700);
    }
}

static void test_server_that_does_not_read(void **state)
{
    struct ride ride = ride_new(1);
    struct peer peer;
    size_t len = 64 << 20;
    char *body = xcalloc(1, len);

    (void)state;
    ride.method = "POST";
    ride.body = body;
    ride.body_len = len;
    ride.plan.target.timeout_first_byte_ns = 3 * SHORT_NS;
    ride_with(&ride, &peer, serve_without_reading);
    expect_outcome(ride.outcomes[0], OUTCOME_TIMEOUT_FIRST_BYTE);
    free(body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_goaway),
        cmocka_unit_test(test_goaway_without_an_answer),
        cmocka_unit_test(test_resets),
        cmocka_unit_test(test_wrong_servers),
        cmocka_unit_test(test_windows_are_given),
        cmocka_unit_test(test_ping_timeout),
        cmocka_unit_test(test_pings_keep_it_alive),
        cmocka_unit_test(test_no_pings_when_none_are_wanted),
        cmocka_unit_test(test_one_stream_times_out),
        cmocka_unit_test(test_server_that_does_not_read),
    };

    return cmocka_run_group_tests(tests, ride_setup, ride_teardown);
}
