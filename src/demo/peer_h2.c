#include "demo/peer_inside.h"

void peer_say(struct peer *peer)
{
    do {
        if (peer->out_len > 0 && !peer_flush(peer)) {
            return;
        }
        peer->out_len = h2d_fill(peer->h2, peer->out, sizeof peer->out);
    } while (peer->out_len > 0);
    if (h2d_is_over(peer->h2)) {
        peer_linger(peer);
    } else {
        peer_watch(peer, EV_READ);
    }
}

void peer_wake(void *context)
{
    struct peer *peer = context;
    if (peer->out_len == 0) { /* else it waits for the socket, and says all then */
        peer_say(peer);
    }
}

void peer_hear(struct peer *peer)
{
    struct peers *peers = peer->peers;
    for (int i = 0; i < RECORDS_PER_TURN; i++) {
        size_t len = 0;
        enum tlsd_status status = tlsd_read(peer->ssl, peers->input, sizeof peers->input, &len);
        if (status == TLSD_WANT_READ || status == TLSD_WANT_WRITE) {
            break;
        }
        if (status != TLSD_DONE) {
            peer_gone(peer, status);
            return;
        }
        if (!h2d_feed(peer->h2, peers->input, len)) {
            peer_linger(peer);
            return;
        }
    }
    peer_say(peer);
}
