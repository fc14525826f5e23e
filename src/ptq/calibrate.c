/* Calibration with the observer of the settings, for PTQ and for the start of QAT. */
#include "ptq/pipeline.h"

#include <string.h>

static const char *const zero_channels_hint =
    "the channel is exact in INT8 (its output is its bias), but training should not end so: look at the model, or go "
    "on with ptq.zero_channels = allow";

enum eq_status eq_check_zero_channels(const struct eq_graph *g, enum eq_zero_channels policy, struct eq_err *err)
{
    for (int i = 0; i < g->n_nodes; i++) {
        char name[64];
        int first, n = eq_zero_channels(g, i, &first);
        if (n == 0)
            continue;
        eq_layer_name(g, i, name);
        if (policy == EQ_ZERO_CHANNELS_REFUSE)
            return eq_fail(err, EQ_NUMERIC, "%s: all weights of %d of %d channels are 0 (the first is channel %d): %s",
                           name, n, g->nodes[i].cout, first, zero_channels_hint);
        eq_warn("%s: all weights of %d of %d channels are 0 (the first is channel %d)", name, n, g->nodes[i].cout,
                first);
    }
    return EQ_OK;
}

struct eq_observer_opts eq_observer_opts_of(const struct eq_ptq_opts *opts)
{
    return (struct eq_observer_opts){
        .kind = opts->observer, .averaging = opts->averaging, .percentile = opts->percentile};
}

enum eq_status eq_calibrate_on(struct eq_calibration *clips, const struct eq_ptq_opts *opts, struct eq_graph *prepared,
                               size_t *used, float *ef, struct eq_err *err)
{
    enum eq_status st;
    struct eq_progress progress = {0};
    struct eq_statistics *found = NULL;
    struct eq_calibration own = {0};
    bool shared = eq_comm_world()->size > 1;
    const struct eq_observer_opts observer = eq_observer_opts_of(opts);
    EQ_TRY(eq_check_zero_channels(prepared, opts->zero_channels, err));
    if (shared)
        EQ_TRY(eq_calibration_share(clips, &own, err));
    double start = eq_now_ms();
    eq_progress_begin(&progress, "calibrate", "clips", clips->n);
    EQ_TRY(eq_statistics_collect(prepared, shared ? &own.source : &clips->source, clips->n, &observer, 1, &progress,
                                 used, &found, err));
    EQ_TRY(eq_statistics_apply(found, 0, prepared, err));
    eq_progress_end(&progress);
    if (ef) {
        size_t n;
        const float *seen = eq_statistics_ef(found, &n);
        memcpy(ef, seen, n * sizeof *ef);
    }
    eq_info("calibrated on %zu clip%s in %.1f s, observer %s", *used, eq_plural((double)*used),
            (eq_now_ms() - start) / 1000, eq_observer_names[observer.kind]);
out:
    eq_progress_end(&progress);
    eq_statistics_free(found);
    eq_calibration_close(&own);
    return st;
}
