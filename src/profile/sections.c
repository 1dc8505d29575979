#include "profile/options.h"

#include "base/str.h"

#include <string.h>

/* Keys of one section. */
#define OPTIONS_MAX 128

#define SINGLE(field) .offset = offsetof(struct plan, field)
#define LIST(items, n, type, most)                                                                 \
    .offset = offsetof(struct plan, items), .count_offset = offsetof(struct plan, n),              \
    .item_size = sizeof(type), .name_offset = offsetof(type, name),                                \
    .origin_offset = offsetof(type, origin), .max = (most)

static const struct section_info sections[SECTION_COUNT] = {
    [SECTION_RUN] = {"run", "How long, with what resources.", SINGLE(run)},
    [SECTION_TARGET] = {"target", "The server under test and how to speak TLS to it.",
                        SINGLE(target)},
    [SECTION_PACE] = {"pace", "How fast, over how many connections.", SINGLE(pace)},
    [SECTION_CERT] = {"cert", "Client certificates; several sections are for several identities.",
                      LIST(certs, n_certs, struct plan_cert, PLAN_IDENTITIES_MAX)},
    [SECTION_APIKEY] = {"apikey", "API keys; several sections are for several identities.",
                        LIST(apikeys, n_apikeys, struct plan_apikey, PLAN_IDENTITIES_MAX)},
    [SECTION_JWT] = {"jwt", "JSON Web Tokens; several sections are for several identities.",
                     LIST(jwts, n_jwts, struct plan_jwt, PLAN_IDENTITIES_MAX)},
    [SECTION_IDENTITY] = {"identity",
                          "A kind of client: certificate, API key and token that go together.  "
                          "Without such a section there is one, with whatever [cert], [apikey] and "
                          "[jwt] there are, each rotating for itself.",
                          LIST(identities, n_identities, struct plan_identity,
                               PLAN_IDENTITIES_MAX)},
    [SECTION_REQUEST] = {"request", "What to ask for; several are mixed by weight.",
                         LIST(requests, n_requests, struct plan_request, 64)},
    [SECTION_REFUSE] = {"refuse",
                        "A share of the traffic presents something bad; a server that lets it in "
                        "fails the run.",
                        LIST(refuses, n_refuses, struct plan_refuse, PLAN_REFUSES_MAX)},
    [SECTION_PHASE] = {"phase",
                       "A stretch of the run with a load of its own, in the order of the file; "
                       "what it leaves out is as [pace] says.",
                       LIST(phases, n_phases, struct plan_phase, PLAN_PHASES_MAX)},
    [SECTION_MISUSE] = {"misuse",
                        "A share of the traffic misbehaves, each time on a connection of its own: "
                        "what a server keeps of it is driver aborted.",
                        LIST(misuses, n_misuses, struct plan_misuse, PLAN_MISUSES_MAX)},
    [SECTION_MEMORY] = {"memory", "The server's memory: which process to watch (at most 8).",
                        LIST(memories, n_memories, struct plan_memory, 8)},
    [SECTION_JUDGE] = {"judge", "What is allowed, and what is known of the server.", SINGLE(judge)},
    [SECTION_ATTRIBUTION] = {"attribution", "Varying the load so that growth can be blamed.",
                             SINGLE(attribution)},
    [SECTION_LIMIT] =
        {"limit",
         "What may be measured at the most, or must at the least, over the whole run; a "
         "limit that is broken fails it.  One on the load with \"for 10s\" is broken "
         "when any 10 s of the run break it: windows step by the second (by 10 s in "
         "runs of more than an hour, by the minute of more than a day), begin after "
         "the attribution's warm-up, and those of a rate leave idle phases out.  With "
         "\"abort\" the run ends when it is broken, with \"abort after 30s\" it is not "
         "looked at before; without \"for\" only once ten exchanges could "
         "break it (1,000 of a p99).  One on memory holds when growth is shown to be "
         "less and is broken when it is shown to be more, else the run is "
         "inconclusive; a leak by the judge's budget stays one, which judge.budget "
         "alone allows.",
         SINGLE(limit)},
    [SECTION_SEARCH] = {"search",
                        "Finds the highest rate at which the limits hold, instead of a load of "
                        "pace.rate: steps of growing rates until one does not hold, then between "
                        "the two.  A step must also reach its rate, with 1 % errors at the most "
                        "where no errors.ratio.max says otherwise; one that does not hold is tried "
                        "again, and two tries of a kind decide.",
                        SINGLE(search)},
    [SECTION_HOOK] = {"hook",
                      "Commands around and during the run.  sh -c runs them with PATH, HOME and "
                      "few other variables; {pid} is the process of the first [memory], {run} the "
                      "run directory, whose hook.log keeps what they print.",
                      SINGLE(hook)},
    [SECTION_OUTPUT] = {"output", "What is shown, and where.", SINGLE(output)},
};

const struct section_info *section_info(enum section section)
{
    return &sections[section];
}

char *section_items(const struct section_info *info, const void *plan, size_t *ret_n)
{
    char *at = (char *)plan + info->offset;
    char *items;

    *ret_n = 1;
    if (info->item_size == 0) {
        return at;
    }
    memcpy(&items, at, sizeof items);
    memcpy(ret_n, (const char *)plan + info->count_offset, sizeof *ret_n);
    return items;
}

bool section_find(const char *name, enum section *ret_section)
{
    for (size_t i = 0; i < SECTION_COUNT; i++) {
        if (str_equal(sections[i].name, name)) {
            *ret_section = (enum section)i;
            return true;
        }
    }
    return false;
}

const char *section_suggest(const char *name)
{
    /* meant as written, by a profile for another version: no slip of the pen */
    static const char *const others[] = {"misuse", "output"};
    const char *names[SECTION_COUNT];

    if (str_index(name, others, sizeof others / sizeof others[0]) >= 0) {
        return NULL;
    }
    for (size_t i = 0; i < SECTION_COUNT; i++) {
        names[i] = sections[i].name;
    }
    return str_nearest(name, names, SECTION_COUNT);
}

const struct option *option_suggest(enum section section, const char *key)
{
    const char *names[OPTIONS_MAX];
    const struct option *rows[OPTIONS_MAX];
    const char *suffix;
    size_t n = 0;

    for (size_t i = 0; i < SECTION_COUNT; i++) {
        const struct option *elsewhere = option_find((enum section)i, key, &suffix);
        if (elsewhere != NULL) {
            return elsewhere;
        }
    }
    for (size_t i = 0; option_at(i) != NULL && n < OPTIONS_MAX; i++) {
        if (option_at(i)->section == section) {
            rows[n] = option_at(i);
            names[n++] = option_at(i)->key;
        }
    }
    const char *nearest = str_nearest(key, names, n);
    for (size_t i = 0; nearest != NULL && i < n; i++) {
        if (names[i] == nearest) {
            return rows[i];
        }
    }
    return NULL;
}
