#include "demo/tally.h"

#include "base/jsonw.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/mono.h"
#include "base/sink.h"
#include "demo/innocent.h"
#include "demo/leak.h"
#include "demo/mode.h"
#include "demo/seen.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Four million slots, 32 MiB. */
#define SEEN_BITS 22

struct tally {
    struct leak *leak;
    struct innocence *innocence;
    struct seen *seen;
    uint64_t start_ns;
    uint64_t n[DRIVER_COUNT];
    uint64_t n_clean, n_open, n_handshakes_failed, n_issued, n_odd[TALLY_ODDITIES];
    char *mode;
    int fd; /* of the truth file, or -1 */
    struct sink *line;
};

struct tally *tally_new(const struct serve_options *options, struct diag *diag)
{
    int fd = -1;
    if (options->truth != NULL) {
        fd = open(options->truth, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
        if (fd < 0) {
            diag_add(diag, (struct origin){"--truth", 0}, "cannot write %s: %s", options->truth,
                     strerror(errno));
            return NULL;
        }
    }
    struct seen *seen = seen_new(SEEN_BITS);
    if (seen == NULL) {
        diag_add(diag, (struct origin){"serve", 0},
                 "no memory for the table of credentials (%u MiB): %s", 8u << (SEEN_BITS - 20),
                 strerror(errno));
        if (fd >= 0) {
            close(fd);
        }
        return NULL;
    }
    struct tally *tally = xcalloc(1, sizeof *tally);
    tally->leak = leak_new(options);
    tally->innocence = innocence_new(options);
    tally->seen = seen;
    tally->mode = mode_text(options);
    tally->fd = fd;
    tally->line = sink_new();
    tally->start_ns = mono_now_ns();
    return tally;
}

void tally_free(struct tally *tally)
{
    if (tally == NULL) {
        return;
    }
    if (tally->fd >= 0) {
        close(tally->fd);
    }
    leak_free(tally->leak);
    innocence_free(tally->innocence);
    seen_free(tally->seen);
    sink_free(tally->line);
    free(tally->mode);
    free(tally);
}

static double elapsed_s(const struct tally *tally)
{
    return (double)(mono_now_ns() - tally->start_ns) / (double)NS_PER_S;
}

void tally_tick(struct tally *tally)
{
    double now_s = elapsed_s(tally);
    leak_tick(tally->leak, now_s);
    innocence_tick(tally->innocence, now_s);
}

void tally_event(struct tally *tally, enum driver driver, bool keep)
{
    tally->n[driver]++;
    if (!keep) {
        tally->n_clean += driver == DRIVER_REQUEST;
        return;
    }
    leak_event(tally->leak, driver);
    if (driver == DRIVER_REQUEST) {
        innocence_request(tally->innocence);
    }
}

void tally_credential(struct tally *tally, enum driver kind, const void *bytes, size_t len,
                      bool keep)
{
    uint64_t fingerprint = seen_fingerprint(kind, bytes, len);
    if (keep) {
        innocence_credential(tally->innocence, kind, fingerprint);
    }
    if (seen_first(tally->seen, fingerprint)) {
        tally_event(tally, kind, keep);
    }
}

void tally_handshake(struct tally *tally, int fd, bool resumed)
{
    if (fd < 0) {
        tally->n_handshakes_failed++;
        return;
    }
    tally->n_open++;
    tally_event(tally, resumed ? DRIVER_RESUMPTION : DRIVER_CONNECTION, true);
    leak_connection(tally->leak, fd);
}

void tally_odd(struct tally *tally, enum tally_oddity oddity)
{
    tally->n_odd[oddity]++;
}

void tally_issued(struct tally *tally)
{
    tally->n_issued++;
}

void tally_closed(struct tally *tally)
{
    tally->n_open--;
}

void tally_write(struct tally *tally)
{
    const struct ledger *leaked = leak_ledger(tally->leak);
    const struct ledger *held = innocence_ledger(tally->innocence);
    struct jsonw w;
    if (tally->fd < 0) {
        return;
    }
    jsonw_init(&w, tally->line, true);
    jsonw_object(&w, NULL);
    jsonw_number(&w, "t", elapsed_s(tally));
    jsonw_string(&w, "mode", tally->mode);
    jsonw_integer(&w, "retained_entries", (int64_t)(leaked->entries + held->entries));
    jsonw_integer(&w, "retained_bytes", (int64_t)(leaked->bytes + held->bytes));
    for (int i = DRIVER_TIME + 1; i < DRIVER_COUNT; i++) {
        jsonw_integer(&w, driver_info((enum driver)i)->column, (int64_t)tally->n[i]);
    }
    jsonw_object(&w, "kept_bytes");
    for (int i = 0; i < DRIVER_COUNT; i++) {
        uint64_t kept = leak_kept_bytes(tally->leak, (enum driver)i);
        if (kept > 0) {
            jsonw_integer(&w, driver_info((enum driver)i)->name, (int64_t)kept);
        }
    }
    jsonw_end(&w);
    jsonw_integer(&w, "open", (int64_t)tally->n_open);
    jsonw_integer(&w, "clean", (int64_t)tally->n_clean);
    jsonw_integer(&w, "handshakes_failed", (int64_t)tally->n_handshakes_failed);
    jsonw_integer(&w, "handshakes_aborted", (int64_t)tally->n_odd[TALLY_HANDSHAKE_ABORTED]);
    jsonw_integer(&w, "cut", (int64_t)tally->n_odd[TALLY_CUT]);
    jsonw_integer(&w, "oversized", (int64_t)tally->n_odd[TALLY_OVERSIZED]);
    jsonw_integer(&w, "tokens_issued", (int64_t)tally->n_issued);
    jsonw_bool(&w, "credentials_full", seen_full(tally->seen));
    jsonw_end(&w);
    if (!sink_send(tally->line, tally->fd)) {
        log_warn("the truth file ends here: %s", strerror(errno));
        close(tally->fd);
        tally->fd = -1;
    }
}
