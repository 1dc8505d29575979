#include "ident/cert_load.h"

#include "ident/cert_chain.h"
#include "ident/cert_pkcs12.h"
#include "ident/pem.h"

#include "base/mem.h"
#include "base/mono.h"
#include "base/str.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define MAX_MISTAKES 10 /* of one directory; the rest is counted */

struct loading {
    const struct plan *plan;
    const struct plan_cert *section;
    struct cert_list *list;
    size_t certs_capacity, files_capacity;
    size_t n_mistakes;
    struct diag *diag;
};

static void mistake(struct loading *loading, const char *path, const char *what)
{
    if (loading->n_mistakes++ < MAX_MISTAKES) {
        diag_add(loading->diag, plan_origin(loading->plan, &loading->section->path),
                 "cert.path: %s %s", path, what);
    }
}

static void password_mistake(struct loading *loading, const char *path, const char *what)
{
    const struct plan_cert *section = loading->section;
    if (section->password == NULL) {
        CLEANUP_FREE char *hint = xasprintf("%s (write it to cert.password)", what);
        mistake(loading, path, hint);
    } else if (loading->n_mistakes++ < MAX_MISTAKES) {
        diag_add(loading->diag, plan_origin(loading->plan, &section->password),
                 "cert.password: wrong passphrase for %s", path);
    }
}

static bool is_file(const char *path)
{
    struct stat status;
    return path != NULL && stat(path, &status) == 0;
}

/* Reads a file and, where it holds no key, the one beside it; *ret_at is the one at fault. */
static bool read_file(struct pem *held, const struct cert_file *file,
                      const struct plan_cert *section, const char **ret_at, char error[DER_ERROR])
{
    *held = (struct pem){.many = true, .password = section->password};
    *ret_at = file->path;
    if (section->source == CERT_PKCS12) {
        return cert_pkcs12_add(held, file->path, error);
    }
    if (!pem_add_file(held, file->path, error)) {
        return false;
    }
    if (held->n_keys > 0 || !is_file(file->key_path)) {
        return true;
    }
    *ret_at = file->key_path;
    if (!pem_add_file(held, file->key_path, error)) {
        return false;
    }
    *ret_at = file->path;
    return true;
}

static void take(struct loading *loading, struct cert_file *file, struct cert **certs, size_t n)
{
    struct cert_list *list = loading->list;
    file->first = list->n_certs;
    file->n = n;
    for (size_t i = 0; i < n; i++) {
        ARRAY_RESERVE(list->certs, list->n_certs, loading->certs_capacity);
        certs[i]->n = list->n_certs + 1;
        list->certs[list->n_certs++] = certs[i];
    }
    ARRAY_RESERVE(list->files, list->n_files, loading->files_capacity);
    list->files[list->n_files++] = *file;
}

/* Takes both paths over. */
static void load_file(struct loading *loading, char *path, char *key_path)
{
    struct cert_file file = {.path = path, .key_path = key_path};
    struct pem held;
    char error[DER_ERROR];
    const char *at;
    struct cert **certs = NULL;
    size_t n;
    bool taken = false;
    bool was_read = read_file(&held, &file, loading->section, &at, error);
    if (was_read && cert_chain_sort(&held, (int64_t)mono_wall_s(), &certs, &n, error)) {
        if (!is_file(key_path)) {
            free(key_path);
            file.key_path = NULL;
        }
        take(loading, &file, certs, n);
        free(certs);
        taken = true;
    } else if (held.wrong_password) {
        password_mistake(loading, at, error);
    } else {
        mistake(loading, at, error);
    }
    pem_clear(&held);
    if (!taken) {
        free(path);
        free(key_path);
    }
}

static bool ends_with(const char *name, const char *const *endings)
{
    const char *dot = strrchr(name, '.');
    return name[0] != '.' && dot != NULL && str_index(dot, endings, 2) >= 0;
}

static int is_pem(const struct dirent *entry)
{
    static const char *const endings[] = {".pem", ".crt"};
    return ends_with(entry->d_name, endings);
}

static int is_pkcs12(const struct dirent *entry)
{
    static const char *const endings[] = {".p12", ".pfx"};
    return ends_with(entry->d_name, endings);
}

/* client-2 before client-10. */
static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strverscmp((*a)->d_name, (*b)->d_name);
}

/* NAME.key beside NAME.crt; NULL for PKCS #12, which holds its key. */
static char *key_beside(const struct loading *loading, const char *path)
{
    const char *slash = strrchr(path, '/');
    const char *dot = strrchr(slash != NULL ? slash : path, '.');
    int stem = (int)(dot != NULL ? (size_t)(dot - path) : strlen(path));
    return loading->section->source == CERT_PKCS12 ? NULL : xasprintf("%.*s.key", stem, path);
}

static void load_directory(struct loading *loading, const char *dir)
{
    bool pkcs12 = loading->section->source == CERT_PKCS12;
    size_t dir_len = strlen(dir);
    struct dirent **entries;
    int n = scandir(dir, &entries, pkcs12 ? is_pkcs12 : is_pem, by_name);
    if (n < 0) {
        mistake(loading, dir, strerror(errno));
        return;
    }
    if (n == 0) {
        mistake(loading, dir, pkcs12 ? "holds no .p12 or .pfx file" : "holds no .pem or .crt file");
    }
    while (dir_len > 0 && dir[dir_len - 1] == '/') {
        dir_len--;
    }
    for (int i = 0; i < n; i++) {
        char *path = xasprintf("%.*s/%s", (int)dir_len, dir, entries[i]->d_name);
        load_file(loading, path, key_beside(loading, path));
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
        load_file(loading, xstrdup(path), key_beside(loading, path));
    }
}

/* The CA that the chains are held against (ident/audit.h). */
static void check_ca(struct loading *loading)
{
    const struct plan_cert *section = loading->section;
    struct pem held = {.many = true};
    char error[DER_ERROR] = "holds no certificate";
    if (section->ca != NULL && (!pem_add_file(&held, section->ca, error) || held.n_certs == 0)) {
        loading->n_mistakes++;
        diag_add(loading->diag, plan_origin(loading->plan, &section->ca), "cert.ca: %s %s",
                 section->ca, error);
    }
    pem_clear(&held);
}

bool cert_list_load(struct cert_list *ret_list, const struct plan *plan,
                    const struct plan_cert *section, struct diag *diag)
{
    struct cert_list list = {0};
    struct loading loading = {.plan = plan, .section = section, .list = &list, .diag = diag};
    load_path(&loading, section->path);
    check_ca(&loading);
    if (loading.n_mistakes > MAX_MISTAKES) {
        diag_add(diag, plan_origin(plan, &section->path), "cert.path: and %zu more mistakes in %s",
                 loading.n_mistakes - MAX_MISTAKES, section->path);
    }
    if (loading.n_mistakes > 0) {
        cert_list_free(&list);
        return false;
    }
    *ret_list = list;
    return true;
}

void cert_list_free(struct cert_list *list)
{
    for (size_t i = 0; i < list->n_certs; i++) {
        cert_free(list->certs[i]);
    }
    for (size_t i = 0; i < list->n_files; i++) {
        free(list->files[i].path);
        free(list->files[i].key_path);
    }
    free(list->certs);
    free(list->files);
    *list = (struct cert_list){0};
}

static void drop(struct cert **certs, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        cert_free(certs[i]);
    }
    free(certs);
}

/* As many as before, or a reason. */
static struct cert **same_number(const struct cert_file *file, struct cert **certs, size_t n,
                                 char error[DER_ERROR])
{
    if (n != file->n) {
        (void)snprintf(error, DER_ERROR, "holds %zu certificates with keys where there were %zu", n,
                       file->n);
        drop(certs, n);
        return NULL;
    }
    for (size_t i = 0; i < n; i++) {
        certs[i]->n = file->first + i + 1;
    }
    return certs;
}

/* Puts the path in front of the reason. */
static void name_path(const char *path, char error[DER_ERROR])
{
    char reason[DER_ERROR];
    (void)str_copy(reason, sizeof reason, error);
    (void)snprintf(error, DER_ERROR, "%.120s: %.130s", path, reason);
}

struct cert **cert_file_reload(const struct cert_file *file, const struct plan_cert *section,
                               char error[DER_ERROR])
{
    struct pem held;
    const char *at;
    struct cert **certs = NULL;
    size_t n;
    if (read_file(&held, file, section, &at, error) &&
        cert_chain_sort(&held, (int64_t)mono_wall_s(), &certs, &n, error)) {
        certs = same_number(file, certs, n, error);
    }
    pem_clear(&held);
    if (certs == NULL) {
        name_path(at, error);
    }
    return certs;
}

struct cert *cert_file_any(const char *path, char error[DER_ERROR])
{
    struct pem held = {.many = true};
    struct cert *cert = pem_add_file(&held, path, error) ? cert_chain_any(&held, error) : NULL;
    pem_clear(&held);
    if (cert == NULL) {
        name_path(path, error);
    }
    return cert;
}
