/* What truly happened, counted where it happens: each event of a driver is booked here once, and
 * from here feeds the leaks and the look-alikes.  Once a second the account goes to the truth
 * file as a line of JSON.  The meaning of the counters:
 *   requests      heads read in full, whatever became of them; `clean`: those that retained
 *                 nothing (/clean, and all that a poisoned server answers)
 *   connections   full handshakes; resumptions the others; client_certificates, api_keys, jwts
 *                 distinct valid ones (not counted any more when `credentials_full`)
 *   refused       answers 401 and 403, and handshakes without a valid client certificate
 *   aborted       requests begun whose body never came, whose answer could not be sent, or was not
 *                 read before the client closed
 *   handshakes_failed  every handshake that ended otherwise than in a connection;
 *                 handshakes_aborted: those that the client ended, by closing in the middle
 *   cut           connections that the client ended without close_notify
 *   oversized     requests answered with 431
 *   rotations     certificates read again on SIGHUP, and POST /rotate
 *   kept_bytes    what the planted leak of each driver has kept, of all retained bytes
 *   tokens_issued  by the token endpoint, whose requests are none of `requests`
 *   open          connections whose handshake is done
 * More than eight functions: one for each kind of thing that happens. */
#ifndef DEMO_TALLY_H
#define DEMO_TALLY_H

#include "demo/serve.h"

struct tally;

/* Opens the truth file (appended to).  Borrows `options`.  NULL with mistakes.  The caller frees
 * it. */
struct tally *tally_new(const struct serve_options *options, struct diag *diag)
    __attribute__((warn_unused_result));
void tally_free(struct tally *tally);
/* A few times a second: lets time pass for leaks and look-alikes. */
void tally_tick(struct tally *tally);
/* An event of a driver that is neither time nor a credential; `keep` false: counted, not retained
 * (/clean). */
void tally_event(struct tally *tally, enum driver driver, bool keep);
/* A valid credential was used. */
void tally_credential(struct tally *tally, enum driver kind, const void *bytes, size_t len,
                      bool keep);
/* A handshake ended; `fd` is the connection's (leaks of descriptors and threads), -1: it failed. */
void tally_handshake(struct tally *tally, int fd, bool resumed);
/* What a client did that is no driver's event: counted, not retained. */
enum tally_oddity { TALLY_HANDSHAKE_ABORTED, TALLY_CUT, TALLY_OVERSIZED, TALLY_ODDITIES };
void tally_odd(struct tally *tally, enum tally_oddity oddity);
/* The token endpoint issued a token. */
void tally_issued(struct tally *tally);
/* A connection ended. */
void tally_closed(struct tally *tally);
/* Appends a line to the truth file, if there is one. */
void tally_write(struct tally *tally);

#endif
