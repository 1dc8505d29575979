/* Leaks and look-alikes as people write them on the command line, for `serve` and `demo`. */
#ifndef CMD_PLANTING_H
#define CMD_PLANTING_H

#include "base/diag.h"
#include "cmd/cli.h"
#include "demo/serve.h"

#include <stdbool.h>

/* Reads --leak DRIVER=SIZE (repeated) and --innocent KIND into `options`. */
bool planting_read(const struct cli *cli, struct serve_options *options, struct diag *diag)
    __attribute__((warn_unused_result));
/* Prints what can be planted. */
void planting_help(FILE *to);

#endif
