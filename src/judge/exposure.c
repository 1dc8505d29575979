#include "judge/exposure.h"

#include "base/str.h"
#include "judge/growth.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* A run must pass a bound by this much before the growth behind it can be judged. */
#define BOUND_SHARE 0.6
#define TTL_SHARE   0.5
#define NS          1e-9
/* The JDK's TLS session cache: javax.net.ssl.sessionCacheSize, 20,480 by default; so is OpenSSL's
 * SSL_SESSION_CACHE_MAX_SIZE_DEFAULT, which is in play only where the server kept it. */
#define SESSION_CACHE 20480
/* And its cache of parsed certificates (X509Factory), which no property sizes. */
#define CERTIFICATE_CACHE 750
#define MAX_BOUNDS        3

static bool advances(const struct series *s, size_t row)
{
    for (int d = DRIVER_TIME + 1; d < DRIVER_COUNT; d++) {
        if (s->has[d] && s->x[d][row] != s->x[d][row - 1]) {
            return true;
        }
    }
    return false;
}

/* Sums rises only: a counter may begin again with the server. */
static void count_events(const struct series *s, struct stretch *stretch)
{
    for (int d = DRIVER_TIME + 1; d < DRIVER_COUNT; d++) {
        for (size_t i = stretch->from + 1; s->has[d] && i < stretch->to; i++) {
            stretch->events[d] += fmax(0, s->x[d][i] - s->x[d][i - 1]);
        }
        stretch->any_events |= stretch->events[d] > 0;
    }
    stretch->events[DRIVER_TIME] = stretch->seconds;
}

struct stretch exposure_stretch(const struct series *series)
{
    struct stretch s = {.to = series->n};
    if (series->n == 0) {
        return s;
    }
    size_t first = 1;
    size_t last = series->n - 1;
    while (first < series->n && !advances(series, first)) {
        first++;
    }
    while (last > first && !advances(series, last)) {
        last--;
    }
    if (first < series->n && last + 2 - first >= GROWTH_MIN_READINGS) {
        s.from = first - 1;
        s.to = last + 1;
        s.idle_before = series->t[s.from] - series->t[0];
        s.idle_after = series->t[series->n - 1] - series->t[last];
    }
    s.seconds = series->t[s.to - 1] - series->t[s.from];
    count_events(series, &s);
    return s;
}

static bool any_given(const struct stretch *s, const struct plan_judge *judge)
{
    for (int d = 0; d < DRIVER_COUNT; d++) {
        if (judge->budget[d] >= 0 && s->events[d] > 0) {
            return true;
        }
    }
    return false;
}

double exposure_budget(const struct stretch *stretch, const struct judge_options *options)
{
    double least = HUGE_VAL;
    bool given = any_given(stretch, &options->judge);
    if (stretch->seconds <= 0) {
        return 0;
    }
    for (int d = 0; d < DRIVER_COUNT; d++) {
        double per_s = stretch->events[d] / stretch->seconds;
        if (given && options->judge.budget[d] >= 0 && stretch->events[d] > 0) {
            least = fmin(least, options->judge.budget[d] * per_s);
        }
        if (!given && d != DRIVER_TIME && stretch->events[d] >= EXPOSURE_MIN_EVENTS) {
            least = fmin(least, driver_info((enum driver)d)->floor_bytes * per_s);
        }
    }
    return isfinite(least) ? least : driver_info(DRIVER_TIME)->floor_bytes;
}

double exposure_allowed(const struct stretch *stretch, const struct judge_options *options,
                        enum driver driver)
{
    if (options->judge.budget[driver] >= 0) {
        return options->judge.budget[driver];
    }
    double share = stretch->events[driver] > 0 ? exposure_budget(stretch, options) *
                                                     stretch->seconds / stretch->events[driver]
                                               : 0;
    return fmax(driver_info(driver)->floor_bytes, share);
}

/* The first that there is, unless one that was not reached takes its place. */
static void name_bound(struct memory_finding *f, const char *name, double size, enum driver filler,
                       bool unreached)
{
    if (f->known_bound[0] == '\0' || unreached) {
        (void)str_copy(f->known_bound, sizeof f->known_bound, name);
        f->known_bound_size = size;
        f->known_bound_driver = filler;
    }
}

/* A bound on a driver's entries, declared or known. */
struct bound {
    double entries;
    double least;       /* so few events that nobody is blamed by them are not waited for */
    enum driver filler; /* whose events fill it */
    char name[64];
};

/* All that bounds what is kept of a driver's events.  A session holds the certificate that the
 * client showed, so that a session cache grows with new certificates too; handshakes fill it. */
static size_t bounds_of(const struct series *series, const struct judge_options *options,
                        enum driver d, struct bound bounds[MAX_BOUNDS])
{
    const double *declared = options->judge.expect_bound;
    bool jvm = str_equal(series->runtime, "jvm");
    bool certificate = d == DRIVER_CLIENT_CERTIFICATE;
    size_t n = 0;
    if (declared[d] > 0) {
        bounds[n] = (struct bound){.entries = declared[d], .least = 1, .filler = d};
        snprintf(bounds[n++].name, sizeof bounds->name, "expect_bound.%s", driver_info(d)->name);
    }
    if (certificate && declared[DRIVER_CONNECTION] > 0) {
        bounds[n++] = (struct bound){.entries = declared[DRIVER_CONNECTION],
                                     .least = 1,
                                     .filler = DRIVER_CONNECTION,
                                     .name = "expect_bound.connection"};
    }
    if (jvm && (certificate || d == DRIVER_CONNECTION) && declared[DRIVER_CONNECTION] <= 0) {
        bounds[n++] = (struct bound){.entries = SESSION_CACHE,
                                     .least = EXPOSURE_MIN_EVENTS,
                                     .filler = DRIVER_CONNECTION,
                                     .name = "TLS session cache of the JDK"};
    }
    if (jvm && certificate) {
        bounds[n++] = (struct bound){.entries = CERTIFICATE_CACHE,
                                     .least = EXPOSURE_MIN_EVENTS,
                                     .filler = d,
                                     .name = "certificate cache of the JDK"};
    }
    return n;
}

/* Takes the place of `worst` when it needs more. */
static void weigh_bound(const struct bound *bound, const struct stretch *stretch, bool matters,
                        struct unreached *worst, struct memory_finding *finding)
{
    double passed = stretch->events[bound->filler];
    double needed = ceil(bound->entries / BOUND_SHARE) - passed;
    double needed_s = needed * stretch->seconds / passed;
    bool unreached = matters && needed_s > worst->seconds;
    name_bound(finding, bound->name, bound->entries, bound->filler, unreached);
    if (unreached) {
        *worst = (struct unreached){
            .is = true, .driver = (int)bound->filler, .events = needed, .seconds = needed_s};
    }
}

struct unreached exposure_unreached(const struct series *series, const struct stretch *stretch,
                                    const struct judge_options *options, const bool *blamed,
                                    struct memory_finding *finding)
{
    struct unreached worst = {.driver = -1};
    double ttl = (double)options->judge.expect_ttl_ns * NS;
    for (int d = DRIVER_TIME + 1; d < DRIVER_COUNT; d++) {
        struct bound bounds[MAX_BOUNDS];
        size_t n = bounds_of(series, options, (enum driver)d, bounds);
        bool matters = blamed == NULL || blamed[d];
        for (size_t i = 0; i < n && stretch->events[d] > 0; i++) {
            double least = blamed == NULL ? bounds[i].least : 1;
            if (stretch->events[bounds[i].filler] >= least) {
                weigh_bound(&bounds[i], stretch, matters, &worst, finding);
            }
        }
    }
    double needed_s = ttl / TTL_SHARE - stretch->seconds;
    if (ttl > 0) {
        bool unreached = needed_s > worst.seconds;
        name_bound(finding, "expect_ttl", ttl, DRIVER_TIME, unreached);
        if (unreached) {
            worst = (struct unreached){.is = true, .driver = -1, .seconds = needed_s};
        }
    }
    return worst;
}

/* Events since the reading before; a counter that begins again adds none. */
static double came(const double *x, size_t i, size_t from)
{
    return i > from ? fmax(0, x[i] - x[i - 1]) : 0;
}

size_t exposure_passed(const struct series *series, const struct judge_options *options,
                       enum driver driver, size_t from, size_t to)
{
    struct bound bounds[MAX_BOUNDS];
    size_t n = bounds_of(series, options, driver, bounds);
    double ttl = (double)options->judge.expect_ttl_ns * NS;
    double filled[MAX_BOUNDS] = {0}, began = HUGE_VAL;
    for (size_t i = from; i < to; i++) {
        began = came(series->x[driver], i, from) > 0 ? fmin(began, series->t[i]) : began;
        bool passed = ttl <= 0 || series->t[i] - began > ttl;
        for (size_t j = 0; j < n; j++) {
            filled[j] += came(series->x[bounds[j].filler], i, from);
            passed = passed && filled[j] > bounds[j].entries;
        }
        if (passed) {
            return i;
        }
    }
    return to;
}

/* Go is collected too, but each of its collections is a full one and under load they come many
 * times a minute, so that its memory follows what is retained (at up to twice the size).  Resident
 * memory after a forced collection is no floor: the heap keeps its pages. */
bool exposure_hidden_by_garbage(const struct series *series)
{
    bool resident = str_has_prefix(series->metric, "process_") ||
                    str_has_prefix(series->metric, "container_") ||
                    str_has_prefix(series->metric, "cgroup_");
    bool live = series->floors &&
                (str_has_prefix(series->metric, "command") || (series->chosen && !resident));
    bool floor = live || strstr(series->metric, "floor") != NULL ||
                 strstr(series->metric, "after_full_gc") != NULL;
    return series->collected && !floor && !str_equal(series->runtime, "go");
}
