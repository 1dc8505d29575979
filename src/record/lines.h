/* Lines of a file that may be hostile, torn or large: one fixed buffer, regular files only.  The
 * last line counts only when its line break is there: without it, the writer was killed. */
#ifndef RECORD_LINES_H
#define RECORD_LINES_H

#include "base/diag.h"

#include <stdbool.h>
#include <stddef.h>

enum lines_end {
    LINES_MORE,
    LINES_WHOLE,    /* the end, after a whole line */
    LINES_TORN,     /* the end, after an incomplete line that is left out */
    LINES_TOO_LONG, /* a line that does not fit, or one that holds a NUL */
    LINES_ERROR     /* errno */
};

struct lines {
    char *path; /* owns */
    int fd;
    int number; /* of the line last returned, from 1 */
    char *buffer;
    size_t size, start, len;
    enum lines_end end;
};

/* False with errno: not there, not readable, or not a regular file (EINVAL). */
bool lines_open(struct lines *lines, const char *path, size_t max_line)
    __attribute__((warn_unused_result));
/* The next line without its break, to be changed at will until the next call; NULL at the end,
 * which `lines->end` then tells. */
char *lines_next(struct lines *lines);
void lines_close(struct lines *lines);
/* A table that need not be there: gives `row` each line behind the header, until it says false.
 * False with one mistake, `wrong` at that line. */
bool lines_rows(const char *path, size_t max_line, const char *wrong,
                bool (*row)(char *line, void *context), void *context, int *torn_lines,
                struct diag *diag) __attribute__((warn_unused_result));

#endif
