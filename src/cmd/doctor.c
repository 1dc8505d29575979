#include "cmd/doctor.h"

#include "base/bug.h"
#include "base/log.h"
#include "base/mem.h"
#include "cmd/commands.h"
#include "cmd/doctor_inside.h"
#include "cmd/sets.h"
#include "net/tls.h"
#include "profile/profile.h"

#include <stdio.h>
#include <stdlib.h>

#define ROWS_MAX 40

static const struct cli_option options[] = {
    SETS_SET_OPTION,
    SETS_ALLOW_OPTION,
    {NULL, 0, NULL, NULL},
};

struct doctor {
    size_t n;
    struct finding findings[ROWS_MAX];
    struct run_check rows[ROWS_MAX]; /* their texts are the findings' */
};

static const struct check *const tables[] = {doctor_machine, doctor_load, doctor_files, doctor_net};

static void keep(struct doctor *doctor, const char *name, const struct finding *finding)
{
    static const char *const states[] = {"ok", "warn", "fail"};
    struct finding *kept = &doctor->findings[doctor->n];

    BUG_ON(doctor->n == ROWS_MAX);
    *kept = *finding;
    doctor->rows[doctor->n++] = (struct run_check){.check = name,
                                                   .state = states[finding->health],
                                                   .measured = kept->measured,
                                                   .remedy = kept->remedy};
}

/* `of_run`: only the checks that every run begins with. */
static struct doctor *examine(const struct exam *exam, bool of_run)
{
    struct doctor *doctor = xcalloc(1, sizeof *doctor);

    for (size_t t = 0; t < sizeof tables / sizeof tables[0]; t++) {
        for (const struct check *check = tables[t]; check->name != NULL; check++) {
            struct finding finding = {HEALTH_OK, false, "", ""};
            if (check->of_run || !of_run) {
                check->look(exam, &finding);
                keep(doctor, check->name, &finding);
            }
        }
    }
    return doctor;
}

bool doctor_library_is_ours(struct diag *diag)
{
    char path[200];

    if (!doctor_foreign_library(path, sizeof path)) {
        return true;
    }
    diag_add(diag, (struct origin){"libraries", 0},
             "%s is loaded beside BoringSSL, and both have the same names: find what brings it in "
             "(LD_PRELOAD, /etc/ld.so.preload)",
             path);
    return false;
}

struct doctor *doctor_examine(const struct doctor_patient *patient)
{
    struct exam exam = {
        .plan = patient->plan,
        .dir = patient->dir,
        .permitted = true,
        .ruling = *patient->ruling,
        .mistakes = diag_new(),
        .has_speed = true,
        .speed = *patient->speed,
        .audited = true,
        .files = diag_new(),
    };

    audit_mint(patient->mint, &exam.audit);
    struct doctor *doctor = examine(&exam, true);
    diag_free(exam.mistakes);
    diag_free(exam.files);
    return doctor;
}

void doctor_note(struct doctor *doctor, const char *name, bool ok, const char *measured)
{
    struct finding finding = {ok ? HEALTH_OK : HEALTH_WARN, false, "", ""};

    SAY(finding.measured, "%s", measured);
    keep(doctor, name, &finding);
}

bool doctor_permits(const struct doctor *doctor, struct diag *diag)
{
    bool good = true;

    for (size_t i = 0; i < doctor->n; i++) {
        const struct finding *finding = &doctor->findings[i];
        if (finding->hopeless) {
            diag_add(diag, (struct origin){doctor->rows[i].check, 0}, "%s: %s", finding->measured,
                     finding->remedy);
            good = false;
        } else if (finding->health != HEALTH_OK) {
            log_note("%s: %s -> %s", doctor->rows[i].check, finding->measured, finding->remedy);
        }
    }
    return good;
}

const struct run_check *doctor_rows(const struct doctor *doctor, size_t *ret_n)
{
    *ret_n = doctor->n;
    return doctor->rows;
}

void doctor_free(struct doctor *doctor)
{
    free(doctor);
}

/* Prints all rows; returns the gravest. */
static enum health show(const struct doctor *doctor)
{
    static const char *const words[] = {"ok", "warn", "FAIL"};
    enum health worst = HEALTH_OK;

    for (size_t i = 0; i < doctor->n; i++) {
        const struct finding *finding = &doctor->findings[i];
        (void)printf("%-5s %-13s %s\n", words[finding->health], doctor->rows[i].check,
                     finding->measured);
        if (finding->remedy[0] != '\0') {
            (void)printf("      %-13s -> %s\n", "", finding->remedy);
        }
        worst = finding->health > worst ? finding->health : worst;
    }
    return worst;
}

static int examine_and_show(const struct plan *plan)
{
    char path[200];
    struct exam exam = {
        .plan = plan,
        .foreign = doctor_foreign_library(path, sizeof path),
        .mistakes = diag_new(),
        .files = diag_new(),
    };

    exam.has_speed = !exam.foreign && tls_speed(&exam.speed);
    exam.permitted = plan != NULL && policy_permit(plan, &exam.ruling, exam.mistakes);
    if (plan != NULL && !exam.foreign) {
        exam.audited = audit_plan(plan, &exam.audit, exam.files);
        tls_client_free(tls_client_new(plan, &plan->target, exam.files));
    }
    struct doctor *doctor = examine(&exam, false);
    int code = show(doctor) == HEALTH_FAIL ? 5 : 0;
    doctor_free(doctor);
    diag_free(exam.mistakes);
    diag_free(exam.files);
    return code;
}

static int run(const struct cli *cli)
{
    struct sets sets;
    struct diag *diag = diag_new();
    struct plan *plan = NULL;
    int code = 2;

    sets_take(&sets, cli);
    if (cli->n_rest > 0) {
        plan = profile_load(cli->rest[0], sets.texts, sets.n, diag);
    }
    diag_print(diag, stderr);
    if (diag_count(diag) == 0) {
        code = examine_and_show(plan);
    }
    plan_free(plan);
    sets_clear(&sets);
    diag_free(diag);
    return code;
}

const struct command command_doctor = {
    .name = "doctor",
    .arguments = "[PROFILE.ini]",
    .summary = "what on this machine would spoil the run",
    .details = "Prints each check with what was measured, what is needed, and the remedy.\n"
               "Exit code 5 when a check fails.  A run begins with those that cost no time, shows\n"
               "what is not in order, and keeps all of them in its run.json.",
    .options = options,
    .max_rest = 1,
    .run = run,
};
