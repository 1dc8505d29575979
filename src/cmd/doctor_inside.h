/* The inside of doctor: what a check finds, and the checks of the network, which are in a file of
 * their own (doctor_net.c). */
#ifndef CMD_DOCTOR_INSIDE_H
#define CMD_DOCTOR_INSIDE_H

#include "base/diag.h"
#include "profile/plan.h"

#include <stdint.h>

enum health { HEALTH_OK, HEALTH_WARN, HEALTH_FAIL };

struct finding {
    enum health health;
    char measured[320];
    char remedy[240]; /* empty when all is well */
};

#define SAY(field, ...) ((void)snprintf((field), sizeof(field), __VA_ARGS__))

/* The number in a file of /proc, or what stands for it where there is none. */
uint64_t doctor_number(const char *path, uint64_t fallback);
/* Connections that the plan holds at most; without a plan 1000. */
uint64_t doctor_connections(const struct plan *plan);
/* Connections a second that the plan opens, so far as its text tells. */
double doctor_churn_per_s(const struct plan *plan);
/* The first mistake of `diag` as a finding. */
void doctor_fail(struct finding *finding, struct diag *diag);

void doctor_ports(const struct plan *plan, struct finding *finding);
void doctor_policy(const struct plan *plan, struct finding *finding);
void doctor_target(const struct plan *plan, struct finding *finding);
void doctor_protocol(const struct plan *plan, struct finding *finding);

#endif
