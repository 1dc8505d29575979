/* Text: comparisons that read well, strict number parsing, trimming, and the nearest word for
 * "did you mean".  All strings are NUL-terminated UTF-8; nothing here depends on the locale. */
#ifndef BASE_STR_H
#define BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What a name is made of that people give in a profile. */
#define STR_NAME_LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-"

bool str_equal(const char *a, const char *b);
bool str_has_prefix(const char *s, const char *prefix);
/* The whole of `s` as a decimal number; false (and *ret_value untouched) on anything else. */
bool str_to_u64(const char *s, uint64_t *ret_value) __attribute__((warn_unused_result));
/* The whole of `s` as a finite number. */
bool str_to_double(const char *s, double *ret_value) __attribute__((warn_unused_result));
/* Cuts white space off both ends, in place; returns the first character kept. */
char *str_trim(char *s);
/* The word nearest to `word` by edit distance (optimal string alignment), or NULL when none is
 * near enough to be a likely slip (more than a third of the letters differ). */
const char *str_nearest(const char *word, const char *const *words, size_t n);
/* Index of `s` in `names`, or -1. */
int str_index(const char *s, const char *const *names, size_t n);
/* Copies, always terminated; false when `s` did not fit. */
bool str_copy(char *to, size_t size, const char *s);

#endif
