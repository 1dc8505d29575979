/* What the tests of certificates share: CAs of their own, files in the scratch directory. */
#ifndef TESTS_IDENT_CERT_KIT_H
#define TESTS_IDENT_CERT_KIT_H

#include "ident/cert.h"
#include "ident/cert_parts.h"
#include "ident/der.h"
#include "ident/pem.h"

#include "base/file.h"
#include "base/mem.h"
#include "base/mono.h"
#include "base/sink.h"
#include "base/str.h"
#include "profile/profile.h"

#include <openssl/evp.h>
#include <openssl/pool.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "ident_kit.h"

#include <cmocka.h>

#define DAY_S 86400

static inline void write_certs(const struct kit *kit, const char *name, CRYPTO_BUFFER *const *certs,
                               size_t n)
{
    CLEANUP_FREE char *path = kit_path(kit, name);
    struct sink *sink = sink_new();
    size_t len;
    for (size_t i = 0; i < n; i++) {
        pem_write(sink, "CERTIFICATE", certs[i]);
    }
    const char *text = sink_text(sink, &len);
    assert_true(file_write(path, text, len, 0600));
    sink_free(sink);
}

static inline void write_key(const struct kit *kit, const char *name, EVP_PKEY *key)
{
    CLEANUP_FREE char *path = kit_path(kit, name);
    size_t len;
    CLEANUP_FREE char *text = pem_from_key(key, &len);
    assert_true(file_write(path, text, len, 0600));
}

/* A CA below `above` (NULL: a root). */
static inline struct cert_issuer *ca_new(const struct cert_issuer *above, const char *subject,
                                         EVP_PKEY *key, int64_t end_s,
                                         CRYPTO_BUFFER **ret_certificate)
{
    uint8_t serial[20];
    size_t serial_len;
    int64_t now_s = (int64_t)mono_wall_s();
    cert_serial_new(serial, &serial_len);
    *ret_certificate = der_certificate(
        &(struct der_request){.issuer = above != NULL ? cert_issuer_der(above) : NULL,
                              .subject = subject,
                              .key = key,
                              .role = DER_CA,
                              .not_before_s = now_s - DAY_S,
                              .not_after_s = end_s,
                              .serial = serial,
                              .serial_len = serial_len});
    return cert_issuer_new(*ret_certificate, key);
}

static inline struct plan_cert section_of(enum key_type type)
{
    static char subject[] = "CN=client-{n}, O=Acme\\, Inc., C=DE", name[] = "default";
    static char san[] = "DNS:client-{n}.test, URI:spiffe://test/client/{n},email:c{n}@a.test, "
                        "IP:10.0.0.1, IP:2001:db8::1";
    return (struct plan_cert){.name = name,
                              .key_type = type,
                              .key_per_cert = true,
                              .subject = subject,
                              .san = san,
                              .lifetime_ns = 3600 * NS_PER_S,
                              .count = 1};
}

static inline struct plan *load_plan(const struct kit *kit, const char *keys)
{
    CLEANUP_FREE char *text = xasprintf("[run]\nduration = 1m\n[target]\nurl = https://localhost:1/"
                                        "\n[cert]\n%s",
                                        keys);
    struct plan *plan = profile_load_text("cert.ini", text, NULL, 0, kit->diag);
    for (size_t i = 0; plan == NULL && i < diag_count(kit->diag); i++) {
        print_message("%s\n", diag_text(kit->diag, i));
    }
    assert_non_null(plan);
    return plan;
}

/* The last mistake is this one. */
static inline void expect_mistake(const struct kit *kit, const char *mistake)
{
    assert_true(diag_count(kit->diag) > 0);
    const char *text = diag_text(kit->diag, diag_count(kit->diag) - 1);
    if (strstr(text, mistake) == NULL) {
        fail_msg("\"%s\" is not in \"%s\"", mistake, text);
    }
}

/* Whether what a command left in the file "out" holds the text. */
static inline bool out_holds(const struct kit *kit, const char *text)
{
    CLEANUP_FREE char *path = kit_path(kit, "out");
    CLEANUP_FREE char *out = file_read(path, 1 << 20, NULL);
    assert_non_null(out);
    return strstr(out, text) != NULL;
}

static inline void expect_out(const struct kit *kit, const char *text)
{
    CLEANUP_FREE char *path = kit_path(kit, "out");
    CLEANUP_FREE char *out = file_read(path, 1 << 20, NULL);
    if (out == NULL || strstr(out, text) == NULL) {
        fail_msg("\"%s\" is not in:\n%s", text, out);
    }
}

#endif
