/* What the tests of ident share: a scratch directory, plans without a profile, and OpenSSL's own
 * command as the second opinion on everything that was signed. */
#ifndef TESTS_IDENT_KIT_H
#define TESTS_IDENT_KIT_H

#include "base/diag.h"
#include "base/mem.h"
#include "base/mono.h"
#include "base/rng.h"
#include "profile/plan.h"

#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

struct kit {
    char dir[64];
    struct diag *diag;
};

static inline int kit_remove(const char *path, const struct stat *status, int flag, struct FTW *at)
{
    (void)status;
    (void)flag;
    (void)at;
    return remove(path);
}

static inline int kit_set_up(void **state)
{
    struct kit *kit = xcalloc(1, sizeof *kit);
    (void)snprintf(kit->dir, sizeof kit->dir, "/tmp/tlsoak-ident-XXXXXX");
    kit->diag = diag_new();
    *state = kit;
    return mkdtemp(kit->dir) != NULL ? 0 : -1;
}

static inline int kit_tear_down(void **state)
{
    struct kit *kit = *state;
    int rc = nftw(kit->dir, kit_remove, 16, FTW_DEPTH | FTW_PHYS);
    diag_free(kit->diag);
    free(kit);
    return rc;
}

static inline char *kit_path(const struct kit *kit, const char *name)
{
    return xasprintf("%s/%s", kit->dir, name);
}

/* The exit code of a shell command, its output dropped. */
__attribute__((format(printf, 1, 2))) static inline int kit_shell(const char *format, ...)
{
    char command[1024];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(command, sizeof command, format, args);
    va_end(args);
    return system(command);
}

/* Every bit of every byte changed, and every shorter text, must not be accepted. */
static inline void kit_tamper(char *text, size_t len,
                              bool (*accepts)(const char *text, size_t len, void *context),
                              void *context)
{
    for (size_t i = 0; i < len; i++) {
        for (int bit = 0; bit < 8; bit++) {
            text[i] = (char)(text[i] ^ (1 << bit));
            assert_false(accepts(text, len, context));
            text[i] = (char)(text[i] ^ (1 << bit));
        }
        assert_false(accepts(text, i, context));
    }
    assert_true(accepts(text, len, context));
}

/* Noise with many dots in it must not be accepted, nor upset anything. */
static inline void kit_garbage(bool (*accepts)(const char *text, size_t len, void *context),
                               void *context)
{
    struct rng rng;
    rng_init(&rng, 11, "garbage", 0);
    for (int round = 0; round < 20000; round++) {
        char bytes[200];
        size_t len = rng_below(&rng, sizeof bytes);
        for (size_t i = 0; i < len; i++) {
            bytes[i] = rng_below(&rng, 12) == 0 ? '.' : (char)rng_below(&rng, 256);
        }
        assert_false(accepts(bytes, len, context));
    }
}

static inline struct plan_apikey kit_apikey(size_t count, enum pick pick, struct rotate rotate)
{
    static char template[] = "client-{n}.{hmac}", secret[] = "0123456789abcdef";
    return (struct plan_apikey){
        .template = template, .secret = secret, .count = count, .rotate = rotate, .pick = pick};
}

static inline struct plan_jwt kit_jwt(size_t count, enum pick pick, uint64_t lifetime_s)
{
    static char key[] = "0123456789abcdef0123456789abcdef", claims[] = "{\"sub\":\"user-{n}\"}";
    return (struct plan_jwt){.alg = JWT_HS256,
                             .key = key,
                             .claims = claims,
                             .lifetime_ns = lifetime_s * NS_PER_S,
                             .renew_before_ns = lifetime_s / 4 * NS_PER_S,
                             .count = count,
                             .rotate = {.kind = ROTATE_CONNECTION},
                             .pick = pick};
}

/* A client with the first section of each kind that the plan has. */
static inline struct plan_identity kit_identity(const struct plan *plan, bool bound)
{
    static char name[] = "x";
    return (struct plan_identity){.name = name,
                                  .bound = bound,
                                  .with_cert = plan->n_certs > 0 ? &plan->certs[0] : NULL,
                                  .with_apikey = plan->n_apikeys > 0 ? &plan->apikeys[0] : NULL,
                                  .with_jwt = plan->n_jwts > 0 ? &plan->jwts[0] : NULL};
}

#endif
