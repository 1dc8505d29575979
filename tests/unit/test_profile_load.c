/* From text to plan: defaults, extends, --set, ${VAR}, @file, what the URL says, and where each
 * value came from. */
#include "base/mem.h"
#include "base/mono.h"
#include "base/str.h"
#include "profile/ini.h"
#include "profile/profile.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#define DATA TEST_DATA "/profiles"

static void stop_on_mistakes(struct diag *diag)
{
    if (diag_count(diag) > 0) {
        diag_print(diag, stderr);
        fail_msg("%zu mistakes", diag_count(diag));
    }
    diag_free(diag);
}

static struct plan *load(const char *path, const char *const *sets, size_t n_sets)
{
    struct diag *diag = diag_new();
    struct plan *plan = profile_load(path, sets, n_sets, diag);

    stop_on_mistakes(diag);
    assert_non_null(plan);
    return plan;
}

static struct plan *load_text(const char *text, const char *const *sets, size_t n_sets)
{
    struct diag *diag = diag_new();
    struct plan *plan = profile_load_text("text", text, sets, n_sets, diag);

    stop_on_mistakes(diag);
    assert_non_null(plan);
    return plan;
}

static void assert_origin(const struct plan *plan, const void *field, const char *file, int line)
{
    struct origin origin = plan_origin(plan, field);

    assert_string_equal(origin.file, file);
    assert_int_equal(origin.line, line);
}

#define SHORT "[run]\nduration = 10s\n[target]\nurl = https://a.test/\n"

static void what_is_not_said_has_its_default(void **state)
{
    struct plan *plan = load_text(SHORT "[cert]\nca = " DATA "/whole.ini\nca_key = " DATA
                                        "/whole.ini\n[apikey]\n[memory]\n",
                                  NULL, 0);

    (void)state;
    assert_int_equal(plan->run.seed, 1);
    assert_true(plan->run.threads >= 1);
    assert_int_equal(plan->run.max_in_flight_handshakes, 256);
    assert_int_equal(plan->run.drain_ns, 2 * NS_PER_S);
    assert_int_equal(plan->target.verify, VERIFY_CACHED);
    assert_int_equal(plan->target.tls_min, TLS_VERSION_1_2);
    assert_int_equal(plan->target.tls_max, TLS_VERSION_1_3);
    assert_string_equal(plan->target.groups, "X25519:P-256");
    assert_int_equal(plan->target.timeout_connect_ns, 5 * NS_PER_S);
    assert_int_equal(plan->target.timeout_exchange_ns, 60 * NS_PER_S);
    assert_int_equal(plan->pace.mode, PACE_CLOSED);
    assert_int_equal(plan->pace.connections, 16);
    assert_int_equal(plan->certs[0].lifetime_ns, 24 * 3600 * NS_PER_S);
    assert_int_equal(plan->certs[0].renew_before_ns, 24 * 360 * NS_PER_S);
    assert_true(plan->certs[0].key_per_cert);
    assert_int_equal(plan->certs[0].rotate.kind, ROTATE_CONNECTION);
    assert_string_equal(plan->certs[0].name, "default");
    assert_string_equal(plan->apikeys[0].template, "client-{n}-{random}");
    assert_int_equal(plan->apikeys[0].rotate.kind, ROTATE_USES);
    assert_int_equal(plan->apikeys[0].rotate.uses, 1);
    assert_int_equal(plan->n_requests, 1);
    assert_string_equal(plan->requests[0].method, "GET");
    assert_null(plan->requests[0].path);
    assert_true(plan->requests[0].weight == 1);
    assert_int_equal(plan->memories[0].every_ns, 200 * NS_PER_MS);
    assert_int_equal(plan->memories[0].deadline_ns, NS_PER_S);
    for (size_t i = 0; i < DRIVER_COUNT; i++) {
        assert_true(plan->judge.budget[i] == -1);
        assert_true(plan->judge.expect_bound[i] == 0);
    }
    assert_int_equal(plan->attribution.dwell_ns, 2 * NS_PER_S);
    assert_origin(plan, &plan->run.seed, "default", 0);
    assert_origin(plan, &plan->run.duration_ns, "text", 2);
    plan_free(plan);
}

static void long_runs_read_memory_once_a_second(void **state)
{
    const char *const sets[] = {"run.duration=5m"};
    struct plan *plan = load_text(SHORT "[memory]\n", sets, 1);

    (void)state;
    assert_int_equal(plan->memories[0].every_ns, NS_PER_S);
    plan_free(plan);
}

static void readings_that_take_their_time_are_rarer(void **state)
{
    const char *const sets[] = {"run.duration=1m"};
    struct plan *plan = load_text(SHORT "[memory a]\nsource = command\ncommand = cat /x\n"
                                        "[memory b]\nsettle = http://[::1]:6060/gc?now=1\n"
                                        "[memory c]\nsettle = https://gc.test/\nevery = 30s\n"
                                        "[memory d]\nsettle = jcmd {pid} GC.run\n"
                                        "[memory e]\n",
                                  sets, 1);
    const struct plan_memory *memory = plan->memories;

    (void)state;
    assert_int_equal(memory[0].source, MEMORY_SOURCE_COMMAND);
    assert_int_equal(memory[0].every_ns, NS_PER_S);
    assert_int_equal(memory[0].deadline_ns, NS_PER_S);
    assert_int_equal(memory[0].settle_by, SETTLE_NOT);
    assert_int_equal(memory[1].source, MEMORY_SOURCE_PROCESS);
    assert_int_equal(memory[1].every_ns, 5 * NS_PER_S);
    assert_int_equal(memory[1].deadline_ns, 5 * NS_PER_S);
    assert_int_equal(memory[1].settle_by, SETTLE_HTTP);
    assert_string_equal(memory[1].settle_target.dial_host, "::1");
    assert_int_equal(memory[1].settle_target.dial_port, 6060);
    assert_string_equal(memory[1].settle_target.url_path, "/gc?now=1");
    assert_string_equal(memory[1].settle_target.host_header, "[::1]:6060");
    assert_int_equal(memory[2].deadline_ns, 10 * NS_PER_S);
    assert_int_equal(memory[2].settle_by, SETTLE_HTTPS);
    assert_int_equal(memory[2].settle_target.dial_port, 443);
    assert_string_equal(memory[2].settle_target.host_header, "gc.test");
    assert_int_equal(memory[3].settle_by, SETTLE_COMMAND);
    assert_int_equal(memory[4].deadline_ns, NS_PER_S);
    plan_free(plan);
}

static void a_child_overrides_its_parent(void **state)
{
    struct plan *plan = load(DATA "/family.ini", NULL, 0);
    const struct plan_request *list = &plan->requests[0], *item = &plan->requests[1];

    (void)state;
    assert_int_equal(plan->run.duration_ns, 20 * NS_PER_S);
    assert_origin(plan, &plan->run.duration_ns, DATA "/family.ini", 4);
    assert_int_equal(plan->run.seed, 7);
    assert_origin(plan, &plan->run.seed, DATA "/parent.ini", 4);
    assert_null(plan->target.connect_to);
    assert_string_equal(plan->target.dial_host, "parent.test");
    assert_int_equal(plan->n_requests, 2);
    assert_string_equal(list->name, "list");
    assert_string_equal(list->path, "/list");
    assert_origin(plan, &list->path, DATA "/parent.ini", 9);
    assert_origin(plan, &list->origin, "default", 0);
    assert_int_equal(list->origin.line, 7);
    assert_int_equal(list->n_headers, 2);
    assert_string_equal(list->headers[0].value, "application/json");
    assert_origin(plan, &list->headers[0].value, DATA "/family.ini", 8);
    assert_string_equal(list->headers[1].value, "yes");
    assert_origin(plan, &list->headers[1].value, DATA "/parent.ini", 11);
    assert_string_equal(item->name, "item");
    assert_true(item->weight == 2.5);
    assert_origin(plan, &item->weight, DATA "/family.ini", 11);
    plan_free(plan);
}

static void sets_win(void **state)
{
    const char *const sets[] = {
        "run.duration=1m",     "run.duration = 2m",          "memory.pid=12",
        "memory.port=",        "request.list.path=/l",       "request.item.header.X-A=b; c",
        "judge.budget.jwt=8B", "attribution.mode=crossover", "target.sni="};
    const char *const pid[] = {"memory.pid=77"};
    struct plan *plan = load(DATA "/sets.ini", sets, sizeof sets / sizeof sets[0]);

    (void)state;
    assert_int_equal(plan->run.duration_ns, 120 * NS_PER_S);
    assert_origin(plan, &plan->run.duration_ns, "--set", 0);
    assert_int_equal(plan->memories[0].pid, 12);
    assert_int_equal(plan->memories[0].port, 0);
    assert_string_equal(plan->requests[0].path, "/l");
    assert_origin(plan, &plan->requests[0].path, "--set", 0);
    assert_string_equal(plan->requests[1].headers[0].name, "X-A");
    assert_string_equal(plan->requests[1].headers[0].value, "b; c");
    assert_true(plan->judge.budget[DRIVER_JWT] == 8);
    assert_origin(plan, &plan->judge.budget[DRIVER_JWT], "--set", 0);
    assert_int_equal(plan->attribution.mode, ATTRIBUTION_CROSSOVER);
    assert_string_equal(plan->target.sni, "");
    assert_null(plan->target.server_name);
    assert_string_equal(plan->target.verify_name, "a.test");
    plan_free(plan);
    /* a section that no profile has is added */
    plan = load_text(SHORT, pid, 1);
    assert_int_equal(plan->n_memories, 1);
    assert_int_equal(plan->memories[0].pid, 77);
    plan_free(plan);
}

static void the_environment_and_files_fill_values(void **state)
{
    (void)state;
    assert_int_equal(setenv("TLSOAK_TEST_SECRET", "from the environment", 1), 0);
    struct plan *plan = load(DATA "/whole.ini", NULL, 0);
    assert_string_equal(plan->jwts[0].key, "from the environment");
    assert_string_equal(plan->jwts[0].kid, "@kid ${x}");
    assert_string_equal(plan->jwts[0].scheme, "");
    assert_string_equal(plan->jwts[0].claims, "{\"sub\":\"c-{n}\",\"note\":\"a ; b\"}");
    assert_string_equal(plan->apikeys[0].secret, "canary-file");
    assert_string_equal(plan->certs[0].subject, "CN=client-{n}; O=a ; b");
    assert_string_equal(plan->requests[0].headers[1].value, "Bearer from the environment");
    assert_string_equal(plan->requests[0].headers[2].value, "");
    assert_int_equal(plan->requests[0].body_len, 17);
    assert_memory_equal(plan->requests[0].body, "bytes\0with a NUL\n", 17);
    CLEANUP_FREE char *real = realpath(DATA "/whole.ini", NULL);
    assert_string_equal(plan->certs[0].ca, real);
    assert_string_equal(plan->run.dir, "out/run one");
    plan_free(plan);
}

struct address {
    const char *url, *more;
    const char *host, *header, *sni, *verify, *path, *dial;
    unsigned port;
};

static const struct address addresses[] = {
    {"https://a.test", "", "a.test", "a.test", "a.test", "a.test", "/", "a.test", 443},
    {"https://a.test:443/x", "", "a.test", "a.test", "a.test", "a.test", "/x", "a.test", 443},
    {"https://a.test:8443/x?y=/z", "", "a.test", "a.test:8443", "a.test", "a.test", "/x?y=/z",
     "a.test", 8443},
    {"https://a.test?q", "", "a.test", "a.test", "a.test", "a.test", "/?q", "a.test", 443},
    {"https://127.0.0.1:8443/", "", "127.0.0.1", "127.0.0.1:8443", NULL, "127.0.0.1", "/",
     "127.0.0.1", 8443},
    {"https://[::1]:8443/", "", "::1", "[::1]:8443", NULL, "::1", "/", "::1", 8443},
    {"https://[::1]", "", "::1", "[::1]", NULL, "::1", "/", "::1", 443},
    {"https://a.test/", "connect_to = 10.0.0.1:9443\n", "a.test", "a.test", "a.test", "a.test", "/",
     "10.0.0.1", 9443},
    {"https://a.test:8443/", "connect_to = [::1]\n", "a.test", "a.test:8443", "a.test", "a.test",
     "/", "::1", 8443},
    {"https://127.0.0.1/", "sni = b.test\nhost = c.test:1\n", "127.0.0.1", "c.test:1", "b.test",
     "b.test", "/", "127.0.0.1", 443},
};

static void assert_text(const char *found, const char *wanted)
{
    assert_int_equal(found == NULL, wanted == NULL);
    if (wanted != NULL) {
        assert_string_equal(found, wanted);
    }
}

static void the_url_says_whom_to_dial_and_what_to_verify(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof addresses / sizeof addresses[0]; i++) {
        const struct address *a = &addresses[i];
        CLEANUP_FREE char *text =
            xasprintf("[run]\nduration = 10s\n[target]\nurl = %s\n%s", a->url, a->more);
        struct plan *plan = load_text(text, NULL, 0);
        const struct plan_target *t = &plan->target;
        assert_text(t->url_host, a->host);
        assert_text(t->host_header, a->header);
        assert_text(t->server_name, a->sni);
        assert_text(t->verify_name, a->verify);
        assert_text(t->url_path, a->path);
        assert_text(t->dial_host, a->dial);
        assert_int_equal(t->dial_port, a->port);
        plan_free(plan);
    }
}

static void wrong_urls_are_refused(void **state)
{
    static const char *const urls[] = {
        "a.test",
        "https://",
        "https:///x",
        "https://a.test:0/",
        "https://a.test:/",
        "https://[::1",
        "https://[a.test]/",
        "https://::1/",
        "https://a..test/",
        "https://-a.test/",
        "https://300.1.1.1",
        "https://a.test/a b",
        "https://a.test/#x",
        "https://a.test:1:2",
        "https://[",
        "https://a_b!/",
        "HTTPS//a.test",
        "https://u:p@a.test",
        "https://[::1]x/",
        "https://a.test:65536",
    };

    (void)state;
    for (size_t i = 0; i < sizeof urls / sizeof urls[0]; i++) {
        CLEANUP_FREE char *text = xasprintf("[run]\nduration = 10s\n[target]\nurl = %s\n", urls[i]);
        struct diag *diag = diag_new();
        struct plan *plan = profile_load_text("text", text, NULL, 0, diag);
        if (plan != NULL || diag_count(diag) != 1 ||
            !str_has_prefix(diag_text(diag, 0), "text:4: target.url: ")) {
            fail_msg("%s: %s", urls[i], diag_count(diag) > 0 ? diag_text(diag, 0) : "taken");
        }
        diag_free(diag);
    }
}

/* memory.csv has columns of the process too, and none may be there twice. */
static void a_metric_has_a_column_of_its_own(void **state)
{
    static const char *const metrics[][2] = {
        {"heap_bytes", "heap_bytes"},
        {"heap", "heap_bytes"},
        {"rss_bytes", "prometheus_rss_bytes"},
        {"rss", "prometheus_rss_bytes"},
        {"anon", "prometheus_anon_bytes"},
        {"pss_bytes", "prometheus_pss_bytes"},
        {"private_dirty", "prometheus_private_dirty_bytes"},
        {"command", "prometheus_command_bytes"},
        {"process_resident_memory_bytes", "process_resident_memory_bytes"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof metrics / sizeof *metrics; i++) {
        CLEANUP_FREE char *text =
            xasprintf(SHORT "[memory]\nsource = prometheus\nurl = http://127.0.0.1:9/metrics\n"
                            "metric = %s\n",
                      metrics[i][0]);
        struct plan *plan = load_text(text, NULL, 0);
        assert_string_equal(plan->memories[0].column, metrics[i][1]);
        plan_free(plan);
    }
}

static void a_stored_profile_needs_nothing_around_it(void **state)
{
    struct diag *diag = diag_new();

    (void)state;
    assert_int_equal(unsetenv("TLSOAK_TEST_SECRET"), 0);
    assert_int_equal(unsetenv("TLSOAK_TEST_UNSET"), 0);
    struct plan *plan = profile_load_stored(DATA "/gone.ini", diag);
    stop_on_mistakes(diag);
    assert_non_null(plan);
    assert_string_equal(plan->jwts[0].key, "${TLSOAK_TEST_UNSET}");
    assert_string_equal(plan->apikeys[0].secret, "@nowhere/apikey.secret");
    assert_true(plan->judge.budget[DRIVER_JWT] == 64);
    plan_free(plan);
    /* the same profile for a run */
    diag = diag_new();
    assert_null(profile_load(DATA "/gone.ini", NULL, 0, diag));
    assert_int_equal(diag_count(diag), 4);
    diag_free(diag);
}

static void earlier_mistakes_of_others_are_not_the_profiles(void **state)
{
    struct diag *diag = diag_new();

    (void)state;
    diag_add(diag, (struct origin){.file = "elsewhere"}, "something");
    struct plan *plan = profile_load_text("text", SHORT, NULL, 0, diag);
    assert_non_null(plan);
    plan_free(plan);
    diag_free(diag);
}

static void on_section(void *user, const char *section, int line)
{
    sink_printf(user, "%d:[%s]\n", line, section);
}

static void on_value(void *user, const char *key, const char *value, int line)
{
    sink_printf(user, "%d:%s=<%s>\n", line, key, value);
}

static void quotes_and_comments_are_read_as_they_look(void **state)
{
    static const char text[] = "[ a  b ] ; comment\n"
                               "k = plain ; comment\n"
                               "k = plain;not a comment\n"
                               "k = plain # not a comment\n"
                               "k = \"quoted ; semicolon\" ; comment\n"
                               "k = \"\"\n"
                               "k =\n"
                               "k = 5\" wide ; comment\n"
                               "  k = indented\n"
                               "\tk : colon = and equals\n"
                               "k = {\"a\\\"b\": \" ; \"} ; comment\n"
                               "; comment = x\n"
                               "# comment = y\n"
                               "k = last, without an end";
    struct sink *sink = sink_new();
    struct diag *diag = diag_new();
    const struct ini_handler handler = {.section = on_section, .value = on_value, .user = sink};

    (void)state;
    ini_read("t", text, strlen(text), &handler, diag);
    stop_on_mistakes(diag);
    assert_string_equal(sink_text(sink, NULL), "1:[a  b]\n"
                                               "2:k=<plain>\n"
                                               "3:k=<plain;not a comment>\n"
                                               "4:k=<plain # not a comment>\n"
                                               "5:k=<quoted ; semicolon>\n"
                                               "6:k=<>\n"
                                               "7:k=<>\n"
                                               "8:k=<5\" wide>\n"
                                               "9:k=<indented>\n"
                                               "10:k=<colon = and equals>\n"
                                               "11:k=<{\"a\\\"b\": \" ; \"}>\n"
                                               "14:k=<last, without an end>\n");
    sink_free(sink);
}

static void what_ini_writes_it_reads(void **state)
{
    static const char *const values[] = {
        "",      "x",       " lead",     "trail ",   "a ; b",  "\"",
        "\"q\"", "5\" ; x", "a\\",       ";x",       "#x",     "=",
        ": [x]", "a\tb",    "\"a\" ; b", "it\"s ;x", "\\\" ;", "{\"a\":\";\"}"};

    (void)state;
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        struct sink *line = sink_new(), *found = sink_new();
        struct diag *diag = diag_new();
        const struct ini_handler handler = {
            .section = on_section, .value = on_value, .user = found};
        if (ini_write(line, "key", values[i], "origin.ini:3")) {
            size_t len;
            const char *text = sink_text(line, &len);
            ini_read("t", text, len, &handler, diag);
            CLEANUP_FREE char *one = xasprintf("1:key=<%s>\n", values[i]);
            CLEANUP_FREE char *two = xasprintf("2:key=<%s>\n", values[i]);
            const char *got = sink_text(found, NULL);
            if (diag_count(diag) > 0 || (!str_equal(got, one) && !str_equal(got, two))) {
                fail_msg("<%s> is written %s and read %s", values[i], text, got);
            }
        } else if (strchr(values[i], '"') == NULL && strchr(values[i], '\\') == NULL) {
            fail_msg("<%s> cannot be written", values[i]);
        }
        diag_free(diag);
        sink_free(found);
        sink_free(line);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_not_said_has_its_default),
        cmocka_unit_test(long_runs_read_memory_once_a_second),
        cmocka_unit_test(readings_that_take_their_time_are_rarer),
        cmocka_unit_test(a_child_overrides_its_parent),
        cmocka_unit_test(sets_win),
        cmocka_unit_test(the_environment_and_files_fill_values),
        cmocka_unit_test(the_url_says_whom_to_dial_and_what_to_verify),
        cmocka_unit_test(wrong_urls_are_refused),
        cmocka_unit_test(a_metric_has_a_column_of_its_own),
        cmocka_unit_test(a_stored_profile_needs_nothing_around_it),
        cmocka_unit_test(earlier_mistakes_of_others_are_not_the_profiles),
        cmocka_unit_test(quotes_and_comments_are_read_as_they_look),
        cmocka_unit_test(what_ini_writes_it_reads),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
