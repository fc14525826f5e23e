/* The model that `bench` measures: a file, or a fresh network where only the time matters. */
#include "bench/bench.h"

#include <string.h>

static void set_form(const struct eq_config *cfg, const struct eq_bench_opts *o, struct eq_model_meta *meta)
{
    if (o->frames_given)
        meta->frames = cfg->data.frames;
    if (o->size_given)
        meta->size = cfg->data.size;
}

static enum eq_status load_or_make(const struct eq_config *cfg, const struct eq_bench_opts *o, struct eq_graph **out,
                                   struct eq_err *err)
{
    /* Statistics that make neither pixels nor EF extreme. */
    const struct eq_model_meta meta = {.frames = cfg->data.frames,
                                       .size = cfg->data.size,
                                       .pixel_mean = 60,
                                       .pixel_std = 50,
                                       .target_mean = 55,
                                       .target_std = 12};
    enum eq_status st = o->model ? eq_model_load(o->model, out, err)
                                 : eq_resnet18_new(&meta, cfg->model.width, (uint64_t)cfg->run.seed, out, err);
    if (st == EQ_OK && o->model)
        set_form(cfg, o, &(*out)->meta);
    return st;
}

enum eq_status eq_bench_open_graph(const struct eq_config *cfg, const struct eq_bench_opts *o, struct eq_graph **out,
                                   struct eq_err *err)
{
    char kind[32];
    enum eq_status st = EQ_OK;
    *out = NULL;
    if (o->model)
        EQ_TRY(eq_model_kind(o->model, kind, err));
    if (o->model && strcmp(kind, EQ_FORMAT_INT8) == 0)
        EQ_TRY(eq_fail(err, EQ_USAGE, "%s is an INT8 model: only FP32 models can be trained", o->model));
    EQ_TRY(load_or_make(cfg, o, out, err));
    EQ_TRY(eq_fuse(*out, err));
out:
    return st;
}

uint8_t *eq_bench_clips(const struct eq_config *cfg, int clips, const struct eq_model_meta *form, struct eq_err *err)
{
    size_t n = (size_t)clips * (size_t)form->frames * (size_t)form->size * (size_t)form->size * 3;
    uint8_t *pixels = eq_alloc(n, 1);
    struct eq_rng rng;
    if (!pixels) {
        eq_fail(err, EQ_NOMEM, "out of memory for %d clips", clips);
        return NULL;
    }
    eq_rng_init(&rng, 1, EQ_RNG_TEST, 0, 0);
    for (size_t i = 0; i < n; i++)
        pixels[i] = cfg->bench.gray && i % 3 ? pixels[i - 1] : (uint8_t)eq_rng_u32(&rng);
    return pixels;
}

/* ---- fake-quant ---------------------------------------------------------- */

struct one_clip {
    const uint8_t *pixels;
    bool given;
};

static enum eq_status next_clip(void *ctx, const uint8_t **pixels, int *n, struct eq_err *err)
{
    struct one_clip *c = ctx;
    (void)err;
    *pixels = c->pixels;
    *n = c->given ? 0 : 1;
    c->given = true;
    return EQ_OK;
}

static enum eq_status rewind_clip(void *ctx, struct eq_err *err)
{
    (void)err;
    ((struct one_clip *)ctx)->given = false;
    return EQ_OK;
}

enum eq_status eq_bench_quantize(const struct eq_config *cfg, struct eq_graph *g, int weight_bits,
                                 enum eq_arithmetic arithmetic, struct eq_err *err)
{
    enum eq_status st;
    struct eq_observer_opts observer = {.kind = EQ_OBSERVER_MINMAX, .averaging = cfg->ptq.averaging};
    struct one_clip clip = {.pixels = eq_bench_clips(cfg, 1, &g->meta, err)};
    struct eq_clip_source source = {.next = next_clip,
                                    .rewind = rewind_clip,
                                    .ctx = &clip,
                                    .max_clips = 1,
                                    .frames = g->meta.frames,
                                    .size = g->meta.size};
    if (!clip.pixels)
        return EQ_NOMEM;
    EQ_TRY(eq_prepare_fake_quant_for(g, weight_bits, arithmetic, err));
    EQ_TRY(eq_calibrate(g, &source, 1, &observer, NULL, NULL, err));
out:
    eq_free((void *)(uintptr_t)clip.pixels);
    return st;
}

/* ---- predictors ---------------------------------------------------------- */

/* PTQ of fresh weights, in the arithmetic of ptq.arithmetic. */
static enum eq_status fresh_int8(const struct eq_config *cfg, const struct eq_bench_opts *o, struct eq_qmodel **out,
                                 struct eq_err *err)
{
    enum eq_status st;
    struct eq_graph *graph = NULL, *folded = NULL;
    EQ_TRY(load_or_make(cfg, o, &graph, err));
    EQ_TRY(eq_fold_batchnorm(graph, &folded, err));
    EQ_TRY(eq_fuse(folded, err));
    EQ_TRY(eq_bench_quantize(cfg, folded, cfg->ptq.weight_bits, cfg->ptq.arithmetic, err));
    EQ_TRY(eq_lower_int8(folded, "ptq", out, err));
out:
    eq_graph_free(graph);
    eq_graph_free(folded);
    return st;
}

enum eq_status eq_bench_open(const struct eq_config *cfg, const struct eq_bench_opts *o, enum eq_precision precision,
                             struct eq_predictor *out, struct eq_err *err)
{
    enum eq_status st = EQ_OK;
    char kind[32] = EQ_FORMAT_FP32;
    struct eq_graph *graph = NULL;
    struct eq_qmodel *m = NULL;
    const struct eq_predictor_opts opts = {precision, o->device, 1, 1};
    memset(out, 0, sizeof *out);
    if (o->model)
        EQ_TRY(eq_model_kind(o->model, kind, err));
    if (o->fresh_int8 || strcmp(kind, EQ_FORMAT_INT8) == 0) {
        if (precision != EQ_PRECISION_FP32)
            EQ_TRY(eq_fail(err, EQ_USAGE, "%s is an INT8 model: --precision (run.precision) is only for FP32 models",
                           o->model ? o->model : "--fresh int8"));
        EQ_TRY(o->model ? eq_qmodel_load(o->model, &m, err) : fresh_int8(cfg, o, &m, err));
        set_form(cfg, o, &m->meta);
        EQ_TRY(o->device ? eq_predictor_from_qmodel_on(out, m, &opts, err) : eq_predictor_from_qmodel(out, m, 1, err));
    } else {
        EQ_TRY(load_or_make(cfg, o, &graph, err));
        EQ_TRY(o->device ? eq_predictor_from_graph_on(out, graph, &opts, err)
                         : eq_predictor_from_graph(out, graph, precision, 1, err));
    }
out:
    eq_graph_free(graph);
    return st;
}
