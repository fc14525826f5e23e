/*
 * Clips without color. Ultrasound is gray: where R, G and B of a clip are the same in every pixel, which is checked and
 * not assumed, the first convolution reads one channel and takes the sums of its weights over the three. Their
 * gradients are equal, so one is computed for all of them. Each clip is judged alone, so that its EF has the same bits
 * in any batch. An input edge holds the clips one after the other, with one or three channels each. BF16 keeps three,
 * whose weights it rounds one by one.
 */
#include "model/exec.h"

#include <string.h>

enum { CHANNELS = 3 };

/* ---- planning ------------------------------------------------------------ */

static bool is_possible(const struct eq_exec *x, const struct exec_node *nd)
{
    const struct eq_node *src = &x->g->nodes[nd->node->src[0]];
    return src->op == EQ_OP_INPUT && x->mode != EQ_EXEC_SIMULATE && x->precision == EQ_PRECISION_FP32 && !x->watched &&
           nd->node->residual < 0 && eq_graph_uses(x->g, nd->node->src[0]) == 1;
}

void eq_exec_plan_gray(struct eq_exec *x, struct exec_node *nd, size_t scratch[EQ_CONV_PASSES])
{
    struct exec_gray *gray = &nd->gray;
    const bool trains = x->mode == EQ_EXEC_TRAIN;
    const int end = 2 * x->g->n_nodes - 1, back = eq_exec_backward_time(x, nd->i);
    if (!is_possible(x, nd))
        return;
    gray->possible = x->nodes[nd->node->src[0]].may_be_gray = true;
    struct eq_conv_shape s = nd->conv.shape;
    s.cin = 1;
    eq_conv2d_init(&gray->conv, &s, x->precision, trains);
    for (int pass = 0; pass < EQ_CONV_PASSES; pass++)
        if (pass != EQ_CONV_BACKWARD_DATA) {
            const size_t bytes = eq_conv2d_scratch_bytes(&gray->conv, (enum eq_conv_pass)pass);
            scratch[pass] = bytes > scratch[pass] ? bytes : scratch[pass];
        }
    const size_t weights = (size_t)s.cout * s.k * s.k * sizeof(float);
    const size_t packed = eq_conv2d_packed_bytes(&gray->conv, EQ_CONV_FORWARD);
    eq_plan_reserve(&x->plan, nd->i, EXEC_GRAY_WEIGHTS, weights, 0, end);
    eq_plan_reserve(&x->plan, nd->i, EXEC_GRAY_PACKED, packed, trains ? nd->i : 0, trains ? nd->i : end);
    eq_plan_reserve(&x->plan, nd->i, EXEC_GRAY_GRAD, trains ? weights : 0, back, back);
    eq_plan_reserve(&x->plan, nd->node->src[0], EXEC_PLANES, nd->in->n / CHANNELS, 0, 0);
}

/* ---- the input ----------------------------------------------------------- */

/* Whether the three bytes of each of n pixels are equal: each byte but a pixel's last is compared with the next one. */
static bool is_gray(const uint8_t *x, size_t n)
{
    enum { BYTES = 16 * CHANNELS }; /* of whole pixels and of whole vectors, for the compiler */
    uint8_t care[BYTES], differs[BYTES] = {0}, any = 0;
    const uint8_t *end = x + n * CHANNELS;
    for (int i = 0; i < BYTES; i++)
        care[i] = i % CHANNELS == CHANNELS - 1 ? 0 : UINT8_MAX;
    for (; end - x > BYTES; x += BYTES)
        for (int i = 0; i < BYTES; i++)
            differs[i] |= (uint8_t)(x[i] ^ x[i + 1]) & care[i];
    for (int i = 0; i < BYTES; i++)
        any |= differs[i];
    for (; x < end; x += CHANNELS)
        any |= (uint8_t)((x[0] ^ x[1]) | (x[1] ^ x[2]));
    return any == 0;
}

static void take_plane(void *ctx, size_t clip, int worker)
{
    (void)worker;
    struct eq_exec *x = ctx;
    const size_t n = x->nodes[0].plan->n / (size_t)x->clips / CHANNELS;
    const uint8_t *rgb = x->pixels + clip * n * CHANNELS;
    uint8_t *plane = x->nodes[0].planes + clip * n;
    x->gray[clip] = is_gray(rgb, n);
    for (size_t i = 0; x->gray[clip] && i < n; i++)
        plane[i] = rgb[i * CHANNELS];
}

/* The next clips of one kind. */
struct run {
    int first, n;
    bool gray;
    size_t at, floats; /* of the input edge */
};

static bool next_run(const struct eq_exec *x, struct run *r)
{
    const size_t clip = x->nodes[0].plan->n / (size_t)x->clips;
    r->first += r->n;
    r->at += r->floats;
    r->n = 0;
    if (r->first == x->clips)
        return false;
    r->gray = x->gray[r->first];
    while (r->first + r->n < x->clips && x->gray[r->first + r->n] == r->gray)
        r->n++;
    r->floats = (size_t)r->n * (r->gray ? clip / CHANNELS : clip);
    return true;
}

void eq_exec_forward_input(struct eq_exec *x, struct exec_node *nd)
{
    const float mean = (float)x->g->meta.pixel_mean, inv_std = 1.0f / x->g->meta.pixel_std;
    const size_t clip = nd->plan->n / (size_t)x->clips;
    if (!nd->may_be_gray) {
        eq_image_kernels()->normalize(x->pixels, nd->plan->n, mean, inv_std, eq_exec_dst(nd));
        return;
    }
    eq_parallel_for((size_t)x->clips, take_plane, x);
    nd->n = 0;
    for (struct run r = {0}; next_run(x, &r); nd->n += r.floats) {
        const uint8_t *src =
            r.gray ? nd->planes + (size_t)r.first * clip / CHANNELS : x->pixels + (size_t)r.first * clip;
        eq_image_kernels()->normalize(src, r.floats, mean, inv_std, eq_exec_dst(nd) + r.at);
    }
}

/* ---- the convolution ----------------------------------------------------- */

/* The layer for the clips of a run. */
static struct eq_conv2d layer_of(const struct exec_node *nd, const struct run *r)
{
    struct eq_conv2d l = r->gray ? nd->gray.conv : nd->conv;
    l.shape.b = r->n;
    return l;
}

/* [cout][3][k * k] to [cout][k * k] */
static void sum_channels(const struct eq_conv_shape *s, const float *weights, float *sums)
{
    const size_t taps = (size_t)s->k * s->k;
    for (int co = 0; co < s->cout; co++, weights += CHANNELS * taps, sums += taps)
        for (size_t tap = 0; tap < taps; tap++)
            sums[tap] = weights[tap] + weights[taps + tap] + weights[2 * taps + tap];
}

void eq_exec_gray_pack(struct exec_node *nd, const float *weights)
{
    sum_channels(&nd->gray.conv.shape, weights, nd->gray.weights);
    nd->gray.packed = eq_conv2d_pack(&nd->gray.conv, EQ_CONV_FORWARD, nd->gray.weights, nd->gray.packed_at);
}

void eq_exec_gray_forward(struct eq_exec *x, struct exec_node *nd, const void *packed,
                          const struct eq_f32_epilogue *epi, const struct exec_node *made)
{
    const size_t clip = made->plan->n / (size_t)x->clips;
    for (struct run r = {0}; next_run(x, &r);) {
        const struct eq_conv2d l = layer_of(nd, &r);
        eq_conv2d_forward(&l, x->nodes[0].out + r.at, r.gray ? nd->gray.packed : packed, epi,
                          eq_exec_dst(made) + (size_t)r.first * clip, nd->scratch[EQ_CONV_FORWARD]);
    }
}

bool eq_exec_all_gray(const struct eq_exec *x, const struct exec_node *nd)
{
    bool all = nd->gray.possible;
    for (int clip = 0; clip < x->clips; clip++)
        all = all && x->gray[clip];
    return all;
}

/* To the gradients of all three channels. */
static void add_to_channels(const struct eq_conv_shape *s, const float *grad, float *dw)
{
    const size_t taps = (size_t)s->k * s->k;
    for (int co = 0; co < s->cout; co++, grad += taps)
        for (int c = 0; c < CHANNELS; c++, dw += taps)
            for (size_t tap = 0; tap < taps; tap++)
                dw[tap] += grad[tap];
}

void eq_exec_gray_backward_weights(struct eq_exec *x, const struct exec_node *nd, float *dw)
{
    const size_t clip = nd->plan->n / (size_t)x->clips;
    const struct eq_conv_shape *s = &nd->gray.conv.shape;
    void *scratch = nd->scratch[EQ_CONV_BACKWARD_WEIGHTS];
    for (struct run r = {0}; next_run(x, &r);) {
        const struct eq_conv2d l = layer_of(nd, &r);
        float *grad = r.gray ? nd->gray.grad : dw;
        if (r.gray)
            memset(grad, 0, (size_t)s->cout * s->k * s->k * sizeof *grad);
        eq_conv2d_backward_weights(&l, x->nodes[0].out + r.at, nd->diff + (size_t)r.first * clip, grad, scratch);
        if (r.gray)
            add_to_channels(s, grad, dw);
    }
}
