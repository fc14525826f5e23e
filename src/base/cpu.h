/* The functions that each architecture provides to cpu.c. */
#ifndef ECHOQUANT_BASE_CPU_H
#define ECHOQUANT_BASE_CPU_H

#include "echoquant/base.h"

/* Sets has[isa] for every level that CPU and operating system grant; has is all false on entry. */
void eq_cpu_detect(bool has[EQ_ISA_COUNT]);
/* The brand string of the CPU; false if it has none. */
bool eq_cpu_brand(char *name, size_t size);

#endif
