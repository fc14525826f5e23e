/* Random output positions of a convolution and the inputs that they sum over. */
#include "quant/patches.h"

struct sample_job {
    const struct eq_patch_spec *spec;
    bool clip_layout;
    size_t clip;
    const float *data;
    float *rows;
};

static const float *pixel(const struct sample_job *j, int y, int x, int t)
{
    const struct eq_conv_shape *s = &j->spec->shape;
    size_t at = j->clip_layout ? ((size_t)t * s->h + y) * s->w + x : ((size_t)y * s->w + x) * s->t + t;
    return j->data + at * s->cin;
}

static void sample_row(void *ctx, size_t row, int worker)
{
    (void)worker;
    const struct sample_job *j = ctx;
    const struct eq_conv_shape *s = &j->spec->shape;
    int taps = s->k * s->k;
    float *out = j->rows + row * (size_t)s->cin * taps;
    struct eq_rng rng;
    eq_rng_init(&rng, j->spec->seed + (uint64_t)j->spec->node, EQ_RNG_ROUND, (uint32_t)j->clip, (uint32_t)row);
    int oy = (int)eq_rng_below(&rng, (uint32_t)s->oh), ox = (int)eq_rng_below(&rng, (uint32_t)s->ow);
    int t = (int)eq_rng_below(&rng, (uint32_t)s->t);
    for (int tap = 0; tap < taps; tap++) {
        int y = oy * s->stride - s->pad + tap / s->k, x = ox * s->stride - s->pad + tap % s->k;
        bool inside = y >= 0 && y < s->h && x >= 0 && x < s->w;
        const float *in = inside ? pixel(j, y, x, t) : NULL;
        for (int c = 0; c < s->cin; c++)
            out[(size_t)c * taps + tap] = inside ? in[c] : 0;
    }
}

void eq_patches_sample(const struct eq_patch_spec *spec, size_t clip, const float *data, float *rows)
{
    const struct eq_node *src = &spec->g->nodes[spec->g->nodes[spec->node].src[0]];
    struct sample_job job = {
        .spec = spec, .clip_layout = src->op == EQ_OP_INPUT, .clip = clip, .data = data, .rows = rows};
    eq_parallel_for((size_t)spec->per_clip, sample_row, &job);
}
