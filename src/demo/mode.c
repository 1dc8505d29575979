#include "demo/mode.h"

#include "base/mem.h"
#include "base/sink.h"
#include "base/str.h"

static void mode_leaks(struct sink *mode, const struct serve_options *options)
{
    const char *before = "leak ";
    for (int i = 0; i < DRIVER_COUNT; i++) {
        if (options->leak[i] > 0) {
            sink_printf(mode, "%s%s=%.10g", before, driver_info((enum driver)i)->name,
                        options->leak[i]);
            before = " ";
        }
    }
}

char *mode_text(const struct serve_options *options)
{
    struct sink *mode = sink_new();
    size_t len;
    mode_leaks(mode, options);
    if (options->innocent != INNOCENT_NONE) {
        sink_printf(mode, ", innocent %s", innocent_name(options->innocent));
    }
    if (options->late_s > 0) {
        sink_printf(mode, ", late %.10gs", options->late_s);
    }
    if (options->fd_leak) {
        sink_printf(mode, ", fd leak");
    }
    if (options->thread_leak) {
        sink_printf(mode, ", thread leak");
    }
    if (options->crash_at_s > 0) {
        sink_printf(mode, ", crash at %.10gs", options->crash_at_s);
    }
    if (options->poison) {
        sink_printf(mode, ", poison");
    }
    const char *text = sink_text(mode, &len);
    text += str_has_prefix(text, ", ") ? 2 : 0;
    char *copy = xstrdup(*text != '\0' ? text : "clean");
    sink_free(mode);
    return copy;
}
