#include "ident/cert.h"

#include "ident/cert_parts.h"
#include "ident/pem.h"

#include "base/file.h"
#include "base/mem.h"
#include "base/mono.h"
#include "base/str.h"

#include <dirent.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define MAX_MISTAKES 10 /* of one directory; the rest is counted */

struct loading {
    const struct plan_cert *section;
    struct origin origin;
    int64_t now_s;
    struct cert **certs;
    size_t n_certs, capacity;
    size_t n_mistakes;
    struct diag *diag;
};

static void mistake(struct loading *loading, const char *path, const char *what)
{
    if (loading->n_mistakes++ < MAX_MISTAKES) {
        diag_add(loading->diag, loading->origin, "cert.path: %s %s", path, what);
    }
}

/* What is wrong with the leaf; NULL when it can be used. */
static const char *leaf_fault(const struct pem *pem, const struct der_parts *leaf, int64_t now_s)
{
    X509 *x509 = X509_parse_from_buffer(pem->certs[0]);
    bool parses = x509 != NULL;
    bool is_ca = parses && X509_check_ca(x509) == 1;
    X509_free(x509);
    ERR_clear_error();
    if (!parses || CBS_len(&leaf->serial) > sizeof((struct cert *)0)->serial) {
        return "holds a certificate that does not parse";
    }
    if (is_ca) {
        return "holds a CA's certificate, which is no client's";
    }
    if (!pem_matches(pem->certs[0], pem->key)) {
        return "holds a certificate that does not match its private key";
    }
    return leaf->not_after_s <= now_s ? "holds a certificate that has expired" : NULL;
}

static void add_cert(struct loading *loading, const char *path, struct pem *pem)
{
    struct der_parts leaf;
    if (pem->n_certs == 0 || !der_parse(pem->certs[0], &leaf)) {
        mistake(loading, path, "holds no certificate");
        return;
    }
    if (pem->key == NULL) {
        mistake(loading, path, "has no private key, neither in it nor in a .key file beside it");
        return;
    }
    const char *fault = leaf_fault(pem, &leaf, loading->now_s);
    if (fault != NULL) {
        mistake(loading, path, fault);
        return;
    }
    struct cert *cert = cert_new(pem->n_certs);
    for (size_t i = 0; i < pem->n_certs; i++) {
        cert->chain[i] = pem->certs[i];
    }
    cert->key = pem->key;
    cert->not_after_s = leaf.not_after_s;
    cert->serial_len = CBS_len(&leaf.serial);
    memcpy(cert->serial, CBS_data(&leaf.serial), cert->serial_len);
    *pem = (struct pem){0};
    ARRAY_RESERVE(loading->certs, loading->n_certs, loading->capacity);
    cert->n = loading->n_certs + 1;
    loading->certs[loading->n_certs++] = cert;
}

/* The certificate file at `path`; its key may be in `key_path` (NULL: only in the file itself). */
static void load_file(struct loading *loading, const char *path, const char *key_path)
{
    struct pem pem = {0};
    char error[DER_ERROR];
    struct stat status;
    if (!pem_add_file(&pem, path, error)) {
        mistake(loading, path, error);
    } else if (pem.key == NULL && key_path != NULL && stat(key_path, &status) == 0 &&
               !pem_add_file(&pem, key_path, error)) {
        mistake(loading, key_path, error);
    } else {
        add_cert(loading, path, &pem);
    }
    pem_clear(&pem);
}

static int is_certificate_file(const struct dirent *entry)
{
    const char *dot = strrchr(entry->d_name, '.');
    return entry->d_name[0] != '.' && dot != NULL &&
           (str_equal(dot, ".pem") || str_equal(dot, ".crt"));
}

/* client-2 before client-10. */
static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strverscmp((*a)->d_name, (*b)->d_name);
}

static void load_directory(struct loading *loading, const char *dir)
{
    struct dirent **entries;
    int n = scandir(dir, &entries, is_certificate_file, by_name);
    if (n < 0) {
        mistake(loading, dir, strerror(errno));
        return;
    }
    if (n == 0) {
        mistake(loading, dir, "holds no .pem or .crt file");
    }
    for (int i = 0; i < n; i++) {
        const char *name = entries[i]->d_name;
        int stem = (int)(strrchr(name, '.') - name);
        CLEANUP_FREE char *path = xasprintf("%s/%s", dir, name);
        CLEANUP_FREE char *key_path = xasprintf("%s/%.*s.key", dir, stem, name);
        load_file(loading, path, key_path);
        free(entries[i]);
    }
    free(entries);
}

static void load_path(struct loading *loading, const char *path)
{
    struct stat status;
    if (stat(path, &status) != 0) {
        CLEANUP_FREE char *what = xasprintf("cannot be read: %s", strerror(errno));
        mistake(loading, path, what);
    } else if (S_ISDIR(status.st_mode)) {
        load_directory(loading, path);
    } else {
        const char *slash = strrchr(path, '/');
        const char *dot = strrchr(slash != NULL ? slash : path, '.');
        int stem = (int)(dot != NULL ? (size_t)(dot - path) : strlen(path));
        CLEANUP_FREE char *key_path = xasprintf("%.*s.key", stem, path);
        load_file(loading, path, key_path);
    }
}

size_t cert_load_files(const struct plan *plan, const struct plan_cert *section,
                       struct cert ***ret_certs, struct diag *diag)
{
    struct loading loading = {.section = section,
                              .origin = plan_origin(plan, &section->path),
                              .now_s = (int64_t)mono_wall_s(),
                              .diag = diag};
    load_path(&loading, section->path);
    if (loading.n_mistakes > MAX_MISTAKES) {
        diag_add(diag, loading.origin, "cert.path: and %zu more mistakes in %s",
                 loading.n_mistakes - MAX_MISTAKES, section->path);
    }
    if (loading.n_mistakes > 0) {
        for (size_t i = 0; i < loading.n_certs; i++) {
            cert_free(loading.certs[i]);
        }
        free(loading.certs);
        return 0;
    }
    *ret_certs = loading.certs;
    return loading.n_certs;
}
