#include "cmd/commands.h"

#include "base/str.h"
#include "cmd/completion.h"
#include "cmd/manual.h"

#include <stdio.h>

static const struct cli_option options[] = {
    {"man", 0, "SECTION", "the manual page in roff: 1, tlsoak(1), or 5, tlsoak.ini(5)"},
    {"completion", 0, "SHELL", "a script that completes the command line: " COMPLETION_SHELLS},
    {NULL, 0, NULL, NULL},
};

static bool print_manual(const char *section, struct sink *sink, struct diag *diag)
{
    if (str_equal(section, "1")) {
        manual_command(sink);
    } else if (str_equal(section, "5")) {
        manual_profile(sink);
    } else {
        diag_add(diag, (struct origin){"--man", 0}, "there is no page in section %s (1 or 5)",
                 section);
        return false;
    }
    return true;
}

static bool print_completion(const char *shell, struct sink *sink, struct diag *diag)
{
    if (!completion_write(sink, shell)) {
        diag_add(diag, (struct origin){"--completion", 0},
                 "unknown shell %s (" COMPLETION_SHELLS ")", shell);
        return false;
    }
    return true;
}

static bool help_of(const char *name, struct diag *diag)
{
    for (const struct command *const *c = commands; *c != NULL; c++) {
        if (str_equal((*c)->name, name)) {
            cli_help(*c, stdout);
            return true;
        }
    }
    diag_add(diag, (struct origin){"help", 0}, "there is no command %s; see tlsoak --help", name);
    return false;
}

static int run(const struct cli *cli)
{
    const char *man = cli_value(cli, "man", NULL), *shell = cli_value(cli, "completion", NULL);
    struct diag *diag = diag_new();
    struct sink *sink = sink_new();
    bool ok = true;

    if (man != NULL) {
        ok = print_manual(man, sink, diag);
    } else if (shell != NULL) {
        ok = print_completion(shell, sink, diag);
    } else if (cli->n_rest > 0) {
        ok = help_of(cli->rest[0], diag);
    } else {
        cli_overview(stdout);
    }
    sink_print(sink, stdout);
    diag_print(diag, stderr);
    sink_free(sink);
    diag_free(diag);
    return ok ? 0 : 2;
}

const struct command command_help = {
    .name = "help",
    .arguments = "[COMMAND]",
    .summary = "help of a command, the manual, completion for a shell",
    .options = options,
    .max_rest = 1,
    .run = run,
};
