/* The subcommands, one file each. */
#ifndef CMD_COMMANDS_H
#define CMD_COMMANDS_H

#include "cmd/cli.h"

extern const struct command command_demo;
extern const struct command command_run;
extern const struct command command_check;
extern const struct command command_analyse;
extern const struct command command_report;
extern const struct command command_compare;
extern const struct command command_pki;
extern const struct command command_serve;
extern const struct command command_doctor;
extern const struct command command_help;

#endif
