#include "cmd/manual.h"

#include "base/bug.h"
#include "base/mem.h"
#include "base/roff.h"
#include "cmd/commands.h"
#include "profile/profile.h"
#include "record/metrics.h"
#include "record/outcome.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name, *what;
} run_files[] = {
    {"profile.ini", "The effective profile with the origin of each value, secrets redacted."},
    {"run.json", "What ran, what tlsoak doctor found before, and, once it is finished, totals and "
                 "latencies.  Schema tlsoak.run/1."},
    {"ticks.csv", "A row a second of what METRICS has; counters are cumulative."},
    {"memory.csv", "A row a reading of the server's memory, with the counters of the time: the "
                   "format that tlsoak analyse reads.  memory.NAME.csv of each further source."},
    {"latency.*.hlog", "Latencies as HdrHistogram log, version 2."},
    {"events.csv, phases.csv, search.csv, hook.log",
     "What befell, when phases began, the steps of a search, what the hooks printed."},
    {"report.txt, report.html, summary.md, junit.xml, findings.csv, verdict.json, latency.*.hgrm",
     "The verdict in every format."},
};

static void heading(struct sink *sink, const char *name, const char *section, const char *title)
{
    sink_printf(sink, ".TH %s %s \"\" \"tlsoak %s\" \"%s\"\n.nh\n.ad l\n", name, section,
                TLSOAK_VERSION, title);
}

static void tagged(struct sink *sink, const char *tag, const char *text)
{
    sink_printf(sink, ".TP\n");
    roff_bold(sink, tag);
    sink_printf(sink, "\n");
    roff_text(sink, text);
    sink_printf(sink, "\n");
}

/* Empty lines are between paragraphs. */
static void paragraphs(struct sink *sink, const char *text)
{
    while (*text != '\0') {
        const char *end = strstr(text, "\n\n");
        CLEANUP_FREE char *part = xstrndup(text, end != NULL ? (size_t)(end - text) : strlen(text));
        sink_printf(sink, ".PP\n");
        roff_text(sink, part);
        sink_printf(sink, "\n");
        text = end != NULL ? end + 2 : text + strlen(text);
    }
}

static void option(struct sink *sink, const struct cli_option *o)
{
    CLEANUP_FREE char *name = xasprintf("--%s", o->name);
    char letter[] = {'-', o->letter, '\0'};

    sink_printf(sink, ".TP\n");
    if (o->letter != '\0') {
        roff_bold(sink, letter);
        sink_printf(sink, ", ");
    }
    roff_bold(sink, name);
    if (o->argument != NULL) {
        sink_printf(sink, " ");
        roff_italic(sink, o->argument);
    }
    sink_printf(sink, "\n");
    roff_text(sink, o->help);
    sink_printf(sink, "\n");
}

/* What a command's help takes from other tables, line by line; the profile has a page of its own.
 */
static void more(struct sink *sink, const struct command *command)
{
    char *text = NULL;
    size_t len = 0;

    if (command == &command_run) {
        sink_printf(sink, ".PP\nThe profile is described in\n.BR tlsoak.ini (5).\n");
        return;
    }
    if (command->more_help == NULL) {
        return;
    }
    FILE *to = open_memstream(&text, &len);
    BUG_ON(to == NULL);
    command->more_help(to);
    BUG_ON(fclose(to) != 0);
    for (const char *line = text; *line != '\0';) {
        size_t n = strcspn(line, "\n");
        CLEANUP_FREE char *words = xstrndup(line, n);
        if (n > 0) {
            sink_printf(sink, *line == ' ' ? ".RS\n" : ".PP\n");
            roff_text(sink, words);
            sink_printf(sink, *line == ' ' ? "\n.RE\n" : "\n");
        }
        line += n + (line[n] == '\n');
    }
    free(text);
}

static void describe(struct sink *sink, const struct command *command)
{
    sink_printf(sink, ".SS tlsoak %s ", command->name);
    roff_text(sink, command->arguments);
    sink_printf(sink, "\n");
    roff_text(sink, command->summary);
    sink_printf(sink, "\n");
    if (command->details != NULL) {
        paragraphs(sink, command->details);
    }
    for (const struct cli_option *o = command->options; o->name != NULL; o++) {
        option(sink, o);
    }
    more(sink, command);
}

static void metric(struct sink *sink, const struct metric *metric)
{
    CLEANUP_FREE char *text =
        xasprintf("%s (%s)", metric->help, strcmp(metric->unit, "1") == 0 ? "count" : metric->unit);

    tagged(sink, metric->name, text);
}

static void metrics(struct sink *sink)
{
    sink_printf(sink, ".SH METRICS\n.SS Counters\nColumns of ticks.csv, cumulative.\n");
    for (int i = 0; i < COUNTER_COUNT; i++) {
        metric(sink, metric_counter((enum counter)i));
    }
    sink_printf(sink, ".SS Gauges\nRead when a second ends.\n");
    for (int i = 0; i < GAUGE_COUNT; i++) {
        metric(sink, metric_gauge((enum gauge)i));
    }
    sink_printf(sink, ".SS Latencies\nlatency.NAME.hlog.\n");
    for (int i = 0; i < LATENCY_COUNT; i++) {
        metric(sink, metric_latency((enum latency)i));
    }
    sink_printf(sink, ".SS Memory\nColumns of memory.csv.\n");
    for (int i = 0; i < MEMORY_METRIC_COUNT; i++) {
        metric(sink, metric_memory((enum memory_metric)i));
    }
}

static void outcomes(struct sink *sink)
{
    sink_printf(sink, ".SH OUTCOMES\nHow an exchange, or a connection, may end.\n");
    for (int i = 0; i < OUTCOME_COUNT; i++) {
        const struct outcome_info *info = outcome_info((enum outcome)i);
        tagged(sink, info->name, info->text);
    }
}

void manual_command(struct sink *sink)
{
    heading(sink, "TLSOAK", "1", "User Commands");
    sink_printf(sink,
                ".SH NAME\ntlsoak \\- soak a server with mutual TLS and find its memory leaks\n"
                ".SH SYNOPSIS\n.B tlsoak\n.I COMMAND\n[ARGUMENT]...\n.br\n.B tlsoak\n.I COMMAND\n"
                "\\-\\-help\n.br\n.B tlsoak \\-\\-version\n.SH DESCRIPTION\n");
    roff_text(sink, "tlsoak drives load of mutual TLS with rotating client certificates, API keys "
                    "and JSON Web Tokens at a server, watches the server's memory, and says "
                    "whether it leaks, and per what. A profile says what the load is; see");
    sink_printf(sink, "\n.BR tlsoak.ini (5).\n.SH COMMANDS\n");
    for (const struct command *const *c = commands; *c != NULL; c++) {
        describe(sink, *c);
    }
    sink_printf(sink, ".SH EXIT STATUS\n");
    for (const struct cli_exit *e = cli_exits; e->meaning != NULL; e++) {
        CLEANUP_FREE char *code = xasprintf("%d", e->code);
        tagged(sink, code, e->meaning);
    }
    sink_printf(sink, ".PP\nA second signal ends at once with 128 + its number.\n.SH FILES\n");
    roff_text(sink, "A run leaves a directory, readable also when the run was killed:");
    sink_printf(sink, "\n");
    for (size_t i = 0; i < sizeof run_files / sizeof run_files[0]; i++) {
        tagged(sink, run_files[i].name, run_files[i].what);
    }
    metrics(sink);
    outcomes(sink);
    sink_printf(sink, ".SH ENVIRONMENT\n");
    tagged(sink, "GITHUB_ACTIONS, GITHUB_STEP_SUMMARY",
           "In a job of GitHub Actions a run prints annotations and appends its page to the job's "
           "summary.");
    sink_printf(sink, ".SH SEE ALSO\n.BR tlsoak.ini (5)\n");
}

void manual_profile(struct sink *sink)
{
    heading(sink, "TLSOAK.INI", "5", "File Formats");
    sink_printf(sink, ".SH NAME\ntlsoak.ini \\- profile of a soak by tlsoak\n.SH DESCRIPTION\n");
    roff_text(sink, "A profile says what server is soaked, with what load and identities, whose "
                    "memory is watched and what is allowed. tlsoak check shows what a profile "
                    "comes to; --set SECTION.KEY=VALUE on the command line goes before it.");
    sink_printf(sink, "\n");
    profile_print_manual(sink);
    sink_printf(sink, ".SH EXAMPLES\n.nf\n");
    static const char *const example[] = {
        "[target]",        "url = https://127.0.0.1:8443/", "server_ca = pki/ca.pem", "[cert]",
        "ca = pki/ca.pem", "ca_key = pki/ca.key",           "pick = fresh",           "[memory]",
    };
    for (size_t i = 0; i < sizeof example / sizeof example[0]; i++) {
        roff_line(sink, example[i], strlen(example[i]));
        sink_printf(sink, "\n");
    }
    sink_printf(sink, ".fi\n.SH SEE ALSO\n.BR tlsoak (1)\n");
}
