#include "profile/profile.h"

#include "base/str.h"
#include "profile/ini.h"
#include "profile/options.h"
#include "profile/print_parts.h"

#include <stdio.h>
#include <string.h>

#define HELP_WIDTH 92

/* The words of a text, wrapped, each line behind `lead`. */
static void print_wrapped(struct sink *sink, const char *lead, const char *text)
{
    size_t column = 0;

    while (*text != '\0') {
        size_t len = strcspn(text, " ");
        if (column > 0 && column + 1 + len > HELP_WIDTH) {
            sink_printf(sink, "\n");
            column = 0;
        }
        sink_printf(sink, "%s", column == 0 ? lead : " ");
        sink_write(sink, text, len);
        column += len + (column == 0 ? strlen(lead) : 1);
        text += len + strspn(text + len, " ");
    }
    sink_printf(sink, "\n");
}

/* Words between |, wrapped behind `lead`; the line has `column` bytes already. */
static void print_choice(struct sink *sink, const char *const *words, const char *lead,
                         size_t column)
{
    for (size_t i = 0; words[i] != NULL; i++) {
        size_t len = strlen(words[i]) + 1;
        bool fits = column + len <= HELP_WIDTH;
        if (i > 0) {
            sink_printf(sink, "|%s%s", fits ? "" : "\n", fits ? "" : lead);
        }
        sink_printf(sink, "%s", words[i]);
        column = len + (fits ? column : strlen(lead));
    }
}

void print_form(struct sink *sink, const struct option *option, const char *lead, size_t column)
{
    const struct type_info *type = type_info(option->type);

    if (option->words != NULL) {
        print_choice(sink, option->words, lead, column);
    } else if ((option->flags & OPTION_SECRET) != 0) {
        sink_printf(sink, "@FILE|${VARIABLE}");
    } else if ((option->flags & OPTION_PATH) != 0 || str_equal(option->key, "extends")) {
        sink_printf(sink, "FILE");
    } else {
        sink_printf(sink, "%s", type->symbol);
    }
}

void print_range(struct sink *sink, const struct option *option)
{
    if (option->min == 0 && option->max == 0) {
        return;
    }
    sink_printf(sink, " (");
    type_print_number(option->type, option->min, sink);
    sink_printf(sink, " to ");
    type_print_number(option->type, option->max, sink);
    sink_printf(sink, ")");
}

static void print_reference_option(struct sink *sink, const struct option *option)
{
    sink_printf(sink, "\n");
    print_wrapped(sink, "; ", option->help);
    sink_printf(sink, "; ");
    print_form(sink, option, "; ", 2);
    print_range(sink, option);
    sink_printf(sink, "%s\n", (option->flags & OPTION_REQUIRED) != 0 ? "; required" : "");
    sink_printf(sink, ";%s%s =%s%s\n", option->key, option->suffix != NULL ? option->suffix : "",
                option->initial != NULL ? " " : "", option->initial != NULL ? option->initial : "");
}

void profile_print_reference(struct sink *sink)
{
    sink_printf(
        sink,
        "; Every section and key that a profile may have, with its default where it has one.\n"
        "; Written by tlsoak from its option table; keys are commented out.\n"
        ";\n"
        "; A line is KEY = VALUE, at most %d bytes. A ; at its start, or after a space, begins a\n"
        "; comment, but not within double quotes; a # does so at the start of a line only.\n"
        "; ${NAME} is that variable of the environment, and must be set; $${ is a plain ${.\n"
        "; @FILE is the content of that file; a value that begins with a plain @ is written @@.\n"
        "; Names of files are relative to the profile they are written in.\n"
        "; An empty value takes back what a profile further up gave.\n",
        INI_LINE_MAX);
    for (size_t s = 0; s < SECTION_COUNT; s++) {
        const struct section_info *section = section_info((enum section)s);
        sink_printf(sink, "\n");
        print_wrapped(sink, "; ", section->help);
        sink_printf(sink, "[%s%s]\n", section->name, section->item_size > 0 ? " default" : "");
        for (size_t i = 0; option_at(i) != NULL; i++) {
            if (option_at(i)->section == (enum section)s) {
                print_reference_option(sink, option_at(i));
            }
        }
    }
}

static void print_help_option(struct sink *sink, const struct option *option)
{
    struct sink *form = sink_new();
    size_t len;

    sink_printf(form, "  %s%s = ", option->key, option->suffix != NULL ? option->suffix : "");
    (void)sink_text(form, &len);
    print_form(form, option, "      ", len);
    const char *text = sink_text(form, &len);
    sink_write(sink, text, len);
    if (option->initial != NULL) {
        bool fits = len + strlen(option->initial) <= HELP_WIDTH;
        sink_printf(sink, "%s  [%s]", fits ? "" : "\n    ", option->initial);
    }
    sink_printf(sink, "\n");
    print_wrapped(sink, "      ", option->help);
    sink_free(form);
}

void profile_print_help(struct sink *sink)
{
    for (size_t s = 0; s < SECTION_COUNT; s++) {
        const struct section_info *section = section_info((enum section)s);
        sink_printf(sink, "%s[%s%s]\n", s > 0 ? "\n" : "", section->name,
                    section->item_size > 0 ? " NAME" : "");
        print_wrapped(sink, "  ", section->help);
        for (size_t i = 0; option_at(i) != NULL; i++) {
            const struct option *option = option_at(i);
            if (option->section != (enum section)s) {
                continue;
            }
            print_help_option(sink, option);
        }
    }
}
