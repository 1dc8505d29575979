/* The effective profile loads again as the same plan and shows no secret; the reference profile is
 * up to date; the profiles that come with tlsoak load. */
#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"
#include "profile/options.h"
#include "profile/profile.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#define DATA     TEST_DATA "/profiles"
#define PROFILES TEST_SOURCE "/profiles"
#define CANARY   "canary-environment"

static void stop_on_mistakes(const char *what, struct diag *diag)
{
    if (diag_count(diag) > 0) {
        diag_print(diag, stderr);
        fail_msg("%s: %zu mistakes", what, diag_count(diag));
    }
    diag_free(diag);
}

static char *effective(const struct plan *plan, bool origins)
{
    struct sink *sink = sink_new();

    profile_print(plan, origins, sink);
    char *text = xstrdup(sink_text(sink, NULL));
    sink_free(sink);
    return text;
}

static char *reload(const char *text, bool origins)
{
    struct diag *diag = diag_new();
    struct plan *plan = profile_load_text("effective", text, NULL, 0, diag);

    stop_on_mistakes(text, diag);
    char *again = effective(plan, origins);
    plan_free(plan);
    return again;
}

static struct plan *load_whole(void)
{
    struct diag *diag = diag_new();

    assert_int_equal(setenv("TLSOAK_TEST_SECRET", CANARY, 1), 0);
    struct plan *plan = profile_load(DATA "/whole.ini", NULL, 0, diag);
    stop_on_mistakes("whole.ini", diag);
    return plan;
}

static void whole_names_every_option(void **state)
{
    CLEANUP_FREE char *text = file_read(DATA "/whole.ini", 1 << 20, NULL);

    (void)state;
    assert_non_null(text);
    for (size_t i = 0; option_at(i) != NULL; i++) {
        const struct option *option = option_at(i);
        CLEANUP_FREE char *line = xasprintf("\n%s", option->key);
        if (strstr(text, line) == NULL && (option->flags & OPTION_NO_FIELD) == 0 &&
            !str_equal(option->key, "path") && option->section != SECTION_MEMORY &&
            option->section != SECTION_PHASE && option->section != SECTION_SEARCH &&
            !str_equal(option->key, "keepalive") && !str_has_prefix(option->key, "replay") &&
            option->type != TYPE_BYTE_TEXT && !str_equal(option->key, "expect_bytes")) {
            fail_msg("whole.ini has no %s", option->key);
        }
    }
}

/* Phases do not go with the [attribution] of whole.ini. */
static void phases_print_what_they_resolve_to(void **state)
{
    struct diag *diag = diag_new();
    struct plan *plan = profile_load(DATA "/stages.ini", NULL, 0, diag);

    (void)state;
    stop_on_mistakes("stages.ini", diag);
    assert_true(plan->run.duration_ns == 200 * 1000000000ULL);
    assert_true(plan->phases[0].ramp_ns == plan->phases[0].duration_ns);
    assert_true(plan->phases[1].rate_per_s == 20 && plan->phases[1].connections == 4);
    assert_true(plan->phases[2].rate_per_s == 0 && plan->phases[2].connections == 2);
    assert_true(plan_peak(plan).rate_per_s == 200 && plan_peak(plan).connections == 6);
    CLEANUP_FREE char *plain = effective(plan, false);
    CLEANUP_FREE char *again = reload(plain, false);
    assert_string_equal(again, plain);
    assert_non_null(strstr(plain, "[phase up]\nduration = 10s\nramp = 10s\nidle = no\nuntil = "
                                  "duration\npace.rate = 200/s\npace.connections = 6\n"));
    assert_non_null(strstr(plain, "[phase usual]\nduration = 1m\nramp = 5s\nidle = no\nuntil = "
                                  "duration\npace.rate = 20/s\npace.connections = 4\n"));
    assert_non_null(strstr(plain, "idle = yes\nuntil = settled\npace.connections = 2\n"));
    plan_free(plan);
}

static void check_bytes(const char *bytes, size_t len, const char *expected, size_t expected_len)
{
    assert_int_equal(len, expected_len);
    assert_memory_equal(bytes, expected, len);
}

/* Nor does tls:// go with the HTTP of whole.ini. */
static void bytes_print_as_they_are_written(void **state)
{
    static const char edges[] = "@ {apikey}\r\n\t\\r ;\0\xff${ \" ";
    struct diag *diag = diag_new();

    (void)state;
    assert_int_equal(setenv("TLSOAK_TEST_SECRET", CANARY, 1), 0);
    struct plan *plan = profile_load(DATA "/bytes.ini", NULL, 0, diag);
    stop_on_mistakes("bytes.ini", diag);
    const struct plan_request *request = plan->requests;
    assert_true(plan->target.raw);
    assert_int_equal(plan->target.dial_port, 6380);
    check_bytes(request[0].send, request[0].send_len, edges, sizeof edges - 1);
    check_bytes(request[0].expect, request[0].expect_len, "+OK; \x7f", 6);
    assert_int_equal(request[0].n_places, 1);
    assert_int_equal(request[0].places[0].at, 2);
    assert_true(request[1].send_len > 0 && plan_is_reference(plan, &request[1].send));
    check_bytes(request[1].expect_until, request[1].expect_until_len, " ", 1);
    assert_int_equal(request[2].n_places, 2);
    assert_true(request[2].expect_bytes == 4096);
    assert_false(plan_request_expects(&request[3]));
    CLEANUP_FREE char *plain = effective(plan, false);
    CLEANUP_FREE char *again = reload(plain, false);
    assert_string_equal(again, plain);
    assert_null(strstr(plain, CANARY));
    assert_null(strstr(plain, "method"));
    struct diag *second = diag_new();
    struct plan *copy = profile_load_text("effective", plain, NULL, 0, second);
    stop_on_mistakes("effective", second);
    check_bytes(copy->requests[0].send, copy->requests[0].send_len, edges, sizeof edges - 1);
    plan_free(copy);
    plan_free(plan);
}

static void the_effective_profile_is_the_same_profile(void **state)
{
    struct plan *plan = load_whole();
    CLEANUP_FREE char *plain = effective(plan, false);
    CLEANUP_FREE char *traced = effective(plan, true);
    CLEANUP_FREE char *plain_again = reload(plain, false);
    CLEANUP_FREE char *plain_of_traced = reload(traced, false);

    (void)state;
    assert_string_equal(plain_again, plain);
    assert_string_equal(plain_of_traced, plain);
    plan_free(plan);
}

/* By values, not by text: a printer that drops a field would agree with itself. */
static void the_effective_profile_keeps_the_values(void **state)
{
    struct plan *plan = load_whole();
    CLEANUP_FREE char *text = effective(plan, true);
    struct diag *diag = diag_new();
    struct plan *again = profile_load_text("effective", text, NULL, 0, diag);

    (void)state;
    stop_on_mistakes("effective", diag);
    assert_memory_equal(&again->judge, &plan->judge, sizeof plan->judge);
    assert_memory_equal(&again->pace, &plan->pace, sizeof plan->pace);
    assert_memory_equal(&again->attribution, &plan->attribution, sizeof plan->attribution);
    assert_int_equal(again->limit.n, 6);
    for (size_t i = 0; i < again->limit.n; i++) {
        assert_string_equal(again->limit.list[i].rule, plan->limit.list[i].rule);
        assert_true(again->limit.list[i].bound == plan->limit.list[i].bound);
        assert_true(again->limit.list[i].after_ns == plan->limit.list[i].after_ns);
        assert_true(again->limit.list[i].window_ns == plan->limit.list[i].window_ns);
    }
    assert_int_equal(again->run.seed, plan->run.seed);
    assert_string_equal(again->run.dir, plan->run.dir);
    assert_string_equal(again->target.url, plan->target.url);
    assert_int_equal(again->target.timeout_exchange_ns, plan->target.timeout_exchange_ns);
    assert_int_equal(again->certs[0].key_type, KEY_ED25519);
    assert_string_equal(again->certs[0].subject, plan->certs[0].subject);
    assert_memory_equal(&again->certs[0].rotate, &plan->certs[0].rotate, sizeof(struct rotate));
    assert_string_equal(again->apikeys[0].secret, plan->apikeys[0].secret);
    assert_string_equal(again->jwts[0].key, plan->jwts[0].key);
    assert_string_equal(again->jwts[0].kid, plan->jwts[0].kid);
    assert_string_equal(again->jwts[0].claims, plan->jwts[0].claims);
    assert_int_equal(again->n_certs, 3);
    assert_string_equal(again->certs[1].password, plan->certs[1].password);
    assert_true(again->certs[0].exponent == 1.25 && again->certs[0].retire_after == 1000);
    assert_string_equal(again->jwts[1].client_secret, plan->jwts[1].client_secret);
    assert_string_equal(again->jwts[1].token_target.url_path, "/token?x=1");
    assert_int_equal(again->n_identities, 4);
    assert_ptr_equal(again->identities[1].with_jwt, &again->jwts[1]);
    assert_true(!again->identities[0].bound && again->identities[1].bound);
    assert_int_equal(again->n_refuses, 2);
    assert_ptr_equal(again->refuses[0].base, &again->identities[3]);
    assert_string_equal(again->refuses[0].expect.alert_name, "unknown_ca");
    assert_int_equal(again->n_requests, 2);
    assert_int_equal(again->requests[0].n_headers, 3);
    assert_string_equal(again->requests[0].headers[1].value, "Bearer " CANARY);
    assert_int_equal(again->requests[0].body_len, plan->requests[0].body_len);
    assert_memory_equal(again->requests[0].body, plan->requests[0].body,
                        plan->requests[0].body_len);
    assert_true(again->requests[0].weight == plan->requests[0].weight);
    assert_true(again->memories[0].limit_bytes == plan->memories[0].limit_bytes);
    assert_string_equal(again->memories[1].exec, plan->memories[1].exec);
    plan_free(again);
    plan_free(plan);
}

static void no_secret_is_printed(void **state)
{
    struct plan *plan = load_whole();
    CLEANUP_FREE char *text = effective(plan, true);

    (void)state;
    assert_null(strstr(text, CANARY));
    assert_null(strstr(text, "canary-file"));
    assert_non_null(strstr(text, "key = ${TLSOAK_TEST_SECRET} ; redacted, " DATA "/whole.ini:"));
    assert_non_null(strstr(text, "\npassword = ${TLSOAK_TEST_SECRET} ; redacted, "));
    assert_non_null(strstr(text, "\nclient_secret = ${TLSOAK_TEST_SECRET} ; redacted, "));
    assert_non_null(strstr(text, "/secret.txt ; redacted"));
    assert_non_null(strstr(text, "header.Authorization = Bearer ${TLSOAK_TEST_SECRET} ; redacted"));
    plan_free(plan);
}

static void origins_stand_behind_values(void **state)
{
    const char *const sets[] = {"run.seed=9"};
    struct diag *diag = diag_new();
    struct plan *plan = profile_load(DATA "/family.ini", sets, 1, diag);

    (void)state;
    stop_on_mistakes("family.ini", diag);
    CLEANUP_FREE char *text = effective(plan, true);
    assert_non_null(strstr(text, "duration = 20s ; " DATA "/family.ini:4\n"));
    assert_non_null(strstr(text, "seed = 9 ; --set\n"));
    assert_non_null(strstr(text, "drain = 2s ; default\n"));
    assert_non_null(strstr(text, "header.Accept = application/json ; " DATA "/family.ini:8\n"));
    plan_free(plan);
}

static void what_has_no_say_is_left_out(void **state)
{
    static const char profile[] = "[target]\nurl = https://a.test/\n"
                                  "[cert]\nca = " DATA "/whole.ini\nca_key = " DATA
                                  "/whole.ini\npick = fresh\nrotate = never\n"
                                  "[jwt]\nkey = @" DATA "/secret.txt\nbind_certificate = yes\n";
    struct diag *diag = diag_new();
    struct plan *plan = profile_load_text("text", profile, NULL, 0, diag);

    (void)state;
    stop_on_mistakes("text", diag);
    CLEANUP_FREE char *text = effective(plan, false);
    const char *jwt = strstr(text, "[jwt default]"), *identity = strstr(text, "[identity default]");
    assert_non_null(strstr(text, "pick = fresh\n"));
    assert_null(strstr(text, "exponent"));
    assert_null(strstr(text, "password"));
    assert_true(strstr(jwt, "\nrotate = ") == NULL || strstr(jwt, "\nrotate = ") > identity);
    assert_non_null(strstr(identity, "cert = default\njwt = default\nweight = 1\nbound = yes\n"));
    /* and the follower has the leader's rule */
    assert_int_equal(plan->jwts[0].pick, PICK_FRESH);
    assert_int_equal(plan->jwts[0].rotate.kind, ROTATE_NEVER);
    CLEANUP_FREE char *again = reload(text, false);
    assert_string_equal(again, text);
    plan_free(plan);
}

static void the_reference_profile_is_up_to_date(void **state)
{
    struct sink *sink = sink_new();
    size_t len = 0, file_len = 0;
    CLEANUP_FREE char *file = file_read(PROFILES "/reference.ini", 1 << 20, &file_len);

    (void)state;
    profile_print_reference(sink);
    const char *text = sink_text(sink, &len);
    if (file == NULL || file_len != len || memcmp(file, text, len) != 0) {
        fail_msg("profiles/reference.ini is not what tlsoak check --reference writes");
    }
    sink_free(sink);
}

/* The reference with its keys uncommented: each must be known, each default of the right type. */
static void the_reference_profile_is_a_profile(void **state)
{
    CLEANUP_FREE char *text = file_read(PROFILES "/reference.ini", 1 << 20, NULL);
    struct sink *open = sink_new();
    struct diag *diag = diag_new();
    char *rest = text;

    (void)state;
    assert_non_null(text);
    while (rest != NULL) {
        const char *line = strsep(&rest, "\n");
        bool is_key = line[0] == ';' && line[1] >= 'a' && line[1] <= 'z';
        bool is_left_out = strstr(line, "extends") != NULL || strstr(line, "DRIVER") != NULL ||
                           strstr(line, "SERIES") != NULL;
        sink_printf(open, "%s\n", is_key && !is_left_out ? line + 1 : line);
    }
    assert_null(profile_load_text("reference", sink_text(open, NULL), NULL, 0, diag));
    for (size_t i = 0; i < diag_count(diag); i++) {
        const char *mistake = diag_text(diag, i);
        if (strstr(mistake, "unknown ") != NULL || strstr(mistake, " is not ") != NULL ||
            strstr(mistake, " is none of ") != NULL ||
            strstr(mistake, " is out of range ") != NULL) {
            fail_msg("%s", mistake);
        }
    }
    diag_free(diag);
    sink_free(open);
}

static void help_fits_a_terminal(void **state)
{
    struct sink *sink = sink_new();

    (void)state;
    profile_print_help(sink);
    CLEANUP_FREE char *text = xstrdup(sink_text(sink, NULL));
    char *rest = text;
    assert_non_null(strstr(text, "  secret = @FILE|${VARIABLE}\n"));
    while (rest != NULL) {
        assert_true(strlen(strsep(&rest, "\n")) <= 100);
    }
    sink_free(sink);
}

/* The files that the profiles name, in a folder of their own, so that a profile loads as it does
 * for somebody who has followed the first page of the manual. */
struct workshop {
    char dir[64];
};

static void put(const struct workshop *workshop, const char *name)
{
    CLEANUP_FREE char *path = xasprintf("%s/%s", workshop->dir, name);

    assert_true(file_write(path, "content\n", 8, 0600));
}

static void copy_profile(const struct workshop *workshop, const char *name)
{
    CLEANUP_FREE char *from = xasprintf("%s/%s", PROFILES, name);
    CLEANUP_FREE char *to = xasprintf("%s/%s", workshop->dir, name);
    size_t len = 0;
    CLEANUP_FREE char *text = file_read(from, 1 << 20, &len);

    assert_non_null(text);
    assert_true(file_write(to, text, len, 0600));
}

static void check_profile(const struct workshop *workshop, const char *name)
{
    CLEANUP_FREE char *path = xasprintf("%s/%s", workshop->dir, name);
    const char *const sets[] = {"target.url=https://127.0.0.1:8443/", "memory.server.pid=1"};
    bool is_demo = str_equal(name, "demo.ini");
    struct diag *diag = diag_new();
    struct plan *plan = profile_load(path, sets, is_demo ? 2 : 0, diag);

    stop_on_mistakes(name, diag);
    CLEANUP_FREE char *text = effective(plan, true);
    CLEANUP_FREE char *plain = effective(plan, false);
    CLEANUP_FREE char *again = reload(text, false);
    assert_string_equal(again, plain);
    plan_free(plan);
    CLEANUP_FREE char *source = file_read(path, 1 << 20, NULL);
    if (source[0] != ';' || memchr(source, '?', 400) == NULL) {
        fail_msg("%s does not open with the question it answers", name);
    }
}

static void remove_all(const char *dir)
{
    DIR *entries = opendir(dir);
    struct dirent *entry;

    assert_non_null(entries);
    while ((entry = readdir(entries)) != NULL) {
        CLEANUP_FREE char *path = xasprintf("%s/%s", dir, entry->d_name);
        if (entry->d_name[0] != '.' && entry->d_type == DT_DIR) {
            remove_all(path);
        } else if (entry->d_name[0] != '.') {
            assert_int_equal(unlink(path), 0);
        }
    }
    assert_int_equal(closedir(entries), 0);
    assert_int_equal(rmdir(dir), 0);
}

static void every_profile_loads(void **state)
{
    struct workshop workshop = {.dir = "/tmp/tlsoak-profiles-XXXXXX"};
    static const char *const files[] = {"pki/ca.pem",
                                        "pki/ca.key",
                                        "pki/apikey.secret",
                                        "pki/jwt.key",
                                        "pki/bad/revoked.pem",
                                        "pki/jwt.secret",
                                        "ca.pem",
                                        "ca.key",
                                        "apikey.secret",
                                        "jwt.secret"};
    size_t n = 0;

    (void)state;
    assert_non_null(mkdtemp(workshop.dir));
    CLEANUP_FREE char *pki = xasprintf("%s/pki", workshop.dir);
    assert_true(file_make_dir(pki));
    CLEANUP_FREE char *bad = xasprintf("%s/bad", pki);
    assert_true(file_make_dir(bad));
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        put(&workshop, files[i]);
    }
    assert_int_equal(setenv("TLSOAK_DEMO_DIR", workshop.dir, 1), 0);
    assert_int_equal(setenv("TARGET_URL", "https://localhost:8443/", 1), 0);
    assert_int_equal(setenv("TOKEN_URL", "https://localhost:9443/token", 1), 0);
    struct dirent **names = NULL;
    int n_names = scandir(PROFILES, &names, NULL, alphasort);
    for (int i = 0; i < n_names; i++) {
        if (strstr(names[i]->d_name, ".ini") != NULL) {
            copy_profile(&workshop, names[i]->d_name);
        }
    }
    for (int i = 0; i < n_names; i++) {
        if (strstr(names[i]->d_name, ".ini") != NULL &&
            !str_equal(names[i]->d_name, "reference.ini")) {
            check_profile(&workshop, names[i]->d_name);
            n++;
        }
        free(names[i]);
    }
    free(names);
    assert_true(n >= 9);
    remove_all(workshop.dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_names_every_option),
        cmocka_unit_test(phases_print_what_they_resolve_to),
        cmocka_unit_test(bytes_print_as_they_are_written),
        cmocka_unit_test(the_effective_profile_is_the_same_profile),
        cmocka_unit_test(the_effective_profile_keeps_the_values),
        cmocka_unit_test(no_secret_is_printed),
        cmocka_unit_test(origins_stand_behind_values),
        cmocka_unit_test(what_has_no_say_is_left_out),
        cmocka_unit_test(the_reference_profile_is_up_to_date),
        cmocka_unit_test(the_reference_profile_is_a_profile),
        cmocka_unit_test(help_fits_a_terminal),
        cmocka_unit_test(every_profile_loads),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
