/* The manual pages, in roff (man(7)), from the tables of commands, options, exit codes, metrics and
 * outcomes. */
#ifndef CMD_MANUAL_H
#define CMD_MANUAL_H

#include "base/sink.h"

/* tlsoak(1): the command line and what it leaves. */
void manual_command(struct sink *sink);
/* tlsoak.ini(5): the profile. */
void manual_profile(struct sink *sink);

#endif
