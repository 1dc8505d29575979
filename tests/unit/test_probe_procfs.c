#include "base/file.h"
#include "base/mem.h"
#include "probe/process.h"
#include "probe/procfs.h"

#include <arpa/inet.h>
#include <elf.h>
#include <ftw.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* A made-up /proc. */
struct tree {
    char root[64];
};

static int remove_entry(const char *path, const struct stat *st, int flag, struct FTW *at)
{
    (void)st;
    (void)flag;
    (void)at;
    return remove(path);
}

static int set_up(void **state)
{
    struct tree *tree = xcalloc(1, sizeof *tree);

    (void)snprintf(tree->root, sizeof tree->root, "/tmp/tlsoak-proc-XXXXXX");
    *state = tree;
    return mkdtemp(tree->root) != NULL ? 0 : -1;
}

static int tear_down(void **state)
{
    struct tree *tree = *state;
    int rc = nftw(tree->root, remove_entry, 16, FTW_DEPTH | FTW_PHYS);

    free(tree);
    return rc;
}

static void put(const struct tree *tree, const char *name, const char *text)
{
    CLEANUP_FREE char *path = xasprintf("%s/%s", tree->root, name);
    CLEANUP_FREE char *dir = xstrdup(path);

    *strrchr(dir, '/') = '\0';
    assert_true(file_make_dir(dir));
    assert_true(file_write(path, text, strlen(text), 0600));
}

static void put_of(const struct tree *tree, int pid, const char *file, const char *text)
{
    CLEANUP_FREE char *name = xasprintf("%d/%s", pid, file);

    put(tree, name, text);
}

static void put_link(const struct tree *tree, int pid, const char *file, const char *target)
{
    CLEANUP_FREE char *path = xasprintf("%s/%d/%s", tree->root, pid, file);
    CLEANUP_FREE char *dir = xstrdup(path);

    *strrchr(dir, '/') = '\0';
    assert_true(file_make_dir(dir));
    assert_int_equal(symlink(target, path), 0);
}

static void put_process(const struct tree *tree, int pid, int parent, const char *comm,
                        unsigned start, unsigned rss_kib)
{
    CLEANUP_FREE char *stat =
        xasprintf("%d (%s) S %d 1 1 0 -1 4194560 100 0 0 0 7 3 0 0 20 0 4 0 %u 1000 50 1 2 3\n",
                  pid, comm, parent, start);
    CLEANUP_FREE char *status =
        xasprintf("Name:\t%s\nVmHWM:\t  999999 kB\nVmRSS:\t  %u kB\nRssAnon:\t  %u kB\n", comm,
                  rss_kib, rss_kib / 2);
    CLEANUP_FREE char *line = xasprintf("%s\n", comm);

    put_of(tree, pid, "stat", stat);
    put_of(tree, pid, "status", status);
    put_of(tree, pid, "comm", line);
    put_of(tree, pid, "smaps_rollup",
           "00400000-7fff0000 ---p 00000000 00:00 0   [rollup]\nRss:  100 kB\nPss:   60 kB\n"
           "Pss_Anon:   20 kB\nPrivate_Dirty:    10 kB\n");
    put_link(tree, pid, "fd/0", "/dev/null");
}

static struct reading read_of(const struct tree *tree, int64_t pid, bool detail)
{
    struct reading reading = {0};

    procfs_read(tree->root, pid, detail, &reading);
    return reading;
}

static void sums_a_tree_by_parents(void **state)
{
    struct tree *tree = *state;

    put_process(tree, 10, 1, "server", 500, 4000);
    put_process(tree, 30, 20, "grandchild", 502, 1000);
    put_process(tree, 20, 10, "a ) R 5 (child", 501, 2000); /* names may look like fields */
    put_process(tree, 99, 1, "stranger", 100, 70000);
    struct reading reading = read_of(tree, 10, true);
    assert_true(reading.ok);
    assert_false(reading.lost);
    assert_int_equal(reading.value[MEMORY_RSS], 7000 * 1024);
    assert_int_equal(reading.value[MEMORY_ANON], 3500 * 1024);
    assert_int_equal(reading.value[MEMORY_PSS], 180 * 1024);
    assert_int_equal(reading.value[MEMORY_PRIVATE_DIRTY], 30 * 1024);
    assert_int_equal(reading.value[MEMORY_FDS], 3);
    assert_int_equal(reading.value[MEMORY_THREADS], 12);
    assert_int_equal(reading.value[MEMORY_PROCESSES], 3);
    assert_int_equal(reading.value[MEMORY_CPU_NS], 3 * 10 * (1000000000 / sysconf(_SC_CLK_TCK)));
    assert_int_equal(procfs_children(tree->root, 10), 2);
}

static void sums_a_tree_by_lists_of_children(void **state)
{
    struct tree *tree = *state;

    put_process(tree, 10, 1, "server", 500, 4000);
    put_process(tree, 20, 10, "child", 501, 2000);
    put_process(tree, 21, 10, "of another thread", 501, 100);
    put_of(tree, 10, "task/10/children", "20 \n");
    put_of(tree, 10, "task/11/children", "21 ");
    put_of(tree, 20, "task/20/children", "");
    put_of(tree, 21, "task/21/children", "4294967299999 junk");
    assert_int_equal(read_of(tree, 10, false).value[MEMORY_RSS], 6100 * 1024);
}

static void detail_is_read_only_when_asked(void **state)
{
    struct tree *tree = *state;

    put_process(tree, 10, 1, "server", 500, 4000);
    struct reading reading = read_of(tree, 10, false);
    assert_true(reading.ok);
    assert_int_equal(reading.value[MEMORY_PSS], -1);
    assert_int_equal(reading.value[MEMORY_PRIVATE_DIRTY], -1);
}

static void a_lost_root_is_no_zero(void **state)
{
    struct tree *tree = *state;

    put_process(tree, 20, 10, "orphan", 501, 2000);
    struct reading reading = read_of(tree, 10, true);
    assert_false(reading.ok);
    assert_true(reading.lost);
    assert_int_equal(reading.value[MEMORY_RSS], -1);

    put_of(tree, 10, "stat", "10 (server) Z 1 1 1 0 -1 0 0 0 0 0 7 3 0 0 20 0 1 0 500 0 0\n");
    assert_true(read_of(tree, 10, true).lost);
}

static void a_zombie_child_is_left_out(void **state)
{
    struct tree *tree = *state;

    put_process(tree, 10, 1, "server", 500, 4000);
    put_of(tree, 20, "stat", "20 (done) Z 10 1 1 0 -1 0 0 0 0 0 7 3 0 0 20 0 1 0 501 0 0\n");
    put_of(tree, 20, "status", "Name:\tdone\nState:\tZ (zombie)\n");
    struct reading reading = read_of(tree, 10, true);
    assert_true(reading.ok);
    assert_int_equal(reading.value[MEMORY_PROCESSES], 1);
    assert_int_equal(reading.value[MEMORY_RSS], 4000 * 1024);
}

static void incarnations_differ(void **state)
{
    struct tree *tree = *state;

    put_process(tree, 10, 1, "server", 500, 4000);
    uint64_t first = read_of(tree, 10, false).incarnation;
    assert_int_equal(read_of(tree, 10, false).incarnation, first);
    put_of(tree, 10, "stat", "10 (server) S 1 1 1 0 -1 0 0 0 0 0 7 3 0 0 20 0 4 0 600 0 0\n");
    assert_int_not_equal(read_of(tree, 10, false).incarnation, first);
}

static void survives_malformed_text(void **state)
{
    static const char *const stats[] = {
        "",
        "10",
        "10 (",
        "10 (x)",
        "10 (x) ",
        "10 (x) S",
        "10 (x) S 1 2 3",
        "10 (x) S x 1 1 0 -1 0 0 0 0 0 7 3 0 0 20 0 4 0 600 0 0",
        "10 (x) S 1 1 1 0 -1 0 0 0 0 0 7 3 0 0 20 0 4 0 99999999999999999999999 0 0",
    };
    static const char *const statuses[] = {
        "",
        "VmRSS:",
        "VmRSS:\t kB\n",
        "VmRSS:\t-5 kB\n",
        "VmRSS:\t5 MB\n",
        "xVmRSS:\t5 kB\n",
        "VmRSS:\t99999999999999999999999 kB\n",
    };
    struct tree *tree = *state;

    for (size_t i = 0; i < sizeof stats / sizeof stats[0]; i++) {
        put_process(tree, 10, 1, "server", 500, 4000);
        put_of(tree, 10, "stat", stats[i]);
        assert_false(read_of(tree, 10, true).ok);
        CLEANUP_FREE char *fd = xasprintf("%s/10/fd/0", tree->root);
        assert_int_equal(unlink(fd), 0);
    }
    put_process(tree, 10, 1, "server", 500, 4000);
    for (size_t i = 0; i < sizeof statuses / sizeof statuses[0]; i++) {
        put_of(tree, 10, "status", statuses[i]);
        struct reading reading = read_of(tree, 10, true);
        assert_false(reading.ok);
        assert_false(reading.lost); /* alive: a gap */
        assert_int_equal(reading.value[MEMORY_RSS], -1);
    }
}

static void unknown_members_make_sums_unknown(void **state)
{
    struct tree *tree = *state;

    put_process(tree, 10, 1, "server", 500, 4000);
    put_process(tree, 20, 10, "child", 501, 2000);
    CLEANUP_FREE char *rollup = xasprintf("%s/20/smaps_rollup", tree->root);
    assert_int_equal(unlink(rollup), 0);
    struct reading reading = read_of(tree, 10, true);
    assert_true(reading.ok);
    assert_int_equal(reading.value[MEMORY_PSS], -1);
    assert_int_equal(reading.value[MEMORY_RSS], 6000 * 1024);
}

static void sums_beyond_all_memory_are_unknown(void **state)
{
    struct tree *tree = *state;

    for (int pid = 10; pid <= 12; pid++) {
        put_process(tree, pid, pid == 10 ? 1 : 10, "server", 500, 4000);
        put_of(tree, pid, "status", "VmRSS:\t4503599627370495 kB\nRssAnon:\t1 kB\n");
    }
    struct reading reading = read_of(tree, 10, true);
    assert_int_equal(reading.value[MEMORY_RSS], -1);
    assert_int_equal(reading.value[MEMORY_ANON], 3 * 1024);
}

static const char tcp_head[] =
    "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout "
    "inode\n";

static void put_tcp(const struct tree *tree, const char *where, const char *lines)
{
    CLEANUP_FREE char *text = xasprintf("%s%s", tcp_head, lines);

    put(tree, where, text);
}

#define TAIL " 00000000:00000000 00:00000000 00000000  1000        0 "

static struct sockaddr_in v4(const char *text)
{
    struct sockaddr_in sa = {.sin_family = AF_INET};

    assert_int_equal(inet_pton(AF_INET, text, &sa.sin_addr), 1);
    return sa;
}

static struct sockaddr_in6 v6(const char *text)
{
    struct sockaddr_in6 sa = {.sin6_family = AF_INET6};

    assert_int_equal(inet_pton(AF_INET6, text, &sa.sin6_addr), 1);
    return sa;
}

static int64_t listener(const struct tree *tree, uint16_t port, const void *to)
{
    return procfs_listener(tree->root, port, to).pid;
}

static void finds_the_root_of_a_shared_socket(void **state)
{
    struct tree *tree = *state;

    /* 8443 is 0x20FB; the second line is a connection, the third another port */
    put_tcp(tree, "net/tcp",
            "   0: 00000000:20FB 00000000:0000 0A" TAIL "777 1 0 100 0 0 10 0\n"
            "   1: 0100007F:20FB 0100007F:9999 01" TAIL "778 1 0 100 0 0 10 0\n"
            "   2: 0100007F:20FC 00000000:0000 0A" TAIL "779 1 0 100 0 0 10 0\n");
    put_process(tree, 10, 1, "nginx", 500, 4000);
    put_process(tree, 20, 10, "nginx", 501, 2000);
    put_process(tree, 8, 10, "nginx", 500, 2000); /* in the same tick, its pid wrapped around */
    put_process(tree, 9, 1, "inherited it", 900, 2000);
    put_process(tree, 7, 1, "client", 100, 2000);
    put_process(tree, 1, 0, "systemd", 1, 2000);
    put_link(tree, 1, "fd/9", "socket:[777]");
    put_link(tree, 8, "fd/9", "socket:[777]");
    put_link(tree, 9, "fd/9", "socket:[777]");
    put_link(tree, 20, "fd/9", "socket:[777]");
    put_link(tree, 10, "fd/6", "socket:[777]");
    put_link(tree, 7, "fd/5", "socket:[778]");
    put_link(tree, 7, "fd/6", "socket:[7777]");
    assert_int_equal(listener(tree, 8443, NULL), 10);
    assert_int_equal(listener(tree, 8445, NULL), 0);
    struct procfs_owner hidden = procfs_listener(tree->root, 8444, NULL);
    assert_int_equal(hidden.pid, 0);
    assert_true(hidden.hidden);
    assert_false(procfs_listener(tree->root, 8445, NULL).hidden);
}

static void tells_addresses_apart(void **state)
{
    struct tree *tree = *state;
    struct sockaddr_in one = v4("127.0.0.1"), two = v4("127.0.0.2"), three = v4("127.0.0.3");
    struct sockaddr_in6 six = v6("::1"), mapped = v6("::ffff:127.0.0.2");

    put_tcp(tree, "net/tcp",
            "   0: 0100007F:20FB 00000000:0000 0A" TAIL "71 1\n"
            "   1: 0200007F:20FB 00000000:0000 0A" TAIL "72 1\n");
    put_tcp(tree, "net/tcp6",
            "   0: 00000000000000000000000000000000:20FB 00000000000000000000000000000000:0000 "
            "0A" TAIL "73 1\n");
    for (int i = 1; i <= 3; i++) {
        char link[32];
        put_process(tree, i, 0, "server", 500 - (unsigned)i, 4000);
        (void)snprintf(link, sizeof link, "socket:[7%d]", i);
        put_link(tree, i, "fd/3", link);
    }
    assert_int_equal(listener(tree, 8443, &one), 1);
    assert_int_equal(listener(tree, 8443, &two), 2);
    assert_int_equal(listener(tree, 8443, &mapped), 2);
    assert_int_equal(listener(tree, 8443, &three), 3); /* the wildcard of IPv6 takes it */
    assert_int_equal(listener(tree, 8443, &six), 3);

    put_tcp(tree, "net/tcp6", "");
    assert_int_equal(listener(tree, 8443, &three), 0);
    put_tcp(tree, "net/tcp", "   0: 00000000:20FB 00000000:0000 0A" TAIL "71 1\n");
    assert_int_equal(listener(tree, 8443, &three), 1);
    assert_int_equal(listener(tree, 8443, &six), 0);
}

static void survives_malformed_tables(void **state)
{
    struct tree *tree = *state;

    put_process(tree, 10, 1, "server", 500, 4000);
    put_link(tree, 10, "fd/3", "socket:[777]");
    put_link(tree, 10, "fd/4", "socket:[");
    put(tree, "net/tcp",
        "\n0:\n 0: 20FB\n 0: :20FB x 0A 1 2 3 4 5 777\n 0: 0100007F:20F x 0A 1 2 3 4 5 777\n"
        " 0: 0100007G:20FB x 0A 1 2 3 4 5 777\n 0: 0100007F:20FB x 0A 1 2 3 4 5\n"
        " 0: 0100007F:20FB x 0 1 2 3 4 5 777\n 0: 0100007F:20FB x 0A 1 2 3 4 5 x\n");
    assert_int_equal(listener(tree, 8443, NULL), 0);
    put(tree, "net/tcp", " 0: 0100007F:20FB x 0A 1 2 3 4 5 777");
    assert_int_equal(listener(tree, 8443, NULL), 10);
}

static void a_tree_listens_by_its_child(void **state)
{
    struct tree *tree = *state;
    struct sockaddr_in one = v4("127.0.0.1"), two = v4("127.0.0.2");

    put_process(tree, 10, 1, "sh", 500, 4000);
    put_process(tree, 20, 10, "server", 501, 2000);
    put_process(tree, 30, 1, "stranger", 502, 2000);
    put_tcp(tree, "10/net/tcp", "   0: 0100007F:20FB 00000000:0000 0A" TAIL "777 1\n");
    put_tcp(tree, "30/net/tcp", "   0: 0100007F:20FB 00000000:0000 0A" TAIL "777 1\n");
    put_link(tree, 20, "fd/3", "socket:[777]");
    assert_true(procfs_tree_listens(tree->root, 10, 8443, (const struct sockaddr *)&one));
    assert_true(procfs_tree_listens(tree->root, 10, 8443, NULL));
    assert_false(procfs_tree_listens(tree->root, 10, 8443, (const struct sockaddr *)&two));
    assert_false(procfs_tree_listens(tree->root, 10, 8444, NULL));
    assert_false(procfs_tree_listens(tree->root, 30, 8443, NULL));
}

static void finds_by_name(void **state)
{
    struct tree *tree = *state;
    int64_t pids[4];

    put_process(tree, 10, 1, "nginx", 500, 4000);
    put_process(tree, 20, 10, "nginx", 501, 2000);
    put_process(tree, 30, 1, "a-very-long-nam", 501, 2000);
    put_link(tree, 30, "exe", "/opt/a-very-long-name-of-a-server (deleted)");
    assert_int_equal(procfs_find(tree->root, "nginx", pids, 4), 1);
    assert_int_equal(pids[0], 10);
    assert_int_equal(procfs_find(tree->root, "a-very-long-name-of-a-server", pids, 4), 1);
    assert_int_equal(pids[0], 30);
    assert_int_equal(procfs_find(tree->root, "apache2", pids, 4), 0);
    put_process(tree, 40, 1, "nginx", 600, 4000);
    assert_int_equal(procfs_find(tree->root, "nginx", pids, 4), 2);
    assert_int_equal(procfs_find(tree->root, "nginx", pids, 1), 1);
    char text[32];
    assert_string_equal(procfs_name(tree->root, 40, text, sizeof text), "nginx");
    assert_string_equal(procfs_name(tree->root, 41, text, sizeof text), "?");
}

/* A file with ELF's head and either a table of section names or a note. */
static void put_elf(const struct tree *tree, const char *section_names, const char *note_owner)
{
    struct {
        Elf64_Ehdr head;
        Elf64_Phdr segment;
        Elf64_Shdr section;
        Elf64_Nhdr note;
        char owner[4];
        char names[64];
    } file = {0};
    CLEANUP_FREE char *path = xasprintf("%s/10/exe", tree->root);

    memcpy(file.head.e_ident, ELFMAG, SELFMAG);
    file.head.e_ident[EI_CLASS] = ELFCLASS64;
    file.head.e_phentsize = sizeof file.segment;
    file.head.e_phoff = (size_t)((char *)&file.segment - (char *)&file);
    file.head.e_phnum = 1;
    if (section_names != NULL) {
        file.head.e_shentsize = sizeof file.section;
        file.head.e_shoff = (size_t)((char *)&file.section - (char *)&file);
        file.section.sh_offset = (size_t)((char *)file.names - (char *)&file);
        file.section.sh_size = sizeof file.names;
        memcpy(file.names + 1, section_names, strlen(section_names));
    }
    file.segment.p_type = PT_NOTE;
    file.segment.p_offset = (size_t)((char *)&file.note - (char *)&file);
    file.note.n_namesz = 4;
    memcpy(file.owner, note_owner, strlen(note_owner));
    (void)unlink(path);
    assert_true(file_write(path, &file, sizeof file, 0600));
}

static void recognises_runtimes(void **state)
{
    struct tree *tree = *state;

    put_process(tree, 10, 1, "server", 500, 4000);
    put_of(tree, 10, "maps", "7f00-7f01 r-xp 00000000 08:01 1 /usr/lib/libc.so.6\n");
    assert_string_equal(procfs_runtime(tree->root, 10), "native");
    put_elf(tree, NULL, "GNU");
    assert_string_equal(procfs_runtime(tree->root, 10), "native");
    put_elf(tree, ".text", "GNU");
    assert_string_equal(procfs_runtime(tree->root, 10), "native");
    put_elf(tree, ".go.buildinfo", "GNU");
    assert_string_equal(procfs_runtime(tree->root, 10), "go");
    put_elf(tree, NULL, "Go");
    assert_string_equal(procfs_runtime(tree->root, 10), "go");
    put_of(tree, 10, "maps", "7f00-7f01 r-xp 00000000 08:01 1 /usr/lib/jvm/lib/server/libjvm.so\n");
    assert_string_equal(procfs_runtime(tree->root, 10), "jvm");
    put_of(tree, 10, "maps", "7f00-7f01 r-xp 00000000 08:01 1 /usr/share/dotnet/libcoreclr.so\n");
    assert_string_equal(procfs_runtime(tree->root, 10), "dotnet");
    put_of(tree, 10, "maps", "");
    CLEANUP_FREE char *exe = xasprintf("%s/10/exe", tree->root);
    assert_int_equal(unlink(exe), 0);
    put_link(tree, 10, "exe", "/usr/bin/node");
    assert_string_equal(procfs_runtime(tree->root, 10), "node");
}

/* A child that touches a page, then 8 MiB, each when told, and answers when it has: the first round brings in what
 * the second runs over.  The bare system call: a sanitizer's own mmap would add its shadow. */
__attribute__((no_sanitize("address", "thread"))) static void grow_when_told(int in, int out)
{
    static const size_t sizes[] = {4096, 8u << 20};
    char byte;

    for (size_t round = 0; round < 2 && read(in, &byte, 1) == 1; round++) {
        long at = syscall(SYS_mmap, NULL, sizes[round], PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        volatile char *block = (volatile char *)at;
        for (size_t i = 0; i < sizes[round]; i += 1024) {
            block[i] = 1;
        }
        (void)!write(out, &byte, 1);
    }
    (void)!read(in, &byte, 1);
    _exit(0);
}

static void sees_a_live_child_grow(void **state)
{
    int to[2], from[2];
    struct reading before = {0}, after = {0}, mine = {0};
    char byte = 'x';

    (void)state;
    assert_int_equal(pipe(to) | pipe(from), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        (void)close(to[1]);
        grow_when_told(to[0], from[1]);
    }
    assert_int_equal(write(to[1], &byte, 1), 1);
    assert_int_equal(read(from[0], &byte, 1), 1);
    procfs_read("/proc", pid, true, &before);
    assert_int_equal(write(to[1], &byte, 1), 1);
    assert_int_equal(read(from[0], &byte, 1), 1);
    procfs_read("/proc", pid, true, &after);
    procfs_read("/proc", getpid(), false, &mine);
    assert_true(before.ok && after.ok && mine.ok);
    static const enum memory_metric metrics[] = {MEMORY_RSS, MEMORY_ANON, MEMORY_PSS,
                                                 MEMORY_PRIVATE_DIRTY};
    for (size_t i = 0; i < sizeof metrics / sizeof metrics[0]; i++) {
        int64_t growth = after.value[metrics[i]] - before.value[metrics[i]];
        assert_in_range(growth, (8 << 20) * 0.95, (8 << 20) * 1.05);
    }
    assert_int_equal(after.incarnation, before.incarnation);
    assert_int_equal(mine.value[MEMORY_PROCESSES], 2);
    assert_true(mine.value[MEMORY_RSS] > after.value[MEMORY_RSS]);
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    procfs_read("/proc", pid, true, &after);
    assert_true(after.lost && !after.ok);
    for (int i = 0; i < 2; i++) {
        (void)close(to[i]);
        (void)close(from[i]);
    }
}

static void finds_a_live_listener(void **state)
{
    struct sockaddr_in sa = v4("127.0.0.1");
    socklen_t len = sizeof sa;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    (void)state;
    assert_int_equal(bind(fd, (struct sockaddr *)&sa, sizeof sa) | listen(fd, 1), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&sa, &len), 0);
    uint16_t port = ntohs(sa.sin_port);
    assert_int_equal(procfs_listener("/proc", port, NULL).pid, getpid());
    assert_int_equal(procfs_listener("/proc", port, (struct sockaddr *)&sa).pid, getpid());
    assert_true(procfs_tree_listens("/proc", getpid(), port, NULL));
    (void)close(fd);
    assert_int_equal(procfs_listener("/proc", port, NULL).pid, 0);
}

#define WITH_TREE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_TREE(sums_a_tree_by_parents),
        WITH_TREE(sums_a_tree_by_lists_of_children),
        WITH_TREE(detail_is_read_only_when_asked),
        WITH_TREE(a_lost_root_is_no_zero),
        WITH_TREE(a_zombie_child_is_left_out),
        WITH_TREE(incarnations_differ),
        WITH_TREE(survives_malformed_text),
        WITH_TREE(unknown_members_make_sums_unknown),
        WITH_TREE(sums_beyond_all_memory_are_unknown),
        WITH_TREE(finds_the_root_of_a_shared_socket),
        WITH_TREE(tells_addresses_apart),
        WITH_TREE(survives_malformed_tables),
        WITH_TREE(a_tree_listens_by_its_child),
        WITH_TREE(finds_by_name),
        WITH_TREE(recognises_runtimes),
        cmocka_unit_test(sees_a_live_child_grow),
        cmocka_unit_test(finds_a_live_listener),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
