/* rundir: what lies in a run directory, whose it is, and whether a command may work there. */
#ifndef ECHOQUANT_RUNDIR_H
#define ECHOQUANT_RUNDIR_H

#include "echoquant/settings.h"

/* ---- entering -------------------------------------------------------------- */

/* Whether the run directory (settings' run.dir) can be taken into use for a phase; changes nothing. Refuses (EQ_USAGE)
 * when the phase's result is there already, or when it holds a run under other settings, which it names; a phase that
 * has neither begun nor finished may have its own settings changed. */
enum eq_phase {
    EQ_PHASE_TRAIN,
    EQ_PHASE_PTQ,
    EQ_PHASE_QAT,
    EQ_PHASE_CONTROL,
    EQ_PHASE_EVAL,
    EQ_PHASE_SENSITIVITY,
    EQ_PHASE_ALL
};
enum eq_status eq_run_admit(const struct eq_settings *s, enum eq_phase phase, bool force, struct eq_err *err);
/* Whether ds is the data set that the rows and models in the run directory, and in those of its seeds, were made with,
 * by eq_dataset_digest; changes nothing. EQ_USAGE names those of another one. Rows and models of version 0.1.0, without
 * a digest, are accepted. */
enum eq_status eq_run_check_data(const char *run_dir, const struct eq_dataset *ds, struct eq_err *err);
/* Takes it into use, refusing as eq_run_admit and eq_run_check_data do, and writes config.json. ds: what the phase will
 * work on. force starts anew: for EQ_PHASE_TRAIN and EQ_PHASE_ALL everything that an earlier run left there is removed,
 * for EQ_PHASE_PTQ, EQ_PHASE_QAT and EQ_PHASE_CONTROL what belongs to that model; so look at the baseline before. */
enum eq_status eq_run_enter(const struct eq_settings *s, const struct eq_dataset *ds, enum eq_phase phase, bool force,
                            struct eq_err *err);
/* Keeps every other process from working in the run directory until eq_run_unlock or the process's end; makes the
 * folder if need be, and takes it away again when nothing came into it. EQ_USAGE names who has it. Init with {0}. */
struct eq_run_lock {
    int fd;
    char *path;
    bool made_dir;
};
enum eq_status eq_run_lock(struct eq_run_lock *lock, const char *run_dir, struct eq_err *err);
void eq_run_unlock(struct eq_run_lock *lock); /* harmless when it isn't held */
/* The models of an experiment by the names of their files, in the order in which they are made:
 * <run>/<name>.safetensors. A row of results.json has the name in capitals, but for the control: it is "FP32+" there.
 */
#define EQ_CONTROL_NAME "fp32_plus"
enum { EQ_RUN_MODELS = 4, EQ_ROW_NAME = 48 };
extern const char *const eq_run_models[EQ_RUN_MODELS]; /* "fp32", "ptq", "qat", EQ_CONTROL_NAME */
/* Not a file of its own, but a name with a row and predictions: fp32.safetensors with convolutions in BF16. */
#define EQ_BF16_NAME "bf16"
void eq_run_row_name(const char *name, char row[EQ_ROW_NAME]);
/* The way back; false when it names no file. */
bool eq_run_file_name(const char *row, char name[EQ_ROW_NAME]);
/* *there: whether <dir>/<name><extension> is there; an error when that can't be told. */
enum eq_status eq_run_look(const char *dir, const char *name, const char *extension, bool *there, struct eq_err *err);
/* The same where a wrong no loses nothing: what can't be told is not there. */
bool eq_run_has_file(const char *dir, const char *name, const char *extension);
/* *there: whether <run>/<name>.safetensors is there. */
enum eq_status eq_run_has_model(const char *run_dir, const char *name, bool *there, struct eq_err *err);

/* Whether there is a model to work on, before data is made or read for it: model_path, or <run>/<name>.safetensors. */
enum eq_status eq_run_need_model(const char *run_dir, const char *name, const char *model_path, struct eq_err *err);
/* Makes state/, history/ and predictions/. */
enum eq_status eq_run_make_dirs(const char *run_dir, struct eq_err *err);
/* <run_dir>/seed-<seed>; free() */
char *eq_seed_dir(const char *run_dir, int seed);
/* The folders of that name that are there; eq_names_free. */
enum eq_status eq_seed_dirs(const char *run_dir, char ***names, size_t *n, struct eq_err *err);

/* ---- the baseline ------------------------------------------------------------ */

/* Reads the model that PTQ and QAT would start from and refuses it as they do: missing, damaged, quantized already, of
 * other frames, size or width than the settings say. */
enum eq_status eq_run_check_baseline(const struct eq_config *cfg, const char *model_path, struct eq_err *err);
/* The baseline that PTQ and QAT start from: model_path, or <run>/fp32.safetensors. A model that is quantized already,
 * or of other frames, size or width than the settings ask for, is refused. */
enum eq_status eq_load_baseline(const struct eq_config *cfg, const char *model_path, struct eq_graph **out,
                                struct eq_err *err);

/* ---- results.json and sensitivity.json --------------------------------------- */

/* results.json: read-modify-write of one row of models[] (found by "model"), and of top-level keys. row and value are
 * consumed. */
enum eq_status eq_results_put_model(const char *run_dir, struct cJSON *row, struct eq_err *err);
enum eq_status eq_results_put(const char *run_dir, const char *key, struct cJSON *value, struct eq_err *err);
/* Names of models name files, too: letters, digits, "_", "." and "-", fewer than 32. */
bool eq_run_is_model_name(const char *name);
/* The whole document, checked; delete with cJSON_Delete. */
enum eq_status eq_results_read(const char *run_dir, struct cJSON **out, struct eq_err *err);
/* A row's "model"; NULL when it is no row. */
const char *eq_results_model_name(const struct cJSON *row);
/* The digest of the data that a row is of; NULL: it has none. */
const char *eq_results_data(const struct cJSON *row);
/* The row of a model in a document that eq_results_read gave; NULL: none. */
const struct cJSON *eq_results_find_model(const struct cJSON *results, const char *name);
/* The same in models[] itself. */
const struct cJSON *eq_results_list_find(const struct cJSON *models, const char *name);
/* A document without models. Delete with cJSON_Delete. */
struct cJSON *eq_results_new(void);
/* Puts a row, which models takes over, into models[] where the table has it. */
void eq_results_insert_row(struct cJSON *models, struct cJSON *row);
/* Takes a row out of results.json, if both are there. */
enum eq_status eq_results_drop_model(const char *run_dir, const char *name, struct eq_err *err);
/* A number, or null where value is NaN or infinite. */
void eq_results_add_real(struct cJSON *object, const char *key, double value);
/* A number of a row by path, "mae" or "latency_ms.median"; NaN when absent or null. */
double eq_report_number(const struct cJSON *row, const char *path);
/* A text of an object; "" when absent. */
const char *eq_report_text(const struct cJSON *object, const char *key);
/* Writes the clips that were left out under data.on_error = skip: "skipped": [{"FileName", "reason"}]. */
enum eq_status eq_skipped_record(const char *run_dir, const struct eq_dataset *ds, struct eq_err *err);
#define EQ_SENSITIVITY_FORMAT "echoquant-sensitivity-1" /* its "format" */
/* <run>/sensitivity.json, checked; delete with cJSON_Delete. */
enum eq_status eq_sensitivity_read(const char *run_dir, struct cJSON **out, struct eq_err *err);

#endif
