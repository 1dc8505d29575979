/* What the files that check a plan share: where to put the blame, and whether a value was given. */
#ifndef PROFILE_CHECK_INTERNAL_H
#define PROFILE_CHECK_INTERNAL_H

#include "profile/options.h"
#include "profile/plan.h"

struct checker {
    struct plan *plan;
    struct diag *diag;
};

/* True when a profile or a flag said something about this field, right or wrong. */
bool check_is_given(const struct checker *c, const void *field);
/* The field's origin, or the fallback when it was not given. */
struct origin check_origin(const struct checker *c, const void *field, struct origin fallback);
/* Of a section that is not a list, or of the profile. */
struct origin check_section(const struct checker *c, enum section section);
/* RFC 9110 section 5.6.2: what a method or the name of a header may be. */
bool check_is_token(const char *text);

/* Fills in the target's derived fields. */
void check_target(const struct checker *c);
/* cert, apikey and jwt. */
void check_identities(const struct checker *c);
void check_requests(const struct checker *c);

#endif
