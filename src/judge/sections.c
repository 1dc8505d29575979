#include "judge/sections.h"

#include "base/bug.h"
#include "base/mem.h"

#include <math.h>
#include <stdlib.h>

/* A section's quantile rests on this many values beyond it. */
#define VALUES_BEYOND 3
/* Sections a cosine: fewer would leave less of a memory that outlasts a section in the variance. */
#define COSINE_SECTIONS 3

double sections_variance(const struct sections *sections, double *ret_df)
{
    double n = (double)sections->n, sum = 0;
    size_t n_cosines = sections->n / COSINE_SECTIONS;

    BUG_ON(sections->n < SECTIONS_MIN);
    for (size_t j = 1; j <= n_cosines; j++) {
        double projection = 0;
        for (size_t i = 0; i < sections->n; i++) {
            projection += sections->value[i] * cos(M_PI * (double)j * ((double)i + 0.5) / n);
        }
        sum += 2 / n * projection * projection;
    }
    *ret_df = (double)n_cosines;
    return sum / (double)n_cosines / n;
}

void sections_cut_begin(struct sections_cut *cut, double quantile, uint64_t n_total)
{
    double beyond = (double)n_total * fmin(quantile, 1 - quantile) / VALUES_BEYOND;

    *cut = (struct sections_cut){.quantile = quantile, .n_total = n_total};
    cut->n_wanted = beyond >= SECTIONS_MAX ? SECTIONS_MAX : (size_t)beyond;
    cut->part = xmalloc(sizeof *cut->part);
    hist_init(cut->part);
}

static void close_section(struct sections_cut *cut)
{
    cut->sections.value[cut->sections.n++] =
        log(fmax(1, (double)hist_quantile(cut->part, cut->quantile)));
    hist_clear(cut->part);
}

void sections_cut_add(struct sections_cut *cut, const struct hist *hist)
{
    size_t next = cut->sections.n + 1;

    if (hist->n == 0 || next > cut->n_wanted) {
        return;
    }
    hist_add(cut->part, hist);
    cut->n_seen += hist->n;
    if ((double)cut->n_seen * (double)cut->n_wanted >= (double)next * (double)cut->n_total) {
        close_section(cut);
    }
}

struct sections sections_cut_end(struct sections_cut *cut)
{
    struct sections sections = cut->sections;

    free(cut->part);
    cut->part = NULL;
    if (sections.n < SECTIONS_MIN) {
        sections.n = 0;
    }
    return sections;
}
