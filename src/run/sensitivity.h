/* Clips for the analysis of layers, shared by sensitivity and mixed precision, and sensitivity.json for the report. */
#ifndef RUN_SENSITIVITY_H
#define RUN_SENSITIVITY_H

#include "run/report.h"

/* At most cap samples of a split, spread evenly over its order; *n of them, free(*indices). An empty split is refused.
 */
enum eq_status eq_spread_clips(const struct eq_dataset *ds, enum eq_split split, int cap, uint32_t **indices, size_t *n,
                               struct eq_err *err);
/* A row for each layer of sensitivity.json. */
enum eq_status eq_sensitivity_table(const struct cJSON *json, struct eq_table *out, struct eq_err *err);
/* "weights of 4 bits, hist_mse; 16 clips of VAL: MAE 6.50 in FP32, 6.61 quantized." */
void eq_sensitivity_title(const struct cJSON *json, struct eq_str *out);
extern const char eq_sensitivity_note[]; /* what the columns are */
/* The picture, as one more of the report's. */
enum eq_status eq_plots_sensitivity(struct eq_report *report, const struct cJSON *json, struct eq_err *err);

#endif
