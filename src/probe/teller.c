#include "probe/teller.h"

#include "base/mem.h"
#include "base/str.h"
#include "base/unit.h"
#include "net/page.h"
#include "probe/cgroup.h"
#include "probe/exposition.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PAGE_MAX        (16u << 20)
#define START_JITTER_MS 3000

struct teller {
    const struct plan_memory *memory;
    const char *root;
    bool secret; /* the command was written with references */
    struct page *page;
    struct cgroup cgroup;
    bool in_cgroup;      /* it is known */
    int64_t cgroup_pid;  /* whose it is; 0: it was found by its path */
    int64_t n_oom_kills; /* by the last time; -1: not known */
    int64_t start_ms;    /* of the server, as the page has it; 0: not known */
};

struct teller *teller_new(const struct plan *plan, const struct plan_memory *memory,
                          const char *root, struct diag *diag)
{
    struct teller *teller = xcalloc(1, sizeof *teller);

    teller->memory = memory;
    teller->root = root;
    teller->secret = plan_is_reference(plan, &memory->command);
    teller->n_oom_kills = -1;
    if (memory->source == MEMORY_SOURCE_PROMETHEUS) {
        struct page_kind kind = {.target = &memory->scrape_target,
                                 .origin = plan_origin(plan, &memory->url),
                                 .tls = memory->scrapes_tls,
                                 .cert = memory->with_cert,
                                 .body_max = PAGE_MAX};
        teller->page = page_new(plan, &kind, diag);
        if (teller->page == NULL) {
            teller_free(teller);
            return NULL;
        }
    }
    return teller;
}

void teller_free(struct teller *teller)
{
    if (teller != NULL) {
        page_free(teller->page);
        free(teller);
    }
}

/* The bytes that the command prints. */
static void ask_command(const struct teller *teller, int64_t pid, const struct patience *patience,
                        struct told *told, char *why, size_t size)
{
    char line[ERRAND_LINE_MAX];
    CLEANUP_FREE char **words = errand_words(teller->memory->command, pid, why, size);
    double bytes;

    if (words == NULL || !errand_run(words, teller->secret, patience, line, why, size)) {
        return;
    }
    if (unit_parse_bytes(str_trim(line), &bytes) && bytes < (double)(INT64_MAX / 2)) {
        told->bytes = (int64_t)bytes;
    } else {
        (void)snprintf(why, size, "%s printed \"%.40s\", which is not a number of bytes",
                       teller->secret ? "the command" : words[0],
                       teller->secret ? "(not shown)" : line);
    }
}

/* A container that was started again is in another group, of the same name or not. */
static bool find_cgroup(struct teller *teller, int64_t pid, char *why, size_t size)
{
    const char *pattern = teller->memory->path;

    if (teller->in_cgroup && cgroup_incarnation(&teller->cgroup) != 0 &&
        (pattern != NULL || teller->cgroup_pid == pid)) {
        return true;
    }
    teller->in_cgroup = pattern != NULL
                            ? cgroup_find(teller->root, pattern, &teller->cgroup, why, size)
                            : cgroup_of_process(teller->root, pid, &teller->cgroup, why, size);
    teller->cgroup_pid = pid;
    teller->n_oom_kills = -1;
    return teller->in_cgroup;
}

static void ask_cgroup(struct teller *teller, int64_t pid, struct told *told, char *why,
                       size_t size)
{
    if (!find_cgroup(teller, pid, why, size)) {
        return;
    }
    int64_t n = cgroup_oom_kills(&teller->cgroup);
    if (n > teller->n_oom_kills && teller->n_oom_kills >= 0) {
        told->n_killed = (uint64_t)(n - teller->n_oom_kills);
    }
    teller->n_oom_kills = n;
    told->incarnation = cgroup_incarnation(&teller->cgroup);
    told->bytes = cgroup_bytes(&teller->cgroup, teller->memory->cgroup_metric, why, size);
}

/* Clients reckon it from the time of the machine's boot, which is not the same in each reading
 * where the clock is being corrected. */
static uint64_t start_of(struct teller *teller, int64_t start_ms)
{
    if (llabs(start_ms - teller->start_ms) > START_JITTER_MS) {
        teller->start_ms = start_ms;
    }
    return (uint64_t)teller->start_ms;
}

static void read_page(struct teller *teller, const struct page_answer *answer, struct told *told,
                      char *why, size_t size)
{
    struct exposition found;

    if (answer->status != 200) {
        (void)snprintf(why, size, "the endpoint answered %d", answer->status);
    } else if (answer->cut) {
        (void)snprintf(why, size, "the page is longer than 16 MiB");
    } else if (exposition_read(answer->body, answer->len, teller->memory, &found, why, size)) {
        if (found.bytes < (double)(INT64_MAX / 2)) {
            told->bytes = (int64_t)found.bytes;
        } else {
            (void)snprintf(why, size, "%s is no number of bytes", teller->memory->metric);
        }
        told->incarnation = start_of(teller, found.start_ms);
        told->runtime = found.runtime;
    }
}

static void ask_page(struct teller *teller, const struct patience *patience, struct told *told,
                     char *why, size_t size)
{
    struct page_answer answer;

    if (page_get(teller->page, patience->until_ns, patience->stop_fd, &answer, why, size)) {
        read_page(teller, &answer, told, why, size);
        free(answer.body);
    }
}

struct told teller_ask(struct teller *teller, int64_t pid, const struct patience *patience,
                       char *why, size_t size)
{
    struct told told = {.bytes = -1};

    switch (teller->memory->source) {
    case MEMORY_SOURCE_COMMAND:
        ask_command(teller, pid, patience, &told, why, size);
        break;
    case MEMORY_SOURCE_CGROUP:
        ask_cgroup(teller, pid, &told, why, size);
        break;
    case MEMORY_SOURCE_PROMETHEUS:
        ask_page(teller, patience, &told, why, size);
        break;
    case MEMORY_SOURCE_PROCESS:
        break;
    }
    return told;
}

double teller_limit(const struct teller *teller)
{
    return teller->in_cgroup ? cgroup_limit(&teller->cgroup) : 0;
}

const struct cgroup *teller_cgroup(const struct teller *teller)
{
    return teller->in_cgroup ? &teller->cgroup : NULL;
}
