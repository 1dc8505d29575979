#include "base/log.h"
#include "base/mem.h"
#include "base/mono.h"
#include "base/str.h"
#include "report/live.h"
#include "report/picture.h"

#include <pthread.h>
#include <pty.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define COLUMNS 90
#define ROWS    40

struct scene {
    struct interval *second, *total;
    struct reading memory;
    struct live_frame frame;
};

static void set_scene(struct scene *scene)
{
    scene->second = interval_new();
    scene->total = interval_new();
    scene->second->start_ns = 5 * NS_PER_S;
    scene->second->end_ns = 6 * NS_PER_S;
    scene->second->count[COUNTER_COMPLETED] = 598;
    scene->second->count[COUNTER_HANDSHAKE_FULL] = 12;
    scene->second->gauge[GAUGE_OPEN] = 200;
    for (uint64_t i = 1; i <= 100; i++) {
        hist_record(&scene->second->latency[LATENCY_RESPONSE], i * 20 * NS_PER_US);
    }
    scene->memory.ok = true;
    scene->memory.value[MEMORY_ANON] = 8 << 20;
    scene->memory.value[MEMORY_COMMAND] = -1;
    scene->memory.value[MEMORY_CHOSEN] = -1;
    scene->frame = (struct live_frame){.elapsed_s = 20,
                                       .planned_s = 70,
                                       .phase = "dwell 4 of 32: fresh \033[2Jcertificates",
                                       .rate_asked = 600,
                                       .second = scene->second,
                                       .total = scene->total,
                                       .memory = &scene->memory};
}

static int set_up(void **state)
{
    struct scene *scene = xcalloc(1, sizeof *scene);

    set_scene(scene);
    *state = scene;
    return 0;
}

static int tear_down(void **state)
{
    struct scene *scene = *state;

    interval_free(scene->second);
    interval_free(scene->total);
    free(scene);
    return 0;
}

static void expect_part(const char *text, const char *part)
{
    if (strstr(text, part) == NULL) {
        fail_msg("no \"%s\" in:\n%s", part, text);
    }
}

static void shows_what_happens(void **state)
{
    struct scene *scene = *state;
    struct picture picture;
    struct sink *sink = sink_new();

    picture_init(&picture, "https://[::1]:8443/\a", false, true);
    for (int i = 0; i < 8; i++) {
        scene->memory.value[MEMORY_ANON] = (8 << 20) + i * 100000;
        picture_note(&picture, &scene->frame);
    }
    scene->second->outcome[OUTCOME_ALERT_UNKNOWN_CA] = 2;
    scene->total->outcome[OUTCOME_ALERT_UNKNOWN_CA] = 40;
    scene->total->outcome[OUTCOME_REFUSED] = 1234;
    scene->second->count[COUNTER_LAG_NS] = 400 * NS_PER_MS;
    scene->second->gauge[GAUGE_BACKLOG] = 1200;
    scene->second->gauge[GAUGE_BACKLOG_NS] = 2400 * NS_PER_MS;
    assert_int_equal(picture_draw(&picture, &scene->frame, COLUMNS, ROWS, sink), 8);
    const char *text = sink_text(sink, NULL);
    expect_part(text, "██████░░░░░░░░░░░░░░  00:20 / 01:10  dwell 4 of 32: fresh \\x1b[2Jcert");
    expect_part(text, "target      https://[::1]:8443/\\x07\n");
    expect_part(text, "rate        598/s of 600/s asked, p50 1.0 ms, p99 2.0 ms\n");
    expect_part(text, "200 open, 0 in handshake, new 12/s full and 0/s resumed\n");
    expect_part(text, "errors      last second 2 tls; in all 1,234 dial, 40 tls\n");
    expect_part(text, "server      anon 8.67 MiB (+684 KiB)  ▁▂▃▄▅▆▇█\n");
    expect_part(text,
                "backlog     1,200 starts wait, up to 2.40 s; 0 skipped in the last second\n");
    expect_part(text, "generator   its timers ran 400 ms late in the last second\n");
    assert_null(strchr(text, '\033'));
    sink_free(sink);
    picture_free(&picture);
}

static size_t longest(const char *s)
{
    size_t max = 0, at = 0;

    for (; *s != '\0'; s++) {
        if (*s == '\033') {
            s += strcspn(s, "m");
        } else if (*s == '\n') {
            at = 0;
        } else {
            at += ((unsigned char)*s & 0xc0) != 0x80;
            max = at > max ? at : max;
        }
    }
    return max;
}

static void fits_any_terminal(void **state)
{
    struct scene *scene = *state;
    struct picture picture;

    picture_init(&picture, "https://a-rather-long-name.example.test:8443/path", true, true);
    scene->second->outcome[OUTCOME_REFUSED] = 1;
    for (int i = 0; i < 200; i++) {
        picture_note(&picture, &scene->frame);
    }
    assert_int_equal(picture.n_history, PICTURE_HISTORY);
    for (size_t columns = 0; columns < 120; columns++) {
        size_t rows = columns % 9;
        struct sink *sink = sink_new();
        size_t n = picture_draw(&picture, &scene->frame, columns, rows, sink);
        assert_true(n <= rows);
        assert_true(longest(sink_text(sink, NULL)) <= columns);
        sink_free(sink);
    }
    picture_free(&picture);
}

static void colours_only_when_wanted(void **state)
{
    struct scene *scene = *state;
    struct picture picture;
    struct sink *sink = sink_new();

    picture_init(&picture, "t", true, false);
    picture_note(&picture, &scene->frame);
    (void)picture_draw(&picture, &scene->frame, COLUMNS, ROWS, sink);
    expect_part(sink_text(sink, NULL), "\033[2mrate        \033[0m598/s");
    assert_null(strstr(sink_text(sink, NULL), "\033[31m"));
    scene->second->outcome[OUTCOME_REFUSED] = 1;
    (void)picture_draw(&picture, &scene->frame, COLUMNS, ROWS, sink);
    expect_part(sink_text(sink, NULL), "\033[31mlast second 1 dial\033[0m");
    expect_part(sink_text(sink, NULL), "######--------------  00:20");
    sink_free(sink);
    picture_free(&picture);
}

static void says_nothing_of_memory_without_a_source(void **state)
{
    struct scene *scene = *state;
    struct picture picture;
    struct sink *sink = sink_new();

    scene->frame.memory = NULL;
    scene->frame.rate_asked = 0;
    picture_init(&picture, "t", false, false);
    picture_note(&picture, &scene->frame);
    (void)picture_draw(&picture, &scene->frame, COLUMNS, ROWS, sink);
    assert_null(strstr(sink_text(sink, NULL), "server"));
    assert_null(strstr(sink_text(sink, NULL), "asked"));
    sink_free(sink);
    picture_free(&picture);
}

/* Runs `play` in a child whose stderr is `fd`; `fd` is closed here. */
static pid_t act(int fd, void (*play)(struct scene *scene, bool quiet), struct scene *scene,
                 bool quiet)
{
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0) {
        (void)dup2(fd, STDERR_FILENO);
        (void)setenv("TERM", "xterm", 1);
        (void)setenv("LC_ALL", "C.UTF-8", 1);
        play(scene, quiet);
        _exit(0);
    }
    (void)close(fd);
    return pid;
}

static void read_to_end(int fd, pid_t pid, char *text, size_t size)
{
    size_t len = 0;
    ssize_t n;

    /* a pseudo-terminal ends with EIO when its other side is gone */
    while ((n = read(fd, text + len, size - len - 1)) > 0) {
        len += (size_t)n;
    }
    text[len] = '\0';
    (void)close(fd);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void play_minute(struct scene *scene, bool quiet)
{
    struct live *live = live_new(quiet, "https://127.0.0.1:8443/");

    for (int i = 1; i <= 25; i++) {
        scene->frame.elapsed_s = i;
        scene->total->count[COUNTER_COMPLETED] += 598;
        scene->total->count[COUNTER_DUE] += 600;
        scene->total->outcome[OUTCOME_TLS_RESET] = i > 10 ? 3 : 0;
        if (i == 11) {
            hist_clear(&scene->second->latency[LATENCY_RESPONSE]);
            hist_record(&scene->second->latency[LATENCY_RESPONSE], NS_PER_MS);
        }
        live_show(live, &scene->frame);
        scene->memory.value[MEMORY_ANON] += 64 << 10;
    }
    live_free(live);
}

static void writes_a_line_each_ten_seconds(void **state)
{
    static char text[8192];
    int ends[2];

    assert_int_equal(pipe(ends), 0);
    read_to_end(ends[0], act(ends[1], play_minute, *state, false), text, sizeof text);
    assert_string_equal(text,
                        "00:10/01:10 dwell 4 of 32: fresh \\x1b[2Jcertificates ... 598 req/s of "
                        "600, p99 2.0 ms, 0 errors, anon 8.56 MiB (+576 KiB)\n"
                        "00:20/01:10 dwell 4 of 32: fresh \\x1b[2Jcertificates ... 598 req/s of "
                        "600, p99 1.0 ms, 3 errors, anon 9.19 MiB (+1.19 MiB)\n");
    assert_int_equal(pipe(ends), 0);
    read_to_end(ends[0], act(ends[1], play_minute, *state, true), text, sizeof text);
    assert_string_equal(text, "");
}

static void play_with_notes(struct scene *scene, bool quiet)
{
    struct live *live = live_new(quiet, "https://127.0.0.1:8443/");

    log_note("before the first picture");
    for (int i = 1; i <= 3; i++) {
        scene->frame.elapsed_s = i;
        live_show(live, &scene->frame);
        log_note("note %d", i);
    }
    live_free(live);
    log_note("after the last");
}

/* As much of a terminal as the live view asks for. */
static void emulate(const char *s, char screen[ROWS][COLUMNS * 4])
{
    size_t row = 0, len = 0;

    memset(screen, 0, sizeof screen[0] * ROWS);
    for (; *s != '\0'; s++) {
        if (*s == '\r') {
            len = 0;
        } else if (*s == '\n') {
            row++;
            assert_true(row < ROWS);
        } else if (s[0] == '\033' && s[1] == '[') {
            size_t digits = strspn(s + 2, "0123456789");
            char command = s[2 + digits];
            if (command == 'A') {
                size_t up = (size_t)(s[2] - '0');
                assert_true(digits == 1 && up <= row);
                row -= up;
            } else if (command == 'J') {
                memset(screen[row], 0, (ROWS - row) * sizeof screen[0]);
            } else {
                assert_int_equal(command, 'm');
            }
            s += 2 + digits;
        } else {
            screen[row][len++] = *s;
            assert_true(len < sizeof screen[0]);
        }
    }
}

static void redraws_in_place(void **state)
{
    static char text[65536], screen[ROWS][COLUMNS * 4];
    struct winsize size = {.ws_row = 24, .ws_col = 60};
    int master, slave;

    assert_int_equal(openpty(&master, &slave, NULL, NULL, &size), 0);
    read_to_end(master, act(slave, play_with_notes, *state, false), text, sizeof text);
    assert_non_null(strstr(text, "\033[2m"));
    emulate(text, screen);
    static const char *const firsts[] = {"tlsoak: before the first picture",
                                         "tlsoak: note 1",
                                         "tlsoak: note 2",
                                         "tlsoak: note 3",
                                         "█░░░",
                                         "target",
                                         "rate",
                                         "connections",
                                         "errors",
                                         "server",
                                         "tlsoak: after the last"};
    size_t n = sizeof firsts / sizeof firsts[0];
    for (size_t i = 0; i < n; i++) {
        if (!str_has_prefix(screen[i], firsts[i])) {
            fail_msg("line %zu is \"%s\", not \"%s\"", i, screen[i], firsts[i]);
        }
        assert_true(longest(screen[i]) < 60);
    }
    assert_string_equal(screen[n], "");
}

static void *say_things(void *unused)
{
    for (int i = 0; i < 20; i++) {
        log_note("from another thread");
    }
    return unused;
}

static void play_with_a_thread(struct scene *scene, bool quiet)
{
    struct live *live = live_new(quiet, "https://127.0.0.1:8443/");
    pthread_t thread;

    assert_int_equal(pthread_create(&thread, NULL, say_things, NULL), 0);
    for (int i = 0; i < 200; i++) {
        live_show(live, &scene->frame);
    }
    (void)pthread_join(thread, NULL);
    live_free(live);
}

static void notes_of_other_threads_tear_nothing(void **state)
{
    static char text[1u << 20], screen[ROWS][COLUMNS * 4];
    struct winsize size = {.ws_row = ROWS, .ws_col = 60};
    int master, slave;

    assert_int_equal(openpty(&master, &slave, NULL, NULL, &size), 0);
    read_to_end(master, act(slave, play_with_a_thread, *state, false), text, sizeof text);
    emulate(text, screen);
    for (size_t i = 0; i < 20; i++) {
        assert_string_equal(screen[i], "tlsoak: from another thread");
    }
    assert_true(str_has_prefix(screen[20], "██████░"));
    assert_string_equal(screen[26], "");
}

/* The view ends while another thread speaks; a deadlock is ended by the alarm. */
static void end_amid_notes(struct scene *scene, bool quiet)
{
    (void)alarm(60);
    for (int i = 0; i < 20; i++) {
        struct live *live = live_new(quiet, "https://127.0.0.1:8443/");
        pthread_t thread;

        live_show(live, &scene->frame);
        assert_int_equal(pthread_create(&thread, NULL, say_things, NULL), 0);
        live_show(live, &scene->frame);
        live_free(live);
        (void)pthread_join(thread, NULL);
    }
    log_note("all have ended");
}

static void ends_amid_notes(void **state)
{
    static char text[1u << 20];
    int master, slave;

    assert_int_equal(openpty(&master, &slave, NULL, NULL, NULL), 0);
    read_to_end(master, act(slave, end_amid_notes, *state, false), text, sizeof text);
    assert_non_null(strstr(text, "all have ended"));
}

#define WITH_SCENE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_SCENE(shows_what_happens),
        WITH_SCENE(fits_any_terminal),
        WITH_SCENE(colours_only_when_wanted),
        WITH_SCENE(says_nothing_of_memory_without_a_source),
        WITH_SCENE(writes_a_line_each_ten_seconds),
        WITH_SCENE(redraws_in_place),
        WITH_SCENE(notes_of_other_threads_tear_nothing),
        WITH_SCENE(ends_amid_notes),
    };

    (void)unsetenv("NO_COLOR");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
