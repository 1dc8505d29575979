/* The command line of one subcommand, parsed from its table of options: the same rows print
 * --help. */
#ifndef CMD_CLI_H
#define CMD_CLI_H

#include "base/diag.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#define CLI_VALUES 64

struct cli_option {
    const char *name;     /* long name without "--"; NULL ends a table */
    char letter;          /* or 0 */
    const char *argument; /* "DIR"; NULL: a flag */
    const char *help;
};

/* What was written: each option with its value, in order, and the rest. */
struct cli {
    struct {
        const struct cli_option *option;
        const char *value; /* "" for a flag */
    } given[CLI_VALUES];
    size_t n_given;
    const char *rest[CLI_VALUES]; /* positional arguments */
    size_t n_rest;
};

struct command {
    const char *name;
    const char *arguments; /* "PROFILE.ini [OPTION]..." */
    const char *summary;   /* one line */
    const char *details;   /* for --help; may be NULL */
    const struct cli_option *options;
    size_t min_rest, max_rest; /* positional arguments */
    int (*run)(const struct cli *cli);
    void (*more_help)(FILE *to); /* prints what other tables say; may be NULL */
};

struct cli_exit {
    int code;
    const char *meaning; /* NULL ends the table */
};

/* The exit codes, of which verdict.h decides; for help and manual. */
extern const struct cli_exit cli_exits[];
/* The subcommands, ended by one without a name. */
extern const struct command *const commands[];

/* Parses argv after the subcommand's name; false with mistakes. */
bool cli_parse(const struct command *command, int argc, char **argv, struct cli *ret_cli,
               struct diag *diag) __attribute__((warn_unused_result));
bool cli_flag(const struct cli *cli, const char *name);
/* The last value given, or `fallback`. */
const char *cli_value(const struct cli *cli, const char *name, const char *fallback);
/* All values of an option that may be repeated; returns how many. */
size_t cli_values(const struct cli *cli, const char *name, const char **ret_values, size_t max);
void cli_help(const struct command *command, FILE *to);
/* All commands, and the exit codes. */
void cli_overview(FILE *to);
/* Runs the subcommand that argv names: the whole of main. */
int cli_main(int argc, char **argv);

#endif
