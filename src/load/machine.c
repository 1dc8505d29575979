#include "load/machine.h"

#include "base/file.h"
#include "base/mem.h"
#include "base/mono.h"
#include "base/str.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

/* Deeper nesting than this is nobody's. */
#define LEVELS_MAX 16

struct machine {
    int stat_fd, sockets_fd;
    int quota_fd[LEVELS_MAX]; /* cpu.stat of our control group and of those above it */
    size_t n_quotas;
    uint64_t descriptors_max, ports_max;
};

/* The number that follows `key` and a blank in `text`; 0 when there is none. */
static uint64_t number_after(const char *text, const char *key)
{
    uint64_t value = 0;
    for (const char *at = text; (at = strstr(at, key)) != NULL; at += strlen(key)) {
        const char *digits = at + strlen(key);
        if (digits[0] == ' ' && (at == text || strchr(" \n", at[-1]) != NULL)) {
            char word[24];
            (void)snprintf(word, sizeof word, "%.*s", (int)strspn(digits + 1, "0123456789"),
                           digits + 1);
            return str_to_u64(word, &value) ? value : 0;
        }
    }
    return 0;
}

static const char *read_text(int fd, char *text, size_t size)
{
    ssize_t len = fd >= 0 ? pread(fd, text, size - 1, 0) : 0;
    text[len > 0 ? len : 0] = '\0';
    return text;
}

static int open_quiet(const char *path)
{
    return open(path, O_RDONLY | O_CLOEXEC);
}

/* Opens cpu.stat of the group at `path` below `root`, then of every group above it. */
static void open_quotas(struct machine *machine, const char *root, char *path)
{
    for (;;) {
        CLEANUP_FREE char *file = xasprintf("%s%s/cpu.stat", root, path);
        int fd = machine->n_quotas < LEVELS_MAX ? open_quiet(file) : -1;
        if (fd >= 0) {
            machine->quota_fd[machine->n_quotas++] = fd;
        }
        char *slash = strrchr(path, '/');
        if (slash == NULL) {
            return;
        }
        *slash = '\0';
    }
}

static bool names_cpu(char *controllers)
{
    for (char *name; (name = strsep(&controllers, ",")) != NULL;) {
        if (str_equal(name, "cpu")) {
            return true;
        }
    }
    return false;
}

/* Lines are "0::PATH" (version 2) or "N:CONTROLLERS:PATH" (version 1; cgroups(7)). */
static void find_quotas(struct machine *machine)
{
    CLEANUP_FREE char *text = file_read("/proc/self/cgroup", 65536, NULL);
    char *rest = text;
    for (char *line; rest != NULL && (line = strsep(&rest, "\n")) != NULL;) {
        (void)strsep(&line, ":");
        char *controllers = line != NULL ? strsep(&line, ":") : NULL;
        if (line == NULL) {
            continue;
        }
        bool second = controllers[0] == '\0';
        if (!second && !names_cpu(controllers)) {
            continue;
        }
        if (str_equal(line, "/")) {
            line[0] = '\0';
        }
        open_quotas(machine, second ? "/sys/fs/cgroup" : "/sys/fs/cgroup/cpu", line);
    }
}

static uint64_t ephemeral_ports(void)
{
    CLEANUP_FREE char *text = file_read("/proc/sys/net/ipv4/ip_local_port_range", 256, NULL);
    char *high_text = text;
    uint64_t low = 0, high = 0;
    char *low_text = high_text != NULL ? strsep(&high_text, "\t ") : NULL;
    bool ok = high_text != NULL && str_to_u64(low_text, &low) &&
              str_to_u64(str_trim(high_text), &high) && high >= low;
    return ok ? high - low + 1 : 0;
}

struct machine *machine_open(void)
{
    struct machine *machine = xcalloc(1, sizeof *machine);
    struct rlimit limit = {.rlim_cur = 0};
    machine->stat_fd = open_quiet("/proc/stat");
    machine->sockets_fd = open_quiet("/proc/self/net/sockstat");
    find_quotas(machine);
    (void)getrlimit(RLIMIT_NOFILE, &limit);
    machine->descriptors_max = limit.rlim_cur;
    machine->ports_max = ephemeral_ports();
    return machine;
}

/* "cpu user nice system idle iowait irq softirq steal guest guest_nice", where the guests are in
 * the first two already. */
static void read_cores(const struct machine *machine, struct machine_reading *reading)
{
    enum { STEAL = 7 };
    char text[256], *rest = text, *field;
    (void)read_text(machine->stat_fd, text, sizeof text);
    (void)strsep(&rest, " ");
    for (int i = 0; i <= STEAL && (field = strsep(&rest, " \n")) != NULL;) {
        uint64_t ticks = 0;
        if (field[0] == '\0') {
            continue;
        }
        reading->cpu_ticks += str_to_u64(field, &ticks) ? ticks : 0;
        reading->stolen_ticks = i == STEAL ? ticks : 0;
        i++;
    }
}

static void read_quotas(const struct machine *machine, struct machine_reading *reading)
{
    char text[1024];
    for (size_t i = 0; i < machine->n_quotas; i++) {
        (void)read_text(machine->quota_fd[i], text, sizeof text);
        reading->n_throttled += number_after(text, "nr_throttled");
        /* version 2 in microseconds, version 1 in nanoseconds */
        reading->throttled_ns += number_after(text, "throttled_usec") * NS_PER_US;
        reading->throttled_ns += number_after(text, "throttled_time");
    }
}

void machine_read(struct machine *machine, struct machine_reading *ret_reading)
{
    struct machine_reading reading = {.descriptors_max = machine->descriptors_max,
                                      .ports_max = machine->ports_max};
    char text[1024];
    struct stat st;
    read_cores(machine, &reading);
    read_quotas(machine, &reading);
    /* The size is the number of entries since Linux 6.2; 0 before. */
    if (stat("/proc/self/fd", &st) == 0) {
        reading.n_descriptors = (uint64_t)st.st_size;
    }
    const char *tcp = strstr(read_text(machine->sockets_fd, text, sizeof text), "TCP:");
    if (tcp != NULL) {
        reading.n_ports = number_after(tcp, "inuse") + number_after(tcp, "tw");
    }
    *ret_reading = reading;
}

static void close_open(int fd)
{
    if (fd >= 0) {
        (void)close(fd);
    }
}

void machine_close(struct machine *machine)
{
    if (machine == NULL) {
        return;
    }
    close_open(machine->stat_fd);
    close_open(machine->sockets_fd);
    for (size_t i = 0; i < machine->n_quotas; i++) {
        close_open(machine->quota_fd[i]);
    }
    free(machine);
}
