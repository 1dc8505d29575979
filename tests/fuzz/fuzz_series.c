/* Fuzzes the reading and judging of series: CSV and answers of Prometheus.  Besides crashes it
 * looks for series that break their own promises. */
#include "kit/fuzz.h"

#include "judge/verdict.h"

#include "base/mem.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static void check_series(const struct series *s)
{
    size_t readings = 0;
    fuzz_require(s->n <= SERIES_BUCKETS, "more buckets than there is room for");
    fuzz_require(strlen(s->metric) < sizeof s->metric && s->source[0] != '\0',
                 "a series has no name");
    for (size_t i = 0; i < s->n; i++) {
        readings += s->count[i];
        fuzz_require(isfinite(s->t[i]) && isfinite(s->open[i]), "a number is not finite");
        fuzz_require(isfinite(s->y[i]) && s->y[i] > 0 && s->y_min[i] > 0, "memory is not positive");
        fuzz_require(s->y_min[i] <= s->y[i] * (1 + 1e-9), "the lowest is above the mean");
        fuzz_require(i == 0 || s->t[i] > s->t[i - 1], "time does not go on");
        fuzz_require(i == 0 || s->part[i] >= s->part[i - 1], "incarnations go back");
        for (int d = DRIVER_TIME + 1; d < DRIVER_COUNT; d++) {
            fuzz_require(isfinite(s->x[d][i]) && s->x[d][i] >= 0, "a counter is no count");
            fuzz_require(i == 0 || s->part[i] > s->part[i - 1] || s->x[d][i] >= s->x[d][i - 1],
                         "a counter falls within one incarnation");
        }
    }
    fuzz_require(readings == s->n_readings, "readings were lost");
}

static void judge(const struct series *s)
{
    struct judge_options options = judge_options_none();
    static struct memory_finding finding;
    options.designed = s->n_readings % 2 == 1;
    judge_series(s, &options, &finding);
    fuzz_require(finding.reason[0] != '\0', "there is no reason");
    fuzz_require(finding.class == MEMORY_INCONCLUSIVE || s->n_readings >= 40,
                 "too few readings were judged");
}

static bool run(const char *bytes, size_t len)
{
    struct series *series = NULL;
    struct diag *diag = diag_new();
    int fd = memfd_create("series", MFD_CLOEXEC);
    fuzz_require(fd >= 0 && write(fd, bytes, len) == (ssize_t)len, "no room for the input");
    CLEANUP_FREE char *path = xasprintf("/proc/self/fd/%d", fd);
    size_t n = series_load(path, &series, NULL, NULL, diag);
    fuzz_require((n == 0) == (diag_count(diag) > 0), "neither a series nor a mistake, or both");
    for (size_t i = 0; i < n; i++) {
        check_series(&series[i]);
        judge(&series[i]);
    }
    if (n > 0) {
        free(series);
    }
    diag_free(diag);
    close(fd);
    return n > 0;
}

static const char *const words[] = {",",
                                    "\n",
                                    "\r",
                                    "\r\n",
                                    "\"",
                                    "\"\"",
                                    "#",
                                    "-",
                                    "-1",
                                    "0",
                                    "1e308",
                                    "1e-308",
                                    "1e999",
                                    "nan",
                                    "inf",
                                    "NaN",
                                    "+Inf",
                                    "\xEF\xBB\xBF",
                                    "time_s",
                                    "anon_bytes",
                                    "rss_kb",
                                    "heap_floor_kb",
                                    "requests",
                                    "connections_total",
                                    "incarnation",
                                    "source",
                                    "open",
                                    "# runtime jvm\n",
                                    "# source x\n",
                                    "1763700000000",
                                    "99999999999",
                                    "9007199254740993",
                                    "000000000000001",
                                    "[",
                                    "]",
                                    "{",
                                    "}",
                                    "[1,\"2\"]",
                                    "null",
                                    "values",
                                    "metric",
                                    "__name__",
                                    "process_resident_memory_bytes",
                                    "process_start_time_seconds",
                                    "jvm_memory_used_bytes",
                                    ";",
                                    "\t",
                                    " ",
                                    NULL};

const struct fuzz_target fuzz_target = {
    .name = "series",
    .about = "judge/series.c judge/series_csv.c judge/series_load.c judge/series_prometheus.c "
             "judge/series_rank.c judge/series_rows.c",
    .words = words,
    .run = run,
};
