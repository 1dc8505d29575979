#include "cmd/commands.h"

#include "base/diag.h"
#include "cmd/sets.h"
#include "cmd/soak.h"
#include "net/policy.h"
#include "profile/profile.h"

#include <stdio.h>
#include <string.h>

static const struct cli_option options[] = {
    SETS_SET_OPTION,
    SETS_ALLOW_OPTION,
    {"reference", 0, NULL, "prints the whole vocabulary as a commented profile instead"},
    {NULL, 0, NULL, NULL},
};

/* What the target policy will say, as comments of the profile. */
static void show_policy(const struct plan *plan, struct sink *profile)
{
    struct policy_ruling ruling;
    struct diag *diag = diag_new();
    struct sink *sink = sink_new();

    if (policy_permit(plan, &ruling, diag)) {
        (void)!policy_ceilings(plan, &ruling, diag);
    }
    policy_show(plan, &ruling, sink);
    for (size_t i = 0; i < diag_count(diag); i++) {
        sink_printf(sink, "%s\n", diag_text(diag, i));
    }
    sink_printf(profile, "\n; the target policy:\n");
    for (const char *line = sink_text(sink, NULL); *line != '\0';) {
        size_t len = strcspn(line, "\n");
        sink_printf(profile, ";   %.*s\n", (int)len, line);
        line += len + (line[len] == '\n');
    }
    sink_free(sink);
    diag_free(diag);
}

static int check_profile(const struct cli *cli)
{
    struct sets sets;
    struct diag *diag = diag_new();

    sets_take(&sets, cli);
    struct plan *plan = profile_load(cli->rest[0], sets.texts, sets.n, diag);
    int code = 2;

    if (plan != NULL) {
        soak_check(plan, diag);
    }
    if (plan != NULL && diag_count(diag) == 0) {
        struct sink *sink = sink_new();
        profile_print(plan, true, sink);
        show_policy(plan, sink);
        sink_print(sink, stdout);
        sink_free(sink);
        code = 0;
    }
    diag_print(diag, stderr);
    plan_free(plan);
    sets_clear(&sets);
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
