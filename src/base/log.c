#include "base/log.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

static struct {
    void (*before)(void);
    void (*after)(void);
    bool quiet;
} state;

static void say(const char *kind, const char *format, va_list args)
{
    if (state.before != NULL) {
        state.before();
    }
    (void)fprintf(stderr, "tlsoak: %s", kind);
    (void)vfprintf(stderr, format, args);
    (void)fputc('\n', stderr);
    if (state.after != NULL) {
        state.after();
    }
}

void log_note(const char *format, ...)
{
    va_list args;

    if (state.quiet) {
        return;
    }
    va_start(args, format);
    say("", format, args);
    va_end(args);
}

void log_warn(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    say("warning: ", format, args);
    va_end(args);
}

void log_around(void (*before)(void), void (*after)(void))
{
    state.before = before;
    state.after = after;
}

void log_quiet(bool quiet)
{
    state.quiet = quiet;
}
