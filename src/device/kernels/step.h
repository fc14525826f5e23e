/*
 * One launch of a kernel, as the host describes it: read by the host's C and by the text of the kernels, so only types
 * of a fixed size. A word is 4 bytes: 4 channels of a u8 edge, or one channel of a float edge. Edges are
 * [clip][height][width][frame][words]; the channels of u8 edges are padded to whole words.
 */
#ifndef DEVICE_KERNELS_STEP_H
#define DEVICE_KERNELS_STEP_H

#if defined(__OPENCL_C_VERSION__) || defined(__OPENCL_VERSION__)
typedef long eq_step_offset;
#else
#include <stdint.h>
typedef int64_t eq_step_offset;
#endif

enum {
    EQ_STEP_RELU = 1,
    EQ_STEP_RESIDUAL = 2,
    EQ_STEP_RESIDUAL_BYTES = 4, /* float convolutions: the residual is a u8 edge, */
    EQ_STEP_TARGET_BYTES = 8    /* and so is the output */
};
/* How a convolution reads four neighbors of a row: word by word, each with a tap of its own; one load of 16 bytes; for
 * float convolutions, one word of a u8 edge, dequantized. */
enum { EQ_STEP_WORDS, EQ_STEP_QUADS, EQ_STEP_BYTES };

struct eq_device_step {
    eq_step_offset source, target, residual; /* edges: bytes in the arena */
    eq_step_offset weights;                  /* packed for the kernel (conv.c) */
    eq_step_offset channels;                 /* of a convolution: m, b, sum of weights, each [columns] */
    eq_step_offset taps;                     /* of a convolution: for each load of a row: where from (struct int2) */
    int clips, frames, height, width, words; /* of the source */
    int out_height, out_width, out_words, out_channels;
    int window, stride, pad;
    int rows;    /* of the product: clips * out_height * out_width * frames */
    int columns; /* out_channels, padded to the kernel's tile */
    int depth;   /* loads of 4 words in a row, padded to the kernel's steps */
    int load;
    int flags;
    int source_zero, residual_zero, target_zero;
    float source_scale, residual_scale; /* u8s8: residual_scale is in steps of the target */
    float target_inverse;               /* 1 / scale of a u8 target */
    float least, most;                  /* of the target, in steps from its zero-point */
    int pieces;                         /* of a clip's rows in the head */
    /* Of a convolution that pools: the window, the pooled picture, and what a group makes: pooled pixels of a line,
     * lines, and frames. */
    int pool_window, pool_stride, pool_pad, pool_height, pool_width;
    int pool_across, pool_down, pool_frames;
    int layout; /* EQ_STEP_LAYOUT: the two sides agree on this struct */
};
enum { EQ_STEP_LAYOUT = 0x65711502 };

#endif
