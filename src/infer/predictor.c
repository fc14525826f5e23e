/* One way to run any model file: FP32 graphs are folded and fused first, INT8 files go to the integer engine. */
#include "echoquant/infer.h"

#include <assert.h>
#include <math.h>
#include <string.h>

/* ---- FP32 and BF16 ------------------------------------------------------- */

static enum eq_status float_open(struct eq_predictor *p, const char *path, enum eq_precision precision, int clips,
                                 struct eq_err *err)
{
    struct eq_graph *graph;
    enum eq_status st = eq_model_load(path, &graph, err);
    if (st == EQ_OK)
        st = eq_predictor_from_graph(p, graph, precision, clips, err);
    eq_graph_free(graph);
    return st;
}

static enum eq_status float_run(struct eq_predictor *p, const uint8_t *pixels, float *ef, struct eq_err *err)
{
    return eq_exec_forward(p->executor, pixels, ef, err);
}

static bool float_layer(const struct eq_predictor *p, int node, struct eq_exec_layer *out)
{
    return eq_exec_layer(p->executor, node, EQ_CONV_FORWARD, out);
}

static const double *float_time(struct eq_predictor *p, bool on)
{
    return eq_exec_time(p->executor, on);
}

static void float_close(struct eq_predictor *p)
{
    eq_exec_free(p->executor);
    eq_graph_free(p->model);
}

static const struct eq_predictor_ops float_ops = {EQ_FORMAT_FP32, float_open, float_run,
                                                  float_layer,    float_time, float_close};

enum eq_status eq_predictor_from_graph(struct eq_predictor *p, const struct eq_graph *g, enum eq_precision precision,
                                       int clips, struct eq_err *err)
{
    enum eq_status st;
    struct eq_graph *own = NULL;
    struct eq_exec *exec = NULL;
    memset(p, 0, sizeof *p);
    EQ_TRY(eq_fold_batchnorm(g, &own, err));
    EQ_TRY(eq_fuse(own, err));
    const struct eq_exec_opts opts = {
        .precision = precision, .clips = clips, .frames = own->meta.frames, .size = own->meta.size};
    EQ_TRY(eq_exec_new(own, &opts, &exec, err));
    *p = (struct eq_predictor){.ops = &float_ops,
                               .model = own,
                               .executor = exec,
                               .meta = own->meta,
                               .precision = precision == EQ_PRECISION_BF16 ? "BF16" : "FP32",
                               .clips = clips,
                               .n_nodes = own->n_nodes,
                               .packed_bytes = eq_exec_packed_bytes(exec)};
    p->arena_bytes = eq_exec_arena_bytes(exec) - p->packed_bytes;
    own = NULL;
out:
    eq_graph_free(own);
    return st;
}

/* ---- INT8 ---------------------------------------------------------------- */

static enum eq_status int8_open(struct eq_predictor *p, const char *path, enum eq_precision precision, int clips,
                                struct eq_err *err)
{
    struct eq_qmodel *m;
    if (precision != EQ_PRECISION_FP32)
        return eq_fail(err, EQ_USAGE, "%s is an INT8 model: --precision (run.precision) is only for FP32 models", path);
    enum eq_status st = eq_qmodel_load(path, &m, err);
    return st == EQ_OK ? eq_predictor_from_qmodel(p, m, clips, err) : st;
}

static enum eq_status int8_run(struct eq_predictor *p, const uint8_t *pixels, float *ef, struct eq_err *err)
{
    return eq_qengine_run(p->executor, pixels, ef, err);
}

static bool int8_layer(const struct eq_predictor *p, int node, struct eq_exec_layer *out)
{
    return eq_qengine_layer(p->executor, node, out);
}

static const double *int8_time(struct eq_predictor *p, bool on)
{
    return eq_qengine_time(p->executor, on);
}

static void int8_close(struct eq_predictor *p)
{
    eq_qengine_free(p->executor);
    eq_qmodel_free(p->model);
}

static const struct eq_predictor_ops int8_ops = {EQ_FORMAT_INT8, int8_open, int8_run,
                                                 int8_layer,     int8_time, int8_close};

enum eq_status eq_predictor_from_qmodel(struct eq_predictor *p, struct eq_qmodel *m, int clips, struct eq_err *err)
{
    struct eq_qengine *engine;
    memset(p, 0, sizeof *p);
    enum eq_status st = eq_qengine_new(m, clips, m->meta.frames, m->meta.size, false, &engine, err);
    if (st != EQ_OK) {
        eq_qmodel_free(m);
        return st;
    }
    *p = (struct eq_predictor){.ops = &int8_ops,
                               .model = m,
                               .executor = engine,
                               .meta = m->meta,
                               .precision = "INT8",
                               .clips = clips,
                               .n_nodes = m->n_nodes,
                               .packed_bytes = eq_qengine_packed_bytes(engine)};
    p->arena_bytes = eq_qengine_arena_bytes(engine) - p->packed_bytes;
    return EQ_OK;
}

const struct eq_qmodel *eq_predictor_qmodel(const struct eq_predictor *p)
{
    return p->ops == &int8_ops ? p->model : NULL;
}

/* ---- any of them --------------------------------------------------------- */

enum eq_status eq_predictor_open(struct eq_predictor *p, const char *path, enum eq_precision precision, int clips,
                                 struct eq_err *err)
{
    static const struct eq_predictor_ops *const all[] = {&float_ops, &int8_ops};
    const struct eq_predictor_ops *ops = all[0]; /* reports the error for a file of unknown format */
    char kind[32] = "";
    memset(p, 0, sizeof *p);
    enum eq_status st = eq_model_kind(path, kind, err);
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        ops = strcmp(kind, all[i]->format) == 0 ? all[i] : ops;
    return st == EQ_OK ? ops->open(p, path, precision, clips, err) : st;
}

enum eq_status eq_predictor_run(struct eq_predictor *p, const uint8_t *pixels, float *ef, struct eq_err *err)
{
    return p->ops->run(p, pixels, ef, err);
}

enum eq_status eq_predictor_phases(struct eq_predictor *p, const uint8_t *pixels, int phases, float *ef, double *spread,
                                   struct eq_err *err)
{
    size_t stride = (size_t)p->meta.frames * (size_t)p->meta.size * (size_t)p->meta.size * 3;
    double sum = 0, mean = 0, squares = 0;
    assert(p->clips == 1 && phases >= 1);
    for (int k = 0; k < phases; k++) {
        float one;
        EQ_CHECK(eq_predictor_run(p, pixels + (size_t)k * stride, &one, err));
        sum += (double)one;
        double from_mean = (double)one - mean; /* Welford, Technometrics 4, 1962 */
        mean += from_mean / (k + 1);
        squares += from_mean * ((double)one - mean);
    }
    *ef = (float)(sum / phases);
    *spread = phases > 1 ? sqrt(squares / (phases - 1)) : NAN;
    return isfinite(*ef) ? EQ_OK : eq_fail(err, EQ_NUMERIC, "the prediction is not a finite number");
}

enum eq_status eq_predictor_mean(struct eq_predictor *p, const uint8_t *pixels, int phases, float *ef,
                                 struct eq_err *err)
{
    double spread;
    return eq_predictor_phases(p, pixels, phases, ef, &spread, err);
}

void eq_predictor_close(struct eq_predictor *p)
{
    if (p->ops)
        p->ops->close(p);
    memset(p, 0, sizeof *p);
}
