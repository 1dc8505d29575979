#include "base/bug.h"

#include <stdio.h>
#include <unistd.h>

_Noreturn void bug_at(const char *file, int line, const char *what)
{
    (void)fprintf(stderr, "tlsoak: bug at %s:%d: %s\n", file, line, what);
    _exit(70);
}
