/* What of the identities may spoil a run though each can be read: certificates and tokens that end
 * before it does, chains that lead to no CA that was given, keys that others may read.  A run goes
 * on with all of these; who starts it should know. */
#ifndef IDENT_AUDIT_H
#define IDENT_AUDIT_H

#include "base/diag.h"
#include "ident/mint.h"
#include "profile/plan.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* How many have that fault, and the first of them: "soak.ini:12: a.pem ends in 5 s". */
struct audit_fault {
    size_t n;
    char first[256];
};

struct audit {
    size_t n_certs, n_tokens;  /* from files */
    int64_t first_end_s;       /* seconds since the epoch; 0: none of them ends */
    struct audit_fault ending; /* before the run does */
    size_t n_verified; /* of n_certs: chain and usage are good below the CA that was given */
    size_t n_unheld; /* not held against a CA: none was given for clients, or there are too many */
    struct audit_fault unproven;
    size_t n_key_files;
    struct audit_fault open_keys; /* group or world may read them */
};

/* Of what a mint has loaded.  Bounded: after 0.2 s no more chains are verified. */
void audit_mint(const struct mint *mint, struct audit *ret_audit);
/* The same of a plan, without minting anything; false with mistakes as of mint_check. */
bool audit_plan(const struct plan *plan, struct audit *ret_audit, struct diag *diag)
    __attribute__((warn_unused_result));

#endif
