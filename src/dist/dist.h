/* What a transport gives to this room. */
#ifndef DIST_DIST_H
#define DIST_DIST_H

#include "echoquant/dist.h"

/* launch.c: what the environment says about the launcher. */
struct eq_launch {
    int size;             /* 1: no launcher, or one process */
    const char *variable; /* that says the size; NULL: none */
    bool library;         /* an MPI library can find the others: the launcher left it what it needs */
};
struct eq_launch eq_launch_look(void);
enum eq_status eq_launch_refuse_alone(const struct eq_launch *l, const char *command, struct eq_err *err);

/* mpi.c, or none.c. *comm: borrowed until eq_transport_close; of one process: NULL. */
enum eq_status eq_transport_open(double timeout, const struct eq_comm **comm, struct eq_err *err);
/* Whether others wait for this process, which shows them that it is alive. */
void eq_transport_alone(bool alone);
/* Tells the others how the command ended here and waits to hear it of all. Returns how it ended anywhere. *reached: all
 * have been heard; otherwise eq_transport_abort has to follow. */
enum eq_status eq_transport_close(enum eq_status st, bool *reached, struct eq_err *err);
void eq_transport_abort(int code);

#endif
