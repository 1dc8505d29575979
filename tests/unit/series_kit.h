/* Loads series from text, as `tlsoak analyse` would from a file, and looks at what came of it. */
#ifndef UNIT_SERIES_KIT_H
#define UNIT_SERIES_KIT_H

#include "judge/series.h"

#include "base/mem.h"
#include "base/sink.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#define KIB 1024.0

struct loaded {
    size_t n;
    struct series *series;
    struct diag *diag;
    char path[64];
    char notes[8192];
};

static void gather(const char *text, void *context)
{
    struct loaded *l = context;
    size_t len = strlen(l->notes);
    snprintf(l->notes + len, sizeof l->notes - len, "%s\n", text);
}

static struct loaded load_bytes(const char *text, size_t len)
{
    struct loaded l = {.diag = diag_new()};
    snprintf(l.path, sizeof l.path, "/tmp/series-XXXXXX");
    int fd = mkstemp(l.path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, len), (ssize_t)len);
    close(fd);
    l.n = series_load(l.path, &l.series, gather, &l, l.diag);
    return l;
}

static struct loaded load(const char *text)
{
    return load_bytes(text, strlen(text));
}

static void unload(struct loaded *l)
{
    unlink(l->path);
    if (l->n > 0) {
        free(l->series);
    }
    diag_free(l->diag);
}

/* `line` 0: the mistake names the file alone. */
static void expect_mistake(const char *text, int line, const char *what)
{
    struct loaded l = load(text);
    char where[80];
    if (line > 0) {
        snprintf(where, sizeof where, "%s:%d: ", l.path, line);
    } else {
        snprintf(where, sizeof where, "%s: ", l.path);
    }
    assert_int_equal(l.n, 0);
    assert_true(diag_count(l.diag) >= 1);
    if (strncmp(diag_text(l.diag, 0), where, strlen(where)) != 0 ||
        strstr(diag_text(l.diag, 0), what) == NULL) {
        fail_msg("\"%s\" is not the mistake expected (%s%s)", diag_text(l.diag, 0), where, what);
    }
    unload(&l);
}

#endif
