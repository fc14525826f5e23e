/* Internal to run: evaluation and timing on devices. */
#ifndef RUN_RUN_H
#define RUN_RUN_H

#include "echoquant/run.h"

/* compare_devices.c */
/* A model that has been evaluated. */
struct eq_evaluated {
    const char *row, *path;
    enum eq_precision precision;
    const struct eq_config *cfg;      /* with the sampling of the model */
    const struct eq_evaluation *test; /* by the device of the run, or the CPU */
    double bound;                     /* eq_device_bound */
};
/* By how much the EF of a clip may differ between the CPU and a device, in EF points; 0: not by a bit. */
double eq_device_bound(const struct eq_predictor *p);
/* Predicts the test clips of a model on each device, and, if a device predicted before, on the CPU, and compares.
 * Puts what it finds into the object `out`, by device. EQ_NUMERIC: the EF of a clip differs by more than is allowed. */
enum eq_status eq_compare_devices(const struct eq_evaluated *m, const struct eq_dataset *ds,
                                  const struct eq_run_devices *devices, struct cJSON *out, struct eq_err *err);

/* ---- timing ---------------------------------------------------------------- */

/* A model that is timed on the CPU. Turns refer to it. */
struct eq_timed {
    char row[EQ_ROW_NAME];
    char *path; /* owned */
    enum eq_precision precision;
    struct eq_predictor predictor;
    uint8_t *pixels; /* of the first test clip, in its form */
    struct eq_latency_clip clip;
    struct eq_latency_files files;
    struct eq_result_start start;
    struct eq_result_memory memory;
};
/* noted.c: the latency as results.json has it. made: gets the list of samples. */
struct eq_result_latency eq_latency_noted(const struct eq_latency *l, const double *ms, struct cJSON *made);
/* device_timing.c: times those of the models [n] on a device whose rows say that their EFs were compared there.
 * made: gets what r will borrow. */
enum eq_status eq_time_on_device(const struct eq_config *cfg, struct eq_timed *const *models, size_t n,
                                 struct eq_device *device, const char *when, struct eq_results *r, struct cJSON *made,
                                 struct eq_err *err);

#endif
