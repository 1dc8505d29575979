#include "cmd/cli.h"

#include "base/core.h"
#include "base/mem.h"
#include "base/str.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

static const struct origin command_line = {"command line", 0};

const struct cli_exit cli_exits[] = {
    {0, "pass"},
    {1, "fail: a leak, a limit broken, a bad identity let in, mutual TLS not enforced"},
    {2, "mistake in the profile or the command line"},
    {3, "inconclusive; the report says how much more is needed"},
    {4, "run invalid: target lost, generator saturated, memory source lost, disk full"},
    {5, "refused before start: target policy, missing permission or resources"},
    {6, "interrupted by a signal; nothing had failed"},
    {70, "a bug of tlsoak's own"},
    {0, NULL},
};

static const struct cli_option *find_option(const struct command *command, const char *name,
                                            size_t len)
{
    for (const struct cli_option *o = command->options; o->name != NULL; o++) {
        if (strlen(o->name) == len && strncmp(o->name, name, len) == 0) {
            return o;
        }
    }
    return NULL;
}

static const struct cli_option *find_letter(const struct command *command, char letter)
{
    for (const struct cli_option *o = command->options; o->name != NULL; o++) {
        if (o->letter == letter) {
            return o;
        }
    }
    return NULL;
}

static void unknown_option(const struct command *command, const char *word, struct diag *diag)
{
    const char *names[CLI_VALUES];
    size_t n = 0;

    for (const struct cli_option *o = command->options; o->name != NULL && n < CLI_VALUES; o++) {
        names[n++] = o->name;
    }
    CLEANUP_FREE char *bare =
        xstrndup(word + strspn(word, "-"), strcspn(word, "=") - strspn(word, "-"));
    const char *near = str_nearest(bare, names, n);
    if (near != NULL) {
        diag_add(diag, command_line, "unknown option %s; did you mean --%s?", word, near);
    } else {
        diag_add(diag, command_line, "unknown option %s; see tlsoak %s --help", word,
                 command->name);
    }
}

static void keep(struct cli *cli, const struct cli_option *option, const char *value,
                 struct diag *diag)
{
    if (cli->n_given == CLI_VALUES) {
        diag_add(diag, command_line, "more than %d options", CLI_VALUES);
        return;
    }
    cli->given[cli->n_given].option = option;
    cli->given[cli->n_given].value = value;
    cli->n_given++;
}

/* One word that begins with '-'; takes the next word too where the option wants a value.
 * Returns how many words were used. */
static int parse_option(const struct command *command, char **words, int n_words, struct cli *cli,
                        struct diag *diag)
{
    const char *word = words[0];
    const char *inline_value = NULL;
    const struct cli_option *option;

    if (word[1] == '-') {
        size_t len = strcspn(word + 2, "=");
        option = find_option(command, word + 2, len);
        inline_value = word[2 + len] == '=' ? word + 3 + len : NULL;
    } else {
        option = find_letter(command, word[1]);
        inline_value = word[2] != '\0' ? word + 2 : NULL;
    }
    if (option == NULL) {
        unknown_option(command, word, diag);
        return 1;
    }
    if (option->argument == NULL) {
        if (inline_value != NULL) {
            diag_add(diag, command_line, "--%s takes no value", option->name);
        }
        keep(cli, option, "", diag);
        return 1;
    }
    if (inline_value == NULL && n_words < 2) {
        diag_add(diag, command_line, "--%s wants a value: --%s %s", option->name, option->name,
                 option->argument);
        return 1;
    }
    keep(cli, option, inline_value != NULL ? inline_value : words[1], diag);
    return inline_value != NULL ? 1 : 2;
}

bool cli_parse(const struct command *command, int argc, char **argv, struct cli *ret_cli,
               struct diag *diag)
{
    struct cli cli = {.n_given = 0};
    bool only_rest = false;

    for (int i = 0; i < argc;) {
        if (!only_rest && str_equal(argv[i], "--")) {
            only_rest = true;
            i++;
        } else if (!only_rest && argv[i][0] == '-' && argv[i][1] != '\0') {
            i += parse_option(command, argv + i, argc - i, &cli, diag);
        } else {
            if (cli.n_rest < CLI_VALUES) {
                cli.rest[cli.n_rest++] = argv[i];
            }
            i++;
        }
    }
    if (cli.n_rest < command->min_rest || cli.n_rest > command->max_rest) {
        diag_add(diag, command_line, "usage: tlsoak %s %s", command->name, command->arguments);
    }
    *ret_cli = cli;
    return diag_count(diag) == 0;
}

bool cli_flag(const struct cli *cli, const char *name)
{
    return cli_value(cli, name, NULL) != NULL;
}

const char *cli_value(const struct cli *cli, const char *name, const char *fallback)
{
    const char *value = fallback;

    for (size_t i = 0; i < cli->n_given; i++) {
        if (str_equal(cli->given[i].option->name, name)) {
            value = cli->given[i].value;
        }
    }
    return value;
}

size_t cli_values(const struct cli *cli, const char *name, const char **ret_values, size_t max)
{
    size_t n = 0;

    for (size_t i = 0; i < cli->n_given && n < max; i++) {
        if (str_equal(cli->given[i].option->name, name)) {
            ret_values[n++] = cli->given[i].value;
        }
    }
    return n;
}

void cli_help(const struct command *command, FILE *to)
{
    (void)fprintf(to, "usage: tlsoak %s %s\n%s\n", command->name, command->arguments,
                  command->summary);
    if (command->details != NULL) {
        (void)fprintf(to, "\n%s\n", command->details);
    }
    (void)fprintf(to, "\noptions:\n");
    for (const struct cli_option *o = command->options; o->name != NULL; o++) {
        char left[64];
        (void)snprintf(left, sizeof left, "%s%c%s--%s%s%s", o->letter ? "-" : " ",
                       o->letter ? o->letter : ' ', o->letter ? ", " : "  ", o->name,
                       o->argument != NULL ? " " : "", o->argument != NULL ? o->argument : "");
        (void)fprintf(to, "  %-30s %s\n", left, o->help);
    }
    (void)fprintf(to, "  %-30s %s\n", "    --help", "this text");
    if (command->more_help != NULL) {
        command->more_help(to);
    }
}

void cli_overview(FILE *to)
{
    (void)fprintf(to, "tlsoak %s: does a server with mutual TLS leak memory, and per what?\n\n",
                  TLSOAK_VERSION);
    for (const struct command *const *c = commands; *c != NULL; c++) {
        (void)fprintf(to, "  tlsoak %-8s %s\n", (*c)->name, (*c)->summary);
    }
    (void)fprintf(to, "\ntlsoak COMMAND --help tells more. Exit codes:\n\n");
    for (const struct cli_exit *e = cli_exits; e->meaning != NULL; e++) {
        (void)fprintf(to, "  %-3d %s\n", e->code, e->meaning);
    }
}

static int unknown_command(const char *name)
{
    const char *names[CLI_VALUES];
    size_t n = 0;

    for (const struct command *const *c = commands; *c != NULL; c++) {
        names[n++] = (*c)->name;
    }
    const char *near = str_nearest(name, names, n);
    (void)fprintf(stderr, "tlsoak: there is no command %s%s%s%s\n", name,
                  near != NULL ? "; did you mean " : "", near != NULL ? near : "",
                  near != NULL ? "?" : "; see tlsoak --help");
    return 2;
}

static bool asks_for_help(int argc, char **argv)
{
    for (int i = 0; i < argc && !str_equal(argv[i], "--"); i++) {
        if (str_equal(argv[i], "--help") || str_equal(argv[i], "-h")) {
            return true;
        }
    }
    return false;
}

static int run_command(const struct command *command, int argc, char **argv)
{
    struct diag *diag = diag_new();
    struct cli cli;
    int code = 2;

    if (asks_for_help(argc, argv)) {
        cli_help(command, stdout);
        code = 0;
    } else if (cli_parse(command, argc, argv, &cli, diag)) {
        code = command->run(&cli);
    } else {
        diag_print(diag, stderr);
    }
    diag_free(diag);
    return code;
}

int cli_main(int argc, char **argv)
{
    (void)signal(SIGPIPE, SIG_IGN);
    core_forbid();
    if (argc < 2 || str_equal(argv[1], "--help") || str_equal(argv[1], "-h")) {
        cli_overview(argc < 2 ? stderr : stdout);
        return argc < 2 ? 2 : 0;
    }
    if (str_equal(argv[1], "--version")) {
        (void)printf("tlsoak %s\n", TLSOAK_VERSION);
        return 0;
    }
    for (const struct command *const *c = commands; *c != NULL; c++) {
        if (str_equal(argv[1], (*c)->name)) {
            return run_command(*c, argc - 2, argv + 2);
        }
    }
    return unknown_command(argv[1]);
}
