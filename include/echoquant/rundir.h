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
/* *there: whether <dir>/<name><extension> is there; an error when that can't be told. */
enum eq_status eq_run_look(const char *dir, const char *name, const char *extension, bool *there, struct eq_err *err);
/* The same where a wrong no loses nothing: what can't be told is not there. */
bool eq_run_has_file(const char *dir, const char *name, const char *extension);
/* Makes state/, history/ and predictions/. */
enum eq_status eq_run_make_dirs(const char *run_dir, struct eq_err *err);
/* <run_dir>/seed-<seed>; free() */
char *eq_seed_dir(const char *run_dir, int seed);
/* The folders of that name that are there; eq_names_free. */
enum eq_status eq_seed_dirs(const char *run_dir, char ***names, size_t *n, struct eq_err *err);

/* ---- the models of a run ------------------------------------------------------- */

/* A model of a run: a row of results.json, and how it comes about. The table has them in the order of the rows, in
 * which an experiment makes and evaluates them, too. */
struct eq_run_model {
    const char *name;            /* <run>/predictions/<name>.csv, history/, state/; `echoquant eval <name>` */
    const char *row;             /* "model" in results.json */
    const char *title;           /* for people: "FP32 baseline" */
    const char *color;           /* in pictures, RRGGBB */
    const char *file;            /* it runs <run>/<file>.safetensors: its own, or that of another row in another way */
    enum eq_precision precision; /* of an FP32 file's convolutions */
    const char *device;
    enum eq_phase phase;                            /* makes the file */
    const char *command;                            /* and so does `echoquant <command>` */
    bool (*is_wanted)(const struct eq_config *cfg); /* by an experiment of these settings */
};
extern const struct eq_run_model eq_run_models[]; /* a row whose name is NULL ends it */
#define EQ_MEDIAN_ROW "Median" /* the sanity row of results.json, which is no model's; the last one */
enum { EQ_ROW_NAME = 48 };

/* The row of the table with this name, or with this name of its row; NULL: none. */
const struct eq_run_model *eq_run_model_named(const char *name);
const struct eq_run_model *eq_run_model_of_row(const char *row);
/* The model that a phase makes; NULL where it makes none. EQ_PHASE_TRAIN's is the baseline. */
const struct eq_run_model *eq_phase_model(enum eq_phase phase);
/* Whether its file is its own, which a phase makes, and not another row's. */
bool eq_run_model_is_made(const struct eq_run_model *m);
/* Names of rows, for files of the user's own as well: those of no table row have the name in capitals. */
void eq_run_row_name(const char *name, char row[EQ_ROW_NAME]);
/* The way back; false when it can't name a file. */
bool eq_run_file_name(const char *row, char name[EQ_ROW_NAME]);
/* Names of models name files, too: letters, digits, "_", "." and "-", fewer than 32. */
bool eq_run_is_model_name(const char *name);
/* Whether the file that a name's model runs is there; <run>/<name>.safetensors for names that the table lacks. */
enum eq_status eq_run_has_model(const char *run_dir, const char *name, bool *there, struct eq_err *err);
/* model_path, or else that file's path; free(). */
char *eq_run_model_path(const char *run_dir, const char *name, const char *model_path);
/* Whether there is a model to work on, before data is made or read for it: model_path, or the file of that name. */
enum eq_status eq_run_need_model(const char *run_dir, const char *name, const char *model_path, struct eq_err *err);

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
/* The clips that were left out under data.on_error = skip: [{"FileName", "reason"}]; cJSON_Delete. */
struct cJSON *eq_skipped_list(const struct eq_dataset *ds);
/* Writes them as "skipped". */
enum eq_status eq_skipped_record(const char *run_dir, const struct eq_dataset *ds, struct eq_err *err);
#define EQ_SENSITIVITY_FORMAT "echoquant-sensitivity-1" /* its "format" */
/* <run>/sensitivity.json, checked; delete with cJSON_Delete. */
enum eq_status eq_sensitivity_read(const char *run_dir, struct cJSON **out, struct eq_err *err);

#endif
