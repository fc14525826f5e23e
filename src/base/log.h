/* What log and progress share: one terminal, one lock. */
#ifndef ECHOQUANT_BASE_LOG_H
#define ECHOQUANT_BASE_LOG_H

#include "echoquant/base.h"

enum eq_log_level eq_log_current_level(void);
bool eq_log_is_terminal(void);
/* Writes text to stderr in one piece. With bar, text is a bar that the next line written wipes off. */
void eq_log_emit(const char *text, bool bar);

#endif
