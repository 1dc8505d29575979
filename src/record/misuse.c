#include "record/misuse.h"

#include "base/unit.h"

void misuse_add(struct misuse_tally *to, const struct misuse_tally *from)
{
    if (to->undone == 0) {
        to->why = from->why;
    }
    to->tried += from->tried;
    to->done += from->done;
    to->undone += from->undone;
    to->forgone += from->forgone;
    for (int i = 0; i < MISUSE_STATUSES; i++) {
        to->status[i] += from->status[i];
    }
}

static void print_answers(struct sink *sink, const struct misuse_tally *tally)
{
    const char *before = " (answered";
    char n[UNIT_TEXT];

    for (int i = 1; i < MISUSE_STATUSES; i++) {
        if (tally->status[i] > 0) {
            sink_printf(sink, "%s %s with %dxx", before, unit_grouped(n, tally->status[i]), i);
            before = ",";
        }
    }
    sink_printf(sink, "%s", before[0] == ',' ? ")" : "");
}

void misuse_print(struct sink *sink, const struct misuse_kind *kind,
                  const struct misuse_tally *tally)
{
    char n[UNIT_TEXT];

    sink_printf(sink, "%s %s", unit_grouped(n, tally->done), kind->what);
    print_answers(sink, tally);
    if (tally->undone > 0) {
        sink_printf(sink, "; %s could not be done (%s)", unit_grouped(n, tally->undone),
                    outcome_info(tally->why)->text);
    }
    if (tally->forgone > 0) {
        sink_printf(sink, "; %s not tried, since all places were taken",
                    unit_grouped(n, tally->forgone));
    }
}
