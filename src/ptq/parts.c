/* quantization/<name>.json: the error of a quantized model in parts, the ranges of its edges, and for PTQ what its
 * layers would cost and gain in FP32, and the networks that mixed precision tried. */
#include "ptq/pipeline.h"

#include <cjson/cJSON.h>

enum eq_status eq_parts_open(const struct eq_config *cfg, const struct eq_dataset *ds, struct eq_calibration *out,
                             struct eq_err *err)
{
    enum eq_split split = EQ_SPLIT_TRAIN;
    for (size_t i = 0; i < ds->n; i++)
        if (ds->samples[i].split == EQ_SPLIT_VAL)
            split = EQ_SPLIT_VAL;
    struct eq_config capped = *cfg;
    if (capped.sensitivity.clips > EQ_PARTS_CLIPS)
        capped.sensitivity.clips = EQ_PARTS_CLIPS;
    return eq_spread_open(&capped, ds, split, out, err);
}

/* ef: [EQ_PARTS][max]; n of the max clips. */
static void add_parts(struct cJSON *json, const struct eq_calibration *clips, const float *ef, size_t max, size_t n)
{
    static const char *const names[EQ_PARTS] = {NULL, "weights", "activations", "both"};
    const struct eq_part_error errors = {ef, eq_part_mae(clips, ef, n)};
    cJSON_AddNumberToObject(json, "clips", (double)n);
    eq_json_add_real(json, "mae_fp32", errors.mae);
    struct cJSON *parts = cJSON_AddObjectToObject(json, "parts");
    for (int i = EQ_PART_WEIGHTS; i < EQ_PARTS; i++)
        eq_part_error_add(cJSON_AddObjectToObject(parts, names[i]), &errors, clips, ef + (size_t)i * max, n);
}

static void add_edge(struct cJSON *edges, const struct eq_graph *g, const struct eq_edge_range *r)
{
    char name[64];
    struct cJSON *edge = eq_json_add(edges, NULL, cJSON_CreateObject());
    eq_layer_name(g, r->node, name);
    cJSON_AddStringToObject(edge, "edge", name);
    eq_json_add_real(edge, "low", (double)r->low);
    eq_json_add_real(edge, "high", (double)r->high);
    eq_json_add_real(edge, "min", (double)r->min);
    eq_json_add_real(edge, "max", (double)r->max);
    eq_json_add_real(edge, "clipped", r->clipped);
    struct cJSON *counts = cJSON_AddArrayToObject(edge, "counts");
    for (int i = 0; i < r->bins; i++)
        eq_json_add(counts, NULL, eq_json_new_real(r->count[i]));
}

/* ef: [EQ_PARTS][clips->n] */
static enum eq_status measure(const char *name, struct eq_calibration *clips, const struct eq_graph *fp32,
                              const struct eq_graph *calibrated, float *ef, struct cJSON *json, struct eq_err *err)
{
    enum eq_status st;
    struct eq_progress progress = {0};
    struct eq_edge_range *ranges = eq_alloc((size_t)calibrated->n_nodes, sizeof *ranges);
    int n_ranges;
    size_t used;
    if (!ranges)
        EQ_TRY(eq_fail(err, EQ_NOMEM, "out of memory for the ranges of edges"));
    eq_progress_begin(&progress, "parts of the error", "clips", EQ_PARTS * clips->n);
    EQ_TRY(eq_parts_measure(fp32, calibrated, &clips->source, clips->n, ef, ranges, &n_ranges, &used, &progress, err));
    cJSON_AddStringToObject(json, "format", EQ_QUANTIZATION_FORMAT);
    cJSON_AddStringToObject(json, "model", name);
    cJSON_AddStringToObject(json, "isa", eq_cpu_isa_in_use());
    cJSON_AddStringToObject(json, "split", eq_split_name(clips->ds->samples[clips->indices[0]].split));
    add_parts(json, clips, ef, clips->n, used);
    struct cJSON *edges = cJSON_AddArrayToObject(json, "edges");
    for (int i = 0; i < n_ranges; i++)
        add_edge(edges, calibrated, &ranges[i]);
out:
    eq_progress_end(&progress);
    eq_free(ranges);
    return st;
}

enum eq_status eq_parts_write(const char *path, const char *name, struct eq_calibration *clips,
                              const struct eq_graph *fp32, const struct eq_graph *calibrated, struct eq_err *err)
{
    enum eq_status st;
    float *ef = eq_alloc(EQ_PARTS * clips->n, sizeof *ef);
    struct cJSON *json = cJSON_CreateObject();
    if (!ef)
        EQ_TRY(eq_fail(err, EQ_NOMEM, "out of memory for the parts of the error"));
    EQ_TRY(measure(name, clips, fp32, calibrated, ef, json, err));
    EQ_TRY(eq_sealed_write(path, json, err));
out:
    cJSON_Delete(json);
    eq_free(ef);
    return st;
}

enum eq_status eq_ptq_study(struct eq_ptq_inputs *in, const struct eq_ptq *ptq, struct eq_predictor *quantized,
                            struct eq_err *err)
{
    enum eq_status st;
    const char *name = eq_phase_model(EQ_PHASE_PTQ)->name;
    float *ef = eq_alloc(EQ_PARTS * in->study.n, sizeof *ef);
    struct cJSON *json = cJSON_CreateObject();
    if (!ef)
        EQ_TRY(eq_fail(err, EQ_NOMEM, "out of memory for the parts of the error"));
    EQ_TRY(measure(name, &in->study, ptq->fp32, ptq->graph, ef, json, err));
    const struct eq_part_error errors = {ef, eq_part_mae(&in->study, ef, in->study.n)};
    EQ_TRY(eq_layers_measure(ptq, quantized, &in->study, &errors, json, err));
    if (ptq->tries)
        eq_json_add(json, "tries", cJSON_Duplicate(ptq->tries, true));
    EQ_TRY(eq_sealed_write(in->parts, json, err));
out:
    cJSON_Delete(json);
    eq_free(ef);
    return st;
}
