/* What an engine owes to the kit. */
#ifndef FUZZ_ENGINE_H
#define FUZZ_ENGINE_H

/* Says which input it was, and ends the process. */
void engine_failed(const char *what) __attribute__((noreturn));

#endif
