#include "engine.h"
#include "fuzz.h"

#include "base/mem.h"
#include "base/str.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The linker leads calls of our own objects here (--wrap). */
int __wrap_open(const char *path, int flags, ...);
int __real_open(const char *path, int flags, ...);
int __wrap_access(const char *path, int mode);
int __real_access(const char *path, int mode);
int __wrap_stat(const char *path, struct stat *st);
int __real_stat(const char *path, struct stat *st);
FILE *__wrap_fopen(const char *path, const char *mode);
FILE *__real_fopen(const char *path, const char *mode);

static char dir[128];
static const char *engine_dir; /* where libFuzzer reads and keeps inputs */
static pid_t owner;
static bool confined, no_writing;

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)st, (void)type, (void)at;
    return remove(path);
}

static void remove_dir(void)
{
    if (getpid() == owner) {
        (void)nftw(dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    }
}

const char *fuzz_dir(void)
{
    if (dir[0] == '\0') {
        const char *given = getenv("FUZZ_TMP");
        const char *base = given != NULL                          ? given
                           : __real_access("/dev/shm", W_OK) == 0 ? "/dev/shm"
                                                                  : "/tmp";
        (void)snprintf(dir, sizeof dir, "%s/tlsoak-fuzz-XXXXXX", base);
        fuzz_require(mkdtemp(dir) != NULL, "no folder to work in");
        owner = getpid();
        (void)atexit(remove_dir);
    }
    return dir;
}

void fuzz_confine(bool read_only)
{
    (void)fuzz_dir();
    engine_dir = getenv("FUZZ_KEEP");
    confined = true;
    no_writing = read_only;
}

void fuzz_require(bool ok, const char *what)
{
    if (!ok) {
        engine_failed(what);
    }
}

/* False with errno for what lies elsewhere. */
static bool is_ours(const char *path)
{
    char real[4096];
    size_t len = strlen(dir);

    bool engines =
        engine_dir != NULL && str_has_prefix(path, engine_dir) && strstr(path, "..") == NULL;

    if (!confined || engines) {
        return true;
    }
    if (realpath(path, real) == NULL) {
        /* not there, or to be made: where would it be? */
        CLEANUP_FREE char *copy = xstrdup(path);
        char *slash = strrchr(copy, '/');
        if (slash == NULL || slash == copy) {
            errno = EACCES;
            return slash == NULL;
        }
        *slash = '\0';
        if (realpath(copy, real) == NULL) {
            errno = ENOENT;
            return false;
        }
    }
    errno = EACCES;
    return strncmp(real, dir, len) == 0 && (real[len] == '/' || real[len] == '\0');
}

int __wrap_open(const char *path, int flags, ...)
{
    va_list args;

    va_start(args, flags);
    unsigned mode = (flags & O_CREAT) != 0 ? va_arg(args, unsigned) : 0;
    va_end(args);
    if (!is_ours(path)) {
        return -1;
    }
    fuzz_require(!confined || !no_writing || !str_has_prefix(path, dir) ||
                     (flags & (O_CREAT | O_WRONLY | O_RDWR)) == 0,
                 "reading opened a file to write");
    return __real_open(path, flags, mode);
}

int __wrap_access(const char *path, int mode)
{
    return is_ours(path) ? __real_access(path, mode) : -1;
}

int __wrap_stat(const char *path, struct stat *st)
{
    return is_ours(path) ? __real_stat(path, st) : -1;
}

FILE *__wrap_fopen(const char *path, const char *mode)
{
    return is_ours(path) ? __real_fopen(path, mode) : NULL;
}
