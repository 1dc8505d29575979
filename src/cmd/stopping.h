/* Ctrl-C and SIGTERM: the first asks the run to end, the second ends at once. */
#ifndef CMD_STOPPING_H
#define CMD_STOPPING_H

/* From here on signals ask for a stop; none was asked for yet. */
void stopping_begin(void);
/* Not 0 once a stop was asked for. */
const volatile int *stopping_flag(void);
/* Readable once a stop was asked for; -1 before stopping_begin. */
int stopping_fd(void);
/* The same for what has to happen after the load too: -1 where the stop was asked for already, so
 * that only a second signal ends it. */
int stopping_next_fd(void);

#endif
