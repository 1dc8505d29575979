/* What the files that check a plan share: where to put the blame, whether a value was given, and
 * values that have no say beside others. */
#ifndef PROFILE_CHECK_INTERNAL_H
#define PROFILE_CHECK_INTERNAL_H

#include "profile/options.h"
#include "profile/plan.h"

struct checker {
    struct plan *plan;
    struct diag *diag;
};

/* Names of options for check_unused. */
#define CHECK_KEYS(...) ((const char *const[]){__VA_ARGS__, NULL})

/* True when a profile or a flag said something about this field, right or wrong. */
bool check_is_given(const struct checker *c, const void *field);
/* The field's origin, or the fallback when it was not given. */
struct origin check_origin(const struct checker *c, const void *field, struct origin fallback);
/* Of a section that is not a list, or of the profile. */
struct origin check_section(const struct checker *c, enum section section);
/* RFC 9110 section 5.6.2: what a method or the name of a header may be. */
bool check_is_token(const char *text);
/* A mistake when nothing was said of the field; `key` is its whole name. */
void check_needed(const struct checker *c, const void *field, const char *value, const char *key,
                  struct origin section, const char *why);
/* These options of the section's struct `item` have no say here, as `why` tells: "with cert.source
 * = mint".  Those that were given are mistakes, each once, and the effective profile leaves them
 * out. */
void check_unused(const struct checker *c, enum section section, const void *item,
                  const char *const *keys, const char *why);

#endif
