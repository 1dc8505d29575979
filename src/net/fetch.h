/* One HTTPS request, blocking, on a loop of its own: for what happens beside the load (the question
 * whether mutual TLS is enforced, token endpoints).  Every wait has the target's deadline. */
#ifndef NET_FETCH_H
#define NET_FETCH_H

#include "base/diag.h"
#include "ident/cert.h"
#include "net/addr.h"
#include "profile/plan.h"
#include "record/outcome.h"

#include <stdbool.h>
#include <stddef.h>

#define FETCH_BODY_MAX (1U << 20)

struct raw_reply;
struct fetch; /* loop, TLS client and address of one target */

struct fetch_answer {
    enum outcome outcome; /* OUTCOME_OK: a complete response of any status */
    int alert;            /* that the server sent; -1: none */
    int status;           /* of the response's head, whole or not; 0: none */
    bool asked;           /* the server asked for a certificate */
    const char *protocol; /* that ALPN selected: "h2", "http/1.1"; "" (static) */
    /* NUL-terminated, cut at FETCH_BODY_MAX or fetch_keep's; the caller wipes and frees it */
    char *body;
    size_t body_len;
};

/* Resolves the name of an endpoint beside the plan's target, which the policy must permit, and
 * loads the CA; NULL with mistakes.  `target` is borrowed (its derived fields say where to dial).
 */
struct fetch *fetch_new(const struct plan *plan, const struct plan_target *target,
                        struct diag *diag) __attribute__((warn_unused_result));
/* The same at addresses that are permitted already (copied, 16 at most). */
struct fetch *fetch_new_at(const struct plan *plan, const struct plan_target *target,
                           const struct addr *addrs, size_t n_addrs, struct diag *diag)
    __attribute__((warn_unused_result));
/* Bodies are kept up to that many bytes, rather than FETCH_BODY_MAX. */
void fetch_keep(struct fetch *fetch, size_t body_max);
void fetch_free(struct fetch *fetch);
/* Dials, presents `cert` (NULL: none), sends head (of HTTP/1.1, whatever the protocol will be) and
 * body, and closes after the response.  `head` NULL: nothing is sent, the handshake is all. */
void fetch_perform(struct fetch *fetch, const struct cert *cert, const char *head, size_t head_len,
                   const char *body, size_t body_len, struct fetch_answer *ret_answer);

/* The same of a raw target: sends the bytes and waits for the reply, which is read and matched, but
 * OUTCOME_OK has no status. */
void fetch_perform_raw(struct fetch *fetch, const struct cert *cert, const char *bytes, size_t len,
                       const struct raw_reply *reply, struct fetch_answer *ret_answer);

#endif
