#include "demo/tlsd.h"

#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/nid.h>
#include <openssl/pem.h>
#include <openssl/pool.h>
#include <openssl/sha.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define TICKET_KEYS 48

struct tlsd {
    SSL_CTX *ctx;
};

/* Adds one mistake about `path`: why it cannot be read, or else what the library says of it. */
static void mistake(struct diag *diag, const char *option, const char *path, const char *what)
{
    struct origin origin = {option, 0};
    uint32_t error = ERR_peek_error();
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    char byte;
    if (fd < 0 || read(fd, &byte, 1) < 0) {
        diag_add(diag, origin, "cannot read %s: %s", path, strerror(errno));
    } else {
        const char *reason = error != 0 ? ERR_reason_error_string(error) : NULL;
        diag_add(diag, origin, "%s: %s (%s)", path, what, reason != NULL ? reason : "empty file");
    }
    if (fd >= 0) {
        close(fd);
    }
    ERR_clear_error();
}

static int alpn_select(SSL *ssl, const uint8_t **out, uint8_t *out_len, const uint8_t *in,
                       unsigned in_len, void *arg)
{
    static const uint8_t ours[] = "\x02h2\x08http/1.1";
    uint8_t *chosen;
    (void)ssl;
    (void)arg;
    if (SSL_select_next_proto(&chosen, out_len, ours, sizeof ours - 1, in, in_len) !=
        OPENSSL_NPN_NEGOTIATED) {
        return SSL_TLSEXT_ERR_NOACK;
    }
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

static bool load_own(SSL_CTX *ctx, const char *cert, const char *key, struct diag *diag)
{
    if (SSL_CTX_use_certificate_chain_file(ctx, cert) != 1) {
        mistake(diag, "--cert", cert, "no certificate in PEM");
        return false;
    }
    if (SSL_CTX_use_PrivateKey_file(ctx, key, SSL_FILETYPE_PEM) != 1) {
        int reason = ERR_GET_REASON(ERR_peek_error());
        bool other = ERR_GET_LIB(ERR_peek_error()) == ERR_LIB_X509 &&
                     (reason == X509_R_KEY_VALUES_MISMATCH || reason == X509_R_KEY_TYPE_MISMATCH);
        mistake(diag, "--key", key,
                other ? "the key is not that of the certificate" : "no private key in PEM");
        return false;
    }
    if (SSL_CTX_check_private_key(ctx) != 1) {
        mistake(diag, "--key", key, "the key is not that of the certificate");
        return false;
    }
    return true;
}

static bool load_ca(SSL_CTX *ctx, const char *ca, struct diag *diag)
{
    STACK_OF(X509_NAME) *names = SSL_load_client_CA_file(ca);
    if (names == NULL || SSL_CTX_load_verify_locations(ctx, ca, NULL) != 1) {
        sk_X509_NAME_pop_free(names, X509_NAME_free);
        mistake(diag, "--ca", ca, "no CA certificate in PEM");
        return false;
    }
    SSL_CTX_set_client_CA_list(ctx, names);
    return true;
}

static bool load_crl(SSL_CTX *ctx, const char *crl, struct diag *diag)
{
    X509_STORE *store = SSL_CTX_get_cert_store(ctx);
    size_t n = 0;
    if (crl == NULL) {
        return true;
    }
    BIO *bio = BIO_new_file(crl, "r");
    X509_CRL *list = NULL;
    bool good = bio != NULL;
    while (good && (list = PEM_read_bio_X509_CRL(bio, NULL, NULL, NULL)) != NULL) {
        good = X509_STORE_add_crl(store, list) == 1;
        X509_CRL_free(list);
        n++;
    }
    BIO_free(bio);
    /* After a good one, the end of the file is no mistake; a broken one is. */
    good = good && n > 0 && ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
    if (!good) {
        mistake(diag, "--crl", crl, "no list of revoked certificates in PEM");
        return false;
    }
    ERR_clear_error();
    return X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK) == 1;
}

/* What the lists say nothing about is not revoked. */
static int on_verify(int ok, X509_STORE_CTX *context)
{
    if (!ok && X509_STORE_CTX_get_error(context) == X509_V_ERR_UNABLE_TO_GET_CRL) {
        X509_STORE_CTX_set_error(context, X509_V_OK);
        return 1;
    }
    return ok;
}

/* The library's own list leaves Ed25519 out. */
static const uint16_t client_signatures[] = {
    SSL_SIGN_ED25519,
    SSL_SIGN_ECDSA_SECP256R1_SHA256,
    SSL_SIGN_ECDSA_SECP384R1_SHA384,
    SSL_SIGN_RSA_PSS_RSAE_SHA256,
    SSL_SIGN_RSA_PSS_RSAE_SHA384,
    SSL_SIGN_RSA_PSS_RSAE_SHA512,
    SSL_SIGN_RSA_PKCS1_SHA256,
};
enum { N_CLIENT_SIGNATURES = sizeof client_signatures / sizeof client_signatures[0] };

/* NULL with mistakes. */
static SSL_CTX *make_context(const struct tlsd_files *files, struct diag *diag)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    if (ctx == NULL) {
        diag_add(diag, (struct origin){"serve", 0}, "no memory for TLS");
        return NULL;
    }
    bool own = load_own(ctx, files->cert, files->key, diag);
    bool trust = load_ca(ctx, files->ca, diag);
    ERR_clear_error();
    trust = load_crl(ctx, files->crl, diag) && trust;
    if (!own || !trust || SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) != 1 ||
        SSL_CTX_set_max_proto_version(ctx, TLS1_3_VERSION) != 1 ||
        SSL_CTX_set_verify_algorithm_prefs(ctx, client_signatures, N_CLIENT_SIGNATURES) != 1 ||
        SSL_CTX_set_session_id_context(ctx, (const uint8_t *)"tlsoak", 6) != 1) {
        SSL_CTX_free(ctx);
        return NULL;
    }
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, on_verify);
    /* Tickets do not need the cache, whose default is 20,480 sessions. */
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_alpn_select_cb(ctx, alpn_select, NULL);
    return ctx;
}

struct tlsd *tlsd_new(const struct tlsd_files *files, struct diag *diag)
{
    SSL_CTX *ctx = make_context(files, diag);
    if (ctx == NULL) {
        return NULL;
    }
    struct tlsd *tlsd = xcalloc(1, sizeof *tlsd);
    tlsd->ctx = ctx;
    return tlsd;
}

/* Connections hold their context until they end.  The keys of tickets go along: a rotated
 * certificate ends no session. */
bool tlsd_rotate(struct tlsd *tlsd, const struct tlsd_files *files, struct diag *diag)
{
    uint8_t tickets[TICKET_KEYS];
    SSL_CTX *ctx = make_context(files, diag);
    if (ctx == NULL) {
        return false;
    }
    if (SSL_CTX_get_tlsext_ticket_keys(tlsd->ctx, tickets, sizeof tickets) == 1) {
        (void)SSL_CTX_set_tlsext_ticket_keys(ctx, tickets, sizeof tickets);
    }
    OPENSSL_cleanse(tickets, sizeof tickets);
    SSL_CTX_free(tlsd->ctx);
    tlsd->ctx = ctx;
    return true;
}

void tlsd_free(struct tlsd *tlsd)
{
    if (tlsd != NULL) {
        SSL_CTX_free(tlsd->ctx);
        free(tlsd);
    }
}

SSL *tlsd_open(struct tlsd *tlsd, int fd)
{
    SSL *ssl = SSL_new(tlsd->ctx);
    if (ssl == NULL || SSL_set_fd(ssl, fd) != 1) {
        SSL_free(ssl);
        ERR_clear_error();
        return NULL;
    }
    SSL_set_shed_handshake_config(ssl, 1);
    SSL_set_accept_state(ssl);
    return ssl;
}

/* An end of stream after which the kernel holds an error: what we sent last was not wanted. */
static enum tlsd_status end_of_stream(const SSL *ssl)
{
    int error = 0;
    socklen_t len = sizeof error;
    if (getsockopt(SSL_get_fd(ssl), SOL_SOCKET, SO_ERROR, &error, &len) == 0 && error != 0) {
        return TLSD_RESET;
    }
    return TLSD_EOF;
}

static enum tlsd_status status_of(SSL *ssl, int result)
{
    int error = errno;
    enum tlsd_status status;
    switch (SSL_get_error(ssl, result)) {
    case SSL_ERROR_WANT_READ:
        return TLSD_WANT_READ;
    case SSL_ERROR_WANT_WRITE:
        return TLSD_WANT_WRITE;
    case SSL_ERROR_ZERO_RETURN:
        status = end_of_stream(ssl);
        break;
    case SSL_ERROR_SYSCALL:
        status = error == 0 ? end_of_stream(ssl) : TLSD_RESET;
        status = status == TLSD_EOF ? TLSD_CUT : status;
        break;
    default:
        status = TLSD_FAILED;
    }
    ERR_clear_error();
    return status;
}

/* Empties the queue of errors; true when one of them is about the client's certificate.  It need
 * not be the first: what X.509 says of a signature comes before it. */
static bool client_at_fault(void)
{
    bool fault = false;
    for (uint32_t error = ERR_get_error(); error != 0; error = ERR_get_error()) {
        int reason = ERR_GET_LIB(error) == ERR_LIB_SSL ? ERR_GET_REASON(error) : 0;
        switch (reason) {
        case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE:
        case SSL_R_CERTIFICATE_VERIFY_FAILED:
        case SSL_R_CANNOT_PARSE_LEAF_CERT:
        case SSL_R_UNKNOWN_CERTIFICATE_TYPE:
        case SSL_R_ECC_CERT_NOT_FOR_SIGNING:
        case SSL_R_WRONG_SIGNATURE_TYPE:
        case SSL_R_BAD_SIGNATURE:
            fault = true;
            break;
        default:
            break;
        }
    }
    return fault;
}

enum tlsd_status tlsd_handshake(SSL *ssl)
{
    ERR_clear_error();
    errno = 0;
    int result = SSL_do_handshake(ssl);
    if (result == 1) {
        return TLSD_DONE;
    }
    if (SSL_get_error(ssl, result) == SSL_ERROR_SSL) {
        return client_at_fault() ? TLSD_REFUSED : TLSD_FAILED;
    }
    return status_of(ssl, result);
}

enum tlsd_status tlsd_read(SSL *ssl, char *data, size_t size, size_t *ret_len)
{
    ERR_clear_error();
    errno = 0;
    int result = SSL_read(ssl, data, (int)size);
    if (result <= 0) {
        return status_of(ssl, result);
    }
    *ret_len = (size_t)result;
    return TLSD_DONE;
}

enum tlsd_status tlsd_write(SSL *ssl, const char *data, size_t len)
{
    ERR_clear_error();
    errno = 0;
    int result = SSL_write(ssl, data, (int)len);
    return result > 0 ? TLSD_DONE : status_of(ssl, result);
}

void tlsd_shutdown(SSL *ssl)
{
    ERR_clear_error();
    if (SSL_shutdown(ssl) < 0) {
        ERR_clear_error();
    }
}

void tlsd_close(SSL *ssl)
{
    SSL_free(ssl);
}

bool tlsd_client(SSL *ssl, unsigned char ret_sha256[TLSD_FINGERPRINT], bool *ret_resumed)
{
    const STACK_OF(CRYPTO_BUFFER) *chain = SSL_get0_peer_certificates(ssl);
    if (chain == NULL || sk_CRYPTO_BUFFER_num(chain) == 0) {
        return false;
    }
    const CRYPTO_BUFFER *leaf = sk_CRYPTO_BUFFER_value(chain, 0);
    SHA256(CRYPTO_BUFFER_data(leaf), CRYPTO_BUFFER_len(leaf), ret_sha256);
    *ret_resumed = SSL_session_reused(ssl) == 1;
    return true;
}

bool tlsd_is_h2(const SSL *ssl)
{
    const uint8_t *name;
    unsigned len;
    SSL_get0_alpn_selected(ssl, &name, &len);
    return len == 2;
}

void tlsd_client_name(SSL *ssl, char *text, size_t size)
{
    X509 *leaf = SSL_get_peer_certificate(ssl);
    text[0] = '\0';
    if (leaf == NULL || X509_NAME_get_text_by_NID(X509_get_subject_name(leaf), NID_commonName, text,
                                                  (int)size) < 0) {
        text[0] = '\0';
    }
    X509_free(leaf);
    ERR_clear_error();
    for (char *c = text; *c != '\0'; c++) {
        if ((unsigned char)*c < ' ' || *c == 0x7f) {
            *c = '?';
        }
    }
}
