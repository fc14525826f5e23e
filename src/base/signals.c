/* Signals: the first that asks for an end sets a flag, at which the work stops in good order. */
#include "base/log.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

/* Ctrl-C, `kill`, a lost connection, the warnings of schedulers before a job's time is up (USR1 or USR2 by Slurm's
 * --signal), and the soft limit of CPU time, after which the kernel sends SIGXCPU every second. */
static const int ends[] = {SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2, SIGXCPU};

/* The handler sets it, and any thread reads it: a lock-free atomic is allowed in both. */
static atomic_bool interrupted;

static void say(const char *text)
{
    int saved = errno;
    ssize_t written = write(STDERR_FILENO, text, strlen(text));
    (void)written; /* the message is all that is lost */
    errno = saved;
}

static void on_end(int number)
{
    bool before = atomic_exchange_explicit(&interrupted, true, memory_order_relaxed);
    if (before && number == SIGINT)
        _exit(eq_exit_code(EQ_INTERRUPTED));
    if (!before && eq_log_current_level() >= EQ_LOG_INFO)
        say(number == SIGINT ? "\nstopping as soon as nothing is lost; press Ctrl-C again to stop at once\n"
                             : "\na signal came: stopping as soon as nothing is lost\n");
}

/* A handler instead of SIG_IGN: programs that are started get the default back. */
static void on_failed_write(int number)
{
    (void)number;
}

static void handle(int number, void (*handler)(int))
{
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = handler;
    action.sa_flags = SA_RESTART; /* interrupted reads and writes continue */
    sigemptyset(&action.sa_mask);
    sigaction(number, &action, NULL);
}

/* Whether this process was started with SIGHUP ignored, as by nohup. It is asked before shared libraries are
 * initialized: UCX, which comes with Open MPI 5, takes the signal for itself when it is loaded. */
static bool nohup;

static void look_at_start(void)
{
    struct sigaction before;
    nohup = sigaction(SIGHUP, NULL, &before) == 0 && before.sa_handler == SIG_IGN;
}

static void (*const before_libraries)(void) __attribute__((section(".preinit_array"), used)) = look_at_start;

void eq_signals_install(void)
{
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
        handle(ends[i], ends[i] == SIGHUP && nohup ? SIG_IGN : on_end);
    handle(SIGPIPE, on_failed_write);
    handle(SIGXFSZ, on_failed_write);
}

bool eq_interrupted(void)
{
    return atomic_load_explicit(&interrupted, memory_order_relaxed) || eq_memory_short();
}

void eq_interrupt_reset(void)
{
    atomic_store_explicit(&interrupted, false, memory_order_relaxed);
    eq_memory_forget();
}
