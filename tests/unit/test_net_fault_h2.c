/* HTTP/2 that is wrong, or without end: every kind of frame, malformed in every way and at every
 * time, and everything that a server can say without end, over real TLS. */
#include "fault_answers.h"
#include "net_h2_frames.h"

#include "base/rng.h"

#include <nghttp2/nghttp2.h>

#define DEADLINE_NS (100 * NS_PER_MS)
#define FLOOD_SEATS 6
#define FLOOD_HEAP  (FLOOD_SEATS * 512 * 1024) /* both ends */

#define WELL     OF(OUTCOME_OK)
#define GARBAGE  OF(OUTCOME_HTTP_GARBAGE)
#define LIMIT    OF(OUTCOME_HTTP_LIMIT)
#define PROTOCOL OF(OUTCOME_H2_PROTOCOL)
#define FLOOD    OF(OUTCOME_H2_FLOOD)
#define LATE     OF(OUTCOME_TIMEOUT_EXCHANGE)
#define SILENT   OF(OUTCOME_TIMEOUT_FIRST_BYTE)
#define WRONG    (PROTOCOL | GARBAGE | OF(OUTCOME_H2_FLOW_CONTROL))

#define MOST 16384 /* bytes of a frame, where nothing else is agreed */

/* A frame that is put into a good answer. */
struct odd_frame {
    unsigned type, flags, id;
    size_t len;
    unsigned char fill; /* its payload */
    unsigned place;     /* before which frame of the answer */
};

enum { BEFORE_SETTINGS, AFTER_SETTINGS, BEFORE_HEAD, AFTER_HEAD, IN_BODY, AFTER_END, N_PLACES };

static const size_t places[N_PLACES] = {0, 9, 18, 28, 42, 56};

static bool is_idle(const struct odd_frame *frame)
{
    return frame->id > 1;
}

/* The content of a frame of stream 1 that may be padded, or -1. */
static int unpadded(const struct odd_frame *frame)
{
    if ((frame->flags & PADDED) == 0) {
        return (int)frame->len;
    }
    return frame->len < 1u + frame->fill ? -1 : (int)frame->len - 1 - (int)frame->fill;
}

static uint64_t outcome_of_data(const struct odd_frame *frame)
{
    return frame->id == 1 && frame->place >= AFTER_HEAD && unpadded(frame) >= 0 ? WELL : WRONG;
}

/* Empty trailers are fine; what else its bytes say is no header that one may send, which nghttp2
 * either leaves out or refuses. */
static uint64_t outcome_of_headers(const struct odd_frame *frame)
{
    bool ends = (frame->flags & END_STREAM) != 0 && (frame->flags & END_HEADERS) != 0;

    if (frame->id != 1 || frame->place < AFTER_HEAD || !ends || unpadded(frame) < 0) {
        return WRONG;
    }
    return frame->len == 0 ? WELL : WELL | WRONG;
}

static uint64_t outcome_of_settings(const struct odd_frame *frame)
{
    if (frame->id != 0 || frame->len % 6 != 0 || (frame->flags & ACK & (frame->len > 0))) {
        return WRONG;
    }
    if ((frame->flags & ACK) != 0) { /* of nothing that was sent: nobody says what that is */
        return frame->place == BEFORE_SETTINGS ? WRONG : WELL | WRONG;
    }
    return WELL;
}

/* As RFC 9113 has it, sections 5.1 and 6. */
static uint64_t outcome_of_frame(const struct odd_frame *frame)
{
    if (frame->len > MOST || (frame->place == BEFORE_SETTINGS && frame->type != SETTINGS)) {
        return WRONG;
    }
    switch (frame->type) {
    case DATA:
        return outcome_of_data(frame);
    case HEADERS:
        return outcome_of_headers(frame);
    case PRIORITY:
        return frame->id != 0 && frame->len == 5 ? WELL : WRONG;
    case RST_STREAM:
        return frame->id == 1 && frame->len == 4 ? OF(OUTCOME_H2_STREAM_RESET) : WRONG;
    case SETTINGS:
        return outcome_of_settings(frame);
    case PING:
        return frame->id == 0 && frame->len == 8 ? WELL : WRONG;
    case GOAWAY:
        return frame->id != 0 || frame->len < 8 ? WRONG
               : frame->fill == 0               ? OF(OUTCOME_H2_GOAWAY)
                                                : WELL;
    case WINDOW_UPDATE:
        return !is_idle(frame) && frame->len == 4 && frame->fill > 0 ? WELL : WRONG;
    case PUSH_PROMISE:
    case CONTINUATION:
        return WRONG;
    default:
        return WELL; /* unknown: left out (section 5.5) */
    }
}

static char *put_frame(char *to, const struct odd_frame *frame)
{
    char head[9] = {(char)(frame->len >> 16),
                    (char)(frame->len >> 8),
                    (char)frame->len,
                    (char)frame->type,
                    (char)frame->flags,
                    0,
                    0,
                    0,
                    (char)frame->id};

    memcpy(to, head, sizeof head);
    memset(to + sizeof head, frame->fill, frame->len);
    return to + sizeof head + frame->len;
}

static void add_frame(struct fault_row *row, const struct odd_frame *frame, char *bytes)
{
    struct fault *fault = row_answer(row, &good_answers[3], 0);

    fault->extra_at = places[frame->place];
    fault->extra = bytes;
    fault->extra_len = (size_t)(put_frame(bytes, frame) - bytes);
    fault->expect = frame->place == AFTER_END ? WELL : outcome_of_frame(frame);
    (void)snprintf(fault->name, sizeof fault->name,
                   "type %u, flags 0x%02x, stream %u, %zu bytes of %u, place %u", frame->type,
                   frame->flags, frame->id, frame->len, frame->fill, frame->place);
}

/* Of all ways to put these together, one in so many: a number that divides none of them. */
#define ONE_IN 11

static void test_every_frame_at_every_time(void **state)
{
    static const unsigned types[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 99};
    static const unsigned flags[] = {0, END_STREAM, END_STREAM | END_HEADERS, PADDED, 0xff};
    static const size_t lengths[] = {0, 1, 4, 5, 6, 8, 9, MOST, MOST + 1};
    const size_t n = 12 * 5 * 9 * 4 * 2 * N_PLACES;
    struct fault_row row = {.n = 0};
    char *bytes = xmalloc(n / ONE_IN * 5000), *at = bytes;

    (void)state;
    for (size_t k = 0; k < n; k += ONE_IN) {
        struct odd_frame frame = {.type = types[k % 12],
                                  .flags = flags[k / 12 % 5],
                                  .len = lengths[k / 60 % 9],
                                  .id = (unsigned)(k / 540 % 4),
                                  .fill = (unsigned char)(k / 2160 % 2),
                                  .place = (unsigned)(k / 4320)};

        add_frame(&row, &frame, at);
        at += 9 + frame.len;
    }
    row_good(&row);
    row_meet(&row);
    row_clear(&row);
    free(bytes);
}

/* A byte of a good answer is another one. */
static void test_every_byte_another(void **state)
{
    struct fault_row row = {.deadline_ns = DEADLINE_NS};
    static char texts[200][128];
    struct rng rng;
    unsigned n = 0;

    (void)state;
    rng_init(&rng, 1, "another", 2);
    for (size_t i = 3; i < N_GOOD_ANSWERS; i++) {
        for (size_t at = 0; at < good_answers[i].len && n < 200; at++, n++) {
            struct fault *fault = row_answer(&row, &good_answers[i], 0);

            memcpy(texts[n], fault->bytes, fault->len);
            texts[n][at] = (char)(texts[n][at] ^ (char)(1 + rng_below(&rng, 255)));
            fault->bytes = texts[n];
            (void)snprintf(fault->name, sizeof fault->name, "%s, byte %zu is 0x%02x",
                           good_answers[i].name, at, (unsigned char)texts[n][at]);
            fault->expect = WELL | WRONG | LIMIT | LATE | SILENT | OF(OUTCOME_HTTP_CLOSED) |
                            OF(OUTCOME_HTTP_TRUNCATED) | OF(OUTCOME_H2_GOAWAY) |
                            OF(OUTCOME_H2_STREAM_RESET);
        }
    }
    row_good(&row);
    row_meet(&row);
    row_clear(&row);
}

/* Without end. */

#define BEGIN H2_SETTINGS H2_ACK

static const struct {
    const char *name, *text;
    size_t text_len;
    const char *again; /* NULL: a frame of 16 KiB of zeros with this head: */
    size_t again_len;
    const char *head;
    uint64_t expect, trickle;
} floods[] = {
#define SMALL(name, text, again, outcome, trickle)                                                 \
    {                                                                                              \
        name, text, sizeof(text) - 1, again, sizeof(again) - 1, NULL, outcome, trickle             \
    }
#define LARGE(name, text, head, outcome)                                                           \
    {                                                                                              \
        name, text, sizeof(text) - 1, NULL, 0, head, outcome, 0                                    \
    }
    SMALL("PING", BEGIN, "\0\0\x8\6\0\0\0\0\0abcdefgh", FLOOD, SILENT),
    SMALL("PING acknowledgements", BEGIN, "\0\0\x8\6\1\0\0\0\0abcdefgh", FLOOD, SILENT),
    SMALL("SETTINGS", BEGIN, "\0\0\0\4\0\0\0\0\0", FLOOD, SILENT),
    SMALL("SETTINGS that change", BEGIN, "\0\0\6\4\0\0\0\0\0\0\3\0\0\0\x64", FLOOD, SILENT),
    SMALL("table sizes", BEGIN, "\0\0\6\4\0\0\0\0\0\0\1\0\0\0\0", FLOOD, SILENT),
    SMALL("PRIORITY", BEGIN, "\0\0\5\2\0\0\0\0\1\0\0\0\0\0", FLOOD, SILENT),
    SMALL("PRIORITY of idle streams", BEGIN, "\0\0\5\2\0\0\0\0\5\0\0\0\0\0", FLOOD, SILENT),
    SMALL("WINDOW_UPDATE", BEGIN, "\0\0\4\x8\0\0\0\0\0\0\0\0\1", FLOOD, SILENT),
    SMALL("WINDOW_UPDATE of a stream", BEGIN, "\0\0\4\x8\0\0\0\0\1\0\0\0\1", FLOOD, SILENT),
    SMALL("unknown frames", BEGIN, "\0\0\0\x63\0\0\0\0\0", FLOOD, SILENT),
    SMALL("GOAWAY", BEGIN, "\0\0\x8\7\0\0\0\0\0\x7f\xff\xff\xff\0\0\0\0", FLOOD, SILENT),
    SMALL("103", BEGIN, "\0\0\5\1\4\0\0\0\1\x8\3\x31\x30\x33", LIMIT, LIMIT | LATE),
    SMALL("CONTINUATION", BEGIN "\0\0\1\1\0\0\0\0\1\x88", "\0\0\0\x9\0\0\0\0\1", FLOOD,
          FLOOD | LATE),
    SMALL("table size updates", BEGIN "\0\0\1\1\0\0\0\0\1\x88", "\0\0\1\x9\0\0\0\0\1\x20",
          FLOOD | PROTOCOL, FLOOD | PROTOCOL | LATE),
    SMALL("DATA without content", BEGIN H2_HEAD, "\0\0\0\0\0\0\0\0\1", FLOOD, LATE),
    SMALL("DATA of padding alone", BEGIN H2_HEAD, "\0\0\2\0\x8\0\0\0\1\1\0", FLOOD, LATE),
    SMALL("DATA of one byte", BEGIN H2_HEAD, "\0\0\1\0\0\0\0\0\1x", LATE, LATE),
    SMALL("DATA after the end", BEGIN H2_HEAD H2_END, "\0\0\1\0\0\0\0\0\1x", WELL, WELL),
    SMALL("HEADERS after the end", BEGIN H2_HEAD H2_END, "\0\0\1\1\4\0\0\0\1\x88", WELL, WELL),
    LARGE("DATA", BEGIN H2_HEAD, "\0\x40\0\0\0\0\0\0\1",
          LATE | OF(OUTCOME_H2_FLOW_CONTROL)), /* whatever its window is */
    LARGE("DATA before the head", BEGIN, "\0\x40\0\0\0\0\0\0\1", WRONG),
    LARGE("unknown content", BEGIN, "\0\x40\0\x63\0\0\0\0\1", FLOOD | SILENT),
    LARGE("SETTINGS with 2,730 entries", BEGIN, "\0\x3f\xfc\4\0\0\0\0\0", FLOOD),
};
enum { N_FLOODS = sizeof floods / sizeof *floods };

static size_t flood_bytes(unsigned i, char *to, size_t size)
{
    size_t n = 0, len = floods[i].again_len;

    if (floods[i].again == NULL) {
        len = (size_t)(unsigned char)floods[i].head[1] << 8 | (unsigned char)floods[i].head[2];
        memcpy(to, floods[i].head, 9);
        memset(to + 9, 0, len);
        return 9 + len;
    }
    for (; n + len <= size; n += len) {
        memcpy(to + n, floods[i].again, len);
    }
    return n;
}

static void serve_flood(struct fault_conn *conn)
{
    static _Thread_local char many[9 + MOST];
    size_t n = flood_bytes(conn->fault->code, many, 16000);

    if (fault_say(conn, conn->fault->bytes, conn->fault->len)) {
        while (fault_say(conn, many, n)) {
        }
    }
}

static void serve_trickle(struct fault_conn *conn)
{
    unsigned i = conn->fault->code;

    if (fault_say(conn, conn->fault->bytes, conn->fault->len)) {
        while (fault_say(conn, floods[i].again, floods[i].again_len)) {
            (void)poll(NULL, 0, 5);
        }
    }
}

static struct fault *add_flood(struct fault_row *row, unsigned i)
{
    struct fault *fault = row_add(row);

    (void)snprintf(fault->name, sizeof fault->name, "endless %s", floods[i].name);
    fault->h2 = true;
    fault->bytes = floods[i].text;
    fault->len = floods[i].text_len;
    fault->code = i;
    fault->end = FAULT_FIN;
    fault->serve = serve_flood;
    fault->expect = floods[i].expect;
    return fault;
}

static void test_floods(void **state)
{
    struct fault_row row = {.deadline_ns = 4 * DEADLINE_NS, .most_heap = FLOOD_HEAP};

    (void)state;
    row.n_seats = FLOOD_SEATS;
    for (unsigned i = 0; i < N_FLOODS; i++) {
        (void)add_flood(&row, i);
    }
    row_good(&row);
    row_meet(&row);
    row_clear(&row);
}

/* Slowly enough to look alive for ever. */
static void test_trickles(void **state)
{
    struct fault_row row = {.deadline_ns = DEADLINE_NS, .most_heap = FLOOD_HEAP};

    (void)state;
    row.n_seats = FLOOD_SEATS;
    for (unsigned i = 0; i < N_FLOODS; i++) {
        if (floods[i].again != NULL) {
            struct fault *fault = add_flood(&row, i);

            fault->serve = serve_trickle;
            fault->expect = floods[i].trickle;
        }
    }
    row_good(&row);
    row_meet(&row);
    row_clear(&row);
}

/* Header blocks that are small on the wire and large when they are read (RFC 7541, section 7.3):
 * an entry of 4,000 bytes in the table, and then 16,000 times its number. */
static void serve_hpack_bomb(struct fault_conn *conn)
{
    static _Thread_local char block[9 + MOST];
    size_t n = 9;

    memcpy(block + n, "\x88\x40\x01x\x7f\xa1\x1e", 7); /* x: 127 + 33 + 128 * 30 = 4,000 bytes */
    memset(block + n + 7, 'v', 4000);
    n += 4007;
    memset(block + n, 0xbe, sizeof block - n);
    n = sizeof block;
    memcpy(block, "\0\x40\0\1\0\0\0\0\1", 9);
    if (fault_say(conn, BEGIN, sizeof BEGIN - 1) && fault_say(conn, block, n)) {
        memset(block + 9, 0xbe, MOST);
        block[3] = CONTINUATION;
        while (fault_say(conn, block, n)) {
        }
    }
}

/* The same number of fields in blocks that end: each response is told, and its memory is free. */
static void serve_hpack_garbage(struct fault_conn *conn)
{
    static const char block[] = "\0\0\6\1\5\0\0\0\1\xff\xff\xff\xff\xff\xff";

    (void)(fault_say(conn, BEGIN, sizeof BEGIN - 1) && fault_say(conn, block, sizeof block - 1));
}

static void test_hpack(void **state)
{
    struct fault_row row = {.deadline_ns = 4 * DEADLINE_NS, .most_heap = FLOOD_HEAP};

    (void)state;
    row.n_seats = FLOOD_SEATS;
    for (unsigned i = 0; i < 2 * FLOOD_SEATS; i++) {
        struct fault *fault = row_add(&row);

        fault->h2 = true;
        fault->end = FAULT_FIN;
        fault->serve = i % 2 == 0 ? serve_hpack_bomb : serve_hpack_garbage;
        fault->expect = i % 2 == 0 ? LIMIT : PROTOCOL;
        (void)snprintf(fault->name, sizeof fault->name, "HPACK %s",
                       i % 2 == 0 ? "bomb" : "number without end");
    }
    row_good(&row);
    row_meet(&row);
    row_clear(&row);
}

/* The windows are the server's to open: it does not, or by too much, or the settings take them
 * away again. */
static void test_windows(void **state)
{
#define CLOSED_WINDOW "\0\0\6\4\0\0\0\0\0\0\4\0\0\0\0"
#define OPENED_WINDOW "\0\0\6\4\0\0\0\0\0\0\4\x7f\xff\xff\xff"
    static const struct {
        const char *name, *text;
        size_t len;
        uint64_t expect;
    } cases[] = {
        {"a window of 0", CLOSED_WINDOW H2_ACK, sizeof CLOSED_WINDOW + 8, SILENT},
        {"a window of 0, and a head", CLOSED_WINDOW H2_ACK H2_HEAD, sizeof CLOSED_WINDOW + 18,
         LATE},
        {"a window of 0, and an answer", CLOSED_WINDOW H2_ACK H2_HEAD H2_END,
         sizeof CLOSED_WINDOW + 32, WELL},
        {"open, and closed", OPENED_WINDOW CLOSED_WINDOW H2_ACK, 2 * sizeof CLOSED_WINDOW + 7,
         SILENT},
        {"the window of 64 KiB of a connection", OPENED_WINDOW H2_ACK, sizeof CLOSED_WINDOW + 8,
         SILENT},
        {"the window of a stream beyond 2^31",
         OPENED_WINDOW H2_ACK "\0\0\4\x8\0\0\0\0\1\x7f\xff\xff\xff", sizeof CLOSED_WINDOW + 21,
         OF(OUTCOME_H2_FLOW_CONTROL)},
        {"the window of a connection beyond 2^31",
         OPENED_WINDOW H2_ACK "\0\0\4\x8\0\0\0\0\0\x7f\xff\xff\xff"
                              "\0\0\4\x8\0\0\0\0\0\x7f\xff\xff\xff",
         sizeof CLOSED_WINDOW + 34, OF(OUTCOME_H2_FLOW_CONTROL)},
    };
    struct fault_row row = {.deadline_ns = DEADLINE_NS, .method = "POST", .body_len = 16 << 20};
    char *body = xcalloc(1, row.body_len);

    (void)state;
    row.body = body;
    row.most_heap = FLOOD_HEAP;
    row.n_seats = FLOOD_SEATS;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct fault *fault = row_add(&row);

        fault->h2 = true;
        fault->bytes = cases[i].text;
        fault->len = cases[i].len;
        fault->end = FAULT_STALL;
        fault->expect = cases[i].expect;
        (void)snprintf(fault->name, sizeof fault->name, "%s", cases[i].name);
    }
    row_meet(&row);
    row_clear(&row);
    free(body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_frame_at_every_time),
        cmocka_unit_test(test_every_byte_another),
        cmocka_unit_test(test_floods),
        cmocka_unit_test(test_trickles),
        cmocka_unit_test(test_hpack),
        cmocka_unit_test(test_windows),
    };

    return cmocka_run_group_tests(tests, fault_setup, fault_teardown);
}
