#include "cmd/commands.h"

#include "base/diag.h"
#include "base/log.h"
#include "cmd/judging.h"
#include "report/renderer.h"

#include <stdio.h>
#include <stdlib.h>

static const struct cli_option options[] = {
    {"format", 'f', "FORMAT", RENDERER_NAMES " (default: text)"},
    {NULL, 0, NULL, NULL},
};

static int render(const char *dir, const struct renderer *renderer, struct diag *diag)
{
    struct plan *plan = NULL;
    struct stored_run *stored = judging_load(dir, &plan, diag);
    struct verdict *verdict = stored != NULL ? judging_run(stored, plan, NULL, NULL, diag) : NULL;
    int code = 2;

    if (verdict != NULL) {
        struct sink *sink = sink_new();
        renderer->write(sink, stored, verdict);
        sink_print(sink, stdout);
        sink_free(sink);
        if (stored->torn_lines > 0) {
            log_note("%d incomplete last line(s) left out%s", stored->torn_lines,
                     stored->meta.finished ? "" : ": the run was killed");
        }
        code = 0;
    }
    free(verdict);
    plan_free(plan);
    run_unload(stored);
    return code;
}

static int run(const struct cli *cli)
{
    const char *format = cli_value(cli, "format", "text");
    const struct renderer *renderer = renderer_find(format);
    struct diag *diag = diag_new();
    int code = 2;

    if (renderer == NULL) {
        diag_add(diag, (struct origin){"--format", 0}, "unknown format %s (" RENDERER_NAMES ")",
                 format);
    } else {
        code = render(cli->rest[0], renderer, diag);
    }
    diag_print(diag, stderr);
    diag_free(diag);
    return code;
}

const struct command command_report = {
    .name = "report",
    .arguments = "DIR [--format FORMAT]",
    .summary = "renders a stored run again, also one that was killed",
    .options = options,
    .min_rest = 1,
    .max_rest = 1,
    .run = run,
};
