/* Templates of identities: {n} the number, {uuid} a random UUID (RFC 9562 version 4), {run} the
 * run's id, {random} 32 random hex digits; {{ and }} are braces only where a template is not
 * JSON. */
#ifndef IDENT_TEMPLATE_H
#define IDENT_TEMPLATE_H

#include "base/diag.h"
#include "base/sink.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum template_field {
    TEMPLATE_N,
    TEMPLATE_UUID,
    TEMPLATE_RUN,
    TEMPLATE_RANDOM,
    TEMPLATE_TEXT, /* none: text as it is */
    TEMPLATE_FIELDS = TEMPLATE_TEXT
};

struct template_piece {
    enum template_field field;
    const char *text; /* TEMPLATE_TEXT */
    size_t len;
};

struct template_reader {
    const char *at;
    bool json; /* where }} closes two objects */
};

/* Takes a template apart, piece by piece: for those that fill in the same one very often. */
struct template_reader template_reader(const char *text);
bool template_next(struct template_reader *reader, struct template_piece *ret_piece);
void template_uuid(char text[37]);
void template_random(char text[33]);
/* Writes the template with its fields filled in; unknown fields stay as they are. */
void template_expand(struct sink *sink, const char *text, uint64_t n, const char *run_id);
/* Adds a mistake for each unknown {field}; `extra` is one more name that is allowed, or NULL. */
bool template_check(const char *text, const char *extra, struct origin origin, struct diag *diag);

#endif
