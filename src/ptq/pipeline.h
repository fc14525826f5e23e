/* PTQ as the settings describe it, for the command, for search, mixed precision and sensitivity. */
#ifndef PTQ_PIPELINE_H
#define PTQ_PIPELINE_H

#include "echoquant/ptq.h"

struct eq_ptq {
    struct eq_graph *fp32;  /* folded, fused, equalized if asked for: what the other one approximates */
    struct eq_graph *graph; /* the same with fake-quant: calibrated, improved, ready to lower */
    /* Of eq_ptq_make_within, owned; NULL otherwise. */
    char *keep_fp32;     /* in the place of ptq.keep_fp32 */
    struct cJSON *mixed; /* how it came to that */
};
/* trained stays as it is. */
enum eq_status eq_ptq_make(const struct eq_config *cfg, const struct eq_graph *trained, struct eq_calibration *clips,
                           struct eq_ptq *out, struct eq_err *err);
/* The same with ptq.max_mae_loss: as many layers more than ptq.keep_fp32 says stay in FP32 as the limit takes, by the
 * validation split. */
enum eq_status eq_ptq_make_within(const struct eq_config *cfg, const struct eq_dataset *ds,
                                  const struct eq_graph *trained, struct eq_calibration *clips, struct eq_ptq *out,
                                  struct eq_err *err);
void eq_ptq_clear(struct eq_ptq *p);
/* Its two halves, for a search: what comes before calibration, and what comes behind it. */
enum eq_status eq_ptq_begin(const struct eq_config *cfg, const struct eq_graph *trained, struct eq_calibration *clips,
                            struct eq_ptq *out, struct eq_err *err);
enum eq_status eq_ptq_finish(const struct eq_config *cfg, struct eq_graph *calibrated, struct eq_calibration *clips,
                             struct eq_err *err);
/* The integer model, with a note of the settings that made it, and of the search that found them (NULL: none). */
enum eq_status eq_ptq_lower(const struct eq_config *cfg, const struct eq_ptq *p, const struct cJSON *search,
                            struct eq_qmodel **out, struct eq_err *err);
/* ptq.search: tries observers, then the switches one by one, and puts the best into *chosen (strings are cfg's). Fits
 * on one half of the calibration clips and judges on the other, by the mean squared difference of the integer model's
 * EF from FP32's. path: what was tried, in order; delete with cJSON_Delete. */
enum eq_status eq_ptq_search(const struct eq_config *cfg, const struct eq_dataset *ds, const struct eq_graph *trained,
                             struct eq_config *chosen, struct cJSON **path, struct eq_err *err);
/* Which nodes of a folded and fused graph ptq.keep_fp32 names, as keep[n_nodes]; an unknown name is EQ_USAGE. */
enum eq_status eq_ptq_kept_layers(const struct eq_config *cfg, const struct eq_graph *g, bool *keep,
                                  struct eq_err *err);
/* Those settings as one object; delete with cJSON_Delete. */
struct cJSON *eq_ptq_recipe(const struct eq_config *cfg);

#endif
