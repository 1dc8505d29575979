/* A bug of tlsoak's own: a broken invariant, never a user's mistake or a server's fault.  BUG_ON
 * stays on in release builds; it prints file:line and the condition and ends with exit code 70. */
#ifndef BASE_BUG_H
#define BASE_BUG_H

#define BUG_ON(condition)                                                                          \
    do {                                                                                           \
        if (__builtin_expect(!!(condition), 0)) {                                                  \
            bug_at(__FILE__, __LINE__, #condition);                                                \
        }                                                                                          \
    } while (0)

/* Prints "bug at FILE:LINE: WHAT" on stderr and ends the process with code 70. */
_Noreturn void bug_at(const char *file, int line, const char *what);

#endif
