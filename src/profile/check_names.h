/* Sections that name each other: an [identity] its [cert], a [refuse] its [identity]. */
#ifndef PROFILE_CHECK_NAMES_H
#define PROFILE_CHECK_NAMES_H

#include "profile/check_internal.h"

/* The section of that kind and name; NULL with a mistake at `field`, which is called `key`. */
void *check_named(const struct checker *c, enum section kind, const char *name, const void *field,
                  const char *key) __attribute__((warn_unused_result));
/* The i-th section of that kind, NULL past the end; its name and place. */
void *check_nth(const struct checker *c, enum section kind, size_t i, const char **ret_name,
                struct origin *ret_origin);

#endif
