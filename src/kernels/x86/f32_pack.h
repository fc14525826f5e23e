/* Weights in panels of NR output channels, as gemm_rows reads them; columns beyond the last channel and depths beyond
 * the last are zero. */
#ifndef KERNELS_X86_F32_PACK_H
#define KERNELS_X86_F32_PACK_H

#include "kernels/f32.h"
#include "kernels/x86/f32_gemm.h"

/* OIHW weights seen as n x depth x taps: for the backward pass by data the roles of cin and cout are swapped. */
struct pack_job {
    const float *weights;
    operand *packed;
    size_t n_step, depth_step; /* floats between neighbours */
    int n, depth, taps;
};

static inline size_t panels_bytes(int n, int depth, int taps)
{
    return (size_t)gemm_panels(n) * NR * whole_steps(depth) * taps * sizeof(operand);
}

enum { PACK_DEPTH = 64 }; /* of a piece */

static inline int pack_blocks(int depth)
{
    return (depth + PACK_DEPTH - 1) / PACK_DEPTH;
}

/* Where column i of depth d lies in a matrix [depth / KSTEP][NR][KSTEP]. */
ALWAYS_INLINE size_t pack_at(size_t d, int i)
{
    return (d / KSTEP * NR + i) * KSTEP + d % KSTEP;
}

/* Some depths of a panel [tap][depth / KSTEP][NR][KSTEP]. */
static inline void pack_piece_plain(void *ctx, size_t piece, int worker)
{
    (void)worker;
    const struct pack_job *j = ctx;
    int panel = (int)piece / pack_blocks(j->depth), first = (int)piece % pack_blocks(j->depth) * PACK_DEPTH;
    int depth = whole_steps(j->depth);
    operand *out = j->packed + (size_t)panel * NR * depth * j->taps;
    for (int d = first; d < first + PACK_DEPTH && d < depth; d++)
        for (int i = 0; i < NR; i++) {
            bool exists = panel * NR + i < j->n && d < j->depth;
            const float *w = j->weights + (exists ? (panel * NR + i) * j->n_step + d * j->depth_step : 0);
            for (int tap = 0; tap < j->taps; tap++)
                out[pack_at((size_t)tap * depth + d, i)] = exists ? operand_of(w[tap]) : 0;
        }
}

static inline void pack_run(struct pack_job *job)
{
    eq_parallel_for((size_t)gemm_panels(job->n) * pack_blocks(job->depth), pack_piece_plain, job);
}

static inline void pack_forward(const struct eq_conv_shape *s, const float *weights_oihw, void *packed)
{
    int taps = s->k * s->k;
    struct pack_job job = {weights_oihw, packed, (size_t)s->cin * taps, (size_t)taps, s->cout, s->cin, taps};
    pack_run(&job);
}

static inline void pack_transposed(const struct eq_conv_shape *s, const float *weights_oihw, void *packed)
{
    int taps = s->k * s->k;
    struct pack_job job = {weights_oihw, packed, (size_t)taps, (size_t)s->cin * taps, s->cin, s->cout, taps};
    pack_run(&job);
}

#endif
