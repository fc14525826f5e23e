/*
 * Sensitivity: what PTQ, as the settings describe it, does to each layer. The network is simulated, with fake-quant
 * where the integer engine rounds. Clips are a few, spread over the split: each costs about three passes for each
 * layer.
 */
#include "ptq/pipeline.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Only this layer alone, only this layer quantized, all but this one. */
enum { PASSES = 3 };

/* Clips with their EFs, by the order in which they came in the last pass. */
struct labelled {
    struct eq_calibration clips;
    struct eq_clip_source source;
    double *target;
    size_t given;
};

static enum eq_status next_labelled(void *ctx, const uint8_t **pixels, int *n, struct eq_err *err)
{
    struct labelled *l = ctx;
    enum eq_status st = l->clips.source.next(&l->clips, pixels, n, err);
    for (int i = 0; st == EQ_OK && i < *n; i++)
        l->target[l->given++] = l->clips.ds->samples[l->clips.batch.index[i]].ef;
    return st;
}

static enum eq_status rewind_labelled(void *ctx, struct eq_err *err)
{
    struct labelled *l = ctx;
    l->given = 0;
    return l->clips.source.rewind(&l->clips, err);
}

static const char *name_labelled(void *ctx, int i)
{
    struct labelled *l = ctx;
    return l->clips.source.name(&l->clips, i);
}

static void close_labelled(struct labelled *l)
{
    eq_calibration_close(&l->clips);
    eq_free(l->target);
}

static enum eq_status open_labelled(const struct eq_config *cfg, const struct eq_dataset *ds, struct labelled *l,
                                    struct eq_err *err)
{
    uint32_t *indices = NULL;
    size_t n;
    enum eq_status st;
    EQ_TRY(eq_spread_clips(ds, cfg->sensitivity.split, cfg->sensitivity.clips, &indices, &n, err));
    l->target = eq_alloc(n, sizeof *l->target);
    if (!l->target) {
        st = eq_fail(err, EQ_NOMEM, "out of memory for the clips");
        goto out;
    }
    EQ_TRY(eq_clips_open(cfg, ds, indices, n, &l->clips, err));
    l->source = l->clips.source;
    l->source.next = next_labelled;
    l->source.rewind = rewind_labelled;
    l->source.name = name_labelled;
    l->source.ctx = l;
out:
    free(indices);
    return st;
}

/* ---- one layer ----------------------------------------------------------- */

struct study {
    struct eq_ptq ptq;
    struct labelled clips;
    struct eq_analysis *analysis;
    bool *kept, *keep, *chosen;  /* [n_nodes]: in FP32 by ptq.keep_fp32; of the pass at hand; gets a row */
    struct eq_edge_stats *stats; /* [n_nodes] */
    float *ef_fp32, *ef;         /* [clips] */
    size_t n;                    /* clips */
    double mae_fp32;
    struct eq_progress progress;
    size_t passes;
};

static double mae_of(const struct study *s, const float *ef)
{
    double sum = 0;
    for (size_t i = 0; i < s->n; i++)
        sum += fabs((double)ef[i] - s->clips.target[i]);
    return sum / (double)s->n;
}

/* Root of the mean squared distance to what FP32 predicts: unlike the MAE it can't get better by luck. */
static double ef_change(const struct study *s)
{
    double sum = 0;
    for (size_t i = 0; i < s->n; i++) {
        double d = (double)s->ef[i] - (double)s->ef_fp32[i];
        sum += d * d;
    }
    return sqrt(sum / (double)s->n);
}

static void step(struct study *s, const char *note)
{
    eq_progress_step(&s->progress, ++s->passes, note);
}

static enum eq_status measure(struct study *s, struct cJSON *row, const char *mae_key, const char *ef_key,
                              struct eq_err *err)
{
    enum eq_status st = eq_analysis_ef(s->analysis, s->keep, s->ef, err);
    if (st != EQ_OK)
        return st;
    eq_json_add_real(row, mae_key, mae_of(s, s->ef) - s->mae_fp32);
    eq_json_add_real(row, ef_key, ef_change(s));
    return EQ_OK;
}

static enum eq_status study_alone(struct study *s, int node, struct cJSON *row, struct eq_err *err)
{
    int n = s->ptq.graph->n_nodes;
    double weights, output;
    enum eq_status st;
    EQ_TRY(eq_analysis_layer(s->analysis, node, &weights, &output, err));
    eq_json_add_real(row, "weight_sqnr_db", weights);
    eq_json_add_real(row, "output_sqnr_db", output);
    step(s, s->ptq.graph->nodes[node].name);
    for (int i = 0; i < n; i++)
        s->keep[i] = i != node;
    EQ_TRY(measure(s, row, "mae_change_only", "ef_change_only", err));
    step(s, NULL);
    memcpy(s->keep, s->kept, (size_t)n * sizeof *s->keep);
    s->keep[node] = true;
    EQ_TRY(measure(s, row, "mae_change_all_but", "ef_change_all_but", err));
    step(s, NULL);
out:
    return st;
}

/* A layer that ptq.keep_fp32 keeps has nothing to be measured alone. */
static void leave_out_alone(struct cJSON *row)
{
    static const char *const keys[] = {"weight_sqnr_db", "output_sqnr_db",     "mae_change_only",
                                       "ef_change_only", "mae_change_all_but", "ef_change_all_but"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        cJSON_AddNullToObject(row, keys[i]);
}

static void describe_range(const struct eq_edge_stats *e, struct cJSON *row)
{
    eq_json_add_real(row, "min", e->min);
    eq_json_add_real(row, "max", e->max);
    eq_json_add_real(row, "range_low", e->low);
    eq_json_add_real(row, "range_high", e->high);
    double observed = fmax(e->max, 0) - fmin(e->min, 0);
    eq_json_add_real(row, "range_use", observed / ((double)e->high - (double)e->low));
    eq_json_add_real(row, "levels_used", isnan(e->low) ? NAN : e->levels);
    eq_json_add_real(row, "clipped", e->clipped);
    cJSON_AddNumberToObject(row, "channels", e->channels);
    cJSON_AddNumberToObject(row, "dead_channels", e->dead);
}

static enum eq_status study_layer(struct study *s, int node, struct cJSON *rows, struct eq_err *err)
{
    char name[64];
    struct cJSON *row = cJSON_CreateObject();
    cJSON_AddItemToArray(rows, row);
    eq_layer_name(s->ptq.graph, node, name);
    cJSON_AddStringToObject(row, "layer", name);
    cJSON_AddBoolToObject(row, "fp32", s->kept[node]);
    enum eq_status st = EQ_OK;
    if (s->kept[node])
        leave_out_alone(row);
    else
        st = study_alone(s, node, row, err);
    eq_json_add_real(row, "accumulated_sqnr_db", s->stats[node].sqnr_db);
    describe_range(&s->stats[node], row);
    return st;
}

/* ---- all of them --------------------------------------------------------- */

static enum eq_status choose(const struct eq_graph *g, char *const *layers, int n_layers, bool *chosen,
                             struct eq_err *err)
{
    enum eq_status st = EQ_OK;
    for (int i = 0; i < g->n_nodes; i++)
        chosen[i] = n_layers == 0 && eq_is_weighted(&g->nodes[i]);
    for (int i = 0; i < n_layers && st == EQ_OK; i++) {
        int node;
        st = eq_find_layer(g, layers[i], &node, err);
        if (st == EQ_OK)
            chosen[node] = true;
    }
    return st;
}

enum eq_status eq_run_check_sensitivity(const struct eq_config *cfg, const char *model_path, char *const *layers,
                                        int n_layers, struct eq_err *err)
{
    struct eq_graph *g = NULL;
    bool *mark = NULL;
    enum eq_status st;
    EQ_TRY(eq_load_baseline(cfg, model_path, &g, err));
    mark = eq_alloc((size_t)g->n_nodes, sizeof *mark);
    if (!mark) {
        st = eq_fail(err, EQ_NOMEM, "out of memory for the layers");
        goto out;
    }
    EQ_TRY(choose(g, layers, n_layers, mark, err));
    EQ_TRY(eq_ptq_kept_layers(cfg, g, mark, err));
out:
    eq_free(mark);
    eq_graph_free(g);
    return st;
}

static enum eq_status open_study(struct study *s, struct eq_config *cfg, const struct eq_dataset *ds,
                                 const char *model_path, char *const *layers, int n_layers, struct eq_err *err)
{
    struct eq_graph *trained = NULL;
    struct eq_calibration calibration = {0};
    enum eq_status st;
    struct cJSON *search = NULL;
    EQ_TRY(eq_load_baseline(cfg, model_path, &trained, err));
    if (cfg->ptq.search) {
        struct eq_config chosen;
        EQ_TRY(eq_ptq_search(cfg, ds, trained, &chosen, &search, err));
        *cfg = chosen;
    }
    EQ_TRY(eq_calibration_open(cfg, ds, &calibration, err));
    EQ_TRY(eq_ptq_make(cfg, trained, &calibration, &s->ptq, err));
    EQ_TRY(open_labelled(cfg, ds, &s->clips, err));
    size_t nodes = (size_t)s->ptq.graph->n_nodes, clips = s->clips.clips.n;
    s->kept = eq_alloc(nodes, sizeof *s->kept);
    s->keep = eq_alloc(nodes, sizeof *s->keep);
    s->chosen = eq_alloc(nodes, sizeof *s->chosen);
    s->stats = eq_alloc(nodes, sizeof *s->stats);
    s->ef_fp32 = eq_alloc(clips, sizeof *s->ef_fp32);
    s->ef = eq_alloc(clips, sizeof *s->ef);
    if (!s->kept || !s->keep || !s->chosen || !s->stats || !s->ef_fp32 || !s->ef) {
        st = eq_fail(err, EQ_NOMEM, "out of memory for the analysis");
        goto out;
    }
    EQ_TRY(eq_ptq_kept_layers(cfg, s->ptq.graph, s->kept, err));
    EQ_TRY(choose(s->ptq.graph, layers, n_layers, s->chosen, err));
    EQ_TRY(eq_analysis_new(s->ptq.fp32, s->ptq.graph, &s->clips.source, clips, &s->analysis, err));
out:
    cJSON_Delete(search);
    eq_calibration_close(&calibration);
    eq_graph_free(trained);
    return st;
}

static void close_study(struct study *s)
{
    eq_progress_end(&s->progress);
    eq_analysis_free(s->analysis);
    close_labelled(&s->clips);
    eq_ptq_clear(&s->ptq);
    eq_free(s->kept);
    eq_free(s->keep);
    eq_free(s->chosen);
    eq_free(s->stats);
    eq_free(s->ef_fp32);
    eq_free(s->ef);
}

static size_t count_passes(const struct study *s)
{
    size_t passes = 1;
    for (int i = 0; i < s->ptq.graph->n_nodes; i++)
        passes += s->chosen[i] && !s->kept[i] ? PASSES : 0;
    return passes;
}

static enum eq_status study_all(struct study *s, struct cJSON *json, struct eq_err *err)
{
    enum eq_status st;
    eq_progress_begin(&s->progress, "sensitivity", "passes", count_passes(s));
    EQ_TRY(eq_analysis_walk(s->analysis, s->stats, s->ef_fp32, s->ef, &s->n, err));
    step(s, NULL);
    s->mae_fp32 = mae_of(s, s->ef_fp32);
    cJSON_AddNumberToObject(json, "clips", (double)s->n);
    eq_json_add_real(json, "mae_fp32", s->mae_fp32);
    eq_json_add_real(json, "mae_quantized", mae_of(s, s->ef));
    eq_json_add_real(json, "ef_change", ef_change(s));
    struct cJSON *rows = cJSON_AddArrayToObject(json, "layers");
    for (int i = 0; i < s->ptq.graph->n_nodes; i++)
        if (s->chosen[i])
            EQ_TRY(study_layer(s, i, rows, err));
    eq_progress_end(&s->progress);
out:
    return st;
}

enum eq_status eq_run_sensitivity(const struct eq_config *cfg, const struct eq_dataset *ds, const char *model_path,
                                  char *const *layers, int n_layers, struct eq_err *err)
{
    struct study s = {0};
    struct eq_config own = *cfg; /* of ptq.search, when there is one */
    struct cJSON *json = cJSON_CreateObject();
    char *path = eq_path_join(cfg->run.dir, "sensitivity.json");
    char *model = eq_run_model_path(cfg->run.dir, eq_phase_model(EQ_PHASE_TRAIN)->name, model_path);
    enum eq_status st;
    cJSON_AddStringToObject(json, "format", EQ_SENSITIVITY_FORMAT);
    cJSON_AddStringToObject(json, "model", model);
    cJSON_AddStringToObject(json, "isa", eq_cpu_isa_in_use());
    cJSON_AddStringToObject(json, "split", eq_split_name(cfg->sensitivity.split));
    EQ_TRY(eq_run_make_dirs(cfg->run.dir, err));
    EQ_TRY(open_study(&s, &own, ds, model_path, layers, n_layers, err));
    cJSON_AddItemToObject(json, "recipe", eq_ptq_recipe(&own));
    EQ_TRY(study_all(&s, json, err));
    EQ_TRY(eq_json_write(path, json, err));
    eq_info("wrote %s", path);
out:
    close_study(&s);
    cJSON_Delete(json);
    free(model);
    free(path);
    return st;
}
