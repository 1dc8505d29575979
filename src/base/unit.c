#include "base/unit.h"

#include "base/mono.h"
#include "base/str.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

struct unit {
    const char *name;
    double factor;
};

static const struct unit bytes_units[] = {
    {"", 1},
    {"B", 1},
    {"kB", 1e3},
    {"MB", 1e6},
    {"GB", 1e9},
    {"KiB", 1024},
    {"MiB", 1048576.0},
    {"GiB", 1073741824.0},
    {"TiB", 1099511627776.0},
};
static const struct unit duration_units[] = {
    {"ns", 1}, {"us", 1e3}, {"ms", 1e6}, {"s", 1e9}, {"m", 60e9}, {"h", 3600e9}, {"d", 86400e9},
};
static const struct unit rate_units[] = {
    {"/s", 1},    {"/m", 1.0 / 60},  {"/h", 1.0 / 3600},
    {"k/s", 1e3}, {"k/m", 1e3 / 60}, {"k/h", 1e3 / 3600},
};

/* Splits "12.5ms" into a number that is not negative and the index of its unit. */
static bool parse_with_unit(const char *s, const struct unit *units, size_t n, double *ret_value)
{
    char number[384]; /* the least number there is, without an exponent, has 343 */
    size_t len = strspn(s, "0123456789.");
    double value;

    if (len == 0 || len >= sizeof number) {
        return false;
    }
    memcpy(number, s, len);
    number[len] = '\0';
    const char *name = s + len + strspn(s + len, " ");
    for (size_t i = 0; i < n; i++) {
        if (str_equal(name, units[i].name) && str_to_double(number, &value)) {
            *ret_value = value * units[i].factor;
            return true;
        }
    }
    return false;
}

#define PARSE(s, units, ret)                                                                       \
    parse_with_unit((s), (units), sizeof(units) / sizeof((units)[0]), (ret))

bool unit_parse_bytes(const char *s, double *ret_bytes)
{
    return PARSE(s, bytes_units, ret_bytes);
}

bool unit_parse_duration(const char *s, uint64_t *ret_ns)
{
    double ns;

    if (str_equal(s, "0")) {
        *ret_ns = 0;
        return true;
    }
    if (!PARSE(s, duration_units, &ns) || ns > 9.2e18) {
        return false;
    }
    *ret_ns = (uint64_t)llround(ns);
    return true;
}

bool unit_parse_rate(const char *s, double *ret_per_s)
{
    return PARSE(s, rate_units, ret_per_s);
}

bool unit_parse_ratio(const char *s, double *ret_ratio)
{
    static const struct unit ratio_units[] = {{"", 1}, {"%", 0.01}};
    double ratio;

    if (!PARSE(s, ratio_units, &ratio) || ratio > 1) {
        return false;
    }
    *ret_ratio = ratio;
    return true;
}

/* Three significant digits, without an exponent. */
static void format_scaled(char text[UNIT_TEXT], double value, const char *suffix)
{
    double size = fabs(value);
    int decimals = size < 9.995 ? 2 : size < 99.95 ? 1 : 0;

    (void)snprintf(text, UNIT_TEXT, "%.*f %s", decimals, value, suffix);
}

const char *unit_bytes(char text[UNIT_TEXT], double bytes)
{
    static const char *const names[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
    size_t i = 0;

    if (!isfinite(bytes)) {
        (void)snprintf(text, UNIT_TEXT, "unknown");
        return text;
    }
    if (fabs(bytes) < 1023.5) {
        (void)snprintf(text, UNIT_TEXT, "%.0f B", fabs(bytes) < 0.5 ? 0.0 : bytes);
        return text;
    }
    while (fabs(bytes) >= 1023.5 && i < 5) {
        bytes /= 1024;
        i++;
    }
    format_scaled(text, bytes, names[i]);
    return text;
}

static void format_two(char text[UNIT_TEXT], uint64_t large, const char *unit, uint64_t small,
                       const char *small_unit)
{
    if (small == 0) {
        (void)snprintf(text, UNIT_TEXT, "%u%s", (unsigned)large, unit);
    } else {
        (void)snprintf(text, UNIT_TEXT, "%u%s %u%s", (unsigned)large, unit, (unsigned)small,
                       small_unit);
    }
}

static void format_long_duration(char text[UNIT_TEXT], double s)
{
    uint64_t whole = (uint64_t)llround(s);

    if (whole < 3600) {
        format_two(text, whole / 60, "m", whole % 60, "s");
    } else if (whole < 172800) {
        format_two(text, whole / 3600, "h", whole % 3600 / 60, "m");
    } else {
        (void)snprintf(text, UNIT_TEXT, "%.1f days", s / 86400);
    }
}

const char *unit_duration(char text[UNIT_TEXT], double ns)
{
    if (!isfinite(ns) || ns > 9e18) {
        (void)snprintf(text, UNIT_TEXT, "unknown");
    } else if (ns < 999.5e3) {
        (void)snprintf(text, UNIT_TEXT, "%.0f us", ns / 1e3);
    } else if (ns < 999.5e6) {
        (void)snprintf(text, UNIT_TEXT, "%.*f ms", ns < 9.95e6 ? 1 : 0, ns / 1e6);
    } else if (ns < 99.5e9 && fmod(ns, 1e9) == 0) {
        (void)snprintf(text, UNIT_TEXT, "%.0f s", ns / 1e9); /* planned, not measured */
    } else if (ns < 99.5e9) {
        (void)snprintf(text, UNIT_TEXT, "%.*f s", ns < 9.995e9 ? 2 : 1, ns / 1e9);
    } else {
        format_long_duration(text, ns / 1e9);
    }
    return text;
}

const char *unit_count(char text[UNIT_TEXT], double n)
{
    static const char *const names[] = {"", "k", "M", "G", "T"};
    size_t i = 0;

    if (fabs(n) < 9999.5) {
        (void)snprintf(text, UNIT_TEXT, "%.*f", fabs(n) < 9.95 && n != floor(n) ? 1 : 0, n);
        return text;
    }
    while (fabs(n) >= 999.5 && i < 4) {
        n /= 1000;
        i++;
    }
    (void)snprintf(text, UNIT_TEXT, "%.*f %s", fabs(n) < 99.95 ? 1 : 0, n, names[i]);
    return text;
}

const char *unit_grouped(char text[UNIT_TEXT], uint64_t n)
{
    char digits[24];
    int len = snprintf(digits, sizeof digits, "%llu", (unsigned long long)n);
    size_t at = 0;

    for (int i = 0; i < len; i++) {
        if (i > 0 && (len - i) % 3 == 0) {
            text[at++] = ',';
        }
        text[at++] = digits[i];
    }
    text[at] = '\0';
    return text;
}
