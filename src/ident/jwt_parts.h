/* A token in compact form taken apart, nothing of it trusted yet.  Private to ident. */
#ifndef IDENT_JWT_PARTS_H
#define IDENT_JWT_PARTS_H

#include <stdbool.h>
#include <stddef.h>

#define JWT_TOKEN_MAX 131072 /* bytes of a token that we look at */

struct json;

struct jwt_parts {
    const char *header, *payload, *signature; /* still encoded; borrow from the token */
    size_t header_len, payload_len, signature_len;
    size_t signed_len; /* of what is signed: header, dot and payload */
};

/* False when there are not three parts. */
bool jwt_parts_split(const char *token, size_t len, struct jwt_parts *ret_parts)
    __attribute__((warn_unused_result));
/* The JSON objects; NULL when they are none.  The caller frees them. */
struct json *jwt_parts_header(const struct jwt_parts *parts) __attribute__((warn_unused_result));
struct json *jwt_parts_claims(const struct jwt_parts *parts) __attribute__((warn_unused_result));

#endif
