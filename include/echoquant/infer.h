/* infer: the clips of a run, predictors, evaluation, latency, calibration clips. */
#ifndef ECHOQUANT_INFER_H
#define ECHOQUANT_INFER_H

#include "echoquant/settings.h"
#include "echoquant/stats.h"

/* ---- data of a run --------------------------------------------------------- */

/* Opens the data of a run, once for each command. If data.synthetic is true, a synthetic set that is incomplete is
 * completed first, and one in EQ_SYNTHETIC_DIR (settings.h) is made; a folder with a FileList.csv of other origin is
 * used as it is, and any other name that is no folder is EQ_IO with the nearest folder beside it. With data.on_error =
 * skip every clip is read once, and bad ones are left out with a warning. EQ_IO, EQ_FORMAT: a list or, unless skipped,
 * a clip that cannot be read. Clear ds with eq_dataset_clear; it is empty after a failure. */
enum eq_status eq_run_open_data(const struct eq_config *cfg, struct eq_dataset *ds, struct eq_err *err);
bool eq_run_data_is_synthetic(const char *dir); /* whether synth made that folder */
/* Writes the synthetic set of the settings (synth.*) into dir. EQ_USAGE: dir holds something else. */
enum eq_status eq_run_write_synth(const struct eq_config *cfg, const char *dir, struct eq_err *err);

/* ---- predictors: one way to run any model file ----------------------------- */

struct eq_predictor;
/* The interface of an executor to a predictor. A new device adds one and a line in predictor.c. */
struct eq_predictor_ops {
    const char *format; /* of the model files that it can open */
    /* Fills an empty predictor from a file; leaves it empty on failure. */
    enum eq_status (*open)(struct eq_predictor *p, const char *path, enum eq_precision precision, int clips,
                           struct eq_err *err);
    enum eq_status (*run)(struct eq_predictor *p, const uint8_t *pixels, float *ef, struct eq_err *err);
    /* Sets the name of the node. True for a convolution, whose kernel it describes too. */
    bool (*layer)(const struct eq_predictor *p, int node, struct eq_exec_layer *out);
    /* Turns the timing of nodes on or off. Returns [n_nodes] times in ms, which every timed run overwrites. */
    const double *(*time)(struct eq_predictor *p, bool on);
    void (*close)(struct eq_predictor *p);
};
struct eq_predictor {
    const struct eq_predictor_ops *ops;
    void *model, *executor; /* owned; of types that ops knows */
    struct eq_model_meta meta;
    const char *precision; /* "FP32", "BF16", "INT8" */
    int clips, n_nodes;
    size_t arena_bytes, packed_bytes; /* activations and scratch; packed weights */
};
/* clips: the batch of every run. precision: of the convolutions of an FP32 model; EQ_USAGE for INT8 models unless it is
 * FP32. EQ_IO, EQ_FORMAT, EQ_UNSUPPORTED, EQ_NOMEM. Close p with eq_predictor_close; it is empty after a failure. */
enum eq_status eq_predictor_open(struct eq_predictor *p, const char *path, enum eq_precision precision, int clips,
                                 struct eq_err *err);
/* From a graph in training, of which it folds and fuses a copy. */
enum eq_status eq_predictor_from_graph(struct eq_predictor *p, const struct eq_graph *g, enum eq_precision precision,
                                       int clips, struct eq_err *err);
/* Takes ownership of m, also on failure. */
enum eq_status eq_predictor_from_qmodel(struct eq_predictor *p, struct eq_qmodel *m, int clips, struct eq_err *err);
/* The model of an INT8 predictor, borrowed until it is closed; NULL for others. */
const struct eq_qmodel *eq_predictor_qmodel(const struct eq_predictor *p);
/* pixels: [clips][frames][size][size][3] u8, RGB; ef: [clips], percent. */
enum eq_status eq_predictor_run(struct eq_predictor *p, const uint8_t *pixels, float *ef, struct eq_err *err);
/* The mean EF over the phases of one clip, pixels [phases][frames][size][size][3], for a predictor of one clip. With
 * one phase it equals eq_predictor_run. EQ_NUMERIC: the mean is not a finite number. */
enum eq_status eq_predictor_mean(struct eq_predictor *p, const uint8_t *pixels, int phases, float *ef,
                                 struct eq_err *err);
void eq_predictor_close(struct eq_predictor *p);

/* ---- evaluation and latency ------------------------------------------------ */

struct eq_prediction {
    char *file_name;
    enum eq_split split;
    double ef, prediction; /* percent */
};
struct eq_evaluation {
    struct eq_prediction *rows;
    size_t n;
    struct eq_metrics metrics;
};
/* Receives the EF of a clip; a status other than EQ_OK ends the loop. */
typedef enum eq_status (*eq_predicted_fn)(void *ctx, const struct eq_sample *sample, float ef, struct eq_err *err);
/* Predicts every clip of a loader, in its order, as the mean over the phases that it samples. Loader and predictor have
 * batches of one clip. EQ_INTERRUPTED: a signal came, noticed after a clip. An error in a clip names its path. */
enum eq_status eq_predict_clips(struct eq_predictor *p, const struct eq_dataset *ds, struct eq_loader *loader,
                                eq_predicted_fn take, void *ctx, struct eq_err *err);
/* Evaluates a split, with the mean over eval.phases for each clip. Clear out with eq_evaluation_clear. */
enum eq_status eq_evaluate(struct eq_predictor *p, const struct eq_dataset *ds, enum eq_split split,
                           const struct eq_config *cfg, struct eq_evaluation *out, struct eq_err *err);
/* The same for a loader that is kept between calls, so that its cache stays warm, with the phases that it samples. The
 * loader has EQ_ON_ERROR_FAIL and at least one clip. progress: NULL for none. */
enum eq_status eq_evaluate_loader(struct eq_predictor *p, const struct eq_dataset *ds, struct eq_loader *loader,
                                  struct eq_progress *progress, struct eq_evaluation *out, struct eq_err *err);
void eq_evaluation_clear(struct eq_evaluation *e);
/* The settings' options for reading clips, in file order and without augmentation. on_error is always EQ_ON_ERROR_FAIL:
 * eq_run_open_data has left out the bad clips, so one that fails now has changed since. */
struct eq_loader_opts eq_run_loader_opts(const struct eq_config *cfg, int batch);
/* A loader over one split: in file order, or, for training, shuffled and augmented as the settings say. Free with
 * eq_loader_free. EQ_FORMAT: the split is empty. */
enum eq_status eq_run_loader(const struct eq_config *cfg, const struct eq_dataset *ds, enum eq_split split,
                             bool training, int batch, struct eq_loader **out, struct eq_err *err);
/* The same for predictions: in file order, batches of one clip, sampled at eval.phases. on_error is EQ_ON_ERROR_FAIL
 * unless the clips have not been read before. */
enum eq_status eq_run_eval_loader(const struct eq_config *cfg, const struct eq_dataset *ds, enum eq_split split,
                                  enum eq_on_error on_error, struct eq_loader **out, struct eq_err *err);
/* Appends a field of CSV, quoted if needed. */
void eq_csv_add(struct eq_str *out, const char *text);
/* Predictions as CSV: FileName,Split,EF,Prediction, with 9 significant digits, so that floats are restored to the bit.
 * EQ_FORMAT names the line. Clear out with eq_evaluation_clear; its metrics are not set. */
enum eq_status eq_predictions_write(const char *path, const struct eq_evaluation *e, struct eq_err *err);
enum eq_status eq_predictions_read(const char *path, struct eq_evaluation *out, struct eq_err *err);
/* Pairs rows by file name: (*partners)[i], for i below a->n, is the first row of b with the name of a->rows[i], or
 * NULL. Either side may have any order and duplicates. The rows still belong to b; free the list with eq_free. */
enum eq_status eq_evaluation_pair(const struct eq_evaluation *a, const struct eq_evaluation *b,
                                  const struct eq_prediction ***partners, struct eq_err *err);

struct eq_latency {
    double min, median, p95; /* ms per clip */
    int repeats;
};
struct eq_latency eq_latency_of(double *ms, int n); /* ms: [n], sorted by the call; all NaN for n = 0 */
/* The model alone, with a batch of one clip. pixels: [frames][size][size][3]. */
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
/* From file to EF: decode, sample at `phases` phases, resize, infer; takes the n files in turn. */
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
