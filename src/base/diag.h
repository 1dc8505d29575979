/* Mistakes of the user, the profile or the environment: collected with their origin, printed
 * together, and only before the run starts (exit 2).  Outcomes of a run are never mistakes. */
#ifndef BASE_DIAG_H
#define BASE_DIAG_H

#include <stddef.h>
#include <stdio.h>

/* Where a value came from.  line 0: no line (a command-line flag: file is then its name). */
struct origin {
    const char *file; /* borrows: lives as long as the plan or the process */
    int line;
};

struct diag;

struct diag *diag_new(void) __attribute__((warn_unused_result));
void diag_free(struct diag *diag);
/* Adds one mistake.  The text is one sentence without the "file:line: " in front. */
void diag_add(struct diag *diag, struct origin origin, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
size_t diag_count(const struct diag *diag);
/* The i-th mistake as "file:line: text" (borrows). */
const char *diag_text(const struct diag *diag, size_t i);
/* All mistakes in the order of file and line, one a line. */
void diag_print(struct diag *diag, FILE *to);

#endif
