/* Certificates that files hold: PEM pairs, a directory of them, bundles of many pairs in one file,
 * encrypted keys, PKCS #12.  A list remembers which file each came from, so that a file that
 * changed during the run can be read again.  Private to ident. */
#ifndef IDENT_CERT_LOAD_H
#define IDENT_CERT_LOAD_H

#include "ident/cert.h"
#include "ident/der.h"

#include "base/diag.h"

#include <stdbool.h>
#include <stddef.h>

/* One file that was read.  Watch both paths: a new certificate and its new key are two writes. */
struct cert_file {
    char *path;
    char *key_path; /* NAME.key beside it, where `path` holds no key; NULL: not read */
    size_t first;   /* its certificates are number first + 1 to first + n of the list */
    size_t n;
};

struct cert_list {
    struct cert **certs; /* may be taken out one by one, leaving NULL */
    size_t n_certs;
    struct cert_file *files; /* in the order of the certificates */
    size_t n_files;
};

/* All certificates of a section with source = files or pkcs12, in the order of the files' names and
 * within a bundle in the order of its certificates.  Each is checked: parses, is no CA's, has its
 * key, has not expired; cert.ca holds a certificate.  False with mistakes. */
bool cert_list_load(struct cert_list *ret_list, const struct plan *plan,
                    const struct plan_cert *section, struct diag *diag)
    __attribute__((warn_unused_result));
/* Frees what is left in the list, not the list itself. */
void cert_list_free(struct cert_list *list);
/* Reads one file again, with the same checks: file->n certificates with the numbers they had, which
 * the caller frees with their array; NULL with a reason, which begins with the file's name and
 * holds no key material.  Half-written files are common: try again a little later. */
struct cert **cert_file_reload(const struct cert_file *file, const struct plan_cert *section,
                               char error[DER_ERROR]) __attribute__((warn_unused_result));
/* The first certificate with a key in a PEM file, whatever is wrong with it as long as it parses
 * and has a key; NULL with a reason as above.  A key that is not the certificate's makes it
 * one with foreign_key. */
struct cert *cert_file_any(const char *path, char error[DER_ERROR])
    __attribute__((warn_unused_result));

#endif
