#include "base/sink.h"

#include "base/mem.h"
#include "base/utf8.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct sink {
    char *bytes;
    size_t len, capacity;
};

struct sink *sink_new(void)
{
    struct sink *sink = xcalloc(1, sizeof *sink);

    sink->capacity = 256;
    sink->bytes = xmalloc(sink->capacity);
    sink->bytes[0] = '\0';
    return sink;
}

void sink_free(struct sink *sink)
{
    if (sink != NULL) {
        free(sink->bytes);
        free(sink);
    }
}

static void reserve(struct sink *sink, size_t more)
{
    size_t wanted = sink->len + more + 1;

    if (wanted > sink->capacity) {
        while (sink->capacity < wanted) {
            sink->capacity *= 2;
        }
        sink->bytes = xrealloc(sink->bytes, sink->capacity);
    }
}

void sink_write(struct sink *sink, const void *bytes, size_t len)
{
    reserve(sink, len);
    if (len > 0) {
        memcpy(sink->bytes + sink->len, bytes, len);
    }
    sink->len += len;
    sink->bytes[sink->len] = '\0';
}

static void put(struct sink *sink, const char *s)
{
    sink_write(sink, s, strlen(s));
}

void sink_printf(struct sink *sink, const char *format, ...)
{
    va_list args, again;

    va_start(args, format);
    va_copy(again, args);
    int len = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (len > 0) {
        reserve(sink, (size_t)len);
        (void)vsnprintf(sink->bytes + sink->len, (size_t)len + 1, format, again);
        sink->len += (size_t)len;
    }
    va_end(again);
}

static const char replacement[] = "\xef\xbf\xbd";

/* The code point of what moves a terminal's cursor or turns text around: control characters,
 * line separators and the marks of writing direction (Unicode, UAX 9); 0: something else. */
static unsigned hidden(const unsigned char *p, size_t n)
{
    if (n == 2 && p[0] == 0xc2 && p[1] < 0xa0) {
        return p[1];
    }
    if (n == 3 && p[0] == 0xe2 && (p[1] == 0x80 || p[1] == 0x81)) {
        unsigned code = 0x2000u + ((p[1] & 0x3fu) << 6) + (p[2] & 0x3fu);
        bool turns = (code >= 0x202a && code <= 0x202e) || (code >= 0x2066 && code <= 0x2069);
        return turns || code == 0x200e || code == 0x200f || code == 0x2028 || code == 0x2029 ? code
                                                                                             : 0;
    }
    return n == 1 && (*p < 0x20 || *p == 0x7f) ? *p : 0;
}

static void json_control(struct sink *sink, unsigned c)
{
    static const char letters[] = "btn?fr";

    if (c >= 8 && c <= 13 && c != 11) {
        sink_printf(sink, "\\%c", letters[c - 8]);
    } else {
        sink_printf(sink, "\\u%04x", c);
    }
}

void sink_json(struct sink *sink, const char *s)
{
    put(sink, "\"");
    for (const unsigned char *p = (const unsigned char *)s; *p != '\0';) {
        size_t n = utf8_length((const char *)p);
        if (n == 0) {
            put(sink, replacement);
            p++;
            continue;
        }
        if (*p == '"' || *p == '\\') {
            sink_printf(sink, "\\%c", *p);
        } else if (hidden(p, n) != 0) {
            json_control(sink, hidden(p, n));
        } else {
            sink_write(sink, p, n);
        }
        p += n;
    }
    put(sink, "\"");
}

void sink_csv(struct sink *sink, const char *s)
{
    if (strpbrk(s, ",\"\r\n") == NULL) {
        put(sink, s);
        return;
    }
    put(sink, "\"");
    for (; *s != '\0'; s++) {
        sink_write(sink, s, 1);
        if (*s == '"') {
            put(sink, "\"");
        }
    }
    put(sink, "\"");
}

/* U+FFFE and U+FFFF, the only characters of UTF-8 above the controls that no XML may hold (XML 1.0,
 * section 2.2). */
static bool is_noncharacter(const unsigned char *s, size_t n)
{
    return n == 3 && s[0] == 0xef && s[1] == 0xbf && s[2] >= 0xbe;
}

static const char *xml_entity(unsigned char c)
{
    switch (c) {
    case '<':
        return "&lt;";
    case '>':
        return "&gt;";
    case '&':
        return "&amp;";
    case '"':
        return "&quot;";
    case '\'':
        return "&#39;";
    default:
        return NULL;
    }
}

void sink_xml(struct sink *sink, const char *s)
{
    for (const unsigned char *p = (const unsigned char *)s; *p != '\0';) {
        size_t n = utf8_length((const char *)p);
        bool hides = is_noncharacter(p, n) || (hidden(p, n) != 0 && *p != '\n' && *p != '\t');
        const char *entity = n == 0 || hides ? replacement : xml_entity(*p);
        if (entity != NULL) {
            put(sink, entity);
        } else {
            sink_write(sink, p, n);
        }
        p += n > 0 ? n : 1;
    }
}

void sink_plain(struct sink *sink, const char *s)
{
    for (const unsigned char *p = (const unsigned char *)s; *p != '\0';) {
        size_t n = utf8_length((const char *)p);
        unsigned code = n == 0 ? *p : hidden(p, n);
        if (code != 0) {
            sink_printf(sink, code < 0x100 ? "\\x%02x" : "\\u%04x", code);
            p += n > 0 ? n : 1;
            continue;
        }
        sink_write(sink, p, n);
        p += n;
    }
}

const char *sink_text(const struct sink *sink, size_t *ret_len)
{
    if (ret_len != NULL) {
        *ret_len = sink->len;
    }
    return sink->bytes;
}

static void clear(struct sink *sink)
{
    sink->len = 0;
    sink->bytes[0] = '\0';
}

/* After a short write the record is cut off again, so that no reader meets half of one. */
static void cut_back(int fd, ssize_t written)
{
    off_t end = lseek(fd, 0, SEEK_END);

    if (written > 0 && end >= written && ftruncate(fd, end - written) != 0) {
        return; /* a pipe or a terminal: nothing to cut */
    }
}

bool sink_send(struct sink *sink, int fd)
{
    size_t len = sink->len;
    ssize_t written;

    if (len == 0) {
        return true;
    }
    do {
        written = write(fd, sink->bytes, len);
    } while (written < 0 && errno == EINTR);
    int error = written < 0 ? errno : ENOSPC;
    clear(sink);
    if (written == (ssize_t)len) {
        return true;
    }
    cut_back(fd, written);
    errno = error;
    return false;
}

bool sink_replace_file(struct sink *sink, const char *path)
{
    CLEANUP_FREE char *temporary = xasprintf("%s.tmp", path);
    int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

    if (fd < 0) {
        clear(sink);
        return false;
    }
    bool ok = sink_send(sink, fd) && fsync(fd) == 0;
    int error = errno;
    ok = close(fd) == 0 && ok;
    if (!ok || rename(temporary, path) != 0) {
        error = ok ? errno : error;
        (void)unlink(temporary);
        errno = error;
        return false;
    }
    return true;
}

void sink_print(struct sink *sink, FILE *to)
{
    (void)fwrite(sink->bytes, 1, sink->len, to);
    clear(sink);
}
