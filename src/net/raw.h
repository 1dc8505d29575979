/* The reply of a raw exchange, the client's half: nothing but bytes, of which is known how they end
 * (a length, a delimiter) or what they are.  The matcher keeps no byte of a reply, whatever its
 * length; one that is to end with certain bytes may have RAW_REPLY_MAX before OUTCOME_REPLY_LIMIT.
 * What a server says before anything was asked of it, a greeting, waits for the first exchange. */
#ifndef NET_RAW_H
#define NET_RAW_H

#include "record/outcome.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RAW_REPLY_MAX    (16U << 20)
#define RAW_GREETING_MAX 4096

enum raw_kind {
    RAW_NOTHING, /* the exchange is done when all is sent; what comes is dropped */
    RAW_EXACT,   /* these bytes */
    RAW_LENGTH,  /* so many, whatever they are */
    RAW_UNTIL    /* any, up to the first of these and them */
};

/* What is expected: made once, shared by all exchanges that expect it. */
struct raw_reply {
    enum raw_kind kind;
    const char *bytes; /* borrows; of RAW_EXACT and RAW_UNTIL, at least one */
    uint64_t len;      /* of RAW_LENGTH likewise */
    uint32_t *border; /* RAW_UNTIL, owns: Knuth, Morris and Pratt's table, "Fast pattern matching in
                        * strings" (1977) */
};

enum raw_status { RAW_MORE, RAW_DONE, RAW_FAILED };

/* One reply being read. */
struct raw {
    const struct raw_reply *reply; /* of the last exchange; NULL: there was none */
    uint64_t n_bytes;              /* taken; after a mismatch where it is */
    size_t n_matched;              /* RAW_UNTIL: of the bytes that end it */
    enum outcome outcome;          /* valid at RAW_FAILED */
    char *greeting;                /* owns; NULL: none */
    size_t greeting_len;
};

void raw_reply_init(struct raw_reply *reply, enum raw_kind kind, const char *bytes, uint64_t len);
void raw_reply_clear(struct raw_reply *reply);
/* Begins the next one; the greeting stays. */
void raw_begin(struct raw *raw, const struct raw_reply *reply);
/* Feeds bytes.  RAW_DONE: *ret_used of them belonged to the reply; RAW_FAILED: REPLY_MISMATCH or
 * REPLY_LIMIT. */
enum raw_status raw_feed(struct raw *raw, const char *data, size_t len, size_t *ret_used);
/* Keeps what came before the first exchange; false where it is more than RAW_GREETING_MAX. */
bool raw_greet(struct raw *raw, const char *data, size_t len) __attribute__((warn_unused_result));
void raw_forget_greeting(struct raw *raw);

#endif
