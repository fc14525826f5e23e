/*
 * What observers see of a convolution in Winograd's domain: its source in FP32, cut into tiles and transformed by B^T,
 * point by point. Internal. kernels.h has the tiling and the points.
 */
#ifndef QUANT_POINTS_H
#define QUANT_POINTS_H

#include "echoquant/kernels.h"

/* How many values a point has: one for each tile that has it, frame and channel of the source; 0 where no tile has the
 * point at infinity. */
size_t eq_point_values(const struct eq_conv_shape *s, int point);
/* src: pixel layout. out: the values of the points, one after the other; padding is 0. */
void eq_points_transform(const struct eq_conv_shape *s, const float *src, float *out);

#endif
