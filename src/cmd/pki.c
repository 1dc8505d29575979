#include "cmd/commands.h"

#include "base/diag.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/mono.h"
#include "base/str.h"
#include "base/unit.h"
#include "ident/pki.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct cli_option options[] = {
    {"clients", 'n', "N", "client identities to write (default: 1)"},
    {"names", 0, "LIST", "names and addresses of the server (default: localhost, 127.0.0.1, ::1)"},
    {"key-type", 0, "TYPE",
     "ecdsa-p256, ecdsa-p384, rsa-2048, rsa-3072, rsa-4096 or ed25519 (default: ecdsa-p256)"},
    {"days", 0, "N", "lifetime of the certificates (default: 30; the CA: ten years)"},
    {"bad", 0, NULL, "also identities that a server must refuse, in DIR/bad"},
    {"pkcs12", 0, "FILE", "also the clients as PKCS #12; FILE's first line is the passphrase"},
    {NULL, 0, NULL, NULL},
};

static void read_number(const struct cli *cli, const char *name, uint64_t *ret, struct diag *diag)
{
    const char *text = cli_value(cli, name, NULL);

    if (text != NULL && (!str_to_u64(text, ret) || *ret > 1000000)) {
        CLEANUP_FREE char *option = xasprintf("--%s", name);
        diag_add(diag, (struct origin){option, 0}, "\"%s\" is not a number up to 1,000,000", text);
    }
}

/* The first line of the file that --pkcs12 names, which the caller wipes and frees; NULL when there
 * is none, perhaps with a mistake. */
static char *read_passphrase(const struct cli *cli, struct diag *diag)
{
    const char *path = cli_value(cli, "pkcs12", NULL);

    if (path == NULL) {
        return NULL;
    }
    char *text = file_read(path, 4096, NULL);
    if (text == NULL) {
        diag_add(diag, (struct origin){"--pkcs12", 0}, "%s cannot be read: %s", path,
                 strerror(errno));
        return NULL;
    }
    text[strcspn(text, "\r\n")] = '\0';
    if (text[0] == '\0') {
        diag_add(diag, (struct origin){"--pkcs12", 0}, "%s holds no passphrase", path);
    }
    return text;
}

static bool read_request(const struct cli *cli, const char *passphrase, struct pki_request *ret,
                         struct diag *diag)
{
    /* in the order of enum key_type */
    static const char *const types[] = {"ecdsa-p256", "ecdsa-p384", "rsa-2048",
                                        "rsa-3072",   "rsa-4096",   "ed25519"};
    const char *type = cli_value(cli, "key-type", "ecdsa-p256");
    int index = str_index(type, types, sizeof types / sizeof types[0]);
    uint64_t clients = 1, days = 30;

    if (index < 0) {
        diag_add(diag, (struct origin){"--key-type", 0}, "unknown key type %s", type);
    }
    read_number(cli, "clients", &clients, diag);
    read_number(cli, "days", &days, diag);
    if (days == 0) {
        diag_add(diag, (struct origin){"--days", 0}, "0 days: all would have expired at once");
    }
    *ret = (struct pki_request){
        .dir = cli->rest[0],
        .server_names = cli_value(cli, "names", "localhost, 127.0.0.1, ::1"),
        .key_type = index < 0 ? KEY_ECDSA_P256 : (enum key_type)index,
        .days = days,
        .n_clients = clients,
        .bad = cli_flag(cli, "bad"),
        .pkcs12_password = passphrase,
    };
    return diag_count(diag) == 0;
}

static int run(const struct cli *cli)
{
    struct pki_request request;
    struct diag *diag = diag_new();
    char *passphrase = read_passphrase(cli, diag);
    int code = 2;

    if (read_request(cli, passphrase, &request, diag) && pki_make(&request, diag)) {
        (void)printf("%s: CA (ca.pem) and intermediate (intermediate.pem), their CRLs (crl.pem),\n"
                     "server certificate (server.pem, server.key, both: server-all.pem),\n"
                     "%zu client identities (clients/), secrets for API keys and tokens "
                     "(apikey.secret,\njwt.secret), a key pair for tokens (jwt.key, jwt.pub)%s\n",
                     request.dir, request.n_clients, request.bad ? ",\nbad identities (bad/)" : "");
        code = 0;
    }
    if (passphrase != NULL) {
        explicit_bzero(passphrase, strlen(passphrase));
        free(passphrase);
    }
    diag_print(diag, stderr);
    diag_free(diag);
    return code;
}

const struct command command_pki = {
    .name = "pki",
    .arguments = "DIR [--clients N] [--names LIST] [--bad]",
    .summary = "makes a test CA, a server certificate and client identities",
    .details =
        "Point a server at them (crl.pem only where bad/revoked.pem is to be refused):\n"
        "  nginx    ssl_certificate DIR/server.pem; ssl_certificate_key DIR/server.key;\n"
        "           ssl_client_certificate DIR/ca.pem; ssl_crl DIR/crl.pem; ssl_verify_client on;\n"
        "  haproxy  bind :8443 ssl crt DIR/server-all.pem ca-file DIR/ca.pem crl-file DIR/crl.pem "
        "verify required\n"
        "  Go       tls.Config{ClientCAs: pool of ca.pem, ClientAuth: "
        "tls.RequireAndVerifyClientCert}\n"
        "           (a CRL is yours to look at, in VerifyPeerCertificate)\n"
        "  rustls   WebPkiClientVerifier::builder(roots of ca.pem).with_crls(lists of "
        "crl.pem).build()\n"
        "Tokens: HS256 with jwt.secret, or ES256 with jwt.key, which jwt.pub verifies.\n"
        "bad/via-intermediate.pem is a good one, for servers that must allow no intermediate "
        "(nginx: "
        "ssl_verify_depth 0).",
    .options = options,
    .min_rest = 1,
    .max_rest = 1,
    .run = run,
};
