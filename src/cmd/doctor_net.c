#include "cmd/doctor_inside.h"

#include "base/file.h"
#include "base/mem.h"
#include "base/sink.h"
#include "base/str.h"
#include "net/addr.h"
#include "net/fetch.h"
#include "net/policy.h"
#include "net/source_addr.h"
#include "probe/sampler.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

uint64_t doctor_number(const char *path, uint64_t fallback)
{
    CLEANUP_FREE char *text = file_read(path, 4096, NULL);
    uint64_t value = fallback;

    return text != NULL && str_to_u64(str_trim(text), &value) ? value : fallback;
}

uint64_t doctor_connections(const struct plan *plan)
{
    return plan != NULL ? plan_peak(plan).connections : 1000;
}

void doctor_fail(struct finding *finding, struct diag *diag)
{
    finding->health = HEALTH_FAIL;
    SAY(finding->measured, "%s", diag_count(diag) > 0 ? diag_text(diag, 0) : "failed");
}

double doctor_churn_per_s(const struct plan *plan)
{
    return plan != NULL ? plan_peak(plan).dials_per_s : 0;
}

/* Seconds for which a closed connection keeps its port from another to the same target. */
static double time_wait_s(const struct plan *plan, const struct policy_ruling *ruling)
{
    uint64_t reuse = doctor_number("/proc/sys/net/ipv4/tcp_tw_reuse", 0);
    bool loopback = ruling->n_addrs > 0 && policy_classify(&ruling->addrs[0]) == POLICY_LOOPBACK;

    if (plan != NULL && plan->target.reset_on_close) {
        return 0;
    }
    return reuse == 1 || (reuse == 2 && loopback) ? 1 : 60;
}

/* Beyond half of the ports Linux before 6.8 takes a millisecond to find one. */
static bool is_slow_when_half_full(void)
{
    struct utsname name;
    char *end;

    if (uname(&name) != 0) {
        return false;
    }
    unsigned long major = strtoul(name.release, &end, 10);
    unsigned long minor = *end == '.' ? strtoul(end + 1, NULL, 10) : 0;
    return major < 6 || (major == 6 && minor < 8);
}

/* The smallest loopback network that has so many addresses for hosts. */
static unsigned loopback_bits(double n_addresses)
{
    unsigned bits = 30;

    while (bits > 16 && (double)(1u << (32 - bits)) - 2 < n_addresses) {
        bits--;
    }
    return bits;
}

static void advise_ports(const struct plan *plan, const struct policy_ruling *ruling, double ports,
                         double all_ports, double needed, struct finding *finding)
{
    double held = (double)doctor_connections(plan), churn = doctor_churn_per_s(plan);
    bool loopback = ruling->n_addrs > 0 && policy_classify(&ruling->addrs[0]) == POLICY_LOOPBACK;
    char source[64], when[48] = "";

    if (loopback) {
        SAY(source, "target.source = 127.0.0.0/%u", loopback_bits(ceil(needed / (ports / 2))));
    } else {
        SAY(source, "target.source with %.0f addresses of this machine", ceil(needed / ports));
    }
    if (needed > all_ports) {
        finding->health = HEALTH_FAIL;
        if (churn > 0 && held < all_ports) {
            SAY(when, "in %.0f s ports run out: ", (all_ports - held) / churn);
        }
        SAY(finding->remedy, "%suse %s%s", when, source,
            churn > 0 ? " or target.reset_on_close = yes" : "");
    } else if (needed > all_ports / 2 && is_slow_when_half_full()) {
        finding->health = HEALTH_WARN;
        SAY(finding->remedy, "beyond half of the ports connect() is slow: use %s", source);
    }
}

void doctor_ports(const struct plan *plan, struct finding *finding)
{
    CLEANUP_FREE char *text = file_read("/proc/sys/net/ipv4/ip_local_port_range", 256, NULL);
    unsigned long low = 32768, high = 60999;
    struct policy_ruling ruling = {.n_addrs = 0};
    struct diag *diag = diag_new();
    uint64_t n_sources = 1;
    char *end;

    if (text != NULL) {
        low = strtoul(text, &end, 10);
        high = strtoul(end, NULL, 10);
    }
    if (plan != NULL && policy_permit(plan, &ruling, diag)) {
        n_sources = source_addr_count(&plan->target, &ruling.addrs[0]);
        source_addr_check(plan, ruling.addrs, ruling.n_addrs, diag);
    }
    double ports = (double)(high - low + 1), wait_s = time_wait_s(plan, &ruling);
    double needed = (double)doctor_connections(plan) + doctor_churn_per_s(plan) * wait_s;
    if (diag_count(diag) > 0 && !ruling.refused && ruling.n_addrs > 0) {
        doctor_fail(finding, diag);
    } else {
        SAY(finding->measured,
            "%.0f to the target from %llu source address%s, %.0f needed (%.0f held + %.0f/s x "
            "%.0f s of TIME_WAIT)",
            ports * (double)n_sources, (unsigned long long)n_sources, n_sources == 1 ? "" : "es",
            needed, (double)doctor_connections(plan), doctor_churn_per_s(plan), wait_s);
        advise_ports(plan, &ruling, ports, ports * (double)n_sources, needed, finding);
    }
    diag_free(diag);
}

/* Where the plan may go (net/policy.h), without any packet but the resolver's. */
void doctor_policy(const struct plan *plan, struct finding *finding)
{
    struct policy_ruling ruling;
    struct diag *diag = diag_new();
    struct sink *sink = sink_new();

    if (plan == NULL) {
        SAY(finding->measured, "no profile was given");
    } else if (!policy_permit(plan, &ruling, diag) || !policy_ceilings(plan, &ruling, diag)) {
        doctor_fail(finding, diag);
    } else {
        size_t asked = 0;
        while (asked < ruling.n_addrs && !ruling.consent[asked]) {
            asked++;
        }
        if (asked < ruling.n_addrs) {
            ruling.addrs[0] = ruling.addrs[asked];
            finding->health = HEALTH_WARN;
            SAY(finding->remedy, "the run begins with that handshake, and ends with exit code 5 "
                                 "where it fails");
        }
        ruling.n_addrs = 1;
        policy_show(plan, &ruling, sink);
        SAY(finding->measured, "%.*s", (int)strcspn(sink_text(sink, NULL), "\n"),
            sink_text(sink, NULL));
    }
    sink_free(sink);
    diag_free(diag);
}

void doctor_target(const struct plan *plan, struct finding *finding)
{
    struct policy_ruling ruling;
    char text[ADDR_TEXT];
    bool refused = false;

    if (plan == NULL) {
        SAY(finding->measured, "no profile was given");
        return;
    }
    struct diag *diag = diag_new();
    bool may_dial = policy_permit(plan, &ruling, diag);
    struct sampler *sampler = may_dial && plan->n_memories > 0
                                  ? sampler_new(plan, ruling.addrs, ruling.n_addrs, &refused, diag)
                                  : NULL;
    if (ruling.refused) {
        SAY(finding->measured, "not looked at: see policy");
    } else if (diag_count(diag) > 0) {
        doctor_fail(finding, diag);
        SAY(finding->remedy,
            refused ? "name the server's process in [memory], or run tlsoak as its user or as root"
                    : "mend the profile or start the server");
    } else if (sampler != NULL) {
        SAY(finding->measured, "%s; memory of %s can be read", addr_text(&ruling.addrs[0], text),
            sampler_describe(sampler, 0));
    } else {
        finding->health = HEALTH_WARN;
        SAY(finding->measured, "%s; no memory is watched", addr_text(&ruling.addrs[0], text));
        SAY(finding->remedy, "without a [memory] section no leak is judged");
    }
    sampler_free(sampler);
    diag_free(diag);
}

/* A handshake without a certificate, and no request. */
void doctor_protocol(const struct plan *plan, struct finding *finding)
{
    struct diag *diag = diag_new();
    struct fetch *fetch = plan != NULL ? fetch_new(plan, &plan->target, diag) : NULL;
    struct fetch_answer answer = {.outcome = OUTCOME_OK};

    if (plan == NULL) {
        SAY(finding->measured, "no profile was given");
    } else if (fetch == NULL) {
        doctor_fail(finding, diag);
    } else {
        fetch_perform(fetch, NULL, NULL, 0, NULL, 0, &answer);
        free(answer.body);
    }
    if (fetch != NULL && answer.protocol[0] != '\0') {
        SAY(finding->measured, "the server selects %s (ALPN)", answer.protocol);
    } else if (fetch != NULL && answer.outcome == OUTCOME_OK) {
        SAY(finding->measured, "%s",
            plan->target.raw ? "tls://: the server selects nothing by ALPN"
                             : "the server does not know ALPN: HTTP/1.1");
    } else if (fetch != NULL) {
        bool no_protocol = answer.outcome == OUTCOME_NO_H2 ||
                           answer.outcome == OUTCOME_ALERT_NO_APPLICATION_PROTOCOL;
        finding->health = no_protocol ? HEALTH_FAIL : HEALTH_WARN;
        SAY(finding->measured, "%s", outcome_info(answer.outcome)->text);
        SAY(finding->remedy,
            "start the server, or see target.alpn, target.url and target.connect_to");
    }
    if (fetch != NULL && finding->health == HEALTH_OK && plan->pace.streams > 1 &&
        !str_equal(answer.protocol, "h2")) {
        finding->health = HEALTH_WARN;
        SAY(finding->remedy, "pace.streams needs HTTP/2: one exchange at a time a connection");
    }
    fetch_free(fetch);
    diag_free(diag);
}
