/* INI as text: sections, keys and values with true line numbers.  inih splits the lines; our
 * reader feeds it one whole physical line at a time, because inih by itself cuts a long line and
 * delivers the rest as valid.  A line of a profile has at most INI_LINE_MAX bytes; "; " begins a
 * comment anywhere but within double quotes; a value stays on its line; a pair of double quotes
 * around a whole value is taken off.  inih is named in ini.c only. */
#ifndef PROFILE_INI_H
#define PROFILE_INI_H

#include "base/diag.h"
#include "base/sink.h"

#include <stdbool.h>
#include <stddef.h>

#define INI_LINE_MAX 197
/* Mistakes of one file beyond this tell nothing new, and a hostile file must not fill memory. */
#define INI_MISTAKES_MAX 100

/* What is found, in the order of the lines; all texts are borrowed for the call. */
struct ini_handler {
    /* "kind" or "kind NAME": what stands between the brackets, trimmed. */
    void (*section)(void *user, const char *section, int line);
    void (*value)(void *user, const char *key, const char *value, int line);
    void *user;
};

/* Reads all lines; what is wrong with a line becomes a mistake and the line is left out.  `file` is
 * for messages. */
void ini_read(const char *file, const char *text, size_t len, const struct ini_handler *handler,
              struct diag *diag);
/* Writes the line "KEY = VALUE ; COMMENT" that is read as this value (quoted where it must be); a
 * comment that does not fit stands on the line above; NULL: none.  False, and nothing is written,
 * when no line can hold the value. */
bool ini_write(struct sink *sink, const char *key, const char *value, const char *comment)
    __attribute__((warn_unused_result));

#endif
