#include "net/tls_session.h"

#include "base/mem.h"
#include "base/mono.h"
#include "net/tls_private.h"
#include "net/tls_store.h"

#include <stdlib.h>

static const CRYPTO_BUFFER *leaf_of(const struct cert *cert)
{
    return cert != NULL ? cert->chain[0] : NULL;
}

enum tls_ticket tls_client_session(struct tls_client *client, const struct cert *cert,
                                   struct tls_session **ret_session)
{
    SSL_SESSION *ssl = NULL;
    enum tls_ticket found;

    if (client->sessions == NULL) {
        return TLS_TICKET_NONE;
    }
    found = tls_sessions_take(client->sessions, leaf_of(cert), mono_now_ns(),
                              ret_session != NULL ? &ssl : NULL);
    if (ssl != NULL) {
        struct tls_session *session = xcalloc(1, sizeof *session);

        *session = (struct tls_session){.ssl = ssl, .buffers = client->buffers, .refs = 1};
        client->buffers->refs++;
        *ret_session = session;
    }
    return found;
}

void tls_keep_session(struct tls *tls, SSL_SESSION *session)
{
    if (tls->keeps) {
        tls_sessions_put(tls->client->sessions, tls->leaf, session, mono_now_ns());
    } else {
        SSL_SESSION_free(tls->first);
        tls->first = session;
    }
}

void tls_keep_sessions(struct tls *tls)
{
    SSL_SESSION *first = tls->first;

    if (tls->client->sessions == NULL) {
        return;
    }
    tls->keeps = true;
    tls->first = NULL;
    if (first != NULL) {
        tls_keep_session(tls, first);
    }
}

struct tls_session *tls_session_hold(struct tls_session *session)
{
    session->refs++;
    return session;
}

void tls_session_free(void *session)
{
    struct tls_session *taken = session;

    if (taken == NULL || --taken->refs > 0) {
        return;
    }
    SSL_SESSION_free(taken->ssl);
    tls_buffers_drop(taken->buffers);
    free(taken);
}
