#include "profile/terms.h"

#include "base/mem.h"
#include "base/str.h"
#include "base/unit.h"
#include "profile/types.h"

#include <stdlib.h>
#include <string.h>

#define WORDS_MAX 6 /* BOUND for TIME abort after TIME */

/* Cuts `text` at its blanks in place; more words than there may be are as good as none. */
static size_t cut_into_words(char *text, char *words[WORDS_MAX])
{
    size_t n = 0;

    for (char *word; (word = strsep(&text, " \t")) != NULL;) {
        if (*word == '\0') {
            continue;
        }
        if (n == WORDS_MAX) {
            return 0;
        }
        words[n++] = word;
    }
    return n;
}

bool terms_parse(const char *text, terms_bound *bound, struct plan_terms *ret_terms)
{
    CLEANUP_FREE char *copy = xstrdup(text);
    char *words[WORDS_MAX];
    size_t n = cut_into_words(copy, words), i = 1;
    struct plan_terms terms = {.bound = 0};

    if (n == 0 || !bound(words[0], &terms.bound)) {
        return false;
    }
    if (i + 1 < n && str_equal(words[i], "for")) {
        if (!unit_parse_duration(words[i + 1], &terms.for_ns) || terms.for_ns == 0) {
            return false;
        }
        i += 2;
    }
    if (i < n && str_equal(words[i], "abort")) {
        terms.aborts = true;
        i++;
        if (i + 1 < n && str_equal(words[i], "after")) {
            if (!unit_parse_duration(words[i + 1], &terms.after_ns)) {
                return false;
            }
            i += 2;
        }
    }
    if (i != n) {
        return false;
    }
    *ret_terms = terms;
    return true;
}

static void print_duration(uint64_t ns, struct sink *sink)
{
    type_info(TYPE_DURATION)->print(&ns, NULL, sink);
}

void terms_print_rest(const struct plan_terms *terms, struct sink *sink)
{
    if (terms->for_ns > 0) {
        sink_printf(sink, " for ");
        print_duration(terms->for_ns, sink);
    }
    if (terms->aborts) {
        sink_printf(sink, " abort");
    }
    if (terms->after_ns > 0) {
        sink_printf(sink, " after ");
        print_duration(terms->after_ns, sink);
    }
}
