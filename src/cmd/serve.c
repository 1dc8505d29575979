#include "cmd/commands.h"

#include "base/diag.h"
#include "base/mem.h"
#include "base/mono.h"
#include "base/str.h"
#include "base/unit.h"
#include "cmd/planting.h"
#include "demo/serve.h"

#include <stdio.h>

static const struct cli_option options[] = {
    {"listen", 0, "ADDR:PORT", "where to listen (default: 127.0.0.1:0, a free port)"},
    {"ca", 0, "FILE", "CA that client certificates must come from"},
    {"cert", 0, "FILE", "the server's certificate chain"},
    {"key", 0, "FILE", "its private key"},
    {"apikey-secret", 0, "FILE", "ask for API keys tagged with this secret"},
    {"jwt-secret", 0, "FILE", "ask for JWTs signed with this secret"},
    {"jwt-key", 0, "FILE",
     "ask for JWTs signed with this key (public in PEM; private for --oauth)"},
    {"jwks", 0, "FILE", "ask for JWTs signed with a key of this set, read again when it changes"},
    {"jwt-alg", 0, "ALG",
     "the only algorithm of JWTs (default: HS256 with --jwt-secret, else ES256)"},
    {"audience", 0, "NAME", "ask for JWTs with this audience"},
    {"jwt-bound", 0, NULL, "ask for JWTs that are bound to the client's certificate"},
    {"crl", 0, "FILE", "refuse client certificates that are revoked in this list"},
    {"oauth", 0, "PATH", "issue JWTs there to clients by their certificates (OAuth 2)"},
    {"token-lifetime", 0, "DURATION", "life of a JWT that is issued (default: 5m)"},
    {"leak", 'l', "DRIVER=SIZE", "keep SIZE bytes per event of DRIVER (may be repeated)"},
    {"innocent", 'i', "KIND", "look leaky without leaking"},
    {"cap", 0, "N", "entries of bounded stores (default: 2000)"},
    {"ttl", 0, "DURATION", "life of an entry (default: 15s)"},
    {"sweep", 0, "DURATION", "period of the sweeper (default: 3s)"},
    {"payload", 0, "SIZE", "size of an entry of a look-alike (default: 1KiB)"},
    {"late", 0, "DURATION", "start to leak only after this time"},
    {"fd-leak", 0, NULL, "keep a descriptor per connection"},
    {"thread-leak", 0, NULL, "keep a thread per connection"},
    {"crash-at", 0, "DURATION", "abort after this time"},
    {"poison", 0, NULL, "answer nothing but 500 after one bad token"},
    {"truth", 0, "FILE", "write what is really kept, one JSON line a second"},
    {"watch-stdin", 0, NULL, "end when standard input ends (for tests)"},
    {NULL, 0, NULL, NULL},
};

static void read_seconds(const struct cli *cli, const char *name, double *ret_s, struct diag *diag)
{
    const char *text = cli_value(cli, name, NULL);
    uint64_t ns;

    if (text == NULL) {
        return;
    }
    if (unit_parse_duration(text, &ns)) {
        *ret_s = (double)ns / 1e9;
    } else {
        CLEANUP_FREE char *option = xasprintf("--%s", name);
        diag_add(diag, (struct origin){option, 0}, "\"%s\" is not a duration (15s)", text);
    }
}

static void read_sizes(const struct cli *cli, struct serve_options *serve, struct diag *diag)
{
    const char *cap = cli_value(cli, "cap", NULL);
    const char *payload = cli_value(cli, "payload", NULL);
    double ttl_s = 15, sweep_s = 3, bytes = 1024;

    serve->cap = 2000;
    if (cap != NULL && (!str_to_u64(cap, &serve->cap) || serve->cap == 0)) {
        diag_add(diag, (struct origin){"--cap", 0}, "\"%s\" is not a number above 0", cap);
    }
    if (payload != NULL && (!unit_parse_bytes(payload, &bytes) || bytes < 1)) {
        diag_add(diag, (struct origin){"--payload", 0}, "\"%s\" is not a size (1KiB)", payload);
    }
    read_seconds(cli, "ttl", &ttl_s, diag);
    read_seconds(cli, "sweep", &sweep_s, diag);
    read_seconds(cli, "late", &serve->late_s, diag);
    read_seconds(cli, "crash-at", &serve->crash_at_s, diag);
    serve->ttl_s = (uint64_t)ttl_s;
    serve->sweep_s = sweep_s < 1 ? 1 : (uint64_t)sweep_s;
    serve->payload = (uint64_t)bytes;
}

static void read_tokens(const struct cli *cli, struct serve_options *serve, struct diag *diag)
{
    static const char *const names[] = {
        [JWT_HS256] = "HS256", [JWT_HS384] = "HS384", [JWT_HS512] = "HS512", [JWT_RS256] = "RS256",
        [JWT_PS256] = "PS256", [JWT_ES256] = "ES256", [JWT_ES384] = "ES384", [JWT_EDDSA] = "EdDSA"};
    const char *alg = cli_value(cli, "jwt-alg",
                                serve->jwt_key != NULL || serve->jwks != NULL ? names[JWT_ES256]
                                                                              : names[JWT_HS256]);
    int found = str_index(alg, names, sizeof names / sizeof *names);

    if (found < 0) {
        diag_add(diag, (struct origin){"--jwt-alg", 0},
                 "unknown algorithm %s (HS256, HS384, HS512, RS256, PS256, ES256, ES384, EdDSA)",
                 alg);
    } else {
        serve->jwt_alg = (enum jwt_alg)found;
    }
    serve->token_lifetime_s = 300;
    read_seconds(cli, "token-lifetime", &serve->token_lifetime_s, diag);
    if (serve->token_lifetime_s < 1) {
        diag_add(diag, (struct origin){"--token-lifetime", 0}, "must be a second or more");
    }
}

static void require(const struct cli *cli, const char *name, struct diag *diag)
{
    if (cli_value(cli, name, NULL) == NULL) {
        diag_add(diag, (struct origin){"serve", 0},
                 "--%s FILE is missing (tlsoak pki DIR makes one)", name);
    }
}

static int run(const struct cli *cli)
{
    struct diag *diag = diag_new();
    struct serve_options serve = {
        .listen = cli_value(cli, "listen", "127.0.0.1:0"),
        .ca = cli_value(cli, "ca", NULL),
        .cert = cli_value(cli, "cert", NULL),
        .key = cli_value(cli, "key", NULL),
        .apikey_secret = cli_value(cli, "apikey-secret", NULL),
        .jwt_secret = cli_value(cli, "jwt-secret", NULL),
        .jwt_key = cli_value(cli, "jwt-key", NULL),
        .jwks = cli_value(cli, "jwks", NULL),
        .audience = cli_value(cli, "audience", NULL),
        .jwt_bound = cli_flag(cli, "jwt-bound"),
        .crl = cli_value(cli, "crl", NULL),
        .oauth = cli_value(cli, "oauth", NULL),
        .truth = cli_value(cli, "truth", NULL),
        .fd_leak = cli_flag(cli, "fd-leak"),
        .thread_leak = cli_flag(cli, "thread-leak"),
        .poison = cli_flag(cli, "poison"),
        .watch_stdin = cli_flag(cli, "watch-stdin"),
    };
    int code = 2;

    require(cli, "ca", diag);
    require(cli, "cert", diag);
    require(cli, "key", diag);
    read_sizes(cli, &serve, diag);
    read_tokens(cli, &serve, diag);
    if (planting_read(cli, &serve, diag) && diag_count(diag) == 0) {
        code = serve_run(&serve, diag);
    }
    diag_print(diag, stderr);
    diag_free(diag);
    return code;
}

const struct command command_serve = {
    .name = "serve",
    .arguments = "--ca FILE --cert FILE --key FILE [--listen ADDR:PORT] [OPTION]...",
    .summary = "the embedded mTLS server, with leaks planted on demand",
    .details =
        "Prints one line READY {\"addr\": ..., \"pid\": ...} when it accepts. Ends on SIGTERM.\n"
        "On SIGHUP it reads certificate, key, CA and CRL again, for the connections to come: a\n"
        "rotation, of which --leak rotation=SIZE keeps so much (POST /rotate only counts as one).",
    .options = options,
    .run = run,
    .more_help = planting_help,
};
