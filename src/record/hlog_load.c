#include "record/hlog.h"

#include "base/bug.h"
#include "base/mem.h"
#include "base/mono.h"
#include "base/str.h"
#include "record/lines.h"

#include <errno.h>
#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

struct decoder {
    uint8_t compressed[HLOG_LINE_BYTES];
    uint8_t encoded[HLOG_ENCODED_BYTES];
};

static int base64_digit(char c)
{
    if (c >= 'A' && c <= 'Z') {
        return c - 'A';
    }
    if (c >= 'a' && c <= 'z') {
        return c - 'a' + 26;
    }
    if (c >= '0' && c <= '9') {
        return c - '0' + 52;
    }
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* False when `text` is not base64 with padding; the bytes fit because the line did. */
static bool from_base64(const char *text, uint8_t *bytes, size_t *ret_len)
{
    size_t len = strlen(text), n = 0;

    if (len == 0 || len % 4 != 0) {
        return false;
    }
    size_t padding = text[len - 1] != '=' ? 0 : text[len - 2] != '=' ? 1 : 2;
    for (size_t i = 0; i < len; i += 4) {
        uint32_t group = 0;
        for (size_t j = 0; j < 4; j++) {
            int digit = i + j < len - padding ? base64_digit(text[i + j]) : 0;
            if (digit < 0) {
                return false;
            }
            group = group << 6 | (uint32_t)digit;
        }
        bytes[n++] = (uint8_t)(group >> 16);
        bytes[n++] = (uint8_t)(group >> 8);
        bytes[n++] = (uint8_t)group;
    }
    *ret_len = n - padding;
    return true;
}

static uint64_t get_be(const uint8_t *p, int n_bytes)
{
    uint64_t value = 0;

    for (int i = 0; i < n_bytes; i++) {
        value = value << 8 | p[i];
    }
    return value;
}

static bool get_zigzag(const uint8_t **p, const uint8_t *end, int64_t *ret_value)
{
    uint64_t bits = 0;

    for (int i = 0; i < 9; i++) {
        if (*p == end) {
            return false;
        }
        uint8_t byte = *(*p)++;
        bool last = i == 8 || byte < 0x80;
        bits |= (uint64_t)(last && i == 8 ? byte : byte & 0x7f) << (7 * i);
        if (last) {
            *ret_value = (int64_t)(bits >> 1) ^ -(int64_t)(bits & 1);
            return true;
        }
    }
    return false;
}

/* Adds what a slot holds, at the slot's middle. */
static bool add_slot(struct hist *hist, uint64_t slot, uint64_t count)
{
    uint64_t width, product;

    if (slot >= HIST_SLOTS || __builtin_add_overflow(hist->n, count, &hist->n)) {
        return false;
    }
    uint64_t low = hist_slot_low((uint32_t)slot, &width);
    hist->slots[slot] += count;
    if (__builtin_mul_overflow(low + width / 2, count, &product) ||
        __builtin_add_overflow(hist->sum_ns, product, &hist->sum_ns)) {
        hist->sum_ns = UINT64_MAX;
    }
    hist->min_ns = low < hist->min_ns ? low : hist->min_ns;
    hist->first = slot < hist->first ? (uint32_t)slot : hist->first;
    hist->last = slot > hist->last ? (uint32_t)slot : hist->last;
    return true;
}

/* *ret_top: the highest slot that was added to. */
static bool add_slots(const uint8_t *p, const uint8_t *end, struct hist *total, uint64_t *ret_top)
{
    uint64_t slot = 0;
    int64_t count;

    while (p < end) {
        if (!get_zigzag(&p, end, &count) || count < -(int64_t)HIST_SLOTS) {
            return false;
        }
        if (count > 0) {
            if (!add_slot(total, slot, (uint64_t)count)) {
                return false;
            }
            *ret_top = slot;
        }
        slot += count < 0 ? (uint64_t)-count : 1;
        if (slot > HIST_SLOTS) {
            return false;
        }
    }
    return true;
}

/* The reason why the line's histogram can not be added, or NULL. */
static const char *add_encoded(struct decoder *d, size_t len, struct hist *total, uint64_t *ret_top)
{
    uLongf size = sizeof d->encoded;
    const uint8_t *e = d->encoded;

    if (len < 8 || get_be(d->compressed, 4) != HLOG_COMPRESSED_COOKIE ||
        get_be(d->compressed + 4, 4) != len - 8) {
        return "not a compressed histogram of version 2";
    }
    if (uncompress(d->encoded, &size, d->compressed + 8, len - 8) != Z_OK ||
        size < HLOG_HEADER_BYTES || get_be(e, 4) != HLOG_COOKIE ||
        get_be(e + 4, 4) != size - HLOG_HEADER_BYTES) {
        return "a damaged histogram";
    }
    if (get_be(e + 8, 4) != 0 || get_be(e + 12, 4) != HLOG_DIGITS || get_be(e + 16, 8) != 1 ||
        get_be(e + 24, 8) != HIST_MAX_NS) {
        return "a histogram of another range or precision than 1 ns to 1 h with 3 digits";
    }
    return add_slots(e + HLOG_HEADER_BYTES, e + size, total, ret_top) ? NULL
                                                                      : "a damaged histogram";
}

/* The third column tells the maximum exactly; it is believed when it lies in the highest slot. */
static void add_max(struct hist *total, uint64_t top, double max_ms)
{
    uint64_t width, low = hist_slot_low((uint32_t)top, &width);
    double told = round(max_ms * (double)NS_PER_MS);
    uint64_t max_ns = low + width - 1;

    if (told >= (double)low && told <= (double)max_ns) {
        max_ns = (uint64_t)told;
    }
    total->max_ns = max_ns > total->max_ns ? max_ns : total->max_ns;
}

static const char *add_line(struct decoder *d, char *line, struct hist *total, double numbers[3])
{
    uint64_t top = HIST_SLOTS;
    size_t len;

    for (int i = 0; i < 3; i++) {
        char *comma = strchr(line, ',');
        if (comma == NULL) {
            return "not an interval of a histogram log";
        }
        *comma = '\0';
        if (!str_to_double(line, &numbers[i]) || numbers[i] < 0) {
            return "not an interval of a histogram log";
        }
        line = comma + 1;
    }
    if (!from_base64(line, d->compressed, &len)) {
        return "a histogram that is not base64";
    }
    const char *problem = add_encoded(d, len, total, &top);
    if (problem == NULL && top < HIST_SLOTS) {
        add_max(total, top, numbers[2]);
    }
    return problem;
}

static bool is_header(const char *line)
{
    return line[0] == '#' || line[0] == '"';
}

/* One line: added, or told and forgotten. */
static const char *take_line(struct decoder *d, char *line, const struct hlog_listener *listener,
                             struct hist *total)
{
    double numbers[3];
    const char *problem = add_line(d, line, total, numbers);

    if (problem == NULL && listener != NULL) {
        listener->interval(numbers[0], numbers[0] + numbers[1], total, listener->context);
        hist_clear(total);
    }
    return problem;
}

bool hlog_load(const char *path, const struct hlog_listener *listener, struct hist *total,
               int *torn_lines, struct diag *diag)
{
    struct lines lines;
    const char *problem = NULL;
    char *line;

    if (!lines_open(&lines, path, HLOG_LINE_BYTES)) {
        diag_add(diag, (struct origin){path, 0}, "can't be read: %s", strerror(errno));
        return false;
    }
    struct decoder *decoder = xmalloc(sizeof *decoder);
    while (problem == NULL && (line = lines_next(&lines)) != NULL) {
        problem = is_header(line) ? NULL : take_line(decoder, line, listener, total);
    }
    if (problem == NULL && (lines.end == LINES_TOO_LONG || lines.end == LINES_ERROR)) {
        problem = lines.end == LINES_ERROR ? "a line that can't be read"
                                           : "a line too long for a histogram";
    }
    if (problem != NULL) {
        diag_add(diag, (struct origin){path, lines.number}, "%s", problem);
    }
    *torn_lines += problem == NULL && lines.end == LINES_TORN;
    free(decoder);
    lines_close(&lines);
    return problem == NULL;
}
