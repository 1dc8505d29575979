/* The charts of report.html, each a figure with its legend.  What a chart draws is read from the
 * run's directory; where that can't be read it says so in its place. */
#ifndef REPORT_HTML_CHARTS_H
#define REPORT_HTML_CHARTS_H

#include "base/sink.h"
#include "judge/verdict.h"
#include "record/curves.h"
#include "record/run.h"

/* Memory of source `i` of the run over time, with the trend that was judged, phases, warm-up,
 * limit and bound. */
void html_memory_chart(struct sink *sink, const struct stored_run *run, size_t i,
                       const struct memory_finding *finding);
/* Bytes that each driver accounts for, as bars with their intervals. */
void html_attribution(struct sink *sink, const struct memory_finding *finding);
/* Response and service time by percentile, and over time. */
void html_latency_charts(struct sink *sink, const struct stored_run *run,
                         const struct curves *curves);
void html_rate_chart(struct sink *sink, const struct stored_run *run, const struct curves *curves);

#endif
