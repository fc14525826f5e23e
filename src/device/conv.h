/* A convolution on a device: its kernel, packed weights, and the step that describes it. Internal to the room. */
#ifndef DEVICE_CONV_H
#define DEVICE_CONV_H

#include "device/api.h"
#include "device/kernels/step.h"

/* A kernel of the text, and the tile of the product that a group of it makes. */
struct eq_device_tile {
    const char *kernel;
    int rows, columns, threads;
    int step;     /* quads of depth that a step takes */
    bool by_rows; /* weights [column][depth], all steps whole; else [depth][column] */
};

/* The max pooling that alone reads a convolution, done by the convolution's kernel. */
struct eq_device_pool {
    int window, stride, pad;  /* window 0: none */
    int height, width;        /* of the pooled picture */
    int across, down, frames; /* a group's: pooled pixels of a line, lines, and frames */
};

/* What a convolution is made of. Exactly one of weights and weights_f32, [cout][cin][k][k], is set. */
struct eq_device_conv {
    struct eq_conv_shape shape; /* the source is in pixel layout */
    struct eq_device_pool pool;
    const struct eq_device_tile *tile;
    const int8_t *weights;
    const float *weights_f32;
    const float *m, *b;         /* u8s8: of struct eq_u8s8_epilogue; floats: b is the bias, m NULL */
    bool source_bytes;          /* floats: the source is a u8 edge */
    int source_zero;            /* of a u8 source, */
    float source_scale;         /* and for floats its scale */
    bool residual, relu;        /* relu: floats only */
    bool residual_bytes;        /* floats: a u8 edge */
    int residual_zero;          /* of a u8 residual, */
    float residual_scale;       /* and its scale; u8s8: residual_m */
    bool target_bytes;          /* floats: a u8 edge of this scale */
    int target_zero;            /* of a u8 target */
    float target_scale;         /* floats only */
    int target_min, target_max; /* u8s8: dst_min, dst_max */
};

/* The kernel for a shape on a device with that many compute units: by these alone, so the bits of floats depend on
 * nothing else (nor on that, since every tile has one order). */
const struct eq_device_tile *eq_device_tile_for(const char *integer_path, bool floats, const struct eq_conv_shape *s,
                                                int units);

/* Whether a convolution's kernel can pool: two windows of a column share one line at most, the first of the second, and
 * that is never the whole of it. It must not have a residual, scales must be above zero, and floats need ReLU or a u8
 * target: without, zeros of both signs, and NaN, would depend on the order. */
bool eq_device_pool_fits(const struct eq_conv_shape *s, int window, int stride, int pad);
/* The rest of *p from its window, for a device with that many compute units; and the kernel. */
void eq_device_pool_init(const struct eq_conv_shape *s, int units, struct eq_device_pool *p);
const struct eq_device_tile *eq_device_pool_tile(const char *integer_path, bool floats);

/* Words of 4 bytes of a pixel in a frame: of c channels as bytes, or as floats. */
static inline int eq_device_words(int c, bool bytes)
{
    return bytes ? (c + 3) / 4 : c;
}

/* Bytes of the three things that the arena holds for a convolution, and their contents from zeros. */
enum eq_device_part { EQ_DEVICE_WEIGHTS, EQ_DEVICE_CHANNELS, EQ_DEVICE_TAPS, EQ_DEVICE_PARTS };
size_t eq_device_conv_bytes(const struct eq_device_conv *c, enum eq_device_part part);
void eq_device_conv_pack(const struct eq_device_conv *c, enum eq_device_part part, void *out);
/* Everything of the step but offsets in the arena. */
void eq_device_conv_step(const struct eq_device_conv *c, struct eq_device_step *s);
struct eq_launch eq_device_conv_launch(const struct eq_device_conv *c, int step);

#endif
