#include "base/bug.h"
#include "base/mem.h"
#include "base/mono.h"
#include "base/sink.h"
#include "net/tls_private.h"
#include "net/tls_slow.h"
#include "net/tls_store.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <stdlib.h>
#include <string.h>

#define FOREIGN_SIGNATURE 1024 /* RSA with 8,192 bits */

/* Callbacks of the library: the connection is the one whose verb is running. */

static struct tls_client *client_of(const SSL *ssl)
{
    return SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
}

static enum ssl_verify_result_t on_verify(SSL *ssl, uint8_t *ret_alert)
{
    struct tls_client *client = client_of(ssl);
    enum outcome outcome =
        trust_verify(client->trust, SSL_get0_peer_certificates(ssl), mono_now_ns());

    if (outcome == OUTCOME_OK) {
        return ssl_verify_ok;
    }
    client->current->outcome = outcome;
    *ret_alert = outcome == OUTCOME_SERVER_CERT_EXPIRED     ? SSL_AD_CERTIFICATE_EXPIRED
                 : outcome == OUTCOME_SERVER_CERT_UNTRUSTED ? SSL_AD_UNKNOWN_CA
                                                            : SSL_AD_BAD_CERTIFICATE;
    return ssl_verify_invalid;
}

/* Signing with a key that is not the certificate's.  The library holds a key to its certificate,
 * but not a method; it chooses the algorithm by the certificate, so what the key cannot do in that
 * way is done in its own: the signature is wrong in any case. */

static size_t sign_with(EVP_PKEY *key, uint16_t algorithm, const uint8_t *in, size_t in_len,
                        uint8_t *to, size_t size)
{
    const EVP_MD *digest = SSL_get_signature_algorithm_digest(algorithm);
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    EVP_PKEY_CTX *key_ctx;
    size_t len = size;
    bool ok;

    digest = digest != NULL ? digest : EVP_sha256();
    digest = EVP_PKEY_id(key) == EVP_PKEY_ED25519 ? NULL : digest;
    ok = ctx != NULL && EVP_DigestSignInit(ctx, &key_ctx, digest, NULL, key) == 1;
    if (ok && EVP_PKEY_id(key) == EVP_PKEY_RSA && SSL_is_signature_algorithm_rsa_pss(algorithm)) {
        ok = EVP_PKEY_CTX_set_rsa_padding(key_ctx, RSA_PKCS1_PSS_PADDING) == 1 &&
             EVP_PKEY_CTX_set_rsa_pss_saltlen(key_ctx, -1) == 1;
    }
    ok = ok && EVP_DigestSign(ctx, to, &len, in, in_len) == 1;
    EVP_MD_CTX_free(ctx);
    return ok ? len : 0;
}

static enum ssl_private_key_result_t sign_as_another(SSL *ssl, uint8_t *out, size_t *out_len,
                                                     size_t max_out, uint16_t algorithm,
                                                     const uint8_t *in, size_t in_len)
{
    uint8_t signature[FOREIGN_SIGNATURE];
    size_t len = sign_with(client_of(ssl)->current->cert->key, algorithm, in, in_len, signature,
                           sizeof signature);

    if (len == 0) {
        return ssl_private_key_failure;
    }
    *out_len = len < max_out ? len : max_out;
    memcpy(out, signature, *out_len);
    return ssl_private_key_success;
}

/* Neither is ever called in a client that signs at once. */
static enum ssl_private_key_result_t never_decrypts(SSL *ssl, uint8_t *out, size_t *out_len,
                                                    size_t max_out, const uint8_t *in,
                                                    size_t in_len)
{
    (void)ssl, (void)out, (void)out_len, (void)max_out, (void)in, (void)in_len;
    return ssl_private_key_failure;
}

static enum ssl_private_key_result_t never_completes(SSL *ssl, uint8_t *out, size_t *out_len,
                                                     size_t max_out)
{
    (void)ssl, (void)out, (void)out_len, (void)max_out;
    return ssl_private_key_failure;
}

static const SSL_PRIVATE_KEY_METHOD foreign = {
    .sign = sign_as_another, .decrypt = never_decrypts, .complete = never_completes};

/* Runs only when the server asks for a certificate. */
static int on_certificate_request(SSL *ssl, void *arg)
{
    struct tls *tls = ((struct tls_client *)arg)->current;
    const struct cert *cert = tls->cert;

    tls->asked = true;
    if (cert == NULL) {
        return 1;
    }
    if (SSL_set_chain_and_key(ssl, cert->chain, cert->n_chain, cert->foreign_key ? NULL : cert->key,
                              cert->foreign_key ? &foreign : NULL) != 1) {
        tls->outcome = OUTCOME_CLIENT_ERROR;
        return 0;
    }
    return 1;
}

static int on_new_session(SSL *ssl, SSL_SESSION *session)
{
    tls_keep_session(client_of(ssl)->current, session);
    return 1;
}

/* The client. */

void tls_buffers_drop(struct buffers *buffers)
{
    if (--buffers->refs == 0) {
        CRYPTO_BUFFER_POOL_free(buffers->pool);
        free(buffers);
    }
}

static uint16_t protocol_of(enum tls_version version)
{
    return version == TLS_VERSION_1_2 ? TLS1_2_VERSION : TLS1_3_VERSION;
}

/* The library's own, and Ed25519, which it leaves out: test PKIs use it for servers, too. */
static void take_signatures(SSL_CTX *ctx)
{
    static const uint16_t taken[] = {
        SSL_SIGN_ECDSA_SECP256R1_SHA256, SSL_SIGN_RSA_PSS_RSAE_SHA256, SSL_SIGN_RSA_PKCS1_SHA256,
        SSL_SIGN_ECDSA_SECP384R1_SHA384, SSL_SIGN_RSA_PSS_RSAE_SHA384, SSL_SIGN_RSA_PKCS1_SHA384,
        SSL_SIGN_RSA_PSS_RSAE_SHA512,    SSL_SIGN_RSA_PKCS1_SHA512,    SSL_SIGN_ED25519,
    };

    BUG_ON(SSL_CTX_set_verify_algorithm_prefs(ctx, taken, sizeof taken / sizeof *taken) != 1);
}

/* Two or nine bytes a name, each behind its length (RFC 7301, section 3.1). */
static const char *const protocol_lists[] = {
    [ALPN_H1] = "\x08http/1.1",
    [ALPN_H2] = "\x02h2",
    [ALPN_H2_H1] = "\x02h2\x08http/1.1",
    [ALPN_H1_H2] = "\x08http/1.1\x02h2",
};

void tls_offer(struct tls *tls, enum alpn alpn)
{
    const char *list = protocol_lists[alpn];

    BUG_ON(SSL_set_alpn_protos(tls->ssl, (const uint8_t *)list, strlen(list)) != 0);
}

/* Of tls:// what the profile names, in its words: "a, b". */
static void offer_names(SSL_CTX *ctx, const char *names)
{
    struct sink *list = sink_new();

    for (const char *name = names + strspn(names, " "); *name != '\0'; name += strspn(name, ", ")) {
        size_t len = strcspn(name, ", ");
        const char length = (char)len;

        sink_write(list, &length, 1);
        sink_write(list, name, len);
        name += len;
    }
    size_t len;
    const char *bytes = sink_text(list, &len);
    BUG_ON(SSL_CTX_set_alpn_protos(ctx, (const uint8_t *)bytes, len) != 0);
    sink_free(list);
}

static void offer_protocols(SSL_CTX *ctx, const struct plan_target *target)
{
    const char *list = protocol_lists[target->alpn];

    if (!target->raw) {
        BUG_ON(SSL_CTX_set_alpn_protos(ctx, (const uint8_t *)list, strlen(list)) != 0);
    } else if (target->alpn_text != NULL) {
        offer_names(ctx, target->alpn_text);
    }
}

static bool set_options(struct tls_client *client, const struct plan *plan,
                        const struct plan_target *target, struct diag *diag)
{
    bool resumes = client->sessions != NULL;
    SSL_CTX *ctx = client->ctx;
    size_t mistakes = diag_count(diag);

    if (SSL_CTX_set_min_proto_version(ctx, protocol_of(target->tls_min)) != 1 ||
        SSL_CTX_set_max_proto_version(ctx, protocol_of(target->tls_max)) != 1) {
        diag_add(diag, plan_origin(plan, &target->tls_max),
                 "target.tls_max: this BoringSSL does not speak that version");
    }
    (void)(target->ciphers == NULL ||
           tls_set_ciphers(ctx, target->ciphers, plan_origin(plan, &target->ciphers), diag));
    (void)(target->groups == NULL ||
           tls_set_groups(ctx, target->groups, plan_origin(plan, &target->groups), diag));
    offer_protocols(ctx, target);
    SSL_CTX_set_session_cache_mode(ctx, resumes ? SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL
                                                : SSL_SESS_CACHE_OFF);
    take_signatures(ctx);
    SSL_CTX_set_grease_enabled(ctx, 0);
    SSL_CTX_set_early_data_enabled(ctx, 0);
    if (target->ocsp) {
        SSL_CTX_enable_ocsp_stapling(ctx);
    }
    if (target->sct) {
        SSL_CTX_enable_signed_cert_timestamps(ctx);
    }
    SSL_CTX_set_mode(ctx, SSL_MODE_NO_AUTO_CHAIN);
    ERR_clear_error();
    return diag_count(diag) == mistakes;
}

static void set_callbacks(struct tls_client *client)
{
    SSL_CTX_set_app_data(client->ctx, client);
    SSL_CTX_set_custom_verify(client->ctx, SSL_VERIFY_PEER, on_verify);
    SSL_CTX_set_cert_cb(client->ctx, on_certificate_request, client);
    SSL_CTX_sess_set_new_cb(client->ctx, on_new_session);
    SSL_CTX_set0_buffer_pool(client->ctx, client->buffers->pool);
}

static bool make_bio(struct tls_client *client)
{
    client->method = tls_bio_method();
    client->bio = client->method != NULL ? BIO_new(client->method) : NULL;
    if (client->bio == NULL) {
        return false;
    }
    BIO_set_data(client->bio, client);
    BIO_set_init(client->bio, 1);
    return true;
}

struct tls_client *tls_client_new(const struct plan *plan, const struct plan_target *target,
                                  struct diag *diag)
{
    struct tls_client *client = xcalloc(1, sizeof *client);

    client->buffers = xcalloc(1, sizeof *client->buffers);
    client->buffers->refs = 1;
    client->buffers->pool = CRYPTO_BUFFER_POOL_new();
    client->server_name = target->server_name;
    client->ocsp = target->ocsp;
    client->sct = target->sct;
    client->key_update_bytes = (uint64_t)target->key_update_bytes;
    if (target == &plan->target && plan_peak(plan).resume_ratio > 0) {
        size_t n = plan->run.threads > 0 ? plan->run.threads : 1;

        client->sessions =
            tls_sessions_new((TLS_SESSIONS + n - 1) / n, (size_t)TLS_SESSION_BYTES / n);
    }
    client->ctx = SSL_CTX_new(TLS_with_buffers_method());
    BUG_ON(client->ctx == NULL || client->buffers->pool == NULL || !make_bio(client));
    set_callbacks(client);
    client->trust = trust_new(plan, target, diag);
    if (!set_options(client, plan, target, diag) || client->trust == NULL) {
        tls_client_free(client);
        return NULL;
    }
    return client;
}

void tls_client_free(struct tls_client *client)
{
    if (client == NULL) {
        return;
    }
    SSL_CTX_free(client->ctx);
    BIO_free(client->bio);
    BIO_meth_free(client->method);
    trust_free(client->trust);
    tls_sessions_free(client->sessions);
    tls_buffers_drop(client->buffers);
    free(client);
}
