#include "ident/apikey.h"

#include "ident/crypt.h"
#include "ident/template.h"
#include "ident/text_load.h"

#include "base/mem.h"
#include "base/sink.h"
#include "base/str.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SECRET_MIN 12 /* characters; a UUID ends in as many */

static const char hmac_field[] = "{hmac}";

/* A verifier recomputes the tag over all that stands before the last dot. */
static void add_tag(struct sink *sink, const char *secret)
{
    unsigned char tag[CRYPT_TAG];
    char hex[2 * CRYPT_TAG + 1];
    size_t len;
    const char *text = sink_text(sink, &len);
    if (len > 0 && text[len - 1] == '.') {
        len--;
    }
    crypt_hmac_sha256(secret, strlen(secret), text, len, tag);
    crypt_hex(hex, tag, sizeof tag);
    sink_write(sink, hex, 2 * CRYPT_TAG);
}

char *apikey_generate(const struct plan_apikey *section, uint64_t n, const char *run_id)
{
    struct sink *sink = sink_new();
    const char *at = section->template;
    const char *field;
    while ((field = strstr(at, hmac_field)) != NULL) {
        CLEANUP_FREE char *before = xstrndup(at, (size_t)(field - at));
        template_expand(sink, before, n, run_id);
        add_tag(sink, section->secret != NULL ? section->secret : "");
        at = field + strlen(hmac_field);
    }
    template_expand(sink, at, n, run_id);
    char *key = xstrdup(sink_text(sink, NULL));
    sink_free(sink);
    return key;
}

bool apikey_check(const struct plan *plan, const struct plan_apikey *section, struct diag *diag)
{
    struct origin origin = plan_origin(plan, &section->template);
    if (!template_check(section->template, "hmac", origin, diag)) {
        return false;
    }
    CLEANUP_FREE char *sample = apikey_generate(section, 1, "run");
    if (!text_fits_header(sample, APIKEY_MAX)) {
        diag_add(diag, origin, "apikey.template: \"%s\" cannot be sent as a header",
                 section->template);
        return false;
    }
    return true;
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Where the secret part begins: the letters and digits at the end, when they are many and mixed, as
 * tags and random text are and words and numbers are not; the key's end when there is none. */
static size_t secret_begin(const char *key, size_t len)
{
    size_t at = len, n_letters = 0, n_digits = 0;
    while (at > 0 && (is_letter(key[at - 1]) || is_digit(key[at - 1]))) {
        at--;
        n_letters += is_letter(key[at]);
        n_digits += is_digit(key[at]);
    }
    return len - at >= SECRET_MIN && n_letters > 0 && n_digits > 0 ? at : len;
}

char *apikey_spoil(const char *key)
{
    size_t len = strlen(key), begin = secret_begin(key, len);
    if (begin == len) {
        char *other = xmalloc(33);
        template_random(other);
        return other;
    }
    char *copy = xstrdup(key);
    char *c = &copy[begin + (len - begin) / 2];
    /* Hex stays hex, in its own case. */
    if (is_digit(*c)) {
        *c = *c == '9' ? '0' : (char)(*c + 1);
    } else {
        *c = (char)((*c & 0x20) | ((*c | 0x20) == 'a' ? 'B' : 'A'));
    }
    return copy;
}

size_t apikey_load(const struct plan *plan, const struct plan_apikey *section, char ***ret_keys,
                   struct diag *diag)
{
    struct text_list list;
    char error[TEXT_ERROR];
    if (!text_list_load(&list, section->path, "key", APIKEY_MAX, error)) {
        diag_add(diag, plan_origin(plan, &section->path), "apikey.path: %s", error);
        return 0;
    }
    *ret_keys = list.texts;
    return list.n;
}

bool apikey_verify(const char *key, size_t len, const char *secret, size_t secret_len)
{
    unsigned char tag[CRYPT_TAG];
    char hex[2 * CRYPT_TAG + 1];
    if (len > APIKEY_MAX || len < 2 * CRYPT_TAG + 2 || key[len - 2 * CRYPT_TAG - 1] != '.') {
        return false;
    }
    crypt_hmac_sha256(secret, secret_len, key, len - 2 * CRYPT_TAG - 1, tag);
    crypt_hex(hex, tag, sizeof tag);
    return crypt_equal(hex, key + len - 2 * CRYPT_TAG, 2 * CRYPT_TAG);
}
