/* rundir: the contents of a run directory, and whether a command may work in it. */
#ifndef ECHOQUANT_RUNDIR_H
#define ECHOQUANT_RUNDIR_H

#include "echoquant/device.h"
#include "echoquant/settings.h"
#include "echoquant/stats.h"

/* ---- entering -------------------------------------------------------------- */

/* Checks whether a phase may use the run directory of the settings (run.dir); changes nothing. EQ_USAGE: the
 * directory holds a run under other settings, which the message names. The own settings of a phase that has not begun
 * may change. force: redo a phase that is done. */
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
/* *done: the phase has made its model already, and force does not ask for it again. eq_run_admit holds it to
 * the settings that made it. */
enum eq_status eq_run_is_done(const char *run_dir, enum eq_phase phase, bool force, bool *done, struct eq_err *err);
/* Checks that the rows and models in the run directory, and in those of its seeds, were made with the data set ds, by
 * eq_dataset_digest; changes nothing. EQ_USAGE names those made with other data and says how the data differ. For rows
 * and models of version 0.1.0, which have no digest, data.dir has to lead to the same folder as it did. */
enum eq_status eq_run_check_data(const char *run_dir, const struct eq_dataset *ds, struct eq_err *err);
/* Starts to use the directory: checks as eq_run_admit and eq_run_check_data do, then writes config.json and data.csv,
 * the manifest of ds. Refuses a phase that is done (eq_run_is_done), too. ds: the data of the phase. force starts over:
 * EQ_PHASE_TRAIN and EQ_PHASE_ALL remove everything that an earlier run left there, EQ_PHASE_PTQ, EQ_PHASE_QAT and
 * EQ_PHASE_CONTROL what belongs to their model. Check the baseline before. */
enum eq_status eq_run_enter(const struct eq_settings *s, const struct eq_dataset *ds, enum eq_phase phase, bool force,
                            struct eq_err *err);
/* Reads the manifest <run_dir>/data.csv. EQ_IO, EQ_FORMAT: it is missing or damaged, or its digest is not `digest`. */
enum eq_status eq_run_read_manifest(const char *run_dir, const char *digest, struct eq_dataset *out,
                                    struct eq_err *err);
/* Notes the digest of a model that a phase has just made, <run>/<name>.safetensors, in <run>/config.json. Does nothing
 * if that does not exist. */
enum eq_status eq_run_note_model(const char *path, struct eq_err *err);
/* The same for a model that is there already, if the run lacks its digest: the command that made it was stopped before
 * it could note it. */
enum eq_status eq_run_note_missing(const char *path, struct eq_err *err);
/* Keeps every other process out of the run directory until eq_run_unlock or the end of this process. Creates the folder
 * if needed; unlocking removes it again if it is still empty. Where the file system cannot lock, it warns that nothing
 * keeps other processes out, and goes on. Removes temporary files that killed processes left there. EQ_IO names the
 * process that holds the lock. Init with {0}. */
struct eq_run_lock {
    struct eq_lock lock;
    bool made_dir;
};
enum eq_status eq_run_lock(struct eq_run_lock *lock, const char *run_dir, struct eq_err *err);
void eq_run_unlock(struct eq_run_lock *lock); /* harmless if it is not held */
/* *there: whether <dir>/<name><extension> exists; EQ_IO when that cannot be determined. */
enum eq_status eq_run_look(const char *dir, const char *name, const char *extension, bool *there, struct eq_err *err);
/* The same where a wrong "no" costs nothing but work done twice: false when it cannot be determined. */
bool eq_run_has_file(const char *dir, const char *name, const char *extension);
/* Creates state/, history/ and predictions/. */
enum eq_status eq_run_make_dirs(const char *run_dir, struct eq_err *err);
/* <run_dir>/seed-<seed>; free() */
char *eq_seed_dir(const char *run_dir, int seed);
/* The paths of the existing folders of that name; free with eq_names_free. */
enum eq_status eq_seed_dirs(const char *run_dir, char ***names, size_t *n, struct eq_err *err);

/* What a folder is: an object with "kind" "run" ("results", "models", "interrupted", "seeds") for a run directory, or
 * "runs" for a folder with run directories in it; NULL for any other. Delete *out with cJSON_Delete. EQ_IO. */
enum eq_status eq_run_describe(const char *dir, struct cJSON **out, struct eq_err *err);

/* ---- the models of a run ------------------------------------------------------- */

/* A model of a run: a row of results.json, and how it is made. The table is in the order of the rows, which is also the
 * order in which an experiment makes and evaluates the models. */
struct eq_run_model {
    const char *name;            /* <run>/predictions/<name>.csv, history/, state/; `echoquant eval <name>` */
    const char *row;             /* "model" in results.json */
    const char *title;           /* for readers: "FP32 baseline" */
    int series;                  /* in pictures: its color, dash and mark (picture.h) */
    const char *file;            /* it runs <run>/<file>.safetensors: its own file, or another row's */
    enum eq_precision precision; /* of an FP32 file's convolutions */
    enum eq_phase phase;         /* that makes the file */
    const char *command;         /* `echoquant <command>` makes it too */
    bool (*is_wanted)(const struct eq_config *cfg); /* in an experiment of these settings */
};
extern const struct eq_run_model eq_run_models[]; /* ends with a row whose name is NULL */
#define EQ_MEDIAN_ROW "Median"                    /* the sanity row of results.json: no model; the last row */
enum { EQ_ROW_NAME = 48 };

/* The model with this name ("ptq"), or with this row ("PTQ"); NULL: none. */
const struct eq_run_model *eq_run_model_named(const char *name);
const struct eq_run_model *eq_run_model_of_row(const char *row);
/* The model that a phase makes; NULL: it makes none. That of EQ_PHASE_TRAIN is the baseline. */
const struct eq_run_model *eq_phase_model(enum eq_phase phase);
/* Whether a phase makes a file for it; false: it runs the file of another row. */
bool eq_run_model_is_made(const struct eq_run_model *m);
/* The series in pictures of a model of the run, or of any other name. */
int eq_run_series(const char *name);
/* The row of a name, also for the user's own files: a name that the table lacks is its own row. */
void eq_run_row_name(const char *name, char row[EQ_ROW_NAME]);
/* The inverse; false when the result cannot name a file. */
bool eq_run_file_name(const char *row, char name[EQ_ROW_NAME]);
/* Names of models also name files: letters, digits, "_", "." and "-", fewer than 32 characters. */
bool eq_run_is_model_name(const char *name);
/* *there: whether the file that the named model runs exists; <run>/<name>.safetensors for names that the table lacks.
 * EQ_IO. */
enum eq_status eq_run_has_model(const char *run_dir, const char *name, bool *there, struct eq_err *err);
/* A copy of model_path, or, if that is NULL, the path of that file; free(). */
char *eq_run_model_path(const char *run_dir, const char *name, const char *model_path);
/* Checks that there is a model to work on, before data is made or read for it: model_path, or the file of that name.
 * EQ_IO: it is missing, and the message says which command makes it; EQ_FORMAT: model_path is not a model. */
enum eq_status eq_run_need_model(const char *run_dir, const char *name, const char *model_path, struct eq_err *err);

/* ---- the baseline ------------------------------------------------------------ */

/* Reads the baseline as eq_load_baseline does, and discards it: refuses early what PTQ and QAT would refuse. */
enum eq_status eq_run_check_baseline(const struct eq_config *cfg, const char *model_path, struct eq_err *err);
/* Loads the baseline that PTQ and QAT start from: model_path, or <run>/fp32.safetensors if that is NULL. EQ_USAGE: it
 * is quantized already, or has other frames, size or width than the settings; EQ_IO, EQ_FORMAT: missing or damaged.
 * Free *out with eq_graph_free; it is NULL after a failure. */
enum eq_status eq_load_baseline(const struct eq_config *cfg, const char *model_path, struct eq_graph **out,
                                struct eq_err *err);

/* ---- results.json ------------------------------------------------------------ */

/* A value that the file lacks is NaN (numbers), "" (texts) or NULL (objects). Numbers are doubles because over several
 * seeds they are means. Texts and objects are borrowed from eq_results.json, or from the code that set a field. json is
 * the object as it was read; keys of it that the struct lacks are kept when the file is written again. NULL: a new
 * object. */
struct eq_result_latency {
    double min, median, p90, p95, p99, repeats; /* ms per clip; percentiles by nearest rank */
    double low, high;                           /* interval of at least 95 % for the median */
    double waited;                              /* share of the time, 0..1, that the timed thread waited for a CPU */
    const struct cJSON *samples;                /* all of them, in ascending order */
};
/* From the file on disk, in the page cache, to a predictor that is ready, and the first call of it: medians. */
struct eq_result_start {
    double load, first_call, repeats; /* ms */
};
struct eq_result_memory {
    double arena, packed; /* of the executor: activations and scratch; packed weights */
    double
        peak; /* by how much loading the model and one call raise the peak of the process above what it held before */
};
/* A model on a device beside the CPU. In the file, the object "devices" of a row has one for each id. */
struct eq_result_device {
    struct cJSON *json;
    const char *id; /* "cuda:0" */
    const char *name, *driver, *integer_path;
    bool is_gpu;
    double clips, largest_difference; /* test clips whose EF was compared with the CPU's; EF points */
    const char *why;                  /* why it was not measured; "": it was, or not yet */
    const char *timed;
    struct eq_result_latency latency;
    struct eq_device_times parts; /* medians */
    double memory;                /* bytes of the device */
};
struct eq_result_spread {
    struct eq_spread of; /* its n is not in the file */
    const struct cJSON *values;
};
/* A row of models[]. */
struct eq_result {
    struct cJSON *json;
    const char *model, *precision, *device; /* device: that predicted, "cpu" or an id */
    double size_mb;                         /* of file, in 10^6 bytes */
    const char *file, *file_sha256;         /* the model file that was evaluated */
    double frames, size, phases;
    const struct cJSON *recipe; /* how a quantized model was made */
    const char *method, *observer, *isa, *cpu;
    double threads, prediction;                                /* prediction: the same for every clip (EF, percent) */
    const char *data;                                          /* digest of the data set */
    const char *predictions_sha256;                            /* of predictions/<name>.csv */
    double mae, rmse, r2, bias, clips, rms_from_fp32, sqnr_db; /* bias: mean of predicted minus true EF */
    double val_mae, val_bias, val_clips;                       /* the same on the validation split */
    double unlike;                                             /* test clips that look unlike the training clips */
    const char *timed;                                         /* when; rows timed by turns share it */
    struct eq_result_latency latency, file_latency;            /* the model alone for one phase; from file to EF */
    struct eq_result_start start;
    struct eq_result_memory memory; /* bytes */
    const struct cJSON *devices;    /* eq_result_device_at reads it */
    struct {
        double n;
        struct eq_result_spread mae, rmse, r2;
    } over_seeds;
};
struct eq_result_skipped {
    struct cJSON *json;
    const char *file_name, *reason;
};
struct eq_result_seed {
    struct cJSON *json;
    double seed;
    const char *dir;
};
/* MAE of one model minus that of another, paired by seed. */
struct eq_result_difference {
    struct cJSON *json;
    const char *model, *minus;
    double n;
    struct eq_result_spread mae;
};
struct eq_results {
    struct cJSON *json; /* owned: the document as it was read */
    /* The lists are owned; NULL: the file has none. Add with eq_list_grow. */
    struct eq_result *rows;
    size_t n;
    struct eq_result_seed *seeds;
    size_t n_seeds;
    double seeds_wanted;
    struct eq_result_difference *differences;
    size_t n_differences;
    struct eq_result_skipped *skipped;
    size_t n_skipped;
    struct eq_result_skipped *damaged; /* clips that were used although they are damaged */
    size_t n_damaged;
    struct {
        struct cJSON *json;
        double points;      /* report.margin when it was stated; NaN: it never was */
        const char *stated; /* when: UTC, as 2026-01-31T12:00:00Z */
        bool late;          /* the test split had been read before */
    } margin;
    struct {
        struct cJSON *json;
        const char *dir, *digest;
        const char *file_list_sha256; /* of FileList.csv as it was read */
        bool synthetic, split_from_file;
        double train, val, test, skipped, damaged; /* clips */
        double patients;                           /* 0: the list does not name them */
        double patients_across_splits, copies_across_splits;
    } data;
    struct {
        struct cJSON *json;
        const char *version, *cpu, *isa, *system, *compiler, *flags;
        const char *gpu; /* its name and driver, or why there is none; "": results of a version without devices */
        double threads;
        const struct cJSON *libraries; /* versions by name */
    } environment;
};
/* Read and write <run_dir>/results.json. EQ_IO: there is no file; EQ_FORMAT: it is not a file of this program. Clear
 * out with eq_results_clear, also after a failure. */
enum eq_status eq_results_read(const char *run_dir, struct eq_results *out, struct eq_err *err);
enum eq_status eq_results_write(const char *run_dir, const struct eq_results *r, struct eq_err *err);
/* eq_results_read of a document in memory, which out takes over, or which a failure deletes. name: for messages. */
enum eq_status eq_results_take(struct cJSON *json, const char *name, struct eq_results *out, struct eq_err *err);
/* As eq_results_read, but an empty document if there is no file. */
enum eq_status eq_results_open(const char *run_dir, struct eq_results *out, struct eq_err *err);
void eq_results_init(struct eq_results *r); /* empty */
void eq_results_clear(struct eq_results *r);
/* The document that eq_results_write writes, without its seal; delete with cJSON_Delete. */
struct cJSON *eq_results_json(const struct eq_results *r);
/* The fields of the object of a row; NULL: an empty new row. */
struct eq_result eq_result_of(struct cJSON *row);
/* Device i of a row; false after the last. Entries whose id is none (eq_device_name_ok) do not count. */
bool eq_result_device_at(const struct eq_result *row, size_t i, struct eq_result_device *out);
/* The first GPU of a row; false: it has none. */
bool eq_result_gpu(const struct eq_result *row, struct eq_result_device *out);
/* Puts a device into the object that row->devices of a new row will be, in place of one of that id. */
void eq_result_device_put(struct cJSON *devices, const struct eq_result_device *device);
/* The row of that name ("PTQ"), or of the model of that name ("ptq"), borrowed from r; NULL: none. */
const struct eq_result *eq_results_find(const struct eq_results *r, const char *row);
const struct eq_result *eq_results_find_model(const struct eq_results *r, const char *name);
/* Inserts a copy of the row at its place in the order of the table; replaces a row of the same name. */
void eq_results_put(struct eq_results *r, const struct eq_result *row);
/* Sets the lists of clips left out under data.on_error = skip, and of damaged ones that were used under use; names are
 * borrowed from ds. */
void eq_results_set_skipped(struct eq_results *r, const struct eq_dataset *ds);
/* Sets the fields of r->environment, which borrow from environment. */
void eq_results_set_environment(struct eq_results *r, struct cJSON *environment);
/* Takes the rows out of r that were evaluated on other data than r->data.digest; appends their names. Returns how many.
 * Rows without a digest, and all of them if the results have none, stay. */
size_t eq_results_keep_data(struct eq_results *r, struct eq_str *names);
/* States the non-inferiority margin, in EF points of MAE, in <run_dir>/results.json, with the time. Call it before the
 * test split is read. A margin that is stated already stays. Rows that are there already were measured without one, and
 * the statement says that it is late. */
enum eq_status eq_results_state_margin(const char *run_dir, double points, struct eq_err *err);
/* The time as results.json has it. */
enum { EQ_TIME_TEXT = 32 };
void eq_time_text(char out[EQ_TIME_TEXT]);
/* Removes a row from results.json, if both exist. */
enum eq_status eq_results_drop_model(const char *run_dir, const char *row, struct eq_err *err);

/* ---- quantization/<name>.json -------------------------------------------------- */

#define EQ_QUANTIZATION_FORMAT "echoquant-quantization-1" /* its "format" */
/* Reads and checks <run>/quantization/<name>.json, which says what weights and activations add to the error of a
 * quantized model, and how the ranges of its edges fit. Delete *out with cJSON_Delete; NULL after a failure, and if
 * there is no such file. EQ_IO; EQ_FORMAT names the key. */
enum eq_status eq_quantization_read(const char *run_dir, const char *name, struct cJSON **out, struct eq_err *err);
/* The check of that, on a document in memory. file: for messages. */
enum eq_status eq_quantization_check(const struct cJSON *json, const char *file, struct eq_err *err);
char *eq_quantization_path(const char *run_dir, const char *name); /* free() */

#define EQ_STATISTICS_FILE "statistics.json" /* the verdict (verdict.h) */

/* ---- what is there ----------------------------------------------------------- */

/* Whether a model has been evaluated at eval.phases, and whether its row has a latency. Errors are those of reading
 * results.json and the model file; *there is false after one. */
enum eq_status eq_run_look_up(const struct eq_config *cfg, const char *name, bool *there, bool *timed,
                              struct eq_err *err);
/* Whether a model has been evaluated at eval.phases; false when that cannot be determined. */
bool eq_run_has_result(const struct eq_config *cfg, const char *name);
/* The same, and its row has a latency. */
bool eq_run_has_timed_result(const struct eq_config *cfg, const char *name);

/* ---- history/<name>.csv ------------------------------------------------------ */

/* A training: a row for each epoch. The first column is "epoch"; 0 is the model before any step, whose rate and loss
 * are NaN. Init with {0}, free with eq_history_clear. */
struct eq_history {
    char **names;   /* [columns] */
    double *values; /* [rows][columns] */
    size_t columns, rows;
};
#define EQ_HISTORY_MAX_BYTES ((size_t)64 << 20)
#define EQ_HISTORY_MAX_LINE 4096
#define EQ_HISTORY_MAX_EPOCH 1e9
/* EQ_FORMAT: name and line of what is no history. */
enum eq_status eq_history_parse(const char *name, const char *text, size_t len, struct eq_history *out,
                                struct eq_err *err);
/* Reads <run_dir>/history/<model>.csv; no columns: there is no such file. EQ_IO, EQ_FORMAT. */
enum eq_status eq_history_read(const char *run_dir, const char *model, struct eq_history *out, struct eq_err *err);
double eq_history_last_epoch(const struct eq_history *h); /* 0: no rows */
void eq_history_clear(struct eq_history *h);

/* ---- sensitivity.json -------------------------------------------------------- */

#define EQ_SENSITIVITY_FORMAT "echoquant-sensitivity-1" /* its "format" */
/* Reads and checks <run>/sensitivity.json; delete *out with cJSON_Delete, it is NULL after a failure. EQ_IO,
 * EQ_FORMAT. */
enum eq_status eq_sensitivity_read(const char *run_dir, struct cJSON **out, struct eq_err *err);

#endif
