/* A token endpoint (RFC 6749 section 4.4: client credentials), so that fetching tokens can be tried
 * without another server.  The client is who its certificate says (RFC 8705 section 2): client_id
 * and client_secret are not looked at, and each token is bound to that certificate (section 3). */
#ifndef DEMO_OAUTH_H
#define DEMO_OAUTH_H

#include "demo/request.h"
#include "demo/serve.h"

struct oauth;

/* What came of a request: a JSON document. */
struct oauth_answer {
    int status;
    char *body; /* the caller frees it */
};

/* `key` is the secret or the private key in PEM that tokens are signed with.  NULL with mistakes.
 * The caller frees it. */
struct oauth *oauth_new(const struct serve_options *options, const char *key, struct diag *diag)
    __attribute__((warn_unused_result));
void oauth_free(struct oauth *oauth);
/* `form` is the body; `client` the common name of the certificate with this thumbprint (32 bytes),
 * which becomes the subject. */
struct oauth_answer oauth_issue(struct oauth *oauth, const char *form, size_t form_len,
                                const char *client, const unsigned char *thumbprint)
    __attribute__((warn_unused_result));

#endif
