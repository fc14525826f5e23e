/* What single outputs of a convolution see of its input: rows of a matrix, sampled from clips; internal. */
#ifndef QUANT_PATCHES_H
#define QUANT_PATCHES_H

#include "quant/quant_graph.h"

/* Where samples lie: the same for the same seed, node and clip, whoever asks. */
struct eq_patch_spec {
    const struct eq_graph *g;
    int node;                   /* the convolution */
    struct eq_conv_shape shape; /* for one clip */
    int per_clip;               /* rows a clip gives */
    uint64_t seed;
};
/* rows[per_clip][cin * k * k] in the order of the weights ([cin][k][k]; padding is 0) from data, the source's edge as
 * its readers see it, in pixel layout, or clip layout where the source is the input. */
void eq_patches_sample(const struct eq_patch_spec *spec, size_t clip, const float *data, float *rows);

#endif
