#include "cmd/completion.h"

#include "base/mem.h"
#include "base/str.h"
#include "cmd/commands.h"
#include "demo/serve.h"
#include "profile/options.h"
#include "record/driver.h"
#include "report/renderer.h"

#include <stdlib.h>
#include <string.h>

/* What may follow an option, by the name of its argument in the table. */
enum follows { FOLLOWS_ANY, FOLLOWS_WORDS, FOLLOWS_SET, FOLLOWS_FILE, FOLLOWS_DIR };

static void words_of(struct sink *sink, const char *const *words)
{
    for (size_t i = 0; words != NULL && words[i] != NULL; i++) {
        sink_printf(sink, "%s ", words[i]);
    }
}

static void option_words(struct sink *sink, enum section section, const char *key)
{
    const char *suffix;
    const struct option *option = option_find(section, key, &suffix);

    words_of(sink, option != NULL ? option->words : NULL);
}

/* Writes the words that may stand there, each with a blank behind it. */
static enum follows follows_of(const char *argument, struct sink *words)
{
    static const char *const shells[] = {"bash", "zsh", "fish", NULL};
    static const char *const pages[] = {"1", "5", NULL};

    if (str_equal(argument, "FORMAT")) {
        for (size_t i = 0; renderer_at(i) != NULL; i++) {
            sink_printf(words, "%s ", renderer_at(i)->name);
        }
    } else if (str_has_prefix(argument, "DRIVER=")) {
        for (int i = 0; i < DRIVER_COUNT; i++) {
            sink_printf(words, "%s= ", driver_info((enum driver)i)->name);
        }
    } else if (str_equal(argument, "KIND")) {
        for (int i = INNOCENT_NONE + 1; i < INNOCENT_COUNT; i++) {
            sink_printf(words, "%s ", innocent_name((enum innocent)i));
        }
    } else if (str_equal(argument, "TYPE")) {
        option_words(words, SECTION_CERT, "key_type");
    } else if (str_equal(argument, "ALG")) {
        option_words(words, SECTION_JWT, "alg");
    } else if (str_equal(argument, "SHELL")) {
        words_of(words, shells);
    } else if (str_equal(argument, "SECTION")) {
        words_of(words, pages);
    } else {
        return str_equal(argument, "SECTION.KEY=VALUE") ? FOLLOWS_SET
               : str_equal(argument, "FILE")            ? FOLLOWS_FILE
               : str_equal(argument, "DIR")             ? FOLLOWS_DIR
                                                        : FOLLOWS_ANY;
    }
    return FOLLOWS_WORDS;
}

/* What may stand where no option does. */
static enum follows rest_of(const struct command *command, struct sink *words)
{
    if (command->max_rest == 0) {
        return FOLLOWS_ANY;
    }
    if (command == &command_help) {
        for (const struct command *const *c = commands; *c != NULL; c++) {
            sink_printf(words, "%s ", (*c)->name);
        }
        return FOLLOWS_WORDS;
    }
    return str_has_prefix(command->arguments, "DIR ") ? FOLLOWS_DIR : FOLLOWS_FILE;
}

/* Names that --set takes, "pace.rate=": a suffix that begins with a driver gives one for each, one
 * in capitals has no end. */
static void put_key(struct sink *sink, const struct option *option, const char *between)
{
    const char *section = section_info(option->section)->name, *suffix = option->suffix;

    if (suffix != NULL && str_has_prefix(suffix, "DRIVER")) {
        for (int i = 0; i < DRIVER_COUNT; i++) {
            sink_printf(sink, "%s.%s%s%s=%s", section, option->key,
                        driver_info((enum driver)i)->name, suffix + strlen("DRIVER"), between);
        }
    } else {
        bool open = suffix != NULL && strpbrk(suffix, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != NULL;
        sink_printf(sink, "%s.%s%s%s%s", section, option->key,
                    suffix != NULL && !open ? suffix : "", open ? "" : "=", between);
    }
}

static void put_keys(struct sink *sink, const char *between)
{
    for (size_t i = 0; option_at(i) != NULL; i++) {
        if ((option_at(i)->flags & OPTION_NO_FIELD) == 0) {
            put_key(sink, option_at(i), between);
        }
    }
}

/* The closed list of an option's values; false when there is none. */
static bool put_values(struct sink *sink, const struct option *option)
{
    static const char *const answers[] = {"yes", "no", NULL};
    const char *const *words = option->type == TYPE_BOOL ? answers : option->words;

    words_of(sink, words);
    return words != NULL;
}

/* Cases of a shell's case statement, "pace.mode) BEFORE open closed AFTER". */
static void put_value_cases(struct sink *sink, const char *before, const char *after)
{
    for (size_t i = 0; option_at(i) != NULL; i++) {
        const struct option *option = option_at(i);
        struct sink *words = sink_new();
        if (option->suffix == NULL && put_values(words, option)) {
            sink_printf(sink, "    %s.%s) %s%s%s ;;\n", section_info(option->section)->name,
                        option->key, before, sink_text(words, NULL), after);
        }
        sink_free(words);
    }
}

/* Within single quotes; `also` is escaped with a backslash. */
static void put_quoted(struct sink *sink, const char *text, const char *also)
{
    for (const char *p = text; *p != '\0'; p++) {
        sink_printf(sink, *p == '\'' ? "'\\''" : strchr(also, *p) != NULL ? "\\%c" : "%c", *p);
    }
}

static void bash_pattern(struct sink *sink, const struct command *command,
                         const struct cli_option *o)
{
    sink_printf(sink, "    %s:--%s", command->name, o->name);
    if (o->letter != '\0') {
        sink_printf(sink, " | %s:-%c", command->name, o->letter);
    }
    sink_printf(sink, ") ");
}

static void bash_follows(struct sink *sink, enum follows follows, const struct sink *words)
{
    const char *text = sink_text(words, NULL);

    switch (follows) {
    case FOLLOWS_WORDS:
        sink_printf(sink, "_tlsoak_words '%s' ;;\n", text);
        break;
    case FOLLOWS_SET:
        sink_printf(sink, "_tlsoak_words \"$_tlsoak_keys\" ;;\n");
        break;
    case FOLLOWS_FILE:
    case FOLLOWS_DIR:
        sink_printf(sink, "_tlsoak_paths %s ;;\n", follows == FOLLOWS_DIR ? "-d" : "-f");
        break;
    case FOLLOWS_ANY:
        sink_printf(sink, "return ;;\n");
        break;
    }
}

static void bash_arguments(struct sink *sink, const struct command *command)
{
    for (const struct cli_option *o = command->options; o->name != NULL; o++) {
        if (o->argument != NULL) {
            struct sink *words = sink_new();
            enum follows follows = follows_of(o->argument, words);
            bash_pattern(sink, command, o);
            bash_follows(sink, follows, words);
            sink_free(words);
        }
    }
}

static void bash_command(struct sink *sink, const struct command *command)
{
    struct sink *words = sink_new();

    sink_printf(sink, "    %s:-*) _tlsoak_words '", command->name);
    for (const struct cli_option *o = command->options; o->name != NULL; o++) {
        sink_printf(sink, "--%s ", o->name);
    }
    sink_printf(sink, "--help' ;;\n    %s:*) ", command->name);
    bash_follows(sink, rest_of(command, words), words);
    sink_free(words);
}

static void write_bash(struct sink *sink)
{
    sink_printf(sink, "# Completion of tlsoak for bash; written by tlsoak help --completion bash.\n"
                      "_tlsoak_commands='");
    for (const struct command *const *c = commands; *c != NULL; c++) {
        sink_printf(sink, "%s ", (*c)->name);
    }
    sink_printf(sink, "--help --version'\n_tlsoak_keys='");
    put_keys(sink, " ");
    sink_printf(sink,
                "'\n\n"
                "_tlsoak_words()\n{\n"
                "  mapfile -t COMPREPLY < <(compgen -W \"$1\" -- \"$cur\")\n"
                "  if [[ ${COMPREPLY[*]} == *[.=] ]]; then compopt -o nospace 2>/dev/null; fi\n"
                "}\n\n"
                "_tlsoak_paths()\n{\n"
                "  mapfile -t COMPREPLY < <(compgen \"$1\" -- \"$cur\")\n"
                "  compopt -o filenames 2>/dev/null\n"
                "}\n\n"
                "_tlsoak_values()\n{\n"
                "  case $1 in\n");
    put_value_cases(sink, "_tlsoak_words '", "'");
    sink_printf(sink,
                "  esac\n"
                "}\n\n"
                "_tlsoak()\n{\n"
                "  local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}\n"
                "  local command=${COMP_WORDS[1]}\n"
                "  COMPREPLY=()\n"
                "  if ((COMP_CWORD == 1)); then _tlsoak_words \"$_tlsoak_commands\"; return; fi\n"
                "  # bash takes = for a word of its own\n"
                "  if [[ $cur == = ]]; then\n"
                "    cur=''\n"
                "    if [[ $prev != -* ]]; then _tlsoak_values \"$prev\"; return; fi\n"
                "  elif [[ $prev == = ]]; then\n"
                "    prev=${COMP_WORDS[COMP_CWORD - 2]}\n"
                "    if [[ $prev != -* ]]; then _tlsoak_values \"$prev\"; return; fi\n"
                "  fi\n"
                "  case $command:$prev in\n");
    for (const struct command *const *c = commands; *c != NULL; c++) {
        bash_arguments(sink, *c);
    }
    sink_printf(sink, "    *)\n  case $command:$cur in\n");
    for (const struct command *const *c = commands; *c != NULL; c++) {
        bash_command(sink, *c);
    }
    sink_printf(sink, "  esac ;;\n  esac\n}\n\ncomplete -F _tlsoak tlsoak\n");
}

static void zsh_follows(struct sink *sink, enum follows follows, const struct sink *words)
{
    static const char *const actions[] = {
        [FOLLOWS_ANY] = " ",
        [FOLLOWS_SET] = "_tlsoak_set",
        [FOLLOWS_FILE] = "_files",
        [FOLLOWS_DIR] = "_files -/",
    };

    if (follows == FOLLOWS_WORDS) {
        sink_printf(sink, "(%s)", sink_text(words, NULL));
    } else {
        sink_printf(sink, "%s", actions[follows]);
    }
}

static void zsh_option(struct sink *sink, const char *name, const struct cli_option *o,
                       const char *joins)
{
    struct sink *words = sink_new();

    sink_printf(sink, " \\\n      '*%s%s[", name, o->argument != NULL ? joins : "");
    put_quoted(sink, o->help, "[]:\\");
    sink_printf(sink, "]");
    if (o->argument != NULL) {
        enum follows follows = follows_of(o->argument, words);
        sink_printf(sink, ":");
        put_quoted(sink, o->argument, ":\\");
        sink_printf(sink, ":");
        zsh_follows(sink, follows, words);
    }
    sink_printf(sink, "'");
    sink_free(words);
}

static void zsh_command(struct sink *sink, const struct command *command)
{
    struct sink *words = sink_new();

    sink_printf(sink, "  %s)\n    _arguments", command->name);
    for (const struct cli_option *o = command->options; o->name != NULL; o++) {
        CLEANUP_FREE char *name = xasprintf("--%s", o->name);
        char letter[] = {'-', o->letter, '\0'};
        zsh_option(sink, name, o, "=");
        if (o->letter != '\0') {
            zsh_option(sink, letter, o, "+");
        }
    }
    sink_printf(sink, " \\\n      '--help[this text]' '*: :");
    zsh_follows(sink, rest_of(command, words), words);
    sink_printf(sink, "' ;;\n");
    sink_free(words);
}

static void write_zsh(struct sink *sink)
{
    sink_printf(sink, "#compdef tlsoak\n"
                      "# Completion of tlsoak for zsh; written by tlsoak help --completion zsh.\n"
                      "_tlsoak_set() {\n"
                      "  if ! compset -P '*='; then\n    compadd -S '' -- ");
    put_keys(sink, " ");
    sink_printf(sink, "\n    return\n  fi\n  case ${${IPREFIX%%=}##*=} in\n");
    put_value_cases(sink, "compadd -- ", "");
    sink_printf(sink, "  esac\n}\n\n_tlsoak() {\n  if (( CURRENT == 2 )); then\n"
                      "    local -a commands=(\n");
    for (const struct command *const *c = commands; *c != NULL; c++) {
        sink_printf(sink, "      '%s:", (*c)->name);
        put_quoted(sink, (*c)->summary, ":\\");
        sink_printf(sink, "'\n");
    }
    sink_printf(sink, "    )\n    _describe command commands\n    return\n  fi\n"
                      "  local command=$words[2]\n  shift words\n  (( CURRENT-- ))\n"
                      "  case $command in\n");
    for (const struct command *const *c = commands; *c != NULL; c++) {
        zsh_command(sink, *c);
    }
    sink_printf(sink, "  esac\n}\n\n"
                      "if [[ $zsh_eval_context == *loadautofunc ]]; then\n  _tlsoak \"$@\"\nelse\n"
                      "  compdef _tlsoak tlsoak\nfi\n");
}

static void fish_follows(struct sink *sink, enum follows follows, const struct sink *words)
{
    switch (follows) {
    case FOLLOWS_WORDS:
        sink_printf(sink, " -x -a '%s'", sink_text(words, NULL));
        break;
    case FOLLOWS_SET:
        sink_printf(sink, " -x -a '(__tlsoak_set)'");
        break;
    case FOLLOWS_FILE:
        sink_printf(sink, " -r -F");
        break;
    case FOLLOWS_DIR:
        sink_printf(sink, " -x -a '(__fish_complete_directories)'");
        break;
    case FOLLOWS_ANY:
        sink_printf(sink, " -x");
        break;
    }
}

static void fish_option(struct sink *sink, const struct command *command,
                        const struct cli_option *o)
{
    struct sink *words = sink_new();

    sink_printf(sink, "complete -c tlsoak -n '__fish_seen_subcommand_from %s' -l %s", command->name,
                o->name);
    if (o->letter != '\0') {
        sink_printf(sink, " -s %c", o->letter);
    }
    if (o->argument != NULL) {
        enum follows follows = follows_of(o->argument, words);
        fish_follows(sink, follows, words);
    }
    sink_printf(sink, " -d \"");
    for (const char *p = o->help; *p != '\0'; p++) {
        sink_printf(sink, strchr("\"\\$", *p) != NULL ? "\\%c" : "%c", *p);
    }
    sink_printf(sink, "\"\n");
    sink_free(words);
}

static void fish_command(struct sink *sink, const struct command *command)
{
    struct sink *words = sink_new();
    enum follows follows = rest_of(command, words);

    sink_printf(sink, "complete -c tlsoak -n __fish_use_subcommand -a %s -d \"%s\"\n",
                command->name, command->summary);
    if (follows == FOLLOWS_FILE) {
        sink_printf(sink, "complete -c tlsoak -n '__fish_seen_subcommand_from %s' -F\n",
                    command->name);
    } else if (follows != FOLLOWS_ANY) {
        sink_printf(sink, "complete -c tlsoak -n '__fish_seen_subcommand_from %s'", command->name);
        fish_follows(sink, follows, words);
        sink_printf(sink, "\n");
    }
    for (const struct cli_option *o = command->options; o->name != NULL; o++) {
        fish_option(sink, command, o);
    }
    sink_free(words);
}

static void write_fish(struct sink *sink)
{
    sink_printf(sink, "# Completion of tlsoak for fish; written by tlsoak help --completion fish.\n"
                      "function __tlsoak_set\n  printf '%%s\\n' ");
    put_keys(sink, " ");
    for (size_t i = 0; option_at(i) != NULL; i++) {
        const struct option *option = option_at(i);
        struct sink *words = sink_new();
        if (option->suffix == NULL && put_values(words, option)) {
            CLEANUP_FREE char *text = xstrdup(sink_text(words, NULL));
            char *rest = text, *word;
            while ((word = strsep(&rest, " ")) != NULL && word[0] != '\0') {
                sink_printf(sink, "%s.%s=%s ", section_info(option->section)->name, option->key,
                            word);
            }
        }
        sink_free(words);
    }
    sink_printf(sink, "\nend\n\ncomplete -c tlsoak -f\n");
    for (const struct command *const *c = commands; *c != NULL; c++) {
        fish_command(sink, *c);
    }
}

bool completion_write(struct sink *sink, const char *shell)
{
    static const struct {
        const char *name;
        void (*write)(struct sink *sink);
    } shells[] = {{"bash", write_bash}, {"zsh", write_zsh}, {"fish", write_fish}};

    for (size_t i = 0; i < sizeof shells / sizeof shells[0]; i++) {
        if (str_equal(shell, shells[i].name)) {
            shells[i].write(sink);
            return true;
        }
    }
    return false;
}
