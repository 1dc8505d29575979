/* What a server was told to be, in words: for the READY line and the truth file. */
#ifndef DEMO_MODE_H
#define DEMO_MODE_H

#include "demo/serve.h"

/* "leak jwt=2048 request=64", "innocent ttl, late 5s", "clean".  The caller frees it. */
char *mode_text(const struct serve_options *options) __attribute__((warn_unused_result));

#endif
