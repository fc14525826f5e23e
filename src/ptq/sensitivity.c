/*
 * Sensitivity: what PTQ, as the settings describe it, does to each layer. The exact simulation (eq_analysis) runs, so
 * that figures are those of the integer engine. Clips are a few, spread over the split: each costs about three passes
 * for each layer.
 */
#include "ptq/pipeline.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <string.h>

/* Only this layer alone, only this layer quantized, all but this one. */
enum { PASSES = 3 };

/* ---- one layer ----------------------------------------------------------- */

struct study {
    struct eq_ptq ptq;
    const struct eq_calibration *clips;
    struct eq_analysis *analysis;
    bool *keep, *chosen;         /* [n_nodes]: stays in FP32 in this pass; gets a row; one block */
    struct eq_edge_stats *stats; /* [n_nodes] */
    float *ef_fp32, *ef;         /* [clips]; one block */
    size_t n;                    /* clips */
    double mae_fp32;
    struct eq_progress progress;
    size_t passes;
};

static double mae_of(const struct study *s, const float *ef)
{
    double sum = 0;
    for (size_t i = 0; i < s->n; i++)
        sum += fabs((double)ef[i] - s->clips->ds->samples[s->clips->indices[i]].ef);
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
    memcpy(s->keep, s->ptq.kept, (size_t)n * sizeof *s->keep);
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
    struct cJSON *row = eq_json_add(rows, NULL, cJSON_CreateObject());
    eq_layer_name(s->ptq.graph, node, name);
    cJSON_AddStringToObject(row, "layer", name);
    cJSON_AddBoolToObject(row, "fp32", s->ptq.kept[node]);
    enum eq_status st = EQ_OK;
    if (s->ptq.kept[node])
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
    EQ_TRY(eq_ptq_kept_layers(cfg->ptq.keep_fp32, g, mark, err));
out:
    eq_free(mark);
    eq_graph_free(g);
    return st;
}

/* opts: with what ptq.search finds, when there is one. */
static enum eq_status open_study(struct study *s, struct eq_ptq_opts *opts, struct eq_ptq_inputs *in,
                                 char *const *layers, int n_layers, struct eq_err *err)
{
    enum eq_status st;
    struct cJSON *search = NULL;
    EQ_TRY(eq_ptq_search(opts, in, &search, err));
    EQ_TRY(eq_ptq_make(opts, in->trained, &in->clips, &s->ptq, err));
    eq_calibration_close(&in->clips); /* and its cache */
    s->clips = &in->few;
    size_t nodes = (size_t)s->ptq.graph->n_nodes;
    s->keep = eq_alloc(2 * nodes, sizeof *s->keep);
    s->stats = eq_alloc(nodes, sizeof *s->stats);
    s->ef_fp32 = eq_alloc(2 * in->few.n, sizeof *s->ef_fp32);
    if (!s->keep || !s->stats || !s->ef_fp32) {
        st = eq_fail(err, EQ_NOMEM, "out of memory for the analysis");
        goto out;
    }
    s->chosen = s->keep + nodes;
    s->ef = s->ef_fp32 + in->few.n;
    EQ_TRY(choose(s->ptq.graph, layers, n_layers, s->chosen, err));
    EQ_TRY(eq_analysis_new(s->ptq.fp32, s->ptq.graph, &in->few.source, in->few.n, &s->analysis, err));
out:
    cJSON_Delete(search);
    return st;
}

static void close_study(struct study *s)
{
    eq_progress_end(&s->progress);
    eq_analysis_free(s->analysis);
    eq_ptq_clear(&s->ptq);
    eq_free(s->keep);
    eq_free(s->stats);
    eq_free(s->ef_fp32);
}

static enum eq_status study_all(struct study *s, struct cJSON *json, struct eq_err *err)
{
    enum eq_status st;
    size_t passes = 1;
    for (int i = 0; i < s->ptq.graph->n_nodes; i++)
        passes += s->chosen[i] && !s->ptq.kept[i] ? PASSES : 0;
    eq_progress_begin(&s->progress, "sensitivity", "passes", passes);
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

enum eq_status eq_run_sensitivity(const struct eq_ptq_opts *opts, struct eq_ptq_inputs *in, char *const *layers,
                                  int n_layers, struct eq_err *err)
{
    struct study s = {0};
    struct eq_ptq_opts used = *opts;
    struct cJSON *json = cJSON_CreateObject();
    enum eq_status st;
    cJSON_AddStringToObject(json, "format", EQ_SENSITIVITY_FORMAT);
    cJSON_AddStringToObject(json, "model", in->model);
    cJSON_AddStringToObject(json, "isa", eq_cpu_isa_in_use());
    cJSON_AddStringToObject(json, "split", eq_split_name(in->few.ds->samples[in->few.indices[0]].split));
    EQ_TRY(open_study(&s, &used, in, layers, n_layers, err));
    eq_json_add(json, "recipe", eq_ptq_recipe(&used, s.ptq.clips));
    EQ_TRY(study_all(&s, json, err));
    EQ_TRY(eq_json_write(in->result, json, err));
    eq_info("wrote %s", in->result);
out:
    close_study(&s);
    cJSON_Delete(json);
    return st;
}
