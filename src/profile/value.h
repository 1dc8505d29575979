/* From what was written to what is meant: ${VAR} becomes the environment's, @FILE the file's
 * content, a relative name of a file an absolute one; and secrets must not be written in the
 * profile at all. */
#ifndef PROFILE_VALUE_H
#define PROFILE_VALUE_H

#include "base/diag.h"
#include "profile/doc.h"

#include <stdbool.h>
#include <stddef.h>

struct value {
    char *text; /* NUL-terminated, may hold more NULs when it is a body */
    size_t len;
    char *written; /* "@/full/path" or "Bearer ${TOKEN}"; NULL when `text` itself was written */
};

/* False with mistakes.  The caller frees both texts.  `stored`: a reference is the value as it is
 * written, and nothing outside the profile is looked at. */
bool value_resolve(const struct doc_entry *entry, bool stored, struct value *ret_value,
                   struct diag *diag) __attribute__((warn_unused_result));
/* True for options, and for names of headers, whose values are never shown. */
bool value_is_secret(const struct option *option, const char *suffix);
/* "section.key", as messages say it.  The caller frees it. */
char *value_label(const struct option *option, const char *suffix)
    __attribute__((warn_unused_result));
/* `text` as it must be written to mean itself: $${ for ${, @@ for a first @.  The caller frees
 * it. */
char *value_escape(const char *text) __attribute__((warn_unused_result));

#endif
