/* The plan: a profile resolved, checked and frozen.  Nothing after it reads text; workers share it
 * const.  Every field that a user can set has one row in the option table (options.c); the rest is
 * derived by plan_check.  Lists hold at least what the table says is required; strings that the
 * user left out are NULL. */
#ifndef PROFILE_PLAN_H
#define PROFILE_PLAN_H

#include "base/diag.h"
#include "base/ipnet.h"
#include "record/driver.h"
#include "record/limit.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum verify_mode { VERIFY_ALWAYS, VERIFY_CACHED, VERIFY_NO };
enum tls_version { TLS_VERSION_1_2, TLS_VERSION_1_3 };
/* What HTTP is offered by ALPN, the preferred first. */
enum alpn { ALPN_H1, ALPN_H2, ALPN_H2_H1, ALPN_H1_H2 };
enum pace_mode {
    PACE_CLOSED,   /* each connection asks again when it was answered */
    PACE_OPEN,     /* exchanges fall due */
    PACE_HOLD,     /* the same, so that each connection is used once in keepalive */
    PACE_CHURN,    /* connections fall due, each for some exchanges */
    PACE_HANDSHAKE /* handshakes fall due, for nothing more */
};
enum arrivals { ARRIVALS_CONSTANT, ARRIVALS_POISSON, ARRIVALS_REPLAY };
enum cert_source { CERT_MINT, CERT_FILES, CERT_PKCS12 };
enum key_type {
    KEY_ECDSA_P256,
    KEY_ECDSA_P384,
    KEY_RSA_2048,
    KEY_RSA_3072,
    KEY_RSA_4096,
    KEY_ED25519
};
enum jwt_alg {
    JWT_HS256,
    JWT_HS384,
    JWT_HS512,
    JWT_RS256,
    JWT_PS256,
    JWT_ES256,
    JWT_ES384,
    JWT_EDDSA
};
enum pick { PICK_SEQUENTIAL, PICK_RANDOM, PICK_ZIPF, PICK_FRESH /* never repeating */ };
enum rotate_kind { ROTATE_NEVER, ROTATE_CONNECTION, ROTATE_USES, ROTATE_EVERY };
/* What a [refuse] presents that a server must not let in. */
enum bad_cert {
    BAD_CERT_NOT,           /* a good one, or none where the identity has none */
    BAD_CERT_NONE,          /* no certificate at all */
    BAD_CERT_EXPIRED,       /* ended an hour ago */
    BAD_CERT_NOT_YET_VALID, /* begins in a day */
    BAD_CERT_UNKNOWN_CA,    /* issued by a CA made up for the run, with the real one's name */
    BAD_CERT_SELF_SIGNED,
    BAD_CERT_WRONG_USAGE, /* for servers only (extended key usage) */
    BAD_CERT_REVOKED,     /* from refuse.path; the server has the CRL */
    BAD_CERT_WRONG_KEY,   /* a good one, the handshake signed with another key */
    BAD_CERT_FILE         /* from refuse.path, whatever is wrong with it */
};
enum bad_jwt {
    BAD_JWT_NOT,
    BAD_JWT_NONE,
    BAD_JWT_EXPIRED,
    BAD_JWT_WRONG_SIGNATURE,
    BAD_JWT_ALG_NONE,
    BAD_JWT_WRONG_AUDIENCE,
    BAD_JWT_HS256_PUBLIC_KEY, /* HMAC with the server's public key, in PEM, as the secret */
    BAD_JWT_OTHER_CERTIFICATE /* good, but bound to another client's certificate */
};
enum bad_apikey { BAD_APIKEY_NOT, BAD_APIKEY_NONE, BAD_APIKEY_UNKNOWN };
/* What a [misuse] does to the server. */
enum misuse_act {
    MISUSE_HALF_OPEN,        /* TCP stands and nothing is sent */
    MISUSE_HANDSHAKE_STOP,   /* closed in the TLS handshake, after one flight or another */
    MISUSE_ABORT_BODY,       /* closed when half of a request's body is sent */
    MISUSE_ABANDON_RESPONSE, /* closed before the response, or when it begins */
    MISUSE_EARLY_CLOSE,      /* close_notify and FIN right behind the request */
    MISUSE_RESET,            /* RST after a good exchange */
    MISUSE_NO_CLOSE_NOTIFY,  /* FIN without close_notify after a good exchange */
    MISUSE_SLOW_SEND,        /* the head a few bytes at a time */
    MISUSE_SLOW_READ,        /* the response a few bytes at a time */
    MISUSE_OVERSIZED_HEADER, /* more than a server should take */
    MISUSE_PLAIN_HTTP,       /* HTTP where TLS is spoken */
    MISUSE_H2_DISCONNECT,    /* HTTP/2: closed with requests in flight */
    MISUSE_H2_RESET,         /* HTTP/2: each request reset right behind its HEADERS */
    MISUSE_COUNT
};
enum misuse_stage {
    STAGE_EACH,          /* all that the kind has, in turn */
    STAGE_HELLO,         /* handshake-stop: the client's hello is sent */
    STAGE_SERVER_FLIGHT, /* the server's answer to it has come */
    STAGE_CLIENT_FLIGHT, /* the client's certificate and Finished are sent */
    STAGE_REQUEST,       /* abandon-response: the request is sent */
    STAGE_FIRST_BYTE     /* its response begins to come */
};
enum misuse_end { END_RESET, END_FIN };
enum memory_source {
    MEMORY_SOURCE_PROCESS,
    MEMORY_SOURCE_COMMAND,
    MEMORY_SOURCE_CGROUP,
    MEMORY_SOURCE_PROMETHEUS
};
/* Of a control group: anonymous memory, all that is charged to it, the kernel's, of sockets. */
enum cgroup_metric { CGROUP_ANON, CGROUP_CURRENT, CGROUP_KERNEL, CGROUP_SOCK, CGROUP_METRICS };
/* What forces a collection before a reading: the source's own command, another, a GET. */
enum settle_by { SETTLE_NOT, SETTLE_ITSELF, SETTLE_COMMAND, SETTLE_HTTP, SETTLE_HTTPS };
enum attribution_mode {
    ATTRIBUTION_OFF,
    ATTRIBUTION_CROSSOVER,
    ATTRIBUTION_MODULATION,
    ATTRIBUTION_PAIRS /* one factor, on and off in pairs whose order a coin decides */
};

enum phase_until { PHASE_UNTIL_DURATION, PHASE_UNTIL_SETTLED };

#define PLAN_IDENTITIES_MAX 16
#define PLAN_REFUSES_MAX    16
#define PLAN_MISUSES_MAX    16
#define PLAN_PHASES_MAX     64
#define PLAN_ALLOWED_MAX    16
#define PLAN_SEARCH_STEPS   64 /* the most of one search */
/* There are two without a name beside them. */
#define PLAN_NAMED_LIMITS_MAX (LIMITS_MAX - 2)
#define PLAN_SOURCES_MAX      16

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
    uint64_t repeat_phases;            /* how often the phases are gone through */
    char *dir;                         /* run directory; NULL: tlsoak-run-ID */
};

/* One of target.allow. */
struct plan_allowed {
    char *name;       /* as it is dialled; NULL: a network or an address */
    struct ipnet net; /* where it is one */
    uint16_t port;    /* 0: any */
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
    char *alpn_text;         /* what ALPN offers; of https one of the lists of enum alpn */
    char *ciphers;           /* BoringSSL's cipher list, TLS 1.2 only; NULL: the library's */
    char *groups;            /* "X25519:P-256" */
    bool ocsp;               /* ask for a stapled OCSP response (RFC 6066, section 8) */
    bool sct;                /* ask for certificate timestamps (RFC 6962, section 3.3.1) */
    double key_update_bytes; /* TLS 1.3: between two updates of a connection's keys; 0: never */
    bool early_data;         /* TLS 1.3: GET and HEAD go with the hello of a resumed session */
    bool expect_mtls; /* before the load, a connection without a certificate must be refused */
    uint64_t timeout_connect_ns;
    uint64_t timeout_handshake_ns;
    uint64_t timeout_first_byte_ns;
    uint64_t timeout_exchange_ns;
    uint64_t timeout_ping_ns; /* HTTP/2: silence before a PING, and time for its answer; 0: none */
    char *allow;              /* what may be loaded beside loopback; NULL: nothing was named */
    double max_rate_per_s;    /* ceilings, 0: the policy's own away from loopback, none on it */
    uint64_t max_connections;
    double max_misuse;   /* share of the attempts that are bad on purpose */
    char *source;        /* addresses and networks to connect from; NULL: the system's choice */
    bool reset_on_close; /* RST instead of FIN, which leaves no TIME_WAIT */
    /* derived from allow and source by plan_check: */
    struct plan_allowed allowed[PLAN_ALLOWED_MAX];
    size_t n_allowed;
    struct ipnet sources[PLAN_SOURCES_MAX];
    size_t n_sources;
    /* derived from url, alpn_text, connect_to, host and sni by plan_check: */
    bool raw;        /* tls://: bytes are sent and expected as they are written, no HTTP */
    enum alpn alpn;  /* of https */
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
    double rate_per_s; /* starts a second, all workers together; hold: derived; closed: none */
    enum arrivals arrivals;
    char *replay;             /* file of due times; NULL: none */
    uint64_t replay_every_ns; /* it begins again this often; 0: it is played once */
    uint64_t *replay_ns;      /* derived, as the next: never decreasing, since the start */
    size_t n_replay;
    double replay_peak_per_s; /* the most of them in any second */
    uint64_t connections;     /* held open, all workers together */
    /* ramp: new connections a second at the start; 0: as fast as handshakes allow */
    double connect_rate_per_s;
    uint64_t think_time_ns;           /* closed, churn: pause between exchanges of a connection */
    uint64_t keepalive_ns;            /* hold: from one request of a connection to its next */
    uint64_t requests_per_connection; /* 0: as many as the server allows */
    uint64_t streams;                 /* HTTP/2: exchanges at one time on a connection */
    double resume_ratio;              /* share of reconnects that offer to resume a session */
};

struct plan_cert {
    char *name;
    struct origin origin; /* of the section */
    enum cert_source source;
    /* files: a PEM file with one or many chains and keys, or a directory of such (NAME.pem, or
     * NAME.crt and NAME.key); pkcs12: a .p12 or .pfx file or a directory of them */
    char *path;
    char *password;         /* pkcs12, or an encrypted PEM key; NULL: none */
    char *ca;               /* mint: PEM certificate of the issuer */
    char *ca_key;           /* mint: its PEM key */
    char *chain;            /* mint: PEM file of intermediates that are sent along; NULL: none */
    uint64_t intermediates; /* mint: CAs made up for the run between ca and the leaves */
    char *intermediate_subject; /* mint: "CN=intermediate-{n}" */
    enum key_type key_type;
    bool key_per_cert; /* a key pair each, or one for all */
    char *subject;     /* "CN=client-{n}" */
    char *san;         /* "DNS:client-{n}.test, URI:spiffe://test/client/{n}"; NULL: none */
    char *key_usage;   /* mint: "digitalSignature, clientAuth" */
    char *serial;      /* mint: template of a decimal or 0x number; NULL: 128 random bits */
    uint64_t lifetime_ns;
    uint64_t renew_before_ns;
    uint64_t count; /* size of the pool; not for pick = fresh */
    struct rotate rotate;
    enum pick pick;
    double exponent;       /* of pick = zipf: the k-th is chosen in proportion to k^-exponent */
    uint64_t retire_after; /* uses after which a new one takes its place; 0: never */
};

struct plan_apikey {
    char *name;
    struct origin origin;
    char *header;   /* "X-API-Key"; "Authorization" where a scheme was given; NULL with query */
    char *scheme;   /* word before the key; NULL: none */
    char *query;    /* name of the query parameter that carries it instead; NULL: a header does */
    char *path;     /* file with a key a line; NULL: generated */
    char *template; /* generated: "client-{n}.{hmac}"; {n}, {uuid}, {run}, {random}, {hmac} */
    char
        *secret; /* key of {hmac}: HMAC-SHA256 over the text before it, hex; from @file or ${VAR} */
    uint64_t count;
    struct rotate rotate;
    enum pick pick;
    double exponent;
    uint64_t retire_after;
};

struct plan_jwt {
    char *name;
    struct origin origin;
    char *header; /* "Authorization" */
    char *scheme; /* "Bearer"; "" for none */
    enum jwt_alg alg;
    /* HS*: the secret; else a private key in PEM; from @file or ${VAR}.  NULL: a key pair made up
     * for the run, whose public half goes to the file jwks */
    char *key;
    char *kid;  /* template; {key} is the signing key's number; NULL: none, key-{key} with jwks */
    char *jose; /* JSON object: more members of the token's header; NULL: none */
    /* JSON object with {n}, {uuid}, {run}; iat, nbf, exp and jti are added where absent */
    char *claims;
    uint64_t claim_size;    /* claims are padded to this many bytes by a member "pad"; 0: not */
    char *jwks;             /* public keys are written to this file (RFC 7517); NULL: not */
    uint64_t key_rotate_ns; /* a new signing key this often; 0: never */
    bool bind_certificate;  /* cnf.x5t#S256 of the identity's certificate (RFC 8705, section 3.1) */
    char *path;             /* file with a token a line; NULL: signed here or fetched */
    /* OAuth 2 token endpoint: client credentials (RFC 6749, section 4.4), the identity's
     * certificate as the client's (RFC 8705, section 2); NULL: none */
    char *token_url;
    char *client_id;     /* template */
    char *client_secret; /* template; NULL: the certificate alone authenticates */
    char *token_params;  /* more form parameters, a template: "scope=read&audience=x"; NULL: none */
    char *token_ca;      /* PEM file; NULL: target.server_ca */
    uint64_t lifetime_ns;
    uint64_t renew_before_ns;
    uint64_t count;
    struct rotate rotate;
    enum pick pick;
    double exponent;
    uint64_t retire_after;
    struct plan_target token_target; /* derived from token_url, for net; not with token_url NULL */
};

/* A kind of client: which certificate, key and token it has.  Without such a section there is one
 * that has whatever [cert], [apikey] and [jwt] there are, each rotating for itself. */
struct plan_identity {
    char *name;
    struct origin origin;
    char *cert, *apikey, *jwt; /* names of sections; NULL: none */
    double weight;             /* share of the connections */
    bool bound; /* client n always presents certificate n, key n and token n (the default) */
    /* derived: the sections; NULL: none */
    const struct plan_cert *with_cert;
    const struct plan_apikey *with_apikey;
    const struct plan_jwt *with_jwt;
};

#define EXPECT_STATUSES 8

/* How a refusal must look. */
struct expect {
    bool any;         /* an alert, 400, 401, 403, 495, 496, or closed without a response */
    bool alert;       /* any TLS alert */
    char *alert_name; /* this one ("unknown_ca"); NULL: any */
    uint16_t status[EXPECT_STATUSES];
    size_t n_status;
};

struct plan_refuse {
    char *name;
    struct origin origin;
    enum bad_cert cert;
    enum bad_jwt jwt;
    enum bad_apikey apikey;
    char *identity;       /* whose other parts are presented; NULL: the first */
    char *path;           /* PEM file with chain and key: cert = revoked and cert = file */
    double share;         /* of all attempts: refusals / (refusals + exchanges) */
    char *expect_text;    /* "any", "alert", "alert unknown_ca", "401, 403" */
    struct expect expect; /* derived */
    const struct plan_identity *base; /* derived */
};

struct plan_misuse {
    char *name;
    struct origin origin;
    enum misuse_act kind;
    double share;     /* of all attempts: misuses / (misuses + refusals + exchanges) */
    uint64_t hold_ns; /* the longest that one lasts once TCP stands; 0 is resolved by plan_check */
    enum misuse_stage stage;
    enum misuse_end end; /* of abort-body, abandon-response and h2-disconnect */
    double size_bytes;   /* of an oversized header */
    uint64_t streams;    /* of h2-disconnect and h2-reset, on each connection */
};

struct plan_header {
    char *name;
    char *value;
    bool secret; /* by its name: never shown */
};

#define REQUEST_PLACES 8

/* Where a credential stands in what is sent. */
struct plan_place {
    size_t at, len; /* of "{apikey}" or "{jwt}" */
    bool jwt;
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
    /* tls:// has these instead, and at most one of the three that say what is expected; with none
     * of them an exchange is done when the bytes are sent */
    char *send; /* {apikey} and {jwt} stand for the client's; NULL: the server speaks first */
    size_t send_len;
    char *expect; /* exactly these bytes; NULL: none */
    size_t expect_len;
    char *expect_until; /* any bytes up to the first of these, and them; NULL: none */
    size_t expect_until_len;
    double expect_bytes;                      /* so many, whatever they are; 0: none */
    struct plan_place places[REQUEST_PLACES]; /* derived, as the next: in the order of `send` */
    size_t n_places;
};

/* A stretch of the run; plan_check gives what was left out its value of [pace]. */
struct plan_phase {
    char *name;
    struct origin origin;
    uint64_t duration_ns; /* the longest, with PHASE_UNTIL_SETTLED */
    uint64_t ramp_ns;     /* from the rate and connections of the end of the phase before */
    bool idle;            /* nothing begins */
    enum phase_until until;
    double rate_per_s;
    uint64_t connections; /* idle: those that are held open */
    double connect_rate_per_s;
    uint64_t think_time_ns;
    uint64_t requests_per_connection;
    double resume_ratio;
};

#define PLAN_LABELS_MAX 8

/* A label that a metric's sample carries. */
struct plan_label {
    char *name, *value;
};

struct plan_memory {
    char *name;
    struct origin origin;
    enum memory_source source;
    /* at most one of these says which process; none: the one that listens on the target's port,
     * which source = command can do without */
    int64_t pid; /* 0: not given */
    char *pid_file;
    char *process;            /* name, as in /proc/PID/comm */
    uint64_t port;            /* 0: not given */
    char *exec;               /* command line that tlsoak starts and ends */
    char *command;            /* source = command: prints the bytes that the server uses; {pid} */
    char *path;               /* source = cgroup: directories, a pattern of glob(7) */
    char *url;                /* source = prometheus: the page of metrics */
    char *metric;             /* cgroup, prometheus: what is judged; NULL: resolved by plan_check */
    char *match;              /* prometheus: labels of the samples that are summed; NULL: all */
    char *client_cert;        /* of an https url: PEM file; NULL: the first identity's [cert] */
    char *server_ca;          /* of an https url: PEM file; NULL: target.server_ca */
    char *settle;             /* command or URL that comes before each reading, {pid}; NULL: none */
    uint64_t every_ns;        /* 0 is resolved by plan_check, here and below */
    uint64_t deadline_ns;     /* of one reading, with what settles it */
    double limit_bytes;       /* for the forecast; 0: none */
    double stop_at_bytes;     /* the run ends before memory is as large; 0: whatever it is */
    enum settle_by settle_by; /* derived, as all that follows */
    struct plan_target settle_target; /* of a URL, for net */
    char *column; /* cgroup, prometheus: of the series, such as "jvm_memory_used_bytes" */
    enum cgroup_metric cgroup_metric;
    struct plan_label labels[PLAN_LABELS_MAX];
    size_t n_labels;
    bool scrapes_tls;                  /* url is https */
    struct plan_target scrape_target;  /* of url, for net */
    struct plan_cert own_cert;         /* of client_cert */
    const struct plan_cert *with_cert; /* that is presented there; NULL: none */
};

struct plan_judge {
    double warmup; /* share of the run left out at its start; 0: the judge's own cuts */
    double budget
        [DRIVER_COUNT]; /* bytes per event (time: per second) that are allowed; <0: not given */
    double expect_bound
        [DRIVER_COUNT];     /* entries that a bounded store of the server holds; 0: none declared */
    uint64_t expect_ttl_ns; /* 0: none declared */
    uint64_t period_ns;     /* of the load, such as a day; 0: the judge's own */
    bool stop_early;        /* attribution.mode = pairs: end when the leak is proven */
};

struct plan_attribution {
    enum attribution_mode mode;
    enum driver factor; /* of mode = pairs; not time, not resumption */
    uint64_t dwell_ns;
    uint64_t warmup_ns;   /* steady load before the first dwell, and before `steady` */
    uint64_t steady_ns;   /* more of it, which is judged */
    uint64_t duration_ns; /* of all dwells; 0: what the rest of the run leaves */
    uint64_t cooldown_ns; /* no load at the end */
};

/* "25ms for 10s abort after 30s" */
struct plan_terms {
    double bound; /* first, where types of plain numbers find it; in the unit of struct limit */
    uint64_t for_ns;
    bool aborts;
    uint64_t after_ns;
};

/* A limit whose key holds a name. */
struct plan_named_limit {
    char *key; /* "latency.response.p99.max" */
    struct plan_terms terms;
};

struct plan_limit {
    struct plan_named_limit named[PLAN_NAMED_LIMITS_MAX]; /* in the order of the profile */
    size_t n_named;
    struct plan_terms errors_ratio_max; /* these two: whether they are given is in `list` */
    struct plan_terms rate_reached_min;
    struct limit list[LIMITS_MAX]; /* derived: all of them */
    size_t n;
};

struct plan_search {
    double from_per_s;
    double to_per_s; /* 0: no search */
    uint64_t step_ns, ramp_ns, rest_ns;
    double precision;
};

/* Commands for sh -c, with {pid} and {run}; NULL: none. */
struct plan_hook {
    char *rotate;   /* rotates something on the server */
    char *on_start; /* before the load */
    char *on_leak;  /* when a leak is called, during the load or at its end */
    char *on_end;   /* after it */
    uint64_t every_ns;
    uint64_t deadline_ns; /* of one command */
};

struct plan_output {
    char *listen;  /* where /metrics is served; NULL: nowhere */
    char *formats; /* names of reports; NULL: as cmd/reports.c says */
    char *history; /* CSV that gets a line of each run; NULL: none */
};

struct plan {
    struct plan_run run;
    struct plan_target target;
    struct plan_pace pace;
    struct plan_judge judge;
    struct plan_attribution attribution;
    struct plan_limit limit;
    struct plan_search search;
    struct plan_hook hook;
    struct plan_output output;
    struct plan_cert *certs;
    size_t n_certs;
    struct plan_apikey *apikeys;
    size_t n_apikeys;
    struct plan_jwt *jwts;
    size_t n_jwts;
    struct plan_identity *identities; /* at least one, made up when none was written */
    size_t n_identities;
    struct plan_refuse *refuses;
    size_t n_refuses;
    struct plan_misuse *misuses;
    size_t n_misuses;
    struct plan_request *requests; /* at least one: GET of the URL's path when none was written */
    size_t n_requests;
    struct plan_phase *phases; /* none: the whole run is as [pace] says */
    size_t n_phases;
    struct plan_memory *memories;
    size_t n_memories;
    struct plan_store *store; /* owns strings and origins; opaque */
};

/* The most that any time of the run asks for. */
struct plan_peak {
    double rate_per_s;      /* of starts; 0 in a closed loop */
    double exchanges_per_s; /* so far as the plan tells */
    double dials_per_s;     /* new connections, so far as the plan tells */
    bool is_unbounded;      /* some time has a closed loop without pauses */
    uint64_t connections;
    double resume_ratio;
};

/* Of tls://: does the exchange wait for a reply? */
static inline bool plan_request_expects(const struct plan_request *request)
{
    return request->expect != NULL || request->expect_until != NULL || request->expect_bytes >= 1;
}
struct plan_peak plan_peak(const struct plan *plan);
/* Where the value of a field came from: the address of the field in the plan, such as
 * &plan->certs[0].ca.  file:line of the profile, "--set", or "default" with line 0. */
struct origin plan_origin(const struct plan *plan, const void *field);
/* The value at that address was written with ${VARIABLE} or as @file, so it may be secret. */
bool plan_is_reference(const struct plan *plan, const void *field);
/* Its text as it was written then, "@/full/path" of a file; else NULL.  Borrows from the plan. */
const char *plan_written(const struct plan *plan, const void *field);
void plan_free(struct plan *plan);

#endif
