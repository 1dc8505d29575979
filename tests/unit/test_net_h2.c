/* HTTP/2 against a peer that speaks frames: exchanges as they should be, and the peer's limits. */
#include "net_h2_ride.h"

static void all_answered(const struct ride *ride)
{
    assert_int_equal(ride->n_ok, ride->n_wanted);
    assert_int_equal(ride->end, OUTCOME_OK);
    for (unsigned i = 0; i < ride->n_wanted; i++) {
        assert_int_equal(ride->streams[i].status, 200);
        assert_int_equal(ride->streams[i].body_bytes, 5);
        assert_true(ride->streams[i].first_byte_ns >= ride->streams[i].sent_ns);
    }
}

static void serve_all(struct peer *peer)
{
    peer_settings(peer, 0, 0);
    while (peer_until(peer, HEADERS)) {
        peer_answer(peer, peer->id);
    }
}

static void test_one_after_another(void **state)
{
    struct ride ride = ride_new(20);
    struct peer peer;

    (void)state;
    ride.at_once = 1;
    ride_with(&ride, &peer, serve_all);
    all_answered(&ride);
    assert_true(ride.was_h2);
    assert_int_equal(peer.n_accepted, 1);
    assert_int_equal(peer.most_open, 1);
    assert_true(peer.goaway); /* we said that we go */
    assert_int_equal(peer.goaway_code, NGHTTP2_NO_ERROR);
}

static void serve_backwards(struct peer *peer)
{
    peer_settings(peer, 0, 0);
    if (peer_requests(peer, 8)) {
        for (uint32_t id = 15; peer->n_open > 0; id -= 2) {
            peer_answer(peer, id);
        }
        peer_rest(peer);
    }
}

static void test_many_at_once(void **state)
{
    struct ride ride = ride_new(8);
    struct peer peer;

    (void)state;
    ride_with(&ride, &peer, serve_backwards);
    all_answered(&ride);
    assert_int_equal(peer.most_open, 8);
}

/* Before it knows better, the client begins one. */
static void serve_late_settings(struct peer *peer)
{
    if (peer_requests(peer, 1)) {
        peer_settings(peer, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, 3);
        peer_requests(peer, 3);
        for (uint32_t id = 1; id <= 13; id += 2) {
            peer_answer(peer, id);
            peer_requests(peer, (id + 1) / 2 + 3 < 7 ? (id + 1) / 2 + 3 : 7);
        }
        peer_rest(peer);
    }
}

static void test_limit_of_the_server(void **state)
{
    struct ride ride = ride_new(7);
    struct peer peer;

    (void)state;
    ride_with(&ride, &peer, serve_late_settings);
    all_answered(&ride);
    assert_int_equal(peer.most_open, 3);
    assert_int_equal(ride.n_rooms, 1);
}

static void serve_one_at_a_time(struct peer *peer)
{
    peer_settings(peer, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, 1);
    while (peer_until(peer, HEADERS)) {
        peer_answer(peer, peer->id);
    }
}

static void test_limit_of_one(void **state)
{
    struct ride ride = ride_new(12);
    struct peer peer;

    (void)state;
    ride_with(&ride, &peer, serve_one_at_a_time);
    all_answered(&ride);
    assert_int_equal(peer.most_open, 1);
}

/* None for a time, then four, then two. */
static void serve_changing_limits(struct peer *peer)
{
    peer_requests(peer, 1);
    peer_settings(peer, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, 0);
    peer_answer(peer, 1);
    peer_until(peer, SETTINGS); /* the acknowledgement: nothing more may come now */
    BUG_ON(peer->n_requests != 1);
    peer_settings(peer, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, 4);
    peer_requests(peer, 5);
    peer_settings(peer, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, 2);
    peer_until(peer, SETTINGS);
    for (uint32_t id = 3; id <= 9; id += 2) {
        peer_answer(peer, id);
    }
    peer->most_open = 0;
    peer_requests(peer, 7);
    while (peer->n_open > 0) {
        peer_answer(peer, peer->last_request - 2 * (peer->n_open - 1));
        if (peer->n_requests < 10) {
            peer_next(peer);
        }
    }
    peer_rest(peer);
}

static void test_limits_that_change(void **state)
{
    struct ride ride = ride_new(10);
    struct peer peer;

    (void)state;
    ride_with(&ride, &peer, serve_changing_limits);
    all_answered(&ride);
    assert_int_equal(peer.most_open, 2);
    assert_true(ride.n_rooms >= 1);
}

static void test_alpn(void **state)
{
    static const struct {
        enum alpn offered;
        const char *selected;
        enum outcome end;
    } cases[] = {
        {ALPN_H2, NULL, OUTCOME_NO_H2},
        {ALPN_H2, "x", OUTCOME_ALERT_NO_APPLICATION_PROTOCOL},
        {ALPN_H1, "x", OUTCOME_ALERT_NO_APPLICATION_PROTOCOL},
        {ALPN_H2_H1, "h2", OUTCOME_OK},
        {ALPN_H1_H2, "h2", OUTCOME_OK},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct ride ride = ride_new(1);
        struct peer peer = {.serve = serve_all, .alpn = cases[i].selected, .own = &ride_pki.server};

        ride.plan.target.alpn = cases[i].offered;
        peer_start(&peer);
        ride_to(&ride, peer.port);
        peer_stop(&peer);
        expect_outcome(ride.end, cases[i].end);
        assert_int_equal(ride.was_ready, cases[i].end == OUTCOME_OK);
        assert_int_equal(ride.was_h2, cases[i].end == OUTCOME_OK);
    }
}

static void serve_http11(struct peer *peer)
{
    char text[1024];

    if (SSL_read(peer->ssl, text, sizeof text) > 0) {
        peer_write(peer, ORDINARY, strlen(ORDINARY));
        peer_read(peer, text, 1);
    }
}

static void test_falls_back_to_http11(void **state)
{
    static const char *const selected[] = {NULL, "http/1.1"};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct ride ride = ride_new(1);
        struct peer peer = {.serve = serve_http11, .alpn = selected[i], .own = &ride_pki.server};

        ride.plan.target.alpn = ALPN_H2_H1;
        peer_start(&peer);
        ride_to(&ride, peer.port);
        peer_stop(&peer);
        all_answered(&ride);
        assert_false(ride.was_h2);
    }
}

/* Interim responses, then the final one with a field of its own, a body in pieces, trailers. */
static void serve_everything(struct peer *peer)
{
    static const unsigned char early_hints[] = "\x08\x03"
                                               "103";
    static const unsigned char head[] = "\x88\x00\x01x\x03yes";
    static const unsigned char trailers[] = "\x00\x03sum\x02ok";

    peer_settings(peer, 0, 0);
    if (!peer_requests(peer, 1)) {
        return;
    }
    peer_frame(peer, HEADERS, END_HEADERS, 1, early_hints, sizeof early_hints - 1);
    peer_frame(peer, HEADERS, END_HEADERS, 1, early_hints, sizeof early_hints - 1);
    peer_frame(peer, HEADERS, 0, 1, head, 1);
    peer_frame(peer, CONTINUATION, END_HEADERS, 1, head + 1, sizeof head - 2);
    peer_frame(peer, DATA, 0, 1, "hel", 3);
    peer_frame(peer, DATA, 0, 1, NULL, 0);
    peer_frame(peer, DATA, 0, 1, "lo", 2);
    peer_frame(peer, HEADERS, END_HEADERS | END_STREAM, 1, trailers, sizeof trailers - 1);
    peer_rest(peer);
}

static void test_interim_responses_and_trailers(void **state)
{
    struct ride ride = ride_new(1);
    struct peer peer;
    char kept[4] = "";

    (void)state;
    ride.keep = kept;
    ride.keep_size = 4;
    ride.show = sink_new();
    ride_with(&ride, &peer, serve_everything);
    all_answered(&ride);
    assert_memory_equal(kept, "hell", 4);
    const char *shown = sink_text(ride.show, NULL);
    assert_non_null(strstr(shown, "* HTTP/2 (selected by ALPN)\n"));
    assert_non_null(strstr(shown, "> GET /path HTTP/2\n> host: test\n"));
    assert_non_null(strstr(shown, "< HTTP/2 103\n<\n"));
    assert_non_null(strstr(shown, "< HTTP/2 200\n< x: yes\n<\nhello< sum: ok\n<\n"));
    sink_free(ride.show);
}

/* Length 5 and no body: to a HEAD, and with 204 and 304. */
static void serve_no_body(struct peer *peer)
{
    static const unsigned char to_head[] = "\x88\x0f\x0d\x01"
                                           "5";
    static const unsigned char not_modified[] = "\x8b\x0f\x0d\x01"
                                                "5";

    peer_settings(peer, 0, 0);
    while (peer_until(peer, HEADERS)) {
        if (peer->id == 1) {
            peer_frame(peer, HEADERS, END_HEADERS | END_STREAM, 1, to_head, sizeof to_head - 1);
        } else if (peer->id == 3) {
            peer_head(peer, 3, 204, true);
        } else {
            peer_frame(peer, HEADERS, END_HEADERS | END_STREAM, 5, not_modified,
                       sizeof not_modified - 1);
        }
    }
}

static void test_responses_without_a_body(void **state)
{
    struct ride ride = ride_new(3);
    struct peer peer;

    (void)state;
    ride.method = "HEAD";
    ride_with(&ride, &peer, serve_no_body);
    assert_int_equal(ride.n_ok, 3);
    assert_int_equal(ride.streams[0].status, 200);
    assert_int_equal(ride.streams[1].status, 204);
    assert_int_equal(ride.streams[2].status, 304);
    assert_non_null(strstr(peer.head, ":method: HEAD\n"));
}

/* 40 MiB, within the windows that the client gives: it must open them as it reads. */
#define HUGE_BYTES (40u << 20)

static void serve_huge(struct peer *peer)
{
    size_t left = HUGE_BYTES;

    peer_settings(peer, 0, 0);
    if (!peer_requests(peer, 1)) {
        return;
    }
    peer_head(peer, 1, 200, false);
    while (left > 0) {
        size_t n = left < 16384 ? left : 16384;

        while ((peer->window < (int64_t)n || peer->stream_window < (int64_t)n)) {
            if (!peer_next(peer)) {
                return;
            }
        }
        peer_data(peer, 1, n, left == n);
        left -= n;
    }
    peer_rest(peer);
}

static void test_huge_body(void **state)
{
    struct ride ride = ride_new(1);
    struct peer peer;

    (void)state;
    ride_with(&ride, &peer, serve_huge);
    expect_outcome(ride.outcomes[0], OUTCOME_OK);
    assert_int_equal(ride.streams[0].body_bytes, HUGE_BYTES);
}

/* What came before the SETTINGS may have used the first 65,535 bytes; from then on the client gets
 * 100 at a time, for the stream and for the connection. */
static void serve_tiny_window(struct peer *peer)
{
    uint32_t stream_grant = 65535;

    peer_settings(peer, NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 10);
    peer_until(peer, SETTINGS);
    while (peer->upload < 100000 && peer_next(peer)) {
        if (peer->type == DATA) {
            peer_window(peer, 1, stream_grant);
            peer_window(peer, 0, 100);
            stream_grant = 100;
        }
    }
    peer_answer(peer, 1);
    peer_rest(peer);
}

static void test_upload_keeps_to_the_window(void **state)
{
    struct ride ride = ride_new(1);
    struct peer peer;
    char *body = xcalloc(1, 100000);

    (void)state;
    ride.method = "POST";
    ride.headers = "Content-Length: 100000\r\n";
    ride.body = body;
    ride.body_len = 100000;
    ride_with(&ride, &peer, serve_tiny_window);
    all_answered(&ride);
    assert_int_equal(peer.upload, 100000);
    assert_true(peer.largest_data <= 16384);
    free(body);
}

/* Answers before the body has come, and takes no more of it. */
static void serve_early(struct peer *peer)
{
    peer_settings(peer, NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 10);
    while (peer_until(peer, HEADERS)) {
        peer_answer(peer, peer->id);
    }
}

static void test_answer_before_the_upload_ends(void **state)
{
    struct ride ride = ride_new(3);
    struct peer peer;
    char *body = xcalloc(1, 200000);

    (void)state;
    ride.method = "POST";
    ride.body = body;
    ride.body_len = 200000;
    ride.at_once = 1;
    ride_with(&ride, &peer, serve_early);
    all_answered(&ride);
    assert_true(peer.n_reset >= 2); /* the last may go with the connection */
    assert_int_equal(peer.reset_code, NGHTTP2_CANCEL);
    assert_true(peer.upload < 200000);
    free(body);
}

static void test_fields(void **state)
{
    struct ride ride = ride_new(2);
    struct peer peer;

    (void)state;
    ride.headers = "User-Agent: me\r\nX-Api-Key:  s3cret \r\nConnection: close\r\nTE: gzip\r\n"
                   "Transfer-Encoding: chunked\r\nKeep-Alive: 5\r\n";
    ride.secret = "X-API-KEY";
    ride.at_once = 1;
    ride_with(&ride, &peer, serve_all);
    all_answered(&ride);
    assert_string_equal(peer.head, ":method: GET\n:scheme: https\n:authority: test\n:path: /path\n"
                                   "user-agent: me\n!x-api-key: s3cret\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_after_another),
        cmocka_unit_test(test_many_at_once),
        cmocka_unit_test(test_limit_of_the_server),
        cmocka_unit_test(test_limit_of_one),
        cmocka_unit_test(test_limits_that_change),
        cmocka_unit_test(test_alpn),
        cmocka_unit_test(test_falls_back_to_http11),
        cmocka_unit_test(test_interim_responses_and_trailers),
        cmocka_unit_test(test_responses_without_a_body),
        cmocka_unit_test(test_huge_body),
        cmocka_unit_test(test_upload_keeps_to_the_window),
        cmocka_unit_test(test_answer_before_the_upload_ends),
        cmocka_unit_test(test_fields),
    };

    return cmocka_run_group_tests(tests, ride_setup, ride_teardown);
}
