#include "judge/pairs.h"

#include "base/mem.h"
#include "base/sink.h"
#include "base/unit.h"
#include "judge/eprocess.h"
#include "judge/exposure.h"
#include "judge/numeric.h"
#include "judge/reason.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* Of a dwell: what is held for so long counts for nothing. */
#define HELD_SHARE 0.5
/* Of a dwell: a longer pause between readings is a gap; between floors. */
#define GAP_SHARE        0.25
#define GAP_SHARE_FLOORS 1.5
/* Floors are taken at the borders, give or take this share of a dwell. */
#define FLOOR_SHARE 0.3
/* Of what the factor is said to keep, memory must have grown by so much. */
#define GROWN_SHARE (2.0 / 3)
/* With so many pairs after the call, memory that grew by less than this share of what it should
 * have grown by does so no longer. */
#define LEAST_LATER  4
#define CEASED_SHARE 0.5
#define TRIM_SHARE   0.2
#define ALPHA_SHOWN  0.025
#define LEAST_PAIRS  3
#define EPSILON_S    1e-6
#define BORDER_ROWS  2

/* Growth of one dwell. */
struct dwell {
    double bytes_per_s, events_per_s;
};

struct court {
    const struct series *series;
    const struct judge_options *options;
    const double *x; /* of the factor */
    double allowed;  /* bytes per event */
    struct eprocess eprocess;
    double *each; /* owns: bytes per event of each pair that counts */
    double *sorted;
    double grown, events;             /* over these pairs */
    double later_grown, later_events; /* over those after the call */
    size_t part_from, part_to;        /* rows of the incarnation that is looked at */
    size_t counts_from;               /* its first row from which on pairs count */
    struct pairs_finding *finding;    /* borrows */
};

/* The first row of [from, n) later than t. */
static size_t row_after(const struct series *s, double t)
{
    size_t low = 0, high = s->n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (s->t[middle] > t + EPSILON_S) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return low;
}

static double mean_of(const double *x, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        sum += x[i];
    }
    return sum / (double)n;
}

/* Least squares. */
static double slope_of(const double *t, const double *y, size_t n)
{
    double middle = mean_of(t, n), level = mean_of(y, n);
    double along = 0, squares = 0;
    for (size_t i = 0; i < n; i++) {
        along += (t[i] - middle) * (y[i] - level);
        squares += (t[i] - middle) * (t[i] - middle);
    }
    return along / squares;
}

/* Slopes of the readings in (from_s, to_s]; a bucket of several readings counts from its beginning
 * on. */
static bool late_growth(const struct court *c, double from_s, double to_s, struct dwell *ret)
{
    const struct series *s = c->series;
    size_t from = row_after(s, from_s), to = row_after(s, to_s);
    while (s->width > 1 && from < to && from > 0 && s->t[from - 1] < from_s - EPSILON_S) {
        from++;
    }
    if (to < from + 2) {
        return false;
    }
    *ret = (struct dwell){.bytes_per_s = slope_of(s->t + from, s->y + from, to - from),
                          .events_per_s = slope_of(s->t + from, c->x + from, to - from)};
    return true;
}

/* The floor nearest to a border; false where there is none. */
static bool floor_at(const struct court *c, double border_s, size_t *ret_row)
{
    const struct series *s = c->series;
    size_t row = row_after(s, border_s);
    if (row == s->n || (row > 0 && border_s - s->t[row - 1] < s->t[row] - border_s)) {
        row -= row > 0;
    }
    *ret_row = row;
    return fabs(s->t[row] - border_s) <= FLOOR_SHARE * c->options->pairs.dwell_s;
}

static bool floor_growth(const struct court *c, double from_s, double to_s, struct dwell *ret)
{
    const struct series *s = c->series;
    size_t from, to;
    if (!floor_at(c, from_s, &from) || !floor_at(c, to_s, &to) || to <= from) {
        return false;
    }
    double seconds = s->t[to] - s->t[from];
    *ret = (struct dwell){.bytes_per_s = (s->y[to] - s->y[from]) / seconds,
                          .events_per_s = (c->x[to] - c->x[from]) / seconds};
    return true;
}

static bool dwell_growth(const struct court *c, double begin_s, struct dwell *ret)
{
    double dwell_s = c->options->pairs.dwell_s;
    return c->options->floors
               ? floor_growth(c, begin_s, begin_s + dwell_s, ret)
               : late_growth(c, begin_s + HELD_SHARE * dwell_s, begin_s + dwell_s, ret);
}

/* One incarnation and no pause from row `from` to row `to`. */
static bool is_whole(const struct court *c, size_t from, size_t to)
{
    const struct series *s = c->series;
    double longest =
        (c->options->floors ? GAP_SHARE_FLOORS : GAP_SHARE) * c->options->pairs.dwell_s;
    for (size_t i = from + 1; i <= to; i++) {
        if (s->part[i] != s->part[from] || s->t[i] - s->t[i - 1] > longest + EPSILON_S) {
            return false;
        }
    }
    return true;
}

/* A store begins empty in each incarnation. */
static void look_at_part(struct court *c, size_t row)
{
    const struct series *s = c->series;
    if (row < c->part_to) {
        return;
    }
    for (c->part_from = row; c->part_from > 0 && s->part[c->part_from - 1] == s->part[row];) {
        c->part_from--;
    }
    for (c->part_to = row; c->part_to < s->n && s->part[c->part_to] == s->part[row];) {
        c->part_to++;
    }
    c->counts_from =
        exposure_passed(s, c->options, c->options->pairs.factor, c->part_from, c->part_to);
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The trimmed mean of what the pairs say, and from its winsorised variance the interval. */
static void estimate(struct court *c)
{
    struct pairs_finding *f = c->finding;
    size_t n = f->n_pairs;
    size_t cut = (size_t)(TRIM_SHARE * (double)n);
    double left = (double)(n - 2 * cut);
    double mean = 0, winsorised = 0, squares = 0;
    f->bytes_per_event = f->low = f->high = NAN;
    if (n < LEAST_PAIRS) {
        return;
    }
    for (size_t i = 0; i < n; i++) {
        c->sorted[i] = c->each[i];
    }
    qsort(c->sorted, n, sizeof *c->sorted, compare);
    for (size_t i = cut; i < n - cut; i++) {
        mean += c->sorted[i] / left;
    }
    for (size_t i = 0; i < n; i++) {
        size_t at = i < cut ? cut : i >= n - cut ? n - cut - 1 : i;
        winsorised += c->sorted[at] / (double)n;
        squares += c->sorted[at] * c->sorted[at];
    }
    squares -= (double)n * winsorised * winsorised;
    double se = sqrt(fmax(0, squares) / (left * (left - 1)));
    double width = numeric_t_quantile(ALPHA_SHOWN, left - 1) * se;
    f->bytes_per_event = mean;
    f->low = mean - width;
    f->high = mean + width;
}

/* Memory around a border, from what was read before it: what comes later changes nothing. */
static double level_at(const struct court *c, double border_s)
{
    const struct series *s = c->series;
    size_t row = row_after(s, border_s);
    size_t n = row - c->part_from < BORDER_ROWS ? row - c->part_from : BORDER_ROWS;
    if (c->options->floors && floor_at(c, border_s, &row)) {
        return s->y[row];
    }
    return n > 0 ? mean_of(s->y + row - n, n) : s->y[row];
}

/* Enough evidence is not enough where memory did not grow by what the factor is said to keep. */
static void decide(struct court *c, double end_s)
{
    struct pairs_finding *f = c->finding;
    f->e = c->eprocess.e;
    if (f->e < EPROCESS_LIMIT || exposure_hidden_by_garbage(c->series)) {
        return;
    }
    estimate(c);
    f->reached =
        f->bytes_per_event > c->allowed && c->grown >= GROWN_SHARE * f->bytes_per_event * c->events;
    f->called_s = f->reached ? end_s : 0;
}

static void take_evidence(struct court *c, size_t pair, double begin_s, struct dwell first,
                          struct dwell second)
{
    const struct judge_pairs *p = &c->options->pairs;
    struct pairs_finding *f = c->finding;
    bool fresh_first = p->fresh_first[pair] != 0;
    double sign = fresh_first ? 1 : -1;
    double more = sign * (first.bytes_per_s - second.bytes_per_s);
    double events = sign * (first.events_per_s - second.events_per_s);
    double end_s = begin_s + 2 * p->dwell_s;
    if (events <= 0) {
        f->n_unusable++;
        return;
    }
    double pair_events = (first.events_per_s + second.events_per_s) * p->dwell_s;
    double pair_grown = level_at(c, end_s) - level_at(c, begin_s);
    if (f->reached) {
        f->n_later++;
        c->later_grown += pair_grown;
        c->later_events += pair_events;
        return;
    }
    double one = first.bytes_per_s - c->allowed * first.events_per_s;
    double two = second.bytes_per_s - c->allowed * second.events_per_s;
    eprocess_add(&c->eprocess, fresh_first, one, two);
    c->each[f->n_pairs++] = more / events;
    f->n_more += more > c->allowed * events;
    c->grown += pair_grown;
    c->events += pair_events;
    decide(c, end_s);
}

/* False when the pair's end was not read yet. */
static bool judge_pair(struct court *c, size_t pair)
{
    const struct judge_pairs *p = &c->options->pairs;
    const struct series *s = c->series;
    struct dwell first, second;
    double begin_s = p->start_s + 2 * (double)pair * p->dwell_s;
    double end_s = begin_s + 2 * p->dwell_s;
    double late_s = c->options->floors ? FLOOR_SHARE * p->dwell_s : EPSILON_S;
    if (s->t[s->n - 1] < end_s - late_s) {
        return false;
    }
    size_t from = row_after(s, begin_s);
    size_t to = row_after(s, end_s);
    from -= from > 0;
    to -= to > 0;
    look_at_part(c, from);
    if (to <= from || s->t[from] > begin_s + GAP_SHARE * p->dwell_s || !is_whole(c, from, to) ||
        !dwell_growth(c, begin_s, &first) || !dwell_growth(c, begin_s + p->dwell_s, &second)) {
        c->finding->n_unusable++;
    } else if (from < c->counts_from) {
        c->finding->n_too_early++;
    } else {
        take_evidence(c, pair, begin_s, first, second);
    }
    return true;
}

static void say_kept(struct sink *sink, const struct pairs_finding *f, const char *event)
{
    char each[UNIT_TEXT], low[UNIT_TEXT], high[UNIT_TEXT];
    if (isfinite(f->bytes_per_event)) {
        sink_printf(sink, "%s per %s (95 %% %s to %s)", unit_bytes(each, f->bytes_per_event), event,
                    unit_bytes(low, f->low), unit_bytes(high, f->high));
    }
}

static void say(const struct court *c)
{
    struct pairs_finding *f = c->finding;
    const char *event = driver_info(c->options->pairs.factor)->event;
    const char *metric = reason_metric(c->series->metric);
    struct sink *sink = sink_new();
    if (f->reached) {
        sink_printf(sink, "%s grows ", metric);
        say_kept(sink, f, event);
        sink_printf(sink,
                    ": in %zu of %zu pairs of dwells, which differ in this alone in an order that "
                    "a coin decided, it grew more in the dwell with it; chance does this once in "
                    "%.0f at most, however often one looks",
                    f->n_more, f->n_pairs, EPROCESS_LIMIT);
        if (f->ceased) {
            sink_printf(sink, "; in the %zu pairs after that it grew so no longer", f->n_later);
        }
    } else if (f->n_pairs == 0) {
        sink_printf(sink, "no pair of dwells counts yet for %s", event);
    } else {
        sink_printf(sink,
                    "%s grew more with %s in %zu of %zu pairs of dwells: odds of %.3g to 1, "
                    "and it takes %.0f",
                    metric, event, f->n_more, f->n_pairs, f->e, EPROCESS_LIMIT);
    }
    if (!f->reached && f->n_too_early > 0) {
        sink_printf(sink,
                    "; %zu came before the declared or known bound, or time to live, of the "
                    "server's store was passed",
                    f->n_too_early);
    }
    if (f->n_unusable > 0) {
        sink_printf(sink, "; %zu could not be used", f->n_unusable);
    }
    (void)snprintf(f->reason, sizeof f->reason, "%s", sink_text(sink, NULL));
    sink_free(sink);
}

void judge_pairs(const struct series *series, const struct judge_options *options,
                 struct pairs_finding *ret_finding)
{
    const struct judge_pairs *p = &options->pairs;
    struct stretch stretch = exposure_stretch(series);
    struct court c = {.series = series,
                      .options = options,
                      .x = series->x[p->factor],
                      .allowed = exposure_allowed(&stretch, options, p->factor),
                      .finding = ret_finding};
    CLEANUP_FREE double *each = xmalloc((2 * p->n + 1) * sizeof *each);
    c.each = each;
    c.sorted = each + p->n;
    *ret_finding = (struct pairs_finding){.bytes_per_event = NAN, .low = NAN, .high = NAN};
    eprocess_init(&c.eprocess);
    ret_finding->e = c.eprocess.e;
    for (size_t i = 0; i < p->n && series->n > 0; i++) {
        if (!judge_pair(&c, i)) {
            break;
        }
    }
    estimate(&c);
    ret_finding->ceased =
        ret_finding->n_later >= LEAST_LATER &&
        c.later_grown < CEASED_SHARE * ret_finding->bytes_per_event * c.later_events;
    say(&c);
}
