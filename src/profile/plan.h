/* The plan: a profile resolved, checked and frozen.  Nothing after it reads text; workers share it
 * const.  Every field that a user can set has one row in the option table (options.c); the rest is
 * derived by plan_check.  Lists hold at least what the table says is required; strings that the
 * user left out are NULL. */
#ifndef PROFILE_PLAN_H
#define PROFILE_PLAN_H

#include "base/diag.h"
#include "record/driver.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum verify_mode { VERIFY_ALWAYS, VERIFY_CACHED, VERIFY_NO };
enum tls_version { TLS_VERSION_1_2, TLS_VERSION_1_3 };
enum pace_mode { PACE_CLOSED, PACE_OPEN };
enum arrivals { ARRIVALS_CONSTANT, ARRIVALS_POISSON };
enum cert_source { CERT_MINT, CERT_FILES };
enum key_type { KEY_ECDSA_P256, KEY_RSA_2048, KEY_ED25519 };
enum jwt_alg { JWT_HS256, JWT_RS256, JWT_ES256, JWT_EDDSA };
enum pick { PICK_SEQUENTIAL, PICK_RANDOM, PICK_FRESH /* never repeating */ };
enum rotate_kind { ROTATE_NEVER, ROTATE_CONNECTION, ROTATE_USES, ROTATE_EVERY };
enum attribution_mode { ATTRIBUTION_OFF, ATTRIBUTION_CROSSOVER };

/* "connection", "never", "30s", "50 uses", "request" (= 1 uses). */
struct rotate {
    enum rotate_kind kind;
    uint64_t uses;
    uint64_t every_ns;
};

struct plan_run {
    uint64_t duration_ns;
    uint64_t threads; /* 0: as many as cores; resolved by plan_check */
    uint64_t seed;
    uint64_t max_in_flight_handshakes; /* all workers together */
    uint64_t drain_ns;                 /* time that exchanges in flight get at the end */
    char *dir;                         /* run directory; NULL: tlsoak-run-ID */
};

struct plan_target {
    char *url;
    char *connect_to; /* host:port or ip:port dialled instead of the URL's; NULL: the URL's */
    char *host;       /* Host header; NULL: the URL's */
    char *sni;        /* NULL: the URL's host name, none for an address; "" : none */
    char *server_ca;  /* PEM file; NULL: the system's store */
    enum verify_mode verify;
    enum tls_version tls_min;
    enum tls_version tls_max;
    char *ciphers; /* BoringSSL's cipher list, TLS 1.2 only; NULL: the library's */
    char *groups;  /* "X25519:P-256" */
    uint64_t timeout_connect_ns;
    uint64_t timeout_handshake_ns;
    uint64_t timeout_first_byte_ns;
    uint64_t timeout_exchange_ns;
    /* derived from url, connect_to, host and sni by plan_check: */
    char *url_host;  /* without brackets */
    char *dial_host; /* name or address to resolve */
    uint16_t dial_port;
    char *url_path;    /* path and query, "/" at least */
    char *host_header; /* with the port where it is not 443 */
    char *server_name; /* SNI to send; NULL: none */
    char *verify_name; /* DNS name or address that the server's certificate must carry */
};

struct plan_pace {
    enum pace_mode mode;
    double rate_per_s; /* open: exchanges a second, all workers together */
    enum arrivals arrivals;
    uint64_t connections; /* held open, all workers together */
    /* ramp: new connections a second at the start; 0: as fast as handshakes allow */
    double connect_rate_per_s;
    uint64_t think_time_ns;           /* closed: pause between exchanges of a connection */
    uint64_t requests_per_connection; /* 0: as many as the server allows */
    double resume_ratio;              /* share of reconnects that offer the last session */
};

struct plan_cert {
    char *name;
    struct origin origin; /* of the section */
    enum cert_source source;
    /* files: a PEM file with chain and key, or a directory of them (NAME.pem, or NAME.crt and
     * NAME.key) */
    char *path;
    char *ca;     /* mint: PEM certificate of the issuer */
    char *ca_key; /* mint: its PEM key */
    enum key_type key_type;
    bool key_per_cert; /* a key pair each, or one for all */
    char *subject;     /* "CN=client-{n}" */
    char *san;         /* "DNS:client-{n}.test, URI:spiffe://test/client/{n}"; NULL: none */
    uint64_t lifetime_ns;
    uint64_t renew_before_ns;
    uint64_t count; /* size of the pool; not for pick = fresh */
    struct rotate rotate;
    enum pick pick;
};

struct plan_apikey {
    char *name;
    struct origin origin;
    char *header;   /* "X-API-Key" */
    char *path;     /* file with a key a line; NULL: generated */
    char *template; /* generated: "client-{n}.{hmac}"; {n}, {uuid}, {run}, {random}, {hmac} */
    char
        *secret; /* key of {hmac}: HMAC-SHA256 over the text before it, hex; from @file or ${VAR} */
    uint64_t count;
    struct rotate rotate;
    enum pick pick;
};

struct plan_jwt {
    char *name;
    struct origin origin;
    char *header; /* "Authorization" */
    char *scheme; /* "Bearer"; "" for none */
    enum jwt_alg alg;
    char *key; /* HS256: the secret; else a private key in PEM; from @file or ${VAR} */
    char *kid; /* NULL: none */
    /* JSON object with {n}, {uuid}, {run}; iat, nbf, exp and jti are added where absent */
    char *claims;
    uint64_t lifetime_ns;
    uint64_t renew_before_ns;
    uint64_t count;
    struct rotate rotate;
    enum pick pick;
};

struct plan_header {
    char *name;
    char *value;
    bool secret; /* by its name: never shown */
};

struct plan_request {
    char *name;
    struct origin origin;
    char *method;
    char *path; /* NULL: the URL's */
    struct plan_header *headers;
    size_t n_headers;
    char *body; /* NULL: none */
    size_t body_len;
    double weight;
    uint64_t expect_status; /* 0: any 2xx */
};

struct plan_memory {
    char *name;
    struct origin origin;
    /* source = process: exactly one of these says which; none: the process that listens on the
     * port */
    int64_t pid; /* 0: not given */
    char *pid_file;
    char *process;        /* name, as in /proc/PID/comm */
    uint64_t port;        /* 0: not given */
    char *exec;           /* command line that tlsoak starts and ends */
    uint64_t every_ns;    /* 0: 200 ms in runs below 5 minutes, else 1 s; resolved by plan_check */
    uint64_t deadline_ns; /* of one reading */
    double limit_bytes;   /* for the forecast; 0: none */
};

struct plan_judge {
    double warmup; /* share of the run left out at its start; 0: the judge's own cuts */
    double budget
        [DRIVER_COUNT]; /* bytes per event (time: per second) that are allowed; <0: not given */
    double expect_bound
        [DRIVER_COUNT];     /* entries that a bounded store of the server holds; 0: none declared */
    uint64_t expect_ttl_ns; /* 0: none declared */
};

struct plan_attribution {
    enum attribution_mode mode;
    uint64_t dwell_ns;
    uint64_t warmup_ns; /* steady load before the first dwell */
};

struct plan {
    struct plan_run run;
    struct plan_target target;
    struct plan_pace pace;
    struct plan_judge judge;
    struct plan_attribution attribution;
    struct plan_cert *certs;
    size_t n_certs;
    struct plan_apikey *apikeys;
    size_t n_apikeys;
    struct plan_jwt *jwts;
    size_t n_jwts;
    struct plan_request *requests; /* at least one: GET of the URL's path when none was written */
    size_t n_requests;
    struct plan_memory *memories;
    size_t n_memories;
    struct plan_store *store; /* owns strings and origins; opaque */
};

/* Where the value of a field came from: the address of the field in the plan, such as
 * &plan->certs[0].ca.  file:line of the profile, "--set", or "default" with line 0. */
struct origin plan_origin(const struct plan *plan, const void *field);
void plan_free(struct plan *plan);

#endif
