/* The rule by which certificates, API keys and tokens change: what the three sections have alike,
 * and whose rule leads where they are bound together. */
#ifndef PROFILE_CHECK_RULE_H
#define PROFILE_CHECK_RULE_H

#include "profile/check_internal.h"

enum supply {
    SUPPLY_MADE,    /* number n can be made whatever n is */
    SUPPLY_FETCHED, /* the same, but by somebody else */
    SUPPLY_READ     /* from files, which come to an end */
};

/* The section's fields. */
struct check_rule {
    enum section section;
    const void *item;
    struct origin origin;
    const char *noun; /* "certificate" */
    enum supply supply;
    const char *source; /* "cert.source = files": why the supply is not made here */
    uint64_t *count;
    struct rotate *rotate;
    enum pick *pick;
    double *exponent;
    uint64_t *retire_after;
};

struct check_rule check_rule_cert(struct plan_cert *cert);
struct check_rule check_rule_apikey(struct plan_apikey *apikey);
struct check_rule check_rule_jwt(struct plan_jwt *jwt);
/* exponent, retire_after, count and pick = fresh where they have no say. */
void check_rule(const struct checker *c, const struct check_rule *rule);
/* In a bound identity the leader's rule is the follower's too. */
void check_rule_follow(const struct checker *c, const struct check_rule *leader,
                       const struct check_rule *follower, const struct plan_identity *identity);

#endif
