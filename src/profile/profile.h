/* A profile is text: INI, as people write it.  Loading gives a checked plan or all mistakes at
 * once with file:line and a suggestion.  The option table (options.c) is the one place that
 * knows the sections and keys; INI, --set, help, the reference profile and the effective profile
 * come from it. */
#ifndef PROFILE_PROFILE_H
#define PROFILE_PROFILE_H

#include "base/diag.h"
#include "base/sink.h"
#include "profile/plan.h"

#include <stddef.h>

/* Reads the profile at `path` (and what it extends), then the `sets` ("section.key=value" or
 * "section.NAME.key=value"), resolves defaults and checks the whole.  NULL when `diag` got
 * mistakes. */
struct plan *profile_load(const char *path, const char *const *sets, size_t n_sets,
                          struct diag *diag) __attribute__((warn_unused_result));
/* The same from text that is compiled in; `name` stands in messages. */
struct plan *profile_load_text(const char *name, const char *text, const char *const *sets,
                               size_t n_sets, struct diag *diag)
    __attribute__((warn_unused_result));
/* The profile of a stored run (run directory, profile.ini): the same without looking at files,
 * secrets and the environment, which may be gone by now. */
struct plan *profile_load_stored(const char *path, struct diag *diag)
    __attribute__((warn_unused_result));
/* The effective profile as INI that loads again, secrets redacted; with `origins`, each value's
 * file:line as a comment. */
void profile_print(const struct plan *plan, bool origins, struct sink *sink);
/* The whole vocabulary as a commented INI (profiles/reference.ini). */
void profile_print_reference(struct sink *sink);
/* The same as a table for --help. */
void profile_print_help(struct sink *sink);
/* The same as sections of a manual page (man(7)): FORMAT and SECTIONS. */
void profile_print_manual(struct sink *sink);

#endif
