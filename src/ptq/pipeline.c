/* The PTQ pipeline in the order of its parts: statistics, folding, equalization, ranges, weight scales, rounding. */
#include "ptq/pipeline.h"

#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

/* AdaRound's constants are the paper's and AIMET's; the samples are what 16 rows of a million values can hold. */
enum { ADAROUND_SAMPLES = 4096 };

/* Gives the trained model the statistics of the calibration clips, in batches as large as training's. */
static enum eq_status reestimate(struct eq_graph *trained, struct eq_calibration *clips, struct eq_err *err)
{
    int batch = (size_t)clips->train_batch < clips->n ? clips->train_batch : (int)clips->n;
    eq_info("batch norm: statistics of %zu clip%s, %d at once", clips->n, eq_plural((double)clips->n), batch);
    return eq_reestimate_batchnorm(trained, &clips->source, clips->n, batch, err);
}

static enum eq_status fold(const struct eq_ptq_opts *opts, const struct eq_graph *trained, struct eq_calibration *clips,
                           struct eq_graph **out, struct eq_err *err)
{
    enum eq_status st;
    struct eq_graph *copy = NULL;
    int pairs;
    EQ_TRY(eq_graph_clone(trained, &copy, err));
    if (opts->reestimate_bn)
        EQ_TRY(reestimate(copy, clips, err));
    EQ_TRY(eq_fold_batchnorm(copy, out, err));
    EQ_TRY(eq_fuse(*out, err));
    if (opts->equalize) {
        EQ_TRY(eq_cross_layer_equalize(*out, &pairs, err));
        eq_info("equalized %d pair%s of layers", pairs, eq_plural(pairs));
    }
out:
    eq_graph_free(copy);
    return st;
}

static enum eq_status round_adaptively(int steps, struct eq_graph *g, struct eq_calibration *clips, struct eq_err *err)
{
    struct eq_progress progress = {0};
    const struct eq_adaround_opts how = {
        .samples = ADAROUND_SAMPLES, .lr = 0.01, .lambda = 0.01, .seed = clips->opts.seed};
    eq_progress_begin(&progress, "adaround", "nodes", (size_t)g->n_nodes);
    enum eq_status st = eq_adaround(g, &clips->source, clips->n, steps, &how, &progress, err);
    eq_progress_end(&progress);
    return st;
}

enum eq_status eq_ptq_kept_layers(const char *keep_fp32, const struct eq_graph *g, bool *keep, struct eq_err *err)
{
    memset(keep, 0, (size_t)g->n_nodes * sizeof *keep);
    enum eq_status st = EQ_OK;
    for (const char *p = keep_fp32; *p && st == EQ_OK;) {
        char name[64];
        int node, len = (int)strcspn(p, ",");
        snprintf(name, sizeof name, "%.*s", len, p);
        st = eq_find_layer(g, name, &node, err);
        if (st == EQ_OK)
            keep[node] = true;
        p += len + (p[len] == ',');
    }
    return st == EQ_OK ? st : eq_err_context(err, "ptq.keep_fp32");
}

enum eq_status eq_ptq_begin(const struct eq_ptq_opts *opts, const struct eq_graph *trained,
                            struct eq_calibration *clips, struct eq_ptq *out, struct eq_err *err)
{
    enum eq_status st;
    memset(out, 0, sizeof *out);
    EQ_TRY(fold(opts, trained, clips, &out->fp32, err));
    EQ_TRY(eq_graph_clone(out->fp32, &out->graph, err));
    EQ_TRY(eq_prepare_fake_quant_for(out->graph, opts->weight_bits, opts->arithmetic, err));
    out->kept = eq_alloc((size_t)out->graph->n_nodes, sizeof *out->kept);
    if (!out->kept) {
        st = eq_fail(err, EQ_NOMEM, "out of memory for PTQ");
        goto out;
    }
    EQ_TRY(eq_ptq_kept_layers(opts->keep_fp32, out->graph, out->kept, err));
out:
    if (st != EQ_OK)
        eq_ptq_clear(out);
    return st;
}

enum eq_status eq_ptq_calibrate(struct eq_ptq *p, const struct eq_ptq_opts *opts, struct eq_calibration *clips,
                                struct eq_err *err)
{
    if (eq_comm_world()->size == 1 && !(p->ef = eq_alloc(clips->n, sizeof *p->ef)))
        return eq_fail(err, EQ_NOMEM, "out of memory for the EFs of %zu clips", clips->n);
    return eq_calibrate_on(clips, opts, p->graph, &p->clips, p->ef, err);
}

enum eq_status eq_ptq_finish(const struct eq_ptq_opts *opts, const bool *kept, struct eq_graph *calibrated,
                             struct eq_calibration *clips, struct eq_err *err)
{
    enum eq_status st;
    const struct eq_weight_opts weights = {.kind = opts->weight_observer, .per_tensor = !opts->per_channel};
    EQ_TRY(eq_keep_fp32(calibrated, kept, err));
    EQ_TRY(eq_set_weight_qparams(calibrated, &weights, err));
    if (opts->bias_correction) {
        EQ_TRY(eq_correct_biases(calibrated, &clips->source, clips->n, err));
        eq_info("corrected biases on %zu clip%s", clips->n, eq_plural((double)clips->n));
    }
    if (opts->adaround)
        EQ_TRY(round_adaptively(opts->adaround_steps, calibrated, clips, err));
out:
    return st;
}

enum eq_status eq_ptq_make(const struct eq_ptq_opts *opts, const struct eq_graph *trained, struct eq_calibration *clips,
                           struct eq_ptq *out, struct eq_err *err)
{
    enum eq_status st;
    EQ_TRY(eq_ptq_begin(opts, trained, clips, out, err));
    EQ_TRY(eq_ptq_calibrate(out, opts, clips, err));
    EQ_TRY(eq_ptq_finish(opts, out->kept, out->graph, clips, err));
out:
    if (st != EQ_OK)
        eq_ptq_clear(out);
    return st;
}

void eq_ptq_clear(struct eq_ptq *p)
{
    eq_graph_free(p->fp32);
    eq_graph_free(p->graph);
    eq_free(p->kept);
    eq_free(p->ef);
    free(p->keep_fp32);
    cJSON_Delete(p->mixed);
    cJSON_Delete(p->tries);
    memset(p, 0, sizeof *p);
}

struct cJSON *eq_ptq_recipe(const struct eq_ptq_opts *opts, size_t clips)
{
    const char *parameter = eq_observer_parameter(opts->observer);
    const struct {
        const char *name;
        bool has_effect;
    } rows[] = {{"percentile", parameter && strcmp(parameter, "percentile") == 0},
                {"averaging", parameter && strcmp(parameter, "averaging") == 0},
                {"adaround_steps", opts->adaround},
                {"arithmetic", opts->arithmetic != EQ_ARITHMETIC_DIRECT}, /* recipes of earlier versions have none */
                {"search", false}, /* noted apart, like mixed precision, with what it found */
                {"max_mae_loss", false},
                {"zero_channels", false},
                {"keep_fp32", false}};
    struct eq_config used = {.ptq = *opts};
    used.ptq.clips = (int)clips; /* at most the setting */
    struct cJSON *o = eq_settings_object(&used, "ptq");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (!rows[i].has_effect)
            cJSON_DeleteItemFromObjectCaseSensitive(o, rows[i].name);
    if (opts->keep_fp32[0]) /* as text, as the setting takes it */
        cJSON_AddStringToObject(o, "keep_fp32", opts->keep_fp32);
    return o;
}
