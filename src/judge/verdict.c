#include "judge/verdict.h"

#include "base/mem.h"
#include "base/str.h"
#include "judge/attribute.h"
#include "judge/exposure.h"
#include "judge/floors.h"
#include "judge/growth.h"
#include "judge/pairs.h"
#include "judge/reason.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* Suggestions stay between these multiples of the run's length. */
#define LEAST_MORE 0.25
#define MOST_MORE  100.0
/* Growth below this, over a whole run, need not show in the readings. */
#define SHOWS_BYTES (64.0 * 1024)
/* A pass with a longer pause than this share of the run says too little, and so does one for which
 * more readings failed than succeeded. */
#define MAX_PAUSE (1.0 / 3)
/* A driver may be known so little, in what its growth may be of its budget. */
#define HIDDEN_TIMES 1.5
/* No process has less memory by the kernel's count, nor a runtime by its own. */
#define LEAST_COUNTED_BYTES (256.0 * 1024)
#define LEAST_BYTES         (16.0 * 1024)
#define DAY_S               86400.0

static const char *const class_names[] = {
    [MEMORY_INCONCLUSIVE] = "inconclusive",
    [MEMORY_STABLE] = "stable",
    [MEMORY_BOUNDED] = "bounded",
    [MEMORY_LEAK] = "leak",
};

const char *memory_class_name(enum memory_class class)
{
    return class_names[class];
}

/* A series under judgement. */
struct hearing {
    const struct series *series;
    const struct judge_options *options;
    struct stretch stretch;
    double budget;        /* bytes a second */
    struct growth growth; /* rates in bytes a second */
    struct attribution attribution;
    bool designed; /* judged along the exposure to blamed events */
};

static struct growth judge_along_time(const struct hearing *h)
{
    const struct series *s = h->series;
    size_t from = h->stretch.from;
    struct growth g;
    struct growth_input input = {.y = s->y + from,
                                 .y_min = s->y_min + from,
                                 .x = s->t + from,
                                 .part = s->part + from,
                                 .n = h->stretch.to - from};
    struct growth_options options = growth_options(h->budget);
    options.warmup = h->options->judge.warmup;
    options.period = h->options->period_s > 0 ? h->options->period_s : DAY_S;
    growth_judge(&input, &options, &g);
    return g;
}

/* Rows of the decisive incarnation after its warm-up. */
static void attribute(struct hearing *h)
{
    size_t from = h->stretch.from + h->growth.from;
    size_t to = h->stretch.from + h->growth.to;
    if (h->options->designed) {
        while (from < to && h->series->t[from] < h->options->warmup_s) {
            from++;
        }
    } else {
        from += (size_t)(fmax(0.2, h->options->judge.warmup) * (double)(to - from));
    }
    attribution_make(h->series, from, to, h->options, &h->attribution);
}

/* Growth of what is not merely held for a while, along an exposure whose unit stands for so many
 * seconds' worth; rates become bytes a second. */
static void judge_along(const struct hearing *h, const double *x, double per_s, struct growth *g)
{
    const struct attribution *a = &h->attribution;
    CLEANUP_FREE double *y = xmalloc(a->n * sizeof *y);
    for (size_t i = 0; i < a->n; i++) {
        y[i] = h->series->y[a->from + i] - a->held[i];
    }
    struct growth_options options = growth_options(h->budget / per_s);
    struct growth_input input = {
        .y = y, .y_min = y, .x = x, .part = h->series->part + a->from, .n = a->n};
    struct growth along;
    growth_judge(&input, &options, &along);
    g->class = along.class;
    g->reason = along.reason;
    g->rise = along.rise;
    g->slope = along.slope * per_s;
    g->low = along.low * per_s;
    g->high = along.high * per_s;
    g->se = along.se * per_s;
    g->smallest_visible = along.smallest_visible * per_s;
}

/* The axis is the bytes that the blamed events account for. */
static void judge_along_exposure(const struct hearing *h, struct growth *g)
{
    const struct attribution *a = &h->attribution;
    const double *t = h->series->t + a->from;
    CLEANUP_FREE double *x = xmalloc(a->n * sizeof *x);
    for (size_t i = 0; i < a->n; i++) {
        x[i] = fmax(a->exposure[i], i > 0 ? x[i - 1] : 0);
    }
    judge_along(h, x, x[a->n - 1] / (t[a->n - 1] - t[0]), g);
}

static bool explains_anything(const struct attribution *a)
{
    for (int d = 0; d < DRIVER_COUNT; d++) {
        if (a->explains[d]) {
            return true;
        }
    }
    return false;
}

/* Is the growth per event of every driver that could be asked shown to be allowed? */
static bool all_allowed(const struct hearing *h)
{
    for (int d = 0; d < DRIVER_COUNT; d++) {
        if (h->attribution.driver[d].separable &&
            h->attribution.upper[d] >= exposure_allowed(&h->stretch, h->options, (enum driver)d)) {
            return false;
        }
    }
    return true;
}

/* What is kept of any events is not less than nothing, so that growth which is allowed in all is
 * allowed to each driver, unless memory that was given back meanwhile hides one.  Does one seem to
 * be hidden, or might it be by much? */
static bool any_hidden(const struct hearing *h)
{
    for (int d = 0; d < DRIVER_COUNT; d++) {
        const struct driver_finding *f = &h->attribution.driver[d];
        double allowed = exposure_allowed(&h->stretch, h->options, (enum driver)d);
        if (f->separable && (f->bytes_per_event >= allowed || f->high >= HIDDEN_TIMES * allowed)) {
            return true;
        }
    }
    return false;
}

/* Evidence against a driver that outweighs the gates on even growth (bursts of few events can look
 * uneven), though not those on jumps, on falls and on growth at all. */
static bool is_overwhelming(const struct attribution *a, const struct growth *along)
{
    bool forgivable = along->reason == GROWTH_DECELERATING || along->reason == GROWTH_UNEVEN;
    for (int d = 0; d < DRIVER_COUNT; d++) {
        if (a->overwhelming[d]) {
            return forgivable && along->low > 0;
        }
    }
    return false;
}

/* Nobody is blamed without a leak: a driver whose growth is allowed, or not proven to go on, is at
 * most a suspect. */
static void acquit(struct hearing *h)
{
    for (int d = 0; d < DRIVER_COUNT; d++) {
        h->attribution.driver[d].blamed = false;
    }
}

/* Do events that moved together, so that none of them can be named, explain the growth? */
static bool explains_unnamed(const struct attribution *a)
{
    for (int d = 0; d < DRIVER_COUNT; d++) {
        if (a->explains[d] && !a->driver[d].separable) {
            return true;
        }
    }
    return false;
}

/* Is there anything that explains the growth and is sure to go on? */
static bool goes_on(const struct attribution *a)
{
    for (int d = 0; d < DRIVER_COUNT; d++) {
        if (a->explains[d] && !a->driver[d].may_slow) {
            return true;
        }
    }
    return false;
}

static void convict_or_not(struct hearing *h)
{
    struct growth *g = &h->growth;
    judge_along_exposure(h, g);
    if (is_overwhelming(&h->attribution, g)) {
        g->class = MEMORY_LEAK;
        g->reason = GROWTH_TREND;
    }
    if (g->class == MEMORY_LEAK && !goes_on(&h->attribution)) {
        g->class = MEMORY_INCONCLUSIVE;
        g->reason = GROWTH_DECELERATING;
    }
    g->class = g->class == MEMORY_LEAK ? MEMORY_LEAK : MEMORY_INCONCLUSIVE;
}

/* Under a designed load growth is no line in time, so time can't convict; blamed events can.  A
 * pass takes both: the total within its budget, and no driver that hides beyond its own. */
static void judge_designed(struct hearing *h)
{
    struct growth *g = &h->growth;
    bool allowed = all_allowed(h);
    bool restarted = g->n_parts > 1;
    h->designed = true;
    if (explains_anything(&h->attribution) && !allowed) {
        convict_or_not(h);
    } else {
        judge_along(h, h->series->t + h->attribution.from, 1, g);
        bool pass = g->class == MEMORY_STABLE || g->class == MEMORY_BOUNDED;
        if (!pass && explains_unnamed(&h->attribution)) {
            convict_or_not(h);
        } else {
            g->class = pass && !any_hidden(h) ? g->class : MEMORY_INCONCLUSIVE;
        }
    }
    if (restarted && g->class != MEMORY_LEAK) {
        g->class = MEMORY_INCONCLUSIVE;
        g->reason = GROWTH_RESTART;
    }
    if (g->class != MEMORY_LEAK) {
        acquit(h);
    }
}

/* How many times what a pass takes the least known driver's uncertainty is. */
static double widest_driver(const struct hearing *h)
{
    double widest = 1;
    for (int d = 0; d < DRIVER_COUNT; d++) {
        const struct driver_finding *f = &h->attribution.driver[d];
        double allowed = exposure_allowed(&h->stretch, h->options, (enum driver)d);
        if (f->separable && allowed > 0) {
            widest = fmax(widest, (f->high - f->bytes_per_event) / (HIDDEN_TIMES * allowed));
        }
    }
    return widest;
}

/* Time that an inconclusive run still needs: the smallest visible leak falls as T^-1.5, so it
 * takes T (visible / budget)^(2/3); growth that is not yet even or still slowing wants the run
 * doubled. */
static double exactly_needed(const struct hearing *h)
{
    double t = h->stretch.seconds;
    const struct growth *g = &h->growth;
    if (g->reason == GROWTH_TOO_SHORT || g->to - g->from < GROWTH_MIN_READINGS) {
        double rows = (double)(g->to - g->from);
        double each = rows > 1 ? t / (rows - 1) : 1;
        return fmax(1, ceil(each * fmax(1, GROWTH_MIN_READINGS - rows)));
    }
    if (g->reason == GROWTH_UNSEEN) {
        return ceil(SHOWS_BYTES / h->budget - t);
    }
    if (g->reason == GROWTH_STUCK || g->reason == GROWTH_UNIT) {
        return 0;
    }
    if (g->reason != GROWTH_NOISY && g->reason != GROWTH_WITHIN_BUDGET) {
        return ceil(t);
    }
    double times = h->designed && g->reason == GROWTH_WITHIN_BUDGET
                       ? widest_driver(h)
                       : (g->high - g->slope) / fmax(h->budget, 1);
    double more = pow(fmax(1, times), 2.0 / 3) - 1;
    return ceil(t * fmin(MOST_MORE, fmax(LEAST_MORE, more)));
}

/* An estimate, so up to whole tens of seconds or minutes. */
static double needed_seconds(const struct hearing *h)
{
    double s = exactly_needed(h);
    double unit = s < 60 ? 1 : s < 600 ? 10 : 60;
    return ceil(s / unit) * unit;
}

/* Level readings of a short run are no evidence: memory is read in pages of 4 KiB, and what an
 * allocator has free it gives away unseen. */
static void require_visible_budget(struct hearing *h)
{
    bool pass = h->growth.class == MEMORY_STABLE || h->growth.class == MEMORY_BOUNDED;
    if (pass && h->budget * h->stretch.seconds < SHOWS_BYTES) {
        h->growth.class = MEMORY_INCONCLUSIVE;
        h->growth.reason = GROWTH_UNSEEN;
    }
}

static bool is_counted_by_the_kernel(const char *metric)
{
    return str_has_prefix(metric, "anon") || str_has_prefix(metric, "private_dirty") ||
           str_has_prefix(metric, "pss") || str_has_prefix(metric, "rss");
}

/* From the last reading of the stretch to the end of the run, where nobody saw it rest. */
static double unseen_end(const struct hearing *h)
{
    const struct series *s = h->series;
    return h->stretch.to == s->n ? s->end - s->t[s->n - 1] : 0;
}

static bool pauses_too_long(const struct hearing *h)
{
    const struct series *s = h->series;
    double longest = unseen_end(h);
    for (size_t i = h->stretch.from + 1; i < h->stretch.to; i++) {
        longest = fmax(longest, s->t[i] - s->t[i - 1]);
    }
    return longest > MAX_PAUSE * (h->stretch.seconds + unseen_end(h));
}

static bool never_moved(const struct hearing *h)
{
    const struct series *s = h->series;
    for (size_t i = h->stretch.from; i < h->stretch.to; i++) {
        if (s->y[i] != s->y[h->stretch.from] || s->y_min[i] != s->y[i]) {
            return false;
        }
    }
    return true;
}

/* Readings that can't be what they are called give no verdict: a process of 50 KiB, a gauge that
 * nobody refreshes (pages may stay as they are, and then that is the truth), a run that was mostly
 * not read. */
static void require_readings(struct hearing *h)
{
    struct growth *g = &h->growth;
    bool part = series_is_part(h->series);
    bool counted = part || is_counted_by_the_kernel(h->series->metric);
    bool pass = g->class == MEMORY_STABLE || g->class == MEMORY_BOUNDED;
    enum growth_reason why = g->reason;
    if (h->series->n_readings < GROWTH_MIN_READINGS) {
        return;
    }
    if (!part && g->level < (counted ? LEAST_COUNTED_BYTES : LEAST_BYTES)) {
        why = GROWTH_UNIT;
    } else if (pass && !counted && never_moved(h)) {
        why = GROWTH_STUCK;
    } else if (pass && (pauses_too_long(h) || h->series->n_gaps > h->series->n_readings)) {
        why = GROWTH_GAPS;
    }
    if (why != g->reason) {
        g->class = MEMORY_INCONCLUSIVE;
        g->reason = why;
        acquit(h);
    }
}

static void forecast(const struct hearing *h, struct memory_finding *f)
{
    f->limit_bytes = h->options->limit_bytes;
    double left = h->options->limit_bytes - f->level_bytes;
    f->seconds_to_limit_low = NAN;
    f->seconds_to_limit_high = NAN;
    if (h->options->limit_bytes <= 0 || f->slope_high <= 0 || !isfinite(f->slope_high)) {
        return;
    }
    f->seconds_to_limit_low = fmax(0, left / f->slope_high);
    if (f->slope_low > 0) {
        f->seconds_to_limit_high = fmax(0, left / f->slope_low);
    }
}

static void list_drivers(const struct hearing *h, struct memory_finding *f)
{
    for (int d = 0; d < DRIVER_COUNT; d++) {
        if (d != DRIVER_TIME && h->stretch.events[d] <= 0) {
            continue;
        }
        struct driver_finding *to = &f->drivers[f->n_drivers++];
        *to = h->attribution.driver[d];
        to->events = h->stretch.events[d];
    }
}

/* Is there an interval, of readings that can be what they are called? */
static bool is_usable(const struct growth *g)
{
    return isfinite(g->low) && isfinite(g->high) && g->reason != GROWTH_TOO_SHORT &&
           g->reason != GROWTH_RESTART && g->reason != GROWTH_GAPS && g->reason != GROWTH_STUCK &&
           g->reason != GROWTH_UNIT;
}

static void copy_numbers(const struct hearing *h, struct memory_finding *f)
{
    const struct growth *g = &h->growth;
    f->class = g->class;
    f->usable = is_usable(g);
    f->slope = g->slope;
    f->slope_low = g->low;
    f->slope_high = g->high;
    f->smallest_visible = g->smallest_visible;
    f->budget = h->budget;
    f->growth_bytes = g->net_growth;
    f->level_bytes = g->level;
    f->noise_bytes = g->noise;
    f->duration_s = h->stretch.seconds;
    if (g->to > g->from) {
        f->from_s = h->series->t[h->stretch.from + g->from];
        f->to_s = h->series->t[h->stretch.from + g->to - 1];
    }
    f->n_readings = h->series->n_readings;
    f->n_gaps = h->series->n_gaps;
    f->n_restarts = g->n_parts > 0 ? g->n_parts - 1 : 0;
    f->refresh_s = h->attribution.refresh_s;
}

/* Rules that no arithmetic on the readings replaces: bounds not reached, garbage. */
static struct unreached apply_rules(const struct hearing *h, struct memory_finding *f)
{
    bool blamed[DRIVER_COUNT] = {false};
    bool any = false;
    for (size_t i = 0; i < f->n_drivers; i++) {
        blamed[f->drivers[i].driver] = f->drivers[i].blamed;
        any |= f->drivers[i].blamed;
    }
    struct unreached bounds = exposure_unreached(h->series, &h->stretch, h->options,
                                                 f->class == MEMORY_LEAK && any ? blamed : NULL, f);
    if (bounds.is || exposure_hidden_by_garbage(h->series)) {
        f->class = MEMORY_INCONCLUSIVE;
        f->usable = false;
    }
    f->needed_driver = -1;
    if (f->class != MEMORY_INCONCLUSIVE || exposure_hidden_by_garbage(h->series)) {
        return bounds;
    }
    f->needed_seconds = bounds.is ? ceil(bounds.seconds) : needed_seconds(h);
    if (bounds.is) {
        f->needed_driver = bounds.driver;
        f->needed_events = bounds.events;
    }
    return bounds;
}

/* Proof by pairs needs no gate: it holds however short the series is.  Where a floor shows events
 * of the dwell before as well, the attribution, which asks for that, knows the bytes better. */
static void adopt_pairs(const struct hearing *h, const struct pairs_finding *pairs,
                        struct memory_finding *f)
{
    enum driver factor = h->options->pairs.factor;
    for (size_t i = 0; i < f->n_drivers; i++) {
        struct driver_finding *d = &f->drivers[i];
        if (d->driver != factor) {
            d->blamed = d->blamed && f->class == MEMORY_LEAK;
            continue;
        }
        if (!(h->options->floors && d->separable)) {
            d->bytes_per_event = pairs->bytes_per_event;
            d->low = pairs->low;
            d->high = pairs->high;
            d->lower = pairs->low;
            d->upper = pairs->high;
        }
        d->blamed = d->separable = true;
        d->bounded = false;
        d->confounded_with[0] = '\0';
    }
    f->class = MEMORY_LEAK;
    f->needed_seconds = f->needed_events = 0;
    f->needed_driver = -1;
}

static void judge(const struct series *series, const struct judge_options *options,
                  bool provisional, struct memory_finding *f)
{
    struct pairs_finding pairs = {.reached = false};
    struct hearing h = {.series = series, .options = options};
    /* Time alone can't judge a designed load. */
    bool attributed = !provisional || options->designed;
    memset(f, 0, sizeof *f);
    (void)str_copy(f->source, sizeof f->source, series->source);
    (void)str_copy(f->metric, sizeof f->metric, series->metric);
    h.stretch = exposure_stretch(series);
    h.budget = exposure_budget(&h.stretch, options);
    h.growth = judge_along_time(&h);
    if (attributed) {
        attribute(&h);
    }
    if (options->designed && h.attribution.fitted) {
        judge_designed(&h);
    }
    require_visible_budget(&h);
    require_readings(&h);
    copy_numbers(&h, f);
    if (attributed) {
        list_drivers(&h, f);
    }
    struct unreached bounds = apply_rules(&h, f);
    if (options->designed && options->pairs.n > 0) {
        judge_pairs(series, options, &pairs);
    }
    bool proven = pairs.reached && !pairs.ceased;
    if (proven) {
        adopt_pairs(&h, &pairs, f);
    }
    forecast(&h, f);
    if (proven) {
        reason_write_early(&h.stretch, pairs.reason, f);
    } else {
        reason_write(series, &h.stretch, h.growth.reason, &bounds, h.designed, f);
    }
    floors_judge(series, options, &f->floors);
    attribution_end(&h.attribution);
}

struct judge_options judge_options_none(void)
{
    struct judge_options options = {.designed = false};
    for (int d = 0; d < DRIVER_COUNT; d++) {
        options.judge.budget[d] = -1;
    }
    return options;
}

void judge_series(const struct series *series, const struct judge_options *options,
                  struct memory_finding *ret_finding)
{
    judge(series, options, false, ret_finding);
}

void judge_provisional(const struct series *series, const struct judge_options *options,
                       struct memory_finding *ret_finding)
{
    char reason[sizeof ret_finding->reason];
    judge(series, options, true, ret_finding);
    (void)str_copy(reason, sizeof reason, ret_finding->reason);
    snprintf(ret_finding->reason, sizeof ret_finding->reason, "so far: %.*s",
             (int)sizeof reason - 16, reason);
}
