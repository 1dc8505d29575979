#include "cmd/commands.h"

#include "base/diag.h"
#include "cmd/sets.h"
#include "cmd/soak.h"
#include "profile/profile.h"

#include <stdio.h>

static const struct cli_option options[] = {
    SETS_SET_OPTION,
    SETS_ALLOW_OPTION,
    {"output", 'o', "DIR", "the run directory (default: tlsoak-run-DATE-ID)"},
    {"listen", 0, "ADDRESS:PORT", "output.listen: serves /metrics during the run (0: a free port)"},
    {"quiet", 'q', NULL, "no live view and no report, only the verdict's sentence"},
    {"inconclusive-ok", 0, NULL, "exit 0 instead of 3 when the data can't tell"},
    {"once", 0, NULL, "make one exchange, say how it ended, and stop (exit code 0 or 4)"},
    {"verbose", 'v', NULL, "with --once: show names, handshake, chain, request, reply, timings"},
    {NULL, 0, NULL, NULL},
};

static void vocabulary(FILE *to)
{
    struct sink *sink = sink_new();

    profile_print_help(sink);
    (void)fputs("\nthe profile (INI):\n", to);
    sink_print(sink, to);
    sink_free(sink);
}

static int run(const struct cli *cli)
{
    struct sets sets;
    struct soak_options soak = {
        .dir = cli_value(cli, "output", NULL),
        .profile = cli->rest[0],
        .quiet = cli_flag(cli, "quiet"),
        .inconclusive_ok = cli_flag(cli, "inconclusive-ok"),
    };
    struct diag *diag = diag_new();

    sets_take(&sets, cli);
    if (cli_flag(cli, "verbose") && !cli_flag(cli, "once")) {
        diag_add(diag, (struct origin){"--verbose", 0}, "goes with --once only");
    }
    struct plan *plan = profile_load(cli->rest[0], sets.texts, sets.n, diag);
    int code = 2;

    diag_print(diag, stderr);
    if (plan != NULL && diag_count(diag) == 0) {
        code = cli_flag(cli, "once") ? soak_once(plan, cli_flag(cli, "verbose"))
                                     : soak_perform(plan, &soak);
    }
    plan_free(plan);
    sets_clear(&sets);
    diag_free(diag);
    return code;
}

const struct command command_run = {
    .name = "run",
    .arguments = "PROFILE.ini [--set SECTION.KEY=VALUE]... [-o DIR] [--quiet]",
    .summary = "soaks the target of a profile and judges its memory",
    .details = "Ctrl-C once drains, judges and reports; twice stops at once.",
    .options = options,
    .min_rest = 1,
    .max_rest = 1,
    .run = run,
    .more_help = vocabulary,
};
