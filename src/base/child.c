/* Waiting for a child process. */
#include "echoquant/base.h"

#include <errno.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>

enum eq_status eq_child_wait(int pid, double most_s, const char *doing, int *state, struct eq_err *err)
{
    bool before = eq_interrupted(), told = false, late = false;
    double since = eq_now_ms();
    for (int ms = 1;; ms = ms < 8 ? 2 * ms : ms) {
        pid_t ended = waitpid(pid, state, WNOHANG);
        if (ended == pid && late)
            return eq_fail(err, EQ_IO, "ended after %g s while %s", most_s, doing);
        if (ended == pid && !before && eq_interrupted() && !(WIFEXITED(*state) && WEXITSTATUS(*state) == 0))
            return eq_fail(err, EQ_INTERRUPTED, "interrupted while %s", doing);
        if (ended == pid)
            return EQ_OK;
        if (ended < 0 && errno != EINTR)
            return eq_fail_errno(err, "cannot wait for a process: %s", doing);
        if (!told && !before && eq_interrupted())
            told = kill(pid, SIGKILL) == 0;
        if (!told && most_s > 0 && eq_now_ms() - since > 1e3 * most_s)
            told = late = kill(pid, SIGKILL) == 0;
        nanosleep(&(struct timespec){.tv_nsec = ms * 1000000L}, NULL);
    }
}
