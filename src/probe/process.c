#include "probe/process.h"

#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"

#include <dirent.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FILE_MAX (1u << 20)

char *process_file(const char *root, int64_t pid, const char *file)
{
    CLEANUP_FREE char *path = xasprintf("%s/%lld/%s", root, (long long)pid, file);

    return file_read(path, FILE_MAX, NULL);
}

const char *process_number(const char *s, uint64_t *ret_value)
{
    uint64_t value = 0;

    s += strspn(s, " \t");
    if (*s < '0' || *s > '9') {
        return NULL;
    }
    for (; *s >= '0' && *s <= '9'; s++) {
        uint64_t digit = (uint64_t)(*s - '0');
        if (value > (UINT64_MAX - digit) / 10) {
            return NULL;
        }
        value = value * 10 + digit;
    }
    *ret_value = value;
    return s;
}

bool process_exe(const char *root, int64_t pid, char *text, size_t size)
{
    CLEANUP_FREE char *path = xasprintf("%s/%lld/exe", root, (long long)pid);
    char target[PATH_MAX];
    ssize_t len = readlink(path, target, sizeof target - 1);

    if (len <= 0) {
        return false;
    }
    target[len] = '\0';
    char *deleted = strstr(target, " (deleted)");
    if (deleted != NULL) {
        *deleted = '\0';
    }
    const char *slash = strrchr(target, '/');
    return str_copy(text, size, slash != NULL ? slash + 1 : target);
}

/* Numbers of proc(5) stat fields 4 to 22, the first is fields[4]; some may be negative. */
static bool stat_fields(const char *s, uint64_t fields[23])
{
    for (int i = 4; i <= 22; i++) {
        s += strspn(s, " ");
        if (*s == '-') {
            s++;
        }
        s = process_number(s, &fields[i]);
        if (s == NULL) {
            return false;
        }
    }
    return true;
}

bool process_stat(const char *root, int64_t pid, struct process *ret_process)
{
    CLEANUP_FREE char *text = process_file(root, pid, "stat");
    uint64_t fields[23];

    /* the name may hold spaces and parentheses: what counts begins after the last one */
    const char *after = text != NULL ? strrchr(text, ')') : NULL;
    if (after == NULL || after[1] != ' ' || after[2] == '\0' || !stat_fields(after + 3, fields)) {
        return false;
    }
    *ret_process = (struct process){
        .pid = pid,
        .parent = (int64_t)(fields[4] & INT64_MAX),
        .start = fields[22],
        .cpu_ticks = fields[14] + fields[15] + fields[16] + fields[17],
        .threads = (int64_t)(fields[20] & INT64_MAX),
        .zombie = strchr("ZXx", after[2]) != NULL,
    };
    return true;
}

static bool pid_of_name(const char *name, int64_t *ret_pid)
{
    uint64_t pid;

    if (!str_to_u64(name, &pid) || pid == 0 || pid > INT32_MAX) {
        return false;
    }
    *ret_pid = (int64_t)pid;
    return true;
}

size_t process_all(const char *root, struct process **ret_processes)
{
    struct process *all = NULL;
    size_t n = 0, capacity = 0;
    DIR *dir = opendir(root);

    for (struct dirent *e; dir != NULL && (e = readdir(dir)) != NULL;) {
        int64_t pid;
        if (pid_of_name(e->d_name, &pid)) {
            ARRAY_RESERVE(all, n, capacity);
            n += process_stat(root, pid, &all[n]);
        }
    }
    if (dir != NULL) {
        (void)closedir(dir);
    }
    *ret_processes = all;
    return n;
}

struct tree {
    struct process *members;
    size_t n, capacity;
};

static bool tree_has(const struct tree *tree, int64_t pid)
{
    for (size_t i = 0; i < tree->n; i++) {
        if (tree->members[i].pid == pid) {
            return true;
        }
    }
    return false;
}

static void tree_add(struct tree *tree, const struct process *process)
{
    if (!process->zombie && !tree_has(tree, process->pid)) {
        ARRAY_RESERVE(tree->members, tree->n, tree->capacity);
        tree->members[tree->n++] = *process;
    }
}

/* Adds the children that one thread of `parent` has; false when the kernel was built without
 * this list. */
static bool add_children_of_thread(const char *root, int64_t parent, const char *thread,
                                   struct tree *tree)
{
    CLEANUP_FREE char *path =
        xasprintf("%s/%lld/task/%s/children", root, (long long)parent, thread);
    CLEANUP_FREE char *text = file_read(path, FILE_MAX, NULL);
    struct process child;
    uint64_t pid;

    for (const char *s = text; s != NULL && (s = process_number(s, &pid)) != NULL;) {
        if (pid <= INT32_MAX && process_stat(root, (int64_t)pid, &child)) {
            tree_add(tree, &child);
        }
    }
    return text != NULL;
}

/* False when no thread of the process could tell its children. */
static bool add_children(const char *root, int64_t parent, struct tree *tree)
{
    CLEANUP_FREE char *path = xasprintf("%s/%lld/task", root, (long long)parent);
    DIR *dir = opendir(path);
    bool told = false;

    for (struct dirent *e; dir != NULL && (e = readdir(dir)) != NULL;) {
        int64_t thread;
        if (pid_of_name(e->d_name, &thread)) {
            told |= add_children_of_thread(root, parent, e->d_name, tree);
        }
    }
    if (dir != NULL) {
        (void)closedir(dir);
    }
    return told;
}

/* Without lists of children: everyone is asked for the parent. */
static void add_by_parents(const char *root, struct tree *tree)
{
    CLEANUP_FREE struct process *all = NULL;
    size_t n = process_all(root, &all);

    for (size_t i = 0; i < tree->n; i++) {
        for (size_t k = 0; k < n; k++) {
            if (all[k].parent == tree->members[i].pid) {
                tree_add(tree, &all[k]);
            }
        }
    }
}

size_t process_tree(const char *root, int64_t pid, struct process **ret_processes)
{
    struct tree tree = {0};
    struct process first;

    if (process_stat(root, pid, &first)) {
        tree_add(&tree, &first);
    }
    for (size_t i = 0; i < tree.n; i++) {
        if (!add_children(root, tree.members[i].pid, &tree) && i == 0) {
            add_by_parents(root, &tree);
            break;
        }
    }
    *ret_processes = tree.members;
    return tree.n;
}
