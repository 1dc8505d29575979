#include "base/diag.h"

#include "base/mem.h"
#include "base/sink.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

struct mistake {
    char *file;
    int line;
    size_t order;
    char *text;
};

struct diag {
    struct mistake *mistakes;
    size_t n, capacity;
};

struct diag *diag_new(void)
{
    return xcalloc(1, sizeof(struct diag));
}

void diag_free(struct diag *diag)
{
    if (diag == NULL) {
        return;
    }
    for (size_t i = 0; i < diag->n; i++) {
        free(diag->mistakes[i].file);
        free(diag->mistakes[i].text);
    }
    free(diag->mistakes);
    free(diag);
}

static char *prefixed(struct origin origin, const char *text)
{
    if (origin.file == NULL) {
        return xstrdup(text);
    }
    if (origin.line > 0) {
        return xasprintf("%s:%d: %s", origin.file, origin.line, text);
    }
    return xasprintf("%s: %s", origin.file, text);
}

void diag_add(struct diag *diag, struct origin origin, const char *format, ...)
{
    CLEANUP_FREE char *text = NULL;
    va_list args;

    va_start(args, format);
    if (vasprintf(&text, format, args) < 0) {
        text = xstrdup(format);
    }
    va_end(args);
    ARRAY_RESERVE(diag->mistakes, diag->n, diag->capacity);
    diag->mistakes[diag->n] = (struct mistake){
        .file = xstrdup(origin.file != NULL ? origin.file : ""),
        .line = origin.line,
        .order = diag->n,
        .text = prefixed(origin, text),
    };
    diag->n++;
}

size_t diag_count(const struct diag *diag)
{
    return diag->n;
}

const char *diag_text(const struct diag *diag, size_t i)
{
    return i < diag->n ? diag->mistakes[i].text : NULL;
}

static int by_place(const void *a, const void *b)
{
    const struct mistake *x = a, *y = b;
    int by_file = strcmp(x->file, y->file);

    if (by_file != 0) {
        return by_file;
    }
    if (x->line != y->line) {
        return x->line < y->line ? -1 : 1;
    }
    return x->order < y->order ? -1 : 1;
}

void diag_print(struct diag *diag, FILE *to)
{
    if (diag->n > 0) {
        qsort(diag->mistakes, diag->n, sizeof *diag->mistakes, by_place);
    }
    struct sink *sink = sink_new();
    for (size_t i = 0; i < diag->n; i++) {
        /* what stands in files must not move the cursor */
        sink_plain(sink, diag->mistakes[i].text);
        sink_write(sink, "\n", 1);
    }
    sink_print(sink, to);
    sink_free(sink);
}
