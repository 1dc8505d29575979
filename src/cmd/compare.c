#include "cmd/commands.h"

#include "base/diag.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/unit.h"
#include "cmd/judging.h"
#include "cmd/loads.h"
#include "report/comparison.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define BASELINE_BYTES_MAX (16 << 20)

static const struct cli_option options[] = {
    {"base", 'b', "RUN", "one more run, or baseline, to compare with (may be repeated)"},
    {"new", 'n', "RUN", "one more new run (may be repeated)"},
    {"tolerance", 't', "METRIC=PERCENT",
     "what a metric may be worse (may be repeated); off leaves it out; of leaks a size"},
    {"format", 'f', "FORMAT", "text, or json of schema tlsoak.compare/1 (default: text)"},
    {"junit", 0, "FILE", "write a case for each metric as JUnit XML too"},
    {"save", 's', "FILE", "write a baseline of all runs named instead, small enough to commit"},
    {"force", 0, NULL, "compare runs whose loads differ, or that are invalid"},
    {"inconclusive-ok", 0, NULL, "exit 0 instead of 3 when the data can't tell"},
    {NULL, 0, NULL, NULL},
};

struct group {
    struct baseline_run *run[BASELINE_RUNS_MAX];
    size_t n;
};

struct compare {
    const struct cli *cli;
    struct diag *diag;
    struct group base, new;
    struct compare_rule rules[CLI_VALUES];
    size_t n_rules;
    struct sink *differences;
};

static struct baseline_run *take_run(const char *dir, struct diag *diag)
{
    struct plan *plan = NULL;
    struct stored_run *stored = judging_load(dir, &plan, diag);
    struct verdict *verdict = stored != NULL ? judging_run(stored, plan, NULL, NULL, diag) : NULL;
    struct baseline_run *run = verdict != NULL ? baseline_take(stored, verdict, diag) : NULL;

    if (run != NULL) {
        run->load = loads_text(plan, dir);
        if (stored->torn_lines > 0) {
            log_note("%s: %d incomplete last line(s) left out", dir, stored->torn_lines);
        }
    }
    free(verdict);
    plan_free(plan);
    run_unload(stored);
    return run;
}

static void take_file(const char *path, struct group *group, struct diag *diag)
{
    struct baseline_run *runs[BASELINE_RUNS_MAX];
    size_t len;
    CLEANUP_FREE char *text = file_read(path, BASELINE_BYTES_MAX, &len);

    if (text == NULL) {
        diag_add(diag, (struct origin){path, 0}, "can't be read: %s", strerror(errno));
        return;
    }
    size_t n = baseline_read(path, text, len, runs, diag);
    for (size_t i = 0; i < n; i++) {
        if (group->n < BASELINE_RUNS_MAX) {
            group->run[group->n++] = runs[i];
        } else {
            baseline_free(runs[i]);
        }
    }
}

/* A stored run, or a file that holds a baseline. */
static void take(const char *path, struct group *group, struct diag *diag)
{
    struct stat st;

    if (group->n == BASELINE_RUNS_MAX) {
        diag_add(diag, (struct origin){path, 0}, "is one run too many (at most %d)",
                 BASELINE_RUNS_MAX);
    } else if (stat(path, &st) == 0 && S_ISREG(st.st_mode)) {
        take_file(path, group, diag);
    } else {
        struct baseline_run *run = take_run(path, diag);
        if (run != NULL) {
            group->run[group->n++] = run;
        }
    }
}

/* Of the words without an option the last is the new run; a single one is what is missing. */
static void take_all(struct compare *c)
{
    const struct cli *cli = c->cli;
    const char *values[CLI_VALUES];
    bool saves = cli_value(cli, "save", NULL) != NULL;
    size_t n_new = cli_values(cli, "new", values, CLI_VALUES);
    bool last_is_new = !saves && (cli->n_rest > 1 || n_new == 0);

    for (size_t i = 0; i < cli->n_rest; i++) {
        take(cli->rest[i], last_is_new && i + 1 == cli->n_rest ? &c->new : &c->base, c->diag);
    }
    for (size_t i = 0; i < n_new; i++) {
        take(values[i], &c->new, c->diag);
    }
    size_t n = cli_values(cli, "base", values, CLI_VALUES);
    for (size_t i = 0; i < n; i++) {
        take(values[i], &c->base, c->diag);
    }
    if (diag_count(c->diag) == 0 && (c->base.n == 0 || (!saves && c->new.n == 0))) {
        diag_add(c->diag, (struct origin){"command line", 0},
                 "usage: tlsoak compare BASE NEW, or tlsoak compare --save FILE RUN...");
    }
}

/* "5%" or "5" to 0.05; above 100 % is fine. */
static bool parse_percent(const char *text, double *ret_share)
{
    size_t len = strlen(text);
    CLEANUP_FREE char *number = xstrndup(text, len > 0 && text[len - 1] == '%' ? len - 1 : len);
    double percent;

    if (!str_to_double(number, &percent) || percent < 0) {
        return false;
    }
    *ret_share = percent / 100;
    return true;
}

static void take_tolerance(struct compare *c, const char *text)
{
    const struct origin origin = {"--tolerance", 0};
    const char *equals = strchr(text, '=');
    struct compare_rule *rule = &c->rules[c->n_rules];

    *rule = (struct compare_rule){.off = false};
    if (equals == NULL || (size_t)(equals - text) >= sizeof rule->pattern) {
        diag_add(c->diag, origin, "\"%s\" is not METRIC=PERCENT (write latency.*.p99=10%%)", text);
        return;
    }
    memcpy(rule->pattern, text, (size_t)(equals - text));
    bool size = str_has_prefix(rule->pattern, "leak");
    rule->off = str_equal(equals + 1, "off");
    if (!compare_is_pattern(rule->pattern)) {
        diag_add(c->diag, origin,
                 "no metric is called %s (latency.SERIES.p50, .p90 or .p99, rate.reached, "
                 "errors.ratio, cost.cpu, .bytes_sent, .bytes_received or .handshakes, "
                 "leak.DRIVER)",
                 rule->pattern);
    } else if (!rule->off && (size ? !unit_parse_bytes(equals + 1, &rule->tolerance)
                                   : !parse_percent(equals + 1, &rule->tolerance))) {
        diag_add(c->diag, origin, "\"%s\" is not %s, nor off", equals + 1,
                 size ? "a size (64B)" : "a percentage (5%)");
    } else {
        c->n_rules++;
    }
}

/* False when a run can't be used; what is wrong is said. */
static bool are_valid(const struct compare *c)
{
    const struct group *groups[] = {&c->base, &c->new};
    bool valid = true;

    for (size_t g = 0; g < 2; g++) {
        for (size_t i = 0; i < groups[g]->n; i++) {
            const struct baseline_run *run = groups[g]->run[i];
            if (run->invalid) {
                log_warn("%s %s", run->name, run->problem);
                valid = false;
            }
        }
    }
    return valid || cli_flag(c->cli, "force");
}

/* Each run is held to the first. */
static bool are_alike(struct compare *c)
{
    const char *first = c->base.run[0]->load;
    const struct group *groups[] = {&c->base, &c->new};
    bool force = cli_flag(c->cli, "force"), alike = true;

    for (size_t g = 0; g < 2; g++) {
        for (size_t i = 0; i < groups[g]->n && alike; i++) {
            const char *load = groups[g]->run[i]->load;
            if (first != NULL && load != NULL && loads_differ(first, load, c->differences)) {
                alike = false;
                log_warn("%s and %s did not have the same load%s:", c->base.run[0]->name,
                         groups[g]->run[i]->name, force ? "" : " (--force compares them anyway)");
                (void)fputs(sink_text(c->differences, NULL), stderr);
            }
        }
    }
    return alike || force;
}

static int exit_code(const struct compare *c, const struct comparison *comparison)
{
    switch (comparison->state) {
    case COMPARE_WORSE:
        return 1;
    case COMPARE_UNCLEAR:
        return cli_flag(c->cli, "inconclusive-ok") ? 0 : 3;
    default:
        return 0;
    }
}

/* False with a mistake. */
static bool write_file(struct sink *sink, const char *path, struct diag *diag)
{
    bool ok = sink_replace_file(sink, path);

    if (!ok) {
        diag_add(diag, (struct origin){path, 0}, "can't be written: %s", strerror(errno));
    }
    sink_free(sink);
    return ok;
}

static int save(const struct compare *c)
{
    struct sink *sink = sink_new();

    baseline_write(sink, c->base.run, c->base.n);
    return write_file(sink, cli_value(c->cli, "save", NULL), c->diag) ? 0 : 2;
}

static int compare_and_tell(const struct compare *c)
{
    const char *junit = cli_value(c->cli, "junit", NULL);
    struct comparison *comparison =
        compare_runs(c->base.run, c->base.n, c->new.run, c->new.n, c->rules, c->n_rules);
    struct comparison_sides sides = {.bases = c->base.run,
                                     .n_bases = c->base.n,
                                     .news = c->new.run,
                                     .n_news = c->new.n,
                                     .differences = sink_text(c->differences, NULL)};
    struct sink *sink = sink_new();

    sides.exit_code = exit_code(c, comparison);
    if (str_equal(cli_value(c->cli, "format", "text"), "json")) {
        comparison_json(sink, comparison, &sides);
    } else {
        comparison_text(sink, comparison, &sides);
    }
    sink_print(sink, stdout);
    sink_free(sink);
    if (junit != NULL) {
        sink = sink_new();
        comparison_junit(sink, comparison, &sides);
        sides.exit_code = write_file(sink, junit, c->diag) ? sides.exit_code : 2;
    }
    free(comparison);
    return sides.exit_code;
}

static int judge(struct compare *c)
{
    if (!are_valid(c)) {
        log_warn("what an invalid run measured is nothing to compare (--force does it anyway)");
        return 4;
    }
    if (!are_alike(c)) {
        return 2;
    }
    return cli_value(c->cli, "save", NULL) != NULL ? save(c) : compare_and_tell(c);
}

static void free_group(struct group *group)
{
    for (size_t i = 0; i < group->n; i++) {
        baseline_free(group->run[i]);
    }
}

static int run(const struct cli *cli)
{
    struct compare *c = xcalloc(1, sizeof *c);
    const char *values[CLI_VALUES], *format = cli_value(cli, "format", "text");
    size_t n = cli_values(cli, "tolerance", values, CLI_VALUES);
    int code = 2;

    c->cli = cli;
    c->diag = diag_new();
    c->differences = sink_new();
    for (size_t i = 0; i < n; i++) {
        take_tolerance(c, values[i]);
    }
    if (!str_equal(format, "text") && !str_equal(format, "json")) {
        diag_add(c->diag, (struct origin){"--format", 0}, "unknown format %s (text, json)", format);
    }
    take_all(c);
    if (diag_count(c->diag) == 0) {
        code = judge(c);
    }
    diag_print(c->diag, stderr);
    free_group(&c->base);
    free_group(&c->new);
    sink_free(c->differences);
    diag_free(c->diag);
    free(c);
    return code;
}

const struct command command_compare = {
    .name = "compare",
    .arguments = "BASE... NEW [--base RUN]... [--new RUN]... | --save FILE RUN...",
    .summary = "runs against each other: the regression gate",
    .details =
        "Each is a run's directory, or a baseline that --save wrote; a word without an option is\n"
        "a base, but for the last. For every metric that the base knows well enough there is a\n"
        "difference with its 95 % interval:\n"
        "\n"
        "  worse       it is surely there, and larger than the tolerance\n"
        "  same        its interval lies within the tolerance; no worse: below it\n"
        "  can't tell  anything else\n"
        "\n"
        "and all metrics together are called worse by mistake in 2 % of comparisons at the most.\n"
        "With several runs on each side the difference between runs of a kind is in the\n"
        "intervals.  With one that is not known: intervals of what takes time are wider then by\n"
        "as much as the generator had to wait for a core on a busy machine, and what else a\n"
        "machine does differently tomorrow is not in them.\n"
        "\n"
        "Tolerances: latency.SERIES.p50 5 %, p90 10 %, p99 20 %; rate.reached and cost.cpu,\n"
        "cost.bytes_sent, cost.bytes_received (an exchange) 5 %; errors.ratio 0.1 and\n"
        "cost.handshakes 1 percentage points; leak.DRIVER the bytes an event that are never\n"
        "blamed. --tolerance takes names or parts of them, * for any: latency.connect=20%,\n"
        "latency.*.p99=off, leak.request=32B.\n"
        "\n"
        "Can't tell is also a leak that the new run proves and the base knows nothing of, and a\n"
        "new run that was cut off before a third of the base's time.\n"
        "\n"
        "Runs must have had the same load: profiles may differ in seeds, files, process ids, "
        "limits\n"
        "and outputs only. What a profile does not give is its default, whatever that came to on\n"
        "the machine. Exit code: 1 worse, 3 can't tell, 0 same or better, 4 an invalid run,\n"
        "2 a mistake, or loads that differ.",
    .options = options,
    .min_rest = 0,
    .max_rest = CLI_VALUES,
    .run = run,
};
