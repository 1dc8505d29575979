/* What no client can do without, on the library of this build: the cryptography of a full mutual
 * handshake with ECDSA P-256 on both sides (X25519 key pair and secret, one signature, one
 * verification), and what metering a request costs (two clocks and two histogram records).
 *
 *   bench_floor            one line of JSON: {"handshake_us": ..., "metering_ns": ..., "library": ...}
 *   bench_floor --endless  that cryptography until it is killed: what the server does beside a client
 *
 * CPU time, of so few rounds that it can take turns with the clients that are measured. */
#include "base/bug.h"
#include "base/mem.h"
#include "base/mono.h"
#include "ident/cert_parts.h"
#include "net/tls_facts.h"
#include "record/hist.h"

#include <openssl/curve25519.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HANDSHAKES 5000
#define REQUESTS   2000000
#define SIGNED     146 /* bytes that a TLS 1.3 CertificateVerify covers (RFC 8446, 4.4.3) */

static void sign(EVP_PKEY *key, unsigned char *signature, size_t *len)
{
    static const unsigned char data[SIGNED];
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    BUG_ON(context == NULL || EVP_DigestSignInit(context, NULL, EVP_sha256(), NULL, key) != 1 ||
           EVP_DigestSign(context, signature, len, data, sizeof data) != 1);
    EVP_MD_CTX_free(context);
}

static void verify(EVP_PKEY *key, const unsigned char *signature, size_t len)
{
    static const unsigned char data[SIGNED];
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    BUG_ON(context == NULL || EVP_DigestVerifyInit(context, NULL, EVP_sha256(), NULL, key) != 1 ||
           EVP_DigestVerify(context, signature, len, data, sizeof data) != 1);
    EVP_MD_CTX_free(context);
}

/* Microseconds of one handshake's cryptography. */
static double handshake_us(void)
{
    EVP_PKEY *key = cert_key_new(KEY_ECDSA_P256);
    unsigned char peer[32], peer_private[32], theirs[256];
    size_t their_len = sizeof theirs;
    X25519_keypair(peer, peer_private);
    sign(key, theirs, &their_len);
    uint64_t start_ns = mono_thread_cpu_ns();
    for (int i = 0; i < HANDSHAKES; i++) {
        unsigned char public[32], private[32], secret[32], ours[256];
        size_t our_len = sizeof ours;
        X25519_keypair(public, private);
        BUG_ON(X25519(secret, private, peer) != 1);
        verify(key, theirs, their_len);
        sign(key, ours, &our_len);
    }
    double used_ns = (double)(mono_thread_cpu_ns() - start_ns);
    cert_key_free(key);
    return used_ns / HANDSHAKES / 1e3;
}

/* Nanoseconds of the clocks and records of one exchange. */
static double metering_ns(void)
{
    struct hist *hists = xcalloc(2, sizeof *hists);
    hist_init(&hists[0]);
    hist_init(&hists[1]);
    uint64_t start_ns = mono_thread_cpu_ns();
    for (int i = 0; i < REQUESTS; i++) {
        uint64_t sent_ns = mono_now_ns(), ended_ns = mono_now_ns();
        hist_record(&hists[0], ended_ns - sent_ns + (uint64_t)(i % 4096) * 1000);
        hist_record(&hists[1], ended_ns - sent_ns + (uint64_t)(i % 512) * 1000);
    }
    double used_ns = (double)(mono_thread_cpu_ns() - start_ns);
    BUG_ON(hists[0].n != REQUESTS);
    free(hists);
    return used_ns / REQUESTS;
}

int main(int argc, char **argv)
{
    while (argc > 1 && strcmp(argv[1], "--endless") == 0) {
        (void)handshake_us();
    }
    (void)printf("{\"handshake_us\": %.3f, \"metering_ns\": %.2f, \"library\": \"%s\"}\n",
                 handshake_us(), metering_ns(), tls_library());
    return 0;
}
