#include "report/annotations.h"

#include "report/checks.h"

#include <string.h>

#define SHOWN 8

/* A runner undoes %XX; in a property also a colon and a comma would end it. */
static void put(struct sink *sink, const char *text, bool property)
{
    for (const char *c = text; *c != '\0'; c++) {
        unsigned char byte = (unsigned char)*c;
        bool escaped =
            byte == '%' || byte < ' ' || byte == 0x7f || (property && (byte == ':' || byte == ','));
        if (escaped) {
            sink_printf(sink, "%%%02X", byte);
        } else {
            sink_write(sink, c, 1);
        }
    }
}

static void put_check(struct sink *sink, const struct check *check, const char *profile)
{
    sink_printf(sink, "::%s ", check->state == CHECK_UNKNOWN ? "warning" : "error");
    if (profile != NULL) {
        sink_printf(sink, "file=");
        put(sink, profile, true);
        sink_printf(sink, ",");
    }
    sink_printf(sink, "title=");
    put(sink, "tlsoak: ", true);
    put(sink, check->name, true);
    sink_printf(sink, "::");
    put(sink, check->text, false);
    sink_printf(sink, "\n");
}

void annotations_write(struct sink *sink, const struct verdict *verdict, const char *profile)
{
    /* the gravest first, so that none is left out for less */
    static const enum check_state states[] = {CHECK_FAILED, CHECK_INVALID, CHECK_UNKNOWN};
    struct checks *checks = checks_new(verdict);
    size_t n = 0;

    for (size_t s = 0; s < sizeof states / sizeof states[0]; s++) {
        for (size_t i = 0; i < checks->n; i++) {
            if (checks->list[i].state == states[s] && n++ < SHOWN) {
                put_check(sink, &checks->list[i], profile);
            }
        }
    }
    if (n > SHOWN) {
        sink_printf(sink, "::warning title=tlsoak::and %zu more, in the report\n", n - SHOWN);
    }
    checks_free(checks);
}
