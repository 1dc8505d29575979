/* .hgrm: a histogram as the percentile table that HdrHistogram's tools print and plotters read
 * (outputPercentileDistribution of the Java class AbstractHistogram): value in milliseconds,
 * quantile, how many are no larger, 1 / (1 - quantile); five rows for each halving of the distance
 * to the largest. */
#ifndef RECORD_HGRM_H
#define RECORD_HGRM_H

#include "base/sink.h"
#include "record/hist.h"

void hgrm_write(struct sink *sink, const struct hist *hist);

#endif
