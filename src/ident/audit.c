#include "ident/audit.h"

#include "ident/jwt.h"
#include "ident/mint_inside.h"
#include "ident/source_inside.h"

#include "base/mem.h"
#include "base/mono.h"
#include "base/unit.h"

#include <openssl/err.h>
#include <openssl/x509.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define VERIFY_NS (200 * NS_PER_MS)

struct auditing {
    const struct plan *plan;
    struct audit *audit;
    int64_t now_s, end_s; /* of the run */
    uint64_t start_ns;
};

__attribute__((format(printf, 3, 4))) static void
note(struct audit_fault *fault, struct origin origin, const char *format, ...)
{
    if (fault->n++ > 0) {
        return;
    }
    int len = origin.line > 0
                  ? snprintf(fault->first, sizeof fault->first, "%s:%d: ", origin.file, origin.line)
                  : snprintf(fault->first, sizeof fault->first, "%s: ", origin.file);
    va_list args;
    va_start(args, format);
    if (len > 0 && (size_t)len < sizeof fault->first) {
        (void)vsnprintf(fault->first + len, sizeof fault->first - (size_t)len, format, args);
    }
    va_end(args);
}

static void look_at_end(const struct auditing *a, int64_t end_s, struct origin origin,
                        const char *noun, size_t n, const char *path)
{
    struct audit *audit = a->audit;
    char left[UNIT_TEXT];

    if (end_s == 0) {
        return;
    }
    if (audit->first_end_s == 0 || end_s < audit->first_end_s) {
        audit->first_end_s = end_s;
    }
    if (end_s <= a->end_s) {
        double left_s = end_s > a->now_s ? (double)(end_s - a->now_s) : 0;
        note(&audit->ending, origin, "%s %zu of %s ends in %s", noun, n, path,
             unit_duration(left, left_s * (double)NS_PER_S));
    }
}

static void look_at_mode(const struct auditing *a, const char *path, struct origin origin)
{
    struct stat status;

    if (path == NULL || stat(path, &status) != 0) {
        return;
    }
    a->audit->n_key_files++;
    if ((status.st_mode & (S_IRGRP | S_IROTH)) != 0) {
        note(&a->audit->open_keys, origin, "%s has the mode %04o", path,
             (unsigned)(status.st_mode & 07777));
    }
}

/* A secret that was written as @FILE. */
static void look_at_secret(const struct auditing *a, const void *field)
{
    const char *written = plan_written(a->plan, field);

    if (written != NULL && written[0] == '@') {
        look_at_mode(a, written + 1, plan_origin(a->plan, field));
    }
}

/* As TLS would send it; with a given CA as its trust's only root. */
static bool is_proven(X509_STORE *store, const struct cert *cert, const char **ret_why)
{
    X509_STORE_CTX *check = X509_STORE_CTX_new();
    STACK_OF(X509) *above = sk_X509_new_null();
    X509 *leaf = X509_parse_from_buffer(cert->chain[0]);
    bool good = check != NULL && above != NULL && leaf != NULL;

    *ret_why = "it does not parse";
    for (size_t i = 1; good && i < cert->n_chain; i++) {
        X509 *next = X509_parse_from_buffer(cert->chain[i]);
        good = next != NULL && sk_X509_push(above, next) > 0;
    }
    if (good && X509_STORE_CTX_init(check, store, leaf, above) == 1 &&
        X509_STORE_CTX_set_default(check, "ssl_client") == 1) {
        good = X509_verify_cert(check) == 1;
        *ret_why = X509_verify_cert_error_string(X509_STORE_CTX_get_error(check));
    } else {
        good = false;
    }
    X509_free(leaf);
    sk_X509_pop_free(above, X509_free);
    X509_STORE_CTX_free(check);
    ERR_clear_error();
    return good;
}

/* Without cert.ca the server's own CA stands for it: what does not lead there tells nothing. */
static void look_at_chains(const struct auditing *a, const struct source *source)
{
    const struct plan_cert *section = source->cert;
    const char *ca = section->ca != NULL ? section->ca : a->plan->target.server_ca;
    X509_STORE *store = X509_STORE_new();
    bool loaded = store != NULL && ca != NULL && X509_STORE_load_locations(store, ca, NULL) == 1;
    const char *why;

    if (loaded) {
        X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN); /* as in net/trust.c */
    }
    for (size_t i = 0; i < source->list.n_certs; i++) {
        if (!loaded || mono_now_ns() - a->start_ns > VERIFY_NS) {
            a->audit->n_unheld++;
        } else if (is_proven(store, source->list.certs[i], &why)) {
            a->audit->n_verified++;
        } else if (section->ca == NULL) {
            a->audit->n_unheld++;
        } else {
            note(&a->audit->unproven, plan_origin(a->plan, &section->path),
                 "certificate %zu of %s: %s", i + 1, section->path, why);
        }
    }
    X509_STORE_free(store);
    ERR_clear_error();
}

static void look_at_certs(const struct auditing *a, const struct source *source)
{
    const struct plan_cert *section = source->cert;
    const struct cert_list *list = &source->list;
    struct origin origin = plan_origin(a->plan, &section->path);

    look_at_secret(a, &section->password);
    if (section->source == CERT_MINT) {
        look_at_mode(a, section->ca_key, plan_origin(a->plan, &section->ca_key));
        return;
    }
    for (size_t f = 0; f < list->n_files; f++) {
        const struct cert_file *file = &list->files[f];
        look_at_mode(a, file->key_path != NULL ? file->key_path : file->path, origin);
        for (size_t i = 0; i < file->n; i++) {
            look_at_end(a, list->certs[file->first + i]->not_after_s, origin, "certificate", i + 1,
                        file->path);
        }
    }
    a->audit->n_certs += list->n_certs;
    look_at_chains(a, source);
}

static void look_at_tokens(const struct auditing *a, const struct source *source)
{
    const struct plan_jwt *jwt = source->jwt;

    look_at_secret(a, &jwt->key);
    look_at_secret(a, &jwt->client_secret);
    look_at_mode(a, jwt->path, plan_origin(a->plan, &jwt->path));
    for (size_t i = 0; jwt->path != NULL && i < source->texts.n; i++) {
        const char *text = source->texts.texts[i];
        look_at_end(a, jwt_expiry_s(text, strlen(text)), plan_origin(a->plan, &jwt->path), "token",
                    i + 1, jwt->path);
        a->audit->n_tokens++;
    }
}

static void look_at_keys(const struct auditing *a, const struct source *source)
{
    look_at_secret(a, &source->apikey->secret);
    look_at_mode(a, source->apikey->path, plan_origin(a->plan, &source->apikey->path));
}

void audit_mint(const struct mint *mint, struct audit *ret_audit)
{
    const struct plan *plan = mint->plan;
    const size_t n[] = {plan->n_certs, plan->n_apikeys, plan->n_jwts};
    static void (*const looks[])(const struct auditing *a, const struct source *source) = {
        look_at_certs, look_at_keys, look_at_tokens};
    int64_t now_s = (int64_t)mono_wall_s();
    struct auditing a = {
        .plan = plan,
        .audit = ret_audit,
        .now_s = now_s,
        .end_s = now_s + (int64_t)(plan->run.duration_ns / NS_PER_S),
        .start_ns = mono_now_ns(),
    };

    *ret_audit = (struct audit){.n_certs = 0};
    for (int kind = 0; kind < CREDENTIAL_PARTS; kind++) {
        for (size_t i = 0; i < n[kind]; i++) {
            looks[kind](&a, mint->sources[kind][i]);
        }
    }
}

bool audit_plan(const struct plan *plan, struct audit *ret_audit, struct diag *diag)
{
    const struct mint_job job = {.plan = plan, .n_workers = 1, .run_id = "check"};
    struct mint *mint = mint_begin(&job);
    bool good = mint_open(mint, &job, true, diag);

    if (good) {
        audit_mint(mint, ret_audit);
    }
    mint_free(mint);
    return good;
}
