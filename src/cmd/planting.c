#include "cmd/planting.h"

#include "base/mem.h"
#include "base/str.h"
#include "base/unit.h"

#include <string.h>

static void read_leak(const char *text, struct serve_options *options, struct diag *diag)
{
    const struct origin origin = {"--leak", 0};
    CLEANUP_FREE char *copy = xstrdup(text);
    char *equals = strchr(copy, '=');
    const char *names[DRIVER_COUNT];
    enum driver driver;
    double bytes;

    for (int d = 0; d < DRIVER_COUNT; d++) {
        names[d] = driver_info((enum driver)d)->name;
    }
    if (equals == NULL) {
        diag_add(diag, origin, "\"%s\" is not DRIVER=SIZE (write client_certificate=2KiB)", text);
        return;
    }
    *equals = '\0';
    if (!driver_from_name(copy, &driver)) {
        const char *near = str_nearest(copy, names, DRIVER_COUNT);
        diag_add(diag, origin, "unknown driver %s%s%s", copy, near != NULL ? "; did you mean " : "",
                 near != NULL ? near : "");
    } else if (!unit_parse_bytes(equals + 1, &bytes) || bytes < 1 || bytes > 1048576.0 * 64) {
        diag_add(diag, origin, "\"%s\" is not a size from 1B to 64MiB", equals + 1);
    } else {
        options->leak[driver] = bytes;
    }
}

bool planting_read(const struct cli *cli, struct serve_options *options, struct diag *diag)
{
    const char *leaks[CLI_VALUES];
    size_t before = diag_count(diag);
    size_t n = cli_values(cli, "leak", leaks, CLI_VALUES);
    const char *innocent = cli_value(cli, "innocent", NULL);

    for (size_t i = 0; i < n; i++) {
        if (!str_equal(leaks[i], "none")) {
            read_leak(leaks[i], options, diag);
        }
    }
    if (innocent != NULL && !innocent_from_name(innocent, &options->innocent)) {
        diag_add(diag, (struct origin){"--innocent", 0}, "unknown look-alike %s", innocent);
    }
    return diag_count(diag) == before;
}

void planting_help(FILE *to)
{
    (void)fprintf(to, "\ndrivers for --leak (bytes per event; time: per second):\n ");
    for (int d = 0; d < DRIVER_COUNT; d++) {
        (void)fprintf(to, " %s", driver_info((enum driver)d)->name);
    }
    (void)fprintf(to, "\nlook-alikes for --innocent:\n ");
    for (int i = INNOCENT_NONE + 1; i < INNOCENT_COUNT; i++) {
        (void)fprintf(to, " %s", innocent_name((enum innocent)i));
    }
    (void)fprintf(to, "\n");
}
