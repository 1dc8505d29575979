#include "load/misuse_count.h"

#include "load/misuse_inside.h"
#include "load/worker_inside.h"

void misuse_count_handshake(struct misuse *misuse, const struct tls *tls)
{
    struct worker *worker = misuse->misuses->worker;
    struct tls_facts facts;
    tls_facts(tls, &facts);
    worker_count(worker, COUNTER_MISUSE_HANDSHAKE);
    if (facts.asked_for_certificate && holding_part(&misuse->holding, CREDENTIAL_CERT) != NULL) {
        holding_expose(worker, &misuse->holding, CREDENTIAL_CERT, true);
    }
}

void misuse_count_request(struct misuse *misuse)
{
    struct worker *worker = misuse->misuses->worker;
    worker_count(worker, COUNTER_MISUSE_REQUEST);
    for (int kind = CREDENTIAL_APIKEY; kind < CREDENTIAL_PARTS; kind++) {
        if (holding_part(&misuse->holding, kind) != NULL) {
            holding_expose(worker, &misuse->holding, kind, true);
        }
    }
}

void misuse_count_status(struct misuse *misuse, int status)
{
    struct misuse_tally *tally = &misuse->misuses->worker->interval->misuse[misuse->kind];
    int class = status / 100;
    if (status != 0) {
        tally->status[class >= 1 && class <= 5 ? class : 0]++;
    }
}
