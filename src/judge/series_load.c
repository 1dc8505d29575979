#include "judge/series.h"

#include "base/mem.h"
#include "base/str.h"
#include "judge/series_formats.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STDIN "standard input"

/* JSON begins with a bracket, which no header does. */
static bool is_json(struct rows *r, FILE *file)
{
    int c = '\0';
    do {
        r->line += c == '\n';
        c = getc(file);
    } while (c != EOF && isspace(c));
    if (c != EOF) {
        (void)ungetc(c, file);
    }
    return c == '{' || c == '[';
}

size_t series_load(const char *path, struct series **ret_series,
                   void (*note)(const char *text, void *context), void *context, struct diag *diag)
{
    bool from_stdin = str_equal(path, "-");
    struct rows r = {.path = from_stdin ? STDIN : path,
                     .note = note,
                     .context = context,
                     .diag = diag,
                     .mistakes_before = diag_count(diag)};
    FILE *file = from_stdin ? stdin : fopen(path, "r");
    if (file == NULL) {
        diag_add(diag, (struct origin){path, 0}, "%s", strerror(errno));
        return 0;
    }
    if (is_json(&r, file)) {
        series_prometheus_read(&r, file);
    } else {
        series_csv_read(&r, file);
    }
    if (!from_stdin) {
        (void)fclose(file);
    }
    size_t n = rows_finish(&r, ret_series);
    rows_end(&r);
    return n;
}
