#include "ident/cert_chain.h"

#include "ident/cert_parts.h"

#include "base/bug.h"
#include "base/mem.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NO_KEY SIZE_MAX

struct held_cert {
    struct der_parts parts;
    X509 *x509; /* NULL: does not parse */
    size_t key; /* place of its key, or NO_KEY */
};

struct held_key {
    uint8_t id[20];
    size_t index;
    bool used;
};

struct sorting {
    const struct pem *held;
    struct held_cert *certs; /* as held->certs */
    struct held_key *keys;   /* by id */
    size_t *above;           /* places of the certificates without a key, by subject */
    size_t n_above;
};

static int by_id(const void *a, const void *b)
{
    return memcmp(((const struct held_key *)a)->id, ((const struct held_key *)b)->id, 20);
}

static int compare_names(const CBS *a, const CBS *b)
{
    size_t len = CBS_len(a) < CBS_len(b) ? CBS_len(a) : CBS_len(b);
    int order = memcmp(CBS_data(a), CBS_data(b), len);
    return order != 0 ? order : (CBS_len(a) > CBS_len(b)) - (CBS_len(a) < CBS_len(b));
}

static int by_subject(const void *a, const void *b, void *sorting)
{
    const struct held_cert *certs = ((const struct sorting *)sorting)->certs;
    size_t i = *(const size_t *)a, j = *(const size_t *)b;
    int order = compare_names(&certs[i].parts.subject, &certs[j].parts.subject);
    return order != 0 ? order : (i > j) - (i < j);
}

static struct held_key *key_of(const struct sorting *sorting, const struct der_parts *parts)
{
    struct held_key wanted = {.index = 0};
    CBS spki = parts->spki;
    EVP_PKEY *public = EVP_parse_public_key(&spki);
    struct held_key *found = NULL;
    if (public != NULL && der_key_id_of(public, wanted.id)) {
        found = bsearch(&wanted, sorting->keys, sorting->held->n_keys, sizeof wanted, by_id);
    }
    EVP_PKEY_free(public);
    return found;
}

static void sort_keys(struct sorting *sorting)
{
    const struct pem *held = sorting->held;
    sorting->keys = xcalloc(held->n_keys + 1, sizeof *sorting->keys);
    for (size_t i = 0; i < held->n_keys; i++) {
        sorting->keys[i].index = i;
        if (!der_key_id_of(held->keys[i], sorting->keys[i].id)) {
            memset(sorting->keys[i].id, 0, sizeof sorting->keys[i].id); /* matches none */
        }
    }
    qsort(sorting->keys, held->n_keys, sizeof *sorting->keys, by_id);
}

static void sort_certs(struct sorting *sorting)
{
    const struct pem *held = sorting->held;
    sorting->certs = xcalloc(held->n_certs + 1, sizeof *sorting->certs);
    sorting->above = xcalloc(held->n_certs + 1, sizeof *sorting->above);
    for (size_t i = 0; i < held->n_certs; i++) {
        struct held_cert *cert = &sorting->certs[i];
        BUG_ON(!der_parse(held->certs[i], &cert->parts)); /* reading has refused others */
        cert->x509 = X509_parse_from_buffer(held->certs[i]);
        struct held_key *key = key_of(sorting, &cert->parts);
        cert->key = key != NULL ? key->index : NO_KEY;
        if (key != NULL) {
            key->used = true;
        } else {
            sorting->above[sorting->n_above++] = i;
        }
    }
    qsort_r(sorting->above, sorting->n_above, sizeof *sorting->above, by_subject, sorting);
    ERR_clear_error();
}

static struct sorting sorting_new(const struct pem *held)
{
    struct sorting sorting = {.held = held};
    sort_keys(&sorting);
    sort_certs(&sorting);
    return sorting;
}

static void sorting_free(struct sorting *sorting)
{
    for (size_t i = 0; i < sorting->held->n_certs; i++) {
        X509_free(sorting->certs[i].x509);
    }
    free(sorting->certs);
    free(sorting->keys);
    free(sorting->above);
}

/* Place in `above` of the first whose subject is not before `name`. */
static size_t first_named(const struct sorting *sorting, const CBS *name)
{
    size_t low = 0, high = sorting->n_above;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (compare_names(&sorting->certs[sorting->above[middle]].parts.subject, name) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static bool holds(const size_t *chain, size_t n, size_t index)
{
    for (size_t i = 0; i < n; i++) {
        if (chain[i] == index) {
            return true;
        }
    }
    return false;
}

/* The certificate that issued that one, by name and key identifier, NO_KEY when it is not here;
 * of CAs with one name, such as a renewed one, there may be several, and of one that does not parse
 * none. */
static size_t issuer_of(const struct sorting *sorting, const size_t *chain, size_t n)
{
    const struct held_cert *below = &sorting->certs[chain[n - 1]];
    if (below->x509 == NULL) {
        return NO_KEY;
    }
    for (size_t i = first_named(sorting, &below->parts.issuer); i < sorting->n_above; i++) {
        const struct held_cert *issuer = &sorting->certs[sorting->above[i]];
        if (compare_names(&issuer->parts.subject, &below->parts.issuer) != 0) {
            break;
        }
        if (issuer->x509 != NULL && !holds(chain, n, sorting->above[i]) &&
            X509_check_issued(issuer->x509, below->x509) == X509_V_OK) {
            return sorting->above[i];
        }
    }
    return NO_KEY;
}

/* The chain above the leaf, then with `all` what no chain leads to. */
static size_t chain_of(const struct sorting *sorting, size_t leaf, bool all,
                       size_t chain[PEM_MAX_CERTS])
{
    size_t n = 1, next;
    chain[0] = leaf;
    while (n < PEM_MAX_CERTS && (next = issuer_of(sorting, chain, n)) != NO_KEY) {
        chain[n++] = next;
    }
    for (size_t i = 0; all && i < sorting->held->n_certs && n < PEM_MAX_CERTS; i++) {
        if (!holds(chain, n, i)) {
            chain[n++] = i;
        }
    }
    return n;
}

static struct cert *cert_from(const struct sorting *sorting, const size_t *chain, size_t n,
                              EVP_PKEY *key)
{
    const struct pem *held = sorting->held;
    const struct der_parts *leaf = &sorting->certs[chain[0]].parts;
    struct cert *cert = cert_new(n);
    for (size_t i = 0; i < n; i++) {
        CRYPTO_BUFFER_up_ref(held->certs[chain[i]]);
        cert->chain[i] = held->certs[chain[i]];
    }
    EVP_PKEY_up_ref(key);
    cert->key = key;
    cert->not_after_s = leaf->not_after_s;
    cert->serial_len =
        CBS_len(&leaf->serial) < sizeof cert->serial ? CBS_len(&leaf->serial) : sizeof cert->serial;
    memcpy(cert->serial, CBS_data(&leaf->serial), cert->serial_len);
    return cert;
}

/* What is wrong with a leaf; NULL when it can be used. */
static const char *leaf_fault(const struct held_cert *leaf, int64_t now_s)
{
    if (leaf->x509 == NULL || CBS_len(&leaf->parts.serial) > sizeof((struct cert *)0)->serial) {
        return "holds a certificate that does not parse";
    }
    if (X509_check_ca(leaf->x509) == 1) {
        return "holds a CA's certificate with its key, which is no client's";
    }
    return leaf->parts.not_after_s <= now_s ? "holds a certificate that has expired" : NULL;
}

static bool is_empty(const struct pem *held, char error[DER_ERROR])
{
    const char *fault = held->n_certs == 0 ? "holds no certificate"
                        : held->n_keys == 0
                            ? "has no private key, neither in it nor in a .key file beside it"
                            : NULL;
    if (fault != NULL) {
        (void)snprintf(error, DER_ERROR, "%s", fault);
    }
    return fault != NULL;
}

/* Whether everything has its other half; false with a reason. */
static bool is_whole(const struct sorting *sorting, char error[DER_ERROR])
{
    const struct pem *held = sorting->held;
    char name[128];
    for (size_t i = 0; i < held->n_keys; i++) {
        if (!sorting->keys[i].used) {
            (void)snprintf(error, DER_ERROR, "%s",
                           held->n_keys == 1
                               ? "holds a certificate that does not match its private key"
                               : "holds a private key that belongs to none of its certificates");
            return false;
        }
    }
    for (size_t i = 0; held->n_keys > 1 && i < held->n_certs; i++) {
        const struct held_cert *cert = &sorting->certs[i];
        if (cert->key == NO_KEY && cert->x509 != NULL && X509_check_ca(cert->x509) == 0) {
            der_name_text(cert->parts.subject, name, sizeof name);
            (void)snprintf(error, DER_ERROR, "holds a certificate without its private key (%s)",
                           name);
            return false;
        }
    }
    return true;
}

/* Sets what is wrong with a leaf, and whose it is where the file holds several. */
static bool leaf_is_good(const struct sorting *sorting, size_t i, int64_t now_s,
                         char error[DER_ERROR])
{
    const char *fault = leaf_fault(&sorting->certs[i], now_s);
    char name[128];
    if (fault != NULL && sorting->held->n_keys > 1) {
        der_name_text(sorting->certs[i].parts.subject, name, sizeof name);
        (void)snprintf(error, DER_ERROR, "%s (%s)", fault, name);
    } else if (fault != NULL) {
        (void)snprintf(error, DER_ERROR, "%s", fault);
    }
    return fault == NULL;
}

static bool take_all(const struct sorting *sorting, int64_t now_s, struct cert **certs,
                     size_t *ret_n, char error[DER_ERROR])
{
    const struct pem *held = sorting->held;
    size_t chain[PEM_MAX_CERTS];
    bool good = is_whole(sorting, error);
    *ret_n = 0;
    for (size_t i = 0; good && i < held->n_certs; i++) {
        if (sorting->certs[i].key != NO_KEY) {
            good = leaf_is_good(sorting, i, now_s, error);
            if (good) {
                size_t n = chain_of(sorting, i, held->n_keys == 1, chain);
                certs[*ret_n] = cert_from(sorting, chain, n, held->keys[sorting->certs[i].key]);
                certs[*ret_n]->n = *ret_n + 1;
                ++*ret_n;
            }
        }
    }
    return good;
}

bool cert_chain_sort(const struct pem *held, int64_t now_s, struct cert ***ret_certs, size_t *ret_n,
                     char error[DER_ERROR])
{
    if (is_empty(held, error)) {
        return false;
    }
    struct cert **certs = xcalloc(held->n_certs, sizeof(struct cert *));
    struct sorting sorting = sorting_new(held);
    size_t n;
    bool good = take_all(&sorting, now_s, certs, &n, error);
    sorting_free(&sorting);
    ERR_clear_error();
    if (!good) {
        for (size_t i = 0; i < n; i++) {
            cert_free(certs[i]);
        }
        free(certs);
        return false;
    }
    *ret_certs = certs;
    *ret_n = n;
    return true;
}

struct cert *cert_chain_any(const struct pem *held, char error[DER_ERROR])
{
    if (is_empty(held, error)) {
        return NULL;
    }
    struct sorting sorting = sorting_new(held);
    size_t leaf = 0, chain[PEM_MAX_CERTS];
    while (leaf < held->n_certs && sorting.certs[leaf].key == NO_KEY) {
        leaf++;
    }
    bool foreign = leaf == held->n_certs;
    leaf = foreign ? 0 : leaf;
    size_t n = chain_of(&sorting, leaf, true, chain);
    struct cert *cert =
        cert_from(&sorting, chain, n, held->keys[foreign ? 0 : sorting.certs[leaf].key]);
    cert->n = 1;
    cert->foreign_key = foreign;
    sorting_free(&sorting);
    ERR_clear_error();
    return cert;
}
