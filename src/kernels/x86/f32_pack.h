/* Weights in panels of NR output channels, as gemm_rows reads them; columns beyond the last channel and depths beyond
 * the last are zero. */
#ifndef KERNELS_X86_F32_PACK_H
#define KERNELS_X86_F32_PACK_H

#include "kernels/conv.h"
#include "kernels/x86/f32_gemm.h"
#include "kernels/x86/f32_transpose.h"

/* OIHW weights seen as n x depth x taps. For the backward pass by data the roles of cin and cout are swapped. */
struct pack_job {
    const float *weights;
    operand *packed;
    size_t n_step, depth_step; /* floats between neighbors */
    int n, depth, taps;
    bool swapped;
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

enum { GATHER = 144 }; /* taps of one channel that are gathered at once */

/* The number of depths that fit a buffer of GATHER taps. */
static inline int gather_depths(int taps)
{
    return GATHER / taps > 0 ? GATHER / taps : 1;
}

/* to[depth][tap][VL]: count depths from d on, of channels n..n + VL - 1; zero where the weights end. Channels or depths
 * lie pages apart, so the lines of the next count depths are asked for meanwhile. */
ALWAYS_INLINE void gather_taps(const struct pack_job *j, int n, int d, int count, float *to)
{
    const float *from = j->weights + n * j->n_step + d * j->depth_step;
    int rows = j->n - n < VL ? j->n - n : VL, length = j->taps;
    int there = rows <= 0 ? 0 : j->depth - d < count ? j->depth - d : count;
    const size_t ahead = d + 2 * count <= j->depth ? count * j->depth_step : 0;
    memset(to + (size_t)there * j->taps * VL, 0, (size_t)(count - there) * j->taps * VL * sizeof *to);
    if (j->depth_step == (size_t)j->taps && there > 0) { /* one run of floats */
        length *= there;
        there = 1;
    }
    for (; there > 0; there--, from += j->depth_step)
        for (int i = 0; i < length; i += VL) {
            int part = length - i < VL ? length - i : VL;
            if (ahead)
                for (int row = 0; row < rows; row++)
                    v_prefetch(from + i + row * j->n_step + ahead);
            transpose_in(from + i, j->n_step, rows, part, to);
            to += part * VL;
        }
}

/* Where column i of depth d's step begins in a matrix [depth / KSTEP][NR][KSTEP]. */
ALWAYS_INLINE size_t pack_at(size_t d, int i)
{
    return (d / KSTEP * NR + i) * KSTEP;
}

/* Some depths of a panel [tap][depth / KSTEP][NR][KSTEP]; a last step's missing depths are zero. */
static inline void pack_piece_plain(void *ctx, size_t piece, int worker)
{
    (void)worker;
    const struct pack_job *j = ctx;
    float taps[GATHER * VL];
    int panel = (int)piece / pack_blocks(j->depth), first = (int)piece % pack_blocks(j->depth) * PACK_DEPTH;
    int depth = whole_steps(j->depth), end = first + PACK_DEPTH < depth ? first + PACK_DEPTH : depth;
    int step = gather_depths(j->taps);
    operand *out = j->packed + (size_t)panel * NR * depth * j->taps;
    for (int d = first; d < end; d += step)
        for (int lane = 0; lane < NR; lane += VL) {
            int count = end - d < step ? end - d : step;
            gather_taps(j, panel * NR + lane, d, count, taps);
            for (int i = 0; i < count; i++)
                for (int tap = 0; tap < j->taps; tap++)
                    operand_store_column(out + pack_at((size_t)tap * depth + d + i, lane), (d + i) % KSTEP,
                                         v_load(taps + (i * j->taps + tap) * VL));
        }
}

static inline struct pack_job pack_job_of(const struct eq_conv_shape *s, const float *weights_oihw, void *packed,
                                          bool swapped)
{
    const size_t taps = (size_t)s->k * s->k, row = s->cin * taps;
    if (swapped)
        return (struct pack_job){weights_oihw, packed, taps, row, s->cin, s->cout, (int)taps, true};
    return (struct pack_job){weights_oihw, packed, row, taps, s->cout, s->cin, (int)taps, false};
}

/* fn: packs a block of depths of a panel. */
static inline void pack_run(const struct eq_conv_shape *s, const float *weights_oihw, void *packed, bool swapped,
                            eq_piece_fn fn)
{
    struct pack_job job = pack_job_of(s, weights_oihw, packed, swapped);
    eq_parallel_for((size_t)gemm_panels(job.n) * pack_blocks(job.depth), fn, &job);
}

static inline void pack_forward(const struct eq_conv_shape *s, const float *weights_oihw, void *packed)
{
    pack_run(s, weights_oihw, packed, false, pack_piece_plain);
}

static inline void pack_transposed(const struct eq_conv_shape *s, const float *weights_oihw, void *packed)
{
    pack_run(s, weights_oihw, packed, true, pack_piece_plain);
}

#endif
