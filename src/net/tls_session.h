/* The sessions that a server gave, kept by a worker as a normal client keeps them: by the client's
 * certificate, for every later connection of that client, whichever slot dials it.  64 at the most
 * for each certificate, so that of many connections which end at once each leaves its own; where
 * there is no room two (TLS 1.3 servers send two with a full handshake).  The newest is offered
 * first.  One of TLS 1.3 is offered once (RFC 8446, appendix C.4), a ticket or session id of TLS
 * 1.2 again and again.  None is offered after its lifetime (RFC 8446, section 4.6.1; RFC 5077,
 * section 3.3).
 *
 * Memory is bounded: TLS_SESSIONS sessions and TLS_SESSION_BYTES for all workers together; the
 * oldest make room.  An identity without a session costs nothing here. */
#ifndef NET_TLS_SESSION_H
#define NET_TLS_SESSION_H

#define TLS_SESSIONS      20480
#define TLS_SESSION_BYTES (48u << 20)

struct cert;
struct tls; /* one connection's (tls.h) */
struct tls_client;
struct tls_session;

enum tls_ticket {
    TLS_TICKET_NONE,    /* never had one, all used up, or it had to make room */
    TLS_TICKET_EXPIRED, /* had one, too old now */
    TLS_TICKET_READY
};

/* Has the client with this certificate (NULL: with none) a session to offer?  Where ret_session is
 * not NULL and it has, one is handed over; what has expired is forgotten. */
enum tls_ticket tls_client_session(struct tls_client *client, const struct cert *cert,
                                   struct tls_session **ret_session)
    __attribute__((warn_unused_result));
/* From now on (and what the handshake gave already) the sessions of this connection are kept.  Does
 * nothing where pace.resume_ratio is 0.  To be called when the handshake is done. */
void tls_keep_sessions(struct tls *tls);

/* Another reference to a session; each is given back with tls_session_free.  One may outlive the
 * client that it came from, but belongs to its thread until that has ended. */
struct tls_session *tls_session_hold(struct tls_session *session);
void tls_session_free(void *session);

#endif
