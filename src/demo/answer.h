/* What to say to a request: who may come in, and the routes.  A wrong or missing API key is 403, a
 * missing token 401, a wrong or expired one 403; the key is looked at first.  The token endpoint
 * asks for neither: the certificate says who it is.  A server that can be poisoned says 500 to
 * everything else after its first 403. */
#ifndef DEMO_ANSWER_H
#define DEMO_ANSWER_H

#include "demo/request.h"
#include "demo/serve.h"
#include "demo/tally.h"

#define ANSWER_MAX 4096 /* bytes of a whole answer */

struct gate;
struct ssl_st;

enum answer_kind {
    ANSWER_TEXT,
    ANSWER_NAME,  /* the client's common name */
    ANSWER_EARLY, /* without looking at the body; then the connection closes */
    ANSWER_NEVER, /* the client waits in vain */
    ANSWER_TOKEN  /* gate_issue, when the body has come */
};

struct answer {
    enum answer_kind kind;
    int status;
    bool close;
    const char *header; /* one more header line, or "" */
};

/* What goes out, whatever the protocol. */
struct reply {
    int status;
    bool close;
    const char *type, *header; /* static */
    size_t body_len;
    char body[ANSWER_MAX - 512];
};

/* Reads the secrets.  Borrows the tally.  NULL with mistakes.  The caller frees it. */
struct gate *gate_new(const struct serve_options *options, struct tally *tally, struct diag *diag)
    __attribute__((warn_unused_result));
void gate_free(struct gate *gate);
/* A few times a second. */
void gate_tick(struct gate *gate);
/* Decides on a request whose head is complete, and books it; `thumbprint` (32 bytes) is of the
 * connection's certificate. */
struct answer gate_decide(struct gate *gate, const struct request *request,
                          const unsigned char *thumbprint);
/* The answer of the token endpoint to a request whose body was kept. */
void gate_issue(struct gate *gate, const struct answer *answer, const struct request *request,
                const unsigned char *thumbprint, struct ssl_st *ssl, struct reply *ret_reply);
/* An answer outside any request: 400, 408, 431, 503; the connection closes. */
struct answer answer_error(int status);
/* What any other answer says. */
void answer_reply(const struct answer *answer, struct ssl_st *ssl, struct reply *ret_reply);
/* HTTP/1.1: status line, head and body into `text` (ANSWER_MAX bytes); returns the length.
 * `head_only`: the method was HEAD. */
size_t reply_write(const struct reply *reply, bool head_only, char *text);

#endif
