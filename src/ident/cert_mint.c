#include "ident/cert.h"

#include "ident/cert_inside.h"
#include "ident/cert_parts.h"
#include "ident/crypt.h"
#include "ident/der.h"
#include "ident/template.h"

#include "base/bug.h"
#include "base/mono.h"
#include "base/sink.h"
#include "base/str.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

#define SERIAL_MAX 20 /* bytes (RFC 5280 section 4.1.2.2) */

void cert_serial_new(unsigned char serial[20], size_t *ret_len)
{
    crypt_random(serial, 16);
    serial[0] = (unsigned char)((serial[0] & 0x7f) | 0x40);
    *ret_len = 16;
}

static int digit_of(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : 16;
}

/* number = number * base + digit; false when it no longer fits. */
static bool append_digit(unsigned char number[SERIAL_MAX], unsigned base, unsigned digit)
{
    for (size_t i = SERIAL_MAX; i-- > 0;) {
        unsigned sum = number[i] * base + digit;
        number[i] = (unsigned char)(sum & 0xff);
        digit = sum >> 8;
    }
    return digit == 0;
}

static bool parse_serial(const char *text, unsigned char number[SERIAL_MAX])
{
    unsigned base = str_has_prefix(text, "0x") ? 16 : 10;
    text += base == 16 ? 2 : 0;
    bool good = *text != '\0';
    for (; good && *text != '\0'; text++) {
        unsigned digit = (unsigned)digit_of(*text);
        good = digit < base && append_digit(number, base, digit);
    }
    return good && (number[0] & 0x80) == 0;
}

bool cert_serial_expand(const char *text, uint64_t n, const char *run_id, unsigned char serial[20],
                        size_t *ret_len, char error[DER_ERROR])
{
    unsigned char number[SERIAL_MAX] = {0};
    struct sink *expanded = sink_new();
    template_expand(expanded, text, n, run_id);
    bool good = parse_serial(sink_text(expanded, NULL), number);
    size_t zeros = 0;
    while (zeros < SERIAL_MAX && number[zeros] == 0) {
        zeros++;
    }
    if (!good || zeros == SERIAL_MAX) {
        (void)snprintf(error, DER_ERROR, "\"%.100s\" is not a positive number of up to 20 bytes",
                       sink_text(expanded, NULL));
        good = false;
    } else {
        *ret_len = SERIAL_MAX - zeros;
        memcpy(serial, number + zeros, *ret_len);
    }
    sink_free(expanded);
    return good;
}

static void take_serial(struct cert *cert, const struct plan_cert *section, const char *run_id)
{
    char error[DER_ERROR];
    if (section->serial == NULL) {
        cert_serial_new(cert->serial, &cert->serial_len);
    } else { /* cert_check has tried the greatest number */
        BUG_ON(!cert_serial_expand(section->serial, cert->n, run_id, cert->serial,
                                   &cert->serial_len, error));
    }
}

struct cert *cert_mint_at(const struct cert_issuer *issuer, const struct plan_cert *section,
                          uint64_t n, const char *run_id, struct evp_pkey_st *shared_key,
                          int64_t now_s)
{
    struct cert *cert = cert_new(1 + issuer->n_above);
    struct sink *subject = sink_new();
    struct sink *san = section->san != NULL ? sink_new() : NULL;
    int64_t end_s = now_s + (int64_t)(section->lifetime_ns / NS_PER_S);
    int64_t begin_s = now_s - CERT_SKEW_S;

    template_expand(subject, section->subject, n, run_id);
    if (san != NULL) {
        template_expand(san, section->san, n, run_id);
    }
    cert->n = n;
    cert->not_after_s = end_s < issuer->not_after_s ? end_s : issuer->not_after_s;
    take_serial(cert, section, run_id);
    if (shared_key != NULL) {
        EVP_PKEY_up_ref(shared_key);
        cert->key = shared_key;
    } else {
        cert->key = cert_key_new(section->key_type);
    }
    cert->chain[0] = der_certificate(&(struct der_request){
        .issuer = &issuer->der,
        .subject = sink_text(subject, NULL),
        .san = san != NULL ? sink_text(san, NULL) : NULL,
        .key = cert->key,
        .role = DER_CLIENT,
        .usage = &issuer->usage,
        .not_before_s = begin_s > issuer->not_before_s ? begin_s : issuer->not_before_s,
        .not_after_s = cert->not_after_s,
        .serial = cert->serial,
        .serial_len = cert->serial_len,
    });
    for (size_t i = 0; i < issuer->n_above; i++) {
        CRYPTO_BUFFER_up_ref(issuer->above[i]);
        cert->chain[1 + i] = issuer->above[i];
    }
    sink_free(subject);
    sink_free(san);
    return cert;
}

struct cert *cert_mint(const struct cert_issuer *issuer, const struct plan_cert *section,
                       uint64_t n, const char *run_id, struct evp_pkey_st *shared_key)
{
    return cert_mint_at(issuer, section, n, run_id, shared_key, (int64_t)mono_wall_s());
}
