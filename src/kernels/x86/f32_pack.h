/* Weights in panels of NR output channels, as gemm_rows reads them; columns beyond the last channel are zero. */
#ifndef KERNELS_X86_F32_PACK_H
#define KERNELS_X86_F32_PACK_H

#include "kernels/f32.h"
#include "kernels/x86/f32_gemm.h"

/* OIHW weights seen as n x depth x taps: for the backward pass by data the roles of cin and cout are swapped. */
struct pack_job {
    const float *weights;
    float *packed;
    size_t n_step, depth_step; /* floats between neighbours */
    int n, depth, taps;
};

static inline size_t panels_bytes(int n, int depth, int taps)
{
    return (size_t)gemm_panels(n) * NR * depth * taps * sizeof(float);
}

/* A panel: [tap][depth][NR]. */
static inline void pack_panel(void *ctx, size_t panel, int worker)
{
    (void)worker;
    const struct pack_job *j = ctx;
    int first = (int)panel * NR;
    float *out = j->packed + panel * NR * j->depth * j->taps;
    for (int i = 0; i < NR; i++)
        for (int d = 0; d < j->depth; d++)
            for (int tap = 0; tap < j->taps; tap++) {
                const float *w = j->weights + (first + i) * j->n_step + d * j->depth_step + tap;
                out[((size_t)tap * j->depth + d) * NR + i] = first + i < j->n ? *w : 0;
            }
}

static inline void pack_forward(const struct eq_conv_shape *s, const float *weights_oihw, void *packed)
{
    int taps = s->k * s->k;
    struct pack_job job = {weights_oihw, packed, (size_t)s->cin * taps, (size_t)taps, s->cout, s->cin, taps};
    eq_parallel_for((size_t)gemm_panels(s->cout), pack_panel, &job);
}

static inline void pack_transposed(const struct eq_conv_shape *s, const float *weights_oihw, void *packed)
{
    int taps = s->k * s->k;
    struct pack_job job = {weights_oihw, packed, (size_t)taps, (size_t)s->cin * taps, s->cin, s->cout, taps};
    eq_parallel_for((size_t)gemm_panels(s->cin), pack_panel, &job);
}

#endif
