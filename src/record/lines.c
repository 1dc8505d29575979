#include "record/lines.h"

#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

bool lines_open(struct lines *lines, const char *path, size_t max_line)
{
    /* O_NONBLOCK: a FIFO in the place of the file must not hold us up. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat st;

    if (fd < 0) {
        return false;
    }
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        (void)close(fd);
        errno = EINVAL;
        return false;
    }
    *lines = (struct lines){
        .path = xstrdup(path), .fd = fd, .buffer = xmalloc(max_line + 1), .size = max_line + 1};
    return true;
}

/* Reads more behind what is left; false at the end. */
static bool fill(struct lines *lines)
{
    ssize_t n;

    memmove(lines->buffer, lines->buffer + lines->start, lines->len);
    lines->start = 0;
    if (lines->len == lines->size) {
        lines->number++;
        lines->end = LINES_TOO_LONG;
        return false;
    }
    do {
        n = read(lines->fd, lines->buffer + lines->len, lines->size - lines->len);
    } while (n < 0 && errno == EINTR);
    if (n <= 0) {
        lines->end = n < 0 ? LINES_ERROR : lines->len > 0 ? LINES_TORN : LINES_WHOLE;
        return false;
    }
    lines->len += (size_t)n;
    return true;
}

char *lines_next(struct lines *lines)
{
    size_t searched = 0;

    while (lines->end == LINES_MORE) {
        char *line = lines->buffer + lines->start;
        char *end = memchr(line + searched, '\n', lines->len - searched);
        if (end == NULL) {
            searched = lines->len;
            (void)fill(lines);
            continue;
        }
        size_t len = (size_t)(end - line);
        *end = '\0';
        lines->start += len + 1;
        lines->len -= len + 1;
        lines->number++;
        if (strlen(line) == len) {
            return line;
        }
        lines->end = LINES_TOO_LONG;
    }
    return NULL;
}

void lines_close(struct lines *lines)
{
    (void)close(lines->fd);
    free(lines->path);
    free(lines->buffer);
}

bool lines_rows(const char *path, size_t max_line, const char *wrong,
                bool (*row)(char *line, void *context), void *context, int *torn_lines,
                struct diag *diag)
{
    struct lines lines;
    bool ok = true;

    if (!lines_open(&lines, path, max_line)) {
        if (errno != ENOENT) {
            diag_add(diag, (struct origin){path, 0}, "can't be read: %s", strerror(errno));
        }
        return errno == ENOENT;
    }
    for (char *line; ok && (line = lines_next(&lines)) != NULL;) {
        ok = lines.number == 1 || row(line, context);
    }
    ok = ok && lines.end != LINES_TOO_LONG;
    if (!ok) {
        diag_add(diag, (struct origin){path, lines.number}, "%s", wrong);
    }
    *torn_lines += lines.end == LINES_TORN;
    lines_close(&lines);
    return ok;
}
