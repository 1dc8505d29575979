#include "base/file.h"

#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* What is outgrown is wiped: the file may be a key. */
static char *grow(char *bytes, size_t len, size_t capacity)
{
    char *larger = xmalloc(capacity);
    memcpy(larger, bytes, len);
    explicit_bzero(bytes, len);
    free(bytes);
    return larger;
}

static char *read_all(int fd, size_t max, size_t *ret_len)
{
    size_t len = 0, capacity = 4096;
    char *bytes = xmalloc(capacity);

    for (;;) {
        if (len + 1 >= capacity) {
            capacity *= 2;
            bytes = grow(bytes, len, capacity);
        }
        ssize_t n = read(fd, bytes + len, capacity - len - 1);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0 || len + (size_t)n > max) {
            if (n != 0) {
                free(bytes);
                errno = n < 0 ? errno : EFBIG;
                return NULL;
            }
            break;
        }
        len += (size_t)n;
    }
    bytes[len] = '\0';
    if (ret_len != NULL) {
        *ret_len = len;
    }
    return bytes;
}

char *file_read(const char *path, size_t max, size_t *ret_len)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0) {
        return NULL;
    }
    char *bytes = read_all(fd, max, ret_len);
    int error = errno;
    (void)close(fd);
    errno = error;
    return bytes;
}

static bool write_all(int fd, const char *bytes, size_t len)
{
    while (len > 0) {
        ssize_t n = write(fd, bytes, len);
        if (n < 0 && errno != EINTR) {
            return false;
        }
        if (n > 0) {
            bytes += n;
            len -= (size_t)n;
        }
    }
    return true;
}

bool file_write(const char *path, const void *bytes, size_t len, unsigned mode)
{
    CLEANUP_FREE char *temporary = xasprintf("%s.tmp", path);

    (void)unlink(temporary);
    int fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    if (fd < 0) {
        return false;
    }
    bool ok = write_all(fd, bytes, len);
    ok = close(fd) == 0 && ok;
    if (!ok || rename(temporary, path) != 0) {
        int error = errno;
        (void)unlink(temporary);
        errno = error;
        return false;
    }
    return true;
}

bool file_make_dir(const char *path)
{
    CLEANUP_FREE char *partial = xstrdup(path);
    struct stat st;

    for (char *p = partial + 1; *p != '\0'; p++) {
        if (*p == '/') {
            *p = '\0';
            (void)mkdir(partial, 0755);
            *p = '/';
        }
    }
    if (mkdir(path, 0755) == 0) {
        return true;
    }
    int error = errno;
    if (error == EEXIST && stat(path, &st) == 0 && S_ISDIR(st.st_mode)) {
        return true;
    }
    errno = error == EEXIST ? ENOTDIR : error;
    return false;
}

char *file_beside(const char *path, const char *name)
{
    const char *slash = strrchr(path, '/');

    if (name[0] == '/' || slash == NULL) {
        return xstrdup(name);
    }
    return xasprintf("%.*s/%s", (int)(slash - path), path, name);
}
