#include "base/mem.h"
#include "net/tls_private.h"
#include "net/tls_slow.h"

#include <openssl/err.h>
#include <stdlib.h>

struct tls *tls_open(struct tls_client *client, int fd, const struct cert *cert,
                     struct tls_session *session)
{
    SSL *ssl = SSL_new(client->ctx);
    struct tls *tls;

    if (ssl == NULL) {
        return NULL;
    }
    tls = xcalloc(1, sizeof *tls);
    tls->ssl = ssl;
    tls->client = client;
    tls->cert = cert;
    tls->fd = fd;
    tls->alert = -1;
    if (client->sessions != NULL && cert != NULL) {
        CRYPTO_BUFFER_up_ref(cert->chain[0]);
        tls->leaf = cert->chain[0];
    }
    BIO_up_ref(client->bio);
    SSL_set_bio(ssl, client->bio, client->bio);
    SSL_set_connect_state(ssl);
    SSL_set_shed_handshake_config(ssl, 1);
    if ((client->server_name != NULL && SSL_set_tlsext_host_name(ssl, client->server_name) != 1) ||
        (session != NULL && SSL_set_session(ssl, session->ssl) != 1)) {
        tls_close(tls);
        return NULL;
    }
    return tls;
}

void tls_close(struct tls *tls)
{
    if (tls == NULL) {
        return;
    }
    tls_bio_forget(tls);
    SSL_SESSION_free(tls->first);
    CRYPTO_BUFFER_free(tls->leaf);
    SSL_free(tls->ssl);
    free(tls);
}

/* Every verb begins here: what another connection still held goes out first. */
static void enter(struct tls *tls)
{
    struct tls_client *client = tls->client;

    if (client->out_owner != tls) {
        tls_bio_send(client);
    }
    client->current = tls;
}

/* What the library's error queue tells. */
struct complaint {
    int alert; /* that the server sent, or -1 */
    bool wrong_version;
    bool no_common_signature;
};

static struct complaint complaint_of_queue(void)
{
    struct complaint complaint = {.alert = -1};
    uint32_t error;

    while ((error = ERR_get_error()) != 0) {
        int reason = ERR_GET_REASON(error);

        if (ERR_GET_LIB(error) != ERR_LIB_SSL) {
            continue;
        }
        if (reason >= SSL_AD_REASON_OFFSET && reason < SSL_AD_REASON_OFFSET + 256) {
            complaint.alert = reason - SSL_AD_REASON_OFFSET;
        }
        complaint.wrong_version |= reason == SSL_R_WRONG_VERSION_NUMBER;
        complaint.no_common_signature |= reason == SSL_R_NO_COMMON_SIGNATURE_ALGORITHMS;
    }
    return complaint;
}

static enum outcome outcome_of_socket(const struct tls *tls, int error)
{
    enum outcome outcome = outcome_from_errno(error, !tls->sent);

    if (tls->ready || !tls->sent) {
        return outcome;
    }
    return outcome == OUTCOME_HTTP_RESET         ? OUTCOME_TLS_RESET
           : outcome == OUTCOME_TIMEOUT_EXCHANGE ? OUTCOME_TIMEOUT_HANDSHAKE
                                                 : outcome;
}

/* What the server said counts more than how the socket ended. */
static enum tls_status fail(struct tls *tls)
{
    struct complaint complaint = complaint_of_queue();

    if (complaint.alert >= 0) {
        tls->alert = complaint.alert;
        tls->outcome = outcome_from_alert(complaint.alert);
    } else if (tls->outcome != OUTCOME_OK) {
        return TLS_FAILED; /* a verdict of our own, or told before */
    } else if (tls->not_tls || (complaint.wrong_version && !tls->ready)) {
        tls->outcome = OUTCOME_NOT_TLS;
    } else if (complaint.no_common_signature) {
        tls->outcome = OUTCOME_NO_COMMON_SIGNATURE;
    } else if (tls->recv_errno != 0 || tls->send_errno != 0) {
        tls->outcome =
            outcome_of_socket(tls, tls->send_errno != 0 ? tls->send_errno : tls->recv_errno);
    } else {
        bool closed = tls->eof || tls->alert == SSL_AD_CLOSE_NOTIFY;

        tls->outcome = closed ? OUTCOME_TLS_CLOSED : OUTCOME_TLS_ERROR;
    }
    return TLS_FAILED;
}

static enum tls_status status_of(struct tls *tls, int result)
{
    switch (SSL_get_error(tls->ssl, result)) {
    case SSL_ERROR_WANT_READ:
        if (tls->send_errno != 0) { /* nothing more to hear */
            return fail(tls);
        }
        tls->reads = READS_A_DRIVE;
        return TLS_WANT_READ;
    case SSL_ERROR_ZERO_RETURN:
        tls->alert = SSL_AD_CLOSE_NOTIFY;
        return TLS_EOF;
    case SSL_ERROR_SYSCALL:
        if (tls->eof && tls->ready && tls->send_errno == 0) {
            return TLS_EOF;
        }
        return fail(tls);
    default:
        return fail(tls);
    }
}

enum tls_status tls_handshake(struct tls *tls)
{
    enum tls_status status;
    int result;

    enter(tls);
    result = tls_early_handshake(tls);
    if (result == 1) {
        tls->ready = true;
        return TLS_DONE; /* its last flight waits for the next verb */
    }
    status = status_of(tls, result);
    if (status == TLS_EOF) {
        status = fail(tls);
    }
    if (tls->client->out_len > 0) {
        tls_bio_send(tls->client);
        if (tls->send_errno != 0 && status == TLS_WANT_READ) {
            tls->reads = READS_A_DRIVE;
            status = status_of(tls, tls_early_handshake(tls));
        }
    }
    return status;
}

/* RFC 8446, section 4.6.3.  The message leaves with what is written next, and the server is asked
 * for one of its own. */
static void update_keys(struct tls *tls)
{
    struct tls_client *client = tls->client;

    if (client->key_update_bytes > 0 && tls->since_update >= client->key_update_bytes &&
        SSL_version(tls->ssl) == TLS1_3_VERSION &&
        SSL_key_update(tls->ssl, SSL_KEY_UPDATE_REQUESTED) == 1) {
        tls->since_update = 0;
        client->n_key_updates++;
    }
}

enum tls_status tls_read(struct tls *tls, const char **ret_data, size_t *ret_len)
{
    struct tls_client *client = tls->client;
    int n;

    enter(tls);
    if (tls->send_errno != 0 && tls->reads == 0) {
        tls->reads = READS_A_DRIVE;
    }
    n = SSL_read(tls->ssl, client->plain, sizeof client->plain);
    if (client->out_len > 0) { /* a last flight held back, the answer to a key update */
        tls_bio_send(client);
    }
    if (n <= 0) {
        return status_of(tls, n);
    }
    *ret_data = client->plain;
    *ret_len = (size_t)n;
    tls->since_update += (size_t)n;
    return TLS_DONE;
}

void tls_read_slowly(struct tls *tls, size_t bytes)
{
    tls->sip = bytes < IN_BYTES ? bytes : IN_BYTES;
}

enum tls_status tls_write(struct tls *tls, const char *data, size_t len, size_t *ret_written)
{
    struct tls_client *client = tls->client;
    size_t written = 0;

    enter(tls);
    if (tls->early == TLS_EARLY_HELD && !tls->ready) {
        tls_early_hold(tls, data, len);
        *ret_written = len;
        return TLS_DONE;
    }
    if (tls_bio_send_stash(tls)) {
        while (written < len && tls->send_errno == 0 && tls->out.bytes == NULL) {
            size_t piece = len - written < RECORD_BYTES ? len - written : RECORD_BYTES;
            int n;

            if (OUT_BYTES - client->out_len < RECORD_MOST) {
                tls_bio_send(client);
                continue;
            }
            update_keys(tls);
            n = SSL_write(tls->ssl, data + written, (int)piece);
            if (n <= 0) {
                (void)fail(tls);
                return TLS_FAILED;
            }
            written += (size_t)n;
            tls->since_update += (size_t)n;
        }
        tls_bio_send(client);
    }
    *ret_written = written;
    if (tls->send_errno != 0) {
        return TLS_FAILED;
    }
    return written < len || tls->out.bytes != NULL ? TLS_WANT_WRITE : TLS_DONE;
}

bool tls_unsent(const struct tls *tls)
{
    return tls->out.bytes != NULL;
}

void tls_shutdown(struct tls *tls, bool fin_follows)
{
    enter(tls);
    tls->fin_follows = fin_follows;
    if (tls->ready && !tls->eof && tls->recv_errno == 0 && tls->send_errno == 0) {
        (void)SSL_shutdown(tls->ssl);
        ERR_clear_error();
    }
    tls_bio_send(tls->client);
}

uint64_t tls_client_key_updates(struct tls_client *client)
{
    uint64_t n = client->n_key_updates;

    client->n_key_updates = 0;
    return n;
}

enum outcome tls_outcome(const struct tls *tls)
{
    return tls->outcome;
}

int tls_alert(const struct tls *tls)
{
    return tls->alert;
}
