/* What making identities costs, in CPU time, beside the bare cryptography that it cannot do
 * without: certificates of each key type, tokens of each algorithm, API keys.
 *
 *   bench_mint [--write FILE]    a table; or that, and the section of FILE replaced by it
 *
 * The median of seven repetitions, all rows taking turns in each, so that whatever else the machine
 * does falls on all of them.  Making an RSA key takes a time that chance decides: there the two
 * columns differ by luck alone. */
#include "ident/apikey.h"
#include "ident/cert_parts.h"
#include "ident/crypt.h"
#include "ident/jwt.h"
#include "ident/jwt_key.h"
#include "ident/pki.h"

#include "base/bug.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/mono.h"
#include "base/sink.h"
#include "base/str.h"
#include "base/unit.h"

#include <ftw.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define REPETITIONS 7
#define SLICES      6
#define SLICE_NS    (5 * NS_PER_MS) /* of one column of a row, so often in each repetition */
#define ROWS_MAX    32
#define TBS_BYTES   450 /* about what is signed of a certificate */
#define NAME_MAX_   64

struct row {
    char name[NAME_MAX_];
    void (*make)(const struct row *row, uint64_t n); /* as the tool does */
    void (*bare)(const struct row *row, uint64_t n); /* what cannot be left out; NULL: nothing */
    struct plan_cert cert;
    struct plan_jwt jwt;
    struct plan_apikey apikey;
    EVP_PKEY *key;             /* of the bare column */
    EVP_PKEY *shared;          /* key_per_cert = no */
    struct jwt_signer *signer; /* owns all three */
    size_t signed_len;         /* of a token */
    double made_per_s[REPETITIONS], bare_per_s[REPETITIONS], ratio[REPETITIONS];
};

static struct {
    struct cert_issuer *issuer;
    EVP_PKEY *ca_key;
    struct row rows[ROWS_MAX];
    size_t n_rows;
} bench;

static void make_cert(const struct row *row, uint64_t n)
{
    cert_free(cert_mint(bench.issuer, &row->cert, n, "run", row->shared));
}

static void bare_sign(EVP_PKEY *key, const EVP_MD *md, size_t data_len)
{
    static const unsigned char data[8192];
    unsigned char signature[CRYPT_SIGNATURE];
    size_t len = sizeof signature;
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    BUG_ON(context == NULL || data_len > sizeof data);
    BUG_ON(EVP_DigestSignInit(context, NULL, md, NULL, key) != 1 ||
           EVP_DigestSign(context, signature, &len, data, data_len) != 1);
    EVP_MD_CTX_free(context);
}

/* The CA's signature, and the client's key pair where each has one. */
static void bare_cert(const struct row *row, uint64_t n)
{
    (void)n;
    bare_sign(bench.ca_key, EVP_sha256(), TBS_BYTES);
    if (row->shared == NULL) {
        cert_key_free(cert_key_new(row->cert.key_type));
    }
}

static void make_jwt(const struct row *row, uint64_t n)
{
    size_t len;
    int64_t end_s;
    const struct jwt_order order = {.n = n, .run_id = "run", .now_s = 1700000000};
    free(jwt_mint(row->signer, &order, &len, &end_s));
}

static const EVP_MD *md_of(enum jwt_alg alg)
{
    return alg == JWT_EDDSA                       ? NULL
           : alg == JWT_HS512                     ? EVP_sha512()
           : alg == JWT_HS384 || alg == JWT_ES384 ? EVP_sha384()
                                                  : EVP_sha256();
}

static void bare_jwt(const struct row *row, uint64_t n)
{
    static const unsigned char data[8192];
    unsigned char tag[EVP_MAX_MD_SIZE];
    unsigned len;
    (void)n;
    if (row->key != NULL) {
        bare_sign(row->key, md_of(row->jwt.alg), row->signed_len);
    } else {
        BUG_ON(HMAC(md_of(row->jwt.alg), row->jwt.key, strlen(row->jwt.key), data, row->signed_len,
                    tag, &len) == NULL);
    }
}

static void make_apikey(const struct row *row, uint64_t n)
{
    free(apikey_generate(&row->apikey, n, "run"));
}

static void bare_apikey(const struct row *row, uint64_t n)
{
    unsigned char tag[EVP_MAX_MD_SIZE];
    unsigned len;
    (void)n;
    BUG_ON(HMAC(EVP_sha256(), row->apikey.secret, strlen(row->apikey.secret),
                (const unsigned char *)"client-1000", 11, tag, &len) == NULL);
}

/* CPU time and steps of one column of one row. */
struct cost {
    uint64_t used_ns, n;
};

static void run_slice(const struct row *row, void (*step)(const struct row *row, uint64_t n),
                      struct cost *cost)
{
    uint64_t start_ns = mono_thread_cpu_ns(), used_ns, n = 0;
    do {
        step(row, ++cost->n);
        n++;
        /* The clock is a system call: not for each of what takes a microsecond. */
        used_ns = n < 16 || n % 16 == 0 ? mono_thread_cpu_ns() - start_ns : 0;
    } while (used_ns < SLICE_NS);
    cost->used_ns += used_ns;
}

static double cost_per_s(const struct cost *cost)
{
    return (double)cost->n * (double)NS_PER_S / (double)cost->used_ns;
}

/* The two columns take turns in short slices. */
static void measure_row(struct row *row, int repetition)
{
    struct cost made = {0}, bare = {0};
    for (int i = 0; i < SLICES; i++) {
        run_slice(row, row->make, &made);
        if (row->bare != NULL) {
            run_slice(row, row->bare, &bare);
        }
    }
    row->made_per_s[repetition] = cost_per_s(&made);
    if (row->bare != NULL) {
        row->bare_per_s[repetition] = cost_per_s(&bare);
        row->ratio[repetition] = row->bare_per_s[repetition] / row->made_per_s[repetition];
    }
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static double median(const double values[REPETITIONS])
{
    double sorted[REPETITIONS];
    memcpy(sorted, values, sizeof sorted);
    qsort(sorted, REPETITIONS, sizeof *sorted, by_value);
    return sorted[REPETITIONS / 2];
}

static struct row *row_new(const char *name, void (*make)(const struct row *row, uint64_t n),
                           void (*bare)(const struct row *row, uint64_t n))
{
    struct row *row = &bench.rows[bench.n_rows++];
    BUG_ON(bench.n_rows > ROWS_MAX);
    (void)str_copy(row->name, sizeof row->name, name);
    row->make = make;
    row->bare = bare;
    return row;
}

static void add_certs(const char *ca, const char *ca_key)
{
    static const char *const types[] = {"ECDSA P-256", "ECDSA P-384", "RSA 2048",
                                        "RSA 3072",    "RSA 4096",    "Ed25519"};
    static char subject[] = "CN=client-{n}", usage[] = "digitalSignature, clientAuth";
    static char san[] = "DNS:client-{n}.test";
    static struct plan plan;
    struct diag *diag = diag_new();
    for (int type = 0; type < 6; type++) {
        for (int shared = 0; shared < 2; shared++) {
            CLEANUP_FREE char *name = xasprintf("certificate, %s, %s", types[type],
                                                shared ? "one key for all" : "a key each");
            struct row *row = row_new(name, make_cert, bare_cert);
            row->cert = (struct plan_cert){.ca = (char *)ca,
                                           .ca_key = (char *)ca_key,
                                           .key_type = (enum key_type)type,
                                           .key_per_cert = !shared,
                                           .subject = subject,
                                           .san = san,
                                           .key_usage = usage,
                                           .lifetime_ns = 3600 * NS_PER_S};
            row->shared = shared ? cert_key_new((enum key_type)type) : NULL;
        }
    }
    bench.issuer = cert_issuer_load(&plan, &bench.rows[0].cert, "run", diag);
    diag_print(diag, stderr);
    diag_free(diag);
    BUG_ON(bench.issuer == NULL);
    bench.ca_key = cert_issuer_der(bench.issuer)->key;
}

static void add_jwts(void)
{
    static char secret[] = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    static char claims[] = "{\"sub\":\"client-{n}\",\"iss\":\"https://idp.test\",\"aud\":\"api\"}";
    static struct plan plan;
    struct diag *diag = diag_new();
    for (int alg = JWT_HS256; alg <= JWT_EDDSA; alg++) {
        size_t len;
        int64_t end_s;
        bool hmac = jwt_alg_is_hmac((enum jwt_alg)alg);
        CLEANUP_FREE char *name = xasprintf("token, %s", jwt_alg_name((enum jwt_alg)alg));
        struct row *row = row_new(name, make_jwt, bare_jwt);
        row->jwt = (struct plan_jwt){.alg = (enum jwt_alg)alg,
                                     .key = hmac ? secret : NULL,
                                     .claims = claims,
                                     .lifetime_ns = 3600 * NS_PER_S};
        row->signer = jwt_signer_new(&plan, &row->jwt, diag);
        BUG_ON(row->signer == NULL);
        row->key = hmac ? NULL : cert_key_new(jwt_alg_key_type((enum jwt_alg)alg));
        const struct jwt_order order = {.n = 1, .run_id = "run", .now_s = 1700000000};
        CLEANUP_FREE char *token = jwt_mint(row->signer, &order, &len, &end_s);
        row->signed_len = (size_t)(strrchr(token, '.') - token);
    }
    diag_free(diag);
}

static void add_apikeys(void)
{
    static char tagged[] = "client-{n}.{hmac}", drawn[] = "client-{n}-{random}";
    static char secret[] = "0123456789abcdef0123456789abcdef";
    struct row *row = row_new("API key, client-{n}.{hmac}", make_apikey, bare_apikey);
    row->apikey = (struct plan_apikey){.template = tagged, .secret = secret};
    row = row_new("API key, client-{n}-{random}", make_apikey, NULL);
    row->apikey = (struct plan_apikey){.template = drawn};
}

static void measure(void)
{
    for (int i = 0; i < REPETITIONS; i++) {
        for (size_t r = 0; r < bench.n_rows; r++) {
            measure_row(&bench.rows[r], i);
        }
        (void)fprintf(stderr, "repetition %d of %d\n", i + 1, REPETITIONS);
    }
}

/* Three digits, with commas between the thousands. */
static const char *figure(char text[UNIT_TEXT], double value)
{
    if (value < 1000) {
        (void)snprintf(text, UNIT_TEXT, "%.3g", value);
        return text;
    }
    double step = 1;
    while (value / step >= 1000) {
        step *= 10;
    }
    return unit_grouped(text, (uint64_t)(value / step + 0.5) * (uint64_t)step);
}

static void write_table(struct sink *sink)
{
    char made[UNIT_TEXT], bare[UNIT_TEXT];
    sink_printf(sink, "| made in memory | a second of CPU | bare cryptography | times its cost |\n"
                      "|---|--:|--:|--:|\n");
    for (size_t r = 0; r < bench.n_rows; r++) {
        const struct row *row = &bench.rows[r];
        double made_per_s = median(row->made_per_s), bare_per_s = median(row->bare_per_s);
        sink_printf(sink, "| %s | %s |", row->name, figure(made, made_per_s));
        if (row->bare != NULL) {
            sink_printf(sink, " %s | %.2f |\n", figure(bare, bare_per_s), median(row->ratio));
        } else {
            sink_printf(sink, " | |\n");
        }
    }
}

/* The processor's name, as the kernel tells it. */
static char *processor(void)
{
    CLEANUP_FREE char *text = file_read("/proc/cpuinfo", 1 << 20, NULL);
    const char *at = text != NULL ? strstr(text, "model name") : NULL;
    at = at != NULL ? strchr(at, ':') : NULL;
    return at == NULL ? xstrdup("an unnamed processor") : xstrndup(at + 2, strcspn(at + 2, "\n"));
}

/* Replaces the section of that heading, up to the next, or adds it at the end. */
static bool write_section(const char *path, const char *table)
{
    static const char heading[] = "## Minting\n";
    CLEANUP_FREE char *old = file_read(path, 1 << 20, NULL);
    CLEANUP_FREE char *name = processor();
    const char *text = old != NULL ? old : "# What was measured\n\n";
    const char *begin = strstr(text, heading);
    const char *end = begin != NULL ? strstr(begin + 1, "\n## ") : NULL;
    struct sink *sink = sink_new();
    sink_write(sink, text, begin != NULL ? (size_t)(begin - text) : strlen(text));
    sink_printf(sink,
                "%s\n`./dev bench mint --write`, release build, one core of %s; medians of %d "
                "repetitions in turn, CPU time.  The bare column signs as many bytes with the same "
                "key, and makes a key pair where the row does; certificates are signed with ECDSA "
                "P-256.  How long an RSA key takes is chance.\n\n%s",
                heading, name, REPETITIONS, table);
    if (end != NULL) {
        sink_write(sink, end, strlen(end));
    }
    bool good = sink_replace_file(sink, path);
    sink_free(sink);
    return good;
}

static int remove_entry(const char *path, const struct stat *status, int flag, struct FTW *at)
{
    (void)status;
    (void)flag;
    (void)at;
    return remove(path);
}

static void make_rows(void)
{
    char dir[] = "/tmp/tlsoak-bench-XXXXXX";
    struct diag *diag = diag_new();
    BUG_ON(mkdtemp(dir) == NULL);
    const struct pki_request request = {
        .dir = dir, .server_names = "localhost", .key_type = KEY_ECDSA_P256, .days = 30};
    BUG_ON(!pki_make(&request, diag));
    CLEANUP_FREE char *ca = xasprintf("%s/ca.pem", dir);
    CLEANUP_FREE char *ca_key = xasprintf("%s/ca.key", dir);
    add_certs(ca, ca_key);
    add_jwts();
    add_apikeys();
    diag_free(diag);
    (void)nftw(dir, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

static void free_rows(void)
{
    for (size_t r = 0; r < bench.n_rows; r++) {
        cert_key_free(bench.rows[r].key);
        cert_key_free(bench.rows[r].shared);
        jwt_signer_free(bench.rows[r].signer);
    }
    cert_issuer_free(bench.issuer);
}

int main(int argc, char **argv)
{
    bool writes = argc == 3 && str_equal(argv[1], "--write");
    if (argc != 1 && !writes) {
        (void)fprintf(stderr, "usage: %s [--write FILE]\n", argv[0]);
        return 2;
    }
    make_rows();
    measure();
    struct sink *table = sink_new();
    write_table(table);
    bool good = !writes || write_section(argv[2], sink_text(table, NULL));
    if (!good) {
        (void)fprintf(stderr, "%s cannot be written\n", argv[2]);
    }
    sink_print(table, stdout);
    sink_free(table);
    free_rows();
    return good ? 0 : 1;
}
