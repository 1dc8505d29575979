/* What a row of the option table is written with: the words of choices, in the order of their
 * enums, and a macro for each section.  For options.c alone. */
#ifndef PROFILE_OPTIONS_ROWS_H
#define PROFILE_OPTIONS_ROWS_H

#include "base/mono.h"
#include "profile/options.h"

#include <stddef.h>

#define MS  ((double)NS_PER_MS)
#define S   ((double)NS_PER_S)
#define H   (3600 * S)
#define DAY (24 * H)

static const char *const verify_words[] = {"always", "cached", "no", NULL};
static const char *const tls_words[] = {"1.2", "1.3", NULL};
static const char *const pace_words[] = {"closed", "open", "hold", "churn", "handshake", NULL};
static const char *const arrivals_words[] = {"constant", "poisson", "replay", NULL};
static const char *const cert_source_words[] = {"mint", "files", "pkcs12", NULL};
static const char *const key_type_words[] = {"ecdsa-p256", "ecdsa-p384", "rsa-2048", "rsa-3072",
                                             "rsa-4096",   "ed25519",    NULL};
static const char *const alg_words[] = {"HS256", "HS384", "HS512", "RS256", "PS256",
                                        "ES256", "ES384", "EdDSA", NULL};
static const char *const pick_words[] = {"sequential", "random", "zipf", "fresh", NULL};
static const char *const bad_cert_words[] = {
    "good",        "none",    "expired",   "not-yet-valid", "unknown-ca", "self-signed",
    "wrong-usage", "revoked", "wrong-key", "file",          NULL};
static const char *const bad_jwt_words[] = {
    "good",     "none",           "expired",          "wrong-signature",
    "alg-none", "wrong-audience", "hs256-public-key", "other-certificate",
    NULL};
static const char *const bad_apikey_words[] = {"good", "none", "unknown", NULL};
/* In the order of enum misuse_act, enum misuse_stage and enum misuse_end. */
static const char *const misuse_words[] = {"half-open",       "handshake-stop",
                                           "abort-body",      "abandon-response",
                                           "early-close",     "reset",
                                           "no-close-notify", "slow-send",
                                           "slow-read",       "oversized-header",
                                           "plain-http",      "h2-disconnect",
                                           "h2-reset",        NULL};
static const char *const stage_words[] = {
    "each", "hello", "server-flight", "client-flight", "request", "first-byte", NULL};
static const char *const end_words[] = {"reset", "fin", NULL};
static const char *const memory_source_words[] = {"process", "command", "cgroup", "prometheus",
                                                  NULL};
static const char *const until_words[] = {"duration", "settled", NULL};
static const char *const attribution_words[] = {"off", "crossover", "modulation", "pairs", NULL};
/* In the order of enum driver. */
static const char *const factor_words[] = {
    "time",    "request", "connection", "resumption", "client_certificate", "api_key", "jwt",
    "refused", "aborted", "rotation",   NULL};

#define ROW(section_, key_, type_, struct_, field_, ...)                                           \
    {                                                                                              \
        .section = (section_), .key = (key_), .type = (type_),                                     \
        .offset = offsetof(struct_, field_), __VA_ARGS__                                           \
    }
#define RUN(key, type, field, ...) ROW(SECTION_RUN, key, type, struct plan_run, field, __VA_ARGS__)
#define TARGET(key, type, field, ...)                                                              \
    ROW(SECTION_TARGET, key, type, struct plan_target, field, __VA_ARGS__)
#define PACE(key, type, field, ...)                                                                \
    ROW(SECTION_PACE, key, type, struct plan_pace, field, __VA_ARGS__)
#define CERT(key, type, field, ...)                                                                \
    ROW(SECTION_CERT, key, type, struct plan_cert, field, __VA_ARGS__)
#define APIKEY(key, type, field, ...)                                                              \
    ROW(SECTION_APIKEY, key, type, struct plan_apikey, field, __VA_ARGS__)
#define JWT(key, type, field, ...) ROW(SECTION_JWT, key, type, struct plan_jwt, field, __VA_ARGS__)
#define IDENTITY(key, type, field, ...)                                                            \
    ROW(SECTION_IDENTITY, key, type, struct plan_identity, field, __VA_ARGS__)
#define REFUSE(key, type, field, ...)                                                              \
    ROW(SECTION_REFUSE, key, type, struct plan_refuse, field, __VA_ARGS__)
#define MISUSE(key, type, field, ...)                                                              \
    ROW(SECTION_MISUSE, key, type, struct plan_misuse, field, __VA_ARGS__)
#define REQUEST(key, type, field, ...)                                                             \
    ROW(SECTION_REQUEST, key, type, struct plan_request, field, __VA_ARGS__)
#define PHASE(key, type, field, ...)                                                               \
    ROW(SECTION_PHASE, key, type, struct plan_phase, field, __VA_ARGS__)
#define MEMORY(key, type, field, ...)                                                              \
    ROW(SECTION_MEMORY, key, type, struct plan_memory, field, __VA_ARGS__)
#define JUDGE(key, type, field, ...)                                                               \
    ROW(SECTION_JUDGE, key, type, struct plan_judge, field, __VA_ARGS__)
#define ATTRIBUTION(key, type, field, ...)                                                         \
    ROW(SECTION_ATTRIBUTION, key, type, struct plan_attribution, field, __VA_ARGS__)
#define LIMIT(key, type, field, ...)                                                               \
    ROW(SECTION_LIMIT, key, type, struct plan_limit, field, __VA_ARGS__)
#define SEARCH(key, type, field, ...)                                                              \
    ROW(SECTION_SEARCH, key, type, struct plan_search, field, __VA_ARGS__)
#define HOOK(key, type, field, ...)                                                                \
    ROW(SECTION_HOOK, key, type, struct plan_hook, field, __VA_ARGS__)
#define OUTPUT(key, type, field, ...)                                                              \
    ROW(SECTION_OUTPUT, key, type, struct plan_output, field, __VA_ARGS__)
#define PICK_HELP                                                                                  \
    "Which one is next; zipf: few are hot and most are cold; fresh: one that never was used."
#define ZIPF_HELP          "zipf: the k-th is chosen in proportion to 1 / k^exponent."
#define RETIRE_HELP        "Uses after which a new one takes its place; 0: never."
#define BETWEEN(low, high) .min = (low), .max = (high)

#endif
