/* Names of groups and ciphers, as the library that is linked knows them. */
#include "base/sink.h"
#include "base/str.h"
#include "net/tls_private.h"

#include <openssl/err.h>
#include <string.h>

#define NAME_MAX_LEN 80

/* Those that some BoringSSL has; which one this has is asked.  Others have gone again. */
static const char *const groups[] = {
    "X25519MLKEM768", "X25519Kyber768Draft00", "CECPQ2", "X25519", "P-256", "P-384", "P-521",
    "P-224"};

static bool takes_groups(SSL_CTX *ctx, const char *list)
{
    bool ok = SSL_CTX_set1_curves_list(ctx, list) == 1;

    ERR_clear_error();
    return ok;
}

static bool takes_ciphers(SSL_CTX *ctx, const char *list)
{
    bool ok = SSL_CTX_set_strict_cipher_list(ctx, list) == 1;

    ERR_clear_error();
    return ok;
}

static void put(struct sink *names, const char *name)
{
    size_t len;

    (void)sink_text(names, &len);
    sink_printf(names, "%s%s", len > 0 ? ", " : "", name);
}

/* The context is one that the caller throws away: it is tried out. */
static void put_groups(struct sink *names, SSL_CTX *ctx)
{
    for (size_t i = 0; i < sizeof groups / sizeof *groups; i++) {
        if (takes_groups(ctx, groups[i])) {
            put(names, groups[i]);
        }
    }
}

static void put_ciphers(struct sink *names, SSL_CTX *ctx)
{
    (void)takes_ciphers(ctx, "ALL");
    const STACK_OF(SSL_CIPHER) *all = SSL_CTX_get_ciphers(ctx);
    for (size_t i = 0; i < sk_SSL_CIPHER_num(all); i++) {
        const char *name = SSL_CIPHER_get_name(sk_SSL_CIPHER_value(all, i));
        if (strstr(name, "PSK") == NULL) { /* no key of that kind could be given */
            put(names, name);
        }
    }
}

/* One kind of list. */
struct kind {
    const char *key;
    const char *separators;
    bool (*takes)(SSL_CTX *ctx, const char *list);
    void (*put)(struct sink *names, SSL_CTX *ctx);
};

/* The first word of the list that is not taken by itself; false: it is the list as a whole. */
static bool find_unknown(const struct kind *kind, SSL_CTX *ctx, const char *list,
                         char unknown[NAME_MAX_LEN])
{
    for (const char *at = list; *at != '\0'; at += strspn(at, kind->separators)) {
        const char *word = at + strspn(at, "!-+");
        size_t len = strcspn(word, kind->separators);

        at = word + len;
        if (len == 0 || len >= NAME_MAX_LEN) {
            continue;
        }
        memcpy(unknown, word, len);
        unknown[len] = '\0';
        if (unknown[0] != '@' && !kind->takes(ctx, unknown)) {
            return true;
        }
    }
    return false;
}

static bool check(const struct kind *kind, SSL_CTX *ctx, const char *list, struct origin origin,
                  struct diag *diag)
{
    char unknown[NAME_MAX_LEN];
    struct sink *names;

    if (kind->takes(ctx, list)) {
        return true;
    }
    names = sink_new();
    kind->put(names, ctx);
    if (!find_unknown(kind, ctx, list, unknown)) {
        diag_add(diag, origin, "target.%s: %s does not take \"%s\"; it has %s", kind->key,
                 TLS_LIBRARY, list, sink_text(names, NULL));
    } else if (str_has_prefix(unknown, "TLS_")) {
        diag_add(
            diag, origin,
            "target.%s: \"%s\" is of TLS 1.3, whose ciphers BoringSSL does not let one choose; "
            "of TLS 1.2 it has %s",
            kind->key, unknown, sink_text(names, NULL));
    } else {
        diag_add(diag, origin, "target.%s: \"%s\" is not in this BoringSSL (API %d); it has %s",
                 kind->key, unknown, BORINGSSL_API_VERSION, sink_text(names, NULL));
    }
    sink_free(names);
    return false;
}

bool tls_set_groups(SSL_CTX *ctx, const char *list, struct origin origin, struct diag *diag)
{
    static const struct kind kind = {"groups", ":", takes_groups, put_groups};

    return check(&kind, ctx, list, origin, diag);
}

bool tls_set_ciphers(SSL_CTX *ctx, const char *list, struct origin origin, struct diag *diag)
{
    static const struct kind kind = {"ciphers", ":, ;[]|", takes_ciphers, put_ciphers};

    return check(&kind, ctx, list, origin, diag);
}
