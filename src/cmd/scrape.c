#include "cmd/scrape.h"

#include "base/log.h"
#include "base/mem.h"
#include "base/mono.h"
#include "base/str.h"
#include "demo/listener.h"
#include "net/responder.h"
#include "report/exposition.h"

#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FORMATS (EXPOSITION_OPENMETRICS + 1)

struct scrape {
    struct exposition_frame frame; /* main's */
    struct exposition_source sources[RUN_SOURCES];
    struct reading newest[RUN_SOURCES];
    struct responder *responder;
    pthread_mutex_t mutex;       /* for what the responder's thread sees: */
    struct sink *pages[FORMATS]; /* the newest */
};

static int answer(const char *path, const char *accept, struct sink *body, const char **ret_type,
                  void *context)
{
    struct scrape *scrape = context;
    size_t len;
    if (str_equal(path, "/healthz")) {
        *ret_type = "text/plain; charset=utf-8";
        sink_printf(body, "ok\n");
        return 200;
    }
    if (!str_equal(path, "/metrics")) {
        return 404;
    }
    enum exposition_format format = exposition_wanted(accept);
    *ret_type = exposition_type(format);
    (void)pthread_mutex_lock(&scrape->mutex);
    const char *text = sink_text(scrape->pages[format], &len);
    sink_write(body, text, len);
    (void)pthread_mutex_unlock(&scrape->mutex);
    return 200;
}

static void write_pages(struct scrape *scrape)
{
    for (int i = 0; i < FORMATS; i++) {
        struct sink *page = sink_new(), *before;
        exposition_write(page, (enum exposition_format)i, &scrape->frame);
        (void)pthread_mutex_lock(&scrape->mutex);
        before = scrape->pages[i];
        scrape->pages[i] = page;
        (void)pthread_mutex_unlock(&scrape->mutex);
        sink_free(before);
    }
}

/* A port that the system chose is told even with --quiet, and so is that others can read. */
static void tell(const char *listen, const char *address)
{
    const char *colon = strrchr(listen, ':');
    uint64_t port;
    bool chosen = str_to_u64(colon != NULL ? colon + 1 : listen, &port) && port == 0;
    if (!str_has_prefix(address, "127.") && !str_has_prefix(address, "[::1]:")) {
        log_warn("metrics are at http://%s/metrics, for whoever reaches that address", address);
    } else if (chosen) {
        (void)fprintf(stderr, "tlsoak: metrics are at http://%s/metrics\n", address);
    } else {
        log_note("metrics are at http://%s/metrics", address);
    }
}

struct scrape *scrape_open(const struct plan *plan, const struct run_meta *meta, struct diag *diag)
{
    struct origin origin = plan_origin(plan, &plan->output.listen);
    char address[LISTENER_TEXT];
    int listener = listener_open(plan->output.listen, origin, address, diag);
    if (listener < 0) {
        return NULL;
    }
    struct scrape *scrape = xcalloc(1, sizeof *scrape);
    for (int i = 0; i < meta->n_sources; i++) {
        scrape->sources[i].name = meta->source[i];
    }
    scrape->frame = (struct exposition_frame){
        .version = meta->version,
        .tls_library = meta->tls_library,
        .run_id = meta->id,
        .start_wall_s = meta->start_wall_s,
        .planned_s = (double)plan->run.duration_ns / (double)NS_PER_S,
        .sources = scrape->sources,
        .n_sources = (size_t)meta->n_sources,
    };
    (void)pthread_mutex_init(&scrape->mutex, NULL);
    write_pages(scrape);
    scrape->responder = responder_start(listener, answer, scrape);
    if (scrape->responder == NULL) {
        diag_add(diag, origin, "output.listen: the system refused a thread: %s", strerror(errno));
        scrape_free(scrape);
        return NULL;
    }
    tell(plan->output.listen, address);
    return scrape;
}

void scrape_free(struct scrape *scrape)
{
    if (scrape != NULL) {
        responder_stop(scrape->responder);
        (void)pthread_mutex_destroy(&scrape->mutex);
        for (int i = 0; i < FORMATS; i++) {
            sink_free(scrape->pages[i]);
        }
        free(scrape);
    }
}

void scrape_reading(struct scrape *scrape, const struct reading *reading)
{
    if (scrape != NULL) {
        scrape->newest[reading->source] = *reading;
        scrape->sources[reading->source].newest = &scrape->newest[reading->source];
    }
}

void scrape_second(struct scrape *scrape, const struct fleet_second *second,
                   const struct memory_finding *finding)
{
    if (scrape == NULL) {
        return;
    }
    struct exposition_frame *frame = &scrape->frame;
    frame->total = second->total;
    frame->elapsed_s = second->elapsed_s;
    frame->planned_s = second->planned_s;
    frame->phase = second->phase_name;
    frame->rate_asked = second->rate_asked;
    frame->judged_s = second->judged_s;
    frame->lagging_s = second->lagging_s;
    frame->invalid = second->invalid;
    frame->finding = finding;
    write_pages(scrape);
}
