#include "profile/types.h"

#include "base/mono.h"
#include "base/str.h"
#include "base/unit.h"
#include "profile/terms.h"

#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#define UNSIGNED_SPAN   1.8e19
#define NUMBER_DECIMALS 340                 /* of the least number that is none with fewer digits */
#define MOST_WHOLE      (UINT64_C(1) << 53) /* a double has each whole number up to here */

static bool parse_bool(const char *text, const char *const *words, void *field)
{
    (void)words;
    if (!str_equal(text, "yes") && !str_equal(text, "no")) {
        return false;
    }
    *(bool *)field = str_equal(text, "yes");
    return true;
}

static void print_bool(const void *field, const char *const *words, struct sink *sink)
{
    (void)words;
    sink_printf(sink, "%s", *(const bool *)field ? "yes" : "no");
}

/* "100", "10k", "2M" */
static bool parse_count(const char *text, const char *const *words, void *field)
{
    char digits[24];
    size_t len = strspn(text, "0123456789");
    uint64_t n, factor = 1;

    (void)words;
    if (len == 0 || len >= sizeof digits) {
        return false;
    }
    if (str_equal(text + len, "k")) {
        factor = 1000;
    } else if (str_equal(text + len, "M")) {
        factor = 1000000;
    } else if (text[len] != '\0') {
        return false;
    }
    memcpy(digits, text, len);
    digits[len] = '\0';
    if (!str_to_u64(digits, &n) || n > UINT64_MAX / factor) {
        return false;
    }
    *(uint64_t *)field = n * factor;
    return true;
}

static void print_count(const void *field, const char *const *words, struct sink *sink)
{
    (void)words;
    sink_printf(sink, "%llu", (unsigned long long)*(const uint64_t *)field);
}

static double number_u64(const void *field)
{
    return (double)*(const uint64_t *)field;
}

static bool parse_whole(const char *text, const char *const *words, void *field)
{
    (void)words;
    return str_to_u64(text, field);
}

static bool parse_pid(const char *text, const char *const *words, void *field)
{
    uint64_t n;

    (void)words;
    if (!str_to_u64(text, &n) || n > INT64_MAX) {
        return false;
    }
    *(int64_t *)field = (int64_t)n;
    return true;
}

static void print_pid(const void *field, const char *const *words, struct sink *sink)
{
    (void)words;
    sink_printf(sink, "%lld", (long long)*(const int64_t *)field);
}

static double number_pid(const void *field)
{
    return (double)*(const int64_t *)field;
}

static bool parse_status(const char *text, const char *const *words, void *field)
{
    uint64_t status;

    (void)words;
    if (str_equal(text, "2xx")) {
        *(uint64_t *)field = 0;
        return true;
    }
    if (!str_to_u64(text, &status) || status < 100 || status > 599) {
        return false;
    }
    *(uint64_t *)field = status;
    return true;
}

static void print_status(const void *field, const char *const *words, struct sink *sink)
{
    if (*(const uint64_t *)field == 0) {
        sink_printf(sink, "2xx");
    } else {
        print_count(field, words, sink);
    }
}

static bool parse_duration(const char *text, const char *const *words, void *field)
{
    (void)words;
    return unit_parse_duration(text, field);
}

static void write_duration(uint64_t ns, struct sink *sink)
{
    static const struct {
        uint64_t ns;
        const char *name;
    } units[] = {{3600 * NS_PER_S, "h"}, {60 * NS_PER_S, "m"}, {NS_PER_S, "s"},
                 {NS_PER_MS, "ms"},      {NS_PER_US, "us"},    {1, "ns"}};
    size_t i = 0;

    if (ns == 0) {
        sink_printf(sink, "0");
        return;
    }
    while (ns % units[i].ns != 0) {
        i++;
    }
    sink_printf(sink, "%llu%s", (unsigned long long)(ns / units[i].ns), units[i].name);
}

static void print_duration(const void *field, const char *const *words, struct sink *sink)
{
    (void)words;
    write_duration(*(const uint64_t *)field, sink);
}

/* The fewest digits that read back as the same number, never with an exponent: the parsers of
 * numbers with units take none. */
static void write_number(double value, struct sink *sink)
{
    char text[512];
    double again;

    for (int decimals = 0; decimals <= NUMBER_DECIMALS; decimals++) {
        (void)snprintf(text, sizeof text, "%.*f", decimals, value);
        if (str_to_double(text, &again) && again == value) {
            break;
        }
    }
    sink_printf(sink, "%s", text);
}

static double number_double(const void *field)
{
    return *(const double *)field;
}

static bool parse_bytes(const char *text, const char *const *words, void *field)
{
    (void)words;
    return unit_parse_bytes(text, field);
}

static void print_bytes(const void *field, const char *const *words, struct sink *sink)
{
    static const struct {
        double bytes;
        const char *name;
    } units[] = {{1073741824.0, "GiB"}, {1048576.0, "MiB"}, {1024.0, "KiB"}, {1, "B"}};
    double bytes = *(const double *)field;
    size_t i = 0;

    (void)words;
    while (i < 3 && (bytes == 0 || fmod(bytes, units[i].bytes) != 0)) {
        i++;
    }
    write_number(bytes / units[i].bytes, sink);
    sink_printf(sink, "%s", units[i].name);
}

static bool parse_rate(const char *text, const char *const *words, void *field)
{
    (void)words;
    return unit_parse_rate(text, field);
}

static void print_rate(const void *field, const char *const *words, struct sink *sink)
{
    (void)words;
    write_number(*(const double *)field, sink);
    sink_printf(sink, "/s");
}

static bool parse_ratio(const char *text, const char *const *words, void *field)
{
    (void)words;
    return unit_parse_ratio(text, field);
}

static bool parse_number(const char *text, const char *const *words, void *field)
{
    (void)words;
    return str_to_double(text, field);
}

static void print_number(const void *field, const char *const *words, struct sink *sink)
{
    (void)words;
    write_number(*(const double *)field, sink);
}

static bool parse_word(const char *text, const char *const *words, void *field)
{
    size_t n = 0;

    while (words[n] != NULL) {
        n++;
    }
    int i = str_index(text, words, n);
    if (i < 0) {
        return false;
    }
    unsigned value = (unsigned)i;
    memcpy(field, &value, sizeof value);
    return true;
}

static void print_word(const void *field, const char *const *words, struct sink *sink)
{
    unsigned value;

    memcpy(&value, field, sizeof value);
    sink_printf(sink, "%s", words[value]);
}

_Static_assert(sizeof(enum pick) == sizeof(unsigned), "TYPE_WORD writes an unsigned");

static bool parse_uses(const char *text, uint64_t *ret_uses)
{
    char digits[24];
    size_t len = strspn(text, "0123456789");
    uint64_t uses;

    if (len == 0 || len >= sizeof digits) {
        return false;
    }
    const char *word = text + len + strspn(text + len, " ");
    if (!str_equal(word, "uses") && !str_equal(word, "use")) {
        return false;
    }
    memcpy(digits, text, len);
    digits[len] = '\0';
    if (!str_to_u64(digits, &uses) || uses == 0) {
        return false;
    }
    *ret_uses = uses;
    return true;
}

static bool parse_rotate(const char *text, const char *const *words, void *field)
{
    struct rotate rotate = {.kind = ROTATE_NEVER};

    (void)words;
    if (str_equal(text, "connection")) {
        rotate.kind = ROTATE_CONNECTION;
    } else if (str_equal(text, "request")) {
        rotate.kind = ROTATE_USES;
        rotate.uses = 1;
    } else if (parse_uses(text, &rotate.uses)) {
        rotate.kind = ROTATE_USES;
    } else if (unit_parse_duration(text, &rotate.every_ns) && rotate.every_ns > 0) {
        rotate.kind = ROTATE_EVERY;
    } else if (!str_equal(text, "never")) {
        return false;
    }
    *(struct rotate *)field = rotate;
    return true;
}

static void print_rotate(const void *field, const char *const *words, struct sink *sink)
{
    const struct rotate *rotate = field;

    (void)words;
    if (rotate->kind == ROTATE_NEVER) {
        sink_printf(sink, "never");
    } else if (rotate->kind == ROTATE_CONNECTION) {
        sink_printf(sink, "connection");
    } else if (rotate->kind == ROTATE_EVERY) {
        write_duration(rotate->every_ns, sink);
    } else if (rotate->uses == 1) {
        sink_printf(sink, "request");
    } else {
        sink_printf(sink, "%llu uses", (unsigned long long)rotate->uses);
    }
}

static bool parse_ramp(const char *text, const char *const *words, void *field)
{
    if (str_equal(text, "yes") || str_equal(text, "no")) {
        *(uint64_t *)field = str_equal(text, "yes") ? UINT64_MAX : 0;
        return true;
    }
    return parse_duration(text, words, field);
}

static void print_ramp(const void *field, const char *const *words, struct sink *sink)
{
    uint64_t ns = *(const uint64_t *)field;

    (void)words;
    if (ns == 0 || ns == UINT64_MAX) {
        sink_printf(sink, "%s", ns == 0 ? "no" : "yes");
    } else {
        write_duration(ns, sink);
    }
}

static bool parse_budget(const char *text, const char *const *words, void *field)
{
    if (str_equal(text, "none")) {
        *(double *)field = -1;
        return true;
    }
    return parse_bytes(text, words, field);
}

static void print_budget(const void *field, const char *const *words, struct sink *sink)
{
    if (*(const double *)field < 0) {
        sink_printf(sink, "none");
    } else {
        print_bytes(field, words, sink);
    }
}

static bool parse_bound(const char *text, const char *const *words, void *field)
{
    uint64_t entries;

    if (str_equal(text, "none")) {
        *(double *)field = 0;
        return true;
    }
    if (!parse_count(text, words, &entries) || entries == 0 || entries > MOST_WHOLE) {
        return false;
    }
    *(double *)field = (double)entries;
    return true;
}

static void print_bound(const void *field, const char *const *words, struct sink *sink)
{
    if (*(const double *)field <= 0) {
        sink_printf(sink, "none");
    } else {
        print_number(field, words, sink);
    }
}

static const struct {
    const char *name;
    double s;
} spans[] = {{"/h", 3600}, {"/d", 86400}, {"/m", 60}, {"/s", 1}};

#define N_SPANS (sizeof spans / sizeof *spans)

/* "1MiB/h" */
static bool parse_growth(const char *text, const char *const *words, void *field)
{
    const char *slash = strchr(text, '/');
    char size[64];
    double bytes;

    (void)words;
    if (slash == NULL || (size_t)(slash - text) >= sizeof size) {
        return false;
    }
    memcpy(size, text, (size_t)(slash - text));
    size[slash - text] = '\0';
    for (size_t i = 0; i < N_SPANS; i++) {
        if (str_equal(slash, spans[i].name) && unit_parse_bytes(size, &bytes)) {
            *(double *)field = bytes / spans[i].s;
            return true;
        }
    }
    return false;
}

/* In the first span in which it is a whole number of bytes. */
static void print_growth(const void *field, const char *const *words, struct sink *sink)
{
    double per_s = *(const double *)field;
    size_t i = 0;

    /* what was given by the day or the hour comes back from a division */
    while (i + 1 < N_SPANS && fabs(per_s * spans[i].s - round(per_s * spans[i].s)) > 1e-6) {
        i++;
    }
    double bytes = per_s * spans[i].s;
    bytes = fabs(bytes - round(bytes)) <= 1e-6 ? round(bytes) : bytes;
    print_bytes(&bytes, words, sink);
    sink_printf(sink, "%s", spans[i].name);
}

_Static_assert(offsetof(struct plan_terms, bound) == 0, "number_double reads the bound of terms");

static bool bound_of_duration(const char *text, double *ret_bound)
{
    uint64_t ns;

    if (!unit_parse_duration(text, &ns)) {
        return false;
    }
    *ret_bound = (double)ns;
    return true;
}

static bool parse_limit_duration(const char *text, const char *const *words, void *field)
{
    (void)words;
    return terms_parse(text, bound_of_duration, field);
}

static void print_limit_duration(const void *field, const char *const *words, struct sink *sink)
{
    (void)words;
    write_duration((uint64_t) * (const double *)field, sink);
    terms_print_rest(field, sink);
}

static bool parse_limit_ratio(const char *text, const char *const *words, void *field)
{
    (void)words;
    return terms_parse(text, unit_parse_ratio, field);
}

static void print_limit_ratio(const void *field, const char *const *words, struct sink *sink)
{
    print_number(field, words, sink);
    terms_print_rest(field, sink);
}

static bool parse_limit_rate(const char *text, const char *const *words, void *field)
{
    (void)words;
    return terms_parse(text, unit_parse_rate, field);
}

static void print_limit_rate(const void *field, const char *const *words, struct sink *sink)
{
    print_rate(field, words, sink);
    terms_print_rest(field, sink);
}

static void print_string(const void *field, const char *const *words, struct sink *sink)
{
    const char *text = *(char *const *)field;

    (void)words;
    sink_printf(sink, "%s", text != NULL ? text : "");
}

static const struct type_info types[] = {
    [TYPE_STRING] = {"a text", NULL, "TEXT", NULL, print_string, NULL},
    [TYPE_BODY] = {"a text", NULL, "TEXT", NULL, print_string, NULL},
    [TYPE_BYTE_TEXT] = {"a text", NULL, "TEXT", NULL, print_string, NULL},
    [TYPE_BOOL] = {"an answer", "yes, no", "yes|no", parse_bool, print_bool, NULL},
    [TYPE_COUNT] = {"a count", "100, 10k", "N", parse_count, print_count, number_u64},
    [TYPE_PORT] = {"a port", "8443", "PORT", parse_whole, print_count, number_u64},
    [TYPE_PID] = {"a process id", "1234", "PID", parse_pid, print_pid, number_pid},
    [TYPE_STATUS] = {"a status", "2xx, 204", "STATUS", parse_status, print_status, NULL},
    [TYPE_DURATION] = {"a duration", "250ms, 30s, 2h", "DURATION", parse_duration, print_duration,
                       number_u64},
    [TYPE_RAMP] = {"a ramp", "30s, yes, no", "DURATION|yes|no", parse_ramp, print_ramp, NULL},
    [TYPE_BYTES] = {"a size", "512B, 4KiB, 1GiB", "SIZE", parse_bytes, print_bytes, number_double},
    [TYPE_RATE] = {"a rate", "200/s, 12k/m", "RATE", parse_rate, print_rate, number_double},
    [TYPE_RATIO] = {"a ratio", "25%, 0.25", "RATIO", parse_ratio, print_number, number_double},
    [TYPE_NUMBER] = {"a number", "1, 2.5", "NUMBER", parse_number, print_number, number_double},
    [TYPE_WORD] = {"a word", NULL, "WORD", parse_word, print_word, NULL},
    [TYPE_ROTATE] = {"a rotation rule", "connection, request, 50 uses, 30s, never", "RULE",
                     parse_rotate, print_rotate, NULL},
    [TYPE_BUDGET] = {"a budget", "64B, 2KiB, none", "SIZE", parse_budget, print_budget, NULL},
    [TYPE_BOUND] = {"a bound", "20480, 10k, none", "N", parse_bound, print_bound, NULL},
    [TYPE_GROWTH] = {"a growth", "1MiB/h, 10KiB/m, 512B/s", "SIZE/TIME", parse_growth, print_growth,
                     number_double},
    [TYPE_LIMIT_DURATION] = {"a duration", "25ms, 25ms for 10s, 25ms for 10s abort after 30s",
                             "DURATION [for DURATION] [abort [after DURATION]]",
                             parse_limit_duration, print_limit_duration, number_double},
    [TYPE_LIMIT_RATIO] = {"a ratio", "0.1%, 0.1% for 1m, 5% for 10s abort after 30s",
                          "RATIO [for DURATION] [abort [after DURATION]]", parse_limit_ratio,
                          print_limit_ratio, number_double},
    [TYPE_LIMIT_RATE] = {"a rate", "400/s, 400/s for 10s, 400/s for 10s abort after 30s",
                         "RATE [for DURATION] [abort [after DURATION]]", parse_limit_rate,
                         print_limit_rate, number_double},
};

const struct type_info *type_info(enum type type)
{
    return &types[type];
}

void type_print_number(enum type type, double number, struct sink *sink)
{
    uint64_t whole = number >= UNSIGNED_SPAN ? UINT64_MAX : (uint64_t)number;
    int64_t pid = (int64_t)fmin(number, 9.2e18);
    const struct plan_terms terms = {.bound = number};

    if (type == TYPE_PID) {
        types[type].print(&pid, NULL, sink);
    } else if (types[type].number == number_u64) {
        types[type].print(&whole, NULL, sink);
    } else {
        types[type].print(&terms, NULL, sink); /* or its first member, the number */
    }
}
