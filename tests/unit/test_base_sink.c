#include "base/file.h"
#include "base/json.h"
#include "base/jsonw.h"
#include "base/mem.h"
#include "base/roff.h"
#include "base/sink.h"

#include <fcntl.h>
#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

typedef void escape_function(struct sink *sink, const char *s);

static void expect(escape_function *escape, const char *in, const char *out)
{
    struct sink *sink = sink_new();

    escape(sink, in);
    assert_string_equal(sink_text(sink, NULL), out);
    sink_free(sink);
}

static void escapes_defuse_hostile_text(void **state)
{
    (void)state;
    expect(sink_json, "a\"b\\c\n\x01\xff\xc3\xa9", "\"a\\\"b\\\\c\\n\\u0001\xef\xbf\xbd\xc3\xa9\"");
    expect(sink_json, "\xed\xa0\x80", "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"");
    expect(sink_csv, "plain", "plain");
    expect(sink_csv, "a,\"b\"", "\"a,\"\"b\"\"\"");
    expect(sink_xml, "<b a='1'>&\x1b", "&lt;b a=&#39;1&#39;&gt;&amp;\xef\xbf\xbd");
    expect(sink_xml, "\xef\xbf\xbd \xef\xbf\xbe\xef\xbf\xbf",
           "\xef\xbf\xbd \xef\xbf\xbd\xef\xbf\xbd");
    expect(sink_plain, "\x1b[31mred\x7f\xc2\x9b", "\\x1b[31mred\\x7f\\x9b");
    /* C1 controls, and U+202E, which turns what follows around; not U+20AC or U+2026 */
    expect(sink_json, "\xc2\x9b\xe2\x80\xae", "\"\\u009b\\u202e\"");
    expect(sink_xml, "\xc2\x9b\xe2\x81\xa6\t\n", "\xef\xbf\xbd\xef\xbf\xbd\t\n");
    expect(sink_plain, "\xe2\x80\xae\xe2\x82\xac\xe2\x80\xa6", "\\u202e\xe2\x82\xac\xe2\x80\xa6");
}

static void text_of_man_pages_is_no_request(void **state)
{
    (void)state;
    expect(roff_text, ".TP \\fB--x", "\\&.TP \\efB\\-\\-x");
    expect(roff_text, "  it's\n  a|b", "it\\(aqs a|\\:b");
    expect(roff_text, "'so", "\\(aqso");
    expect(roff_bold, "-o", "\\fB\\-o\\fR");
}

static void written_json_reads_back(void **state)
{
    (void)state;
    struct sink *sink = sink_new();
    struct jsonw w;
    char error[100];
    size_t len;

    jsonw_init(&w, sink, false);
    jsonw_object(&w, NULL);
    jsonw_string(&w, "text", "line\n\"quoted\"");
    jsonw_number(&w, "pi", 3.25);
    jsonw_number(&w, "nothing", NAN);
    jsonw_number(&w, "zero", -0.0);
    jsonw_integer(&w, "big", INT64_C(9007199254740993));
    jsonw_array(&w, "list");
    jsonw_bool(&w, NULL, true);
    jsonw_object(&w, NULL);
    jsonw_end(&w);
    jsonw_end(&w);
    jsonw_end(&w);
    const char *text = sink_text(sink, &len);
    struct json *json = json_parse(text, len, error, sizeof error);
    assert_non_null(json);
    assert_string_equal(json_get_string(json, "text", ""), "line\n\"quoted\"");
    assert_float_equal(json_get_number(json, "pi", 0), 3.25, 0);
    assert_float_equal(json_get_number(json, "nothing", -1), -1, 0);
    assert_int_equal(json_size(json_get(json, "list")), 2);
    json_free(json);
    sink_free(sink);
}

static void broken_json_is_named(void **state)
{
    (void)state;
    char error[100] = "";

    assert_null(json_parse("{\"a\":1,}", 8, error, sizeof error));
    assert_non_null(strstr(error, "line 1"));
    assert_null(json_parse("{\"a\":1,\"a\":2}", 13, error, sizeof error));
    assert_null(json_parse("\"\\u\n\"", 5, error, sizeof error));
    assert_non_null(strstr(error, "line "));
    assert_null(strpbrk(error, "\n\r\x1b"));
}

/* The file size limit makes write(2) short; the half record must not stay. */
static void a_short_write_is_cut_back(void **state)
{
    (void)state;
    char path[] = "/tmp/tlsoak-sink-XXXXXX";
    int fd = mkstemp(path);
    pid_t child = fork();

    if (child == 0) {
        struct rlimit limit = {100, 100};
        struct sink *sink = sink_new();
        (void)signal(SIGXFSZ, SIG_IGN);
        (void)setrlimit(RLIMIT_FSIZE, &limit);
        sink_printf(sink, "%060d\n", 1);
        bool first = sink_send(sink, fd);
        sink_printf(sink, "%060d\n", 2);
        bool second = sink_send(sink, fd);
        sink_free(sink);
        _exit(first && !second ? 0 : 1);
    }
    int status;
    struct stat st;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(fstat(fd, &st), 0);
    assert_int_equal(st.st_size, 61);
    (void)close(fd);
    (void)unlink(path);
}

static void files_are_replaced_whole(void **state)
{
    (void)state;
    char dir[] = "/tmp/tlsoak-file-XXXXXX";
    assert_non_null(mkdtemp(dir));
    CLEANUP_FREE char *path = xasprintf("%s/a/b/file", dir);
    CLEANUP_FREE char *inner = xasprintf("%s/a/b", dir);
    CLEANUP_FREE char *outer = xasprintf("%s/a", dir);
    struct stat st;
    size_t len;

    assert_true(file_make_dir(inner));
    assert_true(file_make_dir(inner));
    assert_true(file_write(path, "secret", 6, 0600));
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    CLEANUP_FREE char *text = file_read(path, 100, &len);
    assert_string_equal(text, "secret");
    assert_int_equal(len, 6);
    assert_null(file_read(path, 5, NULL));
    assert_false(file_make_dir(path));
    CLEANUP_FREE char *beside = file_beside(path, "other");
    assert_true(strncmp(beside, inner, strlen(inner)) == 0);
    (void)unlink(path);
    (void)rmdir(inner);
    (void)rmdir(outer);
    (void)rmdir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(escapes_defuse_hostile_text),
        cmocka_unit_test(text_of_man_pages_is_no_request),
        cmocka_unit_test(written_json_reads_back),
        cmocka_unit_test(broken_json_is_named),
        cmocka_unit_test(a_short_write_is_cut_back),
        cmocka_unit_test(files_are_replaced_whole),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
