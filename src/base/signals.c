/* The first Ctrl-C asks for an orderly stop; the second stops at once. */
#include "echoquant/base.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>

static volatile sig_atomic_t interrupted;

static void on_signal(int number)
{
    (void)number;
    if (interrupted)
        _exit(eq_exit_code(EQ_INTERRUPTED));
    interrupted = 1;
}

void eq_signals_install(void)
{
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = on_signal;
    action.sa_flags = SA_RESTART; /* interrupted reads and writes continue */
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

bool eq_interrupted(void)
{
    return interrupted != 0;
}

void eq_interrupt_reset(void)
{
    interrupted = 0;
}
