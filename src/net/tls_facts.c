#include "base/mem.h"
#include "net/tls_private.h"
#include "net/tls_staple.h"

#include <dlfcn.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

/* A resumed session remembers those of its first handshake, which did not come again. */
static void take_staples(const struct tls *tls, struct tls_facts *facts)
{
    const uint8_t *scts;
    size_t len = 0;

    facts->ocsp_bytes = 0;
    facts->n_scts = 0;
    if (!facts->resumed) {
        const uint8_t *ocsp;

        SSL_get0_ocsp_response(tls->ssl, &ocsp, &facts->ocsp_bytes);
        SSL_get0_signed_cert_timestamp_list(tls->ssl, &scts, &len);
        facts->n_scts = len > 0 ? staple_timestamps(scts, len) : 0;
    }
}

/* The library lets a server select only what was offered. */
static const char *protocol_of(const SSL *ssl)
{
    const uint8_t *name;
    unsigned len;

    SSL_get0_alpn_selected(ssl, &name, &len);
    return len == 0 ? "" : len == 2 ? "h2" : "http/1.1";
}

void tls_facts(const struct tls *tls, struct tls_facts *ret_facts)
{
    const SSL_CIPHER *cipher = SSL_get_current_cipher(tls->ssl);
    const char *group = SSL_get_curve_name(SSL_get_curve_id(tls->ssl));

    ret_facts->version = SSL_get_version(tls->ssl);
    ret_facts->cipher = cipher != NULL ? SSL_CIPHER_standard_name(cipher) : "";
    ret_facts->resumed = SSL_session_reused(tls->ssl) == 1;
    /* A resumed session of TLS 1.2 only remembers the group of its first handshake. */
    if (group == NULL || (ret_facts->resumed && SSL_version(tls->ssl) < TLS1_3_VERSION)) {
        group = "";
    }
    ret_facts->group = group;
    ret_facts->asked_for_certificate = tls->asked;
    take_staples(tls, ret_facts);
    ret_facts->protocol = protocol_of(tls->ssl);
}

/* What a certificate says is the server's text: shown with its control characters visible. */
static void print_bio(struct sink *sink, BIO *bio)
{
    char text[1024];
    int n = BIO_read(bio, text, sizeof text - 1);

    n -= n > 0 && text[n - 1] == '\n'; /* the library ends an IPv6 address with one */
    text[n > 0 ? n : 0] = '\0';
    sink_plain(sink, text);
    (void)BIO_reset(bio);
}

static void describe_names(struct sink *sink, BIO *bio, X509 *cert)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);

    for (size_t i = 0; names != NULL && i < sk_GENERAL_NAME_num(names); i++) {
        sink_printf(sink, i == 0 ? ", for " : ", ");
        GENERAL_NAME_print(bio, sk_GENERAL_NAME_value(names, i));
        print_bio(sink, bio);
    }
    GENERAL_NAMES_free(names);
}

static void describe_cert(struct sink *sink, BIO *bio, size_t i, X509 *cert)
{
    sink_printf(sink, "* server certificate %zu: ", i);
    X509_NAME_print_ex(bio, X509_get_subject_name(cert), 0, XN_FLAG_ONELINE);
    print_bio(sink, bio);
    describe_names(sink, bio, cert);
    sink_printf(sink, "; issued by ");
    X509_NAME_print_ex(bio, X509_get_issuer_name(cert), 0, XN_FLAG_ONELINE);
    print_bio(sink, bio);
    sink_printf(sink, "; valid ");
    ASN1_TIME_print(bio, X509_get0_notBefore(cert));
    print_bio(sink, bio);
    sink_printf(sink, " to ");
    ASN1_TIME_print(bio, X509_get0_notAfter(cert));
    print_bio(sink, bio);
    sink_printf(sink, "\n");
}

static void describe_staples(const struct tls *tls, struct sink *sink)
{
    const uint8_t *ocsp, *scts;
    size_t ocsp_len, scts_len;
    char text[STAPLE_TEXT];

    SSL_get0_ocsp_response(tls->ssl, &ocsp, &ocsp_len);
    SSL_get0_signed_cert_timestamp_list(tls->ssl, &scts, &scts_len);
    if (ocsp_len > 0) {
        staple_status(ocsp, ocsp_len, text);
        sink_printf(sink, "* stapled OCSP response of %zu bytes: %s\n", ocsp_len, text);
    } else if (tls->client->ocsp && tls->ready) {
        sink_printf(sink, "* no stapled OCSP response, though asked for\n");
    }
    if (scts_len > 0) {
        sink_printf(sink, "* certificate timestamps: %u in %zu bytes\n",
                    staple_timestamps(scts, scts_len), scts_len);
    } else if (tls->client->sct && tls->ready) {
        sink_printf(sink, "* no certificate timestamps, though asked for\n");
    }
}

void tls_describe_chain(const struct tls *tls, struct sink *sink)
{
    const STACK_OF(CRYPTO_BUFFER) *chain = SSL_get0_peer_certificates(tls->ssl);
    BIO *bio = BIO_new(BIO_s_mem());

    for (size_t i = 0; chain != NULL && bio != NULL && i < sk_CRYPTO_BUFFER_num(chain); i++) {
        X509 *cert = X509_parse_from_buffer(sk_CRYPTO_BUFFER_value(chain, i));

        if (cert == NULL) {
            sink_printf(sink, "* server certificate %zu: not an X.509 certificate\n", i);
            continue;
        }
        describe_cert(sink, bio, i, cert);
        X509_free(cert);
    }
    BIO_free(bio);
    describe_staples(tls, sink);
}

const char *tls_library(void)
{
    Dl_info of_ssl, of_us;
    bool shared = dladdr((void *)(uintptr_t)SSL_new, &of_ssl) != 0 &&
                  dladdr((void *)(uintptr_t)tls_library, &of_us) != 0 &&
                  of_ssl.dli_fbase != of_us.dli_fbase;

    return shared ? TLS_LIBRARY " (shared)" : TLS_LIBRARY " (static)";
}
