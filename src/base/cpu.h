/* The functions that each architecture provides to cpu.c. */
#ifndef ECHOQUANT_BASE_CPU_H
#define ECHOQUANT_BASE_CPU_H

#include "echoquant/base.h"

/* Sets has[isa] for every level that CPU and operating system grant; has is all false on entry. */
void eq_cpu_detect(bool has[EQ_ISA_COUNT]);
/* The brand string of the CPU; false if it has none. */
bool eq_cpu_brand(char *name, size_t size);

/* CPUs that the quotas of this process's cgroup and the groups around it allow, rounded down, at least 1: one thread
 * more than the quota would be put to sleep in the middle of a parallel-for. 0: no quota. root: "", or for tests a
 * folder that stands for "/". */
int eq_cgroup_cpus(const char *root);

#endif
