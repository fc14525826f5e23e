/*
 * dist: the processes of one command on several machines, started by mpirun or srun. All of them run the command, with
 * the same settings. They share the micro-batches of training and the clips of evaluation (eq_comm_world); what else is
 * to be done, such as files, is done by the first one, rank 0, while the others wait.
 */
#ifndef ECHOQUANT_DIST_H
#define ECHOQUANT_DIST_H

#include "echoquant/base.h"

struct eq_dist_opts {
    bool shared;         /* the command shares its work; otherwise only one process may run it */
    const char *command; /* the words of the command line, for messages */
    double timeout;      /* seconds that a process waits for another one that does not show that it is alive */
};
/* Where a launcher has started several processes: meets the others, and joins them (eq_comm_join). The standard
 * output of all but the first is closed, and they log errors only. Otherwise does nothing: no library is even
 * started. EQ_USAGE: the launcher says that there are several, but they do not find each other, as with srun without
 * PMIx, or the command is not shared; the message has the line to type. EQ_UNSUPPORTED: a build without MPI. EQ_IO. */
enum eq_status eq_dist_open(const struct eq_dist_opts *opts, struct eq_err *err);
/* Ends what eq_dist_open began, whether or not that succeeded. st, err: how the command ended here. Returns how it
 * ended anywhere: a failure of another process becomes this one's, with its message. Waits until all have come here.
 */
enum eq_status eq_dist_close(enum eq_status st, struct eq_err *err);
/* Whether this process should print how the command ended: it is the first, or the first one cannot. */
bool eq_dist_speaks(void);
/* Before the process exits with this code, after its last message: ends the others, if they cannot be reached
 * otherwise. The code to exit with: 0 where the first one ends with that code and says why. Open MPI 5 kills all others
 * as soon as one has failed, also the one that is about to speak. / */
int eq_dist_exit(int code);

/* Says how many processes there are, and warns where one may run on fewer CPUs than `threads`, or, with threads = 0,
 * than its part of the machine, because the launcher bound it to some. The status of the exchange. */
enum eq_status eq_dist_say_cpus(int threads, struct eq_err *err);

/* Work of the first process alone. Returns whether this process is to do it; on that one, eq_comm_world is
 * eq_comm_self until eq_first_end. */
bool eq_first_begin(void);
/* After it, on every process. st, err: how it went, on the first. result: what it found, `bytes` bytes that all get;
 * NULL: nothing. Returns its status, everywhere. */
enum eq_status eq_first_end(enum eq_status st, void *result, size_t bytes, struct eq_err *err);
/* Work of each process by itself: eq_comm_world is eq_comm_self from begin to end. */
void eq_apart_begin(void);
/* After it, on every process. st, err: how it went here. Waits for all, and returns as eq_comm_agree. */
enum eq_status eq_apart_end(enum eq_status st, struct eq_err *err);
/* EQ_USAGE: the text, lines of "key=value", differs from that of the first process; the message has the first line
 * that does. what: "settings". */
enum eq_status eq_dist_same(const char *what, const char *text, struct eq_err *err);

#endif
