#include "base/str.h"

#include "base/mem.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

bool str_equal(const char *a, const char *b)
{
    return strcmp(a, b) == 0;
}

bool str_has_prefix(const char *s, const char *prefix)
{
    return strncmp(s, prefix, strlen(prefix)) == 0;
}

bool str_to_u64(const char *s, uint64_t *ret_value)
{
    char *end;

    if (!isdigit((unsigned char)*s)) {
        return false;
    }
    errno = 0;
    unsigned long long value = strtoull(s, &end, 10);
    if (errno != 0 || *end != '\0') {
        return false;
    }
    *ret_value = value;
    return true;
}

/* strtod takes hexadecimal, "inf" and "nan"; people who write numbers do not. */
static bool is_plain_number(const char *s)
{
    size_t len = strspn(s, "+-.0123456789eE");

    return len > 0 && s[len] == '\0' && strpbrk(s, "0123456789") != NULL;
}

/* Most numbers in files are short integers, which need none of strtod's care.  15 digits are exact
 * in a double. */
static bool short_integer(const char *s, double *ret_value)
{
    uint64_t value = 0;
    size_t len = 0;

    for (; len < 16 && s[len] >= '0' && s[len] <= '9'; len++) {
        value = 10 * value + (uint64_t)(s[len] - '0');
    }
    if (len == 0 || len == 16 || s[len] != '\0') {
        return false;
    }
    *ret_value = (double)value;
    return true;
}

bool str_to_double(const char *s, double *ret_value)
{
    char *end;

    if (short_integer(s, ret_value)) {
        return true;
    }
    if (!is_plain_number(s)) {
        return false;
    }
    errno = 0;
    double value = strtod(s, &end);
    if (*end != '\0' || !isfinite(value)) {
        return false;
    }
    *ret_value = value;
    return true;
}

char *str_trim(char *s)
{
    while (isspace((unsigned char)*s)) {
        s++;
    }
    size_t len = strlen(s);
    while (len > 0 && isspace((unsigned char)s[len - 1])) {
        len--;
    }
    s[len] = '\0';
    return s;
}

static size_t min3(size_t a, size_t b, size_t c)
{
    size_t m = a < b ? a : b;
    return m < c ? m : c;
}

/* Optimal string alignment distance (Damerau-Levenshtein without repeated edits). */
static size_t distance(const char *a, const char *b)
{
    enum { MAX = 64 };
    size_t la = strnlen(a, MAX), lb = strnlen(b, MAX);
    size_t d[3][MAX + 1];
    size_t *before = d[0], *last = d[1], *row = d[2];

    for (size_t j = 0; j <= lb; j++) {
        last[j] = j;
    }
    for (size_t i = 1; i <= la; i++) {
        row[0] = i;
        for (size_t j = 1; j <= lb; j++) {
            size_t cost = a[i - 1] != b[j - 1];
            row[j] = min3(last[j] + 1, row[j - 1] + 1, last[j - 1] + cost);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
                row[j] = min3(row[j], before[j - 2] + 1, row[j]);
            }
        }
        size_t *free_row = before;
        before = last;
        last = row;
        row = free_row;
    }
    return last[lb];
}

const char *str_nearest(const char *word, const char *const *words, size_t n)
{
    const char *nearest = NULL;
    size_t best = strlen(word) / 3 + 1;

    for (size_t i = 0; i < n; i++) {
        size_t d = distance(word, words[i]);
        if (d < best || (d == best && nearest == NULL)) {
            best = d;
            nearest = words[i];
        }
    }
    return nearest;
}

int str_index(const char *s, const char *const *names, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (str_equal(s, names[i])) {
            return (int)i;
        }
    }
    return -1;
}

bool str_copy(char *to, size_t size, const char *s)
{
    size_t len = strlen(s);
    size_t n = len < size ? len : size - 1;

    memcpy(to, s, n);
    to[n] = '\0';
    return len < size;
}
