#include "cmd/doctor_inside.h"

#include "base/mem.h"
#include "base/mono.h"
#include "base/unit.h"
#include "record/hlog.h"
#include "record/metrics.h"

#include <errno.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statfs.h>
#include <unistd.h>

/* Of a run's files, measured on the safe side: an interval of 40,000 latencies, a row of ticks.csv,
 * a row of memory.csv. */
#define INTERVAL_BYTES 5700
#define TICK_BYTES     700
#define READING_BYTES  160
#define REPORT_BYTES   4e6

/* Where the run directory is made: the nearest directory above it that is there already. */
static char *run_place(const struct exam *exam)
{
    const struct plan *plan = exam->plan;
    const char *dir = exam->dir != NULL                       ? exam->dir
                      : plan != NULL && plan->run.dir != NULL ? plan->run.dir
                                                              : ".";
    char *place = xstrdup(dir);

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

/* What the plan's run writes at the most. */
static double run_bytes(const struct plan *plan)
{
    double seconds = (double)plan->run.duration_ns / (double)NS_PER_S;
    double period_s = (double)hlog_period_ns(plan->run.duration_ns) / (double)NS_PER_S;
    double bytes = seconds * (LATENCY_COUNT * INTERVAL_BYTES / period_s + TICK_BYTES);

    for (size_t i = 0; i < plan->n_memories; i++) {
        if (plan->memories[i].every_ns > 0) {
            bytes +=
                seconds * (double)NS_PER_S / (double)plan->memories[i].every_ns * READING_BYTES;
        }
    }
    return bytes + REPORT_BYTES;
}

/* The kind of a file system that another machine, or a slow one, may stand behind; else NULL. */
static const char *remote_kind(long type)
{
    static const struct {
        unsigned type;
        const char *name;
    } kinds[] = {
        {NFS_SUPER_MAGIC, "NFS"},   {SMB_SUPER_MAGIC, "SMB"},   {SMB2_SUPER_MAGIC, "SMB"},
        {CIFS_SUPER_MAGIC, "CIFS"}, {AFS_SUPER_MAGIC, "AFS"},   {CEPH_SUPER_MAGIC, "Ceph"},
        {V9FS_MAGIC, "9P"},         {FUSE_SUPER_MAGIC, "FUSE"}, {CODA_SUPER_MAGIC, "Coda"},
    };

    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (kinds[i].type == (unsigned)type) {
            return kinds[i].name;
        }
    }
    return NULL;
}

static void look_space(const struct exam *exam, const struct statfs *fs, struct finding *finding)
{
    double have_bytes = (double)fs->f_bavail * (double)fs->f_frsize;
    double needed = exam->plan != NULL ? run_bytes(exam->plan) : 200e6;
    const char *kind = remote_kind(fs->f_type);
    char have[UNIT_TEXT], want[UNIT_TEXT];

    SAY(finding->measured, "%s free on a %s file system, up to %s needed for the run directory",
        unit_bytes(have, have_bytes), kind != NULL ? kind : "local", unit_bytes(want, needed));
    if (have_bytes < needed) {
        finding->health = HEALTH_WARN;
        SAY(finding->remedy,
            "a full disk makes a run invalid: name a run directory elsewhere with -o DIR");
    } else if (kind != NULL) {
        finding->health = HEALTH_WARN;
        SAY(finding->remedy, "records may wait for a network: name a local directory with -o DIR");
    }
}

static void look_disk(const struct exam *exam, struct finding *finding)
{
    CLEANUP_FREE char *place = run_place(exam);
    struct statfs fs;

    if (statfs(place, &fs) != 0 || access(place, W_OK | X_OK) != 0) {
        finding->health = HEALTH_FAIL;
        finding->hopeless = errno == EACCES || errno == EROFS;
        SAY(finding->measured, "the directory %s is not writable", place);
        SAY(finding->remedy, "name a writable run directory with -o DIR");
        return;
    }
    look_space(exam, &fs, finding);
}

static void look_files(const struct exam *exam, struct finding *finding)
{
    if (exam->plan == NULL) {
        SAY(finding->measured, "no profile was given");
    } else if (exam->foreign) {
        SAY(finding->measured, "not read: see libraries");
    } else if (diag_count(exam->files) > 0) {
        doctor_fail(finding, exam->files);
        SAY(finding->remedy, "tlsoak check shows all mistakes");
    } else {
        SAY(finding->measured, "certificates, keys and secrets can be read and fit together");
    }
}

/* True when there is something to say of certificates and keys. */
static bool has_audit(const struct exam *exam, struct finding *finding)
{
    if (!exam->audited) {
        SAY(finding->measured, "%s",
            exam->plan == NULL ? "no profile was given" : "not looked at: see files");
    }
    return exam->audited;
}

static void say_fault(const struct audit_fault *fault, const char *remedy, struct finding *finding)
{
    finding->health = HEALTH_WARN;
    if (fault->n == 1) {
        SAY(finding->measured, "%s", fault->first);
    } else {
        SAY(finding->measured, "%s; and %zu more", fault->first, fault->n - 1);
    }
    SAY(finding->remedy, "%s", remedy);
}

static void look_expiry(const struct exam *exam, struct finding *finding)
{
    const struct audit *audit = &exam->audit;
    char left[UNIT_TEXT], length[UNIT_TEXT];

    if (!has_audit(exam, finding)) {
        return;
    }
    if (audit->ending.n > 0) {
        say_fault(&audit->ending,
                  "it will be presented all the same: renew it, or shorten run.duration", finding);
    } else if (audit->first_end_s > 0) {
        double left_s = (double)audit->first_end_s - mono_wall_s();
        SAY(finding->measured, "the first certificate or token ends in %s, the run in %s",
            unit_duration(left, left_s * (double)NS_PER_S),
            unit_duration(length, (double)exam->plan->run.duration_ns));
    } else {
        SAY(finding->measured, "nothing is read from files that could end during the run");
    }
}

static void look_chains(const struct exam *exam, struct finding *finding)
{
    const struct audit *audit = &exam->audit;

    if (!has_audit(exam, finding)) {
        return;
    }
    if (audit->unproven.n > 0) {
        say_fault(&audit->unproven,
                  "the server will refuse it, if cert.ca is the CA that it trusts", finding);
    } else if (audit->n_certs == 0) {
        SAY(finding->measured, "no certificates from files; minted ones are signed by their CA");
    } else {
        SAY(finding->measured, "%zu of %zu chains lead to their CA%s", audit->n_verified,
            audit->n_certs,
            audit->n_unheld == 0    ? ""
            : audit->n_verified > 0 ? "; the others were not tried"
                                    : "; cert.ca does not say which the server trusts");
    }
}

static void look_modes(const struct exam *exam, struct finding *finding)
{
    const struct audit *audit = &exam->audit;

    if (!has_audit(exam, finding)) {
        return;
    }
    if (audit->open_keys.n > 0) {
        say_fault(&audit->open_keys, "others on this machine can read it: chmod 600", finding);
    } else {
        SAY(finding->measured, "%zu files with keys and secrets, none that others may read",
            audit->n_key_files);
    }
}

const struct check doctor_files[] = {
    {"disk", look_disk, true},     {"files", look_files, false},    {"expiry", look_expiry, true},
    {"chains", look_chains, true}, {"key files", look_modes, true}, {NULL, NULL, false},
};
