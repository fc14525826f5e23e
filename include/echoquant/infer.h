/* infer: which clips, through which model, to which EF, how fast. */
#ifndef ECHOQUANT_INFER_H
#define ECHOQUANT_INFER_H

#include "echoquant/settings.h"
#include "echoquant/stats.h"

/* ---- data of a run --------------------------------------------------------- */

/* Data of a run: opened once by a command. Made first when data.synthetic is true and the folder isn't there yet (or
 * was left half made); a folder with a FileList.csv of other origin is taken as it is. Under data.on_error = skip every
 * clip is read once and the bad ones are left out. */
enum eq_status eq_run_open_data(const struct eq_config *cfg, struct eq_dataset *ds, struct eq_err *err);
bool eq_run_data_is_synthetic(const char *dir);
/* The synthetic set of the settings (synth.*), into dir. */
enum eq_status eq_run_write_synth(const struct eq_config *cfg, const char *dir, struct eq_err *err);

/* ---- predictors: any model file, one way to run it ------------------------- */

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

/* ---- evaluation and latency ------------------------------------------------ */

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
/* What takes the EF of a clip; a status other than EQ_OK ends the loop. */
typedef enum eq_status (*eq_predicted_fn)(void *ctx, const struct eq_sample *sample, float ef, struct eq_err *err);
/* Every clip of a loader of one clip a batch, in its order: the mean over as many phases as it samples, for a predictor
 * of one clip. EQ_INTERRUPTED after a clip when a signal came; an error of a clip names its path. */
enum eq_status eq_predict_clips(struct eq_predictor *p, const struct eq_dataset *ds, struct eq_loader *loader,
                                eq_predicted_fn take, void *ctx, struct eq_err *err);
/* Over a split, with the mean over eval.phases for each clip. */
enum eq_status eq_evaluate(struct eq_predictor *p, const struct eq_dataset *ds, enum eq_split split,
                           const struct eq_config *cfg, struct eq_evaluation *out, struct eq_err *err);
/* The same over a loader that is kept between calls (its cache stays warm), with as many phases as it samples: one of
 * EQ_ON_ERROR_FAIL, over a clip at least. */
enum eq_status eq_evaluate_loader(struct eq_predictor *p, const struct eq_dataset *ds, struct eq_loader *loader,
                                  struct eq_progress *progress, struct eq_evaluation *out, struct eq_err *err);
void eq_evaluation_clear(struct eq_evaluation *e);
/* How the settings say that clips are read: in file order, without augmentation. EQ_ON_ERROR_FAIL whatever
 * data.on_error says: eq_run_open_data has left the bad clips out, so one that fails now is a change under the run's
 * feet. */
struct eq_loader_opts eq_run_loader_opts(const struct eq_config *cfg, int batch);
/* A loader over one split, in file order or, for training, shuffled and augmented as the settings say. Frees with
 * eq_loader_free; an empty split is an error that names it. */
enum eq_status eq_run_loader(const struct eq_config *cfg, const struct eq_dataset *ds, enum eq_split split,
                             bool training, int batch, struct eq_loader **out, struct eq_err *err);
/* The same for predictions: in file order, a clip a batch, sampled at eval.phases. on_error is EQ_ON_ERROR_FAIL but for
 * clips that nobody has read before. */
enum eq_status eq_run_eval_loader(const struct eq_config *cfg, const struct eq_dataset *ds, enum eq_split split,
                                  enum eq_on_error on_error, struct eq_loader **out, struct eq_err *err);
/* Appends a field of CSV, quoted where it has to be. */
void eq_csv_add(struct eq_str *out, const char *text);
/* predictions CSV: FileName,Split,EF,Prediction (9 significant digits: floats come back to the bit). */
enum eq_status eq_predictions_write(const char *path, const struct eq_evaluation *e, struct eq_err *err);
enum eq_status eq_predictions_read(const char *path, struct eq_evaluation *out, struct eq_err *err);
/* Pairs rows by file name: (*partners)[i], for i below a->n, is the first row of b with the name of a->rows[i], or NULL
 * where b has none. Order and duplicates are free on both sides. The rows stay b's; free the list with eq_free. */
enum eq_status eq_evaluation_pair(const struct eq_evaluation *a, const struct eq_evaluation *b,
                                  const struct eq_prediction ***partners, struct eq_err *err);

struct eq_latency {
    double min, median, p95; /* ms per clip */
    int repeats;
};
struct eq_latency eq_latency_of(double *ms, int n); /* sorts ms */
/* Model alone, batch of one clip (pixels: one clip). */
enum eq_status eq_latency_model(struct eq_predictor *p, const uint8_t *pixels, int warmup, int repeats,
                                struct eq_latency *out, struct eq_err *err);
/* Several ways of running, `calls` calls of each alternately, so that a disturbance meets all of them: each has
 * warmup calls, then `repeats` that count. Where there are several, an uncounted call comes after every change: a
 * new pool, and caches that another way filled, take one to settle. The pool is left with the threads of turns[0],
 * which must have the most: executors are made for them. out: [n], at most EQ_MAX_TURNS. */
enum { EQ_MAX_TURNS = 4, EQ_LATENCY_CALLS = 5 };
struct eq_latency_turn {
    enum eq_status (*call)(void *ctx, struct eq_err *err);
    void *ctx;
    int threads;
};
enum eq_status eq_latency_turns(const struct eq_latency_turn *turns, int n, int calls, int warmup, int repeats,
                                struct eq_latency out[], struct eq_err *err);
/* A clip through a predictor as such a call; ctx is a struct eq_latency_clip. */
struct eq_latency_clip {
    struct eq_predictor *predictor;
    const uint8_t *pixels;
};
enum eq_status eq_latency_clip(void *ctx, struct eq_err *err);
/* From file to EF: decode, sample at so many phases, resize, infer, over the given files in turn. */
enum eq_status eq_latency_file(struct eq_predictor *p, const char *const *paths, size_t n, int phases, int warmup,
                               int repeats, struct eq_latency *out, struct eq_err *err);

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
/* sensitivity.clips clips, spread evenly over a split. EQ_FORMAT: it is empty. */
enum eq_status eq_spread_open(const struct eq_config *cfg, const struct eq_dataset *ds, enum eq_split split,
                              struct eq_calibration *out, struct eq_err *err);
/* Half of the clips of `all`: every second one from the first on (0), or the rest (1), so that a search can fit on one
 * half and judge by the other. EQ_USAGE: there are fewer than 2. */
enum eq_status eq_calibration_half(const struct eq_calibration *all, int half, struct eq_calibration *out,
                                   struct eq_err *err);
void eq_calibration_close(struct eq_calibration *c); /* harmless when it was never opened, but {0} */

#endif
