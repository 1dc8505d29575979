/* What befell the identities during the run, on its way from the making threads to the one that
 * records it.  Bounded, whoever reads it or not: of one cause only so many in a while, and only so
 * many unread; how many were left out is said.  Private to ident. */
#ifndef IDENT_MINT_EVENTS_H
#define IDENT_MINT_EVENTS_H

#include "ident/mint.h"

enum event_cause {
    EVENT_FILE_READ,
    EVENT_FILE_KEPT,
    EVENT_EXPIRED,
    EVENT_FETCH,
    EVENT_KEYS,
    EVENT_CAUSES
};

#define EVENTS_UNREAD_MAX 1000
#define EVENTS_BURST      20 /* of one cause in */
#define EVENTS_WINDOW_NS  (10 * NS_PER_S)

struct events;

struct events *events_new(void) __attribute__((warn_unused_result));
void events_free(struct events *events);
/* For any thread of the mint; longer texts are cut. */
void events_add(struct events *events, enum event_cause cause, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* All since the last call, oldest first; the caller frees each. */
struct mint_event *events_take(struct events *events) __attribute__((warn_unused_result));

#endif
