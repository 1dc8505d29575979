#include "report/text.h"

#include "base/mono.h"
#include "base/str.h"
#include "base/unit.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define LATE_NS          NS_PER_MS
#define BACKLOG_SHOWN_NS (100 * NS_PER_MS)

static const char *counted(char text[UNIT_TEXT], const struct interval *total, enum counter counter)
{
    return unit_grouped(text, total->count[counter]);
}

static double per_second(uint64_t n, uint64_t elapsed_ns)
{
    return elapsed_ns > 0 ? (double)n / ((double)elapsed_ns / (double)NS_PER_S) : 0;
}

/* A tenth of a request counts only in slow runs. */
static const char *rate_text(char text[UNIT_TEXT], double rate)
{
    if (rate >= 999.5) {
        return unit_grouped(text, (uint64_t)(rate + 0.5));
    }
    (void)snprintf(text, UNIT_TEXT, "%.1f", rate);
    return text;
}

static bool is_raw(const struct stored_run *run)
{
    return str_has_prefix(run->meta.target, "tls://");
}

static void put_exchanges(struct sink *sink, const struct stored_run *run)
{
    const struct interval *total = run->total;
    char done[UNIT_TEXT], failed[UNIT_TEXT], odd[UNIT_TEXT], again[UNIT_TEXT];

    if (is_raw(run)) {
        text_row(sink, "exchanges", "%s completed, %s failed",
                 counted(done, total, COUNTER_COMPLETED), counted(failed, total, COUNTER_FAILED));
        return;
    }
    text_row(sink, "exchanges", "%s completed, %s failed, %s of unexpected status, %s retried",
             counted(done, total, COUNTER_COMPLETED), counted(failed, total, COUNTER_FAILED),
             counted(odd, total, COUNTER_UNEXPECTED), counted(again, total, COUNTER_RETRIED));
}

static void put_statuses(struct sink *sink, const struct interval *total)
{
    struct sink *list = sink_new();
    const char *before = "";

    for (int i = 1; i <= 6; i++) {
        uint64_t n = total->status[i % 6];
        char text[UNIT_TEXT];
        if (n > 0 && i < 6) {
            sink_printf(list, "%s%dxx %s", before, i, unit_grouped(text, n));
            before = ", ";
        } else if (n > 0) {
            sink_printf(list, "%sother %s", before, unit_grouped(text, n));
        }
    }
    text_row(sink, "statuses", "%s", before[0] != '\0' ? sink_text(list, NULL) : "none");
    sink_free(list);
}

/* Whoever it was that did not keep up. */
static void put_backlog(struct sink *sink, const struct stored_run *run)
{
    const struct run_generator *own = &run->meta.generator;
    uint64_t delay_ns = run->total->latency[LATENCY_OWN_DELAY].max_ns;
    char waited[UNIT_TEXT], starts[UNIT_TEXT], at[UNIT_TEXT], delay[UNIT_TEXT], part[80] = "";

    if (own->backlog_ns < BACKLOG_SHOWN_NS) {
        return;
    }
    if (run->meta.healthy && delay_ns >= own->backlog_ns / 10) {
        (void)snprintf(part, sizeof part, ", of which up to %s by the generator's own delay",
                       unit_duration(delay, (double)delay_ns));
    }
    text_row(sink, "backlog", "the %s did not keep up: %s of backlog (%s starts) at %s%s",
             !run->meta.healthy   ? "generator"
             : own->lagging_s > 0 ? "target or the generator"
                                  : "target",
             unit_duration(waited, (double)own->backlog_ns), unit_grouped(starts, own->backlog),
             unit_duration(at, own->backlog_at_s * (double)NS_PER_S), part);
}

static void put_rate(struct sink *sink, const struct stored_run *run)
{
    const struct interval *total = run->total;
    bool dials = run->meta.dials_due;
    double reached =
        per_second(total->count[dials ? COUNTER_DIALED : COUNTER_STARTED], run->elapsed_ns);
    uint64_t n_own = hist_above(&total->latency[LATENCY_OWN_DELAY], LATE_NS);
    char late[UNIT_TEXT], skipped[UNIT_TEXT], asked[UNIT_TEXT], text[UNIT_TEXT], own[UNIT_TEXT];

    if (total->count[COUNTER_DUE] == 0) {
        text_row(sink, "rate", "%s/s reached (closed loop: the server sets the pace)",
                 rate_text(text, reached));
        return;
    }
    text_row(sink, "rate",
             "%s%s/s asked, %s/s reached; %s started late (%s by the generator), %s never",
             dials ? "connections: " : "",
             rate_text(asked, per_second(total->count[COUNTER_DUE], run->elapsed_ns)),
             rate_text(text, reached), counted(late, total, COUNTER_LATE), unit_grouped(own, n_own),
             counted(skipped, total, COUNTER_SKIPPED));
    put_backlog(sink, run);
}

static void put_handshakes(struct sink *sink, const struct interval *total)
{
    char full[UNIT_TEXT], resumed[UNIT_TEXT], failed[UNIT_TEXT], open[UNIT_TEXT];

    text_row(sink, "handshakes", "%s full, %s resumed, %s failed; %s still open at the end",
             counted(full, total, COUNTER_HANDSHAKE_FULL),
             counted(resumed, total, COUNTER_HANDSHAKE_RESUMED),
             counted(failed, total, COUNTER_DIAL_FAILED),
             unit_grouped(open, total->gauge[GAUGE_OPEN]));
}

static void put_early_data(struct sink *sink, const struct interval *total)
{
    static const struct {
        enum counter counter;
        const char *text;
    } ends[] = {
        {COUNTER_EARLY_ACCEPTED, "accepted"},
        {COUNTER_EARLY_REJECTED, "rejected and sent again"},
        {COUNTER_EARLY_PUT_OFF, "answered 425 and sent again"},
    };
    char text[UNIT_TEXT];

    if (total->count[COUNTER_EARLY_OFFERED] == 0) {
        return;
    }
    struct sink *list = sink_new();
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        if (i == 0 || total->count[ends[i].counter] > 0) {
            sink_printf(list, ", %s %s", counted(text, total, ends[i].counter), ends[i].text);
        }
    }
    text_row(sink, "0-RTT", "%s offered%s", counted(text, total, COUNTER_EARLY_OFFERED),
             sink_text(list, NULL));
    sink_free(list);
}

/* Where some were to resume, or did. */
static void put_resumption(struct sink *sink, const struct interval *total)
{
    static const struct {
        enum counter counter;
        const char *text;
    } reasons[] = {
        {COUNTER_RESUME_NO_TICKET, "had no ticket"},
        {COUNTER_RESUME_EXPIRED, "had one that had expired"},
        {COUNTER_RESUME_REFUSED, "were refused it by the server"},
    };
    double n = (double)total->count[COUNTER_RECONNECTED];
    double asked = (double)total->count[COUNTER_RESUME_ASKED] / 1e6;
    char all[UNIT_TEXT], text[UNIT_TEXT];

    if (n <= 0 || asked <= 0) {
        return;
    }
    struct sink *list = sink_new();
    for (size_t i = 0; i < sizeof reasons / sizeof reasons[0]; i++) {
        if (total->count[reasons[i].counter] > 0) {
            sink_printf(list, "; %s %s", counted(text, total, reasons[i].counter), reasons[i].text);
        }
    }
    text_row(sink, "resumption", "resumed %.3g %% of %s reconnects, asked %.3g %%%s",
             100 * (double)total->count[COUNTER_HANDSHAKE_RESUMED] / n,
             counted(all, total, COUNTER_RECONNECTED), 100 * asked / n, sink_text(list, NULL));
    sink_free(list);
}

static void put_tls(struct sink *sink, const struct stored_run *run)
{
    static const struct {
        enum counter counter;
        const char *text;
    } seen[] = {
        {COUNTER_KEY_UPDATED, "key updates begun"},
        {COUNTER_OCSP_STAPLED, "handshakes with a stapled OCSP response"},
        {COUNTER_SCTS, "certificate timestamps"},
    };
    const char *label = "tls";
    char text[UNIT_TEXT], verifies[UNIT_TEXT];

    for (size_t i = 0; i < sizeof seen / sizeof seen[0]; i++) {
        if (run->total->count[seen[i].counter] > 0) {
            text_row(sink, label, "%s %s", counted(text, run->total, seen[i].counter),
                     seen[i].text);
            label = "";
        }
    }
    if (run->meta.p256_signs_per_s > 0) {
        text_row(sink, label, "%s; on one core %s P-256 signs/s, %s verifies/s",
                 run->meta.tls_library, unit_grouped(text, (uint64_t)run->meta.p256_signs_per_s),
                 unit_grouped(verifies, (uint64_t)run->meta.p256_verifies_per_s));
    } else if (run->meta.tls_library[0] != '\0') {
        text_row(sink, label, "%s", run->meta.tls_library);
    }
}

static void put_identities(struct sink *sink, const struct interval *total)
{
    static const struct {
        enum counter fresh, used;
        const char *name;
    } kinds[] = {
        {COUNTER_CERT_NEW, COUNTER_CERT_USED, "client certificates"},
        {COUNTER_KEY_NEW, COUNTER_KEY_USED, "API keys"},
        {COUNTER_JWT_NEW, COUNTER_JWT_USED, "JWTs"},
    };
    const char *label = "identities";

    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        char fresh[UNIT_TEXT], used[UNIT_TEXT];
        if (total->count[kinds[i].used] > 0) {
            text_row(sink, label, "%s different %s, used %s times",
                     counted(fresh, total, kinds[i].fresh), kinds[i].name,
                     counted(used, total, kinds[i].used));
            label = "";
        }
    }
    if (total->count[COUNTER_IDENTITY_EXPIRED] > 0) {
        char n[UNIT_TEXT];
        text_row(sink, label, "%s dials and requests with one that had expired",
                 counted(n, total, COUNTER_IDENTITY_EXPIRED));
        label = "";
    }
    if (total->count[COUNTER_MINT_WAIT] > 0) {
        char n[UNIT_TEXT];
        text_row(sink, label, "%s waits, since minting did not keep up",
                 counted(n, total, COUNTER_MINT_WAIT));
    }
}

static void put_rotations(struct sink *sink, const struct interval *total)
{
    char n[UNIT_TEXT];

    if (total->count[COUNTER_ROTATION] > 0) {
        text_row(sink, "rotations", "%s by the hook on the server",
                 counted(n, total, COUNTER_ROTATION));
    }
}

static void put_misuses(struct sink *sink, const struct stored_run *run)
{
    const char *label = "misuses";

    for (int i = 0; i < run->meta.n_misuses; i++) {
        struct sink *line = sink_new();
        misuse_print(line, &run->meta.misuse[i], &run->total->misuse[i]);
        text_row(sink, label, "%s", sink_text(line, NULL));
        sink_free(line);
        label = "";
    }
}

static void put_errors(struct sink *sink, const struct interval *total)
{
    const char *label = "errors";

    for (int i = OUTCOME_OK + 1; i < OUTCOME_COUNT; i++) {
        const struct outcome_info *info = outcome_info((enum outcome)i);
        char n[UNIT_TEXT];
        if (total->outcome[i] > 0) {
            text_row(sink, label, "%s %s: %s", unit_grouped(n, total->outcome[i]), info->name,
                     info->text);
            label = "";
        }
    }
    if (label[0] != '\0') {
        text_row(sink, label, "none");
    }
}

const char *text_latency(enum latency latency)
{
    static const char *const names[LATENCY_COUNT] = {
        [LATENCY_RESPONSE] = "response",
        [LATENCY_SERVICE] = "service",
        [LATENCY_OWN_DELAY] = "generator's delay",
        [LATENCY_CONNECT] = "connect",
        [LATENCY_HANDSHAKE_FULL] = "handshake, full",
        [LATENCY_HANDSHAKE_RESUMED] = "handshake, resumed",
        [LATENCY_FIRST_BYTE] = "first byte",
        [LATENCY_REFUSAL] = "refusal",
    };

    return names[latency];
}

static void put_latencies(struct sink *sink, const struct interval *total)
{
    static const enum latency order[LATENCY_COUNT] = {
        LATENCY_RESPONSE,       LATENCY_SERVICE,           LATENCY_OWN_DELAY,  LATENCY_CONNECT,
        LATENCY_HANDSHAKE_FULL, LATENCY_HANDSHAKE_RESUMED, LATENCY_FIRST_BYTE, LATENCY_REFUSAL,
    };
    static const double quantiles[] = {0.5, 0.9, 0.99, 0.999};

    bool begun = false;

    for (int i = 0; i < LATENCY_COUNT; i++) {
        const struct hist *hist = &total->latency[order[i]];
        char text[UNIT_TEXT];
        if (hist->n == 0) {
            continue;
        }
        if (!begun) {
            sink_printf(sink, "\n%-20s %8s %8s %8s %8s %8s %11s\n", "Latency", "p50", "p90", "p99",
                        "p99.9", "max", "n");
            begun = true;
        }
        sink_printf(sink, "  %-18s", text_latency(order[i]));
        for (size_t k = 0; k < sizeof quantiles / sizeof quantiles[0]; k++) {
            sink_printf(sink, " %8s",
                        unit_duration(text, (double)hist_quantile(hist, quantiles[k])));
        }
        sink_printf(sink, " %8s", unit_duration(text, (double)hist->max_ns));
        sink_printf(sink, " %11s\n", unit_grouped(text, hist->n));
    }
}

void text_load(struct sink *sink, const struct stored_run *run)
{
    const struct interval *total = run->total;
    char length[UNIT_TEXT], sent[UNIT_TEXT], received[UNIT_TEXT], label[UNIT_TEXT + 16];

    (void)snprintf(label, sizeof label, "Load: %s on ",
                   unit_duration(length, (double)run->elapsed_ns));
    sink_write(sink, "\n", 1);
    text_prose(sink, label, run->meta.target);
    put_exchanges(sink, run);
    if (!is_raw(run)) {
        put_statuses(sink, total);
    }
    put_rate(sink, run);
    put_handshakes(sink, total);
    put_resumption(sink, total);
    put_early_data(sink, total);
    put_tls(sink, run);
    put_identities(sink, total);
    put_misuses(sink, run);
    put_rotations(sink, total);
    text_row(sink, "bytes", "%s sent, %s received, before TLS",
             unit_bytes(sent, (double)total->count[COUNTER_BYTES_SENT]),
             unit_bytes(received, (double)total->count[COUNTER_BYTES_RECEIVED]));
    put_errors(sink, total);
    put_latencies(sink, total);
}
