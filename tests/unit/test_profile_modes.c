/* What pace.mode derives, refuses and leaves out of the effective profile. */
#include "base/mem.h"
#include "base/str.h"
#include "profile/profile.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define HEAD "[target]\nurl = https://127.0.0.1:8443/\n[pace]\n"

static struct plan *load(const char *text, struct diag *diag)
{
    return profile_load_text("modes.ini", text, NULL, 0, diag);
}

static struct plan_peak peak_of(const char *text)
{
    struct diag *diag = diag_new();
    struct plan *plan = load(text, diag);
    assert_non_null(plan);
    struct plan_peak peak = plan_peak(plan);
    plan_free(plan);
    diag_free(diag);
    return peak;
}

static void peaks(void **state)
{
    (void)state;
    struct plan_peak peak = peak_of(HEAD "mode = churn\nrate = 30/s\nconnect_rate = 2/s\n");
    assert_true(peak.rate_per_s == 30 && peak.dials_per_s == 30 && peak.exchanges_per_s == 30);
    peak = peak_of(HEAD "mode = churn\nrate = 30/s\nrequests_per_connection = 4\n");
    assert_true(peak.dials_per_s == 30 && peak.exchanges_per_s == 120 && !peak.is_unbounded);
    peak = peak_of(HEAD "mode = handshake\nrate = 30/s\nrequests_per_connection = 4\n");
    assert_true(peak.dials_per_s == 30 && peak.exchanges_per_s == 0);
    peak = peak_of(HEAD "mode = hold\nconnections = 90\n");
    assert_true(fabs(peak.rate_per_s - 3) < 1e-9 && fabs(peak.exchanges_per_s - 3) < 1e-9);
    peak = peak_of(HEAD "mode = open\nrate = 100/s\nrequests_per_connection = 4\n");
    assert_true(peak.dials_per_s == 25 && peak.exchanges_per_s == 100);
    peak = peak_of(HEAD "think_time = 100ms\nconnections = 5\n");
    assert_true(peak.rate_per_s == 0 && fabs(peak.exchanges_per_s - 50) < 1e-9);
    assert_false(peak.is_unbounded);
    assert_true(peak_of(HEAD).is_unbounded);
}

static void phases_of_modes(void **state)
{
    (void)state;
    struct diag *diag = diag_new();
    struct plan *plan = load(HEAD "mode = hold\nkeepalive = 10s\n"
                                  "[phase few]\nduration = 10s\npace.connections = 50\n"
                                  "[phase many]\nduration = 10s\npace.connections = 200\n"
                                  "[phase none]\nduration = 10s\nidle = yes\n",
                             diag);
    assert_non_null(plan);
    assert_true(plan->phases[0].rate_per_s == 5 && plan->phases[1].rate_per_s == 20);
    assert_true(plan->phases[2].rate_per_s == 0 && plan->phases[2].connections == 0);
    plan_free(plan);
    plan = load(HEAD "mode = churn\nrate = 5/s\n[phase a]\nduration = 10s\n", diag);
    assert_non_null(plan);
    assert_true(plan->phases[0].requests_per_connection == 1);
    plan_free(plan);
    diag_free(diag);
}

static void refuses(const char *text, const char *mistake)
{
    struct diag *diag = diag_new();
    assert_null(load(text, diag));
    assert_int_equal(diag_count(diag), 1);
    if (strstr(diag_text(diag, 0), mistake) == NULL) {
        fail_msg("%s", diag_text(diag, 0));
    }
    diag_free(diag);
}

static void mistakes(void **state)
{
    (void)state;
    refuses(HEAD "mode = churn\n", "modes.ini:4: pace.rate is missing; pace.mode = churn needs it");
    refuses(HEAD "keepalive = 3s\n",
            "modes.ini:4: pace.keepalive: of no use unless pace.mode = hold");
    refuses(HEAD "mode = hold\n[attribution]\nmode = crossover\n",
            "modes.ini:4: pace.mode: the experiment of attribution.mode needs closed or open");
    refuses(HEAD "mode = handshake\nrate = 9/s\n[apikey]\n[refuse x]\napikey = unknown\n",
            "modes.ini:4: pace.mode: [refuse] and [misuse] are shares of exchanges");
    refuses(HEAD "mode = churn\nrate = 9/s\n[phase a]\nduration = 5s\npace.connect_rate = 3/s\n",
            "phase.pace.connect_rate: of no use where connections come at pace.rate");
    refuses(HEAD "mode = hold\n[phase a]\nduration = 5s\npace.rate = 3/s\n",
            "phase.pace.rate: of no use with pace.mode = hold");
}

static void the_effective_profile_has_no_values_without_a_say(void **state)
{
    (void)state;
    struct diag *diag = diag_new();
    struct plan *plan =
        load(HEAD "mode = handshake\nrate = 9/s\nthink_time = 3s\nconnect_rate = 7/s\n", diag);
    struct sink *sink = sink_new(), *again = sink_new();
    assert_non_null(plan);
    profile_print(plan, false, sink);
    assert_null(strstr(sink_text(sink, NULL), "think_time"));
    assert_null(strstr(sink_text(sink, NULL), "connect_rate"));
    assert_null(strstr(sink_text(sink, NULL), "keepalive"));
    assert_non_null(strstr(sink_text(sink, NULL), "rate = 9/s"));
    struct plan *reloaded = load(sink_text(sink, NULL), diag);
    assert_non_null(reloaded);
    profile_print(reloaded, false, again);
    assert_string_equal(sink_text(again, NULL), sink_text(sink, NULL));
    plan_free(plan);
    plan_free(reloaded);
    sink_free(sink);
    sink_free(again);
    diag_free(diag);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(peaks),
        cmocka_unit_test(phases_of_modes),
        cmocka_unit_test(mistakes),
        cmocka_unit_test(the_effective_profile_has_no_values_without_a_say),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
