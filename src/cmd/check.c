#include "cmd/commands.h"

#include "base/diag.h"
#include "cmd/soak.h"
#include "profile/profile.h"

#include <stdio.h>

static const struct cli_option options[] = {
    {"set", 's', "SECTION.KEY=VALUE", "overrides one value of the profile (may be repeated)"},
    {"reference", 0, NULL, "prints the whole vocabulary as a commented profile instead"},
    {NULL, 0, NULL, NULL},
};

static int check_profile(const struct cli *cli)
{
    const char *sets[CLI_VALUES];
    size_t n_sets = cli_values(cli, "set", sets, CLI_VALUES);
    struct diag *diag = diag_new();
    struct plan *plan = profile_load(cli->rest[0], sets, n_sets, diag);
    int code = 2;

    if (plan != NULL) {
        soak_check(plan, diag);
    }
    if (plan != NULL && diag_count(diag) == 0) {
        struct sink *sink = sink_new();
        profile_print(plan, true, sink);
        sink_print(sink, stdout);
        sink_free(sink);
        code = 0;
    }
    diag_print(diag, stderr);
    plan_free(plan);
    diag_free(diag);
    return code;
}

static int run(const struct cli *cli)
{
    if (cli_flag(cli, "reference")) {
        struct sink *sink = sink_new();
        profile_print_reference(sink);
        sink_print(sink, stdout);
        sink_free(sink);
        return 0;
    }
    if (cli->n_rest == 0) {
        (void)fputs("command line: usage: tlsoak check PROFILE.ini\n", stderr);
        return 2;
    }
    return check_profile(cli);
}

const struct command command_check = {
    .name = "check",
    .arguments = "PROFILE.ini [--set SECTION.KEY=VALUE]...",
    .summary = "validates a profile and its files, and prints each value with its origin",
    .options = options,
    .min_rest = 0,
    .max_rest = 1,
    .run = run,
};
