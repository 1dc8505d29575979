#include "cmd/doctor_inside.h"

#include "base/file.h"
#include "base/mem.h"
#include "base/mono.h"
#include "base/str.h"
#include "base/unit.h"
#include "cmd/descriptors.h"
#include "load/machine.h"
#include "net/tls.h"

#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/timex.h>
#include <time.h>
#include <unistd.h>

#define STOLEN_SHARE 0.02 /* of the cores, by the hypervisor: latencies show it */

static void look_descriptors(const struct exam *exam, struct finding *finding)
{
    const struct plan *plan = exam->plan;
    struct rlimit limit = {0, 0};
    uint64_t needed = plan != NULL ? descriptors_needed(plan) : doctor_connections(plan) + 64;

    (void)getrlimit(RLIMIT_NOFILE, &limit);
    SAY(finding->measured, "%llu at most, %llu needed for %llu connections",
        (unsigned long long)limit.rlim_max, (unsigned long long)needed,
        (unsigned long long)doctor_connections(plan));
    if (limit.rlim_max < needed) {
        finding->health = HEALTH_FAIL;
        finding->hopeless = true;
        SAY(finding->remedy,
            "raise the hard limit (ulimit -Hn, limits.conf, LimitNOFILE=) or lower "
            "pace.connections");
    }
}

static void look_cores(const struct exam *exam, struct finding *finding)
{
    const struct plan *plan = exam->plan;
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

/* Where no governor is shown, as in most virtual machines, the host has one. */
static void look_governor(const struct exam *exam, struct finding *finding)
{
    long n = sysconf(_SC_NPROCESSORS_CONF), n_shown = 0, n_other = 0;
    char other[24] = "";

    (void)exam;
    for (long i = 0; i < n; i++) {
        CLEANUP_FREE char *path =
            xasprintf("/sys/devices/system/cpu/cpu%ld/cpufreq/scaling_governor", i);
        CLEANUP_FREE char *text = file_read(path, 64, NULL);
        if (text != NULL) {
            const char *name = str_trim(text);
            n_shown++;
            if (!str_equal(name, "performance")) {
                n_other++;
                (void)str_copy(other, sizeof other, name);
            }
        }
    }
    if (n_other > 0) {
        finding->health = HEALTH_WARN;
        SAY(finding->measured, "%s on %ld of %ld cores; performance is needed", other, n_other,
            n_shown);
        SAY(finding->remedy, "cores that change their speed make latencies of their own: cpupower "
                             "frequency-set -g performance");
    } else {
        SAY(finding->measured, "%s", n_shown > 0 ? "performance" : "this machine shows none");
    }
}

static void look_steal(const struct exam *exam, struct finding *finding)
{
    struct machine *machine = machine_open();
    struct machine_reading reading = {.cpu_ticks = 0};

    (void)exam;
    machine_read(machine, &reading);
    machine_close(machine);
    double all = (double)reading.cpu_ticks;
    double share = all > 0 ? (double)reading.stolen_ticks / all : 0;
    SAY(finding->measured, "the hypervisor took %.1f %% of the cores since they started",
        100 * share);
    if (share > STOLEN_SHARE) {
        finding->health = HEALTH_WARN;
        SAY(finding->remedy, "latencies will show it: take a machine that shares its cores less");
    }
}

static void look_clock(const struct exam *exam, struct finding *finding)
{
    CLEANUP_FREE char *source =
        file_read("/sys/devices/system/clocksource/clocksource0/current_clocksource", 64, NULL);
    const char *name = source != NULL ? str_trim(source) : "unknown";
    struct timespec resolution = {0, 1};
    uint64_t start_ns = mono_now_ns();

    (void)exam;
    (void)clock_getres(CLOCK_MONOTONIC, &resolution);
    for (int i = 0; i < 1000; i++) {
        (void)mono_now_ns();
    }
    double cost_ns = (double)(mono_now_ns() - start_ns) / 1000;
    SAY(finding->measured, "%s, %.0f ns a reading, steps of %ld ns", name, cost_ns,
        resolution.tv_nsec);
    if (cost_ns > 500 || resolution.tv_sec > 0 || resolution.tv_nsec > 1000) {
        finding->health = HEALTH_WARN;
        SAY(finding->remedy,
            "a slow or coarse clock spoils latencies: prefer the tsc or kvm-clock source");
    }
}

/* Validity of certificates and tokens is a matter of the wall clock. */
static void look_time_sync(const struct exam *exam, struct finding *finding)
{
    struct timex state = {.modes = 0};
    int result = adjtimex(&state);

    (void)exam;
    if (result < 0) {
        SAY(finding->measured, "this system does not tell");
    } else if (result == TIME_ERROR || (state.status & STA_UNSYNC) != 0) {
        finding->health = HEALTH_WARN;
        SAY(finding->measured, "the wall clock is not synchronized");
        SAY(finding->remedy, "certificates and tokens may be early or late: timedatectl set-ntp "
                             "true, or start chronyd");
    } else {
        SAY(finding->measured, "the wall clock is synchronized, to %.1f ms",
            (double)state.esterror / 1e3);
    }
}

static void look_listen_queue(const struct exam *exam, struct finding *finding)
{
    const struct plan *plan = exam->plan;
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

/* libcrypto.so.3 and the like are OpenSSL's, whose functions have the names of BoringSSL's; ours is
 * .so.0, or static. */
static bool is_foreign(const char *line, size_t len)
{
    static const char *const names[] = {"libssl.so.", "libcrypto.so."};
    const char *slash = memrchr(line, '/', len);
    const char *file = slash != NULL ? slash + 1 : line;

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (str_has_prefix(file, names[i]) && file[strlen(names[i])] != '0') {
            return true;
        }
    }
    return false;
}

bool doctor_foreign_library(char *text, size_t size)
{
    CLEANUP_FREE char *maps = file_read("/proc/self/maps", 16 << 20, NULL);

    for (const char *line = maps; line != NULL && *line != '\0';) {
        size_t len = strcspn(line, "\n");
        if (is_foreign(line, len)) {
            const char *path = memchr(line, '/', len);
            (void)snprintf(text, size, "%.*s", (int)(len - (size_t)(path - line)), path);
            return true;
        }
        line += len + (line[len] == '\n');
    }
    return false;
}

static void look_libraries(const struct exam *exam, struct finding *finding)
{
    char path[200];

    SAY(finding->measured, "BoringSSL is the only TLS library in this process");
    if (exam->foreign && doctor_foreign_library(path, sizeof path)) {
        finding->health = HEALTH_FAIL;
        finding->hopeless = true;
        SAY(finding->measured, "%s is loaded beside BoringSSL, and both have the same names", path);
        SAY(finding->remedy, "find what brings it in: LD_PRELOAD, /etc/ld.so.preload");
    }
}

static void look_library(const struct exam *exam, struct finding *finding)
{
    char signs[UNIT_TEXT], verifies[UNIT_TEXT];

    if (exam->foreign) {
        SAY(finding->measured, "not tried: see libraries");
    } else if (!exam->has_speed) {
        finding->health = HEALTH_FAIL;
        finding->hopeless = true;
        SAY(finding->measured, "%s: signatures are made or verified wrongly", tls_library());
        SAY(finding->remedy, "install another build of BoringSSL, and see what is preloaded");
    } else {
        SAY(finding->measured, "%s: on one core %s P-256 signs/s, %s verifies/s", tls_library(),
            unit_grouped(signs, (uint64_t)exam->speed.signs_per_s),
            unit_grouped(verifies, (uint64_t)exam->speed.verifies_per_s));
    }
}

const struct check doctor_machine[] = {
    {"libraries", look_libraries, true},
    {"TLS library", look_library, true},
    {"descriptors", look_descriptors, true},
    {"cores", look_cores, true},
    {"governor", look_governor, true},
    {"steal", look_steal, true},
    {"clock", look_clock, true},
    {"time sync", look_time_sync, true},
    {"listen queue", look_listen_queue, true},
    {NULL, NULL, false},
};
