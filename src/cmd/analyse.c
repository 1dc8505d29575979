#include "cmd/commands.h"

#include "base/diag.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/mono.h"
#include "base/str.h"
#include "base/unit.h"
#include "cmd/judging.h"
#include "report/renderer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static const struct cli_option options[] = {
    {"format", 'f', "FORMAT",
     RENDERER_NAMES "; json has the schema of verdict.json (default: text)"},
    {"budget", 0, "DRIVER=SIZE", "growth per event that is allowed; time=SIZE is per second"},
    {"expect-bound", 0, "DRIVER=N", "entries that a bounded store of the server holds"},
    {"expect-ttl", 0, "DURATION", "how long the server keeps an entry"},
    {"limit", 0, "SIZE", "the server's memory limit, for the forecast"},
    {"period", 0, "DURATION", "of the load, removed from long series (default: a day)"},
    {"designed", 0, NULL, "the load followed an attribution design, and no plan says so"},
    {NULL, 0, NULL, NULL},
};

/* "DRIVER=VALUE" into the array indexed by driver. */
static void driver_value(const char *option, const char *text, bool size, double *values,
                         struct diag *diag)
{
    const struct origin origin = {option, 0};
    CLEANUP_FREE char *copy = xstrdup(text);
    char *equals = strchr(copy, '=');
    enum driver driver;
    double value;

    if (equals == NULL) {
        diag_add(diag, origin, "\"%s\" is not DRIVER=VALUE (write client_certificate=64B)", text);
        return;
    }
    *equals = '\0';
    bool number = size ? unit_parse_bytes(equals + 1, &value) : str_to_double(equals + 1, &value);
    if (!driver_from_name(copy, &driver)) {
        diag_add(diag, origin, "unknown driver %s", copy);
    } else if (!number || value < 0) {
        diag_add(diag, origin, "\"%s\" is not a %s", equals + 1, size ? "size" : "number");
    } else {
        values[driver] = value;
    }
}

static bool read_options(const struct cli *cli, struct judge_options *ret, struct diag *diag)
{
    const char *values[CLI_VALUES];
    const char *ttl = cli_value(cli, "expect-ttl", NULL);
    const char *limit = cli_value(cli, "limit", NULL);
    const char *period = cli_value(cli, "period", NULL);
    uint64_t period_ns = 0;

    size_t n = cli_values(cli, "budget", values, CLI_VALUES);
    for (size_t i = 0; i < n; i++) {
        driver_value("--budget", values[i], true, ret->judge.budget, diag);
    }
    n = cli_values(cli, "expect-bound", values, CLI_VALUES);
    for (size_t i = 0; i < n; i++) {
        driver_value("--expect-bound", values[i], false, ret->judge.expect_bound, diag);
    }
    if (ttl != NULL && !unit_parse_duration(ttl, &ret->judge.expect_ttl_ns)) {
        diag_add(diag, (struct origin){"--expect-ttl", 0}, "\"%s\" is not a duration (300s)", ttl);
    }
    if (limit != NULL && !unit_parse_bytes(limit, &ret->limit_bytes)) {
        diag_add(diag, (struct origin){"--limit", 0}, "\"%s\" is not a size (512MiB)", limit);
    }
    if (period != NULL && (!unit_parse_duration(period, &period_ns) || period_ns == 0)) {
        diag_add(diag, (struct origin){"--period", 0}, "\"%s\" is not a duration (24h)", period);
    }
    ret->period_s = (double)period_ns / 1e9;
    ret->designed = cli_flag(cli, "designed");
    return diag_count(diag) == 0;
}

static bool is_directory(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* A device would be read for ever. */
static bool is_device(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 && (S_ISCHR(st.st_mode) || S_ISBLK(st.st_mode));
}

static struct verdict *analyse_path(const char *path, const struct judge_options *given,
                                    struct sink *told, struct stored_run **ret_stored,
                                    struct diag *diag)
{
    struct plan *plan = NULL;

    if (is_device(path)) {
        diag_add(diag, (struct origin){path, 0}, "is a device, not a series");
        return NULL;
    }
    if (!is_directory(path)) {
        return judging_series(path, given, told, diag);
    }
    *ret_stored = judging_load(path, &plan, diag);
    if (*ret_stored == NULL) {
        return NULL;
    }
    struct verdict *verdict = judging_run(*ret_stored, plan, given, told, diag);
    plan_free(plan);
    return verdict;
}

static void print_title(const char *path)
{
    struct sink *sink = sink_new();

    sink_printf(sink, "== ");
    sink_plain(sink, path);
    sink_printf(sink, "\n");
    sink_print(sink, stdout);
    sink_free(sink);
}

/* Several files print one object a line, as scripts like it. */
static void print_verdict(const struct renderer *renderer, bool several,
                          const struct stored_run *stored, const struct verdict *verdict)
{
    struct sink *sink = sink_new();

    if (several && str_equal(renderer->name, "json")) {
        renderer_json_line(sink, verdict);
    } else {
        renderer->write(sink, stored, verdict);
    }
    sink_print(sink, stdout);
    sink_free(sink);
}

/* The gravest code of several files, by the order in which the contract ranks them. */
static int graver(int a, int b)
{
    static const int rank[] = {70, 2, 5, 1, 4, 6, 3, 0};

    for (size_t i = 0; i < sizeof rank / sizeof rank[0]; i++) {
        if (a == rank[i] || b == rank[i]) {
            return rank[i];
        }
    }
    return a;
}

/* Judges one path and prints all that there is to say; returns its exit code. */
static int analyse_one(const char *path, bool several, const struct renderer *renderer,
                       const struct judge_options *given)
{
    bool text = str_equal(renderer->name, "text");
    struct diag *diag = diag_new();
    struct sink *told = sink_new();
    struct stored_run *stored = NULL;
    struct verdict *verdict = analyse_path(path, given, text ? told : NULL, &stored, diag);
    int code = verdict != NULL ? verdict->exit_code : 2;

    if (verdict != NULL) {
        if (text && several) {
            print_title(path);
        }
        sink_print(told, stdout);
        print_verdict(renderer, several, stored, verdict);
    }
    diag_print(diag, stderr);
    diag_free(diag);
    sink_free(told);
    run_unload(stored);
    free(verdict);
    return code;
}

static int analyse_all(const struct cli *cli, const struct renderer *renderer,
                       const struct judge_options *given)
{
    int code = 0;

    for (size_t i = 0; i < cli->n_rest; i++) {
        code = graver(code, analyse_one(cli->rest[i], cli->n_rest > 1, renderer, given));
    }
    return code;
}

static int run(const struct cli *cli)
{
    const char *format = cli_value(cli, "format", "text");
    const struct renderer *renderer = renderer_find(format);
    struct judge_options given = judge_options_none();
    struct diag *diag = diag_new();
    int code = 2;

    if (renderer == NULL) {
        diag_add(diag, (struct origin){"--format", 0}, "unknown format %s (" RENDERER_NAMES ")",
                 format);
    }
    if (read_options(cli, &given, diag)) {
        code = analyse_all(cli, renderer, &given);
    }
    diag_print(diag, stderr);
    diag_free(diag);
    return code;
}

const struct command command_analyse = {
    .name = "analyse",
    .arguments = "DIR|SERIES.csv|EXPORT.json|-... [--format FORMAT]",
    .summary = "judges a stored run or any CSV of memory readings",
    .details =
        "DIR is a stored run, judged by its own profile; options here go before what it says.\n"
        "\n"
        "SERIES.csv has a header: time_s (seconds of any origin), memory columns whose names end\n"
        "in _bytes or _kb, and cumulative counters: requests, connections, client_certificates,\n"
        "api_keys, jwts, refused, aborted, resumptions, rotations. May be there too: source "
        "(several\n"
        "servers in one file), incarnation (another value: the server was restarted), open\n"
        "(connections). Rows need not be evenly spaced; an empty or zero reading is a gap. Lines\n"
        "that begin with # are comments; \"# runtime jvm\" (go, node, dotnet) tells of a garbage\n"
        "collector.\n"
        "\n"
        "EXPORT.json is what Prometheus answers to a range query (query_range): memory in use by\n"
        "the usual names (process_resident_memory_bytes, go_memstats_*, jvm_memory_used_bytes,\n"
        "container_memory_*), counters by the names above, with or without _total, and\n"
        "process_start_time_seconds for restarts. \"-\" is either of them on standard input.\n"
        "\n"
        "Of several memory metrics of one server the best is judged: a heap after collection, "
        "then\n"
        "anonymous, private dirty, PSS, heap, RSS. The first line says what was read. Several "
        "files\n"
        "print one JSON object a line. The exit code is the verdict's, the gravest of several: 2 "
        "a\n"
        "mistake, 1 a leak, 4 an invalid run, 6 an interrupted one, 3 inconclusive, 0 pass.",
    .options = options,
    .min_rest = 1,
    .max_rest = CLI_VALUES,
    .run = run,
};
