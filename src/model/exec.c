/* The executor's life: made for one graph and one shape, asked, freed. */
#include "model/exec.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_CLIPS = 4096, MAX_FRAMES = 1024, MAX_SIZE = 4096 };

static enum eq_status allocate(struct eq_graph *g, int clips, int frames, int size, struct eq_exec **out,
                               struct eq_err *err)
{
    if (clips < 1 || clips > MAX_CLIPS || frames < 1 || frames > MAX_FRAMES || size < 1 || size > MAX_SIZE)
        return eq_fail(err, EQ_USAGE, "%d clips of %d frames at %d pixels: at least 1, at most %d, %d and %d", clips,
                       frames, size, MAX_CLIPS, MAX_FRAMES, MAX_SIZE);
    struct eq_exec *x = calloc(1, sizeof(*x));
    if (x) {
        *x = (struct eq_exec){.g = g, .clips = clips, .frames = frames, .size = size, .weights_dirty = true};
        x->threads = eq_parallel_threads();
        x->nodes = calloc((size_t)g->n_nodes, sizeof(*x->nodes));
        x->grads = calloc((size_t)g->n_params + 1, sizeof(*x->grads));
        x->node_ms = calloc(2 * (size_t)g->n_nodes, sizeof(*x->node_ms));
    }
    *out = x;
    return x && x->nodes && x->grads && x->node_ms ? EQ_OK : eq_fail(err, EQ_NOMEM, "out of memory for an executor");
}

enum eq_status eq_exec_new(struct eq_graph *g, enum eq_exec_mode mode, int clips, int frames, int size,
                           struct eq_exec **out, struct eq_err *err)
{
    return eq_exec_new_in(EQ_PRECISION_FP32, g, mode, clips, frames, size, out, err);
}

enum eq_status eq_exec_new_in(enum eq_precision precision, struct eq_graph *g, enum eq_exec_mode mode, int clips,
                              int frames, int size, struct eq_exec **out, struct eq_err *err)
{
    enum eq_status st = EQ_OK;
    struct eq_exec *x = NULL;
    *out = NULL;
    EQ_TRY(eq_precision_check(precision, err));
    EQ_TRY(allocate(g, clips, frames, size, &x, err));
    x->mode = mode;
    x->precision = precision;
    EQ_TRY(eq_exec_infer_shapes(x, err));
    EQ_TRY(eq_exec_check(x, err));
    EQ_TRY(eq_exec_plan(x, err));
    *out = x;
    x = NULL;
out:
    eq_exec_free(x);
    return st;
}

void eq_exec_free(struct eq_exec *x)
{
    if (!x)
        return;
    eq_free(x->arena);
    free(x->nodes);
    free(x->grads);
    free(x->node_ms);
    free(x->plan);
    free(x->slots);
    free(x);
}

void eq_exec_set_hook(struct eq_exec *x, const struct eq_walk_hook *hook)
{
    x->hook = hook ? *hook : (struct eq_walk_hook){0};
}

void eq_exec_zero_grads(struct eq_exec *x)
{
    for (int i = 0; i < x->g->n_params; i++)
        if (x->grads[i])
            memset(x->grads[i], 0, eq_tensor_bytes(&x->g->params[i].value));
    for (int i = 0; i < x->g->n_fake_quants; i++) {
        struct eq_fake_quant *fq = &x->g->fake_quants[i];
        if (fq->diff_scale)
            memset(fq->diff_scale, 0, (size_t)fq->channels * sizeof(float));
    }
}

float *eq_exec_grad(struct eq_exec *x, int param)
{
    return x->grads[param];
}

void eq_exec_weights_changed(struct eq_exec *x)
{
    x->weights_dirty = true;
}

size_t eq_exec_arena_bytes(const struct eq_exec *x)
{
    return x->arena_bytes;
}

size_t eq_exec_packed_bytes(const struct eq_exec *x)
{
    size_t bytes = 0;
    for (int i = 0; x->mode == EQ_EXEC_INFER && i < x->g->n_nodes; i++)
        if (x->g->nodes[i].op == EQ_OP_CONV2D)
            bytes += eq_conv2d_packed_bytes(&x->nodes[i].conv, EQ_CONV_FORWARD);
    return bytes;
}

void eq_exec_set_timing(struct eq_exec *x, bool on)
{
    x->timing = on;
}

const double *eq_exec_node_ms(const struct eq_exec *x)
{
    return x->timing ? x->node_ms : NULL;
}

double eq_exec_node_backward_ms(const struct eq_exec *x, int node)
{
    return x->timing ? x->node_ms[eq_exec_backward_time(x, node)] : 0;
}

bool eq_exec_conv_shape(const struct eq_exec *x, int node, struct eq_conv_shape *shape)
{
    if (node < 0 || node >= x->g->n_nodes || x->g->nodes[node].op != EQ_OP_CONV2D)
        return false;
    *shape = x->nodes[node].conv.shape;
    return true;
}
