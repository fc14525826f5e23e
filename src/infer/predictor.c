/* One way to run any model file: FP32 graphs are folded and fused first, INT8 files go to the integer engine. On a
 * device both go to its network (device_predictor.c). */
#include "infer/predictor.h"

#include <assert.h>
#include <math.h>
#include <string.h>

/* ---- clips of a run ------------------------------------------------------ */

/* On the CPU. A layer's weights serve all clips of a run: those of the last stages come from memory otherwise, once for
 * each clip. */
enum { BATCH = 4, BATCH_BYTES = 4 << 20 };

static size_t bytes_of_clip(const struct eq_model_meta *meta)
{
    return (size_t)meta->frames * (size_t)meta->size * (size_t)meta->size * 3;
}

int eq_predictor_batch(const struct eq_model_meta *meta, int phases)
{
    size_t bytes = bytes_of_clip(meta), most = bytes ? BATCH_BYTES / bytes : 1;
    return eq_predictor_samples(most < BATCH ? most : BATCH, phases > 1 ? phases : 1);
}

static int clips_of(const struct eq_model_meta *meta, const struct eq_predictor_opts *opts)
{
    return opts->clips ? opts->clips : eq_predictor_batch(meta, opts->phases);
}

/* ---- FP32 and BF16 ------------------------------------------------------- */

static enum eq_status float_open(struct eq_predictor *p, const char *path, const struct eq_predictor_opts *opts,
                                 struct eq_err *err)
{
    struct eq_graph *graph;
    enum eq_status st = eq_model_load(path, &graph, err);
    if (st == EQ_OK)
        st = eq_predictor_from_graph(p, graph, opts->precision, clips_of(&graph->meta, opts), err);
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

static const struct eq_predictor_ops float_ops = {.format = EQ_FORMAT_FP32,
                                                  .open = float_open,
                                                  .run = float_run,
                                                  .layer = float_layer,
                                                  .time = float_time,
                                                  .close = float_close};

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

enum eq_status eq_predictor_follow(struct eq_predictor *p, const struct eq_graph *g, struct eq_err *err)
{
    assert(p->ops == &float_ops);
    EQ_CHECK(eq_fold_batchnorm_again(g, p->model, err));
    eq_exec_weights_changed(p->executor);
    return EQ_OK;
}

/* ---- INT8 ---------------------------------------------------------------- */

static enum eq_status int8_open(struct eq_predictor *p, const char *path, const struct eq_predictor_opts *opts,
                                struct eq_err *err)
{
    struct eq_qmodel *m;
    if (opts->precision != EQ_PRECISION_FP32)
        return eq_fail(err, EQ_USAGE, "%s is an INT8 model: --precision (run.precision) is only for FP32 models", path);
    enum eq_status st = eq_qmodel_load(path, &m, err);
    return st == EQ_OK ? eq_predictor_from_qmodel(p, m, clips_of(&m->meta, opts), err) : st;
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

static const struct eq_predictor_ops int8_ops = {.format = EQ_FORMAT_INT8,
                                                 .open = int8_open,
                                                 .run = int8_run,
                                                 .layer = int8_layer,
                                                 .time = int8_time,
                                                 .close = int8_close};

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
    return p->ops && strcmp(p->ops->format, EQ_FORMAT_INT8) == 0 ? p->model : NULL;
}

bool eq_predictor_is_exact(const struct eq_predictor *p)
{
    const struct eq_qmodel *m = eq_predictor_qmodel(p);
    for (int i = 0; m && i < m->n_nodes; i++)
        if (m->nodes[i].fp32)
            return false;
    return m != NULL;
}

/* ---- any of them --------------------------------------------------------- */

enum eq_status eq_predictor_check_precision(const char *device, enum eq_precision precision, struct eq_err *err)
{
    if (precision == EQ_PRECISION_FP32 || strcmp(device, "cpu") == 0)
        return EQ_OK;
    return eq_fail(err, EQ_USAGE,
                   "--precision bf16 (run.precision) is for the CPU only: --device %s (run.device) computes in FP32 or "
                   "INT8, as the model file is",
                   device);
}

enum eq_status eq_predictor_open(struct eq_predictor *p, const char *path, const struct eq_predictor_opts *opts,
                                 struct eq_err *err)
{
    static const struct eq_predictor_ops *const all[] = {&float_ops, &int8_ops, &eq_device_float_ops,
                                                         &eq_device_int8_ops};
    const struct eq_predictor_ops *ops = all[0]; /* reports the error for a file of unknown format */
    char kind[32] = "";
    memset(p, 0, sizeof *p);
    EQ_CHECK(eq_model_kind(path, kind, err));
    if (opts->device)
        EQ_CHECK(eq_predictor_check_precision(eq_device_info(opts->device)->id, opts->precision, err));
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (strcmp(kind, all[i]->format) == 0 && all[i]->on_device == (opts->device != NULL))
            ops = all[i];
    return ops->open(p, path, opts, err);
}

enum eq_status eq_predictor_start(struct eq_predictor *p, const uint8_t *pixels, int n, struct eq_err *err)
{
    assert(!p->started && n >= 1 && (!p->ops->start || n <= p->clips));
    if (p->ops->start)
        EQ_CHECK(p->ops->start(p, pixels, n, err));
    p->started = pixels;
    p->n_started = n;
    return EQ_OK;
}

/* Fewer clips than a run has: zeros take the places of the others. */
static enum eq_status run_part(struct eq_predictor *p, const uint8_t *pixels, int n, float *ef, struct eq_err *err)
{
    const size_t bytes = bytes_of_clip(&p->meta), clips = (size_t)p->clips;
    uint8_t *whole = eq_alloc(clips, bytes);
    float *all = eq_alloc(clips, sizeof *all);
    enum eq_status st = EQ_OK;
    if (!whole || !all)
        EQ_TRY(eq_fail(err, EQ_NOMEM, "out of memory for %d clips", p->clips));
    memcpy(whole, pixels, (size_t)n * bytes);
    EQ_TRY(p->ops->run(p, whole, all, err));
    memcpy(ef, all, (size_t)n * sizeof *ef);
out:
    eq_free(whole);
    eq_free(all);
    return st;
}

enum eq_status eq_predictor_finish(struct eq_predictor *p, float *ef, struct eq_err *err)
{
    const uint8_t *pixels = p->started;
    assert(pixels);
    p->started = NULL;
    if (p->ops->finish)
        return p->ops->finish(p, ef, err);
    for (int i = 0; i < p->n_started; i += p->clips) {
        const uint8_t *at = pixels + (size_t)i * bytes_of_clip(&p->meta);
        const int left = p->n_started - i;
        EQ_CHECK(left < p->clips ? run_part(p, at, left, ef + i, err) : p->ops->run(p, at, ef + i, err));
    }
    return EQ_OK;
}

enum eq_status eq_predictor_run(struct eq_predictor *p, const uint8_t *pixels, float *ef, struct eq_err *err)
{
    return p->ops->run(p, pixels, ef, err);
}

void eq_phases_add(struct eq_phases *s, float ef)
{
    double from_mean = (double)ef - s->mean; /* Welford, Technometrics 4, 1962 */
    s->sum += (double)ef;
    s->mean += from_mean / ++s->n;
    s->squares += from_mean * ((double)ef - s->mean);
}

enum eq_status eq_phases_end(const struct eq_phases *s, float *ef, double *spread, struct eq_err *err)
{
    *ef = (float)(s->sum / s->n);
    *spread = s->n > 1 ? sqrt(s->squares / (s->n - 1)) : NAN;
    return isfinite(*ef) ? EQ_OK : eq_fail(err, EQ_NUMERIC, "the prediction is not a finite number");
}

enum eq_status eq_predictor_phases(struct eq_predictor *p, const uint8_t *pixels, int phases, float *ef, double *spread,
                                   struct eq_err *err)
{
    struct eq_phases sum = {0};
    assert(p->clips == 1 && phases >= 1);
    for (int k = 0; k < phases; k++) {
        float one;
        EQ_CHECK(eq_predictor_run(p, pixels + (size_t)k * bytes_of_clip(&p->meta), &one, err));
        eq_phases_add(&sum, one);
    }
    return eq_phases_end(&sum, ef, spread, err);
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
