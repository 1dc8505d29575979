#include "record/run_json.h"

#include "base/file.h"
#include "base/json.h"
#include "base/jsonw.h"
#include "base/mem.h"
#include "base/mono.h"
#include "base/str.h"
#include "record/abort_json.h"
#include "record/generator_json.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#define SCHEMA      "tlsoak.run/1"
#define MAX_BYTES   (1u << 20)
#define MAX_SECONDS 1e10 /* three centuries */
#define N_STATUS    6

static const char *const statuses[N_STATUS] = {"other", "1xx", "2xx", "3xx", "4xx", "5xx"};

static const struct {
    const char *name;
    double q;
} quantiles[] = {{"p50_us", 0.50}, {"p90_us", 0.90}, {"p99_us", 0.99}, {"p99_9_us", 0.999}};

static void put_count(struct jsonw *w, const char *key, uint64_t value)
{
    jsonw_integer(w, key, value > INT64_MAX ? INT64_MAX : (int64_t)value);
}

static void put_start(struct jsonw *w, double start_wall_s)
{
    double ms = floor(start_wall_s * 1e3 + 0.5);
    time_t seconds = (time_t)(ms / 1e3);
    struct tm tm;
    char date[40], text[64] = "";

    if (gmtime_r(&seconds, &tm) != NULL && strftime(date, sizeof date, "%FT%T", &tm) > 0) {
        (void)snprintf(text, sizeof text, "%s.%03dZ", date, (int)fmod(ms, 1e3));
    }
    jsonw_string(w, "start", text);
    jsonw_integer(w, "start_epoch_ms", (int64_t)ms);
}

static void put_meta(struct jsonw *w, const struct run_meta *meta)
{
    char seed[24];

    jsonw_string(w, "schema", SCHEMA);
    jsonw_string(w, "id", meta->id);
    jsonw_bool(w, "finished", meta->finished);
    jsonw_bool(w, "interrupted", meta->interrupted);
    jsonw_string(w, "invalid", meta->invalid[0] != '\0' ? meta->invalid : NULL);
    jsonw_string(w, "ended_early", meta->ended[0] != '\0' ? meta->ended : NULL);
    abort_json_write(w, &meta->abort);
    if (meta->load_ns > 0) {
        jsonw_number(w, "load_s", (double)meta->load_ns / (double)NS_PER_S);
    }
    put_start(w, meta->start_wall_s);
    jsonw_number(w, "duration_s", (double)meta->duration_ns / (double)NS_PER_S);
    jsonw_number(w, "tick_s", (double)meta->tick_ns / (double)NS_PER_S);
    (void)snprintf(seed, sizeof seed, "%" PRIu64, meta->seed);
    jsonw_string(w, "seed", seed);
    jsonw_integer(w, "threads", meta->threads);
    jsonw_string(w, "version", meta->version);
    jsonw_string(w, "tls_library", meta->tls_library);
    jsonw_object(w, "tls_speed");
    jsonw_number(w, "p256_signs_per_s", meta->p256_signs_per_s);
    jsonw_number(w, "p256_verifies_per_s", meta->p256_verifies_per_s);
    jsonw_end(w);
    jsonw_string(w, "target", meta->target);
    jsonw_string(w, "verify", meta->verify);
    jsonw_string(w, "due", meta->dials_due ? "connections" : "exchanges");
    jsonw_string(w, "server", meta->server);
    jsonw_array(w, "sources");
    for (int i = 0; i < meta->n_sources; i++) {
        jsonw_object(w, NULL);
        jsonw_string(w, "name", meta->source[i]);
        jsonw_end(w);
    }
    jsonw_end(w);
}

/* Known at the end only. */
static void put_generator(struct jsonw *w, const struct run_meta *meta)
{
    jsonw_object(w, "generator");
    jsonw_bool(w, "healthy", meta->healthy);
    jsonw_string(w, "reason", meta->health[0] != '\0' ? meta->health : NULL);
    generator_json_write(w, &meta->generator);
    jsonw_end(w);
}

static void put_latency(struct jsonw *w, const char *name, const struct hist *hist)
{
    jsonw_object(w, name);
    put_count(w, "n", hist->n);
    if (hist->n > 0) {
        jsonw_number(w, "min_us", (double)hist->min_ns / 1e3);
        jsonw_number(w, "mean_us", hist_mean_ns(hist) / 1e3);
        for (size_t i = 0; i < sizeof quantiles / sizeof *quantiles; i++) {
            double ns = (double)hist_quantile(hist, quantiles[i].q);
            jsonw_number(w, quantiles[i].name, ns / 1e3);
        }
        jsonw_number(w, "max_us", (double)hist->max_ns / 1e3);
        put_count(w, "n_clipped", hist->n_clipped);
    }
    jsonw_end(w);
}

static void put_refusal(struct jsonw *w, const struct refusal_kind *refusal,
                        const struct refusal_tally *tally)
{
    jsonw_object(w, NULL);
    jsonw_string(w, "name", refusal->name);
    jsonw_string(w, "presented", refusal->presented);
    jsonw_string(w, "expect", refusal->expect);
    jsonw_bool(w, "any", refusal->any);
    if (tally != NULL) {
        put_count(w, "tried", tally->tried);
        for (int i = 0; i < REFUSAL_RESULTS; i++) {
            const char *name = refusal_result_name((enum refusal_result)i);
            jsonw_object(w, name);
            put_count(w, "n", tally->n[i]);
            if (tally->n[i] > 0) {
                jsonw_string(w, "outcome", outcome_info(tally->first[i].outcome)->name);
                jsonw_integer(w, "status", tally->first[i].status);
            }
            jsonw_end(w);
        }
    }
    jsonw_end(w);
}

static void put_refusals(struct jsonw *w, const struct run_meta *meta, const struct interval *total)
{
    jsonw_array(w, "refusals");
    for (int i = 0; i < meta->n_refusals; i++) {
        put_refusal(w, &meta->refusal[i], total != NULL ? &total->refusal[i] : NULL);
    }
    jsonw_end(w);
}

static void put_misuse(struct jsonw *w, const struct misuse_kind *misuse,
                       const struct misuse_tally *tally)
{
    jsonw_object(w, NULL);
    jsonw_string(w, "name", misuse->name);
    jsonw_string(w, "kind", misuse->kind);
    jsonw_string(w, "what", misuse->what);
    if (tally != NULL) {
        put_count(w, "tried", tally->tried);
        put_count(w, "done", tally->done);
        put_count(w, "undone", tally->undone);
        put_count(w, "forgone", tally->forgone);
        jsonw_string(w, "why", tally->undone > 0 ? outcome_info(tally->why)->name : NULL);
        jsonw_object(w, "status");
        for (int i = 1; i <= MISUSE_STATUSES; i++) {
            put_count(w, statuses[i % MISUSE_STATUSES], tally->status[i % MISUSE_STATUSES]);
        }
        jsonw_end(w);
    }
    jsonw_end(w);
}

static void put_misuses(struct jsonw *w, const struct run_meta *meta, const struct interval *total)
{
    jsonw_array(w, "misuses");
    for (int i = 0; i < meta->n_misuses; i++) {
        put_misuse(w, &meta->misuse[i], total != NULL ? &total->misuse[i] : NULL);
    }
    jsonw_end(w);
}

/* Shares of the reconnects; null where there were none. */
static void put_resumption(struct jsonw *w, const struct interval *total)
{
    double n = (double)total->count[COUNTER_RECONNECTED];
    double asked = (double)total->count[COUNTER_RESUME_ASKED] / 1e6;

    jsonw_object(w, "resumption");
    put_count(w, "reconnects", total->count[COUNTER_RECONNECTED]);
    jsonw_number(w, "asked", n > 0 ? asked / n : NAN);
    jsonw_number(w, "reached", n > 0 ? (double)total->count[COUNTER_HANDSHAKE_RESUMED] / n : NAN);
    put_count(w, "no_ticket", total->count[COUNTER_RESUME_NO_TICKET]);
    put_count(w, "expired", total->count[COUNTER_RESUME_EXPIRED]);
    put_count(w, "refused_by_server", total->count[COUNTER_RESUME_REFUSED]);
    jsonw_end(w);
}

static void put_totals(struct jsonw *w, const struct interval *total)
{
    jsonw_object(w, "totals");
    for (int i = 0; i < COUNTER_COUNT; i++) {
        put_count(w, metric_counter((enum counter)i)->name, total->count[i]);
    }
    jsonw_end(w);
    jsonw_object(w, "gauges");
    for (int i = 0; i < GAUGE_COUNT; i++) {
        put_count(w, metric_gauge((enum gauge)i)->name, total->gauge[i]);
    }
    jsonw_end(w);
    jsonw_object(w, "outcomes");
    for (int i = 0; i < OUTCOME_COUNT; i++) {
        if (total->outcome[i] > 0) {
            put_count(w, outcome_info((enum outcome)i)->name, total->outcome[i]);
        }
    }
    jsonw_end(w);
    jsonw_object(w, "status");
    for (int i = 1; i <= N_STATUS; i++) {
        put_count(w, statuses[i % N_STATUS], total->status[i % N_STATUS]);
    }
    jsonw_end(w);
    jsonw_object(w, "latency");
    for (int i = 0; i < LATENCY_COUNT; i++) {
        put_latency(w, metric_latency((enum latency)i)->name, &total->latency[i]);
    }
    jsonw_end(w);
}

void run_json_write(struct sink *sink, const struct run_meta *meta, const struct interval *total)
{
    struct jsonw w;

    jsonw_init(&w, sink, false);
    jsonw_object(&w, NULL);
    put_meta(&w, meta);
    run_checks_write(&w, meta->checks, meta->n_checks);
    put_refusals(&w, meta, total);
    put_misuses(&w, meta, total);
    search_json_write(&w, &meta->search, NULL);
    if (total != NULL) {
        uint64_t end_ns = total->end_ns > meta->start_ns ? total->end_ns - meta->start_ns : 0;
        jsonw_number(&w, "elapsed_s", (double)end_ns / (double)NS_PER_S);
        put_generator(&w, meta);
        put_resumption(&w, total);
        put_totals(&w, total);
    }
    jsonw_end(&w);
}

/* A count; a member that is not there is 0, for a run of a version that did not count it yet. */
static bool get_count(const struct json *object, const char *key, uint64_t *ret)
{
    double value = json_get(object, key) == NULL ? 0.0 : json_get_number(object, key, -1.0);

    if (!(value >= 0.0 && value < 0x1p63) || value != floor(value)) {
        return false;
    }
    *ret = (uint64_t)value;
    return true;
}

static bool get_seconds(const struct json *object, const char *key, uint64_t *ret_ns)
{
    double value = json_get_number(object, key, -1.0);

    if (!(value >= 0.0 && value <= MAX_SECONDS)) {
        return false;
    }
    *ret_ns = (uint64_t)(value * (double)NS_PER_S + 0.5);
    return true;
}

static bool get_sources(const struct json *json, struct run_meta *meta)
{
    const struct json *sources = json_get(json, "sources");
    size_t n = json_size(sources);

    if (sources == NULL || json_is_map(sources) || n > RUN_SOURCES) {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        /* The name becomes part of a file's. */
        const char *name = json_get_string(json_at(sources, i), "name", "/");
        if (strchr(name, '/') != NULL || !str_copy(meta->source[i], sizeof meta->source[i], name)) {
            return false;
        }
    }
    meta->n_sources = (int)n;
    return true;
}

static bool get_text(const struct json *json, const char *key, char *to, size_t size)
{
    const char *text = json_get_string(json, key, NULL);

    return text != NULL && str_copy(to, size, text);
}

/* Runs of a version without refusals have none. */
static bool get_refusals(const struct json *json, struct run_meta *meta)
{
    const struct json *list = json_get(json, "refusals");
    size_t n = json_size(list);

    if (n > REFUSALS_MAX) {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        const struct json *item = json_at(list, i);
        struct refusal_kind *refusal = &meta->refusal[i];
        if (!get_text(item, "name", refusal->name, sizeof refusal->name) ||
            !get_text(item, "presented", refusal->presented, sizeof refusal->presented) ||
            !get_text(item, "expect", refusal->expect, sizeof refusal->expect)) {
            return false;
        }
        refusal->any = json_get_bool(item, "any", true);
    }
    meta->n_refusals = (int)n;
    return true;
}

/* Runs of a version without misuses have none. */
static bool get_misuses(const struct json *json, struct run_meta *meta)
{
    const struct json *list = json_get(json, "misuses");
    size_t n = json_size(list);

    if (n > MISUSES_MAX) {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        const struct json *item = json_at(list, i);
        struct misuse_kind *misuse = &meta->misuse[i];
        if (!get_text(item, "name", misuse->name, sizeof misuse->name) ||
            !get_text(item, "kind", misuse->kind, sizeof misuse->kind) ||
            !get_text(item, "what", misuse->what, sizeof misuse->what)) {
            return false;
        }
    }
    meta->n_misuses = (int)n;
    return true;
}

static bool get_tally(const struct json *item, struct refusal_tally *tally)
{
    if (!get_count(item, "tried", &tally->tried)) {
        return false;
    }
    for (int i = 0; i < REFUSAL_RESULTS; i++) {
        const struct json *part = json_get(item, refusal_result_name((enum refusal_result)i));
        struct refusal_answer *first = &tally->first[i];
        double status = json_get_number(part, "status", 0);
        if (!get_count(part, "n", &tally->n[i]) || !(status >= 0 && status < 1000) ||
            (tally->n[i] > 0 &&
             !outcome_from_name(json_get_string(part, "outcome", ""), &first->outcome))) {
            return false;
        }
        first->status = (int)status;
    }
    return true;
}

static bool get_tallies(const struct json *json, struct interval *total)
{
    const struct json *list = json_get(json, "refusals");

    for (size_t i = 0; i < json_size(list) && i < REFUSALS_MAX; i++) {
        if (!get_tally(json_at(list, i), &total->refusal[i])) {
            return false;
        }
    }
    return true;
}

static bool get_misuse_tally(const struct json *item, struct misuse_tally *tally)
{
    const struct json *status = json_get(item, "status");
    bool ok = get_count(item, "tried", &tally->tried) && get_count(item, "done", &tally->done) &&
              get_count(item, "undone", &tally->undone) &&
              get_count(item, "forgone", &tally->forgone);

    for (int i = 0; i < MISUSE_STATUSES; i++) {
        ok = ok && get_count(status, statuses[i], &tally->status[i]);
    }
    return ok &&
           (tally->undone == 0 || outcome_from_name(json_get_string(item, "why", ""), &tally->why));
}

static bool get_misuse_tallies(const struct json *json, struct interval *total)
{
    const struct json *list = json_get(json, "misuses");

    for (size_t i = 0; i < json_size(list) && i < MISUSES_MAX; i++) {
        if (!get_misuse_tally(json_at(list, i), &total->misuse[i])) {
            return false;
        }
    }
    return true;
}

/* The name of the first member that is missing or wrong, or NULL. */
static const char *get_meta(const struct json *json, struct run_meta *meta)
{
    const struct {
        const char *key;
        char *to;
        size_t size;
    } texts[] = {
        {"id", meta->id, sizeof meta->id},
        {"version", meta->version, sizeof meta->version},
        {"tls_library", meta->tls_library, sizeof meta->tls_library},
        {"target", meta->target, sizeof meta->target},
        {"verify", meta->verify, sizeof meta->verify},
        {"server", meta->server, sizeof meta->server},
    };
    uint64_t threads, start_ms;

    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        if (!get_text(json, texts[i].key, texts[i].to, texts[i].size)) {
            return texts[i].key;
        }
    }
    if (!get_count(json, "threads", &threads) || threads > 65536) {
        return "threads";
    }
    if (!get_count(json, "start_epoch_ms", &start_ms)) {
        return "start_epoch_ms";
    }
    if (!str_to_u64(json_get_string(json, "seed", ""), &meta->seed)) {
        return "seed";
    }
    const struct json *speed = json_get(json, "tls_speed");
    meta->p256_signs_per_s = json_get_number(speed, "p256_signs_per_s", 0);
    meta->p256_verifies_per_s = json_get_number(speed, "p256_verifies_per_s", 0);
    meta->threads = (unsigned)threads;
    meta->start_wall_s = (double)start_ms / 1e3;
    meta->dials_due = str_equal(json_get_string(json, "due", ""), "connections");
    meta->finished = json_get_bool(json, "finished", false);
    meta->interrupted = json_get_bool(json, "interrupted", false);
    const struct json *generator = json_get(json, "generator");
    meta->healthy = json_get_bool(generator, "healthy", true);
    (void)str_copy(meta->health, sizeof meta->health, json_get_string(generator, "reason", ""));
    generator_json_load(generator, &meta->generator);
    (void)str_copy(meta->invalid, sizeof meta->invalid, json_get_string(json, "invalid", ""));
    (void)str_copy(meta->ended, sizeof meta->ended, json_get_string(json, "ended_early", ""));
    abort_json_load(json, &meta->abort);
    (void)get_seconds(json, "load_s", &meta->load_ns);
    return !get_seconds(json, "duration_s", &meta->duration_ns) ? "duration_s"
           : !get_seconds(json, "tick_s", &meta->tick_ns)       ? "tick_s"
           : !get_sources(json, meta)                           ? "sources"
           : !get_refusals(json, meta)                          ? "refusals"
           : !get_misuses(json, meta)                           ? "misuses"
                                                                : NULL;
}

/* `ns` must lie in the slot that the log gave, or the two are not of the same run. */
static bool lies_in(uint32_t slot, double ns)
{
    uint64_t width, low = hist_slot_low(slot, &width);

    return ns >= (double)low && ns < (double)(low + width);
}

static void refine_latency(const struct json *json, struct hist *hist)
{
    uint64_t n;
    double min_ns = round(json_get_number(json, "min_us", -1.0) * 1e3);
    double max_ns = round(json_get_number(json, "max_us", -1.0) * 1e3);
    double sum_ns = json_get_number(json, "mean_us", -1.0) * 1e3 * (double)hist->n;

    if (hist->n == 0 || !get_count(json, "n", &n) || n != hist->n ||
        !lies_in(hist->first, min_ns) || !lies_in(hist->last, max_ns)) {
        return;
    }
    hist->min_ns = (uint64_t)min_ns;
    hist->max_ns = (uint64_t)max_ns;
    hist->sum_ns = sum_ns >= 0 && sum_ns < 0x1p63 ? (uint64_t)sum_ns : hist->sum_ns;
    (void)get_count(json, "n_clipped", &hist->n_clipped);
}

/* The name of the first member that is wrong, or NULL. */
static const char *get_totals(const struct json *json, struct interval *total)
{
    const struct json *counts = json_get(json, "totals"), *gauges = json_get(json, "gauges");
    const struct json *outcomes = json_get(json, "outcomes"), *status = json_get(json, "status");
    const struct json *latency = json_get(json, "latency");

    if (!json_is_map(counts)) {
        return "totals";
    }
    for (int i = 0; i < COUNTER_COUNT; i++) {
        const char *name = metric_counter((enum counter)i)->name;
        if (!get_count(counts, name, &total->count[i])) {
            return name;
        }
    }
    for (int i = 0; i < GAUGE_COUNT; i++) {
        const char *name = metric_gauge((enum gauge)i)->name;
        if (!get_count(gauges, name, &total->gauge[i])) {
            return name;
        }
    }
    for (int i = 0; i < OUTCOME_COUNT; i++) {
        const char *name = outcome_info((enum outcome)i)->name;
        if (!get_count(outcomes, name, &total->outcome[i])) {
            return name;
        }
    }
    for (int i = 0; i < N_STATUS; i++) {
        if (!get_count(status, statuses[i], &total->status[i])) {
            return statuses[i];
        }
    }
    for (int i = 0; i < LATENCY_COUNT; i++) {
        refine_latency(json_get(latency, metric_latency((enum latency)i)->name),
                       &total->latency[i]);
    }
    return !get_tallies(json, total)          ? "refusals"
           : !get_misuse_tallies(json, total) ? "misuses"
                                              : NULL;
}

/* The document, or NULL with a mistake. */
static struct json *open_json(const char *path, struct diag *diag)
{
    struct origin origin = {path, 0};
    struct stat st;
    size_t len;
    char error[160];

    if (stat(path, &st) != 0 || !S_ISREG(st.st_mode)) {
        diag_add(diag, origin, "not a file");
        return NULL;
    }
    CLEANUP_FREE char *text = file_read(path, MAX_BYTES, &len);
    if (text == NULL) {
        diag_add(diag, origin, "can't be read: %s", strerror(errno));
        return NULL;
    }
    struct json *json = json_parse(text, len, error, sizeof error);
    if (json == NULL) {
        diag_add(diag, origin, "not JSON: %s", error);
    }
    return json;
}

static bool is_right_schema(const char *path, const struct json *json, struct diag *diag)
{
    const char *schema = json_get_string(json, "schema", "");
    struct origin origin = {path, 0};

    if (str_equal(schema, SCHEMA)) {
        return true;
    }
    if (str_has_prefix(schema, "tlsoak.run/")) {
        diag_add(diag, origin, "written by another version of tlsoak (%.40s); this one reads %s",
                 schema, SCHEMA);
    } else {
        diag_add(diag, origin, "not a run of tlsoak (its schema is \"%.40s\")", schema);
    }
    return false;
}

static bool complain(const char *path, const char *wrong, struct diag *diag)
{
    if (wrong != NULL) {
        diag_add(diag, (struct origin){path, 0}, "`%s` is missing or not what it should be", wrong);
    }
    return wrong == NULL;
}

bool run_json_load_meta(const char *path, struct run_meta *ret_meta, struct diag *diag)
{
    struct json *json = open_json(path, diag);

    if (json == NULL) {
        return false;
    }
    bool ok = is_right_schema(path, json, diag) && complain(path, get_meta(json, ret_meta), diag);
    json_free(json);
    return ok;
}

bool run_json_load_totals(const char *path, struct stored_run *stored, struct diag *diag)
{
    struct json *json = open_json(path, diag);

    if (json == NULL) {
        return false;
    }
    const char *wrong = get_seconds(json, "elapsed_s", &stored->elapsed_ns)
                            ? get_totals(json, stored->total)
                            : "elapsed_s";
    json_free(json);
    return complain(path, wrong, diag);
}
