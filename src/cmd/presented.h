/* What a [refuse NAME] presents and expects, in words for the run and its reports. */
#ifndef CMD_PRESENTED_H
#define CMD_PRESENTED_H

#include "profile/plan.h"
#include "record/misuse.h"
#include "record/refusal.h"

/* "an expired certificate", "no certificate and an unknown API key". */
void presented_describe(const struct plan_refuse *refuse, struct refusal_kind *ret_refusal);
/* And what a [misuse] does. */
void presented_misuse(const struct plan_misuse *misuse, struct misuse_kind *ret_misuse);

#endif
