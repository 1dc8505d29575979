/* Control groups in made-up trees: which one is a process's, by what mount, and what its files
 * say, in both versions. */
#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"
#include "probe/cgroup.h"
#include "probe/teller.h"
#include "profile/store.h"

#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char top[] = "/tmp/tlsoak-cgroup-XXXXXX";
static char proc[64], mounted[64];

/* A file below the top, with its folders. */
static void put(const char *path, const char *text)
{
    CLEANUP_FREE char *whole = xasprintf("%s/%s", top, path);
    CLEANUP_FREE char *folder = xstrndup(whole, (size_t)(strrchr(whole, '/') - whole));

    assert_true(file_make_dir(folder));
    assert_true(file_write(whole, text, strlen(text), 0644));
}

/* A process that runs since `start`, in these groups. */
static void put_process(int pid, unsigned start, const char *groups)
{
    CLEANUP_FREE char *stat = xasprintf("proc/%d/stat", pid);
    CLEANUP_FREE char *group = xasprintf("proc/%d/cgroup", pid);
    CLEANUP_FREE char *text = xasprintf("%d (server) S 1 1 1 0 -1 0 0 0 0 0 1 1 0 0 20 0 1 0 %u "
                                        "0 0\n",
                                        pid, start);

    put(stat, text);
    put(group, groups);
}

static int set_up(void **state)
{
    (void)state;
    (void)snprintf(top, sizeof top, "/tmp/tlsoak-cgroup-XXXXXX");
    if (mkdtemp(top) == NULL) {
        return -1;
    }
    (void)snprintf(proc, sizeof proc, "%s/proc", top);
    (void)snprintf(mounted, sizeof mounted, "%s/a mount", top);
    return 0;
}

static int drop(const char *path, const struct stat *status, int flag, struct FTW *ftw)
{
    (void)status;
    (void)flag;
    (void)ftw;
    return remove(path);
}

static int tear_down(void **state)
{
    (void)state;
    return nftw(top, drop, 16, FTW_DEPTH | FTW_PHYS);
}

/* Version 2 at "a mount", of which this part of the groups is seen. */
static void mount_v2(const char *root)
{
    CLEANUP_FREE char *text =
        xasprintf("22 1 8:1 / / rw - ext4 /dev/sda rw\n"
                  "30 22 0:29 / %s/v1 rw shared:4 - cgroup cgroup rw,cpu\n"
                  "35 22 0:30 %s %s/a\\040mount rw,nosuid shared:9 master:3 - cgroup2 cgroup rw\n",
                  top, root, top);

    put("proc/self/mountinfo", text);
}

#define GROUP "a mount/kube.slice/pod-7/server"

static void fill_v2(void)
{
    mount_v2("/");
    put(GROUP "/memory.current", "900000\n");
    put(GROUP "/memory.stat", "anon 500000\nfile 300000\nkernel 60000\nkernel_stack 16384\n"
                              "sock 4096\nanon_thp 1\n");
    put(GROUP "/memory.max", "max\n");
    put(GROUP "/memory.events", "low 0\nhigh 0\nmax 3\noom 2\noom_kill 1\noom_group_kill 0\n");
    put(GROUP "/cgroup.procs", "");
    put(GROUP "/inner/cgroup.procs", "70\n0\n71\n72\n");
    put("a mount/kube.slice/pod-7/memory.max", "1000000\n");
    put("a mount/kube.slice/memory.max", "2000000\n");
    put_process(70, 300, "1:cpu:/x\n0::/kube.slice/pod-7/server/inner\n");
    put_process(71, 200, "0::/kube.slice/pod-7/server/inner\n");
    put_process(80, 100, "0::/kube.slice/pod-7/server-b\n");
}

static struct cgroup found(int64_t pid)
{
    struct cgroup cgroup;
    char why[512] = "";

    if (!cgroup_of_process(proc, pid, &cgroup, why, sizeof why)) {
        fail_msg("%s", why);
    }
    return cgroup;
}

static int64_t bytes(const struct cgroup *cgroup, enum cgroup_metric metric)
{
    char why[512];

    return cgroup_bytes(cgroup, metric, why, sizeof why);
}

static void version_2_is_read(void **state)
{
    struct cgroup cgroup;
    char why[512] = "";

    (void)state;
    fill_v2();
    assert_true(cgroup_find(proc, "kube.slice/*/serv[e]r", &cgroup, why, sizeof why));
    assert_true(str_has_prefix(cgroup.path, mounted));
    assert_int_equal(bytes(&cgroup, CGROUP_ANON), 500000);
    assert_int_equal(bytes(&cgroup, CGROUP_CURRENT), 900000);
    assert_int_equal(bytes(&cgroup, CGROUP_KERNEL), 60000);
    assert_int_equal(bytes(&cgroup, CGROUP_SOCK), 4096);
    assert_int_equal(cgroup_oom_kills(&cgroup), 1);
    assert_true(cgroup_limit(&cgroup) == 1000000); /* of the pod above it, which is the least */
    put(GROUP "/memory.max", "700000\n");
    assert_true(cgroup_limit(&cgroup) == 700000);
    put(GROUP "/memory.max", "3000000\n"); /* which is of no use in a pod of less */
    assert_true(cgroup_limit(&cgroup) == 1000000);
    put("a mount/memory.max", "400000\n"); /* the mount is the group of a container */
    assert_true(cgroup_limit(&cgroup) == 400000);
    assert_int_equal(cgroup_oldest(proc, &cgroup), 71);
    assert_true(cgroup_holds(proc, &cgroup, 70));
    assert_false(cgroup_holds(proc, &cgroup, 80)); /* its name only begins alike */
    assert_false(cgroup_holds(proc, &cgroup, 81));
    assert_int_not_equal(cgroup_incarnation(&cgroup), 0);
    put(GROUP "/memory.stat", "anon 7\nslab 100\nkernel_stack 30\npagetables 4\n");
    assert_int_equal(bytes(&cgroup, CGROUP_KERNEL), 134); /* of an older kernel */
    put(GROUP "/memory.stat", "anonymous 7\nanon\n");
    assert_int_equal(bytes(&cgroup, CGROUP_ANON), -1);
}

/* In a container one sees a part of the groups, and may be told of what is outside. */
static void the_mount_says_where(void **state)
{
    struct cgroup cgroup;
    char why[512] = "";

    (void)state;
    fill_v2();
    assert_true(str_has_prefix(found(70).path, mounted));
    assert_non_null(strstr(found(70).path, "/pod-7/server/inner"));
    mount_v2("/docker/7f");
    put_process(90, 1, "0::/docker/7f/kube.slice/pod-7\n");
    put_process(91, 1, "0::/docker/7fb/kube.slice\n");
    put_process(92, 1, "0::/../other\n");
    assert_non_null(strstr(found(90).path, "a mount/kube.slice/pod-7"));
    assert_false(cgroup_of_process(proc, 91, &cgroup, why, sizeof why));
    assert_non_null(strstr(why, "the control group of process 91 is outside of those that are"));
    assert_false(cgroup_of_process(proc, 92, &cgroup, why, sizeof why));
    assert_false(cgroup_of_process(proc, 93, &cgroup, why, sizeof why));
    assert_string_equal(why, "the control group of process 93 can't be read");
    put("proc/self/mountinfo", "22 1 8:1 / / rw - ext4 /dev/sda rw\ncgroup2\n - cgroup2\n");
    assert_false(cgroup_of_process(proc, 90, &cgroup, why, sizeof why));
    assert_string_equal(why, "no control groups are mounted here");
}

/* A machine with thousands of containers has megabytes of other mounts. */
static void many_mounts_hide_none(void **state)
{
    CLEANUP_FREE char *path = xasprintf("%s/self/mountinfo", proc);
    CLEANUP_FREE char *text = xmalloc(3u << 20);
    size_t len = 0, few_len;

    (void)state;
    fill_v2();
    CLEANUP_FREE char *few = file_read(path, 1 << 16, &few_len);
    assert_non_null(few);
    while (len < 2u << 20) {
        len += (size_t)snprintf(text + len, 200,
                                "22 1 8:1 / /var/lib/%zu rw - overlay overlay rw\n", len);
    }
    memcpy(text + len, few, few_len);
    assert_true(file_write(path, text, len + few_len, 0644));
    assert_non_null(strstr(found(70).path, "/pod-7/server/inner"));
}

static void patterns_name_one_group(void **state)
{
    struct cgroup cgroup;
    char why[512] = "";

    (void)state;
    fill_v2();
    put("a mount/kube.slice/pod-8/server/memory.current", "1\n");
    put("elsewhere/memory.current", "1\n");
    CLEANUP_FREE char *elsewhere = xasprintf("%s/elsewhere", top);
    CLEANUP_FREE char *whole = xasprintf("%s/a mount/kube.slice/pod-8/server/", top);
    assert_false(cgroup_find(proc, "kube.slice/*/server", &cgroup, why, sizeof why));
    assert_non_null(strstr(why, "2 control groups match"));
    assert_false(cgroup_find(proc, "kube.slice/pod-9", &cgroup, why, sizeof why));
    assert_non_null(strstr(why, "0 control groups match"));
    assert_false(cgroup_find(proc, elsewhere, &cgroup, why, sizeof why));
    assert_non_null(strstr(why, "is not below"));
    assert_true(cgroup_find(proc, whole, &cgroup, why, sizeof why));
    assert_int_equal(bytes(&cgroup, CGROUP_CURRENT), 1);
    assert_int_equal(cgroup_oldest(proc, &cgroup), 0);
    assert_int_equal(cgroup_bytes(&cgroup, CGROUP_ANON, why, sizeof why), -1);
    assert_non_null(strstr(why, "is the memory controller on for it?"));
    assert_int_equal(cgroup_oom_kills(&cgroup), -1);
}

/* Where version 1 has the memory controller, version 2 has not, though both are mounted. */
static void version_1_is_read_where_it_has_memory(void **state)
{
    CLEANUP_FREE char *mounts =
        xasprintf("35 22 0:30 / %s/v2 rw - cgroup2 cgroup rw\n"
                  "36 22 0:31 / %s/cpu rw - cgroup cgroup rw,cpu,memorylike\n"
                  "37 22 0:32 / %s/v1 rw shared:9 - cgroup cgroup rw,cpuset,memory\n",
                  top, top, top);

    (void)state;
    put("proc/self/mountinfo", mounts);
    put("v2/a/cgroup.procs", "");
    put("v1/a/memory.usage_in_bytes", "800\n");
    put("v1/a/memory.stat",
        "cache 1\nrss 2\ntotal_cache 10\ntotal_rss 20\nhierarchical_memory_limit 5000\n");
    put("v1/a/memory.kmem.usage_in_bytes", "30\n");
    put("v1/a/memory.kmem.tcp.usage_in_bytes", "0\n");
    put("v1/a/memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n");
    put_process(60, 1, "9:cpu:/b\n4:cpuset,memory:/a\n0::/\n");
    struct cgroup cgroup = found(60);
    assert_int_equal(bytes(&cgroup, CGROUP_ANON), 20);
    assert_int_equal(bytes(&cgroup, CGROUP_CURRENT), 800);
    assert_int_equal(bytes(&cgroup, CGROUP_KERNEL), 30);
    assert_int_equal(bytes(&cgroup, CGROUP_SOCK), 0);
    assert_int_equal(cgroup_oom_kills(&cgroup), 2);
    assert_true(cgroup_limit(&cgroup) == 5000);
    put("v1/a/memory.stat", "total_rss 20\nhierarchical_memory_limit 9223372036854771712\n");
    assert_true(cgroup_limit(&cgroup) == 0);
}

/* The plan's strings are not const; nobody writes to them. */
static char *fixed(const char *text)
{
    return (char *)(uintptr_t)text;
}

static struct told ask(struct teller *teller, int64_t pid, char why[256])
{
    struct patience patience = {.until_ns = UINT64_MAX, .stop_fd = -1};

    why[0] = '\0';
    return teller_ask(teller, pid, &patience, why, 256);
}

/* What the kernel killed since the last time is told once; a group made anew is another. */
static void a_teller_follows_its_group(void **state)
{
    struct plan plan = {.store = store_new()};
    struct plan_memory memory = {.source = MEMORY_SOURCE_CGROUP,
                                 .path = fixed("kube.slice/pod-7/*"),
                                 .cgroup_metric = CGROUP_SOCK};
    struct diag *diag = diag_new();
    char why[256];

    (void)state;
    fill_v2();
    struct teller *teller = teller_new(&plan, &memory, proc, diag);
    assert_non_null(teller);
    struct told told = ask(teller, 0, why);
    assert_int_equal(told.bytes, 4096);
    assert_int_equal(told.n_killed, 0); /* whoever was killed before */
    assert_true(teller_limit(teller) == 1000000);
    put(GROUP "/memory.events", "oom 9\noom_kill 3\n");
    assert_int_equal(ask(teller, 0, why).n_killed, 2);
    assert_int_equal(ask(teller, 0, why).n_killed, 0);
    CLEANUP_FREE char *group = xasprintf("%s/" GROUP, top);
    CLEANUP_FREE char *away = xasprintf("%s/away", top);
    assert_int_equal(rename(group, away), 0);
    assert_int_equal(ask(teller, 0, why).bytes, -1);
    assert_non_null(strstr(why, "0 control groups match"));
    put(GROUP "-2/memory.stat", "sock 8192\n");
    struct told later = ask(teller, 0, why);
    assert_int_equal(later.bytes, 8192);
    assert_int_not_equal(later.incarnation, told.incarnation);
    assert_int_equal(later.n_killed, 0);
    teller_free(teller);
    diag_free(diag);
    store_free(plan.store);
}

static void a_teller_follows_its_process(void **state)
{
    struct plan plan = {.store = store_new()};
    struct plan_memory memory = {.source = MEMORY_SOURCE_CGROUP};
    struct diag *diag = diag_new();
    char why[256];

    (void)state;
    fill_v2();
    put("a mount/kube.slice/pod-7/server/inner/memory.stat", "anon 11\n");
    put("a mount/kube.slice/pod-7/server-b/memory.stat", "anon 12\n");
    struct teller *teller = teller_new(&plan, &memory, proc, diag);
    assert_non_null(teller);
    assert_int_equal(ask(teller, 70, why).bytes, 11);
    assert_int_equal(ask(teller, 80, why).bytes, 12);
    assert_int_equal(ask(teller, 81, why).bytes, -1);
    teller_free(teller);
    diag_free(diag);
    store_free(plan.store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(version_2_is_read, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_mount_says_where, set_up, tear_down),
        cmocka_unit_test_setup_teardown(many_mounts_hide_none, set_up, tear_down),
        cmocka_unit_test_setup_teardown(patterns_name_one_group, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_teller_follows_its_group, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_teller_follows_its_process, set_up, tear_down),
        cmocka_unit_test_setup_teardown(version_1_is_read_where_it_has_memory, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
