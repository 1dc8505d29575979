/* The fields of an HTTP/2 request, made from the head of an HTTP/1.1 request (RFC 9113, section
 * 8.3.1): pseudo-header fields first, names in lower case, and without the header lines that belong
 * to a connection (section 8.2.2).  What is sent often is made into fields once, before the
 * start. */
#ifndef NET_H2_FIELDS_H
#define NET_H2_FIELDS_H

#include <stdbool.h>
#include <stddef.h>

struct h2_field {
    const char *name, *value; /* not NUL-terminated */
    size_t name_len, value_len;
    bool secret; /* never indexed, by us or on the way (RFC 7541, section 7.1.3) */
};

enum { H2_METHOD, H2_SCHEME, H2_AUTHORITY, H2_PATH, H2_PSEUDO };

struct h2_fields {
    struct h2_field *fields; /* owns; the first H2_PSEUDO in the order of the enum */
    size_t n;
    char *text; /* owns: what they point to */
};

/* `head`: request line and header lines, each ended by CR LF; the empty line may be there. */
void h2_fields_init(struct h2_fields *fields, const char *head, size_t head_len);
void h2_fields_clear(struct h2_fields *fields);
/* Marks the fields of that name, given in any case, as secret; NULL: all but the pseudo-header
 * fields. */
void h2_fields_hide(struct h2_fields *fields, const char *name);

#endif
