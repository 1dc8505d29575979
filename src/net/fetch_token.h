/* Tokens from an OAuth 2 token endpoint: the network half of ident's token_fetcher.  A POST with a
 * form body (RFC 6749 section 4.4.2) over TLS with the client's certificate (RFC 8705 section 2).
 */
#ifndef NET_FETCH_TOKEN_H
#define NET_FETCH_TOKEN_H

#include "ident/token.h"

const struct token_fetcher *fetch_token(void);

#endif
