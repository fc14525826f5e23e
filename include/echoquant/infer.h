/* infer: the clips of a run, predictors, evaluation, latency, calibration clips. */
#ifndef ECHOQUANT_INFER_H
#define ECHOQUANT_INFER_H

#include "echoquant/device.h"
#include "echoquant/settings.h"
#include "echoquant/stats.h"

/* ---- data of a run --------------------------------------------------------- */

/* Opens the data of a run, once for each command. If data.synthetic is true, a synthetic set that is incomplete is
 * completed first, and one in EQ_SYNTHETIC_DIR (settings.h) is made; a folder with a FileList.csv of other origin is
 * used as it is, and any other name that is no folder is EQ_IO with the nearest folder beside it. Every clip is checked
 * (eq_data_check). Findings that keep no clip from being used are warnings, but EFs that look like fractions are an
 * error. With data.on_error = skip or use, rows and clips that cannot be used are left out, and with use damaged clips
 * are used; all are noted in ds, with a warning. EQ_IO: no list; EQ_FORMAT: a list or, with fail, rows and clips that
 * cannot be used, all of which were logged. Clear ds with eq_dataset_clear; it is empty after a failure. */
enum eq_status eq_run_open_data(const struct eq_config *cfg, struct eq_dataset *ds, struct eq_err *err);
/* After the first process has opened its data: opens them in the others, unless they are open. EQ_USAGE: one of them
 * sees other data than the first. */
enum eq_status eq_run_open_data_of_first(const struct eq_config *cfg, struct eq_dataset *ds, struct eq_err *err);
/* How the settings say that a list is to be read. Its texts stay with cfg. */
struct eq_list_opts eq_run_list_opts(const struct eq_config *cfg);
/* Whether synth made that folder. */
enum eq_status eq_run_data_is_synthetic(const char *dir, bool *is, struct eq_err *err);
/* Writes the synthetic set of the settings (synth.*) into dir. EQ_USAGE: dir holds something else. */
enum eq_status eq_run_write_synth(const struct eq_config *cfg, const char *dir, struct eq_err *err);

/* ---- predictors: one way to run any model file ----------------------------- */

struct eq_predictor;
struct eq_predictor_opts {
    enum eq_precision precision; /* of the convolutions of an FP32 model; only FP32 for INT8 models, and on a device */
    struct eq_device *device;    /* must outlive the predictor; NULL: the CPU */
    /* Clips of every run. 0: as many as are worth to be predicted at once there, and at least one sample of `phases`
     * phases. */
    int clips, phases;
};
/* The interface of an executor to a predictor. A new device adds its rows in predictor.c. */
struct eq_predictor_ops {
    const char *format; /* of the model files that it can open */
    bool on_device;     /* needs eq_predictor_opts.device */
    /* Fills an empty predictor from a file; leaves it empty on failure. */
    enum eq_status (*open)(struct eq_predictor *p, const char *path, const struct eq_predictor_opts *opts,
                           struct eq_err *err);
    enum eq_status (*run)(struct eq_predictor *p, const uint8_t *pixels, float *ef, struct eq_err *err);
    /* A run in two steps, of n clips, n <= p->clips; NULL on the CPU. start does not wait for the device. */
    enum eq_status (*start)(struct eq_predictor *p, const uint8_t *pixels, int n, struct eq_err *err);
    enum eq_status (*finish)(struct eq_predictor *p, float *ef, struct eq_err *err);
    struct eq_device_times (*times)(const struct eq_predictor *p); /* of the last run; NULL on the CPU */
    /* Sets the name of the node. True for a convolution, whose kernel it describes too. NULL on a device, as is
     * time. */
    bool (*layer)(const struct eq_predictor *p, int node, struct eq_exec_layer *out);
    /* Turns the timing of nodes on or off. Returns [n_nodes] times in ms, which every timed run overwrites. */
    const double *(*time)(struct eq_predictor *p, bool on);
    void (*close)(struct eq_predictor *p);
};
struct eq_predictor {
    const struct eq_predictor_ops *ops;
    void *model, *executor; /* owned; of types that ops knows */
    struct eq_model_meta meta;
    const char *precision;               /* "FP32", "BF16", "INT8" */
    const struct eq_device_info *device; /* NULL: the CPU */
    int clips, n_nodes;
    size_t arena_bytes, packed_bytes; /* activations and scratch; packed weights. On a device both are 0 */
    size_t device_bytes;              /* of the device's memory; 0 on the CPU */
    const uint8_t *started;           /* eq_predictor_start on the CPU; NULL: nothing is started */
    int n_started;
};
/* EQ_USAGE: the precision is not for this model, or not for a device. EQ_IO, EQ_FORMAT, EQ_UNSUPPORTED, EQ_NOMEM. Close
 * p with eq_predictor_close; it is empty after a failure. */
enum eq_status eq_predictor_open(struct eq_predictor *p, const char *path, const struct eq_predictor_opts *opts,
                                 struct eq_err *err);
/* Whether a device can compute in that precision. EQ_USAGE. */
enum eq_status eq_predictor_check_precision(const char *device, enum eq_precision precision, struct eq_err *err);
/* How many clips of a model are worth to be predicted at once on the CPU: a whole number of `phases`. An EF does not
 * depend on it. */
int eq_predictor_batch(const struct eq_model_meta *meta, int phases);
/* From a graph in training, of which it folds and fuses a copy. */
enum eq_status eq_predictor_from_graph(struct eq_predictor *p, const struct eq_graph *g, enum eq_precision precision,
                                       int clips, struct eq_err *err);
/* Gives such a predictor the weights that the same graph has now, in the memory that it has. EQ_NOMEM. */
enum eq_status eq_predictor_follow(struct eq_predictor *p, const struct eq_graph *g, struct eq_err *err);
/* Takes ownership of m, also on failure. */
enum eq_status eq_predictor_from_qmodel(struct eq_predictor *p, struct eq_qmodel *m, int clips, struct eq_err *err);
/* The same on a device. */
enum eq_status eq_predictor_from_graph_on(struct eq_predictor *p, const struct eq_graph *g,
                                          const struct eq_predictor_opts *opts, struct eq_err *err);
enum eq_status eq_predictor_from_qmodel_on(struct eq_predictor *p, struct eq_qmodel *m,
                                           const struct eq_predictor_opts *opts, struct eq_err *err);
/* The model of an INT8 predictor, borrowed until it is closed; NULL for others. */
const struct eq_qmodel *eq_predictor_qmodel(const struct eq_predictor *p);
/* Whether it computes in integers alone, so that its EFs are the same on every CPU and every device. */
bool eq_predictor_is_exact(const struct eq_predictor *p);
/* pixels: [clips][frames][size][size][3] u8, RGB; ef: [clips], percent. */
enum eq_status eq_predictor_run(struct eq_predictor *p, const uint8_t *pixels, float *ef, struct eq_err *err);
/* The EFs of n clips in two steps: a device computes in between, the CPU in the second. n: at most p->clips on a
 * device, any number on the CPU. pixels must stay until finish has returned, which follows every start that succeeds.
 * ef: [n]. EQ_IO: the device was lost. */
enum eq_status eq_predictor_start(struct eq_predictor *p, const uint8_t *pixels, int n, struct eq_err *err);
enum eq_status eq_predictor_finish(struct eq_predictor *p, float *ef, struct eq_err *err);
/* The EFs of the phases of one clip, added one by one. Init with {0}. */
struct eq_phases {
    double sum, mean, squares;
    int n;
};
void eq_phases_add(struct eq_phases *s, float ef);
/* Their mean, and *spread: their standard deviation (n - 1), in EF points; NaN for one. EQ_NUMERIC: the mean is not a
 * finite number. */
enum eq_status eq_phases_end(const struct eq_phases *s, float *ef, double *spread, struct eq_err *err);
/* The mean EF over the phases of one clip, pixels [phases][frames][size][size][3], for a predictor of one clip. With
 * one phase it equals eq_predictor_run. EQ_NUMERIC: the mean is not a finite number. */
enum eq_status eq_predictor_mean(struct eq_predictor *p, const uint8_t *pixels, int phases, float *ef,
                                 struct eq_err *err);
/* The same, and *spread as of eq_phases_end. */
enum eq_status eq_predictor_phases(struct eq_predictor *p, const uint8_t *pixels, int phases, float *ef, double *spread,
                                   struct eq_err *err);
void eq_predictor_close(struct eq_predictor *p);

/* ---- clips without a data set ------------------------------------------------ */

/* Paths of clips, as a command line gives them. Init with {0}, free with eq_paths_clear. */
struct eq_paths {
    struct eq_path {
        char *path;
        char *error; /* why there is nothing to read; NULL: none known */
    } * paths;
    size_t n;
};
/* Appends what one argument means: a clip; a folder, as the clips in and below it (eq_is_clip_file), sorted by name,
 * through links; "@FILE", as the clips and folders on the lines of that file; "-", as those of stdin. A clip that is
 * missing, a folder without clips and a folder that cannot be read are errors of their entry. In lists of lines,
 * blanks around a path, blank lines, and lines that begin with # and name no file do not count. EQ_IO: a list cannot
 * be read. EQ_FORMAT: as eq_paths_read, or a list of more than EQ_PATHS_MAX_BYTES. EQ_INTERRUPTED. */
#define EQ_PATHS_MAX_BYTES ((size_t)256 << 20)
enum eq_status eq_paths_add(struct eq_paths *list, const char *argument, char separator, struct eq_err *err);
/* Appends the lines of text[len], each as one entry, whatever it names. They end with separator, '\n' or '\0'; empty
 * ones, a carriage return before '\n' and a UTF-8 byte order mark are passed over. name: for messages. EQ_FORMAT: there
 * is none, or one has a NUL before '\n'. */
enum eq_status eq_paths_read(struct eq_paths *list, const char *text, size_t len, const char *name, char separator,
                             struct eq_err *err);
void eq_paths_clear(struct eq_paths *list);

/* What became of one clip. */
struct eq_clip_ef {
    const char *path;  /* as in the list */
    float ef;          /* percent, the mean over the phases; NaN after an error */
    double spread;     /* as of eq_phases_end */
    int frames;        /* of the clip; 0 after an error */
    const char *error; /* NULL: none */
    const char *note;  /* why the EF may be wrong: the clip is damaged, or unlike the training clips; NULL: nothing */
};
typedef enum eq_status (*eq_clip_ef_fn)(void *ctx, const struct eq_clip_ef *clip, struct eq_err *err);
struct eq_predict_opts {
    const char *model;
    enum eq_precision precision;
    struct eq_device *device; /* NULL: the CPU */
    int phases;
    /* FAIL: the first clip with an error ends the walk after take has got it. USE: damaged clips are predicted and have
     * a note; otherwise damage is an error. */
    enum eq_on_error on_error;
    /* Called once, when the model is open: what cannot be predicted at all leaves no output. NULL: none. */
    enum eq_status (*begin)(void *ctx, struct eq_err *err);
    eq_clip_ef_fn take; /* gets each clip, in the order of the list, from one thread at a time */
    void *ctx;
    bool progress;
};
/* Predicts clips with a model file. Threads work on clips, each with a predictor of its own, or on the layers of one
 * clip after the other where there are few clips or little memory (EQ_PREDICT_BYTES for all predictors). On a device
 * they decode a batch of clips while the device works on the one before. None of this changes an EF. *failed: how many
 * clips had an error. Warns of clips that look unlike the training clips. EQ_INTERRUPTED: a signal came. A status of
 * take other than EQ_OK ends the walk, and so does the loss of the device (EQ_IO), after take has got what was
 * predicted. */
#define EQ_PREDICT_BYTES ((size_t)4 << 30)
enum eq_status eq_predict_files(const struct eq_paths *list, const struct eq_predict_opts *opts, size_t *failed,
                                struct eq_err *err);

/* ---- evaluation and latency ------------------------------------------------ */

struct eq_prediction {
    char *file_name;
    enum eq_split split;
    double ef, prediction; /* percent */
    uint32_t patient;      /* as in struct eq_sample; 0: unknown */
    int frames;            /* of the clip; 0: unknown */
    double fps;            /* frames a second, as the list says, else the clip; 0: unknown */
};
/* Clips that look unlike the training clips of their model: how many, and the first ones with what is unlike. Init with
 * {0}; free with eq_str_clear(&u->first). */
struct eq_unlike {
    size_t n;
    struct eq_str first;
};
/* Counts a clip; unlike: what eq_look_check says of it; NULL counts nothing. */
void eq_unlike_add(struct eq_unlike *u, const char *name, const char *unlike);
/* Warns of them, if there are any. what: "test clips"; of: how many there were. */
void eq_unlike_warn(const struct eq_unlike *u, const char *what, size_t of);
struct eq_evaluation {
    struct eq_prediction *rows;
    size_t n;
    struct eq_unlike unlike;
    struct eq_metrics metrics;
};
/* Evaluates a split, with the mean over eval.phases for each clip. Processes share the clips, and each gets the
 * predictions of all. Clear out with eq_evaluation_clear in any case: after a failure it has the rows so far (those of
 * this process alone, if it shares its work with no other), without metrics. */
enum eq_status eq_evaluate(struct eq_predictor *p, const struct eq_dataset *ds, enum eq_split split,
                           const struct eq_config *cfg, struct eq_evaluation *out, struct eq_err *err);
/* The same for a loader that is kept between calls, so that its cache stays warm, with the phases that it samples. It
 * has at least one clip. On a device, all phases of its batches fit a run of the predictor. progress: NULL for none. */
enum eq_status eq_evaluate_loader(struct eq_predictor *p, const struct eq_dataset *ds, struct eq_loader *loader,
                                  struct eq_progress *progress, struct eq_evaluation *out, struct eq_err *err);
enum eq_status eq_evaluation_measure(struct eq_evaluation *e, struct eq_err *err); /* sets the metrics of its rows */
void eq_evaluation_clear(struct eq_evaluation *e);
/* The settings' options for reading clips, in file order and without augmentation. Whatever data.on_error says,
 * eq_run_open_data has left out the bad clips: one that fails now has changed since, which ends the phase. */
struct eq_loader_opts eq_run_loader_opts(const struct eq_config *cfg, int batch);
/* A loader over one split, of this process's share in its batches (eq_comm_world). accumulate: for training, the
 * micro-batches of a step, of which each process has a share; they are shuffled and augmented as the settings say. 0:
 * in file order, and a share of the whole split. Free with eq_loader_free. EQ_FORMAT: the split is empty. */
enum eq_status eq_run_loader(const struct eq_config *cfg, const struct eq_dataset *ds, enum eq_split split,
                             int accumulate, int batch, struct eq_loader **out, struct eq_err *err);
/* The same for predictions: in file order, sampled at eval.phases. */
enum eq_status eq_run_eval_loader(const struct eq_config *cfg, const struct eq_dataset *ds, enum eq_split split,
                                  int batch, struct eq_loader **out, struct eq_err *err);
/* Predictions as CSV: FileName,Split,EF,Prediction, with 9 significant digits, so that floats are restored to the bit.
 * If a patient is known there is a column Patient: a number that stands for the patient, empty where unknown. If the
 * length or the rate of a clip is known, the columns Frames and FPS follow, empty where unknown.
 * EQ_FORMAT names the line. Clear out with eq_evaluation_clear; its metrics are not set. */
void eq_predictions_text(const struct eq_evaluation *e, struct eq_str *out); /* appends the text of the file */
enum eq_status eq_predictions_write(const char *path, const struct eq_evaluation *e, struct eq_err *err);
enum eq_status eq_predictions_read(const char *path, struct eq_evaluation *out, struct eq_err *err);
enum eq_status eq_predictions_parse(const char *name, const void *text, size_t len, struct eq_evaluation *out,
                                    struct eq_err *err); /* from memory; name is used in messages */
/* Pairs rows by file name: (*partners)[i], for i below a->n, is the first row of b with the name of a->rows[i], or
 * NULL. Either side may have any order and duplicates. The rows still belong to b; free the list with eq_free. */
enum eq_status eq_evaluation_pair(const struct eq_evaluation *a, const struct eq_evaluation *b,
                                  const struct eq_prediction ***partners, struct eq_err *err);

struct eq_latency {
    double min, median, p90, p95, p99; /* ms per clip */
    double low, high;                  /* interval of the median (eq_median_interval) */
    double waited; /* share of the time, 0..1, that the calling thread waited for a CPU; NaN: unknown */
    int repeats;
};
/* ms: [n], sorted by the call; all NaN for n = 0. Sets all but waited. Percentiles are nearest ranks: the smallest
 * value that at least that share of the calls do not exceed. So p99 of fewer than 100 calls is the slowest one. */
struct eq_latency eq_latency_of(double *ms, int n);
/* Several ways of running, `calls` calls of each alternately, so that a disturbance meets all of them: each has
 * warmup calls, then `repeats` that count. Where there are several, an uncounted call comes after every change: a
 * new pool, and caches that another way filled, take one to settle. After `seconds`, turns end as soon as each way has
 * EQ_LATENCY_LEAST calls that count. Times are rounded to 0.1 us. The pool is left with the threads of turns[0],
 * which must have the most: executors are made for them. turns, out: [n]. */
enum { EQ_LATENCY_CALLS = 5, EQ_LATENCY_LEAST = 30 };
struct eq_latency_turn {
    enum eq_status (*call)(void *ctx, struct eq_err *err);
    void *ctx;
    int threads;
    double *ms; /* [repeats]: gets the times in ascending order, out->repeats of them; NULL: not wanted */
};
struct eq_latency_opts {
    int calls, warmup, repeats;
    double seconds; /* 0: no limit */
};
enum eq_status eq_latency_turns(const struct eq_latency_turn *turns, int n, const struct eq_latency_opts *opts,
                                struct eq_latency out[], struct eq_err *err);
/* A clip through a predictor as such a call; ctx is a struct eq_latency_clip. */
struct eq_latency_clip {
    struct eq_predictor *predictor;
    const uint8_t *pixels;
};
enum eq_status eq_latency_clip(void *ctx, struct eq_err *err);
/* The same on a device, with the parts of its latency by the device's clock. ctx is a struct eq_latency_parts. */
struct eq_latency_parts {
    struct eq_latency_clip clip;
    double *ms;     /* [3][most], owned: upload, compute, download of the last calls */
    size_t n, most; /* n: calls so far */
};
enum eq_status eq_latency_parts_open(const struct eq_latency_clip *clip, int most, struct eq_latency_parts *out,
                                     struct eq_err *err); /* EQ_NOMEM; eq_free(out->ms) */
enum eq_status eq_latency_parts(void *ctx, struct eq_err *err);
struct eq_device_times eq_latency_parts_medians(struct eq_latency_parts *parts); /* NaN without calls */
/* From file to EF as such a call: decode, sample at all phases, resize, infer; takes the n files in turn. ctx is a
 * struct eq_latency_files. paths are borrowed. */
struct eq_latency_files {
    struct eq_predictor *predictor;
    const char *const *paths;
    size_t n, calls; /* calls: so far */
    struct eq_sampling sampling;
    uint8_t *pixels; /* owned */
};
/* EQ_NOMEM. Free the pixels with eq_free. */
enum eq_status eq_latency_files_open(struct eq_predictor *p, const char *const *paths, size_t n, int phases,
                                     struct eq_latency_files *out, struct eq_err *err);
enum eq_status eq_latency_files(void *ctx, struct eq_err *err);
/* The latency of that call alone. */
enum eq_status eq_latency_file(struct eq_predictor *p, const char *const *paths, size_t n, int phases,
                               const struct eq_latency_opts *opts, struct eq_latency *out, struct eq_err *err);

/* ---- a few clips, for quantization ------------------------------------------ */

/* Clips in a fixed order, one a batch, as a source for the quant floor. The source refers to this struct: it must stay
 * where it was opened. ds must outlive it. */
struct eq_calibration {
    const struct eq_dataset *ds;
    uint32_t *indices; /* [n] into ds->samples, in the order in which they come; owned */
    size_t n;
    struct eq_loader_opts opts;
    int train_batch;          /* train.batch: how many clips batch norm saw at once */
    struct eq_loader *loader; /* owned */
    struct eq_batch batch;    /* the last one */
    struct eq_clip_source source;
};
/* Calibration clips: ptq.clips of the training split, chosen by run.seed. EQ_FORMAT: the split is empty. */
enum eq_status eq_calibration_open(const struct eq_config *cfg, const struct eq_dataset *ds, struct eq_calibration *out,
                                   struct eq_err *err);
/* The same clips for eq_comm_world, each process some of them; eq_calibration_close. */
enum eq_status eq_calibration_share(const struct eq_calibration *all, struct eq_calibration *out, struct eq_err *err);
/* sensitivity.clips clips, spread evenly over a split. EQ_FORMAT: it is empty. */
enum eq_status eq_spread_open(const struct eq_config *cfg, const struct eq_dataset *ds, enum eq_split split,
                              struct eq_calibration *out, struct eq_err *err);
/* Half of the clips of `all`: every second one from the first on (0), or the rest (1), so that a search can fit on one
 * half and judge by the other. EQ_USAGE: there are fewer than 2. */
enum eq_status eq_calibration_half(const struct eq_calibration *all, int half, struct eq_calibration *out,
                                   struct eq_err *err);
void eq_calibration_close(struct eq_calibration *c); /* harmless when it was never opened, but {0} */

#endif
