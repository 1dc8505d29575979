/* Bytes as text that a person can write and read, in the manner of C: \r, \n, \t, \\, \" and \xHH
 * with two hexadecimal digits; all else stands for itself.  Two-way: what escape_write prints,
 * escape_read reads as the same bytes. */
#ifndef BASE_ESCAPE_H
#define BASE_ESCAPE_H

#include "base/sink.h"

#include <stddef.h>

/* Reads in place: `text` becomes *ret_len bytes, with a NUL behind them.  NULL, or where in `text`
 * (whose earlier part is rewritten then) an escape stands that is none. */
const char *escape_read(char *text, size_t *ret_len) __attribute__((warn_unused_result));
/* Printable ASCII as it is, but for a blank at either end, where it would not be seen. */
void escape_write(struct sink *sink, const char *bytes, size_t len);

#endif
