/* A latency as results.json has it, of the CPU or of a device. */
#include "run/run.h"

#include <cjson/cJSON.h>

struct eq_result_latency eq_latency_noted(const struct eq_latency *l, const double *ms, struct cJSON *made)
{
    struct cJSON *samples = eq_json_add(made, NULL, cJSON_CreateDoubleArray(ms, l->repeats));
    return (struct eq_result_latency){l->min,     l->median, l->p90,  l->p95,    l->p99,
                                      l->repeats, l->low,    l->high, l->waited, samples};
}
