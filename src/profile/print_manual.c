#include "profile/profile.h"

#include "base/mem.h"
#include "base/roff.h"
#include "profile/ini.h"
#include "profile/options.h"
#include "profile/print_parts.h"

static void print_facts(struct sink *sink, const struct option *option)
{
    struct sink *facts = sink_new();

    if ((option->flags & OPTION_REQUIRED) != 0) {
        sink_printf(facts, "Required");
    } else if (option->initial != NULL) {
        sink_printf(facts, "Default: %s", option->initial);
    }
    print_range(facts, option);
    if (sink_text(facts, NULL)[0] != '\0') {
        sink_printf(sink, "\n.br\n");
        roff_text(sink, sink_text(facts, NULL));
    }
    sink_free(facts);
}

static void print_option(struct sink *sink, const struct option *option)
{
    struct sink *form = sink_new();
    CLEANUP_FREE char *key =
        xasprintf("%s%s", option->key, option->suffix != NULL ? option->suffix : "");

    print_form(form, option, "", 0);
    sink_printf(sink, ".TP\n");
    roff_bold(sink, key);
    sink_printf(sink, " = ");
    roff_text(sink, sink_text(form, NULL));
    sink_printf(sink, "\n");
    roff_text(sink, option->help);
    print_facts(sink, option);
    sink_printf(sink, "\n");
    sink_free(form);
}

void profile_print_manual(struct sink *sink)
{
    sink_printf(sink,
                ".SH FORMAT\n"
                "A line is KEY = VALUE, at most %d bytes, below the head of its section:\n"
                "[SECTION], or [SECTION NAME] where there may be several of a kind.\n"
                "A ; at its start, or after a space, begins a comment, but not within double\n"
                "quotes; a # does so at the start of a line only.\n"
                "An empty value takes back what a profile further up gave.\n"
                ".TP\n${NAME}\nThat variable of the environment, which must be set; $${ is a\n"
                "plain ${.\n"
                ".TP\n@FILE\nThe content of that file; a value that begins with a plain @ is\n"
                "written @@.\n"
                ".PP\nNames of files are relative to the profile they are written in.\n"
                ".SH SECTIONS\n",
                INI_LINE_MAX);
    for (size_t s = 0; s < SECTION_COUNT; s++) {
        const struct section_info *section = section_info((enum section)s);
        sink_printf(sink, ".SS [%s%s]\n", section->name, section->item_size > 0 ? " NAME" : "");
        roff_text(sink, section->help);
        sink_printf(sink, "\n");
        for (size_t i = 0; option_at(i) != NULL; i++) {
            if (option_at(i)->section == (enum section)s) {
                print_option(sink, option_at(i));
            }
        }
    }
}
