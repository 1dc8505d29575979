#include "cmd/commands.h"

#include "base/diag.h"
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/unit.h"
#include "cmd/planting.h"
#include "cmd/soak.h"
#include "embedded.h"
#include "ident/pki.h"
#include "profile/profile.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static const struct cli_option options[] = {
    {"leak", 'l', "DRIVER=SIZE",
     "plant a leak (default: client_certificate=2KiB; \"none\" for no leak)"},
    {"innocent", 'i', "KIND", "plant something that looks like a leak and is none"},
    {"set", 's', "SECTION.KEY=VALUE", "overrides one value of the demo's profile"},
    {"output", 'o', "DIR", "the run directory (default: tlsoak-run-DATE-ID)"},
    {"quiet", 'q', NULL, "no live view and no report, only the verdict's sentence"},
    {NULL, 0, NULL, NULL},
};

enum { MAX_ARGS = 64 };

/* The embedded server: always a process of its own, whose memory is its own. */
struct server {
    pid_t pid;
    int stdin_fd; /* closing it ends the server */
    char address[64];
};

struct demo {
    char dir[64]; /* keys and certificates, removed at the end */
    pid_t janitor;
    int janitor_fd; /* its end makes the janitor remove `dir` */
    struct server server;
};

static int remove_entry(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
    (void)st;
    (void)flag;
    (void)ftw;
    return remove(path);
}

static void remove_tree(const char *dir)
{
    (void)nftw(dir, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

static _Noreturn void be_janitor(const char *dir, int fd)
{
    char byte;

    /* Not for a Ctrl-C, nor for whatever ends the whole session: it ends soon after us anyway. */
    (void)setpgid(0, 0);
    (void)signal(SIGINT, SIG_IGN);
    (void)signal(SIGTERM, SIG_IGN);
    (void)signal(SIGHUP, SIG_IGN);
    while (read(fd, &byte, 1) < 0 && errno == EINTR) {
    }
    remove_tree(dir);
    _exit(0);
}

/* A process that waits for our end and then removes the directory: private keys must not stay
 * behind however we end, by a second Ctrl-C or kill -9 included. */
static bool start_janitor(struct demo *demo, struct diag *diag)
{
    int ends[2] = {-1, -1};

    demo->janitor = pipe2(ends, O_CLOEXEC) == 0 ? fork() : -1;
    if (demo->janitor == 0) {
        (void)close(ends[1]);
        be_janitor(demo->dir, ends[0]);
    }
    if (demo->janitor < 0) {
        diag_add(diag, (struct origin){"demo", 0}, "no second process: %s", strerror(errno));
        remove_tree(demo->dir);
        return false;
    }
    (void)close(ends[0]);
    demo->janitor_fd = ends[1];
    return true;
}

static void end_janitor(const struct demo *demo)
{
    if (demo->janitor > 0) {
        (void)close(demo->janitor_fd);
        while (waitpid(demo->janitor, NULL, 0) < 0 && errno == EINTR) {
        }
    }
}

static bool make_pki(struct demo *demo, struct diag *diag)
{
    struct pki_request request = {
        .dir = demo->dir,
        .server_names = "localhost, 127.0.0.1, ::1",
        .key_type = KEY_ECDSA_P256,
        .days = 2,
    };

    (void)str_copy(demo->dir, sizeof demo->dir, "/tmp/tlsoak-demo-XXXXXX");
    if (mkdtemp(demo->dir) == NULL) {
        diag_add(diag, (struct origin){demo->dir, 0}, "cannot make it: %s", strerror(errno));
        return false;
    }
    return start_janitor(demo, diag) && pki_make(&request, diag);
}

/* Adds "--name" and DIR/file to the server's arguments. */
static size_t file_argument(char **args, size_t n, const char *name, const char *dir,
                            const char *file)
{
    args[n++] = xstrdup(name);
    args[n++] = xasprintf("%s/%s", dir, file);
    return n;
}

static size_t server_arguments(const struct cli *cli, const struct demo *demo, char **args)
{
    const char *leaks[CLI_VALUES];
    size_t n_leaks = cli_values(cli, "leak", leaks, 16);
    const char *innocent = cli_value(cli, "innocent", NULL);
    size_t n = 0;

    args[n++] = xstrdup("tlsoak");
    args[n++] = xstrdup("serve");
    args[n++] = xstrdup("--watch-stdin");
    n = file_argument(args, n, "--ca", demo->dir, "ca.pem");
    n = file_argument(args, n, "--cert", demo->dir, "server.pem");
    n = file_argument(args, n, "--key", demo->dir, "server.key");
    n = file_argument(args, n, "--apikey-secret", demo->dir, "apikey.secret");
    n = file_argument(args, n, "--jwt-secret", demo->dir, "jwt.secret");
    if (innocent != NULL) {
        args[n++] = xasprintf("--innocent=%s", innocent);
        /* A bound that is not reached looks exactly like a leak, and the demo is short; a step
         * comes after 20 s unless as many requests come first. */
        args[n++] = xasprintf("--cap=%d", str_equal(innocent, "step") ? 1000000 : 300);
    } else if (n_leaks == 0) {
        args[n++] = xstrdup("--leak=client_certificate=2KiB");
    }
    for (size_t i = 0; i < n_leaks; i++) {
        args[n++] = xasprintf("--leak=%s", leaks[i]);
    }
    args[n] = NULL;
    return n;
}

/* Reads the READY line; the server prints it when it accepts, or ends. */
static bool read_ready(int fd, char *address, size_t size)
{
    char line[512], error[128];
    size_t len = 0;

    while (len < sizeof line - 1) {
        ssize_t got = read(fd, line + len, 1);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0 || line[len] == '\n') {
            break;
        }
        len++;
    }
    line[len] = '\0';
    if (!str_has_prefix(line, "READY ")) {
        return false;
    }
    struct json *json = json_parse(line + 6, len - 6, error, sizeof error);
    bool ok = json != NULL && str_copy(address, size, json_get_string(json, "addr", ""));
    json_free(json);
    return ok && address[0] != '\0';
}

static int spawn_server(char **args, int stdin_fd, int stdout_fd, pid_t *ret_pid)
{
    char program[4096] = "";
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;

    /* By its path, so that the process is listed as tlsoak and not as "exe". */
    if (readlink("/proc/self/exe", program, sizeof program - 1) <= 0) {
        return errno;
    }
    (void)posix_spawn_file_actions_init(&actions);
    (void)posix_spawn_file_actions_adddup2(&actions, stdin_fd, STDIN_FILENO);
    (void)posix_spawn_file_actions_adddup2(&actions, stdout_fd, STDOUT_FILENO);
    (void)posix_spawnattr_init(&attributes);
    /* A group of its own: Ctrl-C is for the soak, which ends the server when it is done. */
    (void)posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);
    (void)posix_spawnattr_setpgroup(&attributes, 0);
    int error = posix_spawn(ret_pid, program, &actions, &attributes, args, environ);
    (void)posix_spawn_file_actions_destroy(&actions);
    (void)posix_spawnattr_destroy(&attributes);
    return error;
}

static bool start_server(const struct cli *cli, struct demo *demo, struct diag *diag)
{
    char *args[MAX_ARGS];
    int to_server[2], from_server[2];
    size_t n = server_arguments(cli, demo, args);

    if (pipe2(to_server, O_CLOEXEC) != 0 || pipe2(from_server, O_CLOEXEC) != 0) {
        diag_add(diag, (struct origin){"demo", 0}, "no pipe: %s", strerror(errno));
        return false;
    }
    int error = spawn_server(args, to_server[0], from_server[1], &demo->server.pid);
    (void)close(to_server[0]);
    (void)close(from_server[1]);
    demo->server.stdin_fd = to_server[1];
    bool ready =
        error == 0 && read_ready(from_server[0], demo->server.address, sizeof demo->server.address);
    (void)close(from_server[0]);
    for (size_t i = 0; i < n; i++) {
        free(args[i]);
    }
    if (!ready) {
        diag_add(diag, (struct origin){"demo", 0}, "the embedded server did not start%s%s",
                 error != 0 ? ": " : "", error != 0 ? strerror(error) : "");
    }
    return ready;
}

static void stop_server(struct server *server)
{
    if (server->pid > 0) {
        (void)close(server->stdin_fd);
        (void)kill(server->pid, SIGTERM);
        (void)waitpid(server->pid, NULL, 0);
    }
}

/* The demo's profile is an ordinary one; only what is known now is set over it. */
static struct plan *load_plan(const struct cli *cli, const struct demo *demo, struct diag *diag)
{
    const char *sets[CLI_VALUES + 4];
    CLEANUP_FREE char *url = xasprintf("target.url=https://%s/", demo->server.address);
    CLEANUP_FREE char *pid = xasprintf("memory.server.pid=%d", (int)demo->server.pid);
    size_t n = cli_values(cli, "set", sets, CLI_VALUES);

    sets[n++] = url;
    sets[n++] = pid;
    (void)setenv("TLSOAK_DEMO_DIR", demo->dir, 1);
    return profile_load_text("demo.ini", embedded_demo_ini, sets, n, diag);
}

static void announce(const struct cli *cli, const struct demo *demo, const struct plan *plan)
{
    const char *leaks[CLI_VALUES];
    char text[UNIT_TEXT];
    size_t n = cli_values(cli, "leak", leaks, CLI_VALUES);
    const char *innocent = cli_value(cli, "innocent", NULL);

    log_note("the embedded mTLS server listens on %s (pid %d)", demo->server.address,
             (int)demo->server.pid);
    log_note("planted: %s%s", innocent != NULL ? "something that only looks like a leak, " : "",
             innocent != NULL ? innocent
             : n == 1         ? leaks[0]
             : n > 1          ? "several leaks"
                              : "client_certificate=2KiB");
    log_note("soaking it for %s with rotating certificates, API keys and JWTs",
             unit_duration(text, (double)plan->run.duration_ns));
}

static int run(const struct cli *cli)
{
    struct demo demo = {.dir = ""};
    struct serve_options planted = {.cap = 0};
    struct diag *diag = diag_new();
    struct soak_options soak = {.dir = cli_value(cli, "output", NULL),
                                .quiet = cli_flag(cli, "quiet")};
    int code = 2;

    if (planting_read(cli, &planted, diag) && make_pki(&demo, diag) &&
        start_server(cli, &demo, diag)) {
        struct plan *plan = load_plan(cli, &demo, diag);
        if (plan != NULL) {
            log_quiet(soak.quiet);
            announce(cli, &demo, plan);
            code = soak_perform(plan, &soak);
            plan_free(plan);
        }
    }
    diag_print(diag, stderr);
    stop_server(&demo.server);
    end_janitor(&demo);
    diag_free(diag);
    return code;
}

const struct command command_demo = {
    .name = "demo",
    .arguments = "[--leak DRIVER=SIZE]... [--innocent KIND]",
    .summary = "embedded server, soak and report, without any configuration",
    .details = "Ends with exit code 1 when it finds the leak that it planted, which it should.",
    .options = options,
    .run = run,
    .more_help = planting_help,
};
