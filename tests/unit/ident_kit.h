/* What the tests of ident share: a scratch directory, plans without a profile, and OpenSSL's own
 * command as the second opinion on everything that was signed. */
#ifndef TESTS_IDENT_KIT_H
#define TESTS_IDENT_KIT_H

#include "base/diag.h"
#include "base/mem.h"
#include "base/mono.h"
#include "profile/plan.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

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

#endif
