#include "net/trust.h"

#include "base/mem.h"
#include "base/mono.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/pool.h>
#include <openssl/sha.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define VERDICT_LIFETIME_S 60
#define N_VERDICTS         16

struct verdict {
    unsigned char key[SHA256_DIGEST_LENGTH];
    uint64_t expires_ns;
    enum outcome outcome;
};

struct trust {
    X509_STORE *store; /* NULL: verify = no */
    enum verify_mode mode;
    char *name;
    uint64_t full_checks;
    struct verdict verdicts[N_VERDICTS];
};

/* Where distributions keep the bundle; the first that is there counts, as in Go's crypto/x509. */
static const char *const system_bundles[] = {
    "/etc/ssl/certs/ca-certificates.crt", /* Debian, Alpine, Arch */
    "/etc/pki/tls/certs/ca-bundle.crt",   /* Fedora */
    "/etc/ssl/ca-bundle.pem",             /* openSUSE */
    "/etc/ssl/cert.pem",
};

/* Where the profile names the CA. */
struct option {
    struct origin origin;
    const char *name;
};

static struct option option_of(const struct plan *plan, const struct plan_target *target)
{
    for (size_t i = 0; i < plan->n_jwts; i++) {
        const struct plan_jwt *jwt = &plan->jwts[i];

        if (target == &jwt->token_target && jwt->token_ca != NULL) {
            return (struct option){plan_origin(plan, &jwt->token_ca), "jwt.token_ca"};
        }
    }
    return (struct option){plan_origin(plan, &plan->target.server_ca), "target.server_ca"};
}

static bool load_named(struct trust *trust, const char *path, const struct option *option,
                       struct diag *diag)
{
    if (access(path, R_OK) != 0) {
        diag_add(diag, option->origin, "%s: cannot read %s: %s", option->name, path,
                 strerror(errno));
        return false;
    }
    if (X509_STORE_load_locations(trust->store, path, NULL) != 1) {
        diag_add(diag, option->origin, "%s: %s holds no certificate in PEM form", option->name,
                 path);
        return false;
    }
    /* Whoever names an intermediate or the server's own certificate means just that. */
    X509_STORE_set_flags(trust->store, X509_V_FLAG_PARTIAL_CHAIN);
    return true;
}

static bool load_system(struct trust *trust, const struct option *option, struct diag *diag)
{
    for (size_t i = 0; i < sizeof system_bundles / sizeof *system_bundles; i++) {
        if (X509_STORE_load_locations(trust->store, system_bundles[i], NULL) == 1) {
            return true;
        }
    }
    diag_add(diag, option->origin, "this system has no CA bundle: name the server's CA in %s",
             option->name);
    return false;
}

struct trust *trust_new(const struct plan *plan, const struct plan_target *target,
                        struct diag *diag)
{
    struct trust *trust = xcalloc(1, sizeof *trust);
    struct option option = option_of(plan, target);
    bool loaded;

    trust->mode = target->verify;
    trust->name = xstrdup(target->verify_name != NULL ? target->verify_name : "");
    if (trust->mode == VERIFY_NO) {
        return trust;
    }
    trust->store = X509_STORE_new();
    loaded = target->server_ca != NULL ? load_named(trust, target->server_ca, &option, diag)
                                       : load_system(trust, &option, diag);
    ERR_clear_error();
    if (!loaded) {
        trust_free(trust);
        return NULL;
    }
    return trust;
}

void trust_free(struct trust *trust)
{
    if (trust == NULL) {
        return;
    }
    X509_STORE_free(trust->store);
    free(trust->name);
    free(trust);
}

uint64_t trust_full_checks(const struct trust *trust)
{
    return trust->full_checks;
}

/* Lengths go in too, so that no two chains share their bytes.  The store is not part of the key
 * because a cache never outlives or leaves its store. */
static void hash_chain(const struct trust *trust, const STACK_OF(CRYPTO_BUFFER) * chain,
                       unsigned char key[SHA256_DIGEST_LENGTH])
{
    SHA256_CTX sha;

    SHA256_Init(&sha);
    for (size_t i = 0; i < sk_CRYPTO_BUFFER_num(chain); i++) {
        const CRYPTO_BUFFER *cert = sk_CRYPTO_BUFFER_value(chain, i);
        uint64_t len = CRYPTO_BUFFER_len(cert);

        SHA256_Update(&sha, &len, sizeof len);
        SHA256_Update(&sha, CRYPTO_BUFFER_data(cert), len);
    }
    SHA256_Update(&sha, trust->name, strlen(trust->name));
    SHA256_Final(key, &sha);
}

static enum outcome outcome_of_verdict(int error)
{
    switch (error) {
    case X509_V_OK:
        return OUTCOME_OK;
    case X509_V_ERR_CERT_HAS_EXPIRED:
        return OUTCOME_SERVER_CERT_EXPIRED;
    case X509_V_ERR_CERT_NOT_YET_VALID:
        return OUTCOME_SERVER_CERT_NOT_YET_VALID;
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
        return OUTCOME_SERVER_CERT_WRONG_HOST;
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_CERT_UNTRUSTED:
    case X509_V_ERR_CERT_SIGNATURE_FAILURE: /* a CA of the same name with another key */
        return OUTCOME_SERVER_CERT_UNTRUSTED;
    default:
        return OUTCOME_SERVER_CERT_INVALID;
    }
}

static bool prepare(const struct trust *trust, X509_STORE_CTX *check)
{
    X509_VERIFY_PARAM *param = X509_STORE_CTX_get0_param(check);

    if (X509_STORE_CTX_set_default(check, "ssl_server") != 1) {
        return false;
    }
    if (trust->name[0] == '\0' || X509_VERIFY_PARAM_set1_ip_asc(param, trust->name) == 1) {
        return true;
    }
    ERR_clear_error();
    return X509_VERIFY_PARAM_set1_host(param, trust->name, strlen(trust->name)) == 1;
}

/* A verdict must not outlive what it was given for: seconds until the first certificate of the
 * chain that was built expires, a verdict's lifetime at most. */
static uint64_t seconds_good(X509_STORE_CTX *check)
{
    const STACK_OF(X509) *chain = X509_STORE_CTX_get0_chain(check);
    int64_t least = VERDICT_LIFETIME_S;

    for (size_t i = 0; i < sk_X509_num(chain); i++) {
        const ASN1_TIME *end = X509_get0_notAfter(sk_X509_value(chain, i));
        int days = 0, seconds = 0;
        if (ASN1_TIME_diff(&days, &seconds, NULL, end) != 1) {
            return 0;
        }
        int64_t left = (int64_t)days * 86400 + seconds;
        least = left < least ? left : least;
    }
    return least > 0 ? (uint64_t)least : 0;
}

static enum outcome verify_parsed(struct trust *trust, X509 *leaf, STACK_OF(X509) * rest,
                                  uint64_t *ret_good_s)
{
    X509_STORE_CTX *check = X509_STORE_CTX_new();
    enum outcome outcome = OUTCOME_SERVER_CERT_INVALID;

    if (check != NULL && X509_STORE_CTX_init(check, trust->store, leaf, rest) == 1 &&
        prepare(trust, check)) {
        if (X509_verify_cert(check) == 1) {
            outcome = OUTCOME_OK;
            *ret_good_s = seconds_good(check);
        } else {
            outcome = outcome_of_verdict(X509_STORE_CTX_get_error(check));
            if (outcome == OUTCOME_OK) {
                outcome = OUTCOME_SERVER_CERT_INVALID;
            }
        }
    }
    X509_STORE_CTX_free(check);
    return outcome;
}

/* *ret_good_s: how long the verdict may be used again. */
static enum outcome verify_in_full(struct trust *trust, const STACK_OF(CRYPTO_BUFFER) * chain,
                                   uint64_t *ret_good_s)
{
    STACK_OF(X509) *rest = sk_X509_new_null();
    X509 *leaf = NULL;
    enum outcome outcome = OUTCOME_OK;

    *ret_good_s = VERDICT_LIFETIME_S;
    trust->full_checks++;
    for (size_t i = 0; i < sk_CRYPTO_BUFFER_num(chain) && outcome == OUTCOME_OK; i++) {
        X509 *cert = X509_parse_from_buffer(sk_CRYPTO_BUFFER_value(chain, i));

        if (cert == NULL) {
            outcome = OUTCOME_SERVER_CERT_INVALID;
        } else if (i == 0) {
            leaf = cert;
        } else if (sk_X509_push(rest, cert) == 0) {
            X509_free(cert);
            outcome = OUTCOME_CLIENT_ERROR;
        }
    }
    if (outcome == OUTCOME_OK) {
        outcome = leaf == NULL ? OUTCOME_SERVER_CERT_INVALID
                               : verify_parsed(trust, leaf, rest, ret_good_s);
    }
    X509_free(leaf);
    sk_X509_pop_free(rest, X509_free);
    ERR_clear_error(); /* the verdict says it all */
    return outcome;
}

enum outcome trust_verify(struct trust *trust, const struct stack_st_CRYPTO_BUFFER *chain,
                          uint64_t now_ns)
{
    unsigned char key[SHA256_DIGEST_LENGTH];
    struct verdict *verdict;
    uint64_t good_s;

    if (trust->mode == VERIFY_NO) {
        return OUTCOME_OK;
    }
    if (chain == NULL) {
        return OUTCOME_SERVER_CERT_INVALID;
    }
    if (trust->mode == VERIFY_ALWAYS) {
        return verify_in_full(trust, chain, &good_s);
    }
    hash_chain(trust, chain, key);
    verdict = &trust->verdicts[key[0] % N_VERDICTS];
    if (now_ns >= verdict->expires_ns || memcmp(verdict->key, key, sizeof key) != 0) {
        verdict->outcome = verify_in_full(trust, chain, &good_s);
        verdict->expires_ns = now_ns + good_s * NS_PER_S;
        memcpy(verdict->key, key, sizeof key);
    }
    return verdict->outcome;
}
