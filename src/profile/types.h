/* The types of values that a profile can hold.  A type is two-way: text to value and value to
 * the text that gives the same value again.  One row of the table in types.c declares a type; a
 * field of the plan has the C type named beside its TYPE. */
#ifndef PROFILE_TYPES_H
#define PROFILE_TYPES_H

#include "base/sink.h"
#include "profile/plan.h"

#include <stdbool.h>
#include <stddef.h>

enum type {
    TYPE_STRING,    /* char *, NULL when not given; kept by the caller */
    TYPE_BODY,      /* char *, followed by its size_t length */
    TYPE_BYTE_TEXT, /* the same; written with \r \n \t \\ \xHH, or @FILE for its bytes */
    TYPE_BOOL,      /* bool */
    TYPE_COUNT,     /* uint64_t */
    TYPE_PORT,      /* uint64_t */
    TYPE_PID,       /* int64_t */
    TYPE_STATUS,    /* uint64_t; 0 is "2xx" */
    TYPE_DURATION,  /* uint64_t, nanoseconds */
    TYPE_RAMP,      /* uint64_t, nanoseconds; "no" is 0, "yes" UINT64_MAX: all the time there is */
    TYPE_BYTES,     /* double */
    TYPE_RATE,      /* double, a second */
    TYPE_RATIO,     /* double, 0..1 */
    TYPE_NUMBER,    /* double */
    TYPE_WORD,      /* an enum, the index in the option's words */
    TYPE_ROTATE,    /* struct rotate */
    TYPE_BUDGET,    /* double, bytes; negative is "none" */
    TYPE_BOUND,     /* double, entries; 0 is "none" */
    TYPE_GROWTH,    /* double, bytes a second */
    /* of a limit: struct plan_terms, whose bound is in the unit of struct limit */
    TYPE_LIMIT_DURATION,
    TYPE_LIMIT_RATIO,
    TYPE_LIMIT_RATE,
    TYPE_COUNT_OF
};

/* Room for a value of any type that is not text. */
union type_value {
    double number;
    uint64_t whole;
    struct rotate rotate;
    struct plan_terms terms;
};

struct type_info {
    const char *noun;    /* "a rate" */
    const char *example; /* "200/s, 12k/m"; NULL where any text will do */
    const char *symbol;  /* RATE, for help */
    /* The whole of `text`; false, the field untouched, when it is not of the type.  NULL: text. */
    bool (*parse)(const char *text, const char *const *words, void *field);
    void (*print)(const void *field, const char *const *words, struct sink *sink);
    double (*number)(const void *field); /* for bounds, in the field's unit; NULL: has none */
};

const struct type_info *type_info(enum type type);
/* The text of `number`, a bound in the unit of the type's field, as print would write it. */
void type_print_number(enum type type, double number, struct sink *sink);

#endif
