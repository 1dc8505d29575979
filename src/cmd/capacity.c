#include "cmd/capacity.h"

#include <unistd.h>

/* Of a full handshake, beside signatures: key exchange, kernel, HTTP. */
#define REST_S        140e-6
#define RESUMED_SHARE 0.45
#define REQUEST_S     8e-6

static double full_s(const struct plan *plan, const struct tls_speed *speed)
{
    /* The server's signature; with verify = always its certificate's as well. */
    double n_verified = plan != NULL && plan->target.verify == VERIFY_ALWAYS ? 2 : 1;

    return 1 / speed->signs_per_s + n_verified / speed->verifies_per_s + REST_S;
}

struct capacity capacity_predict(const struct plan *plan, const struct tls_speed *speed)
{
    double cores = (double)sysconf(_SC_NPROCESSORS_ONLN);
    struct capacity capacity = {.handshakes_per_s = 1 / full_s(plan, speed), .cores = cores};

    if (plan == NULL) {
        return capacity;
    }
    struct plan_peak peak = plan_peak(plan);
    double cost = 1 - peak.resume_ratio * (1 - RESUMED_SHARE);
    double threads = (double)plan->run.threads;
    capacity.cores = threads < cores ? threads : cores;
    if (!peak.is_unbounded) {
        capacity.asked_per_s = peak.dials_per_s;
        capacity.busy =
            peak.dials_per_s * cost / capacity.handshakes_per_s + peak.exchanges_per_s * REQUEST_S;
    }
    return capacity;
}
