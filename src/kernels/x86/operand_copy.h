/* Activations and gradients as operands: floats are used in place, BF16 is a copy in the caller's scratch. */
#ifndef KERNELS_X86_OPERAND_COPY_H
#define KERNELS_X86_OPERAND_COPY_H

#include "kernels/conv.h"
#include "kernels/x86/operand.h"

#if defined(__AVX512BF16__)

enum { COPY_ROWS = 256 }; /* of a piece */

struct operand_copy_job {
    const float *src;
    operand *dst;
    size_t rows;
    int c;
};

static inline void operand_copy_piece(void *ctx, size_t piece, int worker)
{
    (void)worker;
    const struct operand_copy_job *j = ctx;
    int whole = whole_steps(j->c);
    size_t end = (piece + 1) * COPY_ROWS < j->rows ? (piece + 1) * COPY_ROWS : j->rows;
    for (size_t row = piece * COPY_ROWS; row < end; row++)
        for (int c = 0; c < whole; c += VL) {
            vf x = v_load_part(j->src + row * j->c + c, v_mask(j->c - c));
            operand_store_padded(j->dst + row * whole + c, whole - c, x);
        }
}

static inline size_t operand_copy_bytes(size_t rows, int c)
{
    return eq_align64(rows * whole_steps(c) * sizeof(operand));
}

/* Rows of c channels, in whole steps. */
static inline const operand *operand_copy(const float *src, size_t rows, int c, void *scratch)
{
    struct operand_copy_job job = {src, scratch, rows, c};
    eq_parallel_for((rows + COPY_ROWS - 1) / COPY_ROWS, operand_copy_piece, &job);
    return scratch;
}

/* Frames of a pixel stand together already: src as [pixel][t / KSTEP][c][KSTEP]. */
struct operand_frames_job {
    const float *src;
    operand *dst;
    size_t frame_step, pixel_step; /* floats between neighbors in src */
    int pixels, t, c;              /* pixels of a clip */
};

enum { COPY_PIXELS = 16 }; /* of a piece */

static inline void operand_frames_piece(void *ctx, size_t piece, int worker)
{
    (void)worker;
    const struct operand_frames_job *j = ctx;
    size_t pieces = (j->pixels + COPY_PIXELS - 1) / COPY_PIXELS, clip = piece / pieces;
    int first = (int)(piece % pieces) * COPY_PIXELS, end = first + COPY_PIXELS;
    const float *in = j->src + clip * j->pixels * j->t * j->c;
    operand *out = j->dst + (clip * j->pixels + first) * whole_steps(j->t) * j->c;
    for (int pixel = first; pixel < end && pixel < j->pixels; pixel++)
        for (int f = 0; f < j->t; f += KSTEP, out += j->c * KSTEP)
            for (int c = 0; c < j->c; c += VL) {
                const float *at = in + pixel * j->pixel_step + f * j->frame_step + c;
                vmask m = v_mask(j->c - c);
                vf x = v_load_part(at, m), y = f + 1 < j->t ? v_load_part(at + j->frame_step, m) : v_zero();
                operand_store_steps(out + c * KSTEP, m, x, y);
            }
}

static inline size_t operand_frames_bytes(size_t pixels, int t, int c)
{
    return eq_align64(pixels * whole_steps(t) * c * sizeof(operand));
}

/* Copies b clips of `pixels` pixels, in clip or pixel layout, to pixel layout with the frames of a step side by side. A
 * zero frame completes an odd number of them. */
static inline const operand *operand_frames(const float *src, enum eq_layout layout, int b, int pixels, int t, int c,
                                            void *scratch)
{
    struct operand_frames_job job = {src, scratch, (size_t)c, (size_t)t * c, pixels, t, c};
    if (layout == EQ_LAYOUT_CLIP) {
        job.frame_step = (size_t)pixels * c;
        job.pixel_step = (size_t)c;
    }
    eq_parallel_for((size_t)b * ((pixels + COPY_PIXELS - 1) / COPY_PIXELS), operand_frames_piece, &job);
    return scratch;
}

#else

static inline size_t operand_copy_bytes(size_t rows, int c)
{
    (void)rows;
    (void)c;
    return 0;
}

static inline const operand *operand_copy(const float *src, size_t rows, int c, void *scratch)
{
    (void)rows;
    (void)c;
    (void)scratch;
    return src;
}

#endif
#endif
