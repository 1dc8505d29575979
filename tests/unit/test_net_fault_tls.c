/* TLS that is wrong: before it begins, instead of each flight, and after the handshake in records
 * that are forged. */
#include "fault_forge.h"

#define DEADLINE_NS (100 * NS_PER_MS)
#define FLOOD_SEATS 6
#define FLOOD_HEAP  (FLOOD_SEATS * 512 * 1024) /* both ends */

#define NOT_TLS        OF(OUTCOME_NOT_TLS)
#define TLS_WRONG      OF(OUTCOME_TLS_ERROR)
#define LATE_HANDSHAKE OF(OUTCOME_TIMEOUT_HANDSHAKE)
#define LATE_ANSWER    OF(OUTCOME_TIMEOUT_FIRST_BYTE)
#define WELL           OF(OUTCOME_OK)
#define TEXT(text)     (text), sizeof(text) - 1

/* Instead of TLS. */

static void read_hello(struct fault_conn *conn)
{
    char hello[4096];

    (void)!recv(conn->fd, hello, sizeof hello, 0);
}

static void raw_bytes(struct fault_conn *conn)
{
    read_hello(conn);
    (void)fault_send(conn, conn->fault->bytes, conn->fault->len);
}

/* At once, before the client has said anything. */
static void raw_at_once(struct fault_conn *conn)
{
    (void)fault_send(conn, conn->fault->bytes, conn->fault->len);
}

/* First the bytes, then `extra` without end. */
static void raw_endless(struct fault_conn *conn)
{
    static _Thread_local char many[16000];
    const struct fault *fault = conn->fault;
    size_t n = 0;

    for (; n + fault->extra_len <= sizeof many; n += fault->extra_len) {
        memcpy(many + n, fault->extra, fault->extra_len);
    }
    read_hello(conn);
    if (fault_send(conn, fault->bytes, fault->len)) {
        while (fault_send(conn, many, n)) {
        }
    }
}

static void test_at_accept(void **state)
{
    struct fault_row row = {.deadline_ns = DEADLINE_NS};

    (void)state;
    for (unsigned i = 0; i < 3 * FAULT_END_COUNT; i++) {
        static const char *const first[] = {"", "\x16", "\x16\3\3\1\0\2"};
        struct fault *fault = row_add(&row);

        fault->end = (enum fault_end)(i % FAULT_END_COUNT);
        fault->bytes = first[i / FAULT_END_COUNT];
        fault->len = strlen(fault->bytes);
        fault->raw = raw_at_once;
        (void)snprintf(fault->name, sizeof fault->name, "%zu bytes at once, %s", fault->len,
                       fault_end_names[fault->end]);
        fault->expect = fault->end == FAULT_STALL   ? LATE_HANDSHAKE
                        : fault->end == FAULT_RESET ? OF(OUTCOME_DIAL_RESET) | OF(OUTCOME_TLS_RESET)
                                                    : OF(OUTCOME_TLS_CLOSED);
    }
    row_good(&row);
    row_meet(&row);
    row_clear(&row);
}

#define ALERT(level, code) "\x15\3\3\0\2" level code

static const struct {
    const char *name, *text;
    size_t len;
    uint64_t expect;
} flights[] = {
    {"HTTP", TEXT("HTTP/1.1 400 Bad Request\r\n\r\n"), NOT_TLS},
    {"SSH", TEXT("SSH-2.0-OpenSSH_9.2\r\n"), NOT_TLS},
    {"zeros", TEXT("\0\0\0\0\0\0\0\0"), NOT_TLS},
    {"SSL 2", TEXT("\x80\x2e\1\0\2\0\x15\0\0\0\x10"), NOT_TLS},
    {"a record of no known version", TEXT("\x16\7\7\0\5hello"), NOT_TLS | TLS_WRONG},
    {"a record of no known type", TEXT("\x63\3\3\0\5hello"), NOT_TLS},
    {"a record without content", TEXT("\x16\3\3\0\0"), LATE_HANDSHAKE | TLS_WRONG},
    {"a record that is too long", TEXT("\x16\3\3\xff\xffhello"), TLS_WRONG},
    {"a record that does not end", TEXT("\x16\3\3\x40\0\2\0\0\x46"), LATE_HANDSHAKE},
    {"a message that does not end", TEXT("\x16\3\3\0\4\2\0\1\0"), LATE_HANDSHAKE},
    {"a message of 16 MB", TEXT("\x16\3\3\0\4\2\xff\xff\xff"), TLS_WRONG},
    {"a ServerHello without content", TEXT("\x16\3\3\0\4\2\0\0\0"), TLS_WRONG},
    {"a Finished", TEXT("\x16\3\3\0\x10\x14\0\0\x0c\1\2\3\4\5\6\7\x8\x9\xa\xb\xc"), TLS_WRONG},
    {"a ClientHello", TEXT("\x16\3\3\0\4\1\0\0\0"), TLS_WRONG},
    {"a HelloRequest", TEXT("\x16\3\3\0\4\0\0\0\0"), LATE_HANDSHAKE | TLS_WRONG},
    {"a message of no known type", TEXT("\x16\3\3\0\4\x63\0\0\0"), TLS_WRONG},
    {"application data", TEXT("\x17\3\3\0\5hello"), TLS_WRONG},
    {"a ChangeCipherSpec", TEXT("\x14\3\3\0\1\1"), TLS_WRONG | LATE_HANDSHAKE},
    {"a ChangeCipherSpec of another kind", TEXT("\x14\3\3\0\1\2"), TLS_WRONG},
    {"half an alert", TEXT("\x15\3\3\0\1\2"), TLS_WRONG},
    {"an alert of no known level", TEXT(ALERT("\7", "\x28")), TLS_WRONG},
    {"a warning", TEXT(ALERT("\1", "\x5a")), LATE_HANDSHAKE | TLS_WRONG},
    {"close_notify", TEXT(ALERT("\1", "\0")), OF(OUTCOME_TLS_CLOSED)},
};

/* Whatever comes after the hello, and then either nothing more or the end. */
static void test_instead_of_a_flight(void **state)
{
    struct fault_row row = {.deadline_ns = DEADLINE_NS};

    (void)state;
    for (size_t i = 0; i < 2 * sizeof flights / sizeof *flights; i++) {
        struct fault *fault = row_add(&row);

        fault->end = i % 2 == 0 ? FAULT_STALL : FAULT_FIN;
        fault->bytes = flights[i / 2].text;
        fault->len = flights[i / 2].len;
        fault->raw = raw_bytes;
        fault->expect = flights[i / 2].expect;
        if (fault->end == FAULT_FIN && (fault->expect & LATE_HANDSHAKE) != 0) {
            fault->expect |= OF(OUTCOME_TLS_CLOSED);
            fault->expect &= ~LATE_HANDSHAKE;
        }
        (void)snprintf(fault->name, sizeof fault->name, "%s, %s", flights[i / 2].name,
                       fault_end_names[fault->end]);
    }
    row_good(&row);
    row_meet(&row);
    row_clear(&row);
}

/* Each of the 256, before the handshake in plain text and after it in either version. */
static void serve_alert(struct fault_conn *conn)
{
    (void)SSL_send_fatal_alert(conn->ssl, (uint8_t)conn->fault->code);
}

static void test_every_alert(void **state)
{
    static char texts[256][8];
    struct fault_row row = {.n = 0};

    (void)state;
    for (unsigned i = 0; i < 3 * 256; i++) {
        struct fault *fault = row_add(&row);
        unsigned code = i % 256, kind = i / 256;

        memcpy(texts[code], ALERT("\2", "\0"), 7);
        texts[code][6] = (char)code;
        fault->bytes = texts[code];
        fault->len = 7;
        fault->raw = kind == 0 ? raw_bytes : NULL;
        fault->serve = serve_alert;
        fault->h2 = code % 2 == 0;
        fault->version = kind == 1 ? TLS1_2_VERSION : TLS1_3_VERSION;
        fault->code = code;
        fault->end = FAULT_FIN;
        fault->expect = OF(outcome_from_alert((int)code));
        (void)snprintf(fault->name, sizeof fault->name, "alert %u, %s", code,
                       kind == 0   ? "for a hello"
                       : kind == 1 ? "after TLS 1.2"
                                   : "after TLS 1.3");
    }
    row_good(&row);
    row_meet(&row);
    row_clear(&row);
}

static void test_endless_before_the_handshake(void **state)
{
    static const struct {
        const char *name, *text;
        size_t len;
        const char *again;
        size_t again_len;
        uint64_t expect;
    } floods[] = {
        {"text", TEXT(""), TEXT("hello, world\r\n"), NOT_TLS},
        {"records without content", TEXT(""), TEXT("\x16\3\3\0\0"), TLS_WRONG},
        {"warnings", TEXT(""), TEXT(ALERT("\1", "\x5a")), TLS_WRONG},
        {"ChangeCipherSpecs", TEXT(""), TEXT("\x14\3\3\0\1\1"), TLS_WRONG},
        {"HelloRequests", TEXT(""), TEXT("\x16\3\3\0\4\0\0\0\0"), TLS_WRONG | LATE_HANDSHAKE},
        {"ServerHello", TEXT("\x16\3\3\0\4\2\0\xff\xff"), TEXT("\x16\3\3\0\5xxxxx"), TLS_WRONG},
        {"certificates", TEXT("\x16\3\3\0\4\xb\xff\xff\xff"), TEXT("\x16\3\3\0\5xxxxx"), TLS_WRONG},
    };
    struct fault_row row = {.deadline_ns = DEADLINE_NS, .most_heap = FLOOD_HEAP};

    (void)state;
    row.n_seats = FLOOD_SEATS;
    for (size_t i = 0; i < sizeof floods / sizeof *floods; i++) {
        struct fault *fault = row_add(&row);

        fault->bytes = floods[i].text;
        fault->len = floods[i].len;
        fault->extra = floods[i].again;
        fault->extra_len = floods[i].again_len;
        fault->raw = raw_endless;
        fault->end = FAULT_FIN;
        fault->expect = floods[i].expect;
        (void)snprintf(fault->name, sizeof fault->name, "endless %s", floods[i].name);
    }
    row_good(&row);
    row_meet(&row);
    row_clear(&row);
}

/* After the handshake, in records that are forged. */

enum { CHANGE = 20, ALERTING = 21, HANDSHAKE = 22, DATA_RECORD = 23 };

#define ANSWER "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
#define TICKET "\4\0\0\x13\0\0\0\x63\0\0\0\0\1\1\0\5hello\0\0"

static const struct {
    const char *name;
    unsigned char type;
    const char *content;
    size_t len;
    bool endless, answers;
    uint64_t expect;
} forged[] = {
    {"an answer", DATA_RECORD, TEXT(ANSWER), false, false, WELL},
    {"a ticket", HANDSHAKE, TEXT(TICKET), false, true, WELL},
    {"padding alone", 0, "", 0, false, false, TLS_WRONG},
    {"a record without content", DATA_RECORD, "", 0, false, true, WELL},
    {"an alert without content", ALERTING, "", 0, false, true, TLS_WRONG},
    {"half a handshake message", HANDSHAKE, TEXT("\4\0\0"), false, true, TLS_WRONG},
    {"half a handshake message, and silence", HANDSHAKE, TEXT("\4\0\0"), false, false, LATE_ANSWER},
    {"a message of 16 MB", HANDSHAKE, TEXT("\4\xff\xff\xff"), false, false, TLS_WRONG},
    {"a ticket of no meaning", HANDSHAKE, TEXT("\4\0\0\1x"), false, true, TLS_WRONG},
    {"a HelloRequest", HANDSHAKE, TEXT("\0\0\0\0"), false, true, TLS_WRONG},
    {"a ServerHello", HANDSHAKE, TEXT("\2\0\0\0"), false, true, TLS_WRONG},
    {"a certificate request", HANDSHAKE, TEXT("\xd\0\0\3\0\0\0"), false, true, TLS_WRONG},
    {"a Finished", HANDSHAKE, TEXT("\x14\0\0\0"), false, true, TLS_WRONG},
    {"a key update of no meaning", HANDSHAKE, TEXT("\x18\0\0\1\7"), false, true, TLS_WRONG},
    {"a key update, and the old keys", HANDSHAKE, TEXT("\x18\0\0\1\0"), false, true, TLS_WRONG},
    {"a ChangeCipherSpec", CHANGE, TEXT("\1"), false, true, TLS_WRONG},
    {"a record of no known type", 99, TEXT("hello"), false, true, TLS_WRONG},
    {"a warning", ALERTING, TEXT("\1\x5a"), false, true, WELL},
    {"another warning", ALERTING, TEXT("\1\x64"), false, true, TLS_WRONG | OF(OUTCOME_ALERT_OTHER)},
    {"two alerts in one", ALERTING, TEXT("\1\x5a\1\x5a"), false, true, TLS_WRONG},
    {"endless records without content", DATA_RECORD, "", 0, true, false, TLS_WRONG},
    {"endless warnings", ALERTING, TEXT("\1\x5a"), true, false, TLS_WRONG},
    {"endless tickets", HANDSHAKE, TEXT(TICKET), true, false, LATE_ANSWER | TLS_WRONG},
};
enum { N_FORGED = sizeof forged / sizeof *forged };

static void serve_forged(struct fault_conn *conn)
{
    unsigned i = conn->fault->code;
    struct forge forge = forge_open(conn);
    bool goes_on;

    do {
        goes_on = forge_record(conn, &forge, forged[i].type, forged[i].content, forged[i].len);
    } while (goes_on && forged[i].endless);
    if (forged[i].answers) {
        (void)forge_record(conn, &forge, DATA_RECORD, TEXT(ANSWER));
    }
    forge_close(&forge);
}

static void test_forged_records(void **state)
{
    struct fault_row row = {.deadline_ns = DEADLINE_NS, .most_heap = FLOOD_HEAP};

    (void)state;
    row.n_seats = FLOOD_SEATS;
    for (unsigned i = 0; i < N_FORGED; i++) {
        struct fault *fault = row_add(&row);

        fault->code = i;
        fault->serve = serve_forged;
        fault->end = FAULT_STALL;
        fault->expect = forged[i].expect;
        (void)snprintf(fault->name, sizeof fault->name, "%s", forged[i].name);
    }
    row_good(&row);
    row_meet(&row);
    row_clear(&row);
}

/* 2^14 bytes are allowed, and one more is not (RFC 8446, section 5.2). */
static void serve_length(struct fault_conn *conn)
{
    static _Thread_local char body[FORGE_MOST];
    struct forge forge = forge_open(conn);
    char head[80];
    int len = snprintf(head, sizeof head, "HTTP/1.1 200 OK\r\nContent-Length: %u\r\n\r\n",
                       conn->fault->code);

    (void)forge_record(conn, &forge, DATA_RECORD, head, (size_t)len);
    (void)forge_record(conn, &forge, DATA_RECORD, body, conn->fault->code);
    forge_close(&forge);
}

/* A sequence number twice, or one left out: what an attacker who repeats or drops records does. */
static void serve_sequence(struct fault_conn *conn)
{
    struct forge forge = forge_open(conn);

    (void)forge_record(conn, &forge, DATA_RECORD, ANSWER, 10);
    forge.seq += conn->fault->code == 0 ? UINT64_MAX : 1;
    (void)forge_record(conn, &forge, DATA_RECORD, TEXT(ANSWER));
    forge_close(&forge);
}

static void test_lengths_and_numbers(void **state)
{
    static const unsigned lengths[] = {16383, 16384, 16385, 16640, 17000};
    struct fault_row row = {.n = 0};

    (void)state;
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        struct fault *fault = row_add(&row);

        fault->code = lengths[i];
        fault->serve = serve_length;
        fault->expect = lengths[i] <= 16384 ? WELL : TLS_WRONG;
        (void)snprintf(fault->name, sizeof fault->name, "%u bytes in a record", lengths[i]);
    }
    for (unsigned i = 0; i < 2; i++) {
        struct fault *fault = row_add(&row);

        fault->code = i;
        fault->serve = serve_sequence;
        fault->expect = TLS_WRONG;
        (void)snprintf(fault->name, sizeof fault->name, "a record %s",
                       i == 0 ? "twice" : "left out");
    }
    row_good(&row);
    row_meet(&row);
    row_clear(&row);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_at_accept),      cmocka_unit_test(test_instead_of_a_flight),
        cmocka_unit_test(test_every_alert),    cmocka_unit_test(test_endless_before_the_handshake),
        cmocka_unit_test(test_forged_records), cmocka_unit_test(test_lengths_and_numbers),
    };

    return cmocka_run_group_tests(tests, fault_setup, fault_teardown);
}
