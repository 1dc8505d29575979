#include "judge/growth.h"

#include "base/mem.h"
#include "judge/levels.h"
#include "judge/numeric.h"
#include "judge/season.h"
#include "judge/staircase.h"
#include "judge/trend.h"

#include <math.h>
#include <string.h>

#define N_LEAK_CUTS         4
#define N_PASS_CUTS         4
#define MIN_LEVELS          12 /* for a leak */
#define LEAK_LIKELIHOOD_CUT 2.5
#define LOG_NATS            4.5  /* a line must beat a logarithm by this much, and, */
#define STOP_NATS           2.0  /* from an early cut on, a line that stops before the end */
#define MIN_HALF_RATIO      0.65 /* second half against the first */
#define MAX_JUMP            0.45 /* of the rise */
#define MIN_QUARTER         0.25 /* of a quarter's fair share */
#define MAX_FALL            0.5  /* of the rise, sudden, where levels are no floors ... */
#define FALL_NOISE          12.0 /* ... and more than so many times the noise */
#define FAILED_SHARE        0.3  /* of the neighbours' median: a failed read */
#define AS_GOOD_AS_NEW      99.0 /* ratio of halves when the first did not grow */

/* The run is cut at several places because nobody knows where its warm-up ends.  Growth that was
 * even almost from the first reading on shows earliest: beside a logarithm, which is steep there, a
 * line stands out at two thirds of the slope.  That cut comes last, and the others' gates hold for
 * it too, since a cache that is full at 85 % of the run is even for nearly all of it. */
static const double leak_cuts[N_LEAK_CUTS] = {0.20, 0.35, 0.50, 0.05};
#define EARLY_CUT (N_LEAK_CUTS - 1)
/* A late window that lies still may be the tread of a ratchet: it gets less of the error and rules
 * out fewer spectra. */
static const struct pass_cut {
    double cut, alpha_share, likelihood_cut;
} pass_cuts[N_PASS_CUTS] = {
    {0.20, 0.50, 1.4}, {0.35, 0.25, 1.6}, {0.50, 0.15, 2.5}, {0.65, 0.10, 3.5}};

static const char *const reason_names[GROWTH_REASON_COUNT] = {
    [GROWTH_NOISY] = "noisy",
    [GROWTH_TOO_SHORT] = "too_short",
    [GROWTH_DECELERATING] = "decelerating",
    [GROWTH_STEP] = "step",
    [GROWTH_UNEVEN] = "uneven",
    [GROWTH_FEW_CYCLES] = "few_gc",
    [GROWTH_RESTART] = "restart",
    [GROWTH_SMALL] = "small",
    [GROWTH_TREND] = "trend",
    [GROWTH_STAIRCASE] = "staircase",
    [GROWTH_WITHIN_BUDGET] = "within_budget",
    [GROWTH_UNSEEN] = "unseen",
    [GROWTH_GAPS] = "gaps",
    [GROWTH_STUCK] = "stuck",
    [GROWTH_UNIT] = "unit",
};

/* One incarnation, cleaned, and what is asked of it. */
struct part {
    struct window window;
    const struct growth_options *options;
    double origin, span; /* of the exposure */
    double worst_fall;   /* bytes, within three readings, after the first tenth */
    double noise;        /* bytes */
    size_t n_removed;    /* coefficients of the season */
};

/* A window of it, from a cut on. */
struct view {
    double cut;
    struct levels coarse, fine;
    struct trend trend;
};

/* The five corners of the window's quarters. */
struct corners {
    double level[5];
    double x[5];
};

const char *growth_reason_name(enum growth_reason reason)
{
    return reason_names[reason];
}

struct growth_options growth_options(double budget)
{
    return (struct growth_options){.alpha_leak = 1e-3, .alpha_pass = 0.02, .budget = budget};
}

static struct corners corners_of(const struct levels *l)
{
    struct corners c;
    size_t last = l->n - 1;
    for (size_t j = 0; j < 5; j++) {
        size_t k = (size_t)((double)j * (double)last / 4 + 0.5);
        size_t from = k > 0 ? k - 1 : 0;
        size_t to = k < last ? k + 1 : last;
        c.level[j] = numeric_median(l->level + from, to - from + 1);
        c.x[j] = l->x[k];
    }
    return c;
}

/* How much less the second half grew per exposure, by two estimates: the smaller counts. */
static double half_ratio(const struct levels *l, const struct corners *c)
{
    size_t half = l->n / 2;
    double first = numeric_median_slope(l->level, l->x, half + l->n % 2);
    double second = numeric_median_slope(l->level + half, l->x + half, l->n - half);
    double early = (c->level[2] - c->level[0]) / (c->x[2] - c->x[0]);
    double late = (c->level[4] - c->level[2]) / (c->x[4] - c->x[2]);
    double by_slopes = first > 0 ? second / first : AS_GOOD_AS_NEW;
    double by_levels = early > 0 ? late / early : AS_GOOD_AS_NEW;
    return fmin(by_slopes, by_levels);
}

/* The largest rise between blocks as a share of the whole, less what its exposure explains beyond
 * an even share (exposure comes in bursts when the load is modulated). */
static double largest_jump(const struct levels *l, double rise)
{
    double largest = 0;
    double span = l->x[l->n - 1] - l->x[0];
    double even = rise / (double)(l->n - 1);
    for (size_t j = 1; j < l->n; j++) {
        double explained = rise * (l->x[j] - l->x[j - 1]) / span;
        largest = fmax(largest, l->level[j] - l->level[j - 1] - explained + even);
    }
    return largest / rise;
}

/* The quarter that grew least, against its fair share; quarters with hardly any exposure can't
 * be asked. */
static double poorest_quarter(const struct corners *c)
{
    double poorest = HUGE_VAL;
    double rise = c->level[4] - c->level[0];
    double span = c->x[4] - c->x[0];
    for (size_t j = 0; j < 4; j++) {
        double share = (c->x[j + 1] - c->x[j]) / span;
        if (share > 0.05) {
            poorest = fmin(poorest, (c->level[j + 1] - c->level[j]) / (rise * share));
        }
    }
    return poorest;
}

/* GROWTH_TREND when every gate lets the window pass as a leak, else the first that does not. */
static enum growth_reason gates(const struct part *part, const struct levels *l,
                                const struct trend *trend, double *ret_rise)
{
    struct corners c = corners_of(l);
    double rise = c.level[4] - c.level[0];
    *ret_rise = rise;
    if (rise < GROWTH_MIN_RISE || trend->slope * (l->x[l->n - 1] - l->x[0]) < GROWTH_MIN_RISE) {
        return GROWTH_SMALL;
    }
    if (trend->log_nats < LOG_NATS || half_ratio(l, &c) < MIN_HALF_RATIO) {
        return GROWTH_DECELERATING;
    }
    if (largest_jump(l, rise) > MAX_JUMP) {
        return GROWTH_STEP;
    }
    if (poorest_quarter(&c) < MIN_QUARTER) {
        return GROWTH_UNEVEN;
    }
    if (l->n_falls == 0 && part->worst_fall > fmax(MAX_FALL * rise, FALL_NOISE * part->noise)) {
        return GROWTH_FEW_CYCLES;
    }
    return GROWTH_TREND;
}

static void keep_trend(struct growth *g, const struct trend *trend)
{
    g->slope = trend->slope;
    g->low = trend->low;
    g->high = trend->high;
    g->se = trend->se;
}

/* The growth that this window would have called a leak about four times in five. */
static double smallest_visible(const struct part *part, const struct view *view)
{
    const struct levels *l = &view->coarse;
    double t = numeric_t_quantile(part->options->alpha_leak / N_LEAK_CUTS, view->trend.df);
    double seen = fmax(t * view->trend.se, view->trend.slope_for_rivals) + 1.5 * view->trend.se;
    double floor = GROWTH_MIN_RISE / (l->x[l->n - 1] - l->x[0]);
    return fmax(seen, fmax(floor, part->options->budget));
}

static bool look_from(const struct part *part, double cut, double alpha, double likelihood_cut,
                      struct view *view)
{
    struct window tail = window_tail(&part->window, (size_t)(cut * (double)part->window.n));
    const struct levels *l = &view->coarse;
    struct trend_limits limits = {.alpha = alpha,
                                  .likelihood_cut = likelihood_cut,
                                  .log_nats = LOG_NATS,
                                  .stop_nats = cut < leak_cuts[0] ? STOP_NATS : 0,
                                  .n_removed = part->n_removed};
    view->cut = cut;
    if (!levels_make(&tail, &view->coarse, &view->fine) || l->x[l->n - 1] <= l->x[0]) {
        return false;
    }
    trend_fit(&view->fine, part->origin, part->span, &limits, &view->trend);
    return true;
}

/* One cut of the leak side; true when it is a leak.  Runs before the pass side, so that every
 * verdict carries the smallest leak that the run could have shown. */
static bool leak_from(const struct part *part, double cut, bool first, struct growth *g)
{
    struct view view;
    double rise;
    if (!look_from(part, cut, part->options->alpha_leak / N_LEAK_CUTS, LEAK_LIKELIHOOD_CUT,
                   &view)) {
        if (first) {
            g->reason = view.coarse.n_falls > 0 ? GROWTH_FEW_CYCLES : GROWTH_TOO_SHORT;
        }
        return false;
    }
    if (g->smallest_visible == HUGE_VAL) {
        keep_trend(g, &view.trend);
        g->reason = GROWTH_NOISY;
        g->smallest_visible = smallest_visible(part, &view);
    }
    if (view.coarse.n < MIN_LEVELS) {
        g->reason = first && view.coarse.n_falls > 0 ? GROWTH_FEW_CYCLES : g->reason;
        return false;
    }
    if (view.trend.low <= 0) {
        return false;
    }
    enum growth_reason reason = gates(part, &view.coarse, &view.trend, &rise);
    if (reason == GROWTH_TREND || g->reason == GROWTH_NOISY || g->reason == GROWTH_TOO_SHORT) {
        keep_trend(g, &view.trend);
        g->reason = reason;
        g->rise = rise;
    }
    g->class = reason == GROWTH_TREND ? MEMORY_LEAK : g->class;
    return reason == GROWTH_TREND;
}

/* Growth that was even all along: the early window must pass every gate, and so must the shape of
 * what follows the usual warm-up. */
static void leak_from_early(const struct part *part, struct growth *g)
{
    struct view view;
    struct view later;
    double rise, later_rise;
    double alpha = part->options->alpha_leak / N_LEAK_CUTS;
    if (!look_from(part, leak_cuts[EARLY_CUT], alpha, LEAK_LIKELIHOOD_CUT, &view) ||
        !look_from(part, leak_cuts[0], alpha, LEAK_LIKELIHOOD_CUT, &later) ||
        view.coarse.n < MIN_LEVELS) {
        return;
    }
    g->smallest_visible = fmin(g->smallest_visible, smallest_visible(part, &view));
    if (view.trend.low <= 0 || view.trend.stop_nats < STOP_NATS ||
        gates(part, &view.coarse, &view.trend, &rise) != GROWTH_TREND ||
        gates(part, &later.coarse, &view.trend, &later_rise) != GROWTH_TREND) {
        return;
    }
    keep_trend(g, &view.trend);
    g->reason = GROWTH_TREND;
    g->class = MEMORY_LEAK;
    g->rise = rise;
}

static void seek_leak(const struct part *part, struct growth *g)
{
    double warmup = part->options->warmup;
    for (size_t c = 0; c < EARLY_CUT; c++) {
        if (leak_from(part, fmax(leak_cuts[c], warmup), c == 0, g)) {
            return;
        }
    }
    if (warmup <= leak_cuts[EARLY_CUT]) {
        leak_from_early(part, g);
    }
}

/* A pass outranks a leak only at the first cut (growth that is allowed): a quiet tail does not
 * undo a leak that was found earlier in the same window. */
static void seek_pass(const struct part *part, struct growth *g)
{
    for (size_t c = 0; c < N_PASS_CUTS; c++) {
        struct view view;
        double cut = fmax(pass_cuts[c].cut, part->options->warmup);
        double alpha = part->options->alpha_pass * pass_cuts[c].alpha_share;
        if ((1 - cut) * (double)part->window.n < 20 ||
            !look_from(part, cut, alpha, pass_cuts[c].likelihood_cut, &view) ||
            view.trend.high >= part->options->budget) {
            continue;
        }
        if (g->class == MEMORY_LEAK && c > 0) {
            return;
        }
        bool grew =
            g->net_growth > 4 * GROWTH_MIN_RISE && g->net_growth > 4 * view.trend.se * part->span;
        keep_trend(g, &view.trend);
        g->reason = GROWTH_WITHIN_BUDGET;
        g->class = c > 0 && grew ? MEMORY_BOUNDED : MEMORY_STABLE;
        if (g->smallest_visible == HUGE_VAL) {
            g->smallest_visible = smallest_visible(part, &view);
        }
        return;
    }
}

/* Failed reads become their neighbours' median. */
static void repair(const double *raw, size_t n, double *y)
{
    for (size_t i = 0; i < n; i++) {
        size_t from = i < 2 ? 0 : i - 2;
        size_t to = i + 3 > n ? n : i + 3;
        double around = numeric_median(raw + from, to - from);
        y[i] = raw[i] <= 0 || raw[i] < FAILED_SHARE * around ? around : raw[i];
    }
}

/* The running median of three. */
static void make_smooth(const double *y, size_t n, double *smooth)
{
    smooth[0] = y[0];
    smooth[n - 1] = y[n - 1];
    for (size_t i = 1; i + 1 < n; i++) {
        smooth[i] = numeric_median3(y[i - 1], y[i], y[i + 1]);
    }
}

static double worst_fall(const double *smooth, size_t n)
{
    double worst = 0;
    for (size_t i = n / 10 + 3; i < n; i++) {
        for (size_t back = 1; back <= 3; back++) {
            worst = fmax(worst, smooth[i - back] - smooth[i]);
        }
    }
    return worst;
}

/* 1.48 median |second difference| / sqrt(6): the spread of white noise on any straight line. */
static double noise_of(const double *y, size_t n)
{
    CLEANUP_FREE double *bend = xmalloc(n * sizeof *bend);
    for (size_t i = 2; i < n; i++) {
        bend[i - 2] = fabs(y[i] - 2 * y[i - 1] + y[i - 2]);
    }
    return 1.4826 * numeric_median(bend, n - 2) / sqrt(6);
}

static void judge_window(struct part *part, struct growth *g)
{
    double slope;
    if (staircase_find(&part->window, &slope) && slope >= part->options->budget) {
        g->class = MEMORY_LEAK;
        g->reason = GROWTH_STAIRCASE;
        g->slope = slope;
        g->low = slope / 2;
        g->high = slope * 2;
        g->rise = g->net_growth;
        return;
    }
    seek_leak(part, g);
    seek_pass(part, g);
}

static struct growth nothing_seen(void)
{
    return (struct growth){.class = MEMORY_INCONCLUSIVE,
                           .reason = GROWTH_TOO_SHORT,
                           .smallest_visible = HUGE_VAL,
                           .low = -HUGE_VAL,
                           .high = HUGE_VAL,
                           .n_parts = 1};
}

static void judge_part(const struct growth_input *in, size_t from, size_t to,
                       const struct growth_options *options, struct growth *g)
{
    size_t n = to - from;
    size_t tenth = n / 10 > 0 ? n / 10 : 1;
    CLEANUP_FREE double *y = xmalloc(3 * n * sizeof *y);
    double *y_min = y + n;
    double *smooth = y_min + n;
    *g = nothing_seen();
    g->from = from;
    g->to = to;
    repair(in->y + from, n, y);
    memcpy(y_min, in->y_min + from, n * sizeof *y_min);
    g->level = numeric_median(y + n - tenth, tenth);
    g->net_growth = g->level - numeric_median(y, tenth);
    g->noise = n > 2 ? noise_of(y, n) : 0;
    if (n < GROWTH_MIN_READINGS || in->x[to - 1] <= in->x[from]) {
        return;
    }
    g->season_removed = season_remove(y, y_min, in->x + from, n, options->period);
    make_smooth(y, n, smooth);
    struct part part = {
        .window = {.y = y, .y_min = y_min, .smooth = smooth, .x = in->x + from, .n = n},
        .options = options,
        .origin = in->x[from],
        .span = in->x[to - 1] - in->x[from],
        .worst_fall = worst_fall(smooth, n),
        .noise = g->noise,
        .n_removed = g->season_removed ? SEASON_COEFFICIENTS : 0};
    judge_window(&part, g);
}

static size_t part_end(const struct growth_input *in, size_t from)
{
    size_t to = from + 1;
    while (to < in->n && in->part[to] == in->part[from]) {
        to++;
    }
    return to;
}

void growth_judge(const struct growth_input *input, const struct growth_options *options,
                  struct growth *ret_growth)
{
    struct growth_options shared = *options;
    struct growth best = nothing_seen();
    size_t n_parts = 0;
    for (size_t from = 0; from < input->n; from = part_end(input, from)) {
        n_parts++;
    }
    shared.alpha_leak /= n_parts > 0 ? (double)n_parts : 1;
    for (size_t from = 0; from < input->n; from = part_end(input, from)) {
        struct growth g;
        judge_part(input, from, part_end(input, from), &shared, &g);
        bool leaks = g.class == MEMORY_LEAK;
        bool best_leaks = best.class == MEMORY_LEAK;
        if (leaks > best_leaks || (leaks == best_leaks && g.to - g.from > best.to - best.from)) {
            best = g;
        }
    }
    best.n_parts = n_parts;
    if (n_parts > 1 && best.class != MEMORY_LEAK) {
        best.class = MEMORY_INCONCLUSIVE;
        best.reason = GROWTH_RESTART;
    }
    *ret_growth = best;
}
