/*
 * run: an experiment. Settings, the run directory, training, PTQ, QAT, evaluation, latency, results and report.
 * The commands call these functions and print; nothing here parses options or exits.
 */
#ifndef ECHOQUANT_RUN_H
#define ECHOQUANT_RUN_H

#include "echoquant/base.h"
#include "echoquant/data.h"
#include "echoquant/model.h"
#include "echoquant/nn.h"
#include "echoquant/quant.h"

/* ---- settings ------------------------------------------------------------ */

/* What a layer does that has a channel whose weights are all 0. */
enum eq_zero_channels { EQ_ZERO_CHANNELS_REFUSE, EQ_ZERO_CHANNELS_ALLOW };

enum { EQ_MAX_SEEDS = 1000 };
enum eq_qat_method { EQ_QAT_STE, EQ_QAT_LSQ };
enum eq_qat_start { EQ_QAT_START_AUTO, EQ_QAT_START_PTQ, EQ_QAT_START_CALIBRATE };

/* One field a setting; the table in src/run/settings.c gives key, type, default, range and help, and drives parsing,
 * validation, --help and docs/CONFIG.md. Strings are owned. */
struct eq_config {
    struct {
        char *dir; /* EchoNet folder; made by synth when data.synthetic is true and it isn't there */
        bool synthetic;
        int frames, size;
        int split_seed;
        int on_error; /* enum eq_on_error */
        int cache_mb;
    } data;
    struct {
        int train, val, test, seed; /* clips of the synthetic set */
    } synth;
    struct {
        char *init; /* safetensors to start from; "" none */
        int width;
    } model;
    struct {
        int epochs, batch, accumulate;
        int optimizer; /* enum eq_optim_kind */
        double lr, weight_decay, momentum;
        int schedule;  /* enum eq_schedule */
        double warmup; /* epochs */
        int loss;      /* enum eq_loss */
        bool flip;
        int shift;
        bool random_phase;
        int precision;    /* enum eq_precision */
        double grad_clip; /* 0: off */
        double ema;       /* decay, 0: off */
        int patience;     /* epochs without a better validation MAE, 0: off */
        int seeds;        /* run-all: whole experiments, with run.seed, run.seed + 1, ... */
    } train;
    struct {
        int observer; /* enum eq_observer_kind */
        double percentile, averaging;
        int clips;           /* for calibration */
        int weight_observer; /* enum eq_weight_observer */
        bool per_channel;
        int weight_bits;
        bool search;
        bool reestimate_bn, equalize, bias_correction, adaround;
        int adaround_steps;
        char *keep_fp32;     /* names of layers, commas between */
        double max_mae_loss; /* EF points on the validation split; 0: off */
        int zero_channels;   /* enum eq_zero_channels */
    } ptq;
    struct {
        int epochs, batch;
        double lr, weight_decay;
        int method; /* enum eq_qat_method */
        int weight_bits;
        double scale_lr;                            /* LSQ */
        double distill;                             /* share of the loss, 0: off */
        int start;                                  /* enum eq_qat_start */
        int freeze_bn_epoch, freeze_observer_epoch; /* 1-based: frozen from the start of this epoch on; 0: never */
        bool control;                               /* run-all trains the row FP32+, too */
    } qat;
    struct {
        int phases; /* samplings of a clip whose EFs are averaged, in eval and predict */
    } eval;
    struct {
        int clips;
        int split; /* enum eq_split */
    } sensitivity;
    struct {
        int warmup, repeats, steps;
        bool scaling, gray;
        double layer_ms;
    } bench;
    struct {
        char *dir; /* run directory */
        int seed;
        int threads;   /* 0: all */
        char *cpu;     /* "auto" or an ISA level */
        int precision; /* enum eq_precision, of FP32 models in inference */
    } run;
};
/* Where a value came from, for config.json: "default", "configs/x.json", "--set". */
struct eq_settings {
    struct eq_config config;
    char **origin; /* by row of the table */
};

enum eq_status eq_settings_init(struct eq_settings *s, struct eq_err *err); /* all defaults */
void eq_settings_clear(struct eq_settings *s);
enum eq_status eq_settings_copy(struct eq_settings *out, const struct eq_settings *s, struct eq_err *err);
/* Those of one of the experiments of train.seeds, 0..seeds-1: run.dir is <run.dir>/seed-<run.seed + i>. */
enum eq_status eq_settings_of_seed(struct eq_settings *out, const struct eq_settings *s, int i, struct eq_err *err);
/* A JSON file with any part of the settings. EQ_USAGE names file, key, value and range, or the nearest known key. */
enum eq_status eq_settings_load(struct eq_settings *s, const char *path, struct eq_err *err);
/* <run_dir>/config.json with the origins that it notes; *found: whether there is one. */
enum eq_status eq_settings_load_run(struct eq_settings *s, const char *run_dir, bool *found, struct eq_err *err);
enum eq_status eq_settings_set(struct eq_settings *s, const char *key, const char *value, const char *origin,
                               struct eq_err *err);
/* Checks between settings (e.g. warm-up against epochs). */
enum eq_status eq_settings_check(const struct eq_settings *s, struct eq_err *err);
/* The resolved configuration with origins; a file that eq_settings_load takes back. */
enum eq_status eq_settings_save(const struct eq_settings *s, const char *path, struct eq_err *err);
/* Appends "key old -> new, ..." for the settings that shape results and differ; sections as in eq_settings_help. */
void eq_settings_changes(const struct eq_settings *was, const struct eq_settings *is, const char *const *sections,
                         struct eq_str *out);
/* For --help. sections: sections ("train") and keys ("run.seed"), NULL behind the last; NULL: all of them. */
void eq_settings_help(const char *const *sections, struct eq_str *out);
void eq_settings_markdown(struct eq_str *out); /* docs/CONFIG.md */

/* ---- predictors: any model file, one way to run it ----------------------- */

struct eq_predictor;
/* An executor as a predictor sees it: a device adds one of these and a line in predictor.c. */
struct eq_predictor_ops {
    const char *format; /* of the model files that it opens */
    /* Fills an empty predictor from a file; leaves it empty on failure. */
    enum eq_status (*open)(struct eq_predictor *p, const char *path, enum eq_precision precision, int clips,
                           struct eq_err *err);
    enum eq_status (*run)(struct eq_predictor *p, const uint8_t *pixels, float *ef, struct eq_err *err);
    /* The node's name, and, true, what runs there if it is a convolution. */
    bool (*layer)(const struct eq_predictor *p, int node, struct eq_exec_layer *out);
    /* Turns the timing of nodes on or off; returns [n_nodes] ms, which runs with timing overwrite. */
    const double *(*time)(struct eq_predictor *p, bool on);
    void (*close)(struct eq_predictor *p);
};
struct eq_predictor {
    const struct eq_predictor_ops *ops;
    void *model, *executor; /* owned; the implementation's */
    struct eq_model_meta meta;
    const char *precision; /* "FP32", "BF16", "INT8" */
    int clips, n_nodes;
    size_t arena_bytes, packed_bytes; /* activations and scratch; packed weights */
};
/* clips: batch of every run call. precision is that of an FP32 model's convolutions; an INT8 model takes only FP32. */
enum eq_status eq_predictor_open(struct eq_predictor *p, const char *path, enum eq_precision precision, int clips,
                                 struct eq_err *err);
/* From a graph in training (folds and fuses a copy). */
enum eq_status eq_predictor_from_graph(struct eq_predictor *p, const struct eq_graph *g, enum eq_precision precision,
                                       int clips, struct eq_err *err);
/* Takes m over, also on failure. */
enum eq_status eq_predictor_from_qmodel(struct eq_predictor *p, struct eq_qmodel *m, int clips, struct eq_err *err);
/* The model that an INT8 predictor runs, until it is closed; NULL for others. */
const struct eq_qmodel *eq_predictor_qmodel(const struct eq_predictor *p);
/* pixels: [clips][frames][size][size][3] u8; ef: [clips], percent. */
enum eq_status eq_predictor_run(struct eq_predictor *p, const uint8_t *pixels, float *ef, struct eq_err *err);
/* The mean EF over the phases of one clip, pixels [phases][frames][size][size][3], for a predictor of one clip. One
 * phase: what eq_predictor_run gives. EQ_NUMERIC when it isn't a finite number. */
enum eq_status eq_predictor_mean(struct eq_predictor *p, const uint8_t *pixels, int phases, float *ef,
                                 struct eq_err *err);
void eq_predictor_close(struct eq_predictor *p);

/* ---- evaluation ---------------------------------------------------------- */

struct eq_metrics {
    double mae, rmse, r2; /* EF points; r2 NaN when the targets do not vary */
    size_t clips;
};
struct eq_metrics eq_metrics_compute(const double *pred, const double *target, size_t n);
double eq_median_of(double *v, size_t n); /* sorts v; NaN when n is 0 */

struct eq_prediction {
    char *file_name;
    enum eq_split split;
    double ef, prediction;
};
struct eq_evaluation {
    struct eq_prediction *rows;
    size_t n;
    struct eq_metrics metrics;
};
/* Over a split, with the mean over eval.phases for each clip. */
enum eq_status eq_evaluate(struct eq_predictor *p, const struct eq_dataset *ds, enum eq_split split,
                           const struct eq_config *cfg, struct eq_evaluation *out, struct eq_err *err);
/* The same over a loader that is kept between calls (its cache stays warm), with as many phases as it samples. */
enum eq_status eq_evaluate_loader(struct eq_predictor *p, const struct eq_dataset *ds, struct eq_loader *loader,
                                  struct eq_progress *progress, struct eq_evaluation *out, struct eq_err *err);
void eq_evaluation_clear(struct eq_evaluation *e);
/* How the settings say that clips are read: in file order, without augmentation. */
struct eq_loader_opts eq_run_loader_opts(const struct eq_config *cfg, int batch);
/* A loader over one split, in file order or, for training, shuffled and augmented as the settings say. Frees with
 * eq_loader_free; an empty split is an error that names it. */
enum eq_status eq_run_loader(const struct eq_config *cfg, const struct eq_dataset *ds, enum eq_split split,
                             bool training, int batch, struct eq_loader **out, struct eq_err *err);
/* The same for predictions: in file order, a clip a batch, sampled at eval.phases. */
enum eq_status eq_run_eval_loader(const struct eq_config *cfg, const struct eq_dataset *ds, enum eq_split split,
                                  struct eq_loader **out, struct eq_err *err);
/* predictions CSV: FileName,Split,EF,Prediction (9 significant digits: floats come back to the bit). */
enum eq_status eq_predictions_write(const char *path, const struct eq_evaluation *e, struct eq_err *err);
enum eq_status eq_predictions_read(const char *path, struct eq_evaluation *out, struct eq_err *err);

struct eq_latency {
    double min, median, p95; /* ms per clip */
    int repeats;
};
struct eq_latency eq_latency_of(double *ms, int n); /* sorts ms */
/* Model alone, batch of one clip (pixels: one clip). */
enum eq_status eq_latency_model(struct eq_predictor *p, const uint8_t *pixels, int warmup, int repeats,
                                struct eq_latency *out, struct eq_err *err);
/* Several ways of running, some calls each by turns, so that a disturbance meets all of them. The pool is left with the
 * first one's number of threads, which must be the largest: executors are made for it. */
enum { EQ_MAX_TURNS = 4 };
struct eq_latency_turn {
    struct eq_predictor *predictor;
    int threads;
};
enum eq_status eq_latency_turns(const struct eq_latency_turn *turns, int n, const uint8_t *pixels, int warmup,
                                int repeats, struct eq_latency out[], struct eq_err *err);
/* From file to EF: decode, sample at so many phases, resize, infer, over the given files in turn. */
enum eq_status eq_latency_file(struct eq_predictor *p, const char *const *paths, size_t n, int phases, int warmup,
                               int repeats, struct eq_latency *out, struct eq_err *err);

/* What `bench` measures. */
struct eq_bench_opts {
    const char *model;             /* file; NULL: a fresh network of model.width */
    bool fresh_int8;               /* quantized */
    bool train;                    /* a training step instead of an inference */
    bool qat;                      /* of QAT, by turns with FP32's */
    bool with_data;                /* the first test clip of data.dir, from its file on */
    bool frames_given, size_given; /* data.frames, data.size instead of the model file's own */
    bool layers;                   /* every layer with every kernel that this CPU has for it */
    const char *layer, *kernel;    /* only those whose name holds this; "": all */
};
/* Times as an object with the keys that `echoquant bench --help` lists. Delete with cJSON_Delete. */
enum eq_status eq_run_bench(const struct eq_config *cfg, const struct eq_bench_opts *opts, struct cJSON **out,
                            struct eq_err *err);
enum eq_status eq_run_bench_train(const struct eq_config *cfg, const struct eq_bench_opts *opts, struct cJSON **out,
                                  struct eq_err *err);

/* ---- phases: each works alone on a run directory ------------------------- */

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
/* Takes it into use, refusing as eq_run_admit does, and writes config.json. force starts anew: for EQ_PHASE_TRAIN and
 * EQ_PHASE_ALL everything that an earlier run left there is removed, for EQ_PHASE_PTQ, EQ_PHASE_QAT and
 * EQ_PHASE_CONTROL what belongs to that model; so look at the data and the baseline before. */
enum eq_status eq_run_enter(const struct eq_settings *s, enum eq_phase phase, bool force, struct eq_err *err);
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
/* Whether <run>/<name>.safetensors is there; whether it has been evaluated, at eval.phases; whether all those of the
 * settings have been (the control only with qat.control, EQ_BF16_NAME only with run.precision = bf16) and there is a
 * report; with train.seeds above 1, that of every seed and the one over all of them. */
bool eq_run_has_model(const char *run_dir, const char *name);
bool eq_run_has_result(const struct eq_config *cfg, const char *name);
bool eq_run_is_finished(const struct eq_config *cfg);

/* Whether there is a model to work on, before data is made or read for it: model_path, or <run>/<name>.safetensors. */
enum eq_status eq_run_need_model(const char *run_dir, const char *name, const char *model_path, struct eq_err *err);

/* Data of a run: opened once by a command. Made first when data.synthetic is true and the folder isn't there yet (or
 * was left half made); a folder with a FileList.csv of other origin is taken as it is. Under data.on_error = skip every
 * clip is read once and the bad ones are left out. */
enum eq_status eq_run_open_data(const struct eq_config *cfg, struct eq_dataset *ds, struct eq_err *err);
bool eq_run_data_is_synthetic(const char *dir);
/* The synthetic set of the settings (synth.*), into dir. */
enum eq_status eq_run_write_synth(const struct eq_config *cfg, const char *dir, struct eq_err *err);
/* "data" (folder, clips by split) and "environment" (version, CPU, ISA, threads) of results.json. */
enum eq_status eq_run_record_context(const struct eq_config *cfg, const struct eq_dataset *ds, struct eq_err *err);

/* Trains the FP32 baseline into <run>/fp32.safetensors, history/fp32.csv, state/. Resumes from state/ when it is
 * there. */
enum eq_status eq_run_train(const struct eq_config *cfg, const struct eq_dataset *ds, struct eq_err *err);
/* Reads the model that PTQ and QAT would start from and refuses it as they do: missing, damaged, quantized already, of
 * other frames, size or width than the settings say. */
enum eq_status eq_run_check_baseline(const struct eq_config *cfg, const char *model_path, struct eq_err *err);
/* <run>/fp32.safetensors (or model_path) -> <run>/ptq.safetensors. */
enum eq_status eq_run_ptq(const struct eq_config *cfg, const struct eq_dataset *ds, const char *model_path,
                          struct eq_err *err);
/* <run>/fp32.safetensors (or model_path) -> <run>/qat.safetensors, history/qat.csv. */
enum eq_status eq_run_qat(const struct eq_config *cfg, const struct eq_dataset *ds, const char *model_path,
                          struct eq_err *err);
/* The same training without fake-quant -> <run>/fp32_plus.safetensors, history/fp32_plus.csv: what QAT is to be
 * compared with. */
enum eq_status eq_run_control(const struct eq_config *cfg, const struct eq_dataset *ds, const char *model_path,
                              struct eq_err *err);
/* Where quantization's error comes from, layer by layer: <run>/sensitivity.json and its picture in plots/. model_path
 * as for PTQ, whose settings say how it is quantized; layers[n_layers]: only these, 0: all of them. */
enum eq_status eq_run_sensitivity(const struct eq_config *cfg, const struct eq_dataset *ds, const char *model_path,
                                  char *const *layers, int n_layers, struct eq_err *err);
/* Refuses what it would refuse of model and layers, before any data is opened. */
enum eq_status eq_run_check_sensitivity(const struct eq_config *cfg, const char *model_path, char *const *layers,
                                        int n_layers, struct eq_err *err);
/* <run>/sensitivity.json, checked; delete with cJSON_Delete. */
enum eq_status eq_sensitivity_read(const char *run_dir, struct cJSON **out, struct eq_err *err);
/* As a table with what its columns mean. Caller clears. */
enum eq_status eq_sensitivity_text(const struct cJSON *json, struct eq_str *out, struct eq_err *err);
/* Evaluates one of the run's models (eq_run_models, EQ_BF16_NAME) or any file, which run.precision applies to, on the
 * test split: predictions/<name>.csv, and its row in results.json: model, precision, size_mb, phases, mae, rmse, r2,
 * latency_ms {min, median, p95} (of one phase), file_latency_ms (of all of them), isa, threads. */
enum eq_status eq_run_eval(const struct eq_config *cfg, const struct eq_dataset *ds, const char *name,
                           const char *model_path, struct eq_err *err);
/* From results.json, predictions/ and history/: report.md, report.html, plots/ (gnuplot scripts, data, SVG); prints
 * nothing. Where config.json says train.seeds above 1, results.json is made first, from those of the seeds. */
enum eq_status eq_run_report(const char *run_dir, struct eq_err *err);
/* The table as text, first the five columns of the README. Caller clears. */
enum eq_status eq_run_table(const char *run_dir, struct eq_str *out, struct eq_err *err);

/* results.json: read-modify-write of one row of models[] (found by "model"), and of top-level keys. row and value are
 * consumed. */
enum eq_status eq_results_put_model(const char *run_dir, struct cJSON *row, struct eq_err *err);
enum eq_status eq_results_put(const char *run_dir, const char *key, struct cJSON *value, struct eq_err *err);
/* Names of models name files, too: letters, digits, "_", "." and "-", fewer than 32. */
bool eq_run_is_model_name(const char *name);
/* The whole document, checked; delete with cJSON_Delete. */
enum eq_status eq_results_read(const char *run_dir, struct cJSON **out, struct eq_err *err);

#endif
