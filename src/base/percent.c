#include "base/percent.h"

#include "base/mem.h"

#include <string.h>

char *percent_encode(const char *text)
{
    static const char unreserved[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                     "0123456789-._~";
    static const char hex[] = "0123456789ABCDEF";
    char *encoded = xmalloc(3 * strlen(text) + 1), *out = encoded;

    for (const unsigned char *c = (const unsigned char *)text; *c != '\0'; c++) {
        if (strchr(unreserved, *c) != NULL) {
            *out++ = (char)*c;
        } else {
            *out++ = '%';
            *out++ = hex[*c >> 4];
            *out++ = hex[*c & 15];
        }
    }
    *out = '\0';
    return encoded;
}
