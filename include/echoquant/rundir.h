/* rundir: what lies in a run directory, whose it is, and whether a command may work there. */
#ifndef ECHOQUANT_RUNDIR_H
#define ECHOQUANT_RUNDIR_H

#include "echoquant/settings.h"
#include "echoquant/stats.h"

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

/* ---- results.json ------------------------------------------------------------ */

/* What a file lacks is NaN where it is a number, "" where it is a text, NULL where it is an object. Numbers are
 * doubles because over several seeds they are means. Texts and objects are borrowed: from eq_results.json, or from
 * whoever filled a field. json is the object as it was read, with the keys that its struct lacks: they are kept when
 * the file is written again. NULL: a new one. */
struct eq_result_latency {
    double min, median, p95, repeats; /* ms per clip */
};
struct eq_result_spread {
    struct eq_spread of; /* its n is not in the file */
    const struct cJSON *values;
};
/* A row of models[]. */
struct eq_result {
    struct cJSON *json;
    const char *model, *precision, *device;
    double size_mb; /* of file, in 10^6 bytes */
    const char *file;
    double frames, size, phases;
    const struct cJSON *recipe; /* how a quantized model was made */
    const char *method, *observer, *isa, *cpu;
    double threads, prediction; /* prediction: the same for every clip (EF, percent) */
    const char *data;           /* digest of the data set */
    double mae, rmse, r2, clips, rms_from_fp32, sqnr_db;
    struct eq_result_latency latency, file_latency; /* the model alone for one phase; from file to EF */
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
    struct {
        struct cJSON *json;
        const char *dir, *digest;
        bool synthetic, split_from_file;
        double train, val, test, skipped; /* clips */
    } data;
    struct {
        struct cJSON *json;
        const char *version, *cpu, *isa;
        double threads;
    } environment;
};
/* The one reader, and the one writer. EQ_IO: there is no file; EQ_FORMAT: it is none of this program's. */
enum eq_status eq_results_read(const char *run_dir, struct eq_results *out, struct eq_err *err);
enum eq_status eq_results_write(const char *run_dir, const struct eq_results *r, struct eq_err *err);
/* eq_results_read, or an empty document where there is no file. */
enum eq_status eq_results_open(const char *run_dir, struct eq_results *out, struct eq_err *err);
void eq_results_init(struct eq_results *r); /* empty */
void eq_results_clear(struct eq_results *r);
/* What eq_results_write writes; delete with cJSON_Delete. */
struct cJSON *eq_results_json(const struct eq_results *r);
/* The fields of a row's object; of NULL: those of a new row, which has nothing. */
struct eq_result eq_result_of(struct cJSON *row);
/* The row of that name ("PTQ"), or of the model of that name ("ptq"); NULL: none. */
const struct eq_result *eq_results_find(const struct eq_results *r, const char *row);
const struct eq_result *eq_results_find_model(const struct eq_results *r, const char *name);
/* Puts a copy of the row where the table has it, in place of one of that name. */
void eq_results_put(struct eq_results *r, const struct eq_result *row);
/* The clips that were left out under data.on_error = skip; names are borrowed from ds. */
void eq_results_set_skipped(struct eq_results *r, const struct eq_dataset *ds);
/* Takes a row out of results.json, if both are there. */
enum eq_status eq_results_drop_model(const char *run_dir, const char *row, struct eq_err *err);

/* ---- sensitivity.json -------------------------------------------------------- */

#define EQ_SENSITIVITY_FORMAT "echoquant-sensitivity-1" /* its "format" */
/* <run>/sensitivity.json, checked; delete with cJSON_Delete. */
enum eq_status eq_sensitivity_read(const char *run_dir, struct cJSON **out, struct eq_err *err);

#endif
