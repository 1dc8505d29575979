#include "base/log.h"

#include "base/sink.h"

#include <pthread.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

static struct {
    void (*before)(void);
    void (*after)(void);
    bool quiet;
} state;

/* The probe thread speaks too, and the live view comes and goes. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void say(const char *kind, const char *format, va_list args)
{
    struct sink *line = sink_new();
    char *text = NULL;

    if (vasprintf(&text, format, args) < 0) {
        text = NULL;
    }
    (void)pthread_mutex_lock(&lock);
    if (state.before != NULL) {
        state.before();
    }
    sink_printf(line, "tlsoak: %s", kind);
    sink_plain(line, text != NULL ? text : format);
    sink_write(line, "\n", 1);
    sink_print(line, stderr);
    if (state.after != NULL) {
        state.after();
    }
    (void)pthread_mutex_unlock(&lock);
    sink_free(line);
    free(text);
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
    (void)pthread_mutex_lock(&lock);
    state.before = before;
    state.after = after;
    (void)pthread_mutex_unlock(&lock);
}

void log_quiet(bool quiet)
{
    state.quiet = quiet;
}
