#include "base/mem.h"
#include "net/tls_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

void tls_stash_add(struct stash *stash, const unsigned char *bytes, size_t len)
{
    stash->bytes = xrealloc(stash->bytes, stash->len + len);
    memcpy(stash->bytes + stash->len, bytes, len);
    stash->len += len;
}

void tls_stash_clear(struct stash *stash)
{
    free(stash->bytes);
    *stash = (struct stash){0};
}

/* Receiving. */

static void keep_ciphertext(struct tls_client *client)
{
    struct tls *owner = client->in_owner;

    if (owner != NULL && client->in_pos < client->in_len) {
        tls_stash_add(&owner->in, client->in + client->in_pos, client->in_len - client->in_pos);
    }
    client->in_owner = NULL;
    client->in_pos = client->in_len = 0;
}

static size_t copy_out(unsigned char *to, size_t most, const unsigned char *from, size_t *pos,
                       size_t len)
{
    size_t n = len - *pos < most ? len - *pos : most;

    memcpy(to, from + *pos, n);
    *pos += n;
    return n;
}

/* True when there is ciphertext in the shared buffer afterwards. */
static bool receive(struct tls_client *client, struct tls *tls)
{
    ssize_t n;

    if (tls->reads == 0 || tls->eof || tls->recv_errno != 0) {
        return false;
    }
    do {
        n = recv(tls->fd, client->in, tls->sip > 0 ? tls->sip : IN_BYTES, 0);
    } while (n < 0 && errno == EINTR);
    if (n > 0) {
        if (!tls->heard) {
            tls->heard = true;
            tls->not_tls = client->in[0] < 20 || client->in[0] > 23; /* RFC 8446 B.1 */
        }
        client->in_pos = 0;
        client->in_len = (size_t)n;
        /* A short read has emptied the socket: asking again would only cost a call. */
        tls->reads = n < IN_BYTES && tls->send_errno == 0 ? 0 : tls->reads - 1;
        return true;
    }
    if (n == 0) {
        tls->eof = true;
    } else if (errno == EAGAIN) {
        tls->reads = 0;
    } else {
        tls->recv_errno = errno;
    }
    return false;
}

static int bio_read(BIO *bio, char *to, int len)
{
    struct tls_client *client = BIO_get_data(bio);
    struct tls *tls = client->current;

    BIO_clear_retry_flags(bio);
    if (len <= 0) {
        return 0;
    }
    if (tls->in.bytes != NULL) {
        size_t n =
            copy_out((unsigned char *)to, (size_t)len, tls->in.bytes, &tls->in.pos, tls->in.len);
        if (tls->in.pos == tls->in.len) {
            tls_stash_clear(&tls->in);
        }
        return (int)n;
    }
    if (client->in_owner != tls) {
        keep_ciphertext(client);
        client->in_owner = tls;
    }
    if (client->in_pos == client->in_len && !receive(client, tls)) {
        if (tls->eof) {
            return 0;
        }
        if (tls->recv_errno == 0) {
            BIO_set_retry_read(bio);
        }
        return -1;
    }
    return (int)copy_out((unsigned char *)to, (size_t)len, client->in, &client->in_pos,
                         client->in_len);
}

/* Sending: the library's writes never block, since what the socket does not take is kept. */

static size_t send_some(struct tls *tls, const unsigned char *bytes, size_t len)
{
    int flags = MSG_NOSIGNAL | (tls->fin_follows ? MSG_MORE : 0);
    size_t sent = 0;

    while (sent < len && tls->send_errno == 0) {
        ssize_t n = send(tls->fd, bytes + sent, len - sent, flags);

        if (n >= 0) {
            sent += (size_t)n;
            tls->sent = true;
        } else if (errno == EAGAIN) {
            break;
        } else if (errno != EINTR) {
            tls->send_errno = errno;
        }
    }
    return sent;
}

bool tls_bio_send_stash(struct tls *tls)
{
    if (tls->out.bytes == NULL) {
        return true;
    }
    tls->out.pos += send_some(tls, tls->out.bytes + tls->out.pos, tls->out.len - tls->out.pos);
    if (tls->out.pos == tls->out.len || tls->send_errno != 0) {
        tls_stash_clear(&tls->out);
        return true;
    }
    return false;
}

void tls_bio_send(struct tls_client *client)
{
    struct tls *owner = client->out_owner;
    size_t len = client->out_len, sent = 0;

    client->out_owner = NULL;
    client->out_len = 0;
    if (owner == NULL || len == 0) {
        return;
    }
    if (tls_bio_send_stash(owner)) {
        sent = send_some(owner, client->out, len);
    }
    if (sent < len && owner->send_errno == 0) {
        tls_stash_add(&owner->out, client->out + sent, len - sent);
    }
}

static int bio_write(BIO *bio, const char *from, int len)
{
    struct tls_client *client = BIO_get_data(bio);
    struct tls *tls = client->current;
    size_t n = len > 0 ? (size_t)len : 0;

    BIO_clear_retry_flags(bio);
    if (client->out_len + n > OUT_BYTES) {
        tls_bio_send(client);
    }
    if (n > OUT_BYTES) { /* a flight with a huge certificate chain */
        tls_stash_add(&tls->out, (const unsigned char *)from, n);
        (void)tls_bio_send_stash(tls);
        return len;
    }
    client->out_owner = tls;
    memcpy(client->out + client->out_len, from, n);
    client->out_len += n;
    return len;
}

static long bio_ctrl(BIO *bio, int cmd, long number, void *pointer)
{
    (void)bio;
    (void)number;
    (void)pointer;
    return cmd == BIO_CTRL_FLUSH; /* the verbs flush */
}

void tls_bio_forget(struct tls *tls)
{
    struct tls_client *client = tls->client;

    if (client->in_owner == tls) {
        client->in_owner = NULL;
        client->in_pos = client->in_len = 0;
    }
    if (client->out_owner == tls) {
        client->out_owner = NULL;
        client->out_len = 0;
    }
    tls_stash_clear(&tls->in);
    tls_stash_clear(&tls->out);
    tls_stash_clear(&tls->held);
}

BIO_METHOD *tls_bio_method(void)
{
    BIO_METHOD *method = BIO_meth_new(0, "tlsoak");

    if (method != NULL &&
        (!BIO_meth_set_read(method, bio_read) || !BIO_meth_set_write(method, bio_write) ||
         !BIO_meth_set_ctrl(method, bio_ctrl))) {
        BIO_meth_free(method);
        return NULL;
    }
    return method;
}
