/* Answers GET and HEAD of a few paths over plain HTTP/1 (RFC 9112) to whoever asks, such as the
 * scraper of a dashboard, from a thread of its own.  One request a connection; nothing that a
 * client does costs more than its slot: there are few of these, the one that waits longest makes
 * room for a newcomer, a request has a bounded size and all of an exchange a bounded time, and more
 * connections than so many a second wait in the listen queue. */
#ifndef NET_RESPONDER_H
#define NET_RESPONDER_H

#include "base/sink.h"

#define RESPONDER_SLOTS       16
#define RESPONDER_HEAD_MAX    8192u
#define RESPONDER_ACCEPT_MAX  512
#define RESPONDER_DESCRIPTORS (RESPONDER_SLOTS + 3)

/* Writes the body for a GET of `path` (without its query), called in the responder's thread.
 * `accept` is what the client's Accept says, or empty.  Returns the status: 200 with *ret_type the
 * media type, which must live as long as the responder; 404; 503. */
typedef int responder_answer(const char *path, const char *accept, struct sink *body,
                             const char **ret_type, void *context);

struct responder;

/* Takes over `listener`, a listening socket that does not block, whatever happens.  NULL with errno
 * when the system refused a thread or a descriptor. */
struct responder *responder_start(int listener, responder_answer *answer, void *context)
    __attribute__((warn_unused_result));
/* Returns when the thread has ended and all is closed; NULL is fine. */
void responder_stop(struct responder *responder);

#endif
