/* The misuses of HTTP/2: a connection on which h2 must be selected, several requests on it, and an
 * end before their answers.  They go by the machinery of the load itself (net/conn.h and its codec)
 * where the others have steps of their own; a connection wakes the script of its misuse.
 *
 * Their connections give the server no window for bodies, so whatever its speed a response that has
 * a body is still in flight when the connection is cut.  Private to the misuse files. */
#ifndef LOAD_MISUSE_H2_H
#define LOAD_MISUSE_H2_H

#include <stdbool.h>

struct misuse;
struct misuses;

/* Nothing happens where the plan has no such misuses. */
void misuses_h2_init(struct misuses *misuses);
/* Once a loop turn: writes, and frees what has closed. */
void misuses_h2_reap(struct misuses *misuses);
void misuses_h2_stop(struct misuses *misuses); /* all have ended; also of a worker that never ran */
/* The misuse has ended; false: its connection closes yet, and its place is not free before it is
 * reaped. */
bool misuse_h2_let_go(struct misuse *misuse) __attribute__((warn_unused_result));

#endif
