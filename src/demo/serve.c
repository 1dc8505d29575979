#include "demo/serve.h"

#include "base/jsonw.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/sink.h"
#include "demo/answer.h"
#include "demo/listener.h"
#include "demo/mode.h"
#include "demo/peer.h"
#include "demo/tally.h"
#include "demo/tlsd.h"

#include <errno.h>
#include <ev.h>
#include <malloc.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define TICK_S         0.1
#define TRUTH_S        1.0
#define EXIT_MISTAKE   2
#define BOUND_MAX      ((uint64_t)4 << 30)
#define MMAP_THRESHOLD (32 << 20) /* the largest that glibc takes */
#define TRIM_THRESHOLD (1 << 30)

struct server {
    const struct serve_options *options;
    struct ev_loop *loop;
    struct tally *tally;
    struct tlsd *tlsd;
    struct gate *gate;
    struct peers *peers;
    int listener;
    char address[LISTENER_TEXT];
    ev_signal terminate, interrupt, rotate;
    ev_timer tick, truth, crash;
    ev_io input;
};

/* The allocator held still: one arena, and limits that do not adapt to what is freed, so that the
 * server's own memory is level and only what is planted grows. */
static void allocator_fix(void)
{
    mallopt(M_ARENA_MAX, 1);
    mallopt(M_MMAP_THRESHOLD, MMAP_THRESHOLD);
    mallopt(M_TRIM_THRESHOLD, TRIM_THRESHOLD);
}

static void limits_raise(const struct serve_options *options)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        if (setrlimit(RLIMIT_NOFILE, &limit) != 0) {
            log_warn("cannot raise the limit of open files: %s", strerror(errno));
        }
    }
    /* A crash that was asked for is no reason to fill the disk. */
    if (options->crash_at_s > 0 && getrlimit(RLIMIT_CORE, &limit) == 0) {
        limit.rlim_cur = 0;
        if (setrlimit(RLIMIT_CORE, &limit) != 0) {
            log_warn("cannot turn core files off: %s", strerror(errno));
        }
    }
}

static bool options_check(const struct serve_options *options, struct diag *diag)
{
    size_t before = diag_count(diag);
    const struct {
        const char *option, *value;
    } needed[] = {{"--listen", options->listen},
                  {"--ca", options->ca},
                  {"--cert", options->cert},
                  {"--key", options->key}};
    for (size_t i = 0; i < sizeof needed / sizeof *needed; i++) {
        if (needed[i].value == NULL) {
            diag_add(diag, (struct origin){needed[i].option, 0}, "is needed");
        }
    }
    for (int i = 0; i < DRIVER_COUNT; i++) {
        double bytes = options->leak[i];
        if (!isfinite(bytes) || bytes < 0 || bytes > (double)BOUND_MAX) {
            diag_add(diag, (struct origin){"--leak", 0}, "%s=%g is not a size from 0 to 4 GiB",
                     driver_info((enum driver)i)->name, bytes);
        }
    }
    if (options->innocent != INNOCENT_NONE &&
        (options->cap == 0 || options->payload == 0 || options->payload > BOUND_MAX ||
         options->cap > BOUND_MAX / options->payload)) {
        diag_add(diag, (struct origin){"--innocent", 0},
                 "cap and payload must be 1 or more, and 4 GiB together at most");
    }
    return diag_count(diag) == before;
}

static void on_signal(struct ev_loop *loop, ev_signal *signal, int events)
{
    (void)signal;
    (void)events;
    ev_break(loop, EVBREAK_ALL);
}

static struct tlsd_files files_of(const struct serve_options *options)
{
    return (struct tlsd_files){
        .ca = options->ca, .crl = options->crl, .cert = options->cert, .key = options->key};
}

/* A rotation: what stands in the files now takes the place of what was read before. */
static void on_rotate(struct ev_loop *loop, ev_signal *signal, int events)
{
    struct server *server = signal->data;
    struct diag *diag = diag_new();
    struct tlsd_files files = files_of(server->options);
    (void)loop;
    (void)events;
    if (tlsd_rotate(server->tlsd, &files, diag)) {
        tally_event(server->tally, DRIVER_ROTATION, true);
    } else {
        log_warn("the old certificate stays: %s", diag_text(diag, 0));
    }
    diag_free(diag);
}

static void on_input(struct ev_loop *loop, ev_io *io, int events)
{
    char bytes[4096];
    (void)events;
    ssize_t n = read(io->fd, bytes, sizeof bytes);
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
        ev_break(loop, EVBREAK_ALL);
    }
}

static void on_tick(struct ev_loop *loop, ev_timer *timer, int events)
{
    struct server *server = timer->data;
    (void)loop;
    (void)events;
    tally_tick(server->tally);
    peers_tick(server->peers);
    gate_tick(server->gate);
}

static void on_truth(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop;
    (void)events;
    tally_write(((struct server *)timer->data)->tally);
}

static void on_crash(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop;
    (void)timer;
    (void)events;
    raise(SIGABRT);
}

static void watchers_start(struct server *server)
{
    ev_signal_init(&server->terminate, on_signal, SIGTERM);
    ev_signal_init(&server->interrupt, on_signal, SIGINT);
    ev_signal_start(server->loop, &server->terminate);
    ev_signal_start(server->loop, &server->interrupt);
    ev_signal_init(&server->rotate, on_rotate, SIGHUP);
    server->rotate.data = server;
    ev_signal_start(server->loop, &server->rotate);
    ev_timer_init(&server->tick, on_tick, TICK_S, TICK_S);
    ev_timer_init(&server->truth, on_truth, TRUTH_S, TRUTH_S);
    server->tick.data = server;
    server->truth.data = server;
    ev_timer_start(server->loop, &server->tick);
    ev_timer_start(server->loop, &server->truth);
    ev_timer_init(&server->crash, on_crash, server->options->crash_at_s, 0);
    if (server->options->crash_at_s > 0) {
        ev_timer_start(server->loop, &server->crash);
    }
    ev_io_init(&server->input, on_input, STDIN_FILENO, EV_READ);
    if (server->options->watch_stdin) {
        ev_io_start(server->loop, &server->input);
    }
}

static void watchers_stop(struct server *server)
{
    ev_signal_stop(server->loop, &server->terminate);
    ev_signal_stop(server->loop, &server->interrupt);
    ev_signal_stop(server->loop, &server->rotate);
    ev_timer_stop(server->loop, &server->tick);
    ev_timer_stop(server->loop, &server->truth);
    ev_timer_stop(server->loop, &server->crash);
    ev_io_stop(server->loop, &server->input);
}

static bool announce(const struct server *server, struct diag *diag)
{
    struct sink *line = sink_new();
    struct jsonw w;
    CLEANUP_FREE char *mode = mode_text(server->options);
    sink_printf(line, "READY ");
    jsonw_init(&w, line, true);
    jsonw_object(&w, NULL);
    jsonw_string(&w, "addr", server->address);
    jsonw_integer(&w, "pid", getpid());
    jsonw_string(&w, "mode", mode);
    jsonw_string(&w, "impl", "tlsoak " TLSOAK_VERSION);
    jsonw_end(&w);
    bool sent = sink_send(line, STDOUT_FILENO);
    if (!sent) {
        diag_add(diag, (struct origin){"stdout", 0}, "cannot say READY: %s", strerror(errno));
    }
    sink_free(line);
    return sent;
}

/* Everything that can be a mistake, all of them found at once. */
static bool server_open(struct server *server, struct diag *diag)
{
    const struct serve_options *options = server->options;
    server->tally = tally_new(options, diag);
    struct tlsd_files files = files_of(options);
    server->tlsd = tlsd_new(&files, diag);
    server->gate = gate_new(options, server->tally, diag);
    server->listener =
        listener_open(options->listen, (struct origin){"--listen", 0}, server->address, diag);
    if (server->tally == NULL || server->tlsd == NULL || server->gate == NULL ||
        server->listener < 0) {
        return false;
    }
    server->loop = ev_loop_new(EVFLAG_AUTO);
    server->peers = server->loop != NULL ? peers_new(server->loop, server->listener, server->tlsd,
                                                     server->gate, server->tally)
                                         : NULL;
    if (server->peers == NULL) {
        diag_add(diag, (struct origin){"serve", 0}, "no memory for connections: %s",
                 strerror(errno));
        return false;
    }
    return true;
}

static void server_close(struct server *server)
{
    peers_free(server->peers);
    if (server->listener >= 0) {
        close(server->listener);
    }
    if (server->loop != NULL) {
        ev_loop_destroy(server->loop);
    }
    gate_free(server->gate);
    tlsd_free(server->tlsd);
    tally_free(server->tally);
}

int serve_run(const struct serve_options *options, struct diag *diag)
{
    struct server server = {.options = options, .listener = -1};
    int code = EXIT_MISTAKE;
    if (!options_check(options, diag)) {
        return EXIT_MISTAKE;
    }
    allocator_fix();
    limits_raise(options);
    signal(SIGPIPE, SIG_IGN);
    if (server_open(&server, diag)) {
        watchers_start(&server);
        if (announce(&server, diag)) {
            ev_run(server.loop, 0);
            tally_write(server.tally);
            code = 0;
        }
        watchers_stop(&server);
    }
    server_close(&server);
    return code;
}
