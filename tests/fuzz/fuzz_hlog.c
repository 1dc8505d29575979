/* Fuzzes histogram logs.  An input is a log as text; behind "C", the counts of one histogram, to
 * which header, compression and base64 are added here; behind "E", all of it but compression and
 * base64.  What was read is a histogram that keeps its promises, is written again as the same, and
 * is the same told interval by interval. */
#include "kit/fuzz.h"

#include "base/diag.h"
#include "base/mem.h"
#include "base/sink.h"
#include "record/hgrm.h"
#include "record/hlog.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <zlib.h>

static struct hist *total, *told, *again;

static void check_hist(const struct hist *hist)
{
    uint64_t n = 0;
    if (hist->n == 0) {
        return;
    }
    fuzz_require(hist->first <= hist->last && hist->last < HIST_SLOTS, "slots out of range");
    for (uint32_t i = 0; i < HIST_SLOTS; i++) {
        n += hist->slots[i];
        fuzz_require(hist->slots[i] == 0 || (i >= hist->first && i <= hist->last),
                     "a count outside of the range in use");
    }
    fuzz_require(n == hist->n, "counts were lost");
    fuzz_require(hist->min_ns <= hist->max_ns, "the least is more than the most");
    uint64_t before = 0;
    for (int i = 0; i <= 20; i++) {
        uint64_t value = hist_quantile(hist, i / 20.0);
        fuzz_require(value >= before && value <= hist->max_ns, "quantiles fall");
        before = value;
    }
    fuzz_require(hist_above(hist, hist->max_ns) == 0, "values are above the largest");
}

static void on_interval(double from_s, double to_s, const struct hist *hist, void *context)
{
    (void)context;
    fuzz_require(from_s >= 0 && to_s >= from_s, "an interval without time");
    check_hist(hist);
    hist_add(told, hist);
}

static bool load(const char *path, const struct hlog_listener *listener, struct hist *hist)
{
    struct diag *diag = diag_new();
    int torn = 0;
    hist_clear(hist);
    bool ok = hlog_load(path, listener, hist, &torn, diag);
    fuzz_require(ok == (diag_count(diag) == 0), "neither a log nor a mistake, or both");
    fuzz_require(torn == 0 || torn == 1, "torn more than once");
    diag_free(diag);
    return ok;
}

static void same_counts(const struct hist *a, const struct hist *b)
{
    fuzz_require(a->n == b->n && memcmp(a->slots, b->slots, sizeof a->slots) == 0,
                 "the counts are others");
}

/* Counts near the top of 64 bits can't be written: the format has 63. */
static void write_again(const struct hist *hist)
{
    CLEANUP_FREE char *path = xasprintf("%s/again.hlog", fuzz_dir());
    for (uint32_t i = 0; i < HIST_SLOTS; i++) {
        if (hist->slots[i] > INT64_MAX) {
            return;
        }
    }
    (void)unlink(path);
    struct hlog *log = hlog_create(path, 1795224702.125);
    fuzz_require(log != NULL && hlog_append(log, 0, 1000000000, hist), "it can't be written");
    hlog_close(log);
    fuzz_require(load(path, NULL, again), "what was written can't be read");
    same_counts(hist, again);
}

static void run_log(const char *path, bool *ret_ok)
{
    static const struct hlog_listener listener = {.interval = on_interval};
    *ret_ok = load(path, NULL, total);
    if (!*ret_ok) {
        return;
    }
    check_hist(total);
    hist_clear(told);
    fuzz_require(load(path, &listener, again), "it was read, and now can't be");
    same_counts(total, told);
    struct sink *sink = sink_new();
    if (total->n > 0) {
        hgrm_write(sink, total);
    }
    sink_free(sink);
    write_again(total);
}

static void put_be(unsigned char *to, uint64_t value, int n_bytes)
{
    for (int i = 0; i < n_bytes; i++) {
        to[i] = (unsigned char)(value >> (8 * (n_bytes - 1 - i)));
    }
}

static void put_base64(struct sink *sink, const unsigned char *bytes, size_t len)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < len; i += 3) {
        uint32_t group = 0;
        for (size_t j = 0; j < 3; j++) {
            group = group << 8 | (i + j < len ? bytes[i + j] : 0u);
        }
        for (size_t j = 0; j < 4; j++) {
            sink_printf(sink, "%c", i + j > len ? '=' : digits[group >> (18 - 6 * j) & 63]);
        }
    }
}

/* A log of one interval with these bytes compressed. */
static void put_line(struct sink *sink, const unsigned char *encoded, size_t len)
{
    uLongf size = compressBound(len);
    CLEANUP_FREE unsigned char *packed = xmalloc(size + 8);
    fuzz_require(compress(packed + 8, &size, encoded, len) == Z_OK, "no compression");
    put_be(packed, HLOG_COMPRESSED_COOKIE, 4);
    put_be(packed + 4, size, 4);
    sink_printf(sink, "#[Histogram log format version 1.3]\n0.000,1.000,12.345,");
    put_base64(sink, packed, size + 8);
    sink_printf(sink, "\n");
}

static void put_counts(struct sink *sink, const char *counts, size_t len)
{
    CLEANUP_FREE unsigned char *encoded = xcalloc(1, HLOG_HEADER_BYTES + len);
    put_be(encoded, HLOG_COOKIE, 4);
    put_be(encoded + 4, len, 4);
    put_be(encoded + 12, HLOG_DIGITS, 4);
    put_be(encoded + 16, 1, 8);
    put_be(encoded + 24, HIST_MAX_NS, 8);
    put_be(encoded + 32, 0x3ff0000000000000u, 8);
    memcpy(encoded + HLOG_HEADER_BYTES, counts, len);
    put_line(sink, encoded, HLOG_HEADER_BYTES + len);
}

static bool run(const char *bytes, size_t len)
{
    struct sink *log = sink_new();
    size_t log_len;
    bool ok;
    if (len > 0 && bytes[0] == 'C') {
        put_counts(log, bytes + 1, len - 1);
    } else if (len > 0 && bytes[0] == 'E') {
        put_line(log, (const unsigned char *)bytes + 1, len - 1);
    } else {
        sink_write(log, bytes, len);
    }
    const char *text = sink_text(log, &log_len);
    int fd = memfd_create("hlog", MFD_CLOEXEC);
    fuzz_require(fd >= 0 && write(fd, text, log_len) == (ssize_t)log_len, "no room for the input");
    CLEANUP_FREE char *path = xasprintf("/proc/self/fd/%d", fd);
    run_log(path, &ok);
    (void)close(fd);
    sink_free(log);
    return ok && total->n > 0;
}

static struct hist *new_hist(void)
{
    struct hist *hist = xcalloc(1, sizeof *hist);
    hist_init(hist);
    return hist;
}

static void start(void)
{
    total = new_hist();
    told = new_hist();
    again = new_hist();
}

static const char *const words[] = {
    "#",      "\"",
    ",",      "\n",
    "\r\n",   "0.000,1.000,1.000,",
    "1e308,", "nan,",
    "-1,",    "HISTFAAA",
    "==",     "=",
    "Tag=a,", "#[StartTime: 1795224702.125 (seconds since epoch)]\n",
    "C",      "E",
    "\x01",   "\x02",
    "\x7f",   "\x80",
    "\xff",   "\xff\xff\xff\xff\xff\xff\xff\xff\x7f",
    NULL};

const struct fuzz_target fuzz_target = {
    .name = "hlog",
    .about = "record/hlog.c record/hlog_load.c record/hist.c record/hgrm.c record/lines.c",
    .words = words,
    .start = start,
    .run = run,
};
