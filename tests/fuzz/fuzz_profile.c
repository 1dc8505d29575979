/* Fuzzes profiles: the first file of an input is the profile, "=== NAME" begins another one that it
 * may name (@NAME, extends).  Nothing outside of a folder of our own is opened.  A profile that
 * loads prints as one that loads again and prints the same; one that does not says why, and each
 * mistake is one line that can be printed. */
#include "kit/fuzz.h"
#include "kit/markup.h"
#include "kit/parts.h"

#include "base/mem.h"
#include "base/str.h"
#include "profile/profile.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool is_allowed(const char *name)
{
    static const char *const names[] = {"",       "key.pem",    "parent.ini", "body.bin",
                                        "secret", "replay.csv", "ca.pem",     "b.ini"};
    return str_index(name, names, sizeof names / sizeof *names) > 0;
}

static char *printed(const struct plan *plan, bool origins)
{
    struct sink *sink = sink_new();
    profile_print(plan, origins, sink);
    char *text = xstrdup(sink_text(sink, NULL));
    sink_free(sink);
    return text;
}

static void check_mistakes(struct diag *diag)
{
    char *text = NULL;
    size_t len = 0, lines = 0;
    FILE *to = open_memstream(&text, &len);
    fuzz_require(to != NULL, "no memory");
    diag_print(diag, to);
    (void)fclose(to);
    for (size_t i = 0; i < len; i++) {
        lines += text[i] == '\n';
    }
    fuzz_require(lines == diag_count(diag), "a mistake is not one line");
    fuzz_require(markup_is_plain(text, len, false), "a mistake drives the terminal");
    free(text);
}

/* Left out, and said so, is what no line can hold, and a secret that was not a reference. */
static bool is_whole(const char *text)
{
    return strstr(text, "does not fit on a line") == NULL && strstr(text, ": redacted") == NULL;
}

static void check_again(const struct plan *plan)
{
    CLEANUP_FREE char *text = printed(plan, false), *with_origins = printed(plan, true);
    if (!is_whole(text)) {
        return;
    }
    struct diag *diag = diag_new();
    struct plan *again = profile_load_text("again", text, NULL, 0, diag);
    if (again == NULL) {
        diag_print(diag, stderr);
    }
    fuzz_require(again != NULL, "what was printed does not load");
    CLEANUP_FREE char *text_again = printed(again, false);
    fuzz_require(str_equal(text, text_again), "what was printed loads as another plan");
    plan_free(again);
    again = profile_load_text("again", with_origins, NULL, 0, diag);
    fuzz_require(again != NULL, "what was printed with origins does not load");
    CLEANUP_FREE char *text_third = printed(again, false);
    fuzz_require(str_equal(text, text_third), "what was printed with origins is another plan");
    plan_free(again);
    diag_free(diag);
}

/* A run directory's profile.ini is read without what it refers to. */
static void load_stored(const char *path)
{
    struct diag *diag = diag_new();
    struct plan *plan = profile_load_stored(path, diag);
    fuzz_require((plan == NULL) == (diag_count(diag) > 0), "neither a plan nor a mistake, or both");
    check_mistakes(diag);
    plan_free(plan);
    diag_free(diag);
}

static bool run(const char *bytes, size_t len)
{
    static struct part parts[PARTS_MAX];
    size_t n = parts_split(bytes, len, parts);
    CLEANUP_FREE char *path = xasprintf("%s/main.ini", fuzz_dir());
    parts_write(parts, n, is_allowed);
    parts_put("main.ini", parts[0].bytes, parts[0].len);
    struct diag *diag = diag_new();
    struct plan *plan = profile_load(path, NULL, 0, diag);
    fuzz_require((plan == NULL) == (diag_count(diag) > 0), "neither a plan nor a mistake, or both");
    check_mistakes(diag);
    if (plan != NULL) {
        check_again(plan);
    }
    bool ok = plan != NULL;
    plan_free(plan);
    diag_free(diag);
    load_stored(path);
    return ok;
}

static void start(void)
{
    setenv("TOKEN", "swordfish", 1);
    setenv("TARGET_URL", "https://127.0.0.1:8443/a", 1);
    setenv("TOKEN_URL", "https://127.0.0.1:9443/token", 1);
    setenv("EMPTY", "", 1);
    setenv("ODD", " ; \"a\" @b ${TOKEN}", 1);
    setenv("LINES", "a\nb\r\n", 1);
    fuzz_confine(true);
    fuzz_require(chdir(fuzz_dir()) == 0, "the folder is gone");
}

static const char *const words[] = {"\n[run]\n",
                                    "\n[target]\n",
                                    "\n[pace]\n",
                                    "\n[cert a]\n",
                                    "\n[apikey a]\n",
                                    "\n[jwt a]\n",
                                    "\n[identity a]\n",
                                    "\n[request a]\n",
                                    "\n[refuse a]\n",
                                    "\n[misuse a]\n",
                                    "\n[phase a]\n",
                                    "\n[memory a]\n",
                                    "\n[judge]\n",
                                    "\n[attribution]\n",
                                    "\n[limit]\n",
                                    "\n[search]\n",
                                    "\n[hook]\n",
                                    "extends = parent.ini\n",
                                    "extends = main.ini\n",
                                    "url = https://localhost:8443/\n",
                                    "url = tls://localhost:8443\n",
                                    "mode = closed\n",
                                    "source = mint\n",
                                    "@secret.txt",
                                    "@body.bin",
                                    "@key.pem",
                                    "${TOKEN}",
                                    "${ODD}",
                                    "${LINES}",
                                    "${EMPTY}",
                                    "${NOT_SET}",
                                    "$${",
                                    "@@",
                                    "header.X-A = ",
                                    "header.Authorization = ",
                                    "latency.response.p99.max = 25ms\n",
                                    "budget.request = 64B\n",
                                    "pace.rate = 5/s\n",
                                    "; ",
                                    "\"",
                                    "=",
                                    ":",
                                    "[",
                                    "]",
                                    "\n",
                                    "\r\n",
                                    "\xEF\xBB\xBF",
                                    "\\x00",
                                    "18446744073709551615",
                                    "1e308",
                                    "0",
                                    "never",
                                    "connection",
                                    "request",
                                    "{n}",
                                    "{uuid}",
                                    "\x1b[31m",
                                    "\n=== secret.txt\n",
                                    "\n=== parent.ini\n",
                                    NULL};

const struct fuzz_target fuzz_target = {
    .name = "profile",
    .about = "profile/build.c profile/check.c profile/check_certs.c profile/check_factor.c "
             "profile/check_hooks.c profile/check_identities.c profile/check_limits.c "
             "profile/check_memory.c profile/check_misuses.c profile/check_modes.c "
             "profile/check_names.c profile/check_phases.c profile/check_raw.c "
             "profile/check_reach.c profile/check_refuses.c profile/check_replay.c "
             "profile/check_requests.c profile/check_rule.c profile/check_target.c "
             "profile/check_tokens.c profile/doc.c profile/ini.c profile/load.c profile/print.c "
             "profile/store.c profile/types.c profile/url.c profile/value.c",
    .words = words,
    .start = start,
    .run = run,
};
