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

static void keys_verify(void **state)
{
    (void)state;
    char template[] = "a.b-{n}-{uuid}.{hmac}";
    struct plan_apikey section = kit_apikey(1, PICK_SEQUENTIAL, (struct rotate){0});
    section.template = template;
    CLEANUP_FREE char *key = apikey_generate(&section, 7, "run");
    size_t len = strlen(key), secret_len = strlen(section.secret);
    assert_true(str_has_prefix(key, "a.b-7-"));
    assert_true(apikey_verify(key, len, section.secret, secret_len));
    assert_false(apikey_verify(key, len, section.secret, secret_len - 1));
    for (size_t i = 0; i < len; i++) {
        for (int bit = 0; bit < 8; bit++) {
            key[i] = (char)(key[i] ^ (1 << bit));
            assert_false(apikey_verify(key, len, section.secret, secret_len));
            key[i] = (char)(key[i] ^ (1 << bit));
        }
        assert_false(apikey_verify(key, i, section.secret, secret_len));
    }
}

static void garbage_is_refused(void **state)
{
    (void)state;
    struct rng rng;
    rng_init(&rng, 11, "garbage", 0);
    for (int round = 0; round < 20000; round++) {
        char bytes[200];
        size_t len = rng_below(&rng, sizeof bytes);
        for (size_t i = 0; i < len; i++) {
            bytes[i] = rng_below(&rng, 12) == 0 ? '.' : (char)rng_below(&rng, 256);
        }
        assert_false(apikey_verify(bytes, len, "secret", 6));
    }
    CLEANUP_FREE char *dots = xmalloc(100000);
    memset(dots, '.', 100000);
    assert_false(apikey_verify(dots, 100000, "secret", 6));
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
        cmocka_unit_test_setup_teardown(a_file_holds_a_key_a_line, kit_set_up, kit_tear_down),
        cmocka_unit_test_setup_teardown(odd_files_are_mistakes, kit_set_up, kit_tear_down),
        cmocka_unit_test(odd_templates_are_mistakes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
