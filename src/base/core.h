/* Core dumps: a process that holds secrets leaves none behind.  A soft limit of one byte does it
 * in both ways that Linux dumps: a file would be below its least size, and a core_pattern that
 * pipes is told by just this value not to (Linux, Documentation/admin-guide/sysctl/kernel.rst
 * and core(5)). */
#ifndef BASE_CORE_H
#define BASE_CORE_H

/* From now on this process, and what it starts, dumps no core. */
void core_forbid(void);
/* In a child that is to become a program of the user's: it may dump as its shell would let it. */
void core_allow(void);

#endif
