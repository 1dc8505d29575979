#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/rng.h"
#include "base/str.h"
#include "record/hlog.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#define SECOND 1000000000ULL

#define GOLDEN   TEST_DATA "/hlog/java.hlog"
#define EXPECTED TEST_DATA "/hlog/java.expected"
#define N_GOLDEN 4

static char dir[] = "/tmp/tlsoak-hlog-XXXXXX";
static char path[64];

static int make_dir(void **state)
{
    (void)state;
    if (mkdtemp(dir) == NULL) {
        return -1;
    }
    (void)snprintf(path, sizeof path, "%s/test.hlog", dir);
    return 0;
}

static int remove_dir(void **state)
{
    (void)state;
    return rmdir(dir);
}

static int remove_log(void **state)
{
    (void)state;
    (void)unlink(path);
    return 0;
}

static struct hist *new_hist(void)
{
    struct hist *hist = xmalloc(sizeof *hist);

    hist_init(hist);
    return hist;
}

/* What Golden.java, beside the log, recorded: a 64-bit LCG shifted to every magnitude. */
static uint64_t golden_value(uint64_t *x)
{
    *x = *x * 6364136223846793005ULL + 1442695040888963407ULL;
    uint64_t value = (*x >> 22 & 0x3ffffffffffULL) >> (*x >> 8) % 42;

    return value < HIST_MAX_NS ? value : HIST_MAX_NS;
}

static void fill_golden(struct hist *hist, int interval, uint64_t *x)
{
    hist_clear(hist);
    if (interval == N_GOLDEN - 1) {
        hist_record(hist, HIST_MAX_NS);
        return;
    }
    for (int i = 0; i < 2000; i++) {
        hist_record(hist, golden_value(x));
    }
}

static void load_or_fail(const char *from, struct hist *total, int *torn)
{
    struct diag *diag = diag_new();

    if (!hlog_load(from, NULL, total, torn, diag)) {
        fail_msg("%s", diag_text(diag, 0));
    }
    diag_free(diag);
}

/* Written by the Java library; percentiles by the Java library. */
static void test_reads_what_java_wrote(void **state)
{
    (void)state;
    CLEANUP_FREE char *text = file_read(EXPECTED, 4096, NULL);
    struct hist *total = new_hist(), *mine = new_hist(), *part = new_hist();
    int torn = 0, n_checked = 0;
    uint64_t x = 1;

    assert_non_null(text);
    load_or_fail(GOLDEN, total, &torn);
    assert_int_equal(torn, 0);
    for (char *rest = text, *line; (line = strsep(&rest, "\n")) != NULL && *line != '\0';) {
        char *space = strchr(line, ' ');
        uint64_t expected;
        double percent;
        assert_non_null(space);
        *space = '\0';
        assert_true(str_to_u64(space + 1, &expected));
        if (str_equal(line, "n")) {
            assert_int_equal(total->n, expected);
        } else if (str_equal(line, "max")) {
            assert_int_equal(total->max_ns, expected);
        } else {
            assert_true(str_to_double(line + 1, &percent));
            assert_int_equal(hist_quantile(total, percent / 100), expected);
        }
        n_checked++;
    }
    assert_int_equal(n_checked, 13);
    for (int i = 0; i < N_GOLDEN; i++) {
        fill_golden(part, i, &x);
        hist_add(mine, part);
    }
    assert_memory_equal(total->slots, mine->slots, sizeof mine->slots);
    free(total);
    free(mine);
    free(part);
}

static char *payload_of(char **rest)
{
    for (char *line; (line = strsep(rest, "\n")) != NULL;) {
        if (*line >= '0' && *line <= '9') {
            return strrchr(line, ',') + 1;
        }
    }
    return NULL;
}

/* The histogram under base64 and zlib, with nothing of ours; returns its length. */
static size_t unpack(const char *base64, uint8_t *to, size_t size)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    uint8_t packed[16384];
    size_t n = 0;
    uint32_t bits = 0;

    for (size_t i = 0; base64[i] != '\0'; i++) {
        const char *digit = strchr(digits, base64[i]);
        bits = bits << 6 | (digit != NULL ? (uint32_t)(digit - digits) : 0);
        if (i % 4 == 3) {
            assert_true(n + 3 <= sizeof packed);
            packed[n++] = (uint8_t)(bits >> 16);
            packed[n++] = (uint8_t)(bits >> 8);
            packed[n++] = (uint8_t)bits;
        }
    }
    uLongf len = size;
    assert_memory_equal(packed, "\x1c\x84\x93\x14", 4);
    assert_int_equal(uncompress(to, &len, packed + 8, n - 8), Z_OK);
    return len;
}

/* Under the compression, which may differ between versions of zlib, our bytes are Java's. */
static void test_writes_what_java_writes(void **state)
{
    (void)state;
    struct hlog *hlog = hlog_create(path, 1795206298.123);
    struct hist *part = new_hist();
    static uint8_t a[HLOG_ENCODED_BYTES], b[HLOG_ENCODED_BYTES];
    uint64_t x = 1;

    assert_non_null(hlog);
    for (int i = 0; i < N_GOLDEN; i++) {
        fill_golden(part, i, &x);
        assert_true(hlog_append(hlog, (uint64_t)i * SECOND, (uint64_t)(i + 1) * SECOND, part));
    }
    hlog_close(hlog);
    CLEANUP_FREE char *ours = file_read(path, 1 << 20, NULL);
    CLEANUP_FREE char *java = file_read(GOLDEN, 1 << 20, NULL);
    assert_non_null(strstr(ours, "#[Histogram log format version 1.3]\n"
                                 "#[StartTime: 1795206298.123 (seconds since epoch), "
                                 "Fri Nov 20 20:24:58 UTC 2026]\n"
                                 "#[BaseTime: 1795206298.123 (seconds since epoch)]\n"
                                 "\"StartTimestamp\",\"Interval_Length\",\"Interval_Max\","
                                 "\"Interval_Compressed_Histogram\"\n"
                                 "0.000,1.000,"));
    assert_non_null(strstr(ours, "\n3.000,1.000,3600000.000000,HISTFAAA"));
    char *ours_rest = ours, *java_rest = java;
    for (int i = 0; i < N_GOLDEN; i++) {
        size_t len = unpack(payload_of(&ours_rest), a, sizeof a);
        assert_int_equal(len, unpack(payload_of(&java_rest), b, sizeof b));
        assert_memory_equal(a, b, len);
    }
    assert_null(payload_of(&ours_rest));
    free(part);
}

static void test_round_trip(void **state)
{
    (void)state;
    struct hist *part = new_hist(), *whole = new_hist(), *total = new_hist();
    struct hlog *hlog = hlog_create(path, 0);
    struct rng rng;
    int torn = 0;

    rng_init(&rng, 5, "hlog", 0);
    for (uint64_t i = 0; i < 40; i++) {
        hist_clear(part);
        for (uint64_t n = rng_below(&rng, 300); n > 0; n--) {
            uint64_t value = golden_value(&rng.s[0]);
            uint32_t slot = hist_slot(value);
            /* Counts of every length of the encoding, empty intervals too. */
            uint64_t count = rng_u64(&rng) >> (8 + rng_below(&rng, 56));
            hist_record(part, value);
            part->slots[slot] += count;
            part->n += count;
        }
        assert_true(hlog_append(hlog, i * SECOND, (i + 1) * SECOND, part));
        hist_add(whole, part);
    }
    hlog_close(hlog);
    load_or_fail(path, total, &torn);
    assert_int_equal(torn, 0);
    assert_int_equal(total->n, whole->n);
    assert_int_equal(total->max_ns, whole->max_ns);
    assert_int_equal(total->first, whole->first);
    assert_int_equal(total->last, whole->last);
    assert_memory_equal(total->slots, whole->slots, sizeof whole->slots);
    free(part);
    free(whole);
    free(total);
}

/* The encoding's nine-byte numbers: the ninth byte has eight bits. */
static void test_the_largest_counts(void **state)
{
    (void)state;
    static const uint64_t counts[] = {1ULL << 55, (1ULL << 55) - 1, 1ULL << 62, INT64_MAX};

    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        struct hist *part = new_hist(), *total = new_hist();
        struct hlog *hlog = hlog_create(path, 0);
        int torn = 0;
        hist_record(part, 5);
        hist_record(part, 7000000);
        part->slots[5] = counts[i];
        part->n = counts[i] + 1;
        assert_true(hlog_append(hlog, 0, SECOND, part));
        hlog_close(hlog);
        load_or_fail(path, total, &torn);
        assert_true(total->n == part->n);
        assert_memory_equal(total->slots, part->slots, sizeof part->slots);
        (void)unlink(path);
        free(part);
        free(total);
    }
}

static void write_text(const char *text, size_t len)
{
    (void)unlink(path);
    assert_true(file_write(path, text, len, 0600));
}

/* However much of the last line is missing, the lines before are read. */
static void test_torn_last_line_is_dropped(void **state)
{
    (void)state;
    size_t len;
    CLEANUP_FREE char *text = file_read(GOLDEN, 1 << 20, &len);
    struct hist *total = new_hist();
    size_t last = len - 1;

    while (text[last - 1] != '\n') {
        last--;
    }
    for (size_t cut = last; cut < len; cut++) {
        int torn = 0;
        write_text(text, cut);
        hist_clear(total);
        load_or_fail(path, total, &torn);
        assert_int_equal(torn, cut > last);
        assert_int_equal(total->n, 6000);
    }
    free(total);
}

static void assert_refused(const char *expected)
{
    struct hist *total = new_hist();
    struct diag *diag = diag_new();
    int torn = 0;

    assert_false(hlog_load(path, NULL, total, &torn, diag));
    assert_int_equal(diag_count(diag), 1);
    if (strstr(diag_text(diag, 0), expected) == NULL) {
        fail_msg("\"%s\" does not say \"%s\"", diag_text(diag, 0), expected);
    }
    diag_free(diag);
    free(total);
}

static void put_be(uint8_t *p, uint64_t value, int n_bytes)
{
    for (int i = 0; i < n_bytes; i++) {
        p[i] = (uint8_t)(value >> 8 * (n_bytes - 1 - i));
    }
}

/* Writes a log of one line around `encoded`, compressed and in base64. */
static void write_encoded(const uint8_t *encoded, size_t len)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    uLongf packed_len = compressBound(len);
    CLEANUP_FREE uint8_t *packed = xcalloc(packed_len + 16, 1);
    CLEANUP_FREE char *text = xcalloc(packed_len * 2 + 64, 1);
    char *p = text + snprintf(text, 64, "0.000,1.000,1.000,");

    assert_int_equal(compress(packed + 8, &packed_len, encoded, len), Z_OK);
    put_be(packed, HLOG_COMPRESSED_COOKIE, 4);
    while ((8 + packed_len) % 3 != 0) {
        packed_len++; /* zeros behind the stream, instead of padding */
    }
    put_be(packed + 4, packed_len, 4);
    for (size_t i = 0; i < 8 + packed_len; i += 3) {
        uint32_t group = (uint32_t)packed[i] << 16 | (uint32_t)packed[i + 1] << 8 | packed[i + 2];
        for (int shift = 18; shift >= 0; shift -= 6) {
            *p++ = digits[group >> shift & 63];
        }
    }
    *p++ = '\n';
    write_text(text, (size_t)(p - text));
}

/* The head of a histogram of our geometry. */
static size_t put_head(uint8_t *p, size_t payload_len)
{
    put_be(p, HLOG_COOKIE, 4);
    put_be(p + 4, payload_len, 4);
    put_be(p + 8, 0, 4);
    put_be(p + 12, 3, 4);
    put_be(p + 16, 1, 8);
    put_be(p + 24, HIST_MAX_NS, 8);
    put_be(p + 32, 0x3ff0000000000000, 8);
    return HLOG_HEADER_BYTES;
}

static void test_other_geometry_is_refused(void **state)
{
    (void)state;
    uint8_t encoded[64] = {0};
    static const struct {
        int at, n_bytes;
        uint64_t value;
    } changes[] = {{12, 4, 2}, {16, 8, 1000}, {24, 8, 60000000000}, {8, 4, 5}};

    encoded[put_head(encoded, 1)] = 2; /* one value of 0 ns */
    write_encoded(encoded, HLOG_HEADER_BYTES + 1);
    struct hist *total = new_hist();
    int torn = 0;
    load_or_fail(path, total, &torn);
    assert_int_equal(total->n, 1);
    free(total);
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        (void)put_head(encoded, 1);
        put_be(encoded + changes[i].at, changes[i].value, changes[i].n_bytes);
        write_encoded(encoded, HLOG_HEADER_BYTES + 1);
        assert_refused("another range or precision");
    }
}

static void test_hostile_histograms_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t len;
    } payloads[] = {
        {"\x80", 1},                                 /* cut inside a number */
        {"\xff\xff\xff\xff\xff\xff\xff\xff\xff", 9}, /* a run of 2^63 zeros */
        {"\x81\x90\x04", 3},                         /* zeros beyond the last slot */
        {"\xbf\xb8\x02\xbf\xb8\x02", 6},             /* twice 20,000 zeros */
        {"\xfe\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff\xff\xff\xff\xff\xff"
         "\xfe\xff\xff\xff\xff\xff\xff\xff\xff",
         27}, /* counts whose sum does not fit */
    };
    uint8_t encoded[128];

    for (size_t i = 0; i < sizeof payloads / sizeof *payloads; i++) {
        size_t head = put_head(encoded, payloads[i].len);
        memcpy(encoded + head, payloads[i].bytes, payloads[i].len);
        write_encoded(encoded, head + payloads[i].len);
        assert_refused("a damaged histogram");
    }
    (void)put_head(encoded, 77); /* a length that is not there */
    write_encoded(encoded, HLOG_HEADER_BYTES + 1);
    assert_refused("a damaged histogram");

    size_t bomb_len = 64u << 20;
    uint8_t *bomb = xcalloc(bomb_len, 1);
    (void)put_head(bomb, bomb_len - HLOG_HEADER_BYTES);
    write_encoded(bomb, bomb_len);
    free(bomb);
    assert_refused("a damaged histogram");
}

static void test_hostile_text_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text, *expected;
    } texts[] = {
        {"hello\n", ":1: not an interval"},
        {"#[x]\n\n", ":2: not an interval"},
        {"Tag=a,0.0,1.0,1.0,HISTFAAA\n", "not an interval"},
        {"0.0,1.0,nan,HISTFAAA\n", "not an interval"},
        {"0.0,1.0,1.0,\n", "not base64"},
        {"0.0,1.0,1.0,HISTFA\n", "not base64"},
        {"0.0,1.0,1.0,====\n", "not base64"},
        {"0.0,1.0,1.0,HI=TFAAA\n", "not base64"},
        {"0.0,1.0,1.0,HISTEwAAAAA=\n", "not a compressed histogram"},
        {"0.0,1.0,1.0,HIST\n", "not a compressed histogram"},
        {"0.0,1.0,1.0,HISTFAAAAAQAAAAA\n", "a damaged histogram"},
    };
    size_t len = 2u << 20;
    char *huge = xmalloc(len);

    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        write_text(texts[i].text, strlen(texts[i].text));
        assert_refused(texts[i].expected);
    }
    write_text("0.0,1.0\0,1.0,HIST\n", 18);
    assert_refused("too long");
    memset(huge, 'A', len);
    write_text(huge, len);
    assert_refused("too long");
    free(huge);
    (void)unlink(path);
    assert_refused("No such file");
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_refused("can't be read");
}

static void test_a_log_is_never_overwritten(void **state)
{
    (void)state;
    write_text("precious\n", 9);
    assert_null(hlog_create(path, 0));
    assert_int_equal(errno, EEXIST);
}

/* A line of which the disk takes only a part leaves the log as it was. */
static void test_short_write_is_cut_off(void **state)
{
    (void)state;
    struct hlog *hlog = hlog_create(path, 0);
    struct hist *part = new_hist(), *total = new_hist();
    struct rlimit old, small;
    uint64_t x = 1;
    int torn = 0;

    fill_golden(part, 0, &x);
    assert_true(hlog_append(hlog, 0, SECOND, part));
    (void)signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    small = old;
    small.rlim_cur = 4000; /* one line is about 2.5 kB */
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    bool ok = hlog_append(hlog, SECOND, 2 * SECOND, part);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    assert_false(ok);
    assert_true(hlog_append(hlog, SECOND, 3 * SECOND, part));
    hlog_close(hlog);
    load_or_fail(path, total, &torn);
    assert_int_equal(torn, 0);
    assert_int_equal(total->n, 4000);
    free(part);
    free(total);
}

#define TEST(name) cmocka_unit_test_teardown(name, remove_log)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reads_what_java_wrote),
        TEST(test_writes_what_java_writes),
        TEST(test_round_trip),
        TEST(test_the_largest_counts),
        TEST(test_torn_last_line_is_dropped),
        TEST(test_other_geometry_is_refused),
        TEST(test_hostile_histograms_are_refused),
        TEST(test_hostile_text_is_refused),
        TEST(test_a_log_is_never_overwritten),
        TEST(test_short_write_is_cut_off),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
