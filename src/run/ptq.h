/* PTQ as the settings describe it, for the command, for search, mixed precision and sensitivity. */
#ifndef RUN_PTQ_H
#define RUN_PTQ_H

#include "run/calibration.h"

struct eq_ptq {
    struct eq_graph *fp32;  /* folded, fused, equalized if asked for: what the other one approximates */
    struct eq_graph *graph; /* the same with fake-quant: calibrated, improved, ready to lower */
};
/* trained stays as it is. */
enum eq_status eq_ptq_make(const struct eq_config *cfg, const struct eq_graph *trained, struct eq_calibration *clips,
                           struct eq_ptq *out, struct eq_err *err);
void eq_ptq_clear(struct eq_ptq *p);
/* The integer model, with a note of the settings that made it. */
enum eq_status eq_ptq_lower(const struct eq_config *cfg, const struct eq_ptq *p, struct eq_qmodel **out,
                            struct eq_err *err);
/* Which nodes of a folded and fused graph ptq.keep_fp32 names, as keep[n_nodes]; an unknown name is EQ_USAGE. */
enum eq_status eq_ptq_kept_layers(const struct eq_config *cfg, const struct eq_graph *g, bool *keep,
                                  struct eq_err *err);
/* Those settings as one object; delete with cJSON_Delete. */
struct cJSON *eq_ptq_recipe(const struct eq_config *cfg);

#endif
