/* bench_text.c: the object of `bench` as tables for readers. */
#ifndef CMD_BENCH_H
#define CMD_BENCH_H

#include "cmd/cmd.h"

struct cJSON;

void eq_print_bench(const struct cJSON *result);

#endif
