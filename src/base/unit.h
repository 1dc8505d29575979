/* Numbers with units, both ways: what people write in a profile and what they read in a report.
 * Parsers take the whole text and leave *ret untouched on failure.  Formatters write at most 32
 * bytes into `text` and return it. */
#ifndef BASE_UNIT_H
#define BASE_UNIT_H

#include <stdbool.h>
#include <stdint.h>

#define UNIT_TEXT 32

/* "300", "64B", "2KiB", "1.5MiB", "10kB" (1000) to bytes. */
bool unit_parse_bytes(const char *s, double *ret_bytes) __attribute__((warn_unused_result));
/* "250ms", "10us", "30s", "5m", "2h", "7d" to nanoseconds; a bare number is refused (but "0"). */
bool unit_parse_duration(const char *s, uint64_t *ret_ns) __attribute__((warn_unused_result));
/* "200/s", "12k/m", "5/h" to events a second. */
bool unit_parse_rate(const char *s, double *ret_per_s) __attribute__((warn_unused_result));
/* "0.5%", "25%" or a number in 0..1 to a ratio. */
bool unit_parse_ratio(const char *s, double *ret_ratio) __attribute__((warn_unused_result));
/* "0 B", "512 B", "2.00 KiB", "13.4 MiB"; negative values keep their sign. */
const char *unit_bytes(char text[UNIT_TEXT], double bytes);
/* "85 us", "2.4 ms", "1.20 s", "3m 20s", "2h 5m". */
const char *unit_duration(char text[UNIT_TEXT], double ns);
/* "950", "12.3 k", "1.20 M". */
const char *unit_count(char text[UNIT_TEXT], double n);
/* "1,234,567". */
const char *unit_grouped(char text[UNIT_TEXT], uint64_t n);

#endif
