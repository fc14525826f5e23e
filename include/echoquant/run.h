/*
 * run: an experiment, that is, the phases in order. Commands call these functions and print; nothing here parses
 * options or exits.
 */
#ifndef ECHOQUANT_RUN_H
#define ECHOQUANT_RUN_H

#include "echoquant/bench.h"
#include "echoquant/ptq.h"
#include "echoquant/report.h"
#include "echoquant/train.h"

/* Runs the whole experiment in the run directory of the settings: data, models, evaluation, report. Skips models and
 * results that exist; a finished run is left as it is. force removes an earlier run and starts over. With train.seeds
 * above 1 it runs once for each seed, in <run>/seed-<seed>, and writes the report over all seeds into the run
 * directory. EQ_INTERRUPTED: the same call resumes. EQ_USAGE: as from eq_run_admit and eq_run_lock. */
enum eq_status eq_run_experiment(const struct eq_settings *s, bool force, struct eq_err *err);
/* Evaluates a model of the run (eq_run_models), or the file model_path at run.precision, on the test split, and its
 * MAE and bias on the validation split. Writes predictions/<name>.csv and its row in results.json: model,
 * precision, device, size_mb, phases, data (digest), mae, rmse, r2, bias, clips, val_mae, val_bias, val_clips, isa,
 * threads; no latency. */
enum eq_status eq_run_eval(const struct eq_config *cfg, const struct eq_dataset *ds, const char *name,
                           const char *model_path, struct eq_err *err);
/* Times the models of the run by turns: those whose rows were evaluated with this CPU, instruction set, number of
 * threads and phases, and the file own_path (NULL: none), whose row own_name names. Sets latency_ms (of one phase)
 * and file_latency_ms (of all of them) {min, median, p95, repeats, low, high, switches_per_s} and "timed" in their
 * rows. */
enum eq_status eq_run_time(const struct eq_config *cfg, const struct eq_dataset *ds, const char *own_name,
                           const char *own_path, struct eq_err *err);
/* Writes "data" (folder, digest, clips by split) and "environment" (version, CPU, ISA, threads) into results.json. */
enum eq_status eq_run_record_context(const struct eq_config *cfg, const struct eq_dataset *ds, struct eq_err *err);
/* Whether a model has been evaluated at eval.phases; false when that cannot be determined. */
bool eq_run_has_result(const struct eq_config *cfg, const char *name);
/* Whether its row has a latency; false when that cannot be determined. */
bool eq_run_is_timed(const struct eq_config *cfg, const char *name);
/* Whether all models that the settings ask for have been evaluated and the report exists; with train.seeds above 1, for
 * every seed and over all of them. False when that cannot be determined, so that the work is done again. */
bool eq_run_is_finished(const struct eq_config *cfg);

#endif
