/*
 * run: an experiment, the phases in order. The commands call these functions and print; nothing here parses options or
 * exits.
 */
#ifndef ECHOQUANT_RUN_H
#define ECHOQUANT_RUN_H

#include "echoquant/bench.h"
#include "echoquant/ptq.h"
#include "echoquant/report.h"
#include "echoquant/train.h"

/* All of it: data, models, evaluation, report, in the run directory of the settings. A model or result that is there
 * already is passed over, and nothing is done where the run is finished. force removes an earlier run and starts anew.
 * With train.seeds above 1 once for each seed, in <run>/seed-<seed>, and the report over all of them in the run
 * directory. EQ_INTERRUPTED: the same call goes on where it stopped. EQ_USAGE: as by eq_run_admit, eq_run_lock. */
enum eq_status eq_run_experiment(const struct eq_settings *s, bool force, struct eq_err *err);
/* Evaluates one of the run's models (eq_run_models) or any file, which run.precision applies to, on the test split:
 * predictions/<name>.csv, and its row in results.json: model, precision, device, size_mb, phases, data (digest),
 * mae, rmse, r2, latency_ms {min, median, p95} (of one phase), file_latency_ms (of all of them), isa, threads. */
enum eq_status eq_run_eval(const struct eq_config *cfg, const struct eq_dataset *ds, const char *name,
                           const char *model_path, struct eq_err *err);
/* "data" (folder, digest, clips by split) and "environment" (version, CPU, ISA, threads) of results.json. */
enum eq_status eq_run_record_context(const struct eq_config *cfg, const struct eq_dataset *ds, struct eq_err *err);
/* Whether a model has been evaluated, at eval.phases. */
bool eq_run_has_result(const struct eq_config *cfg, const char *name);
/* Whether all models that the settings want have been evaluated and there is a report; with train.seeds above 1, those
 * of every seed and the one over all. What can't be told is not finished, so that the work is done again. */
bool eq_run_is_finished(const struct eq_config *cfg);

#endif
