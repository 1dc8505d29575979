#include "ident/apikey.h"
#include "ident/template.h"

#include "base/file.h"
#include "base/mem.h"
#include "base/rng.h"
#include "base/sink.h"
#include "base/str.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "ident_kit.h"

#include <cmocka.h>

static char *expand(const char *text, uint64_t n)
{
    struct sink *sink = sink_new();
    template_expand(sink, text, n, "run-9");
    char *copy = xstrdup(sink_text(sink, NULL));
    sink_free(sink);
    return copy;
}

static void fields_are_filled_in(void **state)
{
    (void)state;
    static const struct {
        const char *text, *expected;
    } cases[] = {
        {"client-{n}", "client-7"}, {"{run}/{n}{n}", "run-9/77"},
        {"{other}{", "{other}{"},   {"{{n}} {{{n}}}", "{n} {7}"},
        {"a}b}}", "a}b}"},          {"{\"a\":{\"b\":\"{n}\"}}", "{\"a\":{\"b\":\"7\"}}"},
        {" { } ", " { } "},         {"", ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        CLEANUP_FREE char *text = expand(cases[i].text, 7);
        assert_string_equal(text, cases[i].expected);
    }
}

static void random_fields_differ(void **state)
{
    (void)state;
    static const char hex[] = "0123456789abcdef-";
    CLEANUP_FREE char *a = expand("{uuid}", 1);
    CLEANUP_FREE char *b = expand("{uuid}", 1);
    CLEANUP_FREE char *c = expand("{random}", 1);
    CLEANUP_FREE char *d = expand("{random}", 1);
    assert_int_equal(strlen(a), 36);
    assert_int_equal(strspn(a, hex), 36);
    assert_int_equal(a[14], '4');
    assert_non_null(strchr("89ab", a[19]));
    assert_true(a[8] == '-' && a[13] == '-' && a[18] == '-' && a[23] == '-');
    assert_string_not_equal(a, b);
    assert_int_equal(strspn(c, hex), 32);
    assert_int_equal(strlen(c), 32);
    assert_string_not_equal(c, d);
}

static void unknown_fields_are_mistakes(void **state)
{
    (void)state;
    struct diag *diag = diag_new();
    struct origin origin = {"x.ini", 3};
    assert_true(template_check("{n}{uuid}{run}{random}{hmac} {{who}} {", "hmac", origin, diag));
    assert_true(template_check("{\"a\":{\"b\":\"{n}\"}}", NULL, origin, diag));
    assert_int_equal(diag_count(diag), 0);
    assert_false(template_check("{m}-{n}-{hmac}", NULL, origin, diag));
    assert_int_equal(diag_count(diag), 2);
    assert_true(str_has_prefix(diag_text(diag, 0), "x.ini:3: unknown field {m} in "));
    assert_false(template_check("{\"a\":\"{who}\"}", NULL, origin, diag));
    diag_free(diag);
}

/* The tag was computed with: printf client-7 | openssl dgst -sha256 -hmac 0123456789abcdef */
static void the_tag_is_hmac_sha256(void **state)
{
    (void)state;
    struct plan_apikey section = kit_apikey(1, PICK_SEQUENTIAL, (struct rotate){0});
    CLEANUP_FREE char *key = apikey_generate(&section, 7, "run");
    assert_string_equal(
        key, "client-7.fba0fd5ef8abb36499ae49b4cbab7b3436d66b047c96ead30b6300dc7350e74f");
}

static bool accepts(const char *key, size_t len, void *secret)
{
    return apikey_verify(key, len, secret, strlen(secret));
}

static void keys_verify(void **state)
{
    (void)state;
    char template[] = "a.b-{n}-{uuid}.{hmac}";
    struct plan_apikey section = kit_apikey(1, PICK_SEQUENTIAL, (struct rotate){0});
    section.template = template;
    CLEANUP_FREE char *key = apikey_generate(&section, 7, "run");
    assert_true(str_has_prefix(key, "a.b-7-"));
    assert_false(apikey_verify(key, strlen(key), section.secret, strlen(section.secret) - 1));
    kit_tamper(key, strlen(key), accepts, section.secret);
}

static void garbage_is_refused(void **state)
{
    (void)state;
    char secret[] = "secret";
    kit_garbage(accepts, secret);
    CLEANUP_FREE char *dots = xmalloc(100000);
    memset(dots, '.', 100000);
    assert_false(apikey_verify(dots, 100000, "secret", 6));
}

static size_t n_differences(const char *a, const char *b)
{
    size_t n = 0;
    assert_int_equal(strlen(a), strlen(b));
    for (; *a != '\0'; a++, b++) {
        n += *a != *b;
    }
    return n;
}

/* Of the same form, so that the server looks at it as closely as at a good one. */
static void a_spoiled_key_differs_in_its_secret(void **state)
{
    (void)state;
    static const char *const keys[] = {
        "0f0e0d0c0b0a09080706050403020100", "client-7.9c9c9c9c9c9c9c9c9c9c9c9a",
        "c1-7d444840-9dc0-11d1-b245-5ffdce74fad2", "sk_live_4eC39HqLyjWDarjtT1zdp7dc"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        CLEANUP_FREE char *bad = apikey_spoil(keys[i]);
        assert_int_equal(n_differences(keys[i], bad), 1);
        /* Up to the last separator it is as it was. */
        size_t kept = strlen(keys[i]) - strspn(keys[i], "0123456789abcdef") == 0
                          ? 0
                          : (size_t)(strpbrk(keys[i], ".-_") - keys[i]);
        assert_memory_equal(keys[i], bad, kept);
    }
    struct plan_apikey section = kit_apikey(1, PICK_SEQUENTIAL, (struct rotate){0});
    for (uint64_t n = 1; n < 200; n++) {
        CLEANUP_FREE char *key = apikey_generate(&section, n, "run");
        CLEANUP_FREE char *bad = apikey_spoil(key);
        assert_int_equal(n_differences(key, bad), 1);
        assert_int_equal(strspn(strchr(bad, '.') + 1, "0123456789abcdef"), 64);
        assert_false(apikey_verify(bad, strlen(bad), section.secret, strlen(section.secret)));
    }
}

/* Another number would be another client's good key. */
static void a_key_without_a_secret_part_becomes_random(void **state)
{
    (void)state;
    static const char *const keys[] = {"client-7", "client-000000000007", "7", "superclientkey"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        CLEANUP_FREE char *bad = apikey_spoil(keys[i]);
        CLEANUP_FREE char *another = apikey_spoil(keys[i]);
        assert_int_equal(strspn(bad, "0123456789abcdef"), 32);
        assert_string_not_equal(bad, another);
    }
}

static void write_keys(const struct kit *kit, const char *text, char **ret_path)
{
    *ret_path = kit_path(kit, "keys");
    assert_true(file_write(*ret_path, text, strlen(text), 0600));
}

static void a_file_holds_a_key_a_line(void **state)
{
    struct kit *kit = *state;
    struct plan plan = {.n_apikeys = 0};
    CLEANUP_FREE char *path = NULL;
    char **keys;
    write_keys(kit, "# two keys\none\r\n\n  two words \n", &path);
    struct plan_apikey section = {.path = path};
    assert_int_equal(apikey_load(&plan, &section, &keys, kit->diag), 2);
    assert_string_equal(keys[0], "one");
    assert_string_equal(keys[1], "two words");
    free(keys[0]);
    free(keys[1]);
    free(keys);
}

static void odd_files_are_mistakes(void **state)
{
    struct kit *kit = *state;
    struct plan plan = {.n_apikeys = 0};
    CLEANUP_FREE char *path = NULL;
    char **keys;
    write_keys(kit, "one\ntw\to\n", &path);
    struct plan_apikey section = {.path = path};
    assert_int_equal(apikey_load(&plan, &section, &keys, kit->diag), 0);
    assert_non_null(strstr(diag_text(kit->diag, 0), "keys:2 holds a key that cannot be sent"));
    assert_null(strstr(diag_text(kit->diag, 0), "tw\to"));
    assert_true(file_write(path, "# none\n", 7, 0600));
    assert_int_equal(apikey_load(&plan, &section, &keys, kit->diag), 0);
    assert_non_null(strstr(diag_text(kit->diag, 1), "holds no key"));
    assert_int_equal(remove(path), 0);
    assert_int_equal(apikey_load(&plan, &section, &keys, kit->diag), 0);
    assert_non_null(strstr(diag_text(kit->diag, 2), "cannot be read"));
}

static void odd_templates_are_mistakes(void **state)
{
    (void)state;
    struct plan plan = {.n_apikeys = 0};
    struct diag *diag = diag_new();
    char line[] = "a\nb-{n}", unknown[] = "{x}", good[] = "{n}.{hmac}";
    struct plan_apikey section = kit_apikey(2, PICK_SEQUENTIAL, (struct rotate){0});
    section.template = good;
    assert_true(apikey_check(&plan, &section, diag));
    section.template = line;
    assert_false(apikey_check(&plan, &section, diag));
    section.template = unknown;
    assert_false(apikey_check(&plan, &section, diag));
    assert_int_equal(diag_count(diag), 2);
    diag_free(diag);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields_are_filled_in),
        cmocka_unit_test(random_fields_differ),
        cmocka_unit_test(unknown_fields_are_mistakes),
        cmocka_unit_test(the_tag_is_hmac_sha256),
        cmocka_unit_test(keys_verify),
        cmocka_unit_test(garbage_is_refused),
        cmocka_unit_test(a_spoiled_key_differs_in_its_secret),
        cmocka_unit_test(a_key_without_a_secret_part_becomes_random),
        cmocka_unit_test_setup_teardown(a_file_holds_a_key_a_line, kit_set_up, kit_tear_down),
        cmocka_unit_test_setup_teardown(odd_files_are_mistakes, kit_set_up, kit_tear_down),
        cmocka_unit_test(odd_templates_are_mistakes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
