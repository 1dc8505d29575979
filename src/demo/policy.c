#include "demo/policy.h"

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/mono.h"
#include "base/str.h"
#include "demo/secret.h"
#include "ident/jwks.h"
#include "ident/jwt.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define FILE_MAX (1u << 20)

struct policy {
    const struct serve_options *options;
    char *key; /* secret, or PEM */
    struct jwks *jwks;
    struct stat seen; /* of the key set, when it was read */
};

/* False when the file holds no keys; then the old ones stay. */
static bool read_set(struct policy *policy, char error[JWKS_ERROR])
{
    const char *path = policy->options->jwks;
    struct stat status;
    size_t len;
    /* Looked at first: what is written after that is seen as a change. */
    CLEANUP_FREE char *text = stat(path, &status) == 0 ? file_read(path, FILE_MAX, &len) : NULL;
    if (text == NULL) {
        (void)str_copy(error, JWKS_ERROR, strerror(errno));
        return false;
    }
    policy->seen = status;
    struct jwks *fresh = jwks_parse(text, len, policy->options->jwt_alg, error);
    if (fresh == NULL) {
        return false;
    }
    jwks_free(policy->jwks);
    policy->jwks = fresh;
    return true;
}

static bool is_hmac(const struct serve_options *options)
{
    return options->jwt_alg == JWT_HS256 || options->jwt_alg == JWT_HS384 ||
           options->jwt_alg == JWT_HS512;
}

static bool options_fit(const struct serve_options *options, struct diag *diag)
{
    int n = (options->jwt_secret != NULL) + (options->jwt_key != NULL) + (options->jwks != NULL);
    const char *fault = NULL, *option = "--jwt-alg";
    if (n > 1) {
        option = options->jwks != NULL ? "--jwks" : "--jwt-key";
        fault = "only one of --jwt-secret, --jwt-key and --jwks can be given";
    } else if (n == 0 && (options->jwt_bound || options->audience != NULL)) {
        option = options->jwt_bound ? "--jwt-bound" : "--audience";
        fault = "needs --jwt-secret, --jwt-key or --jwks, or no token is asked for";
    } else if (options->jwt_secret != NULL && !is_hmac(options)) {
        fault = "with --jwt-secret it is HS256, HS384 or HS512";
    } else if ((options->jwt_key != NULL || options->jwks != NULL) && is_hmac(options)) {
        fault = "HS256, HS384 and HS512 need --jwt-secret";
    }
    if (fault != NULL) {
        diag_add(diag, (struct origin){option, 0}, "%s", fault);
    }
    return fault == NULL;
}

static bool keys_read(struct policy *policy, struct diag *diag)
{
    const struct serve_options *options = policy->options;
    char error[JWKS_ERROR];
    if (options->jwt_secret != NULL) {
        policy->key = secret_read("--jwt-secret", options->jwt_secret, diag);
        return policy->key != NULL;
    }
    if (options->jwks != NULL) {
        bool good = read_set(policy, error);
        if (!good) {
            diag_add(diag, (struct origin){"--jwks", 0}, "%s: %s", options->jwks, error);
        }
        return good;
    }
    if (options->jwt_key == NULL) {
        return true;
    }
    policy->key = secret_read("--jwt-key", options->jwt_key, diag);
    if (policy->key == NULL) {
        return false;
    }
    policy->jwks = jwks_from_pem(policy->key, strlen(policy->key), options->jwt_alg, error);
    if (policy->jwks == NULL) {
        diag_add(diag, (struct origin){"--jwt-key", 0}, "%s: %s", options->jwt_key, error);
    }
    return policy->jwks != NULL;
}

struct policy *policy_new(const struct serve_options *options, struct diag *diag)
{
    struct policy *policy = xcalloc(1, sizeof *policy);
    policy->options = options;
    if (!options_fit(options, diag) || !keys_read(policy, diag)) {
        policy_free(policy);
        return NULL;
    }
    return policy;
}

void policy_free(struct policy *policy)
{
    if (policy != NULL) {
        secret_free(policy->key);
        jwks_free(policy->jwks);
        free(policy);
    }
}

bool policy_is_strict(const struct policy *policy)
{
    return policy->key != NULL || policy->jwks != NULL;
}

static bool is_same(const struct stat *a, const struct stat *b)
{
    return a->st_ino == b->st_ino && a->st_dev == b->st_dev && a->st_size == b->st_size &&
           a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

void policy_tick(struct policy *policy)
{
    struct stat status;
    char error[JWKS_ERROR];
    if (policy->options->jwks == NULL || stat(policy->options->jwks, &status) != 0 ||
        is_same(&status, &policy->seen)) {
        return;
    }
    if (!read_set(policy, error)) {
        log_warn("--jwks: %s: %s; the old keys stay", policy->options->jwks, error);
    }
}

/* A key that is not there may have been written since the last tick, as when its signer starts to
 * use it at once. */
static struct evp_pkey_st *find_key(struct policy *policy, const char *token, size_t len)
{
    struct evp_pkey_st *key = jwks_find(policy->jwks, token, len);
    if (key == NULL) {
        policy_tick(policy);
        key = jwks_find(policy->jwks, token, len);
    }
    return key;
}

bool policy_admits(struct policy *policy, const char *token, size_t len,
                   const unsigned char *thumbprint)
{
    const struct serve_options *options = policy->options;
    struct jwt_policy demands = {.alg = options->jwt_alg,
                                 .audience = options->audience,
                                 .thumbprint = thumbprint,
                                 .must_be_bound = options->jwt_bound};
    if (policy->jwks != NULL) {
        demands.public_key = find_key(policy, token, len);
    } else {
        demands.secret = policy->key;
        demands.secret_len = strlen(policy->key);
    }
    return jwt_verify(&demands, token, len, (int64_t)mono_wall_s(), NULL, 0) == JWT_GOOD;
}

const char *policy_key(const struct policy *policy)
{
    return policy->key;
}
