#include "trials.h"

#include <math.h>
#include <string.h>

#define KB   1024.0
#define MB   (1024.0 * KB)
#define TIME DRIVER_TIME
#define REQ  DRIVER_REQUEST
#define CONN DRIVER_CONNECTION
#define CERT DRIVER_CLIENT_CERTIFICATE
#define KEY  DRIVER_API_KEY
#define JWT  DRIVER_JWT

#define KEEPS(driver, bytes)                                                                       \
    {                                                                                              \
        FAULT_KEEPS, driver, bytes, 0                                                              \
    }
#define FILLS(driver, bytes, share)                                                                \
    {                                                                                              \
        FAULT_LRU, driver, bytes, share                                                            \
    }
#define GONE(driver, bytes, share)                                                                 \
    {                                                                                              \
        FAULT_TTL, driver, bytes, share                                                            \
    }
#define LIST(name, servers)                                                                        \
    {                                                                                              \
        name, servers, sizeof servers / sizeof *servers                                            \
    }

static const struct server leaks[] = {
    {"none", {{FAULT_NONE, TIME, 0, 0}}},
    {"time", {KEEPS(TIME, 40 * KB)}},
    {"request", {KEEPS(REQ, 200)}},
    {"connection", {KEEPS(CONN, 2048)}},
    {"certificate", {KEEPS(CERT, 3072)}},
    {"key", {KEEPS(KEY, 400)}},
    {"token", {KEEPS(JWT, 1024)}},
    {"connection and token", {KEEPS(CONN, 2048), KEEPS(JWT, 1024)}},
    {"request and certificate", {KEEPS(REQ, 200), KEEPS(CERT, 3072)}},
    {"key and time", {KEEPS(KEY, 400), KEEPS(TIME, 40 * KB)}},
    {"certificate, key, token", {KEEPS(CERT, 3072), KEEPS(KEY, 400), KEEPS(JWT, 1024)}},
};

static const struct server traps[] = {
    {"full of connections", {FILLS(CONN, 3400, 0.4)}},
    {"full of certificates", {FILLS(CERT, 3072, 0.4)}},
    {"tokens expire", {GONE(JWT, 1024, 0.2)}},
    {"keys expire", {GONE(KEY, 400, 0.2)}},
    {"full of certificates, token leak", {FILLS(CERT, 3072, 0.4), KEEPS(JWT, 1024)}},
};

static const struct server late[] = {
    {"late connections", {FILLS(CONN, 3400, 0.85)}},
    {"late certificates", {FILLS(CERT, 3072, 0.85)}},
    {"late tokens", {FILLS(JWT, 1024, 0.85)}},
    {"late keys", {FILLS(KEY, 400, 0.85)}},
};

static const struct server crossover[] = {
    {"cert_2048", {KEEPS(CERT, 2048)}}, {"jwt_1024", {KEEPS(JWT, 1024)}},
    {"key_300", {KEEPS(KEY, 300)}},     {"connection_512", {KEEPS(CONN, 512)}},
    {"request_64", {KEEPS(REQ, 64)}},
};

static const struct server innocent[] = {
    {"lru_cert", {FILLS(CERT, 2048, 0.3)}},
    {"lru_jwt", {FILLS(JWT, 1024, 0.3)}},
    {"lru_key", {FILLS(KEY, 300, 0.4)}},
    {"lru_connection", {FILLS(CONN, 3400, 0.4)}},
    {"late_lru_cert", {FILLS(CERT, 2048, 0.75)}},
    {"late_lru_jwt", {FILLS(JWT, 1024, 0.75)}},
    {"ttl_cert", {GONE(CERT, 2048, 0.2)}},
    {"ttl_jwt", {GONE(JWT, 1024, 0.2)}},
    {"ttl_key", {GONE(KEY, 300, 0.2)}},
    {"step", {{FAULT_STEP, TIME, 2 * MB, 0}}},
    {"large_step", {{FAULT_STEP, TIME, 8 * MB, 0}}},
    {"sawtooth", {{FAULT_SAWTOOTH, TIME, 600, 0}}},
};

static const struct server fading[] = {
    {"fading connections", {{FAULT_FADES, CONN, 3400, 0.3}}},
    {"fading certificates", {{FAULT_FADES, CERT, 3072, 0.3}}},
    {"fading tokens", {{FAULT_FADES, JWT, 1024, 0.5}}},
    {"fading keys", {{FAULT_FADES, KEY, 400, 0.5}}},
    {"slowing connections", {{FAULT_SLOWS, CONN, 3400, 0.1}}},
    {"slowing certificates", {{FAULT_SLOWS, CERT, 3072, 0.1}}},
    {"slowing tokens", {{FAULT_SLOWS, JWT, 1024, 0.2}}},
    {"slowing keys", {{FAULT_SLOWS, KEY, 400, 0.2}}},
};

static const struct server extra[] = {
    {"aborted", {KEEPS(DRIVER_ABORTED, 2048)}},
    {"refused", {KEEPS(DRIVER_REFUSED, 4096)}},
    {"rotation", {KEEPS(DRIVER_ROTATION, 256 * KB)}},
    {"resumption", {KEEPS(DRIVER_RESUMPTION, 2048)}},
    {"connection", {KEEPS(CONN, 2048)}},
    {"token", {KEEPS(JWT, 1024)}},
};

const struct scenarios scenarios_leaks = LIST("leaks", leaks);
const struct scenarios scenarios_traps = LIST("traps", traps);
const struct scenarios scenarios_late = LIST("late stores", late);
const struct scenarios scenarios_fading = LIST("fading stores", fading);
const struct scenarios scenarios_crossover = LIST("small leaks", crossover);
const struct scenarios scenarios_innocent = LIST("innocent", innocent);
const struct scenarios scenarios_extra = LIST("more drivers", extra);

static const struct {
    enum driver driver;
    double bytes;
} budgets[TRIAL_BUDGETS] = {{CERT, 377}, {CERT, 1024}, {CONN, 149},
                            {CONN, 570}, {KEY, 83},    {JWT, 270},
                            {REQ, 67},   {REQ, 293},   {DRIVER_ABORTED, 1420}};

struct experiment trial_budgeted(struct experiment experiment, size_t number)
{
    enum driver driver = budgets[number].driver;
    experiment.budget[driver] = budgets[number].bytes;
    if (driver == DRIVER_ABORTED) {
        experiment.extra[experiment.n_extra++] = driver;
    }
    return experiment;
}

struct server trial_times_budget(size_t number, double times)
{
    enum server_fault kind = times > 0 ? FAULT_KEEPS : FAULT_NONE;
    return (struct server){"budget",
                           {{kind, budgets[number].driver, times * budgets[number].bytes, 0}}};
}

/* Bytes per event that the server keeps for ever. */
static double kept_for_ever(const struct server *server, enum driver driver)
{
    double bytes = 0;
    for (size_t k = 0; k < SERVER_FAULTS; k++) {
        const struct fault *f = &server->fault[k];
        bytes += f->kind == FAULT_KEEPS && f->driver == driver ? f->bytes : 0;
    }
    return bytes;
}

static bool is_store(const struct server *server, enum driver driver)
{
    for (size_t k = 0; k < SERVER_FAULTS; k++) {
        enum server_fault kind = server->fault[k].kind;
        bool store =
            kind == FAULT_LRU || kind == FAULT_TTL || kind == FAULT_FADES || kind == FAULT_SLOWS;
        if (store && server->fault[k].driver == driver) {
            return true;
        }
    }
    return false;
}

/* One driver's finding; returns whether it is as it should be. */
static bool score_driver(const struct server *server, const struct driver_finding *d,
                         struct score *score)
{
    double kept = kept_for_ever(server, d->driver);
    bool store = is_store(server, d->driver);
    score->separable += d->separable;
    score->bounded += store && d->bounded;
    if (d->separable && !store) {
        score->intervals++;
        score->missed += !(d->low <= kept && kept <= d->high);
    }
    if (d->blamed && kept > 0) {
        score->errors++;
        score->error += fabs(d->bytes_per_event / kept - 1);
    }
    return d->blamed == (kept > 0);
}

struct judge_options trial_options(const struct experiment *experiment)
{
    struct judge_options options = judge_options_none();
    options.designed = !experiment->steady;
    options.warmup_s = experiment->warmup_s;
    options.dwell_s = experiment->dwell_s;
    options.floors = experiment->floors;
    for (int d = 0; d < DRIVER_COUNT; d++) {
        if (experiment->budget[d] > 0) {
            options.judge.budget[d] = experiment->budget[d];
        }
    }
    return options;
}

void trial_server(const struct server *server, const struct experiment *experiment, unsigned seed,
                  unsigned n, struct score *score)
{
    static struct series series;
    static struct memory_finding f;
    struct judge_options options = trial_options(experiment);
    for (unsigned i = 0; i < n; i++) {
        bool exact = true;
        bool wrong = false;
        server_run(server, experiment, seed + i, &series);
        judge_series(&series, &options, &f);
        for (size_t k = 0; k < f.n_drivers; k++) {
            bool right = score_driver(server, &f.drivers[k], score);
            exact = exact && right;
            wrong = wrong || (!right && f.drivers[k].blamed);
        }
        bool leak = f.class == MEMORY_LEAK;
        score->runs++;
        score->exact += exact;
        score->innocent_blamed += wrong;
        score->leaks += leak;
        score->passes += f.class == MEMORY_STABLE || f.class == MEMORY_BOUNDED;
        score->slowing_said += strstr(f.reason, "it grew with") != NULL;
        score->refresh_said += strstr(f.reason, "refreshed only every") != NULL;
        score->unbounded_said += leak && strstr(f.reason, "no bound seen up to") != NULL;
    }
}

static bool moves(const struct experiment *e, enum driver driver)
{
    bool always = driver <= DRIVER_CONNECTION || driver == CERT || driver == KEY || driver == JWT ||
                  (e->resumes && driver == DRIVER_RESUMPTION);
    for (size_t k = 0; k < e->n_extra; k++) {
        always = always || e->extra[k] == driver;
    }
    return always;
}

struct score trial_all(const struct scenarios *scenarios, const struct experiment *experiment,
                       unsigned seed, unsigned n)
{
    struct score score = {0};
    for (size_t i = 0; i < scenarios->n; i++) {
        if (moves(experiment, scenarios->server[i].fault[0].driver)) {
            trial_server(&scenarios->server[i], experiment, seed, n, &score);
        }
    }
    return score;
}

struct score trial_caches(const struct experiment *experiment, double lives, double kept_share,
                          unsigned seed, unsigned n)
{
    static const struct fault entries[] = {GONE(CERT, 3072, 0), GONE(CONN, 2048, 0),
                                           GONE(KEY, 400, 0), GONE(JWT, 1024, 0)};
    struct score score = {0};
    for (size_t i = 0; i < sizeof entries / sizeof *entries; i++) {
        struct server server = {"cache", {entries[i], entries[i]}};
        struct experiment budgeted = *experiment;
        budgeted.budget[entries[i].driver] = entries[i].bytes / 4;
        server.fault[0].bound = lives;
        server.fault[0].bytes *= 1 - kept_share;
        server.fault[1].kind = kept_share > 0 ? FAULT_KEEPS : FAULT_NONE;
        server.fault[1].bytes *= kept_share;
        trial_server(&server, &budgeted, seed, n, &score);
    }
    return score;
}

/* The pairs as the load played them: the coins are in the counters. */
static struct judge_pairs read_pairs(const struct series *s, const struct experiment *e,
                                     uint8_t *fresh_first, size_t most)
{
    struct judge_pairs p = {
        .start_s = e->warmup_s, .dwell_s = e->dwell_s, .fresh_first = fresh_first, .factor = CERT};
    size_t at = 0;
    for (; p.n < most; p.n++) {
        double begin_s = e->warmup_s + 2 * (double)p.n * e->dwell_s;
        double certs[3];
        for (int k = 0; k < 3; k++) {
            while (at + 1 < s->n && s->t[at + 1] <= begin_s + k * e->dwell_s + 1e-6) {
                at++;
            }
            certs[k] = s->x[CERT][at];
        }
        if (begin_s + 2 * e->dwell_s > s->t[s->n - 1] + 1e-6) {
            break;
        }
        fresh_first[p.n] = certs[1] - certs[0] > certs[2] - certs[1];
    }
    return p;
}

void trial_pairs(const struct server *server, const struct experiment *experiment, unsigned seed,
                 struct pairs_finding *ret_finding)
{
    static struct series s;
    static uint8_t fresh_first[4096];
    const struct fault *f = &server->fault[0];
    struct experiment e = *experiment;
    struct judge_options options = judge_options_none();
    e.pairs = true;
    server_run(server, &e, seed, &s);
    options.floors = e.floors;
    options.pairs = read_pairs(&s, &e, fresh_first, sizeof fresh_first);
    if (f->kind == FAULT_LRU) {
        options.judge.expect_bound[CERT] = f->bound * s.x[CERT][s.n - 1];
    } else if (f->kind == FAULT_TTL) {
        options.judge.expect_ttl_ns = (uint64_t)(f->bound * e.seconds * 1e9);
    }
    judge_pairs(&s, &options, ret_finding);
}

struct early trial_early(const struct server *server, const struct experiment *experiment,
                         unsigned seed, unsigned n)
{
    struct early early = {.runs = n};
    double kept = kept_for_ever(server, CERT);
    for (unsigned i = 0; i < n; i++) {
        struct pairs_finding f;
        trial_pairs(server, experiment, seed + i, &f);
        early.called += f.reached;
        early.covered += f.reached && f.low <= kept && kept <= f.high;
        early.seconds += f.called_s;
    }
    return early;
}
