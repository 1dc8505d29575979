/* Notes for the person at the terminal, on stderr: "tlsoak: ...".  Never secrets, never in the
 * request path.  The live view hides and restores itself around them. */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdbool.h>

void log_note(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_warn(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Called before and after each message (the live view); NULLs to forget. */
void log_around(void (*before)(void), void (*after)(void));
void log_quiet(bool quiet); /* notes are dropped, warnings stay */

#endif
