#include "judge/attribute.h"

#include "base/bug.h"
#include "base/mem.h"
#include "base/str.h"
#include "judge/numeric.h"
#include "judge/model.h"
#include "judge/stores.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* One-sided, shared by the drivers that are asked. Standard errors are averages over the noises
 * that the readings allow: in simulated runs of 70 to 1800 s fewer than 0.5 % blame an innocent. */
#define ALPHA_BLAME 1e-3
#define ALPHA_UPPER 0.02 /* the same, for upper bounds */
#define ALPHA_SHOWN 0.025
#define LEAST_BYTES (128.0 * 1024) /* glibc takes its heap in pieces of that size and a page */
#define LEAST_SHARE 0.01
/* Intervals for people are this much wider: the plain ones hold the truth in 90 % at the worst. */
#define WIDENING 1.15
/* At this t value a driver is guilty whatever the shape of the growth: in simulated runs of 70 s no
 * innocent got beyond 9.5. */
#define OVERWHELMING_T 10.0
/* The same where growth is seen to go on to this share of the events. */
#define OVERWHELMING_SEEN 0.7
/* A counter is separable when what the others leave of its variance is more than this, divided
 * by the number of readings, ten a dwell where dwells are known.  Over 200 simulated loads each (32
 * and 128 dwells), full factorials of two-second dwells leave 0.36 at least, and steady Poisson
 * arrivals 0.10 at most. */
#define MIN_LEFT       0.2
#define DWELL_READINGS 10.0
/* A counter is a part of another that would be so many times what is needed apart without it. */
#define PART_TIMES 3.0
/* A driver that grows so many standard errors may be a store; at most so many are taken out. */
#define SUSPECT_T  2.5
#define MAX_STORES 3
/* A metric that is refreshed less often than this in a dwell says nothing of the dwell. */
#define MIN_REFRESHES 4.0
#define USUAL_DWELL_S 10.0
/* Readings change by pages where nothing much happens; what is refreshed seldom jumps. */
#define JUMP_BYTES  (16.0 * 1024)
#define MOVED_BYTES (256.0 * 1024)

static bool moves(const struct series *s, enum driver d, size_t from, size_t to)
{
    return s->has[d] && s->x[d][to - 1] > s->x[d][from];
}

/* Seconds between changes of a metric that changes by jumps, 0 when it is always up to date: the
 * lower quartile, since memory that nothing moved for a while stands still as well, but then also
 * moves from reading to reading; what is refreshed seldom never does. */
static double refresh_s(const struct series *s, size_t from, size_t to)
{
    CLEANUP_FREE double *change = xmalloc((to - from) * sizeof *change);
    CLEANUP_FREE double *gap = xmalloc((to - from) * sizeof *gap);
    double lowest = s->y[from], highest = s->y[from];
    size_t n = 0, last = from;
    for (size_t i = from + 1; i < to; i++) {
        lowest = fmin(lowest, s->y[i]);
        highest = fmax(highest, s->y[i]);
        change[n] = fabs(s->y[i] - s->y[i - 1]);
        if (change[n] > 0) {
            gap[n++] = s->t[i] - s->t[last];
            last = i;
        }
    }
    if (highest - lowest < MOVED_BYTES || n == 0 || numeric_median(change, n) < JUMP_BYTES) {
        return 0;
    }
    double usual_s = numeric_quantile(gap, n, 0.25);
    return usual_s < 1.5 * series_spacing(s, from, to) ? 0 : usual_s;
}

static double correlation(const double *a, const double *b, size_t n)
{
    double sa = 0, sb = 0, saa = 0, sbb = 0, sab = 0;
    for (size_t i = 0; i < n; i++) {
        sa += a[i];
        sb += b[i];
        saa += a[i] * a[i];
        sbb += b[i] * b[i];
        sab += a[i] * b[i];
    }
    double k = (double)n;
    double va = saa - sa * sa / k;
    double vb = sbb - sb * sb / k;
    return va > 0 && vb > 0 ? (sab - sa * sb / k) / sqrt(va * vb) : 0;
}

/* The counter that moved most like counter `of`. */
static size_t nearest_counter(const struct model *m, size_t of)
{
    size_t best = of == 0 ? 1 : 0;
    double most = -2;
    for (size_t c = 0; c < m->n_counters; c++) {
        double alike = c == of ? -2 : correlation(model_column(m, c), model_column(m, of), m->n);
        if (alike > most) {
            most = alike;
            best = c;
        }
    }
    return best;
}

static void mark_confounded(struct attribution *a, enum driver d, enum driver with)
{
    a->driver[d].separable = false;
    (void)str_copy(a->driver[d].confounded_with, sizeof a->driver[d].confounded_with,
                   driver_info(with)->name);
}

/* A sum of several others, without any of which it would be separable (full handshakes, of new
 * certificates and a share of the resumed): none of these can be told from it either. */
static void mark_parts(const struct gram *counters, const enum driver *drivers, size_t worst,
                       double least, struct attribution *a)
{
    for (size_t c = 0; c + 1 < counters->n; c++) {
        double left[REGRESS_COLUMNS];
        regress_left(counters, &c, left);
        if (c != worst && drivers[c] != DRIVER_TIME && left[worst] >= PART_TIMES * least) {
            mark_confounded(a, drivers[c], drivers[worst]);
        }
    }
}

/* Takes out, one by one, the counter that the others explain best while that is too much; the one
 * that it moved with stays, and stands for both.  Leaves the drivers that can be asked. */
static size_t separate(const struct series *s, size_t from, size_t to, double dwell_s,
                       enum driver *drivers, size_t n, struct attribution *a)
{
    double span = s->t[to - 1] - s->t[from];
    double readings = dwell_s > 0 ? DWELL_READINGS * span / dwell_s : (double)(to - from);
    while (n > 1) {
        struct model m;
        struct gram counters;
        double left[REGRESS_COLUMNS];
        size_t worst = 0;
        model_make_counters(s, from, to, drivers, n, &m);
        regress_centre(model_column(&m, 0), m.n, n, &counters);
        regress_left(&counters, NULL, left);
        for (size_t c = 1; c < n; c++) {
            worst = left[c] <= left[worst] ? c : worst;
        }
        bool apart = left[worst] >= MIN_LEFT / readings;
        size_t with = nearest_counter(&m, worst);
        model_end(&m);
        if (apart) {
            break;
        }
        mark_confounded(a, drivers[worst], drivers[with]);
        mark_confounded(a, drivers[with], drivers[worst]);
        if (dwell_s > 0 && n > 2) {
            mark_parts(&counters, drivers, worst, MIN_LEFT / readings, a);
        }
        memmove(drivers + worst, drivers + worst + 1, (n - worst - 1) * sizeof *drivers);
        n--;
    }
    return n;
}

static bool refit(const struct model *m, struct regress *fit)
{
    struct regress again;
    if (!regress_fit(m->table, m->n, m->n_columns, m->n_counters, fit, &again)) {
        return false;
    }
    regress_end(fit);
    *fit = again;
    return true;
}

/* Takes bounded stores out of the growth, the clearest first: each gets a column of its own, so
 * that the other drivers are judged without it. */
static void take_out_stores(struct model *m, struct regress *fit, struct store *stores)
{
    CLEANUP_FREE double *column = xmalloc(m->n * sizeof *column);
    CLEANUP_FREE double *clearest = xmalloc(m->n * sizeof *clearest);
    for (int round = 0; round <= MAX_STORES; round++) {
        struct store best = {.kind = STORE_NONE};
        size_t of = 0;
        for (size_t c = 0; c < m->n_counters; c++) {
            struct store s;
            if (stores[c].kind != STORE_NONE || m->driver[c] == DRIVER_TIME ||
                fit->beta[c] < SUSPECT_T * fit->se[c]) {
                continue;
            }
            store_find(m, fit, c, column, &s);
            stores[c].seen = s.seen;
            if (s.evidence > best.evidence) {
                best = s;
                of = c;
                memcpy(clearest, column, m->n * sizeof *column);
            }
        }
        if (best.kind == STORE_NONE || round == MAX_STORES || !model_add(m, clearest)) {
            break;
        }
        if (!refit(m, fit)) {
            m->n_columns--; /* the fit knows nothing of it */
            break;
        }
        stores[of] = best;
    }
}

/* How sure it is that memory grows with a counter, at least so many bytes an event. */
static double low_of(const struct model *m, const struct regress *fit, size_t c)
{
    double n_asked = (double)m->n_counters;
    return fit->beta[c] - numeric_t_quantile(ALPHA_BLAME / n_asked, fit->df) * fit->se[c];
}

/* Bytes that a counter must account for to be blamed: more than a server grows by once, when a path
 * is first gone (an allocator takes its memory in such pieces), and more than the gravest may seem
 * to pass on to the others where it is not quite a straight line. */
static double least_bytes(const struct model *m, const struct regress *fit, bool floors,
                          const struct attribution *a)
{
    double least = floors ? 0 : LEAST_BYTES;
    for (size_t c = 0; c < m->n_counters; c++) {
        double bytes = fit->beta[c] * a->driver[m->driver[c]].events;
        if (low_of(m, fit, c) > 0) {
            least = fmax(least, LEAST_SHARE * bytes);
        }
    }
    return least;
}

static void judge_counter(const struct model *m, const struct regress *fit,
                          const struct store *store, size_t c, double least, struct attribution *a)
{
    enum driver d = m->driver[c];
    struct driver_finding *finding = &a->driver[d];
    double n_asked = (double)m->n_counters;
    double beta = fit->beta[c];
    double se = fit->se[c];
    double shown = WIDENING * numeric_t_quantile(ALPHA_SHOWN, fit->df) * se;
    bool grows = low_of(m, fit, c) > 0 && beta > driver_info(d)->floor_bytes &&
                 beta * finding->events >= least && store->kind != STORE_EXPIRES;
    const double *x = m->series->x[d] + m->from;
    finding->bounded = store->kind != STORE_NONE && !grows;
    a->explains[d] = grows;
    a->overwhelming[d] = grows && d != DRIVER_TIME &&
                         (beta > OVERWHELMING_T * se || store->seen >= OVERWHELMING_SEEN);
    if (finding->separable) {
        a->upper[d] = beta + numeric_t_quantile(ALPHA_UPPER / n_asked, fit->df) * se;
        finding->bytes_per_event = beta;
        finding->low = beta - shown;
        finding->high = beta + shown;
        finding->lower = low_of(m, fit, c);
        finding->upper = a->upper[d];
        finding->blamed = grows;
        finding->seen = store->seen > 0 ? x[0] + store->seen * (x[m->n - 1] - x[0]) : 0;
    }
}

/* Nobody is blamed for growth that may be slowing down. */
static void doubt_slowing(const struct model *m, const struct regress *fit, struct attribution *a)
{
    for (size_t c = 0; c < m->n_counters; c++) {
        enum driver d = m->driver[c];
        if (d != DRIVER_TIME && a->explains[d] && store_may_slow(m, fit, c)) {
            a->driver[d].may_slow = true;
            a->driver[d].blamed = a->overwhelming[d] = false;
        }
    }
}

/* Bytes by row that the explaining counters, and that all but the counters account for. */
static void account(const struct model *m, const struct regress *fit, struct attribution *a)
{
    a->exposure = xcalloc(m->n, sizeof *a->exposure);
    a->held = xcalloc(m->n, sizeof *a->held);
    for (size_t c = 0; c < m->n_columns; c++) {
        const double *column = model_column(m, c);
        bool counter = c < m->n_counters;
        if (counter && !a->explains[m->driver[c]]) {
            continue;
        }
        double *to = counter ? a->exposure : a->held;
        for (size_t i = 0; i < m->n; i++) {
            to[i] += fit->beta[c] * (column[i] - column[0]);
        }
    }
}

/* Nothing could be asked: one driver alone, too few readings, or none that say anything. */
static void forget_separable(struct attribution *a)
{
    for (int d = 0; d < DRIVER_COUNT; d++) {
        a->driver[d].separable = false;
    }
}

/* Asks all drivers; false when the rows are too few. */
static bool ask(struct model *m, bool floors, struct attribution *a)
{
    struct regress fit;
    struct store stores[DRIVER_COUNT] = {{STORE_NONE, 0, 0}};
    if (!regress_fit(m->table, m->n, m->n_columns, m->n_counters, NULL, &fit)) {
        return false;
    }
    model_refine(m, &fit);
    if (!refit(m, &fit)) {
        regress_end(&fit);
        return false;
    }
    take_out_stores(m, &fit, stores);
    double least = least_bytes(m, &fit, floors, a);
    for (size_t c = 0; c < m->n_counters; c++) {
        judge_counter(m, &fit, &stores[c], c, least, a);
    }
    doubt_slowing(m, &fit, a);
    account(m, &fit, a);
    regress_end(&fit);
    return true;
}

static size_t list_moving(const struct series *s, size_t from, size_t to, enum driver *drivers,
                          struct attribution *a)
{
    size_t n = 0;
    for (int d = 0; d < DRIVER_COUNT; d++) {
        a->upper[d] = NAN;
        a->driver[d] = (struct driver_finding){.driver = (enum driver)d,
                                               .bytes_per_event = NAN,
                                               .low = NAN,
                                               .high = NAN,
                                               .lower = NAN,
                                               .upper = NAN};
        if (to > from + 2 && moves(s, (enum driver)d, from, to)) {
            a->driver[d].events = s->x[d][to - 1] - s->x[d][from];
            a->driver[d].separable = true;
            drivers[n++] = (enum driver)d;
        }
    }
    return n;
}

void attribution_make(const struct series *series, size_t from, size_t to,
                      const struct judge_options *options, struct attribution *ret_attribution)
{
    struct attribution *a = ret_attribution;
    enum driver drivers[DRIVER_COUNT];
    struct model m;
    *a = (struct attribution){.n = to - from, .from = from};
    size_t n = list_moving(series, from, to, drivers, a);
    double dwell_s = options->dwell_s > 0 ? options->dwell_s : USUAL_DWELL_S;
    double spacing = n > 0 ? series_spacing(series, from, to) : 0;
    bool follows = !options->floors && (options->dwell_s <= 0 || 2 * spacing <= dwell_s);
    a->refresh_s = n > 0 && follows && options->designed ? refresh_s(series, from, to) : 0;
    a->refresh_s = a->refresh_s * MIN_REFRESHES > dwell_s ? a->refresh_s : 0;
    n = n < 2 ? n
              : separate(series, from, to, options->designed ? options->dwell_s : 0, drivers, n, a);
    if (n >= 2 && a->refresh_s <= 0) {
        model_make(series, from, to, drivers, n, follows, &m);
        a->fitted = ask(&m, options->floors, a);
        model_end(&m);
    }
    if (!a->fitted) {
        forget_separable(a);
    }
}

void attribution_end(struct attribution *attribution)
{
    free(attribution->exposure);
    free(attribution->held);
}
