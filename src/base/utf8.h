/* UTF-8 (RFC 3629), as far as text of others has to be told from bytes. */
#ifndef BASE_UTF8_H
#define BASE_UTF8_H

#include <stddef.h>

/* Bytes of the character at `s`, which is NUL-terminated; 0 where it is none. */
size_t utf8_length(const char *s);

#endif
