/* Good answers, byte for byte, and what a client must say when it gets only the beginning of one.
 */
#ifndef TESTS_FAULT_ANSWERS_H
#define TESTS_FAULT_ANSWERS_H

#include "fault_crowd.h"

/* Frames of HTTP/2. */
#define H2_SETTINGS "\0\0\0\4\0\0\0\0\0"
#define H2_ACK      "\0\0\0\4\1\0\0\0\0"
#define H2_HEAD     "\0\0\1\1\4\0\0\0\1\x88"     /* status 200 of stream 1 */
#define H2_BODY     "\0\0\5\0\0\0\0\0\1hello"    /* DATA */
#define H2_END      "\0\0\5\0\1\0\0\0\1hello"    /* DATA with END_STREAM */
#define H2_TRAILER  "\0\0\5\1\5\0\0\0\1\0\1x\1y" /* HEADERS with END_STREAM */

struct good_answer {
    const char *name;
    bool h2;
    const char *bytes;
    size_t len;
    size_t started; /* so many bytes begin the response */
    size_t whole;   /* so many make it whole */
    size_t closed;  /* with so many, close_notify makes it whole; 0: it never does */
};

#define BYTES(text)    .bytes = (text), .len = sizeof(text) - 1, .whole = sizeof(text) - 1
#define H2_STARTED     (2 * 9 + 9) /* the frame header of HEADERS */
#define H1_CLOSED_HEAD "HTTP/1.1 200 OK\r\nServer: x\r\n\r\n"

static const struct good_answer good_answers[] = {
    {.name = "http/1.1 content-length",
     .started = 1,
     BYTES("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")},
    {.name = "http/1.1 chunked",
     .started = 1,
     BYTES("HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\nHTTP/1.1 200 OK\r\n"
           "Transfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n0\r\nTrailer: t\r\n\r\n")},
    {.name = "http/1.1 until the close",
     .started = 1,
     .bytes = H1_CLOSED_HEAD "hello",
     .len = sizeof H1_CLOSED_HEAD - 1 + 5,
     .whole = SIZE_MAX,
     .closed = sizeof H1_CLOSED_HEAD - 1},
    {.name = "h2",
     .h2 = true,
     .started = H2_STARTED,
     BYTES(H2_SETTINGS H2_ACK H2_HEAD H2_BODY H2_END)},
    {.name = "h2 trailers",
     .h2 = true,
     .started = H2_STARTED,
     BYTES(H2_SETTINGS H2_ACK H2_HEAD H2_BODY H2_TRAILER)},
};
enum { N_GOOD_ANSWERS = sizeof good_answers / sizeof *good_answers };

/* After so many bytes of the answer and this end. */
static inline uint64_t outcome_of_beginning(const struct good_answer *answer, size_t n,
                                            enum fault_end end)
{
    bool started = n >= answer->started;

    if (n >= answer->whole && end == FAULT_RESET) { /* which may overtake what was sent before it */
        return OF(OUTCOME_OK) | OF(OUTCOME_HTTP_RESET);
    }
    if (n >= answer->whole || (end == FAULT_NOTIFY && answer->closed != 0 && n >= answer->closed)) {
        return OF(OUTCOME_OK);
    }
    switch (end) {
    case FAULT_RESET:
        return OF(OUTCOME_HTTP_RESET);
    case FAULT_STALL:
        return OF(started ? OUTCOME_TIMEOUT_EXCHANGE : OUTCOME_TIMEOUT_FIRST_BYTE);
    default:
        return OF(started ? OUTCOME_HTTP_TRUNCATED : OUTCOME_HTTP_CLOSED);
    }
}

static const char *const fault_end_names[FAULT_END_COUNT] = {[FAULT_NOTIFY] = "close_notify",
                                                             [FAULT_FIN] = "FIN",
                                                             [FAULT_RESET] = "RST",
                                                             [FAULT_STALL] = "stall"};

/* One that gives this answer, whole, and then closes. */
static inline struct fault *row_answer(struct fault_row *row, const struct good_answer *answer,
                                       uint16_t version)
{
    struct fault *fault = row_add(row);

    fault->h2 = answer->h2;
    fault->version = version;
    fault->bytes = answer->bytes;
    fault->len = answer->len;
    fault->end = FAULT_NOTIFY;
    fault->code = (unsigned)(answer - good_answers);
    fault->expect = OF(OUTCOME_OK);
    return fault;
}

/* What comes after all faults is served as if they had not been. */
static inline void row_good(struct fault_row *row)
{
    for (size_t i = 0; i < N_GOOD_ANSWERS; i++) {
        struct fault *fault = row_answer(row, &good_answers[i], 0);

        (void)snprintf(fault->name, sizeof fault->name, "%s, undamaged", good_answers[i].name);
    }
}

#endif
