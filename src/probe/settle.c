#include "probe/settle.h"

#include "base/mem.h"
#include "net/page.h"

#include <stdio.h>
#include <stdlib.h>

struct settle {
    const struct plan_memory *memory;
    bool secret;       /* the command was written with references */
    struct page *page; /* of a URL */
};

struct settle *settle_new(const struct plan *plan, const struct plan_memory *memory,
                          struct diag *diag)
{
    struct settle *settle = xcalloc(1, sizeof *settle);
    struct page_kind kind = {.target = &memory->settle_target,
                             .origin = plan_origin(plan, &memory->settle),
                             .tls = memory->settle_by == SETTLE_HTTPS};

    settle->memory = memory;
    settle->secret = plan_is_reference(plan, &memory->settle);
    if (memory->settle_by != SETTLE_COMMAND) {
        settle->page = page_new(plan, &kind, diag);
        if (settle->page == NULL) {
            settle_free(settle);
            return NULL;
        }
    }
    return settle;
}

void settle_free(struct settle *settle)
{
    if (settle != NULL) {
        page_free(settle->page);
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

bool settle_perform(struct settle *settle, int64_t pid, const struct patience *patience, char *why,
                    size_t size)
{
    struct page_answer answer;

    if (settle->page == NULL) {
        return run(settle, pid, patience, why, size);
    }
    if (!page_get(settle->page, patience->until_ns, patience->stop_fd, &answer, why, size)) {
        return false;
    }
    if (answer.status < 200 || answer.status > 299) {
        (void)snprintf(why, size, "the endpoint answered %d", answer.status);
        return false;
    }
    return true;
}
