#include "ident/pki.h"

#include "ident/cert.h"
#include "ident/cert_inside.h"
#include "ident/cert_load.h"
#include "ident/cert_parts.h"
#include "ident/cert_pkcs12.h"
#include "ident/crypt.h"
#include "ident/der.h"
#include "ident/der_crl.h"
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
    struct cert_issuer *intermediate;
    bool ca_is_old; /* left by a former call */
    struct diag *diag;
};

/* One certificate to write: what differs between good ones and each kind of bad one. */
struct paper {
    const char *file;
    const char *subject;
    const char *san;
    const struct cert_issuer *issuer; /* NULL: self-signed */
    enum der_role role;
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
        .role = paper->role,
        .not_before_s = paper->not_before_s,
        .not_after_s = paper->not_after_s,
        .serial = serial,
        .serial_len = serial_len,
    });
}

/* Certificate, what is above it, and key in one file, as clients, bad identities and haproxy take
 * them. */
static bool write_both(const struct making *making, const char *file,
                       const struct cert_issuer *issuer, const CRYPTO_BUFFER *certificate,
                       EVP_PKEY *key)
{
    struct sink *sink = sink_new();
    size_t key_len, len;
    char *key_text = pem_from_key(key, &key_len);
    pem_write(sink, "CERTIFICATE", certificate);
    for (size_t i = 0; issuer != NULL && i < issuer->n_above; i++) {
        pem_write(sink, "CERTIFICATE", issuer->above[i]);
    }
    sink_write(sink, key_text, key_len);
    const char *text = sink_text(sink, &len);
    bool good = write_file(making, file, text, len, 0600);
    crypt_wipe(key_text, key_len);
    free(key_text);
    sink_free(sink);
    return good;
}

/* `foreign`: the key that is written is another one. */
static bool write_identity(const struct making *making, const struct paper *paper, bool foreign)
{
    EVP_PKEY *key = cert_key_new(paper->key_type);
    EVP_PKEY *other = foreign ? cert_key_new(paper->key_type) : NULL;
    CRYPTO_BUFFER *certificate = sign(paper, key);
    bool good = write_both(making, paper->file, paper->issuer, certificate, foreign ? other : key);
    CRYPTO_BUFFER_free(certificate);
    cert_key_free(key);
    cert_key_free(other);
    return good;
}

/* Certificate and key in two files. */
static bool write_pair(const struct making *making, const char *cert_file, const char *key_file,
                       const CRYPTO_BUFFER *certificate, EVP_PKEY *key)
{
    struct sink *sink = sink_new();
    size_t len;
    pem_write(sink, "CERTIFICATE", certificate);
    const char *text = sink_text(sink, &len);
    bool good = write_key(making, key_file, key) && write_file(making, cert_file, text, len, 0644);
    sink_free(sink);
    return good;
}

/* Every TLS library verifies ECDSA on P-256; Ed25519 in servers and CAs is refused by many. */
static enum key_type common_type(const struct making *making)
{
    enum key_type type = making->request->key_type;
    return type == KEY_RSA_2048 || type == KEY_RSA_3072 || type == KEY_RSA_4096 ? KEY_RSA_2048
                                                                                : KEY_ECDSA_P256;
}

static struct cert_issuer *ca_new(const struct making *making, const char *subject,
                                  const struct cert_issuer *issuer)
{
    EVP_PKEY *key = cert_key_new(common_type(making));
    const struct paper paper = {.subject = subject,
                                .issuer = issuer,
                                .role = DER_CA,
                                .not_before_s = making->now_s - SKEW_S,
                                .not_after_s = making->now_s + (int64_t)CA_DAYS * DAY_S};
    return cert_issuer_new(sign(&paper, key), key);
}

static bool exists(const struct making *making, const char *name)
{
    struct stat status;
    CLEANUP_FREE char *path = xasprintf("%s/%s", making->dir, name);
    return stat(path, &status) == 0;
}

/* The CA that a former call has left; its clients and servers go on to trust it. */
static struct cert_issuer *ca_load(const struct making *making, const char *name)
{
    struct pem pem = {0};
    struct cert_issuer *ca = NULL;
    char error[DER_ERROR] = "";
    CLEANUP_FREE char *cert_path = xasprintf("%s/%s.pem", making->dir, name);
    CLEANUP_FREE char *key_path = xasprintf("%s/%s.key", making->dir, name);
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
        CRYPTO_BUFFER_up_ref(pem.certs[0]);
        EVP_PKEY_up_ref(pem.key);
        ca = cert_issuer_new(pem.certs[0], pem.key);
    } else {
        CLEANUP_FREE char *what =
            xasprintf("the CA that is there (%s.pem, %s.key): %s", name, name, error);
        (void)fail(making, what);
    }
    pem_clear(&pem);
    return ca;
}

/* Loads or makes NAME.pem and NAME.key; NULL with a mistake. */
static struct cert_issuer *ca_get(const struct making *making, const char *name,
                                  const char *subject, const struct cert_issuer *issuer, bool old)
{
    CLEANUP_FREE char *cert_file = xasprintf("%s.pem", name);
    CLEANUP_FREE char *key_file = xasprintf("%s.key", name);
    if (old) {
        return ca_load(making, name);
    }
    struct cert_issuer *ca = ca_new(making, subject, issuer);
    if (!write_pair(making, cert_file, key_file, ca->certificate, ca->der.key)) {
        cert_issuer_free(ca);
        return NULL;
    }
    return ca;
}

/* An intermediate lasts as long as the CA above it. */
static bool make_cas(struct making *making)
{
    making->ca_is_old = exists(making, "ca.pem") || exists(making, "ca.key");
    making->ca = ca_get(making, "ca", "CN=tlsoak test CA", NULL, making->ca_is_old);
    if (making->ca == NULL) {
        return false;
    }
    bool old = making->ca_is_old && exists(making, "intermediate.pem");
    making->intermediate =
        ca_get(making, "intermediate", "CN=tlsoak test intermediate", making->ca, old);
    return making->intermediate != NULL;
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
                                    .role = DER_SERVER,
                                    .not_before_s = making->now_s - SKEW_S,
                                    .not_after_s =
                                        making->now_s + (int64_t)making->request->days * DAY_S};
        CRYPTO_BUFFER *certificate = sign(&paper, key);
        good = write_pair(making, "server.pem", "server.key", certificate, key) &&
               write_both(making, "server-all.pem", NULL, certificate, key);
        CRYPTO_BUFFER_free(certificate);
        cert_key_free(key);
    }
    sink_free(san);
    return good;
}

static bool write_pkcs12(const struct making *making, size_t n, CRYPTO_BUFFER *certificate,
                         EVP_PKEY *key)
{
    CLEANUP_FREE char *file = xasprintf("clients/client-%zu.p12", n);
    size_t len;
    unsigned char *bytes =
        cert_pkcs12_new(key, &certificate, 1, making->request->pkcs12_password, &len);
    bool good = write_file(making, file, (const char *)bytes, len, 0600);
    crypt_wipe(bytes, len);
    free(bytes);
    return good;
}

static bool make_client(const struct making *making, size_t n)
{
    CLEANUP_FREE char *file = xasprintf("clients/client-%zu.pem", n);
    CLEANUP_FREE char *subject = xasprintf("CN=client-%zu", n);
    CLEANUP_FREE char *san = xasprintf("DNS:client-%zu.test", n);
    const struct paper paper = {.subject = subject,
                                .san = san,
                                .issuer = making->ca,
                                .role = DER_CLIENT,
                                .not_before_s = making->now_s - SKEW_S,
                                .not_after_s =
                                    making->now_s + (int64_t)making->request->days * DAY_S};
    EVP_PKEY *key = cert_key_new(making->request->key_type);
    CRYPTO_BUFFER *certificate = sign(&paper, key);
    bool good =
        write_both(making, file, NULL, certificate, key) &&
        (making->request->pkcs12_password == NULL || write_pkcs12(making, n, certificate, key));
    CRYPTO_BUFFER_free(certificate);
    cert_key_free(key);
    return good;
}

static bool make_clients(const struct making *making)
{
    bool good = true;
    for (size_t n = 1; good && n <= making->request->n_clients; n++) {
        good = make_client(making, n);
    }
    return good;
}

/* Identities that a correct server refuses, one for each reason, and one for servers that allow no
 * intermediate. */
static bool make_bad(const struct making *making)
{
    struct cert_issuer *unknown = ca_new(making, "CN=tlsoak unknown CA", NULL);
    int64_t now_s = making->now_s, from_s = now_s - SKEW_S, to_s = now_s + 365 * DAY_S;
    const struct paper papers[] = {
        {"bad/expired.pem", "CN=expired", "DNS:expired.test", making->ca, DER_CLIENT, 0,
         now_s - 30 * DAY_S, now_s - DAY_S},
        {"bad/not-yet-valid.pem", "CN=not-yet-valid", "DNS:not-yet-valid.test", making->ca,
         DER_CLIENT, 0, now_s + 365 * DAY_S, now_s + 730 * DAY_S},
        {"bad/unknown-ca.pem", "CN=unknown-ca", "DNS:unknown-ca.test", unknown, DER_CLIENT, 0,
         from_s, to_s},
        {"bad/wrong-usage.pem", "CN=wrong-usage", "DNS:wrong-usage.test", making->ca, DER_SERVER, 0,
         from_s, to_s},
        {"bad/self-signed.pem", "CN=self-signed", "DNS:self-signed.test", NULL, DER_CLIENT, 0,
         from_s, to_s},
        {"bad/revoked.pem", "CN=revoked", "DNS:revoked.test", making->ca, DER_CLIENT, 0, from_s,
         to_s},
        {"bad/via-intermediate.pem", "CN=via-intermediate", "DNS:via-intermediate.test",
         making->intermediate, DER_CLIENT, 0, from_s, to_s},
        {"bad/wrong-key.pem", "CN=wrong-key", "DNS:wrong-key.test", making->ca, DER_CLIENT, 0,
         from_s, to_s},
    };
    bool good = true;
    for (size_t i = 0; good && i < sizeof papers / sizeof papers[0]; i++) {
        struct paper paper = papers[i];
        paper.key_type = making->request->key_type;
        good = write_identity(making, &paper, str_equal(paper.file, "bad/wrong-key.pem"));
    }
    cert_issuer_free(unknown);
    return good;
}

/* Appends an issuer's list, which revokes `revoked` unless that is NULL. */
static void add_crl(const struct making *making, struct sink *sink,
                    const struct cert_issuer *issuer, const struct der_revoked *revoked)
{
    CRYPTO_BUFFER *crl = der_crl(&(struct der_crl_request){
        .issuer = &issuer->der,
        .this_update_s = making->now_s - SKEW_S,
        .next_update_s = making->now_s + (int64_t)CA_DAYS * DAY_S,
        .number = (uint64_t)making->now_s,
        .revoked = revoked,
        .n_revoked = revoked != NULL ? 1 : 0,
    });
    pem_write(sink, "X509 CRL", crl);
    CRYPTO_BUFFER_free(crl);
}

/* Both CAs' lists in one file: servers that are given a CRL want one for every CA of a chain. */
static bool make_crl(const struct making *making)
{
    char error[DER_ERROR];
    struct der_revoked entry;
    struct der_revoked *revoked = NULL;
    struct cert *cert = NULL;
    size_t len;
    if (!making->request->bad && making->ca_is_old && exists(making, "crl.pem")) {
        return true;
    }
    if (making->request->bad) {
        CLEANUP_FREE char *path = xasprintf("%s/bad/revoked.pem", making->dir);
        cert = cert_file_any(path, error);
        if (cert == NULL) {
            return fail(making, error);
        }
        entry = (struct der_revoked){cert->serial, cert->serial_len, making->now_s - SKEW_S};
        revoked = &entry;
    }
    struct sink *sink = sink_new();
    add_crl(making, sink, making->ca, revoked);
    add_crl(making, sink, making->intermediate, NULL);
    const char *text = sink_text(sink, &len);
    bool good = write_file(making, "crl.pem", text, len, 0644);
    sink_free(sink);
    cert_free(cert);
    return good;
}

static bool make_jwt_key(const struct making *making)
{
    size_t len;
    if (exists(making, "jwt.key")) {
        return true;
    }
    EVP_PKEY *key = cert_key_new(KEY_ECDSA_P256);
    struct sink *sink = sink_new();
    pem_write_public(sink, key);
    const char *text = sink_text(sink, &len);
    bool good = write_key(making, "jwt.key", key) && write_file(making, "jwt.pub", text, len, 0644);
    sink_free(sink);
    cert_key_free(key);
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
                (!request->bad || make_dir(&making, "bad")) && make_cas(&making) &&
                make_server(&making) && make_clients(&making) &&
                (!request->bad || make_bad(&making)) && make_crl(&making) &&
                make_secret(&making, "apikey.secret") && make_secret(&making, "jwt.secret") &&
                make_jwt_key(&making);
    cert_issuer_free(making.intermediate);
    cert_issuer_free(making.ca);
    return good;
}
