#include "cmd/commands.h"

#include "base/diag.h"
#include "cmd/doctor_inside.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/mono.h"
#include "base/str.h"
#include "base/unit.h"
#include "cmd/capacity.h"
#include "cmd/sets.h"
#include "cmd/soak.h"
#include "ident/mint_predict.h"
#include "net/tls.h"
#include "net/tls_speed.h"
#include "profile/profile.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <unistd.h>

static const struct cli_option options[] = {
    SETS_SET_OPTION,
    SETS_ALLOW_OPTION,
    {NULL, 0, NULL, NULL},
};

/* Beyond this part of the cores starts are late ever more often. */
#define CAPACITY_SHARE 0.7

/* A check looks at the machine, with the plan in hand when a profile was given (else NULL). */
struct check {
    const char *name;
    void (*look)(const struct plan *plan, struct finding *finding);
};

static void look_descriptors(const struct plan *plan, struct finding *finding)
{
    struct rlimit limit = {0, 0};
    uint64_t needed = plan != NULL ? soak_descriptors(plan) : doctor_connections(plan) + 64;

    (void)getrlimit(RLIMIT_NOFILE, &limit);
    SAY(finding->measured, "%llu at most, %llu needed for %llu connections",
        (unsigned long long)limit.rlim_max, (unsigned long long)needed,
        (unsigned long long)doctor_connections(plan));
    if (limit.rlim_max < needed) {
        finding->health = HEALTH_FAIL;
        SAY(finding->remedy,
            "raise the hard limit (ulimit -Hn, limits.conf, LimitNOFILE=) or lower "
            "pace.connections");
    }
}

static void look_cores(const struct plan *plan, struct finding *finding)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    double load[3] = {0, 0, 0};
    unsigned long threads = plan != NULL ? (unsigned long)plan->run.threads : (unsigned long)cores;

    (void)getloadavg(load, 3);
    SAY(finding->measured, "%ld cores, load %.2f, %lu worker threads", cores, load[0], threads);
    if (threads > (unsigned long)cores) {
        finding->health = HEALTH_WARN;
        SAY(finding->remedy, "more workers than cores wait for each other: set run.threads = %ld",
            cores);
    } else if (load[0] > 0.7 * (double)cores) {
        finding->health = HEALTH_WARN;
        SAY(finding->remedy, "the machine is busy already: latencies will show it");
    }
}

/* Whether the plan asks for more than the workers' cores can do.  That a library is broken is told
 * beside its name. */
static void look_capacity(const struct plan *plan, struct finding *finding)
{
    struct tls_speed speed;
    char can[UNIT_TEXT], asked[UNIT_TEXT], rate[UNIT_TEXT];

    if (!tls_speed(&speed)) {
        SAY(finding->measured, "can't be told");
        return;
    }
    struct capacity capacity = capacity_predict(plan, &speed);
    (void)unit_grouped(can, (uint64_t)capacity.handshakes_per_s);
    if (capacity.busy <= 0) {
        SAY(finding->measured, "about %s full handshakes/s on each of %.0f cores", can,
            capacity.cores);
        return;
    }
    SAY(finding->measured,
        "%s requests/s and %s handshakes/s take about %.2f of %.0f cores (%s full handshakes/s on "
        "one)",
        unit_grouped(rate, (uint64_t)plan_peak(plan).exchanges_per_s),
        unit_grouped(asked, (uint64_t)capacity.asked_per_s), capacity.busy, capacity.cores, can);
    if (capacity.busy > CAPACITY_SHARE * capacity.cores) {
        finding->health = HEALTH_WARN;
        SAY(finding->remedy,
            "the generator would not keep up, which makes a run invalid: lower pace.rate, raise "
            "pace.requests_per_connection or run.threads, or take more cores");
    }
}

static void look_clock(const struct plan *plan, struct finding *finding)
{
    CLEANUP_FREE char *source =
        file_read("/sys/devices/system/clocksource/clocksource0/current_clocksource", 64, NULL);
    const char *name = source != NULL ? str_trim(source) : "unknown";
    uint64_t start_ns = mono_now_ns();

    (void)plan;
    for (int i = 0; i < 1000; i++) {
        (void)mono_now_ns();
    }
    double cost_ns = (double)(mono_now_ns() - start_ns) / 1000;
    SAY(finding->measured, "%s, %.0f ns a reading", name, cost_ns);
    if (cost_ns > 500) {
        finding->health = HEALTH_WARN;
        SAY(finding->remedy,
            "a slow clock costs the generator CPU: prefer the tsc or kvm-clock source");
    }
}

/* What programs can have without swapping.  Free pages alone would be a few on every machine that
 * has been up for long, since the page cache holds the rest and gives it back. */
static double available_bytes(void)
{
    CLEANUP_FREE char *text = file_read("/proc/meminfo", 65536, NULL);
    const char *line = text != NULL ? strstr(text, "MemAvailable:") : NULL;

    if (line == NULL) {
        return (double)sysconf(_SC_AVPHYS_PAGES) * (double)sysconf(_SC_PAGESIZE);
    }
    return (double)strtoull(line + strlen("MemAvailable:"), NULL, 10) * 1024;
}

static void look_memory(const struct plan *plan, struct finding *finding)
{
    double available = available_bytes();
    bool h2 = plan != NULL && plan->target.alpn != ALPN_H1;
    double needed = (double)doctor_connections(plan) * (h2 ? 40 : 6) * 1024 + 64e6;
    char have[UNIT_TEXT], want[UNIT_TEXT];

    SAY(finding->measured, "%s available, about %s needed by the client",
        unit_bytes(have, available), unit_bytes(want, needed));
    if (needed > available) {
        finding->health = HEALTH_FAIL;
        SAY(finding->remedy, "lower pace.connections or free memory");
    }
}

static void look_listen_queue(const struct plan *plan, struct finding *finding)
{
    uint64_t somaxconn = doctor_number("/proc/sys/net/core/somaxconn", 4096);
    uint64_t burst = plan != NULL ? plan->run.max_in_flight_handshakes : 256;

    SAY(finding->measured, "net.core.somaxconn %llu, %llu handshakes in flight at most",
        (unsigned long long)somaxconn, (unsigned long long)burst);
    if (burst > somaxconn) {
        finding->health = HEALTH_WARN;
        SAY(finding->remedy, "a local server's listen queue may overflow: raise somaxconn or lower "
                             "run.max_in_flight_handshakes");
    }
}

static void look_library(const struct plan *plan, struct finding *finding)
{
    CLEANUP_FREE char *maps = file_read("/proc/self/maps", 4 << 20, NULL);
    struct tls_speed speed;
    char signs[UNIT_TEXT], verifies[UNIT_TEXT];

    (void)plan;
    if (!tls_speed(&speed)) {
        finding->health = HEALTH_FAIL;
        SAY(finding->measured, "%s: signatures are made or verified wrongly", tls_library());
        SAY(finding->remedy, "install another build of BoringSSL, and see what is preloaded");
        return;
    }
    SAY(finding->measured, "%s: on one core %s P-256 signs/s, %s verifies/s", tls_library(),
        unit_grouped(signs, (uint64_t)speed.signs_per_s),
        unit_grouped(verifies, (uint64_t)speed.verifies_per_s));
    if (maps != NULL &&
        (strstr(maps, "libssl.so.3") != NULL || strstr(maps, "libgnutls") != NULL)) {
        finding->health = HEALTH_FAIL;
        SAY(finding->remedy,
            "another TLS library is loaded into this process; find what preloads it");
    }
}

/* Where the run directory is made: the nearest directory above it that is there already. */
static char *run_place(const struct plan *plan)
{
    char *place = xstrdup(plan != NULL && plan->run.dir != NULL ? plan->run.dir : ".");

    while (access(place, F_OK) != 0) {
        char *slash = strrchr(place, '/');
        if (slash == NULL || slash == place) {
            free(place);
            return xstrdup(slash == NULL ? "." : "/");
        }
        *slash = '\0';
    }
    return place;
}

static void look_disk(const struct plan *plan, struct finding *finding)
{
    CLEANUP_FREE char *place = run_place(plan);
    struct statvfs fs;
    char have[UNIT_TEXT];

    if (statvfs(place, &fs) != 0 || access(place, W_OK | X_OK) != 0) {
        finding->health = HEALTH_FAIL;
        SAY(finding->measured, "the directory %s is not writable", place);
        SAY(finding->remedy, "name a writable run directory with -o DIR");
        return;
    }
    double free_bytes = (double)fs.f_bavail * (double)fs.f_frsize;
    SAY(finding->measured, "%s free for the run directory", unit_bytes(have, free_bytes));
    if (free_bytes < 200e6) {
        finding->health = HEALTH_WARN;
        SAY(finding->remedy, "a day of soaking writes up to 100 MB a latency series");
    }
}

static void look_files(const struct plan *plan, struct finding *finding)
{
    struct diag *diag = diag_new();

    if (plan == NULL) {
        SAY(finding->measured, "no profile was given");
    } else {
        soak_check(plan, diag);
        SAY(finding->measured, "certificates, keys and secrets can be read and fit together");
    }
    if (diag_count(diag) > 0) {
        doctor_fail(finding, diag);
        SAY(finding->remedy, "tlsoak check shows all mistakes");
    }
    diag_free(diag);
}

/* Of the identity's connections or requests a second, those that take a never-used credential. */
static double fresh_per_s(const struct plan *plan, const struct plan_identity *identity,
                          enum pick pick, const struct rotate *rotate, bool of_connections)
{
    double weights = 0;

    for (size_t i = 0; i < plan->n_identities; i++) {
        weights += plan->identities[i].weight;
    }
    double share = identity->weight / weights;
    bool per_connection = of_connections || rotate->kind == ROTATE_CONNECTION;
    double per_s = per_connection ? doctor_churn_per_s(plan) : plan_peak(plan).exchanges_per_s;
    if (pick != PICK_FRESH || rotate->kind == ROTATE_NEVER) {
        return 0;
    }
    if (rotate->kind == ROTATE_EVERY) {
        return (double)plan->run.threads * NS_PER_S / (double)rotate->every_ns;
    }
    return share * per_s / (rotate->kind == ROTATE_USES ? (double)rotate->uses : 1);
}

/* The part of a core that never-repeating credentials of these parts take. */
static double mint_share(const struct plan *plan, const struct plan_identity *parts, double per_s,
                         struct diag *diag)
{
    double made_per_s = per_s > 0 ? mint_predict_per_s(plan, parts, diag) : 0;

    return made_per_s > 0 ? per_s / made_per_s : 0;
}

static double mint_share_of(const struct plan *plan, size_t i, struct diag *diag)
{
    const struct plan_identity *identity = &plan->identities[i];
    const struct plan_cert *cert = identity->with_cert;
    const struct plan_apikey *key = identity->with_apikey;
    const struct plan_jwt *jwt = identity->with_jwt;
    struct plan_identity part = {.weight = identity->weight};
    double per_cert =
        cert != NULL ? fresh_per_s(plan, identity, cert->pick, &cert->rotate, true) : 0;
    double per_key = key != NULL ? fresh_per_s(plan, identity, key->pick, &key->rotate, false) : 0;
    double per_jwt = jwt != NULL ? fresh_per_s(plan, identity, jwt->pick, &jwt->rotate, false) : 0;

    if (identity->bound) {
        double per_s = cert != NULL ? per_cert : key != NULL ? per_key : per_jwt;
        return mint_share(plan, identity, per_s, diag);
    }
    part.with_cert = cert;
    double share = mint_share(plan, &part, per_cert, diag);
    part.with_cert = NULL;
    part.with_apikey = key;
    share += mint_share(plan, &part, per_key, diag);
    part.with_apikey = NULL;
    part.with_jwt = jwt;
    return share + mint_share(plan, &part, per_jwt, diag);
}

/* Whether the one thread that mints keeps up with identities that never repeat. */
static void look_minting(const struct plan *plan, struct finding *finding)
{
    struct diag *diag = diag_new();
    double share = 0;

    for (size_t i = 0; plan != NULL && i < plan->n_identities; i++) {
        share += mint_share_of(plan, i, diag);
    }
    if (plan == NULL) {
        SAY(finding->measured, "no profile was given");
    } else if (share <= 0) {
        SAY(finding->measured, "nothing is made during the run, or as fast as the server answers");
    } else {
        SAY(finding->measured, "identities that never repeat take %.0f %% of one core",
            100 * share);
    }
    if (share > 0.7) {
        finding->health = HEALTH_WARN;
        SAY(finding->remedy,
            "requests will wait for credentials (mint_wait): lower the rate, raise "
            "pace.requests_per_connection, or set key_per_cert = no");
    }
    diag_free(diag); /* what is wrong with the files is told under files */
}

static const struct check checks[] = {
    {"descriptors", look_descriptors},
    {"ports", doctor_ports},
    {"cores", look_cores},
    {"capacity", look_capacity},
    {"clock", look_clock},
    {"memory", look_memory},
    {"listen queue", look_listen_queue},
    {"TLS library", look_library},
    {"disk", look_disk},
    {"files", look_files},
    {"minting", look_minting},
    {"policy", doctor_policy},
    {"target", doctor_target},
    {"protocol", doctor_protocol},
};

static enum health examine(const struct plan *plan)
{
    static const char *const words[] = {"ok", "warn", "FAIL"};
    enum health worst = HEALTH_OK;

    for (size_t i = 0; i < sizeof checks / sizeof checks[0]; i++) {
        struct finding finding = {HEALTH_OK, "", ""};
        checks[i].look(plan, &finding);
        (void)printf("%-5s %-13s %s\n", words[finding.health], checks[i].name, finding.measured);
        if (finding.remedy[0] != '\0') {
            (void)printf("      %-13s -> %s\n", "", finding.remedy);
        }
        worst = finding.health > worst ? finding.health : worst;
    }
    return worst;
}

static int run(const struct cli *cli)
{
    struct sets sets;
    struct diag *diag = diag_new();
    struct plan *plan = NULL;
    int code = 2;

    sets_take(&sets, cli);
    if (cli->n_rest > 0) {
        plan = profile_load(cli->rest[0], sets.texts, sets.n, diag);
    }
    diag_print(diag, stderr);
    if (diag_count(diag) == 0) {
        code = examine(plan) == HEALTH_FAIL ? 5 : 0;
    }
    plan_free(plan);
    sets_clear(&sets);
    diag_free(diag);
    return code;
}

const struct command command_doctor = {
    .name = "doctor",
    .arguments = "[PROFILE.ini]",
    .summary = "what on this machine would spoil the run",
    .details = "Prints each check with what was measured, what is needed, and the remedy.\n"
               "Exit code 5 when a check fails.",
    .options = options,
    .max_rest = 1,
    .run = run,
};
