#include "probe/procfs.h"

#include "base/hash.h"
#include "base/mem.h"
#include "base/str.h"
#include "probe/process.h"

#include <dirent.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#define N_TRIES 2

/* Adds to a sum; one process that can't tell makes the sum unknown (-1), never smaller. */
static void add(int64_t *sum, bool known, uint64_t value)
{
    if (*sum >= 0 && (!known || __builtin_add_overflow(*sum, value, sum))) {
        *sum = -1;
    }
}

/* "VmRSS:    4060 kB" of a text of such lines, in bytes. */
static bool kib_field(const char *text, const char *name, uint64_t *ret_bytes)
{
    size_t len = strlen(name);
    uint64_t kib;

    for (const char *line = text; line != NULL; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, name, len) == 0 && line[len] == ':') {
            const char *after = process_number(line + len + 1, &kib);
            if (after == NULL || !str_has_prefix(after, " kB") || kib > INT64_MAX / 2048) {
                return false;
            }
            *ret_bytes = kib * 1024;
            return true;
        }
    }
    return false;
}

static void add_field(struct reading *reading, enum memory_metric metric, const char *text,
                      const char *name)
{
    uint64_t bytes = 0;
    bool known = text != NULL && kib_field(text, name, &bytes);

    add(&reading->value[metric], known, bytes);
}

/* Number of open descriptors.  Newer kernels (6.2) give it as the size of the folder; counting
 * entries costs the server's lock for each, so that is left to detailed readings. */
static bool count_descriptors(const char *root, int64_t pid, bool detail, uint64_t *ret_n)
{
    CLEANUP_FREE char *path = xasprintf("%s/%lld/fd", root, (long long)pid);
    DIR *dir = opendir(path);
    struct statfs fs;
    struct stat st;

    if (dir == NULL) {
        return false;
    }
    bool sized = fstatfs(dirfd(dir), &fs) == 0 && fs.f_type == PROC_SUPER_MAGIC &&
                 fstat(dirfd(dir), &st) == 0 && st.st_size > 0;
    *ret_n = sized ? (uint64_t)st.st_size : 0;
    for (struct dirent *e; !sized && detail && (e = readdir(dir)) != NULL;) {
        *ret_n += e->d_name[0] != '.';
    }
    (void)closedir(dir);
    return sized || detail;
}

static bool is_gone(const char *root, const struct process *process)
{
    struct process again;

    return !process_stat(root, process->pid, &again) || again.zombie ||
           again.start != process->start;
}

/* False when the process vanished while it was read. */
static bool add_process(const char *root, const struct process *process, bool detail,
                        struct reading *reading)
{
    CLEANUP_FREE char *status = process_file(root, process->pid, "status");
    CLEANUP_FREE char *rollup = detail ? process_file(root, process->pid, "smaps_rollup") : NULL;
    uint64_t n_fds = 0, rss;

    if (status == NULL || !kib_field(status, "VmRSS", &rss)) {
        reading->ok = reading->ok && is_gone(root, process);
        return false;
    }
    add(&reading->value[MEMORY_RSS], true, rss);
    add_field(reading, MEMORY_ANON, status, "RssAnon");
    add_field(reading, MEMORY_PSS, rollup, "Pss");
    add_field(reading, MEMORY_PRIVATE_DIRTY, rollup, "Private_Dirty");
    bool counted = count_descriptors(root, process->pid, detail, &n_fds);
    add(&reading->value[MEMORY_FDS], counted, n_fds);
    add(&reading->value[MEMORY_THREADS], true, (uint64_t)process->threads);
    uint64_t tick_ns = 1000000000u / (uint64_t)sysconf(_SC_CLK_TCK);
    add(&reading->value[MEMORY_CPU_NS], process->cpu_ticks < UINT64_MAX / 2 / tick_ns,
        process->cpu_ticks * tick_ns);
    add(&reading->value[MEMORY_PROCESSES], true, 1);
    return (rollup != NULL || !detail) || !is_gone(root, process);
}

/* Of pid and start time; never 0. */
static uint64_t incarnation_of(const struct process *process)
{
    const uint64_t words[2] = {(uint64_t)process->pid, process->start};
    uint64_t hash = hash_bytes(words, sizeof words);

    return hash != 0 ? hash : 1;
}

/* False when a member vanished meanwhile: its memory is missing from the sums, or its children
 * are under another parent now. */
static bool read_tree(const char *root, int64_t pid, bool detail, struct reading *reading)
{
    CLEANUP_FREE struct process *tree = NULL;
    size_t n = process_tree(root, pid, &tree);
    bool whole = true;

    memset(reading->value, 0, sizeof reading->value);
    reading->value[MEMORY_COMMAND] = -1;
    reading->value[MEMORY_CHOSEN] = -1;
    reading->ok = n > 0;
    reading->lost = n == 0;
    reading->incarnation = n > 0 ? incarnation_of(&tree[0]) : 0;
    for (size_t i = 0; i < n; i++) {
        whole = add_process(root, &tree[i], detail, reading) && whole;
    }
    if (!whole && is_gone(root, &tree[0])) {
        reading->ok = false;
        reading->lost = true;
    }
    return whole;
}

void procfs_read(const char *root, int64_t pid, bool detail, struct reading *reading)
{
    for (int i = 0; i < N_TRIES && !read_tree(root, pid, detail, reading); i++) {
        if (reading->lost) {
            break;
        }
    }
    if (!reading->ok) {
        for (int i = 0; i < MEMORY_METRIC_COUNT; i++) {
            reading->value[i] = -1;
        }
    }
}

const char *procfs_name(const char *root, int64_t pid, char *text, size_t size)
{
    CLEANUP_FREE char *comm = process_file(root, pid, "comm");

    if (comm != NULL) {
        comm[strcspn(comm, "\n")] = '\0';
    }
    (void)str_copy(text, size, comm != NULL && comm[0] != '\0' ? comm : "?");
    return text;
}

static bool is_called(const char *root, int64_t pid, const char *name)
{
    char text[256];

    return str_equal(procfs_name(root, pid, text, sizeof text), name) ||
           (process_exe(root, pid, text, sizeof text) && str_equal(text, name));
}

size_t procfs_find(const char *root, const char *name, int64_t *ret_pids, size_t max)
{
    CLEANUP_FREE struct process *all = NULL;
    size_t n_all = process_all(root, &all), n = 0;

    for (size_t i = 0; i < n_all && n < max; i++) {
        if (!all[i].zombie && is_called(root, all[i].pid, name) &&
            !is_called(root, all[i].parent, name)) {
            ret_pids[n++] = all[i].pid;
        }
    }
    return n;
}

size_t procfs_children(const char *root, int64_t pid)
{
    CLEANUP_FREE struct process *tree = NULL;
    size_t n = process_tree(root, pid, &tree);

    return n > 0 ? n - 1 : 0;
}
