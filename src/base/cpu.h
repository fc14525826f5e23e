/* What the files for one architecture offer to cpu.c. */
#ifndef ECHOQUANT_BASE_CPU_H
#define ECHOQUANT_BASE_CPU_H

#include "echoquant/base.h"

/* Sets has[isa] for what CPU and operating system grant; has comes in all false. */
void eq_cpu_detect(bool has[EQ_ISA_COUNT]);
/* The CPU's own name for itself; false when it has none. */
bool eq_cpu_brand(char *name, size_t size);

#endif
