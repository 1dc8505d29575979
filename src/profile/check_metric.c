#include "profile/check_memory.h"
#include "profile/check_parts.h"

#include "base/mem.h"
#include "base/str.h"
#include "profile/build.h"
#include "profile/store.h"
#include "record/metrics.h"

#include <stdlib.h>
#include <string.h>

#define METRIC_MAX     57 /* a column's name has 63 bytes, of which "_bytes" takes six */
#define METRIC_DEFAULT "process_resident_memory_bytes"

static bool ends_in(const char *text, const char *end)
{
    size_t len = strlen(text), end_len = strlen(end);

    return len >= end_len && str_equal(text + len - end_len, end);
}

static void choose_cgroup(const struct checker *c, struct plan_memory *memory)
{
    /* in the order of enum cgroup_metric */
    static const char *const names[CGROUP_METRICS] = {"anon", "current", "kernel", "sock"};
    int chosen = str_index(memory->metric, names, CGROUP_METRICS);

    if (chosen < 0) {
        CLEANUP_FREE char *shown = build_shown(memory->metric);
        diag_add(c->diag, plan_origin(c->plan, &memory->metric),
                 "memory.metric: \"%s\" is not one of anon, current, kernel, sock", shown);
        return;
    }
    memory->cgroup_metric = (enum cgroup_metric)chosen;
    memory->column = store_keep(c->plan->store, xasprintf("cgroup_%s_bytes", names[chosen]));
}

/* A letter, _ or :, then digits too: the names of Prometheus. */
static bool is_metric_name(const char *text)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_:";

    return strchr(letters, text[0]) != NULL && text[0] != '\0' &&
           strspn(text, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_:") ==
               strlen(text);
}

/* A column that memory.csv has of each process too. */
static bool is_taken(const char *column)
{
    for (int i = 0; i < MEMORY_METRIC_COUNT; i++) {
        if (str_equal(column, metric_memory((enum memory_metric)i)->name)) {
            return true;
        }
    }
    return false;
}

static void choose_metric(const struct checker *c, struct plan_memory *memory)
{
    static const char *const scaled[] = {"_kb",        "_kib",       "_mb",        "_mib",
                                         "_kilobytes", "_kibibytes", "_megabytes", "_mebibytes"};
    const char *metric = memory->metric, *wrong = NULL;

    if (!is_metric_name(metric)) {
        wrong = "is not the name of a metric (labels go to memory.match)";
    } else if (strlen(metric) > METRIC_MAX) {
        wrong = "is longer than 57 bytes";
    } else if (ends_in(metric, "_total")) {
        wrong = "counts up for ever by its name: it is not the memory in use";
    }
    for (size_t i = 0; i < sizeof scaled / sizeof *scaled; i++) {
        wrong = ends_in(metric, scaled[i]) ? "is not in bytes by its name" : wrong;
    }
    if (wrong != NULL) {
        CLEANUP_FREE char *shown = build_shown(metric);
        diag_add(c->diag, plan_origin(c->plan, &memory->metric), "memory.metric: \"%s\" %s", shown,
                 wrong);
        return;
    }
    CLEANUP_FREE char *column =
        xasprintf("%s%s", metric, ends_in(metric, "_bytes") ? "" : "_bytes");
    memory->column = store_keep(c->plan->store,
                                xasprintf("%s%s", is_taken(column) ? "prometheus_" : "", column));
}

/* The value of a label, with or without quotes (in which \" \\ and \n mean what they do on the
 * page); *at goes behind it.  NULL when a quote is not closed.  The caller frees it. */
static char *cut_value(const char **at)
{
    const char *p = *at + strspn(*at, " \t");
    bool quoted = *p == '"';
    char *value = xmalloc(strlen(p) + 1), *to = value;

    for (p += quoted; *p != '\0' && *p != (quoted ? '"' : ','); p++) {
        if (quoted && *p == '\\' && p[1] != '\0') {
            p++;
            *to++ = *p == 'n' ? '\n' : *p;
        } else {
            *to++ = *p;
        }
    }
    *to = '\0';
    if (quoted && *p != '"') {
        free(value);
        return NULL;
    }
    *at = p + quoted;
    return value;
}

/* area="heap", id="Eden Space": NULL, or what is wrong. */
static const char *parse_match(const struct checker *c, struct plan_memory *memory)
{
    struct plan_store *store = c->plan->store;
    const char *at = memory->match;

    for (bool more = true; more;) {
        at += strspn(at, " \t");
        size_t len = strcspn(at, "=, \t\"!~");
        CLEANUP_FREE char *name = xstrndup(at, len);
        at += len + strspn(at + len, " \t");
        if (!is_metric_name(name) || *at != '=' || at[1] == '~') {
            return "is not like area=\"heap\", id=\"Eden Space\"";
        }
        at++;
        char *value = cut_value(&at);
        if (value == NULL) {
            return "has a quote that is not closed";
        }
        struct plan_label label = {store_keep(store, xstrdup(name)),
                                   store_keep(store, xstrdup(str_trim(value)))};
        free(value);
        if (memory->n_labels == PLAN_LABELS_MAX) {
            return "has more than 8 labels";
        }
        memory->labels[memory->n_labels++] = label;
        at += strspn(at, " \t");
        more = *at == ',';
        if (!more && *at != '\0') {
            return "has something behind the end of a value";
        }
        at += more;
    }
    return NULL;
}

static void check_match(const struct checker *c, struct plan_memory *memory)
{
    const char *wrong = memory->match != NULL ? parse_match(c, memory) : NULL;

    if (wrong != NULL) {
        CLEANUP_FREE char *shown = build_shown(memory->match);
        diag_add(c->diag, plan_origin(c->plan, &memory->match), "memory.match: %s %s", shown,
                 wrong);
    }
}

/* Over plain http nobody is asked who he is. */
static void check_page(const struct checker *c, struct plan_memory *memory)
{
    if (memory->url == NULL) {
        return;
    }
    memory->scrapes_tls = !str_has_prefix(memory->url, "http://");
    if (!memory->scrapes_tls) {
        check_unused(c, SECTION_MEMORY, memory, CHECK_KEYS("client_cert", "server_ca"),
                     "with memory.url = http://");
        check_plain_page(c, &memory->url, "memory.url", &memory->scrape_target);
        return;
    }
    if (c->plan->target.verify == VERIFY_NO) {
        check_unused(c, SECTION_MEMORY, memory, CHECK_KEYS("server_ca"), "with target.verify = no");
    }
    check_secure_page(c, memory, &memory->url, "memory.url", &memory->scrape_target);
    if (memory->client_cert != NULL) {
        memory->own_cert = (struct plan_cert){.name = memory->name,
                                              .origin = memory->origin,
                                              .source = CERT_FILES,
                                              .path = memory->client_cert};
        memory->with_cert = &memory->own_cert;
    } else if (c->plan->n_identities > 0) {
        memory->with_cert = c->plan->identities[0].with_cert;
    }
}

void check_metric(const struct checker *c, struct plan_memory *memory)
{
    bool group = memory->source == MEMORY_SOURCE_CGROUP;
    bool page = memory->source == MEMORY_SOURCE_PROMETHEUS;

    if (!group) {
        check_unused(c, SECTION_MEMORY, memory, CHECK_KEYS("path"),
                     "without memory.source = cgroup");
    }
    if (!page) {
        check_unused(c, SECTION_MEMORY, memory,
                     CHECK_KEYS("url", "match", "client_cert", "server_ca"),
                     "without memory.source = prometheus");
    }
    if (!group && !page) {
        check_unused(c, SECTION_MEMORY, memory, CHECK_KEYS("metric"),
                     "without memory.source = cgroup or prometheus");
        return;
    }
    if (memory->metric == NULL) {
        memory->metric = store_keep(c->plan->store, xstrdup(group ? "anon" : METRIC_DEFAULT));
    }
    if (group) {
        choose_cgroup(c, memory);
        return;
    }
    check_needed(c, &memory->url, memory->url, "memory.url",
                 check_origin(c, &memory->source, memory->origin),
                 "source = prometheus reads it (write url = http://127.0.0.1:9090/metrics)");
    choose_metric(c, memory);
    check_match(c, memory);
    check_page(c, memory);
}
