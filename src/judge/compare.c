#include "judge/compare.h"

#include "base/mem.h"
#include "base/str.h"
#include "base/unit.h"
#include "judge/numeric.h"
#include "judge/sample.h"
#include "record/driver.h"
#include "record/metrics.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define CUT_SHARE (1.0 / 3) /* of the baseline's time: less is too short to tell of the rest */

/* Of one metric, what the runs of one side said. */
struct side {
    struct baseline_run *const *runs;
    size_t n_runs;
    size_t n;         /* runs that have the metric */
    double mean;      /* on the scale of the kind */
    double squares;   /* of the runs' deviations from it */
    double variance;  /* of the mean, within runs */
    double variance2; /* sum of (variance / n^2)^2 / df, for the degrees of freedom */
    double drift;     /* the most of a run's */
};

static const struct baseline_sample *find_sample(const struct baseline_run *run, const char *name)
{
    for (size_t i = 0; i < run->n; i++) {
        if (str_equal(run->sample[i].name, name)) {
            return &run->sample[i];
        }
    }
    return NULL;
}

/* False when a run lacks the metric or does not know it well enough. */
static bool take_side(struct side *side, const char *name)
{
    double values[BASELINE_RUNS_MAX], n = (double)side->n_runs;

    for (size_t i = 0; i < side->n_runs; i++) {
        const struct baseline_sample *sample = find_sample(side->runs[i], name);
        double variance, df;
        if (sample == NULL || !sample_variance(sample, &variance, &df)) {
            return false;
        }
        values[side->n++] = sample_centre(sample);
        side->mean += values[i] / n;
        side->variance += variance / n / n;
        side->drift = fmax(side->drift, sample->drift);
        side->variance2 += pow(variance / n / n, 2) / df;
    }
    for (size_t i = 0; i < side->n; i++) {
        side->squares += pow(values[i] - side->mean, 2);
    }
    return side->n > 0;
}

/* What a busy machine can do to one run and not to the other; with a third run it is seen. */
static double unseen_drift(const struct side *base, const struct side *new)
{
    return base->n + new->n > 2 ? 0 : fmax(base->drift, new->drift);
}

/* Half of the interval of the difference that leaves `tail` out on each side: by what the runs
 * say of themselves (Welch 1947), and by how those of a kind differ, whichever is wider; where
 * nothing tells how these differ, wider by what a busy machine can do. */
static double half_width(const struct side *base, const struct side *new, double tail)
{
    double variance = base->variance + new->variance;
    double weight = base->variance2 + new->variance2;
    double df = weight > 0 ? variance * variance / weight : 1e6;
    double half = numeric_t_quantile(tail, df) * sqrt(variance) + unseen_drift(base, new);
    size_t n = base->n + new->n;

    if (n > 2) {
        double between = (base->squares + new->squares) / (double)(n - 2) *
                         (1 / (double)base->n + 1 / (double)new->n);
        half = fmax(half, numeric_t_quantile(tail, (double)(n - 2)) * sqrt(between));
    }
    return half;
}

static double direction(enum baseline_kind kind)
{
    return kind == BASELINE_RATE ? -1 : 1;
}

double compare_worsening(const struct compare_finding *finding)
{
    return direction(finding->kind) * finding->difference;
}

static enum compare_state decide(const struct compare_finding *f)
{
    bool less = direction(f->kind) < 0;
    double d = compare_worsening(f), tolerance = f->tolerance;
    double low = less ? -f->high : f->low, high = less ? -f->low : f->high;
    double low_all = less ? -f->high_all : f->low_all, high_all = less ? -f->low_all : f->high_all;

    if (low_all > 0 && d > tolerance) {
        return COMPARE_WORSE;
    }
    if (high_all < 0 && d < -tolerance) {
        return COMPARE_BETTER;
    }
    if (high <= tolerance) {
        return low >= -tolerance ? COMPARE_SAME : COMPARE_NO_WORSE;
    }
    return COMPARE_UNCLEAR;
}

static void say_unclear(struct compare_finding *f, bool busy)
{
    bool apart = f->low_all > 0 || f->high_all < 0;

    (void)snprintf(f->reason, sizeof f->reason, "%s",
                   apart  ? "it differs, but may be within the tolerance or beyond"
                   : busy ? "so busy a machine may do as much to one run: give several of each"
                   : fabs(f->difference) > f->tolerance
                       ? "the difference may be noise: longer runs or more of them"
                       : "the interval is wider than the tolerance: longer runs or more of them");
}

static void judge_finding(struct compare_finding *f, const struct side *base,
                          const struct side *new, size_t n_judged)
{
    double d = new->mean - base->mean;
    double half = half_width(base, new, 0.025);
    double half_all = half_width(base, new, BASELINE_ALPHA / (double)n_judged);
    bool is_log = sample_is_log(f->kind);

    f->difference = is_log ? expm1(d) : d;
    f->low = is_log ? expm1(d - half) : d - half;
    f->high = is_log ? expm1(d + half) : d + half;
    f->low_all = is_log ? expm1(d - half_all) : d - half_all;
    f->high_all = is_log ? expm1(d + half_all) : d + half_all;
    f->state = decide(f);
    if (f->state == COMPARE_UNCLEAR) {
        say_unclear(f, 2 * unseen_drift(base, new) > half);
    }
}

static double mean_value(struct baseline_run *const *runs, size_t n, const char *name)
{
    double sum = 0, n_found = 0;

    for (size_t i = 0; i < n; i++) {
        const struct baseline_sample *sample = find_sample(runs[i], name);
        if (sample != NULL && isfinite(sample_scaled(sample->kind, sample->value))) {
            sum += sample_scaled(sample->kind, sample->value);
            n_found++;
        }
    }
    return n_found > 0 ? sum / n_found : NAN;
}

/* In the metric's unit; of ratios the geometric mean of the runs. */
static double told_value(struct baseline_run *const *runs, size_t n, const char *name,
                         enum baseline_kind kind)
{
    double mean = mean_value(runs, n, name);

    return sample_is_log(kind) ? exp(mean) : mean;
}

static double default_tolerance(const struct compare_finding *f)
{
    const char *last = strrchr(f->name, '.');
    enum driver driver;

    switch (f->kind) {
    case BASELINE_LATENCY:
        return str_equal(last, ".p50") ? 0.05 : str_equal(last, ".p90") ? 0.10 : 0.20;
    case BASELINE_RATIO:
        return str_has_prefix(f->name, "errors.") ? 0.001 : 0.01;
    case BASELINE_LEAK:
        return driver_from_name(last + 1, &driver) ? driver_info(driver)->floor_bytes : 0;
    default:
        return 0.05;
    }
}

/* Length of the part that begins at `s`, and how many parts of a pattern are not "*". */
static size_t part_length(const char *s)
{
    return strcspn(s, ".");
}

static size_t weight_of(const char *pattern)
{
    size_t weight = 0;

    for (const char *at = pattern;; at++) {
        size_t len = part_length(at);
        weight += !(len == 1 && at[0] == '*');
        at += len;
        if (*at == '\0') {
            return weight;
        }
    }
}

bool compare_matches(const char *pattern, const char *name)
{
    for (;; pattern++, name++) {
        size_t len = part_length(pattern), name_len = part_length(name);
        bool any = len == 1 && pattern[0] == '*';
        if (!any && (len != name_len || strncmp(pattern, name, len) != 0)) {
            return false;
        }
        pattern += len;
        name += name_len;
        if (*pattern == '\0') {
            return true;
        }
        if (*name == '\0') {
            return false;
        }
    }
}

/* Names that a pattern may mean; of leaks further sources stand before the driver. */
bool compare_is_pattern(const char *pattern)
{
    static const char *const others[] = {
        "rate.reached",    "errors.ratio",        "cost.cpu",
        "cost.bytes_sent", "cost.bytes_received", "cost.handshakes"};
    static const char *const quantiles[] = {"p50", "p90", "p99"};
    char name[BASELINE_NAME];

    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        if (compare_matches(pattern, others[i])) {
            return true;
        }
    }
    for (int i = 0; i <= LATENCY_FIRST_BYTE; i++) {
        for (size_t q = 0; q < 3; q++) {
            (void)snprintf(name, sizeof name, "latency.%s.%s",
                           metric_latency((enum latency)i)->name, quantiles[q]);
            if (compare_matches(pattern, name)) {
                return true;
            }
        }
    }
    return str_equal(pattern, "leak") || str_has_prefix(pattern, "leak.");
}

static void set_tolerance(struct compare_finding *f, const struct compare_rule *rules,
                          size_t n_rules)
{
    size_t best = 0;

    f->tolerance = default_tolerance(f);
    for (size_t i = 0; i < n_rules; i++) {
        size_t weight = 1 + weight_of(rules[i].pattern);
        if (weight >= best && compare_matches(rules[i].pattern, f->name)) {
            best = weight;
            f->tolerance = rules[i].tolerance;
            f->state = rules[i].off ? COMPARE_LEFT_OUT : COMPARE_UNCLEAR;
        }
    }
    if (f->state == COMPARE_LEFT_OUT) {
        (void)str_copy(f->reason, sizeof f->reason, "its tolerance is off");
    }
}

/* Every metric that a run of either side has. */
static void list_metrics(struct comparison *c, struct baseline_run *const *runs, size_t n_runs)
{
    for (size_t r = 0; r < n_runs; r++) {
        for (size_t i = 0; i < runs[r]->n; i++) {
            const struct baseline_sample *sample = &runs[r]->sample[i];
            size_t k = 0;
            while (k < c->n && !str_equal(c->finding[k].name, sample->name)) {
                k++;
            }
            if (k < c->n || c->n == BASELINE_SAMPLES) {
                continue;
            }
            struct compare_finding *f = &c->finding[c->n++];
            *f = (struct compare_finding){.kind = sample->kind, .state = COMPARE_UNCLEAR};
            f->difference = f->low = f->high = f->low_all = f->high_all = NAN;
            (void)str_copy(f->name, sizeof f->name, sample->name);
        }
    }
}

/* A leak that is proven beyond the tolerance in one of these runs, or NULL. */
static const struct baseline_sample *find_leak(const struct compare_finding *f,
                                               const struct side *side)
{
    for (size_t i = 0; i < side->n_runs; i++) {
        const struct baseline_sample *sample = find_sample(side->runs[i], f->name);
        if (f->kind == BASELINE_LEAK && sample != NULL && sample->low > f->tolerance) {
            return sample;
        }
    }
    return NULL;
}

/* What can't be compared: no fault of the new run where the baseline does not know either, but for
 * a leak, which is not passed because nobody looked before. */
static void say_missing(struct compare_finding *f, bool in_base, const struct side *new)
{
    const struct baseline_sample *leak = in_base ? NULL : find_leak(f, new);
    const char *event = strrchr(f->name, '.') + 1;
    char bytes[UNIT_TEXT];
    enum driver driver;

    f->state = in_base || leak != NULL ? COMPARE_UNCLEAR : COMPARE_LEFT_OUT;
    if (leak != NULL) {
        event = driver_from_name(event, &driver) ? driver_info(driver)->event : event;
        (void)snprintf(f->reason, sizeof f->reason,
                       "the new run keeps %s per %.24s, and the baseline does not tell",
                       unit_bytes(bytes, leak->value), event);
        return;
    }
    (void)snprintf(f->reason, sizeof f->reason, "too little to tell of it in the %s",
                   in_base ? "new run" : "baseline");
}

/* A run that was cut off may have had its faults still before it. */
static bool is_cut_short(struct baseline_run *const *bases, size_t n_bases,
                         struct baseline_run *const *news, size_t n_news)
{
    double base_s = INFINITY;

    for (size_t i = 0; i < n_bases; i++) {
        base_s = fmin(base_s, bases[i]->seconds);
    }
    for (size_t i = 0; i < n_news; i++) {
        if (news[i]->problem[0] != '\0' && news[i]->seconds < CUT_SHARE * base_s) {
            return true;
        }
    }
    return false;
}

static void conclude(struct comparison *c)
{
    static const enum compare_state order[] = {COMPARE_WORSE, COMPARE_UNCLEAR, COMPARE_BETTER,
                                               COMPARE_SAME};

    for (size_t i = 0; i < c->n; i++) {
        c->count[c->finding[i].state]++;
    }
    /* of nothing nothing is known */
    bool none = c->count[COMPARE_LEFT_OUT] == c->n;
    c->state = none ? COMPARE_UNCLEAR : COMPARE_SAME;
    for (size_t i = 0; i < sizeof order / sizeof order[0] && !none; i++) {
        if (c->count[order[i]] > 0) {
            c->state = order[i];
            break;
        }
    }
    if (c->cut_short && c->state != COMPARE_WORSE) {
        c->state = COMPARE_UNCLEAR;
    }
}

struct comparison *compare_runs(struct baseline_run *const *bases, size_t n_bases,
                                struct baseline_run *const *news, size_t n_news,
                                const struct compare_rule *rules, size_t n_rules)
{
    struct comparison *c = xcalloc(1, sizeof *c);
    struct side *sides = xcalloc(2 * BASELINE_SAMPLES, sizeof *sides);

    c->n_bases = n_bases;
    c->n_news = n_news;
    c->between = n_bases + n_news > 2;
    c->cut_short = is_cut_short(bases, n_bases, news, n_news);
    list_metrics(c, bases, n_bases);
    list_metrics(c, news, n_news);
    for (size_t i = 0; i < c->n; i++) {
        struct compare_finding *f = &c->finding[i];
        struct side *base = &sides[2 * i], *new = base + 1;
        *base = (struct side){.runs = bases, .n_runs = n_bases};
        *new = (struct side){.runs = news, .n_runs = n_news};
        f->base = told_value(bases, n_bases, f->name, f->kind);
        f->new_value = told_value(news, n_news, f->name, f->kind);
        set_tolerance(f, rules, n_rules);
        bool in_base = take_side(base, f->name), in_new = take_side(new, f->name);
        if (f->state != COMPARE_LEFT_OUT && (!in_base || !in_new)) {
            say_missing(f, in_base, new);
            base->n = 0;
        }
        c->n_judged += f->state != COMPARE_LEFT_OUT && base->n > 0;
    }
    for (size_t i = 0; i < c->n; i++) {
        if (c->finding[i].state != COMPARE_LEFT_OUT && sides[2 * i].n > 0) {
            judge_finding(&c->finding[i], &sides[2 * i], &sides[2 * i + 1], c->n_judged);
        }
    }
    conclude(c);
    mem_cleanup_free(&sides);
    return c;
}

const char *compare_state_name(enum compare_state state)
{
    static const char *const names[COMPARE_STATES] = {
        [COMPARE_WORSE] = "worse",        [COMPARE_BETTER] = "better",
        [COMPARE_SAME] = "same",          [COMPARE_NO_WORSE] = "no worse",
        [COMPARE_UNCLEAR] = "can't tell", [COMPARE_LEFT_OUT] = "left out"};

    return names[state];
}
