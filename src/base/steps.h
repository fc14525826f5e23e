/* The bars' view of the steps of a command. */
#ifndef ECHOQUANT_BASE_STEPS_H
#define ECHOQUANT_BASE_STEPS_H

#include "echoquant/base.h"

/* Appends "3/9 " where a command has several steps. */
void eq_steps_add_place(struct eq_str *out);
/* Seconds that all steps still need, by the pace so far; below 0: unknown, or no steps. */
double eq_steps_seconds_left(void);
/* For tests: the current step began so much earlier. */
void eq_steps_backdate(double ms);
/* "4:31" or "2:04:31" */
void eq_add_duration(struct eq_str *out, double seconds);

#endif
