#include "cmd/sets.h"

#include "base/mem.h"

#include <stdlib.h>

void sets_take(struct sets *sets, const struct cli *cli)
{
    const char *allowed[CLI_VALUES];
    size_t n_allowed = cli_values(cli, "allow-target", allowed, CLI_VALUES);

    *sets = (struct sets){.n = 0};
    sets->n = cli_values(cli, "set", sets->texts, CLI_VALUES);
    for (size_t i = 0; i < n_allowed; i++) {
        char *longer = sets->allow == NULL ? xasprintf("target.allow=%s", allowed[i])
                                           : xasprintf("%s, %s", sets->allow, allowed[i]);
        free(sets->allow);
        sets->allow = longer;
    }
    if (sets->allow != NULL) {
        sets->texts[sets->n++] = sets->allow;
    }
    if (cli_value(cli, "listen", NULL) != NULL) {
        sets->listen = xasprintf("output.listen=%s", cli_value(cli, "listen", NULL));
        sets->texts[sets->n++] = sets->listen;
    }
}

void sets_clear(struct sets *sets)
{
    free(sets->allow);
    free(sets->listen);
    *sets = (struct sets){.n = 0};
}
