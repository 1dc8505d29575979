/* Fuzzes pages of metrics.  What is read of one is a finite number of bytes; a line before it, or
 * whatever stands behind its end, changes nothing; a page that stands there twice has twice the
 * samples; fewer samples have a label than there are. */
#include "kit/fuzz.h"

#include "base/mem.h"
#include "probe/exposition.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HEAD "# HELP go_goroutines Number of them.\n"
#define TAIL "\n# EOF\nprocess_resident_memory_bytes 5\njvm_memory_used_bytes{area=\"heap\"} 7\n"

static char rss[] = "process_resident_memory_bytes", used[] = "jvm_memory_used_bytes";
static char area[] = "area", id[] = "id", heap[] = "heap", none[] = "";

/* Without labels, with one, without that one, and with two. */
static const struct plan_memory wanted[] = {
    {.metric = rss},
    {.metric = used},
    {.metric = used, .labels = {{area, heap}}, .n_labels = 1},
    {.metric = used, .labels = {{area, none}}, .n_labels = 1},
    {.metric = used, .labels = {{area, heap}, {id, none}}, .n_labels = 2},
};
#define WANTED (sizeof wanted / sizeof wanted[0])

static bool read_page(const char *text, size_t len, const struct plan_memory *memory,
                      struct exposition *ret)
{
    char why[256] = "";

    *ret = (struct exposition){.bytes = -1};
    if (!exposition_read(text, len, memory, ret, why, sizeof why)) {
        fuzz_require(why[0] != '\0' && strchr(why, '\n') == NULL, "refused without one reason");
        fuzz_require(ret->bytes == -1, "refused, and yet read");
        return false;
    }
    fuzz_require(isfinite(ret->bytes) && ret->bytes >= 0, "no number of bytes");
    fuzz_require(ret->n_samples > 0, "read from no sample");
    fuzz_require(ret->start_ms >= 0, "started before 1970");
    return true;
}

static bool same(const struct exposition *a, const struct exposition *b)
{
    return a->bytes == b->bytes && a->n_samples == b->n_samples && a->start_ms == b->start_ms;
}

/* The page between two other texts. */
static char *between(const char *head, const char *text, size_t len, const char *tail)
{
    char *page = xmalloc(strlen(head) + len + strlen(tail) + 1);
    memcpy(page, head, strlen(head));
    memcpy(page + strlen(head), text, len);
    memcpy(page + strlen(head) + len, tail, strlen(tail) + 1);
    return page;
}

static void check_around(const char *text, size_t len, const struct plan_memory *memory, bool ok,
                         const struct exposition *alone)
{
    CLEANUP_FREE char *page = between(HEAD, text, len, TAIL);
    struct exposition other;
    size_t page_len = strlen(HEAD) + len + strlen(TAIL);

    fuzz_require(read_page(page, page_len, memory, &other) == ok, "what stands around decides");
    fuzz_require(!ok || same(alone, &other), "what stands around is counted");
}

static bool has_end(const char *text, size_t len)
{
    return memmem(text, len, "# EOF", 5) != NULL;
}

static void check_twice(const char *text, size_t len, const struct plan_memory *memory,
                        const struct exposition *once)
{
    CLEANUP_FREE char *page = xmalloc(2 * len + 1);
    struct exposition twice;

    memcpy(page, text, len);
    page[len] = '\n';
    memcpy(page + len + 1, text, len);
    if (!read_page(page, 2 * len + 1, memory, &twice)) {
        fuzz_require(once->bytes > 1e300, "read once, but not twice");
        return;
    }
    fuzz_require(twice.n_samples == 2 * once->n_samples, "samples were lost, or made up");
    fuzz_require(fabs(twice.bytes - 2 * once->bytes) <= 1e-9 * twice.bytes, "twice is not twice");
}

static bool run(const char *bytes, size_t len)
{
    struct exposition found[WANTED];
    bool ok[WANTED], any = false;

    for (size_t i = 0; i < WANTED; i++) {
        ok[i] = read_page(bytes, len, &wanted[i], &found[i]);
        any = any || ok[i];
        check_around(bytes, len, &wanted[i], ok[i], &found[i]);
        if (ok[i] && !has_end(bytes, len)) {
            check_twice(bytes, len, &wanted[i], &found[i]);
        }
    }
    fuzz_require(!ok[1] || !ok[2] || found[2].n_samples <= found[1].n_samples,
                 "more samples have a label than there are");
    fuzz_require(!ok[2] || !ok[4] || found[4].n_samples <= found[2].n_samples,
                 "more samples have two labels than one");
    return any;
}

static const char *const words[] = {"process_resident_memory_bytes",
                                    "jvm_memory_used_bytes",
                                    "process_start_time_seconds",
                                    "{area=\"heap\"}",
                                    "{area=\"heap\",id=\"\"}",
                                    "area=\"",
                                    "{",
                                    "}",
                                    ",",
                                    "=",
                                    "\\\"",
                                    "\\n",
                                    "\\",
                                    "# TYPE ",
                                    "# HELP ",
                                    " gauge\n",
                                    " counter\n",
                                    "# EOF\n",
                                    " # {trace_id=\"a\"} 1 2\n",
                                    " 1e308\n",
                                    " -0\n",
                                    " NaN\n",
                                    " +Inf\n",
                                    " 0x1p4\n",
                                    " 1700000000000\n",
                                    "\r\n",
                                    "\t",
                                    "\xef\xbb\xbf",
                                    NULL};

const struct fuzz_target fuzz_target = {
    .name = "prometheus",
    .about = "probe/exposition.c",
    .words = words,
    .run = run,
};
