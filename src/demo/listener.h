/* The listening socket of the embedded server. */
#ifndef DEMO_LISTENER_H
#define DEMO_LISTENER_H

#include "base/diag.h"

#define LISTENER_TEXT 64

/* Listens on "127.0.0.1:8443", "[::1]:0" or "localhost:0" (127.0.0.1); port 0 is any free one.
 * `ret_text` is what it became.  The descriptor, or -1 with mistakes. */
int listener_open(const char *listen, char ret_text[LISTENER_TEXT], struct diag *diag)
    __attribute__((warn_unused_result));

#endif
