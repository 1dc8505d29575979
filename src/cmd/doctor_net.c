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

void doctor_fail(struct finding *finding, const struct diag *diag)
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
    uint64_t stamps = doctor_number("/proc/sys/net/ipv4/tcp_timestamps", 1);
    uint64_t reuse = doctor_number("/proc/sys/net/ipv4/tcp_tw_reuse", 0);
    bool loopback = ruling->n_addrs > 0 && policy_classify(&ruling->addrs[0]) == POLICY_LOOPBACK;

    if (plan != NULL && plan->target.reset_on_close) {
        return 0;
    }
    return stamps > 0 && (reuse == 1 || (reuse == 2 && loopback)) ? 1 : 60;
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

static void look_ports(const struct exam *exam, struct finding *finding)
{
    CLEANUP_FREE char *text = file_read("/proc/sys/net/ipv4/ip_local_port_range", 256, NULL);
    unsigned long low = 32768, high = 60999;
    const struct plan *plan = exam->plan;
    const struct policy_ruling *ruling = &exam->ruling;
    struct diag *diag = diag_new();
    uint64_t n_sources = 1;
    char *end;

    if (text != NULL) {
        low = strtoul(text, &end, 10);
        high = strtoul(end, NULL, 10);
    }
    if (exam->permitted) {
        n_sources = source_addr_count(&plan->target, &ruling->addrs[0]);
        source_addr_check(plan, ruling->addrs, ruling->n_addrs, diag);
    }
    double ports = (double)(high - low + 1), wait_s = time_wait_s(plan, ruling);
    double held = (double)doctor_connections(plan);
    double needed = held + doctor_churn_per_s(plan) * wait_s;
    if (diag_count(diag) > 0) {
        doctor_fail(finding, diag);
    } else {
        SAY(finding->measured,
            "%.0f to the target from %llu source address%s, %.0f needed (%.0f held + %.0f/s x "
            "%.0f s of TIME_WAIT)",
            ports * (double)n_sources, (unsigned long long)n_sources, n_sources == 1 ? "" : "es",
            needed, held, doctor_churn_per_s(plan), wait_s);
        advise_ports(plan, ruling, ports, ports * (double)n_sources, needed, finding);
    }
    diag_free(diag);
}

/* The kernel may give the port of a closed connection away after a second (ip-sysctl: with time
 * stamps only). */
static void look_time_wait(const struct exam *exam, struct finding *finding)
{
    uint64_t reuse = doctor_number("/proc/sys/net/ipv4/tcp_tw_reuse", 0);
    uint64_t stamps = doctor_number("/proc/sys/net/ipv4/tcp_timestamps", 1);
    double wait_s = time_wait_s(exam->plan, &exam->ruling);
    double churn = doctor_churn_per_s(exam->plan);

    SAY(finding->measured,
        "tcp_tw_reuse %llu (%s), tcp_timestamps %llu; %.0f new connections/s wait %.0f s",
        (unsigned long long)reuse,
        reuse == 0   ? "never"
        : reuse == 1 ? "always"
                     : "on loopback",
        (unsigned long long)stamps, churn, wait_s);
    if (churn >= 1 && wait_s > 1) {
        finding->health = HEALTH_WARN;
        SAY(finding->remedy,
            "ports come back late: sysctl net.ipv4.tcp_tw_reuse=1%s, or "
            "target.reset_on_close = yes",
            stamps == 0 ? " net.ipv4.tcp_timestamps=1" : "");
    }
}

/* Where the plan may go (net/policy.h), without any packet but the resolver's. */
static void look_policy(const struct exam *exam, struct finding *finding)
{
    const struct plan *plan = exam->plan;
    struct policy_ruling ruling = exam->ruling;
    struct diag *diag = diag_new();
    struct sink *sink = sink_new();

    if (plan == NULL) {
        SAY(finding->measured, "no profile was given");
    } else if (!exam->permitted) {
        doctor_fail(finding, exam->mistakes);
    } else if (!policy_ceilings(plan, &ruling, diag)) {
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

static void look_target(const struct exam *exam, struct finding *finding)
{
    const struct plan *plan = exam->plan;
    const struct policy_ruling *ruling = &exam->ruling;
    char text[ADDR_TEXT];
    bool refused = false;

    if (plan == NULL) {
        SAY(finding->measured, "no profile was given");
        return;
    }
    struct diag *diag = diag_new();
    struct sampler *sampler =
        exam->permitted && plan->n_memories > 0
            ? sampler_new(plan, ruling->addrs, ruling->n_addrs, &refused, diag)
            : NULL;
    if (!exam->permitted) {
        SAY(finding->measured, "not looked at: see policy");
    } else if (diag_count(diag) > 0) {
        doctor_fail(finding, diag);
        SAY(finding->remedy,
            refused ? "name the server's process in [memory], or run tlsoak as its user or as root"
                    : "mend the profile or start the server");
    } else if (sampler != NULL) {
        SAY(finding->measured, "%s; memory of %s can be read", addr_text(&ruling->addrs[0], text),
            sampler_describe(sampler, 0));
    } else {
        finding->health = HEALTH_WARN;
        SAY(finding->measured, "%s; no memory is watched", addr_text(&ruling->addrs[0], text));
        SAY(finding->remedy, "without a [memory] section no leak is judged");
    }
    sampler_free(sampler);
    diag_free(diag);
}

/* What the server did in a handshake without a certificate, and no request. */
static void judge_handshake(const struct plan *plan, const struct fetch_answer *answer,
                            struct finding *finding)
{
    bool refused = answer->asked && answer->alert > 0 && answer->outcome != OUTCOME_OK;
    const char *asks = answer->asked ? "asks for a client certificate" : "asks for none";

    if (answer->protocol[0] != '\0') {
        SAY(finding->measured, "the server selects %s (ALPN) and %s", answer->protocol, asks);
    } else if (refused) {
        SAY(finding->measured, "the server %s, and refuses a handshake without one (%s)", asks,
            outcome_alert_name(answer->alert));
    } else if (answer->outcome == OUTCOME_OK) {
        SAY(finding->measured, "%s, and %s",
            plan->target.raw ? "tls://: the server selects nothing by ALPN"
                             : "the server does not know ALPN: HTTP/1.1",
            asks);
    } else {
        bool no_protocol = answer->outcome == OUTCOME_NO_H2 ||
                           answer->outcome == OUTCOME_ALERT_NO_APPLICATION_PROTOCOL;
        finding->health = no_protocol ? HEALTH_FAIL : HEALTH_WARN;
        SAY(finding->measured, "%s", outcome_info(answer->outcome)->text);
        SAY(finding->remedy,
            "start the server, or see target.alpn, target.url and target.connect_to");
        return;
    }
    if (plan->pace.streams > 1 && !refused && !str_equal(answer->protocol, "h2")) {
        finding->health = HEALTH_WARN;
        SAY(finding->remedy, "pace.streams needs HTTP/2: one exchange at a time a connection");
    } else if (!answer->asked && plan->target.expect_mtls && plan->n_certs > 0) {
        finding->health = HEALTH_WARN;
        SAY(finding->remedy, "no certificate of ours will be seen: let the server ask for one, or "
                             "write target.expect_mtls = no");
    }
}

static void look_protocol(const struct exam *exam, struct finding *finding)
{
    const struct plan *plan = exam->plan;
    const struct policy_ruling *ruling = &exam->ruling;
    struct diag *diag = diag_new();
    struct fetch *fetch =
        exam->permitted && !exam->foreign
            ? fetch_new_at(plan, &plan->target, ruling->addrs, ruling->n_addrs, diag)
            : NULL;
    struct fetch_answer answer = {.outcome = OUTCOME_OK};

    if (plan == NULL) {
        SAY(finding->measured, "no profile was given");
    } else if (exam->foreign || !exam->permitted) {
        SAY(finding->measured, "not tried: see %s", exam->foreign ? "libraries" : "policy");
    } else if (fetch == NULL) {
        doctor_fail(finding, diag);
    } else {
        fetch_perform(fetch, NULL, NULL, 0, NULL, 0, &answer);
        free(answer.body);
        judge_handshake(plan, &answer, finding);
    }
    fetch_free(fetch);
    diag_free(diag);
}

const struct check doctor_net[] = {
    {"ports", look_ports, true},        {"time wait", look_time_wait, true},
    {"policy", look_policy, true},      {"target", look_target, false},
    {"protocol", look_protocol, false}, {NULL, NULL, false},
};
