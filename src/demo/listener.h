/* A listening socket: the embedded server's, and that of a run's metrics. */
#ifndef DEMO_LISTENER_H
#define DEMO_LISTENER_H

#include "base/diag.h"

#define LISTENER_TEXT 64

/* Adds a mistake of `origin` unless the text is one that listener_open takes. */
void listener_check(const char *listen, struct origin origin, struct diag *diag);
/* Listens on "127.0.0.1:8443", "[::1]:0", "localhost:0" or "8443" (these two of 127.0.0.1); port 0
 * is any free one.  `ret_text` is what it became.  The descriptor, which does not block, or -1 with
 * mistakes. */
int listener_open(const char *listen, struct origin origin, char ret_text[LISTENER_TEXT],
                  struct diag *diag) __attribute__((warn_unused_result));

#endif
