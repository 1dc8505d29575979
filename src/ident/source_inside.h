/* The inside of a source, shared by source.c (opening and making) and source_files.c (what is read
 * again during the run).  Private to ident. */
#ifndef IDENT_SOURCE_INSIDE_H
#define IDENT_SOURCE_INSIDE_H

#include "ident/apikey.h"
#include "ident/cert_load.h"
#include "ident/endpoint.h"
#include "ident/jwt.h"
#include "ident/pool_make.h"
#include "ident/source.h"
#include "ident/text_load.h"

#include <pthread.h>

struct source {
    enum credential_kind kind;
    const struct plan *plan;
    char *run_id;
    size_t count;
    int64_t loaded_s; /* when its files began to be read; seconds since the epoch */
    int64_t renew_before_s;
    struct pool_rule rule;
    const struct plan_cert *cert;
    const struct plan_apikey *apikey;
    const struct plan_jwt *jwt;
    struct cert_issuer *issuer;
    struct evp_pkey_st *shared_key; /* key_per_cert = no */
    struct jwt_signer *signer;
    struct endpoint *endpoint;
    pthread_mutex_t lock;   /* of what follows */
    struct cert_list list;  /* from files */
    struct text_list texts; /* keys or tokens from a file */
};

/* Name of its section: "cert clients". */
char *source_name(const struct source *source) __attribute__((warn_unused_result));

#endif
