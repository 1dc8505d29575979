#include "record/hlog.h"

#include "base/bug.h"
#include "base/mem.h"
#include "base/mono.h"
#include "base/sink.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <zlib.h>

#define HOUR_NS (3600 * NS_PER_S)

struct hlog {
    int fd;
    struct sink *line;
    z_stream deflate;
    uint8_t encoded[HLOG_ENCODED_BYTES];
    uint8_t compressed[8 + HLOG_COMPRESSED_MAX];
};

uint64_t hlog_period_ns(uint64_t duration_ns)
{
    return NS_PER_S * (duration_ns <= HOUR_NS ? 1 : duration_ns <= 24 * HOUR_NS ? 10 : 60);
}

static uint8_t *put_be(uint8_t *p, uint64_t value, int n_bytes)
{
    for (int shift = 8 * (n_bytes - 1); shift >= 0; shift -= 8) {
        *p++ = (uint8_t)(value >> shift);
    }
    return p;
}

/* ZigZag LEB128 of at most 9 bytes; the ninth carries 8 bits and no continuation. */
static uint8_t *put_zigzag(uint8_t *p, int64_t value)
{
    uint64_t bits = ((uint64_t)value << 1) ^ (uint64_t)(value >> 63);

    for (int i = 0; i < 8 && bits >= 0x80; i++) {
        *p++ = (uint8_t)(bits | 0x80);
        bits >>= 7;
    }
    *p++ = (uint8_t)bits;
    return p;
}

/* Counts from slot 0 to the last in use; a run of k > 1 empty slots is the number -k. */
static uint8_t *put_slots(uint8_t *p, const struct hist *hist)
{
    for (uint32_t i = 0; i <= hist->last;) {
        uint32_t zeros = 0;
        while (i + zeros < hist->last && hist->slots[i + zeros] == 0) {
            zeros++;
        }
        if (zeros > 1) {
            p = put_zigzag(p, -(int64_t)zeros);
            i += zeros;
        } else {
            p = put_zigzag(p, (int64_t)hist->slots[i++]);
        }
    }
    return p;
}

static size_t encode(uint8_t *to, const struct hist *hist)
{
    uint8_t *end = put_slots(to + HLOG_HEADER_BYTES, hist);
    uint8_t *p = put_be(to, HLOG_COOKIE, 4);

    p = put_be(p, (uint64_t)(end - to) - HLOG_HEADER_BYTES, 4);
    p = put_be(p, 0, 4); /* normalizing index offset */
    p = put_be(p, HLOG_DIGITS, 4);
    p = put_be(p, 1, 8);
    p = put_be(p, HIST_MAX_NS, 8);
    (void)put_be(p, 0x3ff0000000000000ULL, 8); /* conversion ratio: 1.0 as IEEE 754 */
    return (size_t)(end - to);
}

static size_t compress_encoded(struct hlog *hlog, size_t len)
{
    z_stream *z = &hlog->deflate;

    BUG_ON(deflateReset(z) != Z_OK);
    z->next_in = hlog->encoded;
    z->avail_in = (uInt)len;
    z->next_out = hlog->compressed + 8;
    z->avail_out = HLOG_COMPRESSED_MAX;
    BUG_ON(deflate(z, Z_FINISH) != Z_STREAM_END);
    (void)put_be(put_be(hlog->compressed, HLOG_COMPRESSED_COOKIE, 4), z->total_out, 4);
    return 8 + z->total_out;
}

static void put_base64(struct sink *sink, const uint8_t *bytes, size_t len)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

    for (size_t i = 0; i < len; i += 3) {
        size_t n = len - i < 3 ? len - i : 3;
        uint32_t group = (uint32_t)bytes[i] << 16;
        group |= n > 1 ? (uint32_t)bytes[i + 1] << 8 : 0;
        group |= n > 2 ? bytes[i + 2] : 0;
        char four[4] = {digits[group >> 18], digits[group >> 12 & 63],
                        n > 1 ? digits[group >> 6 & 63] : '=', n > 2 ? digits[group & 63] : '='};
        sink_write(sink, four, 4);
    }
}

static void put_header(struct sink *sink, double start_wall_s)
{
    time_t seconds = (time_t)start_wall_s;
    struct tm tm;
    char date[64] = "";

    if (gmtime_r(&seconds, &tm) == NULL ||
        strftime(date, sizeof date, "%a %b %d %H:%M:%S UTC %Y", &tm) == 0) {
        date[0] = '\0';
    }
    sink_printf(sink, "#[Latencies in nanoseconds, written by tlsoak]\n");
    sink_printf(sink, "#[Histogram log format version 1.3]\n");
    sink_printf(sink, "#[StartTime: %.3f (seconds since epoch), %s]\n", start_wall_s, date);
    sink_printf(sink, "#[BaseTime: %.3f (seconds since epoch)]\n", start_wall_s);
    sink_printf(sink, "\"StartTimestamp\",\"Interval_Length\",\"Interval_Max\","
                      "\"Interval_Compressed_Histogram\"\n");
}

struct hlog *hlog_create(const char *path, double start_wall_s)
{
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_EXCL | O_CLOEXEC, 0644);

    if (fd < 0) {
        return NULL;
    }
    struct hlog *hlog = xcalloc(1, sizeof *hlog);
    hlog->fd = fd;
    hlog->line = sink_new();
    BUG_ON(deflateInit(&hlog->deflate, Z_DEFAULT_COMPRESSION) != Z_OK);
    put_header(hlog->line, start_wall_s);
    if (!sink_send(hlog->line, fd)) {
        int error = errno;
        hlog_close(hlog);
        errno = error;
        return NULL;
    }
    return hlog;
}

bool hlog_append(struct hlog *hlog, uint64_t start_ns, uint64_t end_ns, const struct hist *hist)
{
    if (hist->n == 0) {
        return true;
    }
    /* The length is that between the two printed stamps, so that intervals meet exactly. */
    uint64_t start_ms = start_ns / NS_PER_MS, length_ms = end_ns / NS_PER_MS - start_ms;
    size_t len = compress_encoded(hlog, encode(hlog->encoded, hist));

    sink_printf(hlog->line, "%" PRIu64 ".%03" PRIu64 ",%" PRIu64 ".%03" PRIu64, start_ms / 1000,
                start_ms % 1000, length_ms / 1000, length_ms % 1000);
    /* All six digits of the milliseconds: readers of the log then know the maximum exactly. */
    sink_printf(hlog->line, ",%.6f,", (double)hist->max_ns / (double)NS_PER_MS);
    put_base64(hlog->line, hlog->compressed, len);
    sink_write(hlog->line, "\n", 1);
    return sink_send(hlog->line, hlog->fd);
}

void hlog_close(struct hlog *hlog)
{
    if (hlog == NULL) {
        return;
    }
    (void)deflateEnd(&hlog->deflate);
    sink_free(hlog->line);
    (void)close(hlog->fd);
    free(hlog);
}
