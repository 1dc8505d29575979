/* Fuzzes certificates and keys.  The first byte of an input says what the others are: "P" PEM, "B"
 * PEM whose blocks are written as "-NAME" and hex, "D" a certificate as DER, "2" PKCS #12, "S" a
 * subject, "A" alternative names, "U" usages.  What was read can be written and read again as the
 * same; names that we take make a certificate that we read. */
#include "kit/fuzz.h"

#include "base/file.h"
#include "base/mem.h"
#include "base/sink.h"
#include "base/str.h"
#include "ident/cert.h"
#include "ident/cert_chain.h"
#include "ident/cert_pkcs12.h"
#include "ident/der.h"
#include "ident/der_usage.h"
#include "ident/pem.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/mem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define NOW_S 1795224702

static EVP_PKEY *own_key;

static void check_reason(const char *error)
{
    size_t len = strnlen(error, DER_ERROR);
    fuzz_require(len > 0 && len < DER_ERROR, "refused without a reason");
}

static void describe(const struct cert *cert)
{
    char text[256];
    cert_describe(cert, text, sizeof text);
    fuzz_require(strnlen(text, sizeof text) < sizeof text, "a description without an end");
    fuzz_require(cert->n_chain > 0 && cert->key != NULL, "half of a certificate");
    fuzz_require(cert->serial_len <= sizeof cert->serial, "a serial that is too long");
}

static bool sort_out(const struct pem *held)
{
    char error[DER_ERROR] = "";
    struct cert **certs = NULL;
    size_t n = 0;
    bool ok = cert_chain_sort(held, NOW_S, &certs, &n, error);
    fuzz_require(ok || error[0] != '\0', "refused without a reason");
    for (size_t i = 0; ok && i < n; i++) {
        fuzz_require(!certs[i]->foreign_key && certs[i]->not_after_s > NOW_S,
                     "taken with another's key, or expired");
        fuzz_require(pem_matches(certs[i]->chain[0], certs[i]->key), "the key is another's");
        describe(certs[i]);
        cert_free(certs[i]);
    }
    if (ok) {
        free(certs);
    }
    struct cert *any = cert_chain_any(held, error);
    if (any != NULL) {
        describe(any);
    }
    cert_free(any);
    return ok;
}

/* Public halves of keys that can be written are the same when they come back. */
static void write_again(const struct pem *held)
{
    struct sink *sink = sink_new();
    struct pem again = {.many = true};
    char error[DER_ERROR];
    size_t len;
    for (size_t i = 0; i < held->n_certs; i++) {
        pem_write(sink, "CERTIFICATE", held->certs[i]);
    }
    for (size_t i = 0; i < held->n_keys; i++) {
        size_t key_len;
        CLEANUP_FREE char *text = pem_from_key(held->keys[i], &key_len);
        sink_write(sink, text, key_len);
    }
    const char *text = sink_text(sink, &len);
    fuzz_require(pem_add_text(&again, text, len, error), "what was written can't be read");
    fuzz_require(again.n_certs == held->n_certs && again.n_keys == held->n_keys,
                 "what was written is not all of it");
    for (size_t i = 0; i < held->n_certs; i++) {
        fuzz_require(CRYPTO_BUFFER_len(again.certs[i]) == CRYPTO_BUFFER_len(held->certs[i]) &&
                         memcmp(CRYPTO_BUFFER_data(again.certs[i]),
                                CRYPTO_BUFFER_data(held->certs[i]),
                                CRYPTO_BUFFER_len(held->certs[i])) == 0,
                     "a certificate became another");
    }
    for (size_t i = 0; i < held->n_keys; i++) {
        fuzz_require(EVP_PKEY_cmp(again.keys[i], held->keys[i]) == 1, "a key became another");
    }
    pem_clear(&again);
    sink_free(sink);
}

static bool try_pem(const char *text, size_t len)
{
    static const char *const passwords[] = {NULL, "secret"};
    bool any = false;
    for (size_t i = 0; i < 2; i++) {
        struct pem held = {.many = true, .password = passwords[i]};
        char error[DER_ERROR] = "";
        if (pem_add_text(&held, text, len, error)) {
            write_again(&held);
            any = sort_out(&held) || any || held.n_certs > 0;
        } else {
            check_reason(error);
        }
        pem_clear(&held);
    }
    return any;
}

static int digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* "-NAME" begins a block; the others are its bytes in hex, and what is none is left out. */
static bool try_blocks(const char *text)
{
    static const char *const names[] = {"CERTIFICATE", "PRIVATE KEY", "EC PRIVATE KEY",
                                        "RSA PRIVATE KEY"};
    struct sink *pem = sink_new();
    CLEANUP_FREE char *copy = xstrdup(text);
    CLEANUP_FREE unsigned char *bytes = xmalloc(strlen(text) + 1);
    char *rest = copy, *line, *name = NULL;
    size_t n = 0, len;
    do {
        line = strsep(&rest, "\n");
        if (line == NULL || line[0] == '-') {
            if (name != NULL && str_index(name, names, 4) >= 0 && n > 0) {
                CRYPTO_BUFFER *buffer = CRYPTO_BUFFER_new(bytes, n, NULL);
                pem_write(pem, name, buffer);
                CRYPTO_BUFFER_free(buffer);
            }
            name = line != NULL ? line + 1 : NULL;
            n = 0;
            continue;
        }
        for (; line[0] != '\0' && line[1] != '\0'; line += 2) {
            bytes[n] = (unsigned char)(digit(line[0]) * 16 + digit(line[1]));
            n += digit(line[0]) >= 0 && digit(line[1]) >= 0;
        }
    } while (line != NULL);
    const char *written = sink_text(pem, &len);
    bool ok = try_pem(written, len);
    sink_free(pem);
    return ok;
}

static bool try_der(const char *bytes, size_t len)
{
    struct der_parts parts;
    char text[64];
    CRYPTO_BUFFER *buffer = CRYPTO_BUFFER_new((const uint8_t *)bytes, len, NULL);
    fuzz_require(buffer != NULL, "no memory");
    bool ok = der_parse(buffer, &parts);
    if (ok) {
        fuzz_require(CBS_len(&parts.key_bits) <= len && CBS_len(&parts.serial) <= len,
                     "parts longer than the whole");
        der_name_text(parts.subject, text, sizeof text);
        fuzz_require(strnlen(text, sizeof text) < sizeof text, "a name without an end");
        der_name_text(parts.issuer, text, sizeof text);
    }
    CRYPTO_BUFFER_free(buffer);
    return ok;
}

static bool try_pkcs12(const char *bytes, size_t len)
{
    static const char *const passwords[] = {NULL, "secret"};
    int fd = memfd_create("p12", MFD_CLOEXEC);
    bool any = false;
    fuzz_require(fd >= 0 && write(fd, bytes, len) == (ssize_t)len, "no room for the input");
    CLEANUP_FREE char *path = xasprintf("/proc/self/fd/%d", fd);
    for (size_t i = 0; i < 2; i++) {
        struct pem held = {.many = true, .password = passwords[i]};
        char error[DER_ERROR] = "";
        if (cert_pkcs12_add(&held, path, error)) {
            (void)sort_out(&held);
            any = true;
        } else {
            check_reason(error);
        }
        pem_clear(&held);
    }
    (void)close(fd);
    return any;
}

/* A certificate with this subject and these names is one that we read. */
static bool try_names(const char *subject, const char *san, const struct der_usage *usage)
{
    static const uint8_t serial[] = {1};
    char error[DER_ERROR] = "";
    if (!der_check_subject(subject, error) || (san != NULL && !der_check_san(san, error))) {
        check_reason(error);
        return false;
    }
    const struct der_request request = {.subject = subject,
                                        .san = san,
                                        .key = own_key,
                                        .role = DER_CLIENT,
                                        .usage = usage,
                                        .not_before_s = NOW_S - 60,
                                        .not_after_s = NOW_S + 60,
                                        .serial = serial,
                                        .serial_len = sizeof serial};
    CRYPTO_BUFFER *buffer = der_certificate(&request);
    struct der_parts parts;
    fuzz_require(buffer != NULL && der_parse(buffer, &parts), "what was written is no certificate");
    fuzz_require(parts.not_after_s == request.not_after_s &&
                     parts.not_before_s == request.not_before_s,
                 "written with other times");
    struct pem held = {.many = true};
    size_t key_len;
    struct sink *sink = sink_new();
    CLEANUP_FREE char *key = pem_from_key(own_key, &key_len);
    pem_write(sink, "CERTIFICATE", buffer);
    sink_write(sink, key, key_len);
    fuzz_require(pem_add_text(&held, sink_text(sink, NULL), strlen(sink_text(sink, NULL)), error) &&
                     sort_out(&held),
                 "what was written is not taken");
    pem_clear(&held);
    sink_free(sink);
    CRYPTO_BUFFER_free(buffer);
    return true;
}

static bool try_usage(const char *text)
{
    struct der_usage usage = {0};
    char error[DER_ERROR] = "";
    if (!der_usage_parse(text, &usage, error)) {
        check_reason(error);
        return false;
    }
    return try_names("CN=a", NULL, &usage);
}

static bool run(const char *bytes, size_t len)
{
    bool ok = false;
    switch (bytes[0]) {
    case 'P':
        ok = try_pem(bytes + 1, len - 1);
        break;
    case 'B':
        ok = try_blocks(bytes + 1);
        break;
    case 'D':
        ok = try_der(bytes + 1, len - 1);
        break;
    case '2':
        ok = try_pkcs12(bytes + 1, len - 1);
        break;
    case 'S':
        ok = try_names(bytes + 1, NULL, NULL);
        break;
    case 'A':
        ok = try_names("CN=a", bytes + 1, NULL);
        break;
    case 'U':
        ok = try_usage(bytes + 1);
        break;
    default:
        break;
    }
    ERR_clear_error();
    return ok;
}

/* Ed25519, whose signing is quick. */
static void start(void)
{
    own_key = cert_key_new(KEY_ED25519);
}

static const char *const words[] = {"-----BEGIN CERTIFICATE-----\n",
                                    "-----END CERTIFICATE-----\n",
                                    "-----BEGIN PRIVATE KEY-----\n",
                                    "-----END PRIVATE KEY-----\n",
                                    "-----BEGIN ENCRYPTED PRIVATE KEY-----\n",
                                    "-----END ENCRYPTED PRIVATE KEY-----\n",
                                    "-----BEGIN EC PRIVATE KEY-----\n",
                                    "Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00112233\n\n",
                                    "\n-CERTIFICATE\n",
                                    "\n-PRIVATE KEY\n",
                                    "\n-EC PRIVATE KEY\n",
                                    "CN=",
                                    ", O=",
                                    "\\,",
                                    "DNS:",
                                    "URI:",
                                    "IP:",
                                    "email:",
                                    "::1",
                                    "127.0.0.1",
                                    "digitalSignature",
                                    "clientAuth",
                                    ", ",
                                    "\x30\x82",
                                    "\x02\x01",
                                    "\x06\x03\x55\x04\x03",
                                    "\x0c\x05",
                                    "\x17\x0d",
                                    "\x18\x0f",
                                    "\xa3",
                                    "3082",
                                    "0603550403",
                                    "1b5b324a",
                                    "\x1b[2J",
                                    "\xff",
                                    "\n",
                                    NULL};

const struct fuzz_target fuzz_target = {
    .name = "cert",
    .about = "ident/pem.c ident/cert_chain.c ident/cert_pkcs12.c ident/der.c ident/der_name.c "
             "ident/der_usage.c ident/der_write.c",
    .words = words,
    .start = start,
    .run = run,
};
