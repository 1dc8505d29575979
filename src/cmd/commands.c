#include "cmd/commands.h"

#include <stddef.h>

const struct command *const commands[] = {
    &command_demo,   &command_run,     &command_check, &command_analyse,
    &command_report, &command_compare, &command_pki,   &command_serve,
    &command_doctor, &command_help,    NULL,
};
