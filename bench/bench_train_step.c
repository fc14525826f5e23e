/*
 * What a training step costs with and without fake-quant, on random clips:
 *
 *   bench_train_step [--frames=12] [--size=112] [--batch=4] [--width=64] [--steps=5] [--bits=8] [--layers=0]
 *
 * One line each for FP32, STE and LSQ: the minimum of its steps in ms (forward, loss, backward, clipping, AdamW, and
 * for the quantized ones observers and scales), and its ratio to FP32. The three take turns. --layers=1 adds the time
 * of each node's forward pass.
 */
#include "echoquant/nn.h"
#include "echoquant/quant.h"

#include <stdlib.h>
#include <string.h>

struct options {
    int frames, size, batch, width, steps, bits, layers;
};
enum way { FP32, STE, LSQ, WAYS };
static const char *const way_names[WAYS] = {"FP32", "STE", "LSQ"};

struct trainee {
    struct eq_graph *g;
    struct eq_exec *exec;
    struct eq_optim optim;
    struct eq_qat_observers *observers;
    struct eq_lsq *lsq;
    float **params, **grads;
    bool *decay;
    size_t *n, n_params;
    double best;
};

static enum eq_status next_clip(void *ctx, const uint8_t **pixels, int *n, struct eq_err *err)
{
    uint8_t **left = ctx;
    (void)err;
    *n = *left ? 1 : 0;
    *pixels = *left;
    *left = NULL;
    return EQ_OK;
}

static enum eq_status rewind_clip(void *ctx, struct eq_err *err)
{
    (void)ctx, (void)err;
    return EQ_OK;
}

static enum eq_status quantize(struct trainee *t, const struct options *o, enum way way, uint8_t *pixels,
                               struct eq_err *err)
{
    enum eq_status st;
    struct eq_observer_opts opts = {.kind = EQ_OBSERVER_MOVING_AVERAGE, .averaging = 0.01};
    struct eq_clip_source source = {
        .next = next_clip, .rewind = rewind_clip, .ctx = &pixels, .max_clips = 1, .frames = o->frames, .size = o->size};
    EQ_TRY(eq_prepare_fake_quant(t->g, o->bits, err));
    EQ_TRY(eq_calibrate(t->g, &source, 1, &opts, NULL, NULL, err));
    if (way == LSQ) {
        EQ_TRY(eq_prepare_lsq(t->g, err));
        EQ_TRY(eq_lsq_new(t->g, &t->lsq, err));
    } else {
        EQ_TRY(eq_qat_observers_new(t->g, &opts, &t->observers, err));
    }
out:
    return st;
}

static enum eq_status list_params(struct trainee *t, struct eq_err *err)
{
    size_t max = (size_t)t->g->n_params;
    t->params = calloc(max, sizeof *t->params);
    t->grads = calloc(max, sizeof *t->grads);
    t->decay = calloc(max, sizeof *t->decay);
    t->n = calloc(max, sizeof *t->n);
    if (!t->params || !t->grads || !t->decay || !t->n)
        return eq_fail(err, EQ_NOMEM, "out of memory");
    for (int i = 0; i < t->g->n_params; i++) {
        const struct eq_param *p = &t->g->params[i];
        if (!p->trainable)
            continue;
        t->params[t->n_params] = p->data;
        t->grads[t->n_params] = eq_exec_grad(t->exec, i);
        t->decay[t->n_params] = p->decay;
        t->n[t->n_params++] = p->n;
    }
    struct eq_optim_opts opts = {EQ_OPTIM_ADAMW, 1e-5, 0.01, 0, 0.9, 0.999, 1e-8};
    return eq_optim_init(&t->optim, &opts, t->n_params, t->n, err);
}

static enum eq_status begin(struct trainee *t, const struct options *o, enum way way, uint8_t *pixels,
                            struct eq_err *err)
{
    enum eq_status st;
    struct eq_model_meta meta = {o->frames, o->size, 60, 50, 55, 12};
    EQ_TRY(eq_resnet18_new(&meta, o->width, 1, &t->g, err));
    EQ_TRY(eq_fuse(t->g, err));
    if (way != FP32)
        EQ_TRY(quantize(t, o, way, pixels, err));
    EQ_TRY(eq_exec_new(t->g, EQ_EXEC_TRAIN, o->batch, o->frames, o->size, &t->exec, err));
    if (t->observers) {
        struct eq_walk_hook hook = eq_qat_observers_hook(t->observers);
        eq_exec_set_hook(t->exec, &hook);
    }
    eq_exec_set_timing(t->exec, o->layers != 0);
    t->best = 1e9;
    EQ_TRY(list_params(t, err));
out:
    return st;
}

static enum eq_status step(struct trainee *t, const uint8_t *pixels, const float *target, int batch, float *ef,
                           struct eq_err *err)
{
    enum eq_status st;
    double start = eq_now_ms();
    EQ_TRY(eq_update_weight_qparams(t->g, err));
    EQ_TRY(eq_exec_forward(t->exec, pixels, ef, err));
    eq_loss_forward(EQ_LOSS_HUBER, ef, target, (size_t)batch, 12, ef + batch);
    EQ_TRY(eq_exec_backward(t->exec, ef + batch, err));
    eq_clip_grad_norm(t->grads, t->n, t->n_params, 5);
    eq_optim_step(&t->optim, t->params, t->grads, t->decay, 1e-5);
    if (t->lsq)
        EQ_TRY(eq_lsq_step(t->lsq, 1e-3, err));
    eq_exec_zero_grads(t->exec);
    double ms = eq_now_ms() - start;
    t->best = ms < t->best ? ms : t->best;
out:
    return st;
}

static void end(struct trainee *t)
{
    eq_optim_clear(&t->optim);
    eq_exec_free(t->exec);
    eq_qat_observers_free(t->observers);
    eq_lsq_free(t->lsq);
    eq_graph_free(t->g);
    free(t->params);
    free(t->grads);
    free(t->decay);
    free(t->n);
}

static void print_layers(const struct trainee t[WAYS])
{
    for (int i = 0; i < t[FP32].g->n_nodes; i++) {
        printf("%-24s", t[FP32].g->nodes[i].name);
        for (int way = 0; way < WAYS; way++)
            printf(" %8.2f", eq_exec_node_ms(t[way].exec)[i]);
        printf("\n");
    }
}

static enum eq_status bench(const struct options *o, struct eq_err *err)
{
    enum eq_status st;
    struct trainee t[WAYS] = {{0}};
    struct eq_rng rng;
    size_t n = (size_t)o->batch * (size_t)o->frames * (size_t)o->size * (size_t)o->size * 3;
    uint8_t *pixels = eq_alloc(n, 1);
    float *target = eq_alloc((size_t)o->batch, sizeof *target), *ef = eq_alloc(2 * (size_t)o->batch, sizeof *ef);
    if (!pixels || !target || !ef) {
        st = eq_fail(err, EQ_NOMEM, "out of memory");
        goto out;
    }
    eq_rng_init(&rng, 1, EQ_RNG_TEST, 0, 0);
    for (size_t i = 0; i < n; i++)
        pixels[i] = (uint8_t)(120 * eq_rng_uniform(&rng));
    for (int i = 0; i < o->batch; i++)
        target[i] = (float)(40 + 5 * i);
    for (int way = 0; way < WAYS; way++)
        EQ_TRY(begin(&t[way], o, (enum way)way, pixels, err));
    for (int k = 0; k <= o->steps; k++)
        for (int way = 0; way < WAYS; way++)
            EQ_TRY(step(&t[way], pixels, target, o->batch, ef, err));
    if (o->layers)
        print_layers(t);
    for (int way = 0; way < WAYS; way++)
        printf("%-5s %8.1f ms  %.2f\n", way_names[way], t[way].best, t[way].best / t[FP32].best);
out:
    for (int way = 0; way < WAYS; way++)
        end(&t[way]);
    eq_free(pixels);
    eq_free(target);
    eq_free(ef);
    return st;
}

int main(int argc, char **argv)
{
    struct options o = {12, 112, 4, 64, 5, 8, 0};
    struct {
        const char *name;
        int *value, max;
    } known[] = {{"--frames=", &o.frames, 64}, {"--size=", &o.size, 512},    {"--batch=", &o.batch, 64},
                 {"--width=", &o.width, 256},  {"--steps=", &o.steps, 1000}, {"--bits=", &o.bits, 8},
                 {"--layers=", &o.layers, 1}};
    struct eq_err err = {0};
    for (int i = 1; i < argc; i++) {
        bool found = false;
        for (size_t k = 0; k < sizeof known / sizeof *known && !found; k++) {
            int64_t v;
            size_t len = strlen(known[k].name);
            found = strncmp(argv[i], known[k].name, len) == 0 && eq_parse_int64(argv[i] + len, &v) && v >= 0 &&
                    v <= known[k].max;
            if (found)
                *known[k].value = (int)v;
        }
        if (!found) {
            fprintf(stderr, "%s: not an option, or out of range\n", argv[i]);
            return 2;
        }
    }
    eq_kernels_init();
    if (eq_parallel_init(0, &err) != EQ_OK || bench(&o, &err) != EQ_OK) {
        fprintf(stderr, "%s\n", err.msg);
        return eq_exit_code(err.status);
    }
    return 0;
}
