/* Shared by log and progress: one terminal, one lock. */
#ifndef ECHOQUANT_BASE_LOG_H
#define ECHOQUANT_BASE_LOG_H

#include "echoquant/base.h"

enum eq_log_level eq_log_current_level(void);
void eq_log_set_level(enum eq_log_level level);
bool eq_log_is_terminal(void);
/* Writes text to stderr in one piece. bar: text is a progress bar, which the next call erases. */
void eq_log_emit(const char *text, bool bar);

#endif
