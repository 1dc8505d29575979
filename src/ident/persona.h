/* How one set of credentials is made: those of one section for itself, or personas, whose parts
 * belong together (client n has certificate n, key n and token n, the token bound to the
 * certificate where the section says so), good ones or such as a server must refuse.  Private to
 * ident. */
#ifndef IDENT_PERSONA_H
#define IDENT_PERSONA_H

#include "ident/cert_bad.h"
#include "ident/source.h"

#include "base/diag.h"
#include "profile/plan.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct persona_maker {
    enum credential_kind kind;             /* a part's, or CREDENTIAL_PERSONA */
    struct source *part[CREDENTIAL_PARTS]; /* borrows; of a part's kind that one alone */
    /* Whose certificates a token endpoint is shown: part[CREDENTIAL_CERT], or the one that goes
     * beside unbound tokens.  NULL: none */
    struct source *shown;
    const char *run_id;
    const struct plan_refuse *refuse; /* NULL: good ones */
    struct cert_bad *bad_cert;        /* owned; NULL: the certificate is none or a good one */
};

/* Numbers of the parts of one refused persona: each is new to the set that part is from. */
struct persona_numbers {
    uint64_t of[CREDENTIAL_PARTS];
};

/* The part whose rule holds: the certificate if there is one, else the key, else the token. */
struct source *persona_lead(const struct persona_maker *maker);
/* Whether making one asks the network; whether it takes about a microsecond. */
bool persona_is_fetched(const struct persona_maker *maker);
bool persona_is_cheap(const struct persona_maker *maker);
/* Credential number n, or NULL with a reason (of an endpoint, as source_make says). */
struct credential *persona_make(const struct persona_maker *maker, uint64_t n, int64_t now_s,
                                char error[SOURCE_ERROR]) __attribute__((warn_unused_result));
/* One to be refused: its good parts have these numbers, and its own is the lead's. */
struct credential *persona_make_bad(const struct persona_maker *maker,
                                    const struct persona_numbers *numbers, int64_t now_s,
                                    char error[SOURCE_ERROR]) __attribute__((warn_unused_result));
/* What of the old one is stale, made again, with what follows from it; the rest is left out, for
 * credential_complete. */
struct credential *persona_renew(const struct persona_maker *maker, const struct credential *old,
                                 int64_t now_s, char error[SOURCE_ERROR])
    __attribute__((warn_unused_result));
/* The part that changed on disk, with what follows from it; the rest is left out. */
struct credential *persona_replace(const struct persona_maker *maker, enum credential_kind changed,
                                   uint64_t n, int64_t now_s, char error[SOURCE_ERROR])
    __attribute__((warn_unused_result));

#endif
