#include "base/roff.h"

#include <string.h>

static void put(struct sink *sink, char c)
{
    switch (c) {
    case '\\':
        sink_printf(sink, "\\e");
        break;
    case '-':
        sink_printf(sink, "\\-");
        break;
    case '\'':
        sink_printf(sink, "\\(aq");
        break;
    case '`':
        sink_printf(sink, "\\(ga");
        break;
    case '^':
        sink_printf(sink, "\\(ha");
        break;
    case '~':
        sink_printf(sink, "\\(ti");
        break;
    case '"':
        sink_printf(sink, "\\(dq");
        break;
    default:
        sink_write(sink, &c, 1);
        break;
    }
}

/* A dot at the start of a line would begin a request. */
static void begin(struct sink *sink, const char *text)
{
    if (*text == '.') {
        sink_printf(sink, "\\&");
    }
}

void roff_text(struct sink *sink, const char *text)
{
    text += strspn(text, " \n");
    begin(sink, text);
    while (*text != '\0') {
        size_t blanks = strspn(text, " \n");
        if (blanks > 0) {
            text += blanks;
            sink_printf(sink, "%s", *text != '\0' ? " " : "");
            continue;
        }
        put(sink, *text);
        if ((*text == '|' || *text == '/') && text[1] != '\0') {
            sink_printf(sink, "\\:");
        }
        text++;
    }
}

void roff_line(struct sink *sink, const char *text, size_t len)
{
    begin(sink, len > 0 ? text : "");
    for (size_t i = 0; i < len; i++) {
        put(sink, text[i]);
    }
}

void roff_bold(struct sink *sink, const char *text)
{
    sink_printf(sink, "\\fB");
    roff_text(sink, text);
    sink_printf(sink, "\\fR");
}

void roff_italic(struct sink *sink, const char *text)
{
    sink_printf(sink, "\\fI");
    roff_text(sink, text);
    sink_printf(sink, "\\fR");
}
