/* Completion of the command line for bash, zsh and fish, from the tables of commands and options:
 * commands, their options, values of options that have a closed list, and what --set may name. */
#ifndef CMD_COMPLETION_H
#define CMD_COMPLETION_H

#include "base/sink.h"

#include <stdbool.h>

#define COMPLETION_SHELLS "bash, zsh, fish"

/* False for a shell that is none of these. */
bool completion_write(struct sink *sink, const char *shell) __attribute__((warn_unused_result));

#endif
