#include "probe/cgroup.h"

#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"
#include "probe/process.h"

#include <dirent.h>
#include <errno.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define FILE_MAX_BYTES  (16u << 20) /* mountinfo of a machine with very many containers */
#define DEPTH_MAX       16
#define PROCESSES_MAX   4096
#define V1_UNLIMITED    ((double)(1ull << 62)) /* the kernel's "none" is the largest page count */
#define V2_KERNEL_PARTS 4

/* Where groups with the memory controller are mounted. */
struct mount {
    char point[CGROUP_PATH / 2];
    char root[CGROUP_PATH / 2]; /* which of the groups is there; "" for the topmost */
    bool v1;
};

/* \040 and the like of mountinfo (proc(5)), in place. */
static void unescape(char *text)
{
    char *to = text;

    for (const char *p = text; *p != '\0'; to++) {
        if (p[0] == '\\' && p[1] >= '0' && p[1] <= '3' && p[2] >= '0' && p[2] <= '7' &&
            p[3] >= '0' && p[3] <= '7') {
            *to = (char)((p[1] - '0') * 64 + (p[2] - '0') * 8 + (p[3] - '0'));
            p += 4;
        } else {
            *to = *p++;
        }
    }
    *to = '\0';
}

static bool has_word(const char *list, const char *word)
{
    size_t len = strlen(word);

    for (const char *p = list; (p = strstr(p, word)) != NULL; p += len) {
        if ((p == list || p[-1] == ',') && (p[len] == ',' || p[len] == '\0')) {
            return true;
        }
    }
    return false;
}

/* The n-th word of a line, cut out of it; NULL when there are fewer. */
static char *word_at(char *line, int n)
{
    char *at = line, *word = NULL;

    for (int i = 0; i <= n; i++) {
        word = strsep(&at, " ");
        if (word == NULL) {
            return NULL;
        }
    }
    return word;
}

/* "36 35 98:0 ROOT POINT rw,... tags - TYPE SOURCE OPTIONS" */
static bool parse_mount(char *line, struct mount *ret_mount)
{
    char *tail = strstr(line, " - ");
    if (tail == NULL) {
        return false;
    }
    *tail = '\0';
    tail += 3;
    char *type = strsep(&tail, " ");
    char *options = tail != NULL ? strchr(tail, ' ') : NULL;
    bool v2 = str_equal(type, "cgroup2");
    if (!v2 && !(str_equal(type, "cgroup") && options != NULL && has_word(options + 1, "memory"))) {
        return false;
    }
    char *root = word_at(line, 3);
    char *point = root != NULL ? word_at(root + strlen(root) + 1, 0) : NULL;
    if (point == NULL) {
        return false;
    }
    unescape(root);
    unescape(point);
    ret_mount->v1 = !v2;
    return str_copy(ret_mount->point, sizeof ret_mount->point, point) &&
           str_copy(ret_mount->root, sizeof ret_mount->root, str_equal(root, "/") ? "" : root);
}

/* A controller is in one of the two hierarchies: where version 1 has it, version 2 has not. */
static bool find_mount(const char *root, struct mount *ret_mount, char *why, size_t size)
{
    CLEANUP_FREE char *path = xasprintf("%s/self/mountinfo", root);
    CLEANUP_FREE char *text = file_read(path, FILE_MAX_BYTES, NULL);
    char *at = text;
    bool found = false;

    for (char *line; at != NULL && (line = strsep(&at, "\n")) != NULL;) {
        struct mount mount;
        if (parse_mount(line, &mount) && (!found || (mount.v1 && !ret_mount->v1))) {
            *ret_mount = mount;
            found = true;
        }
    }
    if (!found) {
        (void)snprintf(why, size, "no control groups are mounted here");
    }
    return found;
}

/* The path that /proc/PID/cgroup has for the hierarchy; NULL: none.  The caller frees it. */
static char *path_of(const char *root, int64_t pid, bool v1)
{
    CLEANUP_FREE char *text = process_file(root, pid, "cgroup");
    char *at = text;

    for (char *line; at != NULL && (line = strsep(&at, "\n")) != NULL;) {
        char *id = strsep(&line, ":"), *controllers = line != NULL ? strsep(&line, ":") : NULL;
        if (line == NULL) {
            continue;
        }
        if (v1 ? has_word(controllers, "memory") : str_equal(id, "0") && *controllers == '\0') {
            return xstrdup(line);
        }
    }
    return NULL;
}

/* What is left of a path below a directory: "" or "/..."; NULL: it is not below. */
static const char *below(const char *path, const char *directory)
{
    size_t len = strlen(directory);

    return strncmp(path, directory, len) == 0 && (path[len] == '/' || path[len] == '\0')
               ? path + len
               : NULL;
}

static bool is_directory(const char *path)
{
    struct stat status;

    return stat(path, &status) == 0 && S_ISDIR(status.st_mode);
}

static bool enter(const struct mount *mount, const char *rest, struct cgroup *ret_cgroup, char *why,
                  size_t size)
{
    struct cgroup cgroup = {.mount_len = strlen(mount->point), .v1 = mount->v1};
    int n = snprintf(cgroup.path, sizeof cgroup.path, "%s%s", mount->point,
                     str_equal(rest, "/") ? "" : rest);

    if (n < 0 || (size_t)n >= sizeof cgroup.path || !is_directory(cgroup.path)) {
        (void)snprintf(why, size, "the control group %s is not there", rest);
        return false;
    }
    *ret_cgroup = cgroup;
    return true;
}

bool cgroup_of_process(const char *root, int64_t pid, struct cgroup *ret_cgroup, char *why,
                       size_t size)
{
    struct mount mount;

    if (!find_mount(root, &mount, why, size)) {
        return false;
    }
    CLEANUP_FREE char *path = path_of(root, pid, mount.v1);
    if (path == NULL) {
        (void)snprintf(why, size, "the control group of process %lld can't be read",
                       (long long)pid);
        return false;
    }
    const char *rest = str_has_prefix(path, "/..") ? NULL : below(path, mount.root);
    if (rest == NULL) {
        (void)snprintf(why, size,
                       "the control group of process %lld is outside of those that are mounted at "
                       "%s: run tlsoak outside of its container",
                       (long long)pid, mount.point);
        return false;
    }
    return enter(&mount, rest, ret_cgroup, why, size);
}

/* The only directory among the matches, as what follows `mount_len` bytes. */
static const char *only_match(const glob_t *matches, char *why, size_t size, const char *pattern)
{
    const char *only = NULL;
    size_t n = 0;

    for (size_t i = 0; i < matches->gl_pathc; i++) {
        if (is_directory(matches->gl_pathv[i])) {
            only = matches->gl_pathv[i];
            n++;
        }
    }
    if (n != 1) {
        (void)snprintf(why, size, "%zu control groups match %s%s", n, pattern,
                       n > 1 ? ": name one" : "");
    }
    return n == 1 ? only : NULL;
}

bool cgroup_find(const char *root, const char *pattern, struct cgroup *ret_cgroup, char *why,
                 size_t size)
{
    struct mount mount;
    glob_t matches = {.gl_pathc = 0};

    if (!find_mount(root, &mount, why, size)) {
        return false;
    }
    CLEANUP_FREE char *whole =
        pattern[0] == '/' ? xstrdup(pattern) : xasprintf("%s/%s", mount.point, pattern);
    (void)glob(whole, GLOB_NOSORT, NULL, &matches);
    const char *path = only_match(&matches, why, size, whole);
    const char *rest = path != NULL ? below(path, mount.point) : NULL;
    bool ok = rest != NULL && enter(&mount, rest, ret_cgroup, why, size);
    if (path != NULL && rest == NULL) {
        (void)snprintf(why, size, "%s is not below %s, where the control groups with memory are",
                       path, mount.point);
    }
    globfree(&matches);
    while (ok && ret_cgroup->path[strlen(ret_cgroup->path) - 1] == '/') {
        ret_cgroup->path[strlen(ret_cgroup->path) - 1] = '\0';
    }
    return ok;
}

bool cgroup_holds(const char *root, const struct cgroup *cgroup, int64_t pid)
{
    struct cgroup its;
    char why[256];

    return cgroup_of_process(root, pid, &its, why, sizeof why) &&
           below(its.path, cgroup->path) != NULL;
}

struct oldest {
    const char *root;
    struct process process; /* pid 0: none yet */
    size_t n;
};

static void weigh_members(const char *directory, struct oldest *oldest)
{
    CLEANUP_FREE char *path = xasprintf("%s/cgroup.procs", directory);
    CLEANUP_FREE char *text = file_read(path, FILE_MAX_BYTES, NULL);
    char *at = text;

    for (char *line; at != NULL && (line = strsep(&at, "\n")) != NULL;) {
        struct process process;
        uint64_t pid;
        if (str_to_u64(line, &pid) && oldest->n++ < PROCESSES_MAX && pid > 0 && pid <= INT32_MAX &&
            process_stat(oldest->root, (int64_t)pid, &process) && !process.zombie &&
            (oldest->process.pid == 0 || process.start < oldest->process.start ||
             (process.start == oldest->process.start && process.pid < oldest->process.pid))) {
            oldest->process = process;
        }
    }
}

static void weigh_tree(const char *directory, int depth, struct oldest *oldest)
{
    DIR *dir = depth < DEPTH_MAX ? opendir(directory) : NULL;

    weigh_members(directory, oldest);
    for (struct dirent *e; dir != NULL && (e = readdir(dir)) != NULL;) {
        if (e->d_type == DT_DIR && e->d_name[0] != '.') {
            CLEANUP_FREE char *inner = xasprintf("%s/%s", directory, e->d_name);
            weigh_tree(inner, depth + 1, oldest);
        }
    }
    if (dir != NULL) {
        (void)closedir(dir);
    }
}

int64_t cgroup_oldest(const char *root, const struct cgroup *cgroup)
{
    struct oldest oldest = {.root = root};

    weigh_tree(cgroup->path, 0, &oldest);
    return oldest.process.pid;
}

/* The number that is alone in a file, or behind `key` in one of its lines; -1: none. */
static int64_t number_in(const char *directory, const char *file, const char *key)
{
    CLEANUP_FREE char *path = xasprintf("%s/%s", directory, file);
    CLEANUP_FREE char *text = file_read(path, FILE_MAX_BYTES, NULL);
    uint64_t value;
    char *at = text;

    for (char *line; at != NULL && (line = strsep(&at, "\n")) != NULL;) {
        size_t len = key != NULL ? strlen(key) : 0;
        const char *rest = key == NULL                                        ? line
                           : strncmp(line, key, len) == 0 && line[len] == ' ' ? line + len
                                                                              : NULL;
        if (rest != NULL && process_number(rest, &value) != NULL && value <= INT64_MAX) {
            return (int64_t)value;
        }
    }
    return -1;
}

/* Before Linux 5.18 the sum is not told. */
static int64_t kernel_parts(const struct cgroup *cgroup)
{
    static const char *const parts[V2_KERNEL_PARTS] = {"slab", "kernel_stack", "pagetables",
                                                       "percpu"};
    int64_t sum = -1;

    for (size_t i = 0; i < V2_KERNEL_PARTS; i++) {
        int64_t part = number_in(cgroup->path, "memory.stat", parts[i]);
        sum = part >= 0 ? (sum > 0 ? sum : 0) + part : sum;
    }
    return sum;
}

int64_t cgroup_bytes(const struct cgroup *cgroup, enum cgroup_metric metric, char *why, size_t size)
{
    static const struct {
        const char *file, *key;
    } where[2][CGROUP_METRICS] = {{[CGROUP_ANON] = {"memory.stat", "anon"},
                                   [CGROUP_CURRENT] = {"memory.current", NULL},
                                   [CGROUP_KERNEL] = {"memory.stat", "kernel"},
                                   [CGROUP_SOCK] = {"memory.stat", "sock"}},
                                  {[CGROUP_ANON] = {"memory.stat", "total_rss"},
                                   [CGROUP_CURRENT] = {"memory.usage_in_bytes", NULL},
                                   [CGROUP_KERNEL] = {"memory.kmem.usage_in_bytes", NULL},
                                   [CGROUP_SOCK] = {"memory.kmem.tcp.usage_in_bytes", NULL}}};
    const char *file = where[cgroup->v1][metric].file;
    int64_t bytes = number_in(cgroup->path, file, where[cgroup->v1][metric].key);

    if (bytes < 0 && metric == CGROUP_KERNEL && !cgroup->v1) {
        bytes = kernel_parts(cgroup);
    }
    if (bytes < 0) {
        (void)snprintf(why, size, "%.100s has no such number in %s: %s", cgroup->path, file,
                       is_directory(cgroup->path) ? "is the memory controller on for it?"
                                                  : "the control group is gone");
    }
    return bytes;
}

double cgroup_limit(const struct cgroup *cgroup)
{
    double least = 0;

    if (cgroup->v1) {
        int64_t limit = number_in(cgroup->path, "memory.stat", "hierarchical_memory_limit");
        return limit >= 0 && (double)limit < V1_UNLIMITED ? (double)limit : 0;
    }
    CLEANUP_FREE char *path = xstrdup(cgroup->path);
    /* the mount itself too: in a container that is its own group, limit and all */
    while (*path != '\0' && strlen(path) >= cgroup->mount_len) {
        int64_t limit = number_in(path, "memory.max", NULL);
        if (limit >= 0 && (least <= 0 || (double)limit < least)) {
            least = (double)limit;
        }
        *strrchr(path, '/') = '\0';
    }
    return least;
}

int64_t cgroup_oom_kills(const struct cgroup *cgroup)
{
    return number_in(cgroup->path, cgroup->v1 ? "memory.oom_control" : "memory.events", "oom_kill");
}

uint64_t cgroup_incarnation(const struct cgroup *cgroup)
{
    struct stat status;

    return stat(cgroup->path, &status) == 0 ? (uint64_t)status.st_ino : 0;
}
