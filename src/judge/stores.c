#include "judge/stores.h"

#include "base/mem.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Shares of the events at which a store may have become full. */
#define SHARE_FIRST  0.15
#define SHARE_LAST   0.96
#define SHARE_STEP   0.1
#define FINEST_SHARE 0.01
/* Chi squared by which a full store must explain more than endless growth to be believed, and less
 * to be ruled out. */
#define FILLED_EVIDENCE   6.0
#define UNFILLED_EVIDENCE 9.0
/* Endless growth must explain so much more than a logarithm does, by chi squared (4.5 nats, as on a
 * plain series); that is steep from the first event that was counted on, or from so many times the
 * fitted events before them. */
#define LOGARITHM_EVIDENCE 9.0
#define EARLIER_EVENTS     0.3
/* Growth per event slows down, at this t value, when it ends below this share of what it began
 * with. */
#define SLOWED_T     3.0
#define SLOWED_SHARE 0.65
/* Of the growth per event, what a full store leaves at most. */
#define FILLED_REMAINDER 0.5
/* Given back after a while: this share of it, at this t value. */
#define RETURNED_SHARE 0.4
#define RETURNED_T     4.5
#define MAX_DELAYS     400
/* The most promising delays are asked in full. */
#define ASKED_DELAYS 6
/* Rows: entries expire between two readings too. */
#define FINEST_DELAY 0.1

struct question {
    const struct model *model;
    const struct regress *fit;
    size_t c;
    const double *counter;
    double *column, *whitened;
};

static bool ask(const struct question *q, struct addition *ret)
{
    regress_whiten(q->fit, q->column, q->whitened);
    return regress_add(q->fit, q->whitened, q->c, ret);
}

static void stop_at(const struct question *q, double share)
{
    size_t n = q->model->n;
    double most = share * q->counter[n - 1];
    for (size_t i = 0; i < n; i++) {
        q->column[i] = q->counter[i] < most ? q->counter[i] : most;
    }
}

/* Chi squared by which a store that became full at this share explains more than endless growth;
 * -HUGE_VAL where it does not end the growth. */
static double filled_evidence(const struct question *q, double share, double *ret_against)
{
    struct addition a;
    stop_at(q, share);
    if (!ask(q, &a)) {
        return -HUGE_VAL;
    }
    double stopped = a.beta > 0 ? a.beta / a.se : 0;
    double goes_on = a.rest > 0 ? a.rest / a.rest_se : 0;
    double evidence = stopped * stopped - goes_on * goes_on;
    *ret_against = -evidence;
    return a.rest < FILLED_REMAINDER * (a.beta + a.rest) ? evidence : -HUGE_VAL;
}

/* Returns the share at which the store became full, 0 when it did not. */
static double find_filled(const struct question *q, struct store *s)
{
    double best = 0;
    double most = -HUGE_VAL;
    double against = 0;
    bool sure = true;
    for (double share = SHARE_FIRST; share < SHARE_LAST; share += SHARE_STEP) {
        double evidence = filled_evidence(q, share, &against);
        best = evidence > most ? share : best;
        most = fmax(most, evidence);
        sure = sure && against > UNFILLED_EVIDENCE;
        s->seen = sure ? share : s->seen;
    }
    for (double by = SHARE_STEP / 2; most > 0 && by > FINEST_SHARE; by /= 2) {
        double centre = best;
        for (int side = -1; side <= 1; side += 2) {
            double evidence = filled_evidence(q, centre + side * by, &against);
            best = evidence > most ? centre + side * by : best;
            most = fmax(most, evidence);
        }
    }
    if (most > FILLED_EVIDENCE) {
        s->kind = STORE_FILLED;
        s->evidence = most;
    }
    return best;
}

/* The first row of the incarnation that is fitted: what came before the fitted rows expires too. */
static size_t first_row(const struct model *m)
{
    size_t first = m->from;
    while (first > 0 && m->series->part[first - 1] == m->series->part[m->from]) {
        first--;
    }
    return first;
}

/* Of a time between two rows, as if events came evenly between them.  `at` is a row at or before
 * it, and moves on. */
static double counted(const struct series *s, const double *x, double t, size_t *at)
{
    while (*at + 1 < s->n && s->t[*at + 1] <= t) {
        (*at)++;
    }
    if (t <= s->t[*at] || *at + 1 == s->n) {
        return x[*at];
    }
    double share = (t - s->t[*at]) / (s->t[*at + 1] - s->t[*at]);
    return x[*at] + share * (x[*at + 1] - x[*at]);
}

static void delay_by(const struct question *q, double rows)
{
    const struct series *s = q->model->series;
    const double *x = s->x[q->model->driver[q->c]];
    size_t from = q->model->from;
    double delay_s = rows * series_spacing(s, from, from + q->model->n);
    size_t at = first_row(q->model);
    for (size_t i = 0; i < q->model->n; i++) {
        q->column[i] = counted(s, x, s->t[from + i] - delay_s, &at) - x[from];
    }
}

/* How much of the residual a delay would take off, without its exact scale: cheap, so that every
 * delay can be asked. */
static double promise(const double *residual, const double *step, size_t n, size_t delay)
{
    return gram_dot(residual + delay, step, n - delay) / sqrt((double)(n - delay));
}

/* The delays with the lowest promise among their neighbours, lowest first. */
static size_t choose_delays(const double *promises, size_t n, size_t *chosen)
{
    size_t n_chosen = 0;
    for (size_t i = 0; i < n; i++) {
        bool low = promises[i] < 0 && (i == 0 || promises[i] <= promises[i - 1]) &&
                   (i + 1 == n || promises[i] < promises[i + 1]);
        size_t at = n_chosen < ASKED_DELAYS ? n_chosen : ASKED_DELAYS - 1;
        if (!low || (n_chosen == ASKED_DELAYS && promises[i] >= promises[chosen[at]])) {
            continue;
        }
        for (; at > 0 && promises[chosen[at - 1]] > promises[i]; at--) {
            chosen[at] = chosen[at - 1];
        }
        chosen[at] = i;
        n_chosen += n_chosen < ASKED_DELAYS;
    }
    return n_chosen;
}

/* Do entries that are gone after this delay explain more than what the store is yet? */
static bool better_delay(const struct question *q, double delay, struct store *s)
{
    struct addition a;
    delay_by(q, delay);
    if (!ask(q, &a) || a.beta > -RETURNED_SHARE * a.rest || a.beta > -RETURNED_T * a.se) {
        return false;
    }
    double evidence = a.beta / a.se * (a.beta / a.se);
    if (evidence <= s->evidence) {
        return false;
    }
    s->kind = STORE_EXPIRES;
    s->evidence = evidence;
    return true;
}

/* Returns the delay, in rows, after which entries are gone, 0 when they stay. */
static double find_expiry(const struct question *q, struct store *s)
{
    const struct regress *fit = q->fit;
    size_t base = q->model->rate_rows > 0 ? q->model->rate_rows : 1;
    size_t last = (size_t)(0.6 * (double)q->model->n);
    size_t step = (size_t)fmax(fmax(1, (double)base / 2), (double)last / MAX_DELAYS);
    double promises[MAX_DELAYS + 2];
    size_t chosen[ASKED_DELAYS];
    size_t n = 0;
    double best = 0;
    CLEANUP_FREE double *residual = xmalloc(fit->n * sizeof *residual);
    CLEANUP_FREE double *steps = xmalloc(fit->n * sizeof *steps);
    regress_whiten(fit, q->counter, steps);
    for (size_t i = 0; i < fit->n; i++) {
        residual[i] = fit->residual[i];
    }
    for (size_t delay = 3 * base; delay < last && n < MAX_DELAYS + 2; delay += step) {
        promises[n++] = promise(residual, steps, fit->n, delay);
    }
    n = choose_delays(promises, n, chosen);
    for (size_t k = 0; k < n; k++) {
        double delay = (double)(3 * base + chosen[k] * step);
        best = better_delay(q, delay, s) ? delay : best;
    }
    for (double by = (double)step; best > 0 && by > FINEST_DELAY; by /= 2) {
        double centre = best;
        best = better_delay(q, centre - by, s) ? centre - by : best;
        best = better_delay(q, centre + by, s) ? centre + by : best;
    }
    return best;
}

static struct question question_of(const struct model *model, const struct regress *fit, size_t c,
                                   double *column, double *whitened)
{
    return (struct question){.model = model,
                             .fit = fit,
                             .c = c,
                             .counter = model_column(model, c),
                             .column = column,
                             .whitened = whitened};
}

void store_find(const struct model *model, const struct regress *fit, size_t c, double *column,
                struct store *ret_store)
{
    CLEANUP_FREE double *whitened = xmalloc(fit->n * sizeof *whitened);
    struct question q = question_of(model, fit, c, column, whitened);
    struct store s = {.kind = STORE_NONE};
    double share = find_filled(&q, &s);
    double delay = find_expiry(&q, &s);
    if (s.kind == STORE_FILLED) {
        stop_at(&q, share);
    } else if (s.kind == STORE_EXPIRES) {
        delay_by(&q, delay);
        for (size_t i = 0; i < model->n; i++) {
            column[i] = q.counter[i] - column[i];
        }
    }
    *ret_store = s;
}

bool store_may_slow(const struct model *model, const struct regress *fit, size_t c)
{
    CLEANUP_FREE double *column = xmalloc(model->n * sizeof *column);
    CLEANUP_FREE double *whitened = xmalloc(fit->n * sizeof *whitened);
    struct question q = question_of(model, fit, c, column, whitened);
    const double *x = model->series->x[model->driver[c]];
    double before =
        fmax(x[model->from] - x[first_row(model)], EARLIER_EVENTS * q.counter[model->n - 1]);
    struct addition a;
    for (size_t i = 0; i < model->n; i++) {
        column[i] = before * log1p(q.counter[i] / before);
    }
    if (!ask(&q, &a)) {
        return true;
    }
    double slows = a.beta > 0 ? a.beta / a.se : 0;
    double goes_on = a.rest > 0 ? a.rest / a.rest_se : 0;
    double at_first = a.rest + a.beta;
    double at_last = a.rest + a.beta * before / (before + q.counter[model->n - 1]);
    return goes_on * goes_on - slows * slows < LOGARITHM_EVIDENCE ||
           (slows > SLOWED_T && at_last < SLOWED_SHARE * at_first);
}
