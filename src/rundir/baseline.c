/* The FP32 model that PTQ and QAT start from. */
#include "echoquant/rundir.h"

#include <stdlib.h>
#include <string.h>

/* Refuses a model whose frames, size or width differ from the settings. */
static enum eq_status check_form(const struct eq_config *cfg, const char *path, const struct eq_graph *g,
                                 struct eq_err *err)
{
    const struct eq_model_meta *meta = &g->meta;
    int conv1 = eq_graph_find_node(g, "conv1"), width = conv1 < 0 ? 0 : g->nodes[conv1].cout;
    if (meta->frames != cfg->data.frames || meta->size != cfg->data.size)
        return eq_fail(err, EQ_USAGE,
                       "%s was trained with data.frames = %d and data.size = %d, but the settings are %d and "
                       "%d: change them, or name another model with --model",
                       path, meta->frames, meta->size, cfg->data.frames, cfg->data.size);
    if (width != cfg->model.width)
        return eq_fail(err, EQ_USAGE,
                       "%s has model.width = %d, but the setting is %d: change it, or name another model with "
                       "--model",
                       path, width, cfg->model.width);
    return EQ_OK;
}

enum eq_status eq_load_baseline(const struct eq_config *cfg, const char *model_path, struct eq_graph **out,
                                struct eq_err *err)
{
    enum eq_status st;
    char kind[32];
    char *path = eq_run_model_path(cfg->run.dir, eq_phase_model(EQ_PHASE_TRAIN)->name, model_path);
    *out = NULL;
    bool there = true;
    if (!model_path)
        EQ_TRY(eq_path_look(path, &there, err));
    if (!there)
        EQ_TRY(eq_fail(err, EQ_IO, "%s is missing: run `echoquant train` first, or name a model with --model", path));
    EQ_TRY(eq_model_kind(path, kind, err));
    if (strcmp(kind, EQ_FORMAT_INT8) == 0)
        EQ_TRY(eq_fail(err, EQ_USAGE, "%s is already quantized: name an FP32 model", path));
    EQ_TRY(eq_model_load(path, out, err));
    EQ_TRY(check_form(cfg, path, *out, err));
out:
    if (st != EQ_OK) {
        eq_graph_free(*out);
        *out = NULL;
    }
    free(path);
    return st;
}

enum eq_status eq_run_check_baseline(const struct eq_config *cfg, const char *model_path, struct eq_err *err)
{
    struct eq_graph *graph;
    enum eq_status st = eq_load_baseline(cfg, model_path, &graph, err);
    eq_graph_free(graph);
    return st;
}
