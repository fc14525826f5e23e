/* report: what is said about a run: report.md, report.html, the tables on the terminal. */
#ifndef ECHOQUANT_REPORT_H
#define ECHOQUANT_REPORT_H

#include "echoquant/rundir.h"
#include "echoquant/stats.h"

/* From results.json, predictions/ and history/: report.md, report.html, plots/ (gnuplot scripts, data, SVG); prints
 * nothing. Where config.json says train.seeds above 1, results.json is made first, from those of the seeds. */
enum eq_status eq_run_report(const char *run_dir, struct eq_err *err);
/* The table as text, first the five columns of the README. Caller clears. */
enum eq_status eq_run_table(const char *run_dir, struct eq_str *out, struct eq_err *err);
/* sensitivity.json as a table with what its columns mean. Caller clears. */
void eq_sensitivity_text(struct cJSON *json, struct eq_str *out);
/* Draws sensitivity.json into plots/sensitivity.svg; warns where gnuplot is missing. */
enum eq_status eq_report_draw_sensitivity(const char *run_dir, struct eq_err *err);
/* Makes <run_dir>/results.json from those of the n <= EQ_MAX_SEEDS seeds that have one; EQ_IO when none has. A row is
 * the first seed's with means for its numbers, and "over_seeds" {n, mae, rmse, r2: {mean, sd, min, max, values}};
 * beside models[] there are "seeds" [{seed, dir}], "seeds_wanted" and "differences" [{model, minus, n, mean, sd, low,
 * high, min, max, values}] of MAE, paired by seed: each model against FP32, QAT also against FP32+. */
enum eq_status eq_seeds_collect(const char *run_dir, int first, int n, struct eq_err *err);
/* Whether results.json is what eq_seeds_collect would make, of all seeds. */
bool eq_seeds_are_collected(const struct eq_config *cfg);

#endif
