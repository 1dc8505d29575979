#include "profile/check_run.h"

#include "base/unit.h"
#include "profile/store.h"

/* The e-process of the judge never calls with fewer. */
#define PAIRS_LEAST 13

/* What is missing for a factor to be switched, with what to write; NULL: nothing. */
static const char *missing(const struct plan *plan, enum driver factor)
{
    switch (factor) {
    case DRIVER_TIME:
        return "goes on by itself, so no pair of dwells can differ in it (write factor = request, "
               "connection, client_certificate, api_key, jwt, refused, aborted or rotation)";
    case DRIVER_RESUMPTION:
        return "is not switched between dwells (write factor = connection, and pace.resume_ratio "
               "for reconnects that resume)";
    case DRIVER_CLIENT_CERTIFICATE:
        return plan->n_certs == 0 ? "needs a [cert] section to take certificates from" : NULL;
    case DRIVER_API_KEY:
        return plan->n_apikeys == 0 ? "needs an [apikey] section to take keys from" : NULL;
    case DRIVER_JWT:
        return plan->n_jwts == 0 ? "needs a [jwt] section to take tokens from" : NULL;
    case DRIVER_REFUSED:
        return plan->n_refuses == 0 ? "needs a [refuse] section (write cert = none in it)" : NULL;
    case DRIVER_ABORTED:
        return plan->n_misuses == 0 ? "needs a [misuse] section (write kind = abort-body in it)"
                                    : NULL;
    case DRIVER_ROTATION:
        return plan->hook.rotate == NULL
                   ? "needs a command (write rotate = kill -HUP {pid}, or what rotates your "
                     "server's, in [hook])"
                   : NULL;
    default:
        return NULL;
    }
}

/* What an early stop leaves out is the rest of the run, in which a store would show that it is
 * full; so the profile says beforehand up to where growth is none. */
static void check_early_stop(const struct checker *c)
{
    const struct plan_judge *judge = &c->plan->judge;
    const struct plan_attribution *a = &c->plan->attribution;
    struct origin origin = plan_origin(c->plan, &judge->stop_early);
    uint64_t around_ns = a->warmup_ns + a->steady_ns + a->cooldown_ns;
    uint64_t run_ns = c->plan->run.duration_ns;
    uint64_t dwells_ns = a->duration_ns > 0   ? a->duration_ns
                         : run_ns > around_ns ? run_ns - around_ns
                                              : 0;
    const char *name = driver_info(a->factor)->name;
    char text[UNIT_TEXT];

    if (!judge->stop_early) {
        return;
    }
    if (c->plan->n_memories == 0) {
        diag_add(c->diag, origin, "judge.stop_early: nothing can be proven without a [memory]");
    }
    if (judge->expect_bound[a->factor] <= 0 && judge->expect_ttl_ns == 0) {
        diag_add(c->diag, origin,
                 "judge.stop_early: a store that fills looks like a leak; say how far it may "
                 "(judge.expect_bound.%s = 10000, or judge.expect_ttl = 5m)",
                 name);
    }
    if (run_ns > 0 && dwells_ns < 2 * PAIRS_LEAST * a->dwell_ns) {
        diag_add(c->diag, origin,
                 "judge.stop_early: it takes %d pairs of dwells at least, %s in all (a longer "
                 "run.duration or attribution.duration, or a shorter attribution.dwell)",
                 PAIRS_LEAST, unit_duration(text, (double)(2 * PAIRS_LEAST * a->dwell_ns)));
    }
}

void check_factor(const struct checker *c)
{
    const struct plan_attribution *a = &c->plan->attribution;
    struct origin section = check_section(c, SECTION_ATTRIBUTION);

    if (a->mode != ATTRIBUTION_PAIRS) {
        store_note_idle(c->plan->store, &a->factor);
        if (c->plan->judge.stop_early) {
            diag_add(
                c->diag, plan_origin(c->plan, &c->plan->judge.stop_early),
                "judge.stop_early: only pairs of dwells can prove a leak before the end (write "
                "mode = pairs in [attribution])");
        }
        return;
    }
    check_early_stop(c);
    const char *what = missing(c->plan, a->factor);
    if (what != NULL) {
        diag_add(c->diag, check_origin(c, &a->factor, check_origin(c, &a->mode, section)),
                 "attribution.factor: %s %s", driver_info(a->factor)->name, what);
    }
}
