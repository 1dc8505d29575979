/* What the command line says of the profile's values: --set, and --allow-target and --listen, which
 * are short for target.allow and output.listen. */
#ifndef CMD_SETS_H
#define CMD_SETS_H

#include "cmd/cli.h"

#include <stddef.h>

#define SETS_SET_OPTION                                                                            \
    {                                                                                              \
        "set", 's', "SECTION.KEY=VALUE", "overrides one value of the profile (may be repeated)"    \
    }
#define SETS_ALLOW_OPTION                                                                          \
    {                                                                                              \
        "allow-target", 0, "HOST[:PORT]",                                                          \
            "target.allow, in place of the profile's (may be repeated)"                            \
    }

struct sets {
    const char *texts[CLI_VALUES + 2]; /* SECTION.KEY=VALUE; borrow from the command line */
    size_t n;
    char *allow, *listen; /* owns */
};

void sets_take(struct sets *sets, const struct cli *cli);
void sets_clear(struct sets *sets);

#endif
