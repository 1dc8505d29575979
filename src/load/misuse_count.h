/* What is counted of a misuse at the moment that the server can see it: its handshake, its requests
 * with the key and the token in each, and what came back.  Private to the misuse files. */
#ifndef LOAD_MISUSE_COUNT_H
#define LOAD_MISUSE_COUNT_H

struct misuse;
struct tls;

/* A full handshake, and the certificate where the server asked for one. */
void misuse_count_handshake(struct misuse *misuse, const struct tls *tls);
/* The server has the head of a request, and looks at the key and the token in it. */
void misuse_count_request(struct misuse *misuse);
/* A response; 0: none came. */
void misuse_count_status(struct misuse *misuse, int status);

#endif
