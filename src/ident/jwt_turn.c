#include "ident/jwt.h"

#include "ident/cert.h"
#include "ident/crypt.h"
#include "ident/jwks.h"
#include "ident/jwt_inside.h"
#include "ident/jwt_key.h"
#include "ident/pem.h"

#include "base/mem.h"
#include "base/sink.h"

#include <errno.h>
#include <inttypes.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SLACK_S 2 /* that a token may be looked at after its exp */

static const char key_field[] = "{key}";

/* The template has passed its check: {key} is the only field, and {{ a brace. */
static char *kid_of(const char *template, uint64_t number)
{
    struct sink *kid = sink_new();
    for (const char *at = template; *at != '\0'; at++) {
        if (strncmp(at, key_field, sizeof key_field - 1) == 0) {
            sink_printf(kid, "%" PRIu64, number);
            at += sizeof key_field - 2;
            continue;
        }
        sink_write(kid, at, 1);
        at += (*at == '{' || *at == '}') && at[1] == *at;
    }
    char *copy = xstrdup(sink_text(kid, NULL));
    sink_free(kid);
    return copy;
}

static char *head_of(const struct jwt_signer *signer, const char *kid, const char *alg,
                     size_t *ret_len)
{
    struct sink *json = sink_new(), *encoded = sink_new();
    size_t len;
    sink_printf(json, "{\"alg\":\"%s\",\"typ\":\"JWT\"", alg);
    if (kid != NULL) {
        sink_printf(json, ",\"kid\":");
        sink_json(json, kid);
    }
    sink_printf(json, "%s}", signer->more_heads);
    const char *text = sink_text(json, &len);
    crypt_base64url(encoded, text, len);
    sink_write(encoded, ".", 1);
    char *head = xstrdup(sink_text(encoded, ret_len));
    sink_free(json);
    sink_free(encoded);
    return head;
}

struct signing_key *signing_key_new(const struct jwt_signer *signer, uint64_t number, EVP_PKEY *key)
{
    const char *const algs[JWT_HEADS] = {[JWT_HEAD_OWN] = jwt_alg_name(signer->alg),
                                         [JWT_HEAD_NONE] = "none",
                                         [JWT_HEAD_HMAC] = jwt_alg_name(JWT_HS256)};
    struct signing_key *made = xcalloc(1, sizeof *made);
    made->number = number;
    made->key = key;
    if (!jwt_alg_is_hmac(signer->alg)) {
        made->key = key != NULL ? key : cert_key_new(jwt_alg_key_type(signer->alg));
        struct sink *pem = sink_new();
        pem_write_public(pem, made->key);
        made->public_pem = xstrdup(sink_text(pem, NULL));
        sink_free(pem);
    }
    made->kid = signer->kid != NULL ? kid_of(signer->kid, number) : NULL;
    for (int i = 0; i < JWT_HEADS; i++) {
        made->heads[i] = head_of(signer, made->kid, algs[i], &made->head_len[i]);
    }
    return made;
}

void signing_key_free(struct signing_key *key)
{
    if (key == NULL) {
        return;
    }
    EVP_PKEY_free(key->key);
    free(key->public_pem);
    free(key->kid);
    for (int i = 0; i < JWT_HEADS; i++) {
        free(key->heads[i]);
    }
    free(key);
}

/* Those that are needed no more are forgotten. */
static void forget_retired(struct jwt_signer *signer, int64_t now_s)
{
    struct signing_key **at = &signer->retired;
    while (*at != NULL) {
        struct signing_key *old = *at;
        if (old->needed_until_s > now_s) {
            at = &old->next;
        } else {
            *at = old->next;
            signing_key_free(old);
        }
    }
}

static void add_entry(struct jwks_entry *entries, size_t *n, const struct jwt_signer *signer,
                      const struct signing_key *key)
{
    if (key != NULL) {
        entries[(*n)++] = (struct jwks_entry){signer->alg, key->kid, key->key};
    }
}

static bool publish(const struct jwt_signer *signer, char error[256])
{
    size_t n = 0, room = 3;
    if (signer->jwks == NULL) {
        return true;
    }
    for (const struct signing_key *key = signer->retired; key != NULL; key = key->next) {
        room++;
    }
    CLEANUP_FREE struct jwks_entry *entries = xcalloc(room, sizeof *entries);
    add_entry(entries, &n, signer, signer->coming);
    add_entry(entries, &n, signer, signer->upcoming);
    add_entry(entries, &n, signer, signer->current);
    for (const struct signing_key *key = signer->retired; key != NULL; key = key->next) {
        add_entry(entries, &n, signer, key);
    }
    struct sink *text = sink_new();
    jwks_write(text, entries, n);
    bool written = sink_replace_file(text, signer->jwks);
    if (!written) {
        (void)snprintf(error, 256, "%s cannot be written: %s", signer->jwks, strerror(errno));
    }
    sink_free(text);
    return written;
}

/* The set is written before the key changes, so that no token is ahead of it.  Where it cannot be,
 * the key that was made (of RSA, in a second) waits for the next attempt. */
static bool turn(struct jwt_signer *signer, int64_t now_s, char error[256])
{
    int64_t exp_s = jwt_claims_fixed_exp_s(signer->claims);
    if (signer->coming == NULL) {
        signer->coming = signing_key_new(signer, signer->upcoming->number + 1, NULL);
    }
    forget_retired(signer, now_s);
    if (!publish(signer, error)) {
        return false;
    }
    struct signing_key *old = signer->current;
    old->needed_until_s = (exp_s != 0 ? exp_s : now_s + signer->lifetime_s) + SLACK_S;
    old->next = signer->retired;
    signer->retired = old;
    signer->current = signer->upcoming;
    signer->upcoming = signer->coming;
    signer->coming = NULL;
    signer->turned_s = now_s;
    return true;
}

bool jwt_signer_turn(struct jwt_signer *signer, int64_t now_s, uint64_t *ret_key, char error[256])
{
    if (!signer->published) {
        if (!publish(signer, error)) {
            return false;
        }
        signer->published = true;
        signer->turned_s = now_s;
    }
    if (now_s < signer->turned_s) {
        signer->turned_s = now_s; /* the clock was set back, and keys turn all the same */
    }
    if (signer->rotate_s > 0 && now_s - signer->turned_s >= signer->rotate_s &&
        !turn(signer, now_s, error)) {
        return false;
    }
    *ret_key = signer->current->number;
    return true;
}
