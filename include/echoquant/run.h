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
/* The devices of an evaluation. Init with {0}. */
struct eq_run_devices {
    struct eq_run_device {
        struct eq_device *device; /* owned */
        bool is_named;            /* in the settings; false: "auto" found it */
    } * list;                     /* those beside the CPU: that of run.device first, then those of eval.devices */
    size_t n;
    struct eq_device *predicts; /* that of run.device; NULL: the CPU */
    struct eq_str gpu;          /* the first GPU of the list with its driver, or why there is none */
};
/* EQ_UNSUPPORTED: a named device is not here, or it cannot be used. One that "auto" finds but cannot use is a warning.
 * Clear out with eq_run_devices_close in any case. */
enum eq_status eq_run_devices_open(const struct eq_config *cfg, struct eq_run_devices *out, struct eq_err *err);
void eq_run_devices_close(struct eq_run_devices *d);
/* Whether the devices of the settings have names that exist. EQ_USAGE. */
enum eq_status eq_run_devices_check(const struct eq_config *cfg, struct eq_err *err);
/* Evaluates a model of the run (eq_run_models), or the file model_path at run.precision, on the test split, and its
 * MAE and bias on the validation split, on devices->predicts. Writes predictions/<name>.csv and its row in
 * results.json: model, precision, device, size_mb, file_sha256, phases, data (the digest), predictions_sha256, mae,
 * rmse, r2, bias, clips, val_mae, val_bias, val_clips, isa, threads; no latency. Then compares the EFs of all
 * devices with those of the CPU (devices.c) and adds "devices". devices: NULL stands for the CPU alone. EQ_IO: also
 * the loss of a device; what it has predicted is then in predictions/<name>.partial.csv. EQ_NUMERIC names a clip
 * whose EF differs. */
enum eq_status eq_run_eval(const struct eq_config *cfg, const struct eq_dataset *ds, const char *name,
                           const char *model_path, const struct eq_run_devices *devices, struct eq_err *err);
/* Times the models of the run by turns: those whose rows were evaluated with this CPU, instruction set, number of
 * threads and phases, and the file own_path (NULL: none), whose row own_name names. Sets latency_ms (of one phase)
 * and file_latency_ms (of all of them) {min, median, p95, repeats, low, high, waited} and "timed" in their
 * rows, and the same for each device on which their EFs were compared, after the CPU, device by device. */
enum eq_status eq_run_time(const struct eq_config *cfg, const struct eq_dataset *ds, const char *own_name,
                           const char *own_path, const struct eq_run_devices *devices, struct eq_err *err);
/* Writes "data" (folder, digests, clips by split) and "environment" (eq_environment) into results.json. */
enum eq_status eq_run_record_context(const struct eq_config *cfg, const struct eq_dataset *ds,
                                     const struct eq_run_devices *devices, struct eq_err *err);
/* What this process computes with: version, cpu, isa, threads, system (kernel), compiler, flags (those of the compiler
 * that can affect results), libraries (versions by name). Delete with cJSON_Delete. */
struct cJSON *eq_environment(void);
/* Whether all models that the settings ask for have been evaluated and the report exists; with train.seeds above 1, for
 * every seed and over all of them. False when that cannot be determined, so that the work is done again. */
bool eq_run_is_finished(const struct eq_config *cfg);

/* ---- verification ------------------------------------------------------------ */

enum eq_verdict { EQ_HOLDS, EQ_DIFFERS, EQ_NOT_CHECKED, EQ_VERDICT_COUNT };
const char *eq_verdict_name(enum eq_verdict v); /* "holds", "differs", "not checked" */
struct eq_check {
    enum eq_verdict verdict;
    char *what, *text; /* a file, or another thing that was checked; what was found. Owned */
};
struct eq_verification {
    struct eq_check *checks;
    size_t n, count[EQ_VERDICT_COUNT];
    const char *prefix; /* of `what`, while checks are added */
    struct eq_err lack; /* EQ_NOMEM if a check ended so */
};
/* Checks a run directory and changes nothing in it: the seals of config.json and results.json; the digests of data,
 * models and predictions; the errors of each row against its predictions; and the predictions, which it makes again,
 * those of INT8 models to the byte. Times play no part. cfg: the settings of the run, with data.dir where the data are
 * now. With train.seeds above 1 it checks every seed's directory too. What does not hold is a check, not an error.
 * EQ_IO, EQ_FORMAT: not a run directory, or an unreadable config.json. EQ_INTERRUPTED. Clear out in any case. */
enum eq_status eq_run_verify(const struct eq_config *cfg, struct eq_verification *out, struct eq_err *err);
/* Checks whether two run directories have the same data, models, predictions and errors, as their results.json note
 * them. EQ_IO, EQ_FORMAT: one of them has none. Clear out in any case. */
enum eq_status eq_run_compare(const char *run, const char *other, struct eq_verification *out, struct eq_err *err);
void eq_verification_clear(struct eq_verification *v);

#endif
