/* A build without MPI: one process. */
#include "dist/dist.h"

enum eq_status eq_transport_open(double timeout, const struct eq_comm **comm, struct eq_err *err)
{
    (void)timeout;
    *comm = NULL;
    return eq_fail(err, EQ_UNSUPPORTED,
                   "this echoquant was built without MPI, so several processes cannot share a run: build it with "
                   "-DECHOQUANT_MPI=ON (docs/SCALING.md), or start one process");
}

void eq_transport_alone(bool alone)
{
    (void)alone;
}

enum eq_status eq_transport_close(enum eq_status st, bool *reached, struct eq_err *err)
{
    (void)err;
    *reached = true;
    return st;
}

void eq_transport_abort(int code)
{
    (void)code;
}
