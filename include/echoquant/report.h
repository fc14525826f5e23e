/* report: report.md, report.html, and the tables on the terminal. */
#ifndef ECHOQUANT_REPORT_H
#define ECHOQUANT_REPORT_H

#include "echoquant/rundir.h"
#include "echoquant/verdict.h"

/* Writes report.md, report.html, statistics.json (verdict.h) and plots/ (gnuplot scripts, data, SVG, film strips)
 * from results.json, predictions/, history/ and a few clips. If train.seeds in config.json is above 1, it first makes
 * results.json from those of the seeds. Without gnuplot it warns, and the report has no pictures. The report of an
 * unfinished run says what is missing. EQ_IO: there are no results, and the folder is no run directory; EQ_FORMAT: a
 * file is damaged. */
enum eq_status eq_run_report(const char *run_dir, struct eq_err *err);
/* The same with report.* and data.* of cfg in place of config.json's; NULL: with those. Writes everything into out_dir,
 * and nothing into the run directory; NULL: into that one. Appends the lines of eq_run_verdict_lines to words; NULL:
 * does not. EQ_USAGE: out_dir is a run directory. */
enum eq_status eq_run_report_by(const char *run_dir, const char *out_dir, const struct eq_config *cfg,
                                struct eq_str *words, struct eq_err *err);
/* Appends the verdict on a run in words, each sentence or two with a line feed; nothing if there is none. */
enum eq_status eq_run_verdict_lines(const char *run_dir, const struct eq_verdict_opts *opts, struct eq_str *out,
                                    struct eq_err *err);
/* Appends the table of results as text, the five columns of the README first. columns above 0: if it is wider, it
 * becomes several tables, one after the other. */
enum eq_status eq_run_table(const char *run_dir, int columns, struct eq_str *out, struct eq_err *err);
/* Appends what the settings of the run ask for and it lacks, with the commands that make it; nothing if it has all of
 * it, or no config.json. */
enum eq_status eq_run_missing(const char *run_dir, int columns, struct eq_str *out, struct eq_err *err);
/* ---- several runs ------------------------------------------------------------- */

#define EQ_COMPARISON_FORMAT "echoquant-comparison-1" /* "format" of the JSON */
enum eq_report_format { EQ_REPORT_MD, EQ_REPORT_CSV, EQ_REPORT_JSON, EQ_REPORT_LATEX };
extern const char *const eq_report_format_names[]; /* "md", "csv", "json", "latex"; ends with NULL */
enum eq_status eq_report_format_named(const char *name, enum eq_report_format *out, struct eq_err *err); /* EQ_USAGE */
/* Appends one table of all models of the runs. CSV and JSON have full precision and the same keys for one run and for
 * many; Markdown and LaTeX have the columns of eq_run_table, and for more than one run also tables of the settings that
 * differ and of the differences between runs. Writes nothing. columns as for eq_run_table, for Markdown of several
 * runs. EQ_USAGE: a run is named twice; EQ_IO: a folder is no run directory, or none has results; EQ_FORMAT: a file is
 * damaged. */
enum eq_status eq_runs_table(const char *const *dirs, size_t n, enum eq_report_format format, int columns,
                             struct eq_str *out, struct eq_err *err);
/* Writes the comparison into out_dir: report.html, report.md, table.csv and plots/. Errors as above; EQ_USAGE: out_dir
 * is a run directory. */
enum eq_status eq_runs_report(const char *const *dirs, size_t n, const char *out_dir, struct eq_err *err);

/* Writes the histories of the runs, and of their seeds, as event files of TensorBoard, whose scalars are the columns of
 * history/<model>.csv at their epochs: <out_dir>/<run>[/seed-N]/<model>/events.out.tfevents.0.echoquant. Appends their
 * paths to files, each with a line feed. EQ_USAGE: a run is named twice; EQ_IO: one has no history; EQ_FORMAT: a
 * history is damaged. */
enum eq_status eq_runs_tensorboard(const char *const *dirs, size_t n, const char *out_dir, struct eq_str *files,
                                   struct eq_err *err);

/* ---- the rest ------------------------------------------------------------------- */

/* Warns on stderr of what makes the results of a run worthless or doubtful: a baseline that does not beat the median, a
 * model that quantization breaks, disturbed timings. EQ_IO, EQ_FORMAT. */
enum eq_status eq_run_warn(const char *run_dir, struct eq_err *err);
/* Appends sensitivity.json as a table with an explanation of its columns; columns as for eq_run_table. */
void eq_sensitivity_text(struct cJSON *json, int columns, struct eq_str *out);
/* Draws sensitivity.json into plots/sensitivity.svg; only warns if gnuplot is missing. */
enum eq_status eq_report_draw_sensitivity(const char *run_dir, struct eq_err *err);
/* Makes <run_dir>/results.json from those of the n <= EQ_MAX_SEEDS seeds from `first` on that have one. A row is that
 * of the first seed with means for its numbers, and "over_seeds" {n, mae, rmse, r2: {mean, sd, min, max, values}};
 * beside models[] there are "seeds" [{seed, dir}], "seeds_wanted" and "differences" [{model, minus, n, mean, sd, low,
 * high, min, max, values}] of MAE, paired by seed: each model against FP32, QAT also against FP32+. EQ_IO: no seed has
 * results; EQ_USAGE: they are of different data. */
enum eq_status eq_seeds_collect(const char *run_dir, int first, int n, struct eq_err *err);
/* *any: whether one of the n seeds has a results.json. EQ_IO. */
enum eq_status eq_seeds_have_results(const char *run_dir, int first, int n, bool *any, struct eq_err *err);
/* What eq_seeds_collect would write, as eq_results_read would read it. */
enum eq_status eq_seeds_read(const char *run_dir, int first, int n, struct eq_results *out, struct eq_err *err);
/* Whether results.json is the one that eq_seeds_collect would make from all seeds. */
bool eq_seeds_are_collected(const struct eq_config *cfg);

#endif
