#include "base/escape.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

#define HEX_DIGITS 2

static int digit_of(char c)
{
    return isdigit((unsigned char)c) ? c - '0' : tolower((unsigned char)c) - 'a' + 10;
}

/* The byte that an escape stands for, `at` being behind its backslash; its length, 0: none. */
static size_t read_one(const char *at, char *ret_byte)
{
    static const char letters[] = "rnt\\\"", bytes[] = "\r\n\t\\\"";
    const char *letter = *at != '\0' ? strchr(letters, *at) : NULL;

    if (letter != NULL) {
        *ret_byte = bytes[letter - letters];
        return 1;
    }
    if (*at != 'x' || !isxdigit((unsigned char)at[1]) || !isxdigit((unsigned char)at[2])) {
        return 0;
    }
    *ret_byte = (char)(digit_of(at[1]) * 16 + digit_of(at[2]));
    return 1 + HEX_DIGITS;
}

const char *escape_read(char *text, size_t *ret_len)
{
    char *to = text;

    for (const char *from = text; *from != '\0';) {
        size_t len = 0;
        char byte = *from;

        if (byte == '\\' && (len = read_one(from + 1, &byte)) == 0) {
            return from;
        }
        *to++ = byte;
        from += 1 + len;
    }
    *to = '\0';
    *ret_len = (size_t)(to - text);
    return NULL;
}

void escape_write(struct sink *sink, const char *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)bytes[i];
        bool at_end = i == 0 || i + 1 == len;

        if (c == '\r' || c == '\n' || c == '\t' || c == '\\') {
            sink_printf(sink, "\\%c", c == '\r' ? 'r' : c == '\n' ? 'n' : c == '\t' ? 't' : '\\');
        } else if (c < 0x20 || c >= 0x7f || (c == ' ' && at_end)) {
            sink_printf(sink, "\\x%02x", c);
        } else {
            sink_write(sink, bytes + i, 1);
        }
    }
}
