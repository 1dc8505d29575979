/* Reads JSON (jansson behind it; nobody else names jansson).  Look-ups on a missing or wrongly
 * typed member return the fallback, so that a reader of our own files is one line a field. More
 * than eight functions, one for each type of member. */
#ifndef BASE_JSON_H
#define BASE_JSON_H

#include <stdbool.h>
#include <stddef.h>

struct json; /* a value; members are borrowed from the document */

/* The document, or NULL with a one-line reason in `error`.  The caller frees it. */
struct json *json_parse(const char *text, size_t len, char *error, size_t error_size)
    __attribute__((warn_unused_result));
void json_free(struct json *document);
/* Member of an object, or NULL. */
const struct json *json_get(const struct json *value, const char *key);
/* Element of an array, or NULL past its end. */
const struct json *json_at(const struct json *value, size_t i);
size_t json_size(const struct json *value);
bool json_is_map(const struct json *value);
/* The value itself, when it is a number, a string. */
double json_as_number(const struct json *value, double fallback);
const char *json_as_string(const struct json *value, const char *fallback);
const char *json_get_string(const struct json *value, const char *key, const char *fallback);
double json_get_number(const struct json *value, const char *key, double fallback);
bool json_get_bool(const struct json *value, const char *key, bool fallback);

#endif
