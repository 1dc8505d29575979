#include "net/tls_early.h"

#include "net/tls_private.h"

#include <openssl/err.h>

/* No server that is known allows less: BoringSSL's 14,336 bytes, haproxy's 15,360, nginx's 16,384.
 * A write that the limit stops in its middle is one that the library can go on with when the
 * handshake is through, but not begin again when the server has rejected all. */
#define EARLY_MOST 14336

bool tls_early_open(struct tls *tls)
{
    SSL_SESSION *session = SSL_get_session(tls->ssl);

    if (session == NULL || SSL_SESSION_early_data_capable(session) != 1) {
        return false;
    }
    tls->early = TLS_EARLY_HELD;
    return true;
}

void tls_early_hold(struct tls *tls, const char *data, size_t len)
{
    if (len > 0) {
        tls_stash_add(&tls->held, (const unsigned char *)data, len);
        SSL_set_early_data_enabled(tls->ssl, tls->held.len <= EARLY_MOST);
    }
}

static bool write_held(struct tls *tls)
{
    return SSL_write(tls->ssl, tls->held.bytes, (int)tls->held.len) > 0;
}

/* The hello is made and not yet sent; what is written now goes with it.  Beyond what the server
 * allows the rest goes behind the handshake. */
static void write_early(struct tls *tls)
{
    tls->early = TLS_EARLY_OFFERED;
    tls->held_sent = write_held(tls);
    tls->held_back = !tls->held_sent;
    ERR_clear_error();
}

/* False: all of it must go on another connection. */
static bool begin_again(struct tls *tls)
{
    SSL_reset_early_data_reject(tls->ssl);
    ERR_clear_error();
    tls->early = TLS_EARLY_REJECTED;
    tls->held_sent = false;
    if (tls->held_back) {
        tls->outcome = OUTCOME_CLIENT_ERROR;
    }
    return !tls->held_back;
}

/* The handshake is through; returns 1, or what SSL_get_error explains. */
static int end_early(struct tls *tls)
{
    bool written = tls->held_sent || write_held(tls);

    if (tls->early == TLS_EARLY_OFFERED) {
        tls->early = TLS_EARLY_ACCEPTED; /* else the library would have said so */
    }
    tls_stash_clear(&tls->held);
    return written ? 1 : -1;
}

int tls_early_handshake(struct tls *tls)
{
    int result = SSL_do_handshake(tls->ssl);

    if (tls->held.bytes == NULL) {
        return result;
    }
    if (result == 1 && SSL_in_early_data(tls->ssl)) {
        write_early(tls);
        result = SSL_do_handshake(tls->ssl);
    }
    if (result != 1 && SSL_get_error(tls->ssl, result) == SSL_ERROR_EARLY_DATA_REJECTED) {
        result = begin_again(tls) ? SSL_do_handshake(tls->ssl) : -1;
    }
    return result == 1 ? end_early(tls) : result;
}

enum tls_early tls_early(const struct tls *tls)
{
    return tls->early;
}
