/*
 * The first use of a device in a child process: a driver may crash, exit, or hang over the kernels, and takes its
 * process along. The child is this program anew, so that it has none of its threads and locks.
 */
#include "device/apart.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

enum { CAME_TO_AN_END = 111 }; /* unlike what drivers end a process with */

static double most_seconds;

void eq_device_allow_apart(double seconds)
{
    most_seconds = seconds;
}

void eq_device_begin_as_child(void)
{
    most_seconds = 0;
    eq_log_configure(EQ_LOG_ERROR);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
}

void eq_device_end_as_child(void)
{
    _exit(CAME_TO_AN_END);
}

/* Its output is not the command's. What the driver complains about on stderr is seen. */
static int start(const char *id, pid_t *pid)
{
    char *argv[] = {(char *)"echoquant", (char *)EQ_DEVICE_TRY, (char *)id, NULL};
    posix_spawn_file_actions_t actions;
    int code = posix_spawn_file_actions_init(&actions);
    if (code != 0)
        return code;
    if ((code = posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)) == 0 &&
        (code = posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0)) == 0)
        code = posix_spawn(pid, "/proc/self/exe", &actions, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    return code;
}

enum eq_status eq_device_try_apart(const struct eq_device_info *info, bool *tried, struct eq_err *err)
{
    struct eq_err why = {0};
    pid_t pid;
    int state = 0, code;
    *tried = false;
    if (most_seconds <= 0)
        return EQ_OK;
    if ((code = start(info->id, &pid)) != 0) {
        eq_debug("%s: built and checked in this process, because no other one starts: %s", info->id, strerror(code));
        return EQ_OK;
    }
    enum eq_status st = eq_child_wait(pid, most_seconds, "its driver built and checked the kernels", &state, &why);
    if (st == EQ_INTERRUPTED)
        return eq_fail(err, st, "%s: %s", info->id, why.msg);
    *tried = st == EQ_OK && WIFEXITED(state) && WEXITSTATUS(state) == CAME_TO_AN_END;
    if (*tried)
        return EQ_OK;
    if (st == EQ_OK && WIFSIGNALED(state))
        eq_fail(&why, st, "crashed (signal %d, %s) while its driver built and checked the kernels", WTERMSIG(state),
                strsignal(WTERMSIG(state)));
    else if (st == EQ_OK)
        eq_fail(&why, st, "ended with exit code %d while its driver built and checked the kernels", WEXITSTATUS(state));
    return eq_fail(
        err, EQ_UNSUPPORTED,
        "%s (%s) cannot be used: the process that tried it %s. The driver is %s: use another version of it, or "
        "run on the CPU",
        info->id, info->name, why.msg, info->driver);
}
