#include "probe/settle.h"

#include "base/mem.h"
#include "base/mono.h"
#include "net/fetch.h"
#include "net/fetch_plain.h"
#include "net/policy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_ADDRS = 4 };

struct settle {
    const struct plan_memory *memory;
    bool secret;         /* the command was written with references */
    struct fetch *fetch; /* https */
    struct addr addrs[MAX_ADDRS];
    size_t n_addrs; /* http */
};

struct settle *settle_new(const struct plan *plan, const struct plan_memory *memory,
                          struct diag *diag)
{
    struct settle *settle = xcalloc(1, sizeof *settle);
    const struct plan_target *target = &memory->settle_target;
    bool ok = true;

    settle->memory = memory;
    settle->secret = plan_is_reference(plan, &memory->settle);
    if (memory->settle_by == SETTLE_HTTPS) {
        settle->fetch = fetch_new(plan, target, diag);
        ok = settle->fetch != NULL;
    } else if (memory->settle_by == SETTLE_HTTP) {
        settle->n_addrs = policy_resolve(plan, target, plan_origin(plan, &memory->settle),
                                         settle->addrs, MAX_ADDRS, NULL, diag);
        ok = settle->n_addrs > 0;
    }
    if (!ok) {
        settle_free(settle);
        return NULL;
    }
    return settle;
}

void settle_free(struct settle *settle)
{
    if (settle != NULL) {
        fetch_free(settle->fetch);
        free(settle);
    }
}

static bool run(const struct settle *settle, int64_t pid, const struct patience *patience,
                char *why, size_t size)
{
    CLEANUP_FREE char **words = errand_words(settle->memory->settle, pid, why, size);
    char line[ERRAND_LINE_MAX];

    return words != NULL && errand_run(words, settle->secret, patience, line, why, size);
}

static int get_plain(const struct settle *settle, const struct patience *patience, char *why,
                     size_t size)
{
    struct fetch_plain fetch = {
        .target = &settle->memory->settle_target,
        .addrs = settle->addrs,
        .n_addrs = settle->n_addrs,
        .until_ns = patience->until_ns,
        .stop_fd = patience->stop_fd,
    };

    return fetch_plain(&fetch, NULL, why, size);
}

/* Its waits have the deadlines of settle_target. */
static int get_secure(const struct settle *settle, const struct patience *patience, char *why,
                      size_t size)
{
    const struct plan_target *target = &settle->memory->settle_target;
    CLEANUP_FREE char *head =
        xasprintf("GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\nAccept: */*\r\n\r\n",
                  target->url_path, target->host_header);
    struct fetch_answer answer;

    fetch_perform(settle->fetch, NULL, head, strlen(head), NULL, 0, &answer);
    free(answer.body);
    if (answer.outcome != OUTCOME_OK) {
        (void)snprintf(why, size, "%s", outcome_info(answer.outcome)->text);
        return 0;
    }
    if (mono_now_ns() > patience->until_ns) {
        (void)snprintf(why, size, "no answer before the deadline");
        return 0;
    }
    return answer.status;
}

bool settle_perform(struct settle *settle, int64_t pid, const struct patience *patience, char *why,
                    size_t size)
{
    if (settle->memory->settle_by == SETTLE_COMMAND) {
        return run(settle, pid, patience, why, size);
    }
    int status = settle->memory->settle_by == SETTLE_HTTP ? get_plain(settle, patience, why, size)
                                                          : get_secure(settle, patience, why, size);
    if (status != 0 && (status < 200 || status > 299)) {
        (void)snprintf(why, size, "the endpoint answered %d", status);
    }
    return status >= 200 && status <= 299;
}
