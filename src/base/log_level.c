/* How much is said, for the log, and for the handler of signals below it. */
#include "base/log.h"

static enum eq_log_level current_level = EQ_LOG_INFO;

enum eq_log_level eq_log_current_level(void)
{
    return __atomic_load_n(&current_level, __ATOMIC_RELAXED);
}

void eq_log_set_level(enum eq_log_level level)
{
    __atomic_store_n(&current_level, level, __ATOMIC_RELAXED);
}
