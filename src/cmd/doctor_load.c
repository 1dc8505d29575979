#include "cmd/doctor_inside.h"

#include "base/diag.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/mono.h"
#include "base/str.h"
#include "base/unit.h"
#include "cmd/capacity.h"
#include "ident/mint_predict.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Beyond this part of the cores starts are late ever more often. */
#define CAPACITY_SHARE 0.7
#define BASE_BYTES     64e6         /* the client without its connections, on the safe side */
#define H1_BYTES       (6.0 * 1024) /* a connection */
#define H2_BYTES       (40.0 * 1024)
#define NO_LIMIT       1e18 /* version 1 says "none" with a number of this size */

/* Whether the plan asks for more than the workers' cores can do.  That a library is broken is told
 * beside its name. */
static void look_capacity(const struct exam *exam, struct finding *finding)
{
    const struct plan *plan = exam->plan;
    char can[UNIT_TEXT], asked[UNIT_TEXT], rate[UNIT_TEXT];

    if (!exam->has_speed) {
        SAY(finding->measured, "can't be told");
        return;
    }
    struct capacity capacity = capacity_predict(plan, &exam->speed);
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

/* The value of a line of /proc/meminfo, in bytes; below 0: it is not there. */
static double meminfo_bytes(const char *name)
{
    CLEANUP_FREE char *text = file_read("/proc/meminfo", 65536, NULL);
    char *rest = text, *line;
    uint64_t kib;

    while (rest != NULL && (line = strsep(&rest, "\n")) != NULL) {
        char *value = line, *key = strsep(&value, ":");
        if (value != NULL && str_equal(key, name)) {
            value = str_trim(value);
            value[strcspn(value, " ")] = '\0';
            return str_to_u64(value, &kib) ? (double)kib * 1024 : -1;
        }
    }
    return -1;
}

/* What programs can have without swapping.  Free pages alone would be a few on every machine that
 * has been up for long, since the page cache holds the rest and gives it back. */
static double available_bytes(void)
{
    double available = meminfo_bytes("MemAvailable");

    return available >= 0 ? available
                          : (double)sysconf(_SC_AVPHYS_PAGES) * (double)sysconf(_SC_PAGESIZE);
}

/* The pages of files that a group's memory.stat counts in its use: they are given back. */
static double reclaimable_bytes(const char *dir)
{
    CLEANUP_FREE char *path = xasprintf("%s/memory.stat", dir);
    CLEANUP_FREE char *text = file_read(path, 65536, NULL);
    char *rest = text, *line;
    double bytes = 0;
    uint64_t value;

    while (rest != NULL && (line = strsep(&rest, "\n")) != NULL) {
        char *number = line, *key = strsep(&number, " ");
        bool counts = str_equal(key, "inactive_file") || str_equal(key, "active_file");
        if (counts && number != NULL && str_to_u64(number, &value)) {
            bytes += (double)value;
        }
    }
    return bytes;
}

/* Keeps the least that the group at `dir` and those above it leave: limit less use. */
static void least_left(const char *root, char *path, const char *limit_file, const char *use_file,
                       double *left)
{
    for (;;) {
        CLEANUP_FREE char *dir = xasprintf("%s%s", root, path);
        CLEANUP_FREE char *limit_path = xasprintf("%s/%s", dir, limit_file);
        CLEANUP_FREE char *use_path = xasprintf("%s/%s", dir, use_file);
        double limit = (double)doctor_number(limit_path, (uint64_t)NO_LIMIT); /* "max": none */
        double here = limit - (double)doctor_number(use_path, 0) + reclaimable_bytes(dir);
        if (limit < NO_LIMIT && (*left < 0 || here < *left)) {
            *left = here > 0 ? here : 0;
        }
        char *slash = strrchr(path, '/');
        if (slash == NULL) {
            return;
        }
        *slash = '\0';
    }
}

/* What the limits of our control groups (cgroups(7)) leave; below 0: they have none. */
static double group_left_bytes(void)
{
    CLEANUP_FREE char *text = file_read("/proc/self/cgroup", 65536, NULL);
    char *rest = text, *line;
    double left = -1;

    while (rest != NULL && (line = strsep(&rest, "\n")) != NULL) {
        (void)strsep(&line, ":");
        const char *controllers = line != NULL ? strsep(&line, ":") : NULL;
        if (line != NULL && controllers[0] == '\0') {
            least_left("/sys/fs/cgroup", line, "memory.max", "memory.current", &left);
        } else if (line != NULL && str_equal(controllers, "memory")) {
            least_left("/sys/fs/cgroup/memory", line, "memory.limit_in_bytes",
                       "memory.usage_in_bytes", &left);
        }
    }
    return left;
}

static void look_memory(const struct exam *exam, struct finding *finding)
{
    double available = available_bytes(), group = group_left_bytes();
    enum alpn alpn = exam->plan != NULL ? exam->plan->target.alpn : ALPN_H1;
    double connections = (double)doctor_connections(exam->plan);
    /* where h2 is only offered, the server may not take it */
    double least = connections * (alpn == ALPN_H2 ? H2_BYTES : H1_BYTES);
    double needed = connections * (alpn == ALPN_H1 ? H1_BYTES : H2_BYTES) + BASE_BYTES;
    double have = group >= 0 && group < available ? group : available;
    char text[UNIT_TEXT], want[UNIT_TEXT], limit[UNIT_TEXT];

    if (group >= 0) {
        SAY(finding->measured,
            "%s available, %s left by the control group's limit, about %s needed by the client",
            unit_bytes(text, available), unit_bytes(limit, group), unit_bytes(want, needed));
    } else {
        SAY(finding->measured,
            "%s available, no limit of a control group, about %s needed by the "
            "client",
            unit_bytes(text, available), unit_bytes(want, needed));
    }
    if (needed > have) {
        finding->health = least + BASE_BYTES > have ? HEALTH_FAIL : HEALTH_WARN;
        finding->hopeless = least > have;
        SAY(finding->remedy, "lower pace.connections, free memory%s",
            group >= 0 ? ", or raise the limit" : "");
    }
}

static void look_swap(const struct exam *exam, struct finding *finding)
{
    double total = meminfo_bytes("SwapTotal"), unused = meminfo_bytes("SwapFree");
    char text[UNIT_TEXT], used[UNIT_TEXT];

    (void)exam;
    if (total <= 0) {
        SAY(finding->measured, "none");
        return;
    }
    finding->health = HEALTH_WARN;
    SAY(finding->measured, "%s of swap is on, %s of it in use; none is best",
        unit_bytes(text, total), unit_bytes(used, unused >= 0 ? total - unused : 0));
    SAY(finding->remedy,
        "what is swapped out is no growth of memory and slows both sides: swapoff -a");
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
static void look_minting(const struct exam *exam, struct finding *finding)
{
    const struct plan *plan = exam->plan;
    struct diag *diag = diag_new();
    double share = 0;

    for (size_t i = 0; plan != NULL && !exam->foreign && i < plan->n_identities; i++) {
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

const struct check doctor_load[] = {
    {"capacity", look_capacity, true}, {"memory", look_memory, true}, {"swap", look_swap, true},
    {"minting", look_minting, false},  {NULL, NULL, false},
};
