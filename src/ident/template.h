/* Templates of identities: {n} the number, {uuid} a random UUID (RFC 9562 version 4), {run} the
 * run's id, {random} 32 random hex digits; {{ and }} are braces only where a template is not
 * JSON. */
#ifndef IDENT_TEMPLATE_H
#define IDENT_TEMPLATE_H

#include "base/diag.h"
#include "base/sink.h"

#include <stdbool.h>
#include <stdint.h>

/* Writes the template with its fields filled in; unknown fields stay as they are. */
void template_expand(struct sink *sink, const char *text, uint64_t n, const char *run_id);
/* Adds a mistake for each unknown {field}; `extra` is one more name that is allowed, or NULL. */
bool template_check(const char *text, const char *extra, struct origin origin, struct diag *diag);

#endif
