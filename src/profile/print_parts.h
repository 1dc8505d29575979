/* How an option is shown, shared by the reference profile, the help and the manual.  Private to the
 * printing files of profile. */
#ifndef PROFILE_PRINT_PARTS_H
#define PROFILE_PRINT_PARTS_H

#include "base/sink.h"
#include "profile/options.h"

#include <stddef.h>

/* What may stand as the value: words between |, wrapped behind `lead` (the line has `column` bytes
 * already), or the type's symbol. */
void print_form(struct sink *sink, const struct option *option, const char *lead, size_t column);
/* " (MIN to MAX)" where there are bounds. */
void print_range(struct sink *sink, const struct option *option);

#endif
