/* Calibration clips for PTQ and for the start of QAT. */
#ifndef RUN_CALIBRATION_H
#define RUN_CALIBRATION_H

#include "echoquant/run.h"

/* The source refers to this struct: it must stay where it was opened. */
struct eq_calibration {
    const struct eq_dataset *ds;
    struct eq_loader *loader; /* owned */
    struct eq_batch batch;    /* the last one */
    struct eq_clip_source source;
    size_t n; /* clips */
};
enum eq_status eq_calibration_open(const struct eq_config *cfg, const struct eq_dataset *ds, struct eq_calibration *out,
                                   struct eq_err *err);
/* Other clips than those: samples indices[n] of the dataset, one a batch, in this order. */
enum eq_status eq_clips_open(const struct eq_config *cfg, const struct eq_dataset *ds, const uint32_t *indices,
                             size_t n, struct eq_calibration *out, struct eq_err *err);
/* Half of those clips: every second one from the first on (0), or the rest (1), so that a search can fit on the one and
 * judge by the other. At least 2 clips are needed. */
enum eq_status eq_calibration_open_half(const struct eq_config *cfg, const struct eq_dataset *ds, int half,
                                        struct eq_calibration *out, struct eq_err *err);
void eq_calibration_close(struct eq_calibration *c);
/* Calibrates with the observer of the settings; weight scales are min-max. A layer that has channels without weights is
 * refused, or only told of, as ptq.zero_channels says. */
enum eq_status eq_calibrate_on(struct eq_calibration *clips, const struct eq_config *cfg, struct eq_graph *prepared,
                               struct eq_err *err);
struct eq_observer_opts eq_observer_opts_of(const struct eq_config *cfg);
/* The same on clips that it opens itself. */
enum eq_status eq_calibrate_graph(struct eq_graph *prepared, const struct eq_config *cfg, const struct eq_dataset *ds,
                                  struct eq_err *err);
/* ptq.zero_channels: refuses, or warns of, layers with channels whose weights are all 0. eq_calibrate_* look, too. */
enum eq_status eq_check_zero_channels(const struct eq_graph *g, const struct eq_config *cfg, struct eq_err *err);
/* The baseline that PTQ and QAT start from: model_path, or <run>/fp32.safetensors. A model that is quantized already,
 * or of other frames, size or width than the settings ask for, is refused. */
enum eq_status eq_load_baseline(const struct eq_config *cfg, const char *model_path, struct eq_graph **out,
                                struct eq_err *err);
enum eq_status eq_run_make_dirs(const char *run_dir, struct eq_err *err);

#endif
