/* One way to run any model file: FP32 graphs are folded and fused first, INT8 files go to the integer engine. */
#include "echoquant/infer.h"

#include <assert.h>
#include <math.h>
#include <string.h>

/* Takes graph over. */
static enum eq_status open_float(struct eq_predictor *p, const struct eq_graph *graph, enum eq_precision precision,
                                 int clips, struct eq_err *err)
{
    enum eq_status st;
    EQ_TRY(eq_fold_batchnorm(graph, &p->graph, err));
    EQ_TRY(eq_fuse(p->graph, err));
    p->meta = p->graph->meta;
    p->precision = precision == EQ_PRECISION_BF16 ? "BF16" : "FP32";
    p->clips = clips;
    EQ_TRY(eq_exec_new_in(precision, p->graph, EQ_EXEC_INFER, clips, p->meta.frames, p->meta.size, &p->exec, err));
out:
    if (st != EQ_OK)
        eq_predictor_close(p);
    return st;
}

enum eq_status eq_predictor_from_graph(struct eq_predictor *p, const struct eq_graph *g, int clips, struct eq_err *err)
{
    return eq_predictor_from_graph_in(EQ_PRECISION_FP32, p, g, clips, err);
}

enum eq_status eq_predictor_from_graph_in(enum eq_precision precision, struct eq_predictor *p, const struct eq_graph *g,
                                          int clips, struct eq_err *err)
{
    memset(p, 0, sizeof *p);
    return open_float(p, g, precision, clips, err);
}

enum eq_status eq_predictor_from_qmodel(struct eq_predictor *p, struct eq_qmodel *m, int clips, struct eq_err *err)
{
    memset(p, 0, sizeof *p);
    p->qmodel = m;
    p->meta = m->meta;
    p->precision = "INT8";
    p->clips = clips;
    enum eq_status st = eq_qengine_new(m, clips, m->meta.frames, m->meta.size, &p->engine, err);
    if (st != EQ_OK)
        eq_predictor_close(p);
    return st;
}

enum eq_status eq_predictor_open(struct eq_predictor *p, const char *path, enum eq_precision precision, int clips,
                                 struct eq_err *err)
{
    enum eq_status st;
    char kind[32];
    struct eq_graph *graph = NULL;
    memset(p, 0, sizeof *p);
    EQ_TRY(eq_model_kind(path, kind, err));
    if (strcmp(kind, EQ_FORMAT_INT8) == 0) {
        if (precision != EQ_PRECISION_FP32) {
            st = eq_fail(err, EQ_USAGE, "%s is an INT8 model: --precision (run.precision) is for FP32 ones", path);
            goto out;
        }
        struct eq_qmodel *m;
        EQ_TRY(eq_qmodel_load(path, &m, err));
        EQ_TRY(eq_predictor_from_qmodel(p, m, clips, err));
    } else {
        EQ_TRY(eq_model_load(path, &graph, err));
        EQ_TRY(open_float(p, graph, precision, clips, err));
    }
out:
    eq_graph_free(graph);
    return st;
}

enum eq_status eq_predictor_run(struct eq_predictor *p, const uint8_t *pixels, float *ef, struct eq_err *err)
{
    if (p->exec)
        return eq_exec_forward(p->exec, pixels, ef, err);
    eq_qengine_run(p->engine, pixels, ef);
    return EQ_OK;
}

enum eq_status eq_predictor_mean(struct eq_predictor *p, const uint8_t *pixels, int phases, float *ef,
                                 struct eq_err *err)
{
    enum eq_status st = EQ_OK;
    size_t stride = (size_t)p->meta.frames * (size_t)p->meta.size * (size_t)p->meta.size * 3;
    double sum = 0;
    assert(p->clips == 1 && phases >= 1);
    for (int k = 0; k < phases; k++) {
        float one;
        EQ_TRY(eq_predictor_run(p, pixels + (size_t)k * stride, &one, err));
        sum += (double)one;
    }
    *ef = (float)(sum / phases);
    if (!isfinite(*ef))
        st = eq_fail(err, EQ_NUMERIC, "the prediction is not a finite number");
out:
    return st;
}

void eq_predictor_close(struct eq_predictor *p)
{
    eq_exec_free(p->exec);
    eq_graph_free(p->graph);
    eq_qengine_free(p->engine);
    eq_qmodel_free(p->qmodel);
    memset(p, 0, sizeof *p);
}
