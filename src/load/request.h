/* What is sent: each [request NAME] of the plan made into bytes once, before the start, and into
 * HTTP/2 fields where that is offered; of a raw target the bytes are the profile's, and what is
 * expected goes with them.  An exchange then only copies the credentials of the moment
 * into a buffer that is already large enough, with HTTP/1.1 behind the prepared head; nothing is
 * formatted and nothing allocated on the request path. */
#ifndef LOAD_REQUEST_H
#define LOAD_REQUEST_H

#include "base/rng.h"
#include "ident/pool.h"
#include "net/h2_fields.h"
#include "net/raw.h"
#include "profile/plan.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct conn_request;

struct request {
    char *head; /* request line and headers without credentials and without the empty line; raw:
                 * all that is sent, with the names of credentials at `places` */
    size_t head_len;
    size_t target_len; /* of the head up to the end of the path: where a key in the query goes */
    bool has_query;
    struct h2_fields fields; /* the same for HTTP/2; empty where it is not offered */
    const char *body;        /* borrows the plan's; NULL: none */
    size_t body_len;
    const struct plan_place *places; /* raw, borrows the plan's: where credentials go */
    size_t n_places;
    struct raw_reply reply; /* raw */
    bool raw;
    bool secret; /* raw: it was written as @FILE or with ${VARIABLE}, or a credential is in it */
    double upto; /* sum of the weights up to this one */
    uint64_t expect_status;
    bool head_request; /* HEAD: the response has no body */
    bool idempotent;   /* may be sent again on its own accord (RFC 9110, section 9.2.2) */
    bool may_be_early; /* GET or HEAD without a body: as early data (RFC 8470, section 4) */
};

/* What stands before a credential: "Authorization: Bearer " in a header line of its own, or "key="
 * in the query. */
struct request_prefix {
    char *text; /* NULL: the identity has no such credential */
    size_t len;
    bool in_query;
    char *name; /* of the header, for HTTP/2: in lower case */
    size_t name_len;
};

struct request_set {
    struct request *requests;
    size_t n_requests;
    double weight;
    struct request_prefix (*prefix)[CREDENTIAL_PARTS]; /* of each of plan->identities */
    size_t n_identities;
    struct h2_field *fields; /* owns: of the request being made, room for any */
};

/* `run_id` (borrowed for the call; NULL: none) goes into a header Tlsoak-Run, by which the
 * server's operator finds the run, and User-Agent is tlsoak's, unless the profile writes them. */
void request_set_init(struct request_set *set, const struct plan *plan, const char *run_id);
void request_set_clear(struct request_set *set);
/* Draws by weight; no random number is used when there is only one. */
const struct request *request_pick(const struct request_set *set, struct rng *rng);
/* Bytes that request_write and request_make need for plan->identities[identity].
 * credentials[kind] may be NULL. */
size_t request_size(const struct request_set *set, size_t identity, const struct request *request,
                    struct credential *const credentials[CREDENTIAL_PARTS]);
/* The whole head into `to`; returns its length. */
size_t request_write(const struct request_set *set, size_t identity, const struct request *request,
                     struct credential *const credentials[CREDENTIAL_PARTS], char *to);
/* The request as the protocol wants it, for conn_send.  What depends on the credentials goes into
 * `to`, and lasts as long as that; the fields last until the next request is made. */
void request_make(const struct request_set *set, size_t identity, const struct request *request,
                  struct credential *const credentials[CREDENTIAL_PARTS], bool h2, char *to,
                  struct conn_request *ret_made);
/* Was this status what the profile asked for?  A raw reply has none, and is as expected. */
bool request_expects(const struct request *request, int status);

#endif
