/* For the tests of HTTP/2: a blocking server on a thread that speaks frames, not HTTP: each test
 * says byte for byte what comes when, so that it can be as wrong as it likes. */
#ifndef TESTS_NET_H2_PEER_H
#define TESTS_NET_H2_PEER_H

#include "net_h2_frames.h"
#include "net_server.h"

#include <nghttp2/nghttp2.h>
#include <stdatomic.h>

struct peer {
    void (*serve)(struct peer *peer);
    const char *alpn; /* what it selects; NULL: nothing */
    const struct identity *own;
    int fd;
    uint16_t port;
    pthread_t thread;
    SSL_CTX *ctx;
    SSL *ssl;
    nghttp2_hd_inflater *inflater;
    /* The frame that was read last. */
    unsigned type, flags;
    uint32_t id;
    size_t len;
    unsigned char payload[70000];
    /* What was seen; read after peer_stop, or by `serve`. */
    unsigned n_accepted, n_requests, n_open, most_open, n_reset, n_pings;
    uint32_t last_request, reset_code, goaway_code;
    bool goaway, ended;
    bool settled, owes_ack; /* an acknowledgement may not come before our own SETTINGS */
    size_t upload, largest_data;
    int64_t window; /* that the client gives the connection, less what was sent */
    int64_t stream_window;
    char head[4096]; /* fields of the last request, a line each; never-indexed ones begin with ! */
};

static inline uint32_t peer_u32(const unsigned char *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static inline void peer_put_u32(unsigned char *at, uint32_t value)
{
    at[0] = (unsigned char)(value >> 24);
    at[1] = (unsigned char)(value >> 16);
    at[2] = (unsigned char)(value >> 8);
    at[3] = (unsigned char)value;
}

static inline bool peer_read(struct peer *peer, void *to, size_t len)
{
    for (size_t got = 0; got < len;) {
        int n = SSL_read(peer->ssl, (char *)to + got, (int)(len - got));

        if (n <= 0) {
            peer->ended = true;
            return false;
        }
        got += (size_t)n;
    }
    return true;
}

static inline void peer_write(struct peer *peer, const void *data, size_t len)
{
    if (!peer->ended && len > 0 && SSL_write(peer->ssl, data, (int)len) <= 0) {
        peer->ended = true;
    }
}

static inline void peer_frame(struct peer *peer, unsigned type, unsigned flags, uint32_t id,
                              const void *payload, size_t len)
{
    unsigned char frame[9 + 16384];

    frame[0] = (unsigned char)(len >> 16);
    frame[1] = (unsigned char)(len >> 8);
    frame[2] = (unsigned char)len;
    frame[3] = (unsigned char)type;
    frame[4] = (unsigned char)flags;
    peer_put_u32(frame + 5, id);
    BUG_ON(len > 16384);
    if (len > 0) {
        memcpy(frame + 9, payload, len);
    }
    peer_write(peer, frame, 9 + len);
}

static inline void peer_settings(struct peer *peer, unsigned key, uint32_t value)
{
    unsigned char entry[6] = {0, (unsigned char)key};

    peer_put_u32(entry + 2, value);
    peer_frame(peer, SETTINGS, 0, 0, entry, key != 0 ? sizeof entry : 0);
    if (peer->owes_ack) {
        peer_frame(peer, SETTINGS, ACK, 0, NULL, 0);
    }
    peer->settled = true;
    peer->owes_ack = false;
}

/* Status 200 (index 8 of the static table), 204, 404, 500. */
static inline void peer_head(struct peer *peer, uint32_t id, unsigned status, bool ends)
{
    unsigned char block = status == 200 ? 0x88 : status == 204 ? 0x89 : status == 404 ? 0x8d : 0x8e;

    peer_frame(peer, HEADERS, END_HEADERS | (ends ? END_STREAM : 0), id, &block, 1);
}

static inline void peer_data(struct peer *peer, uint32_t id, size_t len, bool ends)
{
    static const unsigned char zeros[16384];

    peer_frame(peer, DATA, ends ? END_STREAM : 0, id, zeros, len);
    peer->window -= (int64_t)len;
    peer->stream_window -= (int64_t)len;
}

static inline void peer_answer(struct peer *peer, uint32_t id)
{
    peer_head(peer, id, 200, false);
    peer_data(peer, id, 5, true);
    peer->n_open -= peer->n_open > 0;
}

static inline void peer_reset(struct peer *peer, uint32_t id, uint32_t code)
{
    unsigned char payload[4];

    peer_put_u32(payload, code);
    peer_frame(peer, RST_STREAM, 0, id, payload, sizeof payload);
}

static inline void peer_goaway(struct peer *peer, uint32_t last, uint32_t code)
{
    unsigned char payload[8];

    peer_put_u32(payload, last);
    peer_put_u32(payload + 4, code);
    peer_frame(peer, GOAWAY, 0, 0, payload, sizeof payload);
}

static inline void peer_window(struct peer *peer, uint32_t id, uint32_t increment)
{
    unsigned char payload[4];

    peer_put_u32(payload, increment);
    peer_frame(peer, WINDOW_UPDATE, 0, id, payload, sizeof payload);
}

static inline void peer_note_head(struct peer *peer)
{
    const unsigned char *at = peer->payload + ((peer->flags & 0x20) != 0 ? 5 : 0);
    size_t left = peer->len - (size_t)(at - peer->payload), used = 0;
    int flags = 0;

    do {
        nghttp2_nv nv;
        ssize_t n = nghttp2_hd_inflate_hd2(peer->inflater, &nv, &flags, at, left, 1);

        BUG_ON(n < 0);
        at += n;
        left -= (size_t)n;
        if ((flags & NGHTTP2_HD_INFLATE_EMIT) != 0) {
            used += (size_t)snprintf(peer->head + used, sizeof peer->head - used, "%s%s: %.*s\n",
                                     (nv.flags & NGHTTP2_NV_FLAG_NO_INDEX) != 0 ? "!" : "", nv.name,
                                     (int)nv.valuelen, nv.value);
            BUG_ON(used >= sizeof peer->head);
        }
    } while ((flags & NGHTTP2_HD_INFLATE_FINAL) == 0);
    (void)nghttp2_hd_inflate_end_headers(peer->inflater);
    peer->n_requests++;
    peer->n_open++;
    peer->most_open = peer->n_open > peer->most_open ? peer->n_open : peer->most_open;
    peer->last_request = peer->id;
}

static inline void peer_note_settings(struct peer *peer)
{
    for (size_t i = 0; i + 6 <= peer->len && (peer->flags & ACK) == 0; i += 6) {
        if (peer->payload[i + 1] == NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE) {
            peer->stream_window += (int64_t)peer_u32(peer->payload + i + 2) - 65535;
        }
    }
    if ((peer->flags & ACK) == 0 && peer->settled) {
        peer_frame(peer, SETTINGS, ACK, 0, NULL, 0);
    } else if ((peer->flags & ACK) == 0) {
        peer->owes_ack = true;
    }
}

static inline void peer_note(struct peer *peer)
{
    switch (peer->type) {
    case DATA:
        peer->upload += peer->len;
        peer->largest_data = peer->len > peer->largest_data ? peer->len : peer->largest_data;
        break;
    case HEADERS:
        peer_note_head(peer);
        break;
    case SETTINGS:
        peer_note_settings(peer);
        break;
    case RST_STREAM:
        peer->n_reset++;
        peer->n_open -= peer->n_open > 0;
        peer->reset_code = peer_u32(peer->payload);
        break;
    case PING:
        peer->n_pings += (peer->flags & ACK) == 0;
        break;
    case GOAWAY:
        peer->goaway = true;
        peer->goaway_code = peer_u32(peer->payload + 4);
        break;
    case WINDOW_UPDATE:
        *(peer->id == 0 ? &peer->window : &peer->stream_window) += peer_u32(peer->payload);
        break;
    default:
        break;
    }
}

/* Reads a frame and notes it; false at the end of the connection. */
static inline bool peer_next(struct peer *peer)
{
    unsigned char head[9];

    if (peer->ended || !peer_read(peer, head, sizeof head)) {
        return false;
    }
    peer->len = (size_t)head[0] << 16 | (size_t)head[1] << 8 | head[2];
    peer->type = head[3];
    peer->flags = head[4];
    peer->id = peer_u32(head + 5);
    BUG_ON(peer->len > sizeof peer->payload);
    if (!peer_read(peer, peer->payload, peer->len)) {
        return false;
    }
    peer_note(peer);
    return true;
}

/* Up to the next frame of that type. */
static inline bool peer_until(struct peer *peer, unsigned type)
{
    while (peer_next(peer)) {
        if (peer->type == type) {
            return true;
        }
    }
    return false;
}

/* Until so many requests have come, in all. */
static inline bool peer_requests(struct peer *peer, unsigned n)
{
    while (peer->n_requests < n) {
        if (!peer_next(peer)) {
            return false;
        }
    }
    return true;
}

/* Until the client has gone. */
static inline void peer_rest(struct peer *peer)
{
    while (peer_next(peer)) {
    }
}

static inline void peer_one(struct peer *peer, int fd)
{
    static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    char text[sizeof preface - 1];

    peer->ssl = SSL_new(peer->ctx);
    SSL_set_fd(peer->ssl, fd);
    peer->ended = peer->settled = peer->owes_ack = false;
    peer->n_open = peer->n_requests = 0;
    peer->window = peer->stream_window = 65535;
    BUG_ON(nghttp2_hd_inflate_new(&peer->inflater) != 0);
    if (SSL_accept(peer->ssl) == 1) {
        bool h2 = peer->alpn != NULL && str_equal(peer->alpn, "h2");

        if (!h2 ||
            (peer_read(peer, text, sizeof text) && memcmp(text, preface, sizeof text) == 0)) {
            peer->serve(peer);
            (void)SSL_shutdown(peer->ssl);
        }
    }
    nghttp2_hd_inflate_del(peer->inflater);
    SSL_free(peer->ssl);
    (void)shutdown(fd, SHUT_WR);
    server_drain(fd);
    (void)close(fd);
}

static inline void *peer_main(void *arg)
{
    struct peer *peer = arg;

    for (int fd; (fd = accept(peer->fd, NULL, NULL)) >= 0;) {
        peer->n_accepted++;
        peer_one(peer, fd);
    }
    return NULL;
}

static inline int peer_select(SSL *ssl, const uint8_t **out, uint8_t *out_len, const uint8_t *in,
                              unsigned in_len, void *arg)
{
    const struct peer *peer = arg;

    (void)ssl, (void)in, (void)in_len;
    if (peer->alpn == NULL) {
        return SSL_TLSEXT_ERR_NOACK;
    }
    *out = (const uint8_t *)peer->alpn;
    *out_len = (uint8_t)strlen(peer->alpn);
    return *out_len == 1 ? SSL_TLSEXT_ERR_ALERT_FATAL : SSL_TLSEXT_ERR_OK;
}

static inline void peer_start(struct peer *peer)
{
    struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof sa;

    (void)signal(SIGPIPE, SIG_IGN);
    peer->ctx = SSL_CTX_new(TLS_method());
    BUG_ON(SSL_CTX_use_certificate(peer->ctx, peer->own->cert) != 1);
    BUG_ON(SSL_CTX_use_PrivateKey(peer->ctx, peer->own->key) != 1);
    SSL_CTX_set_alpn_select_cb(peer->ctx, peer_select, peer);
    peer->fd = socket(AF_INET, SOCK_STREAM, 0);
    BUG_ON(bind(peer->fd, (struct sockaddr *)&sa, sizeof sa) != 0 || listen(peer->fd, 16) != 0);
    BUG_ON(getsockname(peer->fd, (struct sockaddr *)&sa, &len) != 0);
    peer->port = ntohs(sa.sin_port);
    BUG_ON(pthread_create(&peer->thread, NULL, peer_main, peer) != 0);
}

static inline void peer_stop(struct peer *peer)
{
    (void)shutdown(peer->fd, SHUT_RDWR);
    (void)pthread_join(peer->thread, NULL);
    (void)close(peer->fd);
    SSL_CTX_free(peer->ctx);
}

#endif
