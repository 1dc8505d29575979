#include "profile/check_rule.h"

#include "base/mem.h"

#define FIELDS(id, noun_, item_)                                                                   \
    .section = (id), .item = (item_), .origin = (item_)->origin, .noun = (noun_),                  \
    .count = &(item_)->count, .rotate = &(item_)->rotate, .pick = &(item_)->pick,                  \
    .exponent = &(item_)->exponent, .retire_after = &(item_)->retire_after

struct check_rule check_rule_cert(struct plan_cert *cert)
{
    return (struct check_rule){
        FIELDS(SECTION_CERT, "certificate", cert),
        .supply = cert->source == CERT_MINT ? SUPPLY_MADE : SUPPLY_READ,
        .source = cert->source == CERT_FILES ? "cert.source = files" : "cert.source = pkcs12",
    };
}

struct check_rule check_rule_apikey(struct plan_apikey *apikey)
{
    return (struct check_rule){
        FIELDS(SECTION_APIKEY, "API key", apikey),
        .supply = apikey->path == NULL ? SUPPLY_MADE : SUPPLY_READ,
        .source = "apikey.path",
    };
}

struct check_rule check_rule_jwt(struct plan_jwt *jwt)
{
    return (struct check_rule){
        FIELDS(SECTION_JWT, "token", jwt),
        .supply = jwt->path != NULL        ? SUPPLY_READ
                  : jwt->token_url != NULL ? SUPPLY_FETCHED
                                           : SUPPLY_MADE,
        .source = jwt->path != NULL ? "jwt.path" : "jwt.token_url",
    };
}

void check_rule(const struct checker *c, const struct check_rule *rule)
{
    const char *name = section_info(rule->section)->name;
    CLEANUP_FREE char *with_source = xasprintf("with %s", rule->source);
    CLEANUP_FREE char *no_zipf = xasprintf("without %s.pick = zipf", name);
    CLEANUP_FREE char *with_fresh =
        xasprintf("with %s.pick = fresh (write rotate = 50 uses, or 30s)", name);

    if (*rule->pick != PICK_ZIPF) {
        check_unused(c, rule->section, rule->item, CHECK_KEYS("exponent"), no_zipf);
    }
    if (*rule->pick == PICK_FRESH && rule->supply == SUPPLY_READ) {
        diag_add(c->diag, check_origin(c, rule->pick, rule->origin),
                 "%s.pick: fresh never repeats, but what %s reads comes to an end", name,
                 rule->source);
    }
    if (rule->supply == SUPPLY_READ) {
        check_unused(c, rule->section, rule->item, CHECK_KEYS("count"), with_source);
    }
    if (rule->supply != SUPPLY_MADE) {
        check_unused(c, rule->section, rule->item, CHECK_KEYS("retire_after"), with_source);
    } else if (*rule->pick == PICK_FRESH) {
        check_unused(c, rule->section, rule->item, CHECK_KEYS("retire_after"), with_fresh);
    }
}

static void check_supply(const struct checker *c, const struct check_rule *leader,
                         const struct check_rule *follower, const struct plan_identity *identity)
{
    const char *name = section_info(leader->section)->name;
    bool is_fresh = *leader->pick == PICK_FRESH;

    if (follower->supply != SUPPLY_READ || leader->supply == SUPPLY_READ) {
        return;
    }
    if (is_fresh || *leader->retire_after > 0) {
        const void *blamed = is_fresh ? (const void *)leader->pick : leader->retire_after;
        diag_add(c->diag, check_origin(c, blamed, leader->origin),
                 "%s.%s: makes new clients without end in [identity %s], which is bound, but what "
                 "%s reads comes to an end (write bound = no)",
                 name, is_fresh ? "pick" : "retire_after", identity->name, follower->source);
    }
}

void check_rule_follow(const struct checker *c, const struct check_rule *leader,
                       const struct check_rule *follower, const struct plan_identity *identity)
{
    CLEANUP_FREE char *why =
        xasprintf("in [identity %s], which is bound: the %s's rule leads (leave it out)",
                  identity->name, leader->noun);

    check_supply(c, leader, follower, identity);
    check_unused(c, follower->section, follower->item,
                 CHECK_KEYS("count", "rotate", "pick", "exponent", "retire_after"), why);
    *follower->count = *leader->count;
    *follower->rotate = *leader->rotate;
    *follower->pick = *leader->pick;
    *follower->exponent = *leader->exponent;
    *follower->retire_after = *leader->retire_after;
}
