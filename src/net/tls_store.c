#include "net/tls_store.h"

#include "base/mem.h"
#include "base/mono.h"

#include <stdbool.h>
#include <stdlib.h>

#define A_CLIENT    2  /* sessions that a client keeps when room is made */
#define MOST        64 /* that it has while there is room: more connections seldom end at once */
#define LIFETIME_S  604800u /* a week, whatever the server says (RFC 8446, section 4.6.1) */
#define FIXED_BYTES 640     /* of a session, beside what varies: measured */

/* A session in the store: in the list of its bucket, newest first, and in that of all by age.  An
 * unused place is in the list of free ones, by `next`. */
struct kept {
    SSL_SESSION *ssl;
    CRYPTO_BUFFER *leaf; /* whose; NULL: of the client without a certificate */
    uint64_t expires_ns;
    size_t bytes;
    struct kept *next;
    struct kept *older, *newer;
};

struct tls_sessions {
    struct kept *places;
    size_t n_places, n_touched; /* those beyond were never used, so cost no memory */
    struct kept *free;
    struct kept **buckets;
    size_t n_buckets; /* a power of two */
    struct kept *oldest, *newest;
    size_t bytes, bytes_most;
};

struct tls_sessions *tls_sessions_new(size_t n_most, size_t bytes_most)
{
    struct tls_sessions *sessions = xcalloc(1, sizeof *sessions);

    sessions->n_places = n_most;
    sessions->bytes_most = bytes_most;
    sessions->n_buckets = 1;
    while (sessions->n_buckets < n_most) {
        sessions->n_buckets *= 2;
    }
    sessions->places = xcalloc(n_most, sizeof *sessions->places);
    sessions->buckets = xcalloc(sessions->n_buckets, sizeof *sessions->buckets);
    return sessions;
}

/* The certificate is known by its buffer, which the store holds: no other gets its address. */
static struct kept **bucket_of(struct tls_sessions *sessions, const CRYPTO_BUFFER *leaf)
{
    uint64_t mixed = (uint64_t)(uintptr_t)leaf * 0x9E3779B97F4A7C15ULL; /* Knuth, TAOCP 3, 6.4 */

    return &sessions->buckets[(mixed >> 32) & (sessions->n_buckets - 1)];
}

static void forget(struct tls_sessions *sessions, struct kept *kept)
{
    struct kept **at = bucket_of(sessions, kept->leaf);

    while (*at != kept) {
        at = &(*at)->next;
    }
    *at = kept->next;
    *(kept->older != NULL ? &kept->older->newer : &sessions->oldest) = kept->newer;
    *(kept->newer != NULL ? &kept->newer->older : &sessions->newest) = kept->older;
    sessions->bytes -= kept->bytes;
    SSL_SESSION_free(kept->ssl);
    CRYPTO_BUFFER_free(kept->leaf);
    *kept = (struct kept){.next = sessions->free};
    sessions->free = kept;
}

void tls_sessions_free(struct tls_sessions *sessions)
{
    if (sessions == NULL) {
        return;
    }
    while (sessions->oldest != NULL) {
        forget(sessions, sessions->oldest);
    }
    free(sessions->places);
    free(sessions->buckets);
    free(sessions);
}

static size_t size_of(const SSL_SESSION *ssl, const CRYPTO_BUFFER *leaf)
{
    const uint8_t *bytes;
    size_t ticket, ocsp, scts;

    SSL_SESSION_get0_ticket(ssl, &bytes, &ticket);
    SSL_SESSION_get0_ocsp_response(ssl, &bytes, &ocsp);
    SSL_SESSION_get0_signed_cert_timestamp_list(ssl, &bytes, &scts);
    return FIXED_BYTES + ticket + ocsp + scts + (leaf != NULL ? CRYPTO_BUFFER_len(leaf) : 0);
}

/* A lifetime of 0 is "not said" in TLS 1.2, and "do not keep it" in TLS 1.3, where the library has
 * made it the session's own. */
static uint64_t lifetime_ns(const SSL_SESSION *ssl)
{
    uint32_t lifetime_s = SSL_SESSION_get_timeout(ssl);
    uint32_t hint_s = SSL_SESSION_get_ticket_lifetime_hint(ssl);

    lifetime_s = hint_s > 0 && hint_s < lifetime_s ? hint_s : lifetime_s;
    return (lifetime_s < LIFETIME_S ? lifetime_s : LIFETIME_S) * NS_PER_S;
}

/* Forgets what a client has beyond `most`, the oldest first; of sessions that may be offered again
 * the newest is enough. */
static void limit_client(struct tls_sessions *sessions, const CRYPTO_BUFFER *leaf, int most)
{
    struct kept *next, *kept = *bucket_of(sessions, leaf);
    int n = 0;

    for (; kept != NULL; kept = next) {
        next = kept->next;
        if (kept->leaf == leaf) {
            if (n >= most) {
                forget(sessions, kept);
            } else {
                n += SSL_SESSION_should_be_single_use(kept->ssl) ? 1 : most;
            }
        }
    }
}

static bool has_room(const struct tls_sessions *sessions, size_t bytes)
{
    return sessions->bytes + bytes <= sessions->bytes_most &&
           (sessions->free != NULL || sessions->n_touched < sessions->n_places);
}

static struct kept *take_place(struct tls_sessions *sessions)
{
    struct kept *kept = sessions->free;

    if (kept != NULL) {
        sessions->free = kept->next;
        return kept;
    }
    return &sessions->places[sessions->n_touched++];
}

void tls_sessions_put(struct tls_sessions *sessions, CRYPTO_BUFFER *leaf, SSL_SESSION *ssl,
                      uint64_t now_ns)
{
    struct kept **bucket = bucket_of(sessions, leaf);
    uint64_t life_ns = lifetime_ns(ssl);
    size_t bytes = size_of(ssl, leaf);

    if (!SSL_SESSION_is_resumable(ssl) || life_ns == 0 || bytes > sessions->bytes_most) {
        SSL_SESSION_free(ssl);
        return;
    }
    if (!has_room(sessions, bytes)) {
        limit_client(sessions, leaf, A_CLIENT - 1);
    }
    while (!has_room(sessions, bytes)) {
        forget(sessions, sessions->oldest);
    }
    if (leaf != NULL) {
        CRYPTO_BUFFER_up_ref(leaf);
    }
    struct kept *kept = take_place(sessions);
    *kept = (struct kept){.ssl = ssl,
                          .leaf = leaf,
                          .expires_ns = now_ns + life_ns,
                          .bytes = bytes,
                          .next = *bucket,
                          .older = sessions->newest};
    *bucket = kept;
    *(kept->older != NULL ? &kept->older->newer : &sessions->oldest) = kept;
    sessions->newest = kept;
    sessions->bytes += bytes;
    limit_client(sessions, leaf, MOST);
}

enum tls_ticket tls_sessions_take(struct tls_sessions *sessions, const CRYPTO_BUFFER *leaf,
                                  uint64_t now_ns, SSL_SESSION **ret_ssl)
{
    enum tls_ticket found = TLS_TICKET_NONE;
    struct kept *next, *kept = *bucket_of(sessions, leaf);

    for (; kept != NULL && found != TLS_TICKET_READY; kept = next) {
        next = kept->next;
        if (kept->leaf != leaf) {
            continue;
        }
        found = now_ns < kept->expires_ns ? TLS_TICKET_READY : TLS_TICKET_EXPIRED;
        if (ret_ssl == NULL) {
            continue;
        }
        if (found == TLS_TICKET_READY) {
            SSL_SESSION_up_ref(kept->ssl);
            *ret_ssl = kept->ssl;
        }
        if (found == TLS_TICKET_EXPIRED || SSL_SESSION_should_be_single_use(kept->ssl)) {
            forget(sessions, kept);
        }
    }
    return found;
}
