#include "parts.h"

#include "fuzz.h"

#include "base/mem.h"
#include "base/str.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MARK "=== "

static bool is_mark(const char *line, const char *end)
{
    return (size_t)(end - line) >= sizeof MARK - 1 && memcmp(line, MARK, sizeof MARK - 1) == 0;
}

static const char *next_line(const char *at, const char *end)
{
    const char *line_end = memchr(at, '\n', (size_t)(end - at));
    return line_end != NULL ? line_end + 1 : end;
}

size_t parts_split(const char *bytes, size_t len, struct part parts[PARTS_MAX])
{
    const char *end = bytes + len;
    size_t n = 1;
    parts[0] = (struct part){.name = "", .bytes = bytes};
    for (const char *line = bytes; line < end;) {
        const char *next = next_line(line, end);
        if (is_mark(line, end) && n < PARTS_MAX) {
            parts[n - 1].len = (size_t)(line - parts[n - 1].bytes);
            parts[n] = (struct part){.bytes = next};
            size_t name_len = (size_t)(next - line) - (sizeof MARK - 1);
            name_len -= name_len > 0 && next[-1] == '\n';
            name_len = name_len < sizeof parts[n].name ? name_len : sizeof parts[n].name - 1;
            memcpy(parts[n].name, line + sizeof MARK - 1, name_len);
            n++;
        }
        line = next;
    }
    parts[n - 1].len = (size_t)(end - parts[n - 1].bytes);
    return n;
}

const struct part *parts_find(const struct part *parts, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++) {
        if (str_equal(parts[i].name, name)) {
            return &parts[i];
        }
    }
    return NULL;
}

#define PARTS_MORE 4
static char written[PARTS_MAX + PARTS_MORE][128];
static size_t n_written;

static void remove_stale(void)
{
    for (size_t i = 0; i < n_written; i++) {
        (void)unlink(written[i]);
    }
    n_written = 0;
}

static void make_folders(const char *path)
{
    CLEANUP_FREE char *copy = xstrdup(path);
    for (char *slash = copy + strlen(fuzz_dir()); (slash = strchr(slash + 1, '/')) != NULL;) {
        *slash = '\0';
        (void)mkdir(copy, 0700);
        *slash = '/';
    }
}

int __real_open(const char *path, int flags, ...);

void parts_put(const char *name, const char *bytes, size_t len)
{
    fuzz_require(n_written < PARTS_MAX + PARTS_MORE, "too many files");
    char *path = written[n_written];
    size_t size = sizeof written[0];
    if (snprintf(path, size, "%s/%s", fuzz_dir(), name) >= (int)size) {
        return;
    }
    int fd = __real_open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0) {
        make_folders(path);
        fd = __real_open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    }
    fuzz_require(fd >= 0 && write(fd, bytes, len) == (ssize_t)len, "no room for the input");
    (void)close(fd);
    n_written++;
}

void parts_write(const struct part *parts, size_t n, bool (*allowed)(const char *name))
{
    remove_stale();
    for (size_t i = 0; i < n; i++) {
        if (allowed(parts[i].name)) {
            parts_put(parts[i].name, parts[i].bytes, parts[i].len);
        }
    }
}
