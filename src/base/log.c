#include "base/log.h"

#include <pthread.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

static struct {
    void (*before)(void);
    void (*after)(void);
    bool quiet;
} state;

/* The probe thread speaks too, and the live view comes and goes. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void say(const char *kind, const char *format, va_list args)
{
    (void)pthread_mutex_lock(&lock);
    if (state.before != NULL) {
        state.before();
    }
    (void)fprintf(stderr, "tlsoak: %s", kind);
    (void)vfprintf(stderr, format, args);
    (void)fputc('\n', stderr);
    if (state.after != NULL) {
        state.after();
    }
    (void)pthread_mutex_unlock(&lock);
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
