#include "ident/pki.h"

#include "ident/cert.h"
#include "ident/cert_parts.h"
#include "ident/crypt.h"
#include "ident/der.h"
#include "ident/pem.h"

#include "base/file.h"
#include "base/mem.h"
#include "base/mono.h"
#include "base/sink.h"
#include "base/str.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define DAY_S   86400
#define CA_DAYS 3652 /* ten years */
#define SKEW_S  300  /* clocks may differ by that much */

struct making {
    const struct pki_request *request;
    const char *dir;
    int64_t now_s;
    struct cert_issuer *ca;
    struct diag *diag;
};

/* One certificate to write: what differs between good ones and each kind of bad one. */
struct paper {
    const char *file;
    const char *subject;
    const char *san;
    const struct cert_issuer *issuer; /* NULL: self-signed */
    enum der_usage usage;
    enum key_type key_type;
    int64_t not_before_s;
    int64_t not_after_s;
};

static bool fail(const struct making *making, const char *what)
{
    diag_add(making->diag, (struct origin){making->dir, 0}, "%s", what);
    return false;
}

static bool write_file(const struct making *making, const char *name, const char *text, size_t len,
                       unsigned mode)
{
    CLEANUP_FREE char *path = xasprintf("%s/%s", making->dir, name);
    if (!file_write(path, text, len, mode)) {
        CLEANUP_FREE char *what = xasprintf("%s cannot be written: %s", name, strerror(errno));
        return fail(making, what);
    }
    return true;
}

static bool write_key(const struct making *making, const char *name, EVP_PKEY *key)
{
    size_t len;
    char *text = pem_from_key(key, &len);
    bool good = write_file(making, name, text, len, 0600);
    crypt_wipe(text, len);
    free(text);
    return good;
}

static CRYPTO_BUFFER *sign(const struct paper *paper, EVP_PKEY *key)
{
    unsigned char serial[20];
    size_t serial_len;
    cert_serial_new(serial, &serial_len);
    return der_certificate(&(struct der_request){
        .issuer = paper->issuer != NULL ? cert_issuer_der(paper->issuer) : NULL,
        .subject = paper->subject,
        .san = paper->san,
        .key = key,
        .usage = paper->usage,
        .not_before_s = paper->not_before_s,
        .not_after_s = paper->not_after_s,
        .serial = serial,
        .serial_len = serial_len,
    });
}

/* Certificate and key in one file, as clients, bad identities and haproxy take them. */
static bool write_both(const struct making *making, const char *file,
                       const CRYPTO_BUFFER *certificate, EVP_PKEY *key)
{
    struct sink *sink = sink_new();
    size_t key_len, len;
    char *key_text = pem_from_key(key, &key_len);
    pem_write_cert(sink, certificate);
    sink_write(sink, key_text, key_len);
    const char *text = sink_text(sink, &len);
    bool good = write_file(making, file, text, len, 0600);
    crypt_wipe(key_text, key_len);
    free(key_text);
    sink_free(sink);
    return good;
}

static bool write_identity(const struct making *making, const struct paper *paper)
{
    EVP_PKEY *key = cert_key_new(paper->key_type);
    CRYPTO_BUFFER *certificate = sign(paper, key);
    bool good = write_both(making, paper->file, certificate, key);
    CRYPTO_BUFFER_free(certificate);
    cert_key_free(key);
    return good;
}

/* Certificate and key in two files. */
static bool write_pair(const struct making *making, const char *cert_file, const char *key_file,
                       const CRYPTO_BUFFER *certificate, EVP_PKEY *key)
{
    struct sink *sink = sink_new();
    size_t len;
    pem_write_cert(sink, certificate);
    const char *text = sink_text(sink, &len);
    bool good = write_key(making, key_file, key) && write_file(making, cert_file, text, len, 0644);
    sink_free(sink);
    return good;
}

/* Every TLS library verifies ECDSA on P-256; Ed25519 in servers and CAs is refused by many. */
static enum key_type common_type(const struct making *making)
{
    return making->request->key_type == KEY_RSA_2048 ? KEY_RSA_2048 : KEY_ECDSA_P256;
}

static struct cert_issuer *ca_new(const struct making *making, const char *subject,
                                  EVP_PKEY **ret_key, CRYPTO_BUFFER **ret_certificate)
{
    EVP_PKEY *key = cert_key_new(common_type(making));
    const struct paper paper = {.subject = subject,
                                .usage = DER_CA,
                                .not_before_s = making->now_s - SKEW_S,
                                .not_after_s = making->now_s + (int64_t)CA_DAYS * DAY_S};
    CRYPTO_BUFFER *certificate = sign(&paper, key);
    *ret_key = key;
    *ret_certificate = certificate;
    return cert_issuer_new(certificate, key);
}

static bool exists(const struct making *making, const char *name)
{
    struct stat status;
    CLEANUP_FREE char *path = xasprintf("%s/%s", making->dir, name);
    return stat(path, &status) == 0;
}

/* The CA that a former call has left; its clients and servers go on to trust it. */
static bool ca_load(struct making *making)
{
    struct pem pem = {0};
    char error[DER_ERROR] = "";
    CLEANUP_FREE char *cert_path = xasprintf("%s/ca.pem", making->dir);
    CLEANUP_FREE char *key_path = xasprintf("%s/ca.key", making->dir);
    bool good = pem_add_file(&pem, cert_path, error) && pem_add_file(&pem, key_path, error);
    if (good && (pem.n_certs == 0 || pem.key == NULL || !pem_matches(pem.certs[0], pem.key))) {
        (void)str_copy(error, sizeof error, "do not belong together");
        good = false;
    }
    struct der_parts parts;
    if (good && (!der_parse(pem.certs[0], &parts) || parts.not_after_s <= making->now_s)) {
        (void)str_copy(error, sizeof error, "the certificate has expired");
        good = false;
    }
    if (good) {
        making->ca = cert_issuer_new(pem.certs[0], pem.key);
        for (size_t i = 1; i < pem.n_certs; i++) {
            CRYPTO_BUFFER_free(pem.certs[i]);
        }
        return true;
    }
    pem_clear(&pem);
    CLEANUP_FREE char *what = xasprintf("the CA that is there (ca.pem, ca.key): %s", error);
    return fail(making, what);
}

static bool make_ca(struct making *making)
{
    if (exists(making, "ca.pem") || exists(making, "ca.key")) {
        return ca_load(making);
    }
    EVP_PKEY *key;
    CRYPTO_BUFFER *certificate;
    making->ca = ca_new(making, "CN=tlsoak test CA", &key, &certificate);
    return write_pair(making, "ca.pem", "ca.key", certificate, key);
}

/* "localhost, 127.0.0.1" to "DNS:localhost,IP:127.0.0.1"; the first name also to the subject. */
static bool server_names(const struct making *making, struct sink *san, char **ret_subject)
{
    CLEANUP_FREE char *names = xstrdup(making->request->server_names);
    char error[DER_ERROR];
    *ret_subject = NULL;
    for (char *at = names, *next; at != NULL; at = next) {
        unsigned char address[16];
        next = strchr(at, ',');
        if (next != NULL) {
            *next++ = '\0';
        }
        char *name = str_trim(at);
        if (name[0] == '\0') {
            continue;
        }
        bool ip = inet_pton(AF_INET, name, address) == 1 || inet_pton(AF_INET6, name, address) == 1;
        sink_printf(san, "%s%s:%s", *ret_subject != NULL ? "," : "", ip ? "IP" : "DNS", name);
        *ret_subject = *ret_subject != NULL ? *ret_subject : xasprintf("CN=%s", name);
    }
    if (*ret_subject == NULL) {
        return fail(making, "the server needs at least one name");
    }
    return (der_check_subject(*ret_subject, error) && der_check_san(sink_text(san, NULL), error)) ||
           fail(making, error);
}

static bool make_server(const struct making *making)
{
    struct sink *san = sink_new();
    CLEANUP_FREE char *subject = NULL;
    bool good = server_names(making, san, &subject);
    if (good) {
        EVP_PKEY *key = cert_key_new(common_type(making));
        const struct paper paper = {.subject = subject,
                                    .san = sink_text(san, NULL),
                                    .issuer = making->ca,
                                    .usage = DER_SERVER,
                                    .not_before_s = making->now_s - SKEW_S,
                                    .not_after_s =
                                        making->now_s + (int64_t)making->request->days * DAY_S};
        CRYPTO_BUFFER *certificate = sign(&paper, key);
        good = write_pair(making, "server.pem", "server.key", certificate, key) &&
               write_both(making, "server-all.pem", certificate, key);
        CRYPTO_BUFFER_free(certificate);
        cert_key_free(key);
    }
    sink_free(san);
    return good;
}

static bool make_clients(const struct making *making)
{
    bool good = true;
    for (size_t n = 1; good && n <= making->request->n_clients; n++) {
        CLEANUP_FREE char *file = xasprintf("clients/client-%zu.pem", n);
        CLEANUP_FREE char *subject = xasprintf("CN=client-%zu", n);
        CLEANUP_FREE char *san = xasprintf("DNS:client-%zu.test", n);
        good = write_identity(
            making,
            &(struct paper){.file = file,
                            .subject = subject,
                            .san = san,
                            .issuer = making->ca,
                            .usage = DER_CLIENT,
                            .key_type = making->request->key_type,
                            .not_before_s = making->now_s - SKEW_S,
                            .not_after_s = making->now_s + (int64_t)making->request->days * DAY_S});
    }
    return good;
}

/* Identities that a correct server refuses, one for each reason. */
static bool make_bad(const struct making *making)
{
    EVP_PKEY *stranger_key;
    CRYPTO_BUFFER *stranger;
    struct cert_issuer *unknown = ca_new(making, "CN=tlsoak unknown CA", &stranger_key, &stranger);
    int64_t now_s = making->now_s;
    const struct paper papers[] = {
        {"bad/expired.pem", "CN=expired", "DNS:expired.test", making->ca, DER_CLIENT, 0,
         now_s - 30 * DAY_S, now_s - DAY_S},
        {"bad/not-yet-valid.pem", "CN=not-yet-valid", "DNS:not-yet-valid.test", making->ca,
         DER_CLIENT, 0, now_s + 365 * DAY_S, now_s + 730 * DAY_S},
        {"bad/unknown-ca.pem", "CN=unknown-ca", "DNS:unknown-ca.test", unknown, DER_CLIENT, 0,
         now_s - SKEW_S, now_s + 365 * DAY_S},
        {"bad/wrong-usage.pem", "CN=wrong-usage", "DNS:wrong-usage.test", making->ca, DER_SERVER, 0,
         now_s - SKEW_S, now_s + 365 * DAY_S},
        {"bad/self-signed.pem", "CN=self-signed", "DNS:self-signed.test", NULL, DER_CLIENT, 0,
         now_s - SKEW_S, now_s + 365 * DAY_S},
    };
    bool good = true;
    for (size_t i = 0; good && i < sizeof papers / sizeof papers[0]; i++) {
        struct paper paper = papers[i];
        paper.key_type = making->request->key_type;
        good = write_identity(making, &paper);
    }
    cert_issuer_free(unknown);
    return good;
}

static bool make_secret(const struct making *making, const char *name)
{
    unsigned char bytes[32];
    char text[2 * sizeof bytes + 2];
    if (exists(making, name)) {
        return true;
    }
    (void)RAND_bytes(bytes, sizeof bytes);
    crypt_hex(text, bytes, sizeof bytes);
    text[2 * sizeof bytes] = '\n';
    bool good = write_file(making, name, text, 2 * sizeof bytes + 1, 0600);
    crypt_wipe(bytes, sizeof bytes);
    crypt_wipe(text, sizeof text);
    return good;
}

static bool make_dir(const struct making *making, const char *name)
{
    CLEANUP_FREE char *path = xasprintf("%s/%s", making->dir, name);
    if (!file_make_dir(path)) {
        CLEANUP_FREE char *what = xasprintf("%s cannot be made: %s", path, strerror(errno));
        return fail(making, what);
    }
    return true;
}

bool pki_make(const struct pki_request *request, struct diag *diag)
{
    struct making making = {
        .request = request, .dir = request->dir, .now_s = (int64_t)mono_wall_s(), .diag = diag};
    bool good = make_dir(&making, ".") && make_dir(&making, "clients") &&
                (!request->bad || make_dir(&making, "bad")) && make_ca(&making) &&
                make_server(&making) && make_clients(&making) &&
                (!request->bad || make_bad(&making)) && make_secret(&making, "apikey.secret") &&
                make_secret(&making, "jwt.secret");
    cert_issuer_free(making.ca);
    return good;
}
