#include "record/metrics.h"

#include "base/bug.h"

#include <stddef.h>

#define COUNT(name, unit, better, help)                                                            \
    {                                                                                              \
        name, METRIC_COUNTER, unit, METRIC_##better, help                                          \
    }
#define GAUGE(name, unit, better, help)                                                            \
    {                                                                                              \
        name, METRIC_GAUGE, unit, METRIC_##better, help                                            \
    }
#define TIMES(name, help)                                                                          \
    {                                                                                              \
        name, METRIC_HISTOGRAM, "ns", METRIC_LOWER, help                                           \
    }

static const struct metric counters[COUNTER_COUNT] = {
    [COUNTER_STARTED] = COUNT("started", "1", NEITHER, "Exchanges whose request was begun."),
    [COUNTER_COMPLETED] =
        COUNT("completed", "1", HIGHER, "Exchanges that ended with a complete response."),
    [COUNTER_FAILED] =
        COUNT("failed", "1", LOWER, "Exchanges that ended without a complete response."),
    [COUNTER_UNEXPECTED] =
        COUNT("unexpected", "1", LOWER, "Complete responses with a status that was not expected."),
    [COUNTER_RETRIED] = COUNT("retried", "1", LOWER,
                              "Requests sent again, mostly after an idle connection closed."),
    [COUNTER_DUE] = COUNT("due", "1", NEITHER, "Starts that fell due in an open loop."),
    [COUNTER_LATE] = COUNT("late", "1", LOWER, "Starts more than 1 ms after they were due."),
    [COUNTER_SKIPPED] = COUNT("skipped", "1", LOWER, "Starts that were due and never made."),
    [COUNTER_DIALED] = COUNT("dialed", "1", NEITHER, "Connections begun."),
    [COUNTER_DIAL_FAILED] =
        COUNT("dial_failed", "1", LOWER, "Connections that ended before they were ready."),
    [COUNTER_CLOSED] = COUNT("closed", "1", NEITHER, "Connections that were ready and ended."),
    [COUNTER_HANDSHAKE_FULL] = COUNT("handshake_full", "1", NEITHER, "Full TLS handshakes."),
    [COUNTER_HANDSHAKE_RESUMED] =
        COUNT("handshake_resumed", "1", NEITHER, "Resumed TLS handshakes."),
    [COUNTER_RECONNECTED] = COUNT("reconnected", "1", NEITHER,
                                  "TLS handshakes of clients that had been connected before."),
    [COUNTER_RESUME_ASKED] =
        COUNT("resume_asked", "1e-6", NEITHER, "Of these, how many should resume, in millionths."),
    [COUNTER_RESUME_NO_TICKET] =
        COUNT("resume_no_ticket", "1", LOWER, "Of these, full for want of a ticket to offer."),
    [COUNTER_RESUME_EXPIRED] =
        COUNT("resume_expired", "1", LOWER, "Of these, full since the ticket had expired."),
    [COUNTER_RESUME_REFUSED] =
        COUNT("resume_refused", "1", LOWER, "Of these, full since the server refused the ticket."),
    [COUNTER_EARLY_OFFERED] =
        COUNT("early_offered", "1", NEITHER, "Requests that went as early data (0-RTT)."),
    [COUNTER_EARLY_ACCEPTED] =
        COUNT("early_accepted", "1", NEITHER, "Of these, taken by the server."),
    [COUNTER_EARLY_REJECTED] =
        COUNT("early_rejected", "1", NEITHER, "Of these, not taken, and sent after the handshake."),
    [COUNTER_EARLY_PUT_OFF] =
        COUNT("early_put_off", "1", NEITHER, "Of the accepted, answered 425 and sent again."),
    [COUNTER_KEY_UPDATED] =
        COUNT("key_updated", "1", NEITHER, "TLS 1.3 key updates that the client began."),
    [COUNTER_OCSP_STAPLED] =
        COUNT("ocsp_stapled", "1", NEITHER, "Full TLS handshakes with a stapled OCSP response."),
    [COUNTER_SCTS] = COUNT("scts", "1", NEITHER, "Certificate timestamps in full TLS handshakes."),
    [COUNTER_CERT_NEW] = COUNT("cert_new", "1", NEITHER, "Client certificates used first."),
    [COUNTER_CERT_USED] = COUNT("cert_used", "1", NEITHER, "Uses of client certificates."),
    [COUNTER_KEY_NEW] = COUNT("key_new", "1", NEITHER, "API keys used first."),
    [COUNTER_KEY_USED] = COUNT("key_used", "1", NEITHER, "Uses of API keys."),
    [COUNTER_JWT_NEW] = COUNT("jwt_new", "1", NEITHER, "JWTs used first."),
    [COUNTER_JWT_USED] = COUNT("jwt_used", "1", NEITHER, "Uses of JWTs."),
    [COUNTER_BYTES_SENT] = COUNT("bytes_sent", "bytes", NEITHER, "HTTP bytes sent, before TLS."),
    [COUNTER_BYTES_RECEIVED] =
        COUNT("bytes_received", "bytes", NEITHER, "HTTP bytes received, after TLS."),
    [COUNTER_IDENTITY_EXPIRED] =
        COUNT("identity_expired", "1", LOWER, "Dials and requests with an expired credential."),
    [COUNTER_REFUSAL_TRIED] =
        COUNT("refusal_tried", "1", NEITHER, "Attempts with bad identities, begun."),
    [COUNTER_REFUSED] =
        COUNT("refusal_refused", "1", NEITHER, "Attempts with bad identities that were refused."),
    [COUNTER_LET_IN] =
        COUNT("refusal_let_in", "1", LOWER, "Attempts with bad identities that were let in."),
    [COUNTER_REFUSAL_UNCLEAR] = COUNT("refusal_unclear", "1", LOWER,
                                      "Attempts with bad identities that ended in neither way."),
    [COUNTER_REFUSAL_HANDSHAKE] =
        COUNT("refusal_handshake", "1", NEITHER,
              "Full TLS handshakes of such attempts, where the certificate was good."),
    [COUNTER_REFUSAL_REQUEST] =
        COUNT("refusal_request", "1", NEITHER, "Requests sent after such handshakes."),
    [COUNTER_MISUSE_TRIED] = COUNT("misuse_tried", "1", NEITHER, "Misuses begun."),
    [COUNTER_MISUSE_DONE] = COUNT("misuse_done", "1", NEITHER, "Misuses that the server saw."),
    [COUNTER_MISUSE_UNDONE] = COUNT("misuse_undone", "1", LOWER,
                                    "Misuses that could not be done, since it failed before."),
    [COUNTER_MISUSE_HANDSHAKE] =
        COUNT("misuse_handshake", "1", NEITHER, "Full TLS handshakes of misuses."),
    [COUNTER_MISUSE_REQUEST] =
        COUNT("misuse_request", "1", NEITHER, "Requests of misuses whose head was sent in full."),
    [COUNTER_ROTATION] = COUNT("rotations", "1", NEITHER, "Rotations by the profile's hook."),
    [COUNTER_MINT_WAIT] = COUNT("mint_wait", "1", LOWER, "Waits of a worker for a credential."),
    [COUNTER_LAG_NS] = COUNT("lag_ns", "ns", LOWER, "Delay of the workers' own timers, summed."),
    [COUNTER_CPU_NS] = COUNT("cpu_ns", "ns", LOWER, "CPU time of the workers."),
    [COUNTER_WAIT_NS] =
        COUNT("wait_ns", "ns", LOWER, "Time that the workers could run and waited for a core."),
};

static const struct metric gauges[GAUGE_COUNT] = {
    [GAUGE_OPEN] = GAUGE("open", "1", NEITHER, "Connections that are ready."),
    [GAUGE_HANDSHAKING] =
        GAUGE("handshaking", "1", NEITHER, "Connections being dialed or in the TLS handshake."),
    [GAUGE_IN_FLIGHT] = GAUGE("in_flight", "1", NEITHER, "Exchanges begun and not ended."),
    [GAUGE_BACKLOG] = GAUGE("backlog", "1", LOWER, "Starts that are due and not yet made."),
    [GAUGE_REFUSING] = GAUGE("refusing", "1", NEITHER, "Attempts with bad identities under way."),
    [GAUGE_MISUSING] = GAUGE("misusing", "1", NEITHER, "Misuses under way."),
    [GAUGE_BACKLOG_NS] =
        GAUGE("backlog_ns", "ns", LOWER, "The longest that a start waited after it was due."),
};

static const struct metric latencies[LATENCY_COUNT] = {
    [LATENCY_RESPONSE] =
        TIMES("response", "From the time a request was due to the end of its response."),
    [LATENCY_SERVICE] = TIMES("service", "From a request sent to the end of its response."),
    [LATENCY_CONNECT] = TIMES("connect", "The TCP connect."),
    [LATENCY_HANDSHAKE_FULL] = TIMES("handshake_full", "A full TLS handshake."),
    [LATENCY_HANDSHAKE_RESUMED] = TIMES("handshake_resumed", "A resumed TLS handshake."),
    [LATENCY_FIRST_BYTE] =
        TIMES("first_byte", "From a request sent to the first byte of its response."),
    [LATENCY_REFUSAL] = TIMES("refusal", "From a dial to the refusal of a bad identity."),
    [LATENCY_OWN_DELAY] =
        TIMES("own_delay", "From the time a request was due to the generator's seeing it."),
};

static const struct metric memories[MEMORY_METRIC_COUNT] = {
    [MEMORY_RSS] = GAUGE("rss_bytes", "bytes", LOWER, "Memory of the server that is resident."),
    [MEMORY_ANON] = GAUGE("anon_bytes", "bytes", LOWER,
                          "Anonymous memory of the server: heap and stacks, not files."),
    [MEMORY_PSS] = GAUGE("pss_bytes", "bytes", LOWER,
                         "Resident memory with shared pages divided among their users."),
    [MEMORY_PRIVATE_DIRTY] = GAUGE("private_dirty_bytes", "bytes", LOWER,
                                   "Memory that the server alone has written to."),
    [MEMORY_FDS] = GAUGE("fds", "1", LOWER, "Open file descriptors of the server."),
    [MEMORY_THREADS] = GAUGE("threads", "1", LOWER, "Threads of the server."),
    [MEMORY_CPU_NS] = COUNT("cpu_s", "s", LOWER, "CPU time of the server."),
    [MEMORY_PROCESSES] = GAUGE("processes", "1", NEITHER, "Processes of the server."),
    [MEMORY_COMMAND] = GAUGE("command_bytes", "bytes", LOWER,
                             "Memory of the server as the profile's command printed it."),
    [MEMORY_CHOSEN] =
        GAUGE("metric_bytes", "bytes", LOWER, "Memory of the server as the profile's metric says."),
};

const struct metric *metric_counter(enum counter counter)
{
    BUG_ON((unsigned)counter >= COUNTER_COUNT);
    return &counters[counter];
}

const struct metric *metric_gauge(enum gauge gauge)
{
    BUG_ON((unsigned)gauge >= GAUGE_COUNT);
    return &gauges[gauge];
}

bool metric_gauge_is_largest(enum gauge gauge)
{
    return gauge == GAUGE_BACKLOG_NS;
}

const struct metric *metric_latency(enum latency latency)
{
    BUG_ON((unsigned)latency >= LATENCY_COUNT);
    return &latencies[latency];
}

const struct metric *metric_memory(enum memory_metric metric)
{
    BUG_ON((unsigned)metric >= MEMORY_METRIC_COUNT);
    return &memories[metric];
}

int metric_driver_counters(enum driver driver, enum counter ret_counters[METRIC_DRIVER_COUNTERS])
{
    static const struct {
        int n;
        enum counter of[METRIC_DRIVER_COUNTERS];
    } table[DRIVER_COUNT] = {
        [DRIVER_REQUEST] = {3, {COUNTER_STARTED, COUNTER_REFUSAL_REQUEST, COUNTER_MISUSE_REQUEST}},
        [DRIVER_CONNECTION] = {3,
                               {COUNTER_HANDSHAKE_FULL, COUNTER_REFUSAL_HANDSHAKE,
                                COUNTER_MISUSE_HANDSHAKE}},
        [DRIVER_RESUMPTION] = {1, {COUNTER_HANDSHAKE_RESUMED}},
        [DRIVER_CLIENT_CERTIFICATE] = {1, {COUNTER_CERT_NEW}},
        [DRIVER_API_KEY] = {1, {COUNTER_KEY_NEW}},
        [DRIVER_JWT] = {1, {COUNTER_JWT_NEW}},
        [DRIVER_REFUSED] = {1, {COUNTER_REFUSED}},
        [DRIVER_ABORTED] = {1, {COUNTER_MISUSE_DONE}},
        [DRIVER_ROTATION] = {1, {COUNTER_ROTATION}},
    };
    BUG_ON((unsigned)driver >= DRIVER_COUNT);
    for (int i = 0; i < table[driver].n; i++) {
        ret_counters[i] = table[driver].of[i];
    }
    return table[driver].n;
}
