/* The inside of doctor: what a check looks at and what it finds.  The checks are four tables, of
 * the machine, of what the plan asks of it, of files, and of the network, each in a file of its
 * own. */
#ifndef CMD_DOCTOR_INSIDE_H
#define CMD_DOCTOR_INSIDE_H

#include "base/diag.h"
#include "ident/audit.h"
#include "net/policy.h"
#include "net/tls_speed.h"
#include "profile/plan.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum health { HEALTH_OK, HEALTH_WARN, HEALTH_FAIL };

struct finding {
    enum health health;
    bool hopeless;      /* no run could work: it is refused */
    char measured[320]; /* and what is needed */
    char remedy[240];   /* empty when all is well */
};

/* What is looked at; found out once for all checks. */
struct exam {
    const struct plan *plan; /* NULL: no profile was given */
    const char *dir;         /* the run directory; NULL: the plan's, or here */
    bool foreign;            /* another TLS library is loaded: nothing of TLS can be tried */
    bool permitted;          /* the policy's word; else `mistakes` tells why not */
    struct policy_ruling ruling;
    struct diag *mistakes; /* of the policy; borrows */
    bool has_speed;        /* the TLS library passed its self-test */
    struct tls_speed speed;
    bool audited; /* the files are good; else `files` tells why not */
    struct audit audit;
    struct diag *files; /* borrows */
};

struct check {
    const char *name; /* NULL ends a table */
    void (*look)(const struct exam *exam, struct finding *finding);
    bool of_run; /* cheap, and not what a run tries itself: every run begins with it */
};

extern const struct check doctor_machine[], doctor_load[], doctor_files[], doctor_net[];

#define SAY(field, ...) ((void)snprintf((field), sizeof(field), __VA_ARGS__))

/* The number in a file of /proc, or what stands for it where there is none. */
uint64_t doctor_number(const char *path, uint64_t fallback);
/* Connections that the plan holds at most; without a plan 1000. */
uint64_t doctor_connections(const struct plan *plan);
/* Connections a second that the plan opens, so far as its text tells. */
double doctor_churn_per_s(const struct plan *plan);
/* The first mistake of `diag` as a finding. */
void doctor_fail(struct finding *finding, const struct diag *diag);
/* Another TLS library in this process, whose functions have the same names; false when none is
 * loaded.  `text` gets the path of the first. */
bool doctor_foreign_library(char *text, size_t size);

#endif
