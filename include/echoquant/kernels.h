/*
 * kernels: loops over raw pointers. They know no tensor, no graph, no file. The caller owns every buffer, and no kernel
 * reports an error: whoever plans the work has checked its shapes.
 *
 * Layouts, for b clips of t frames of h x w pixels with c channels. Channels are always innermost and dense.
 *   clip  layout [b][t][h][w][c]: as frames are decoded; the input of the first convolution only.
 *   pixel layout [b][h][w][t][c]: every other activation. All frames of a pixel stand together, so a convolution is,
 *   for each output pixel, a sum over the taps inside the picture of [t x cin] * [cin x cout] products: taps on padding
 *   cost nothing, and 16 frames fill a tile register.
 * Weights and their gradients are [cout][cin][kh][kw] ("OIHW"), as PyTorch stores them; kernels pack them. No buffer
 * may overlap another unless said.
 *
 * Convolutions are lists of kernels; everything else is in tables of function pointers, filled with ref/ (plain C, the
 * specification), then overwritten in ascending ISA order by the levels that the CPU has and --cpu allows. The pieces
 * of work and the order of each sum depend on shapes alone: results have the same bits for any number of threads on one
 * ISA level, and integer results on all levels.
 */
#ifndef ECHOQUANT_KERNELS_H
#define ECHOQUANT_KERNELS_H

#include "echoquant/base.h"

enum eq_layout { EQ_LAYOUT_PIXEL, EQ_LAYOUT_CLIP };

/* The shape of a convolution. oh and ow follow from the rest. dst is always in pixel layout. */
struct eq_conv_shape {
    int b, t, h, w, cin, cout, k, stride, pad; /* square k x k kernels, the same padding on all sides */
    int oh, ow;
    enum eq_layout src_layout;
};
/* Sets all members; oh = (h + 2 pad - k) / stride + 1, and so ow. The caller has checked that the window fits. */
void eq_conv_shape_init(struct eq_conv_shape *s, int b, int t, int h, int w, int cin, int cout, int k, int stride,
                        int pad, enum eq_layout src_layout);
/* The number of multiply-accumulates, taps on padding not counted. */
double eq_conv_macs(const struct eq_conv_shape *s);

/* ---- convolution: epilogues ---------------------------------------------- */

/* Applied by f32 and bf16 forward kernels to each sum before it is stored, in this order: bias, residual, ReLU. */
struct eq_f32_epilogue {
    const float *bias;     /* [cout]; NULL: none */
    const float *residual; /* laid out as dst; NULL: none */
    bool relu;             /* max(0, x) */
    /* Max pooling of the result in the same pass, for kernels whose fuses_maxpool says so: dst is then the pooled
     * [b][ph][pw][t][cout], and residual must be NULL. pool_k = 0: none. */
    int pool_k, pool_stride, pool_pad;
};

/* The requantization of one output channel oc by the u8s8 kernels: acc = sum over taps of (src - src_zp) * weights
 * exact in int32; padding holds src_zp, so it adds 0 r = fmaf((float)acc, m[oc], b[oc]) m = s_src * s_w[oc] / s_dst,
 * b = bias[oc] / s_dst r = fmaf((float)(residual - residual_zp), residual_m, r) if residual is not NULL; residual_m =
 * s_residual / s_dst dst = clamp(rne(r) + dst_zp, dst_min, dst_max) a ReLU is dst_min = dst_zp rne rounds half to
 * even. Values of r beyond int32 saturate before the zero-point is added. Source: Jacob et al. 2018, section 2.2,
 * with a float multiplier; see docs/QUANTIZATION.md. */
struct eq_u8s8_epilogue {
    const float *m, *b;      /* [cout] */
    const uint8_t *residual; /* laid out as dst, or NULL */
    int residual_zp;
    float residual_m;
    int dst_zp, dst_min, dst_max;
    int pool_k, pool_stride, pool_pad; /* as in eq_f32_epilogue; m must not be below 0: r then grows with acc, so that
                                        * the maximum may be taken of sums */
};

/* ---- convolution: INT8 in Winograd's domain ------------------------------ */

/* The points of F(4x4, 3x3), 0, 1, -1, 2, -2 and infinity along each axis (Lavin & Gray, CVPR 2016); p = 6 * py + px. A
 * tile makes 4 x 4 outputs, or 3 along an axis, from a source that starts one pixel before them. */
enum { EQ_DOMAIN_POINTS = 36, EQ_DOMAIN_IN = 6, EQ_DOMAIN_OUT = 4, EQ_DOMAIN_CENTER = 7 };
/* The transforms along an axis: of a source line d, v[i] = sum of B^T[i][j] d[j]; of sums, y[i] = sum of A^T[i][j]
 * m[j]. A constant source reaches the point (1, 1) alone, EQ_DOMAIN_CENTER, 36 times. */
extern const int8_t eq_domain_bt[EQ_DOMAIN_IN][EQ_DOMAIN_IN], eq_domain_at[EQ_DOMAIN_OUT][EQ_DOMAIN_IN];

/* How a layer's transformed source becomes bytes; what they stand for is byte - add. mul: 1..32767. */
struct eq_domain_points {
    int16_t mul[EQ_DOMAIN_POINTS];
    uint8_t add[EQ_DOMAIN_POINTS];
};

/* From sums to bytes. k = s_v[p] s_w[p][oc] / s_dst, b = bias[oc] / s_dst + dst_zp, with a residual then minus
 * residual_zp * residual_m; residual_m = s_residual / s_dst; dst_min = dst_zp with a ReLU, else 0. */
struct eq_domain_epilogue {
    const float *k, *b;      /* [EQ_DOMAIN_POINTS][cout], [cout] */
    const uint8_t *residual; /* laid out as dst, or NULL */
    float residual_m;
    int dst_min;
};

/* What such a layer computes, the same bytes on every level; source: Li et al., LoWino, ICPP 2021.
 *   v[p]    = B^T d B of a tile's source, padding holding src_zp, minus 36 src_zp at the center; |v| <= 17340
 *   byte[p] = clamp(((v mul[p] + 2^14) >> 15) + add[p], 0, 255)
 *   sum[p]  = sum over cin of (byte[p] - add[p]) u[p][oc][cin], exact: u in -127..127, and 255 times the sum of |u|
 *             must fit int32
 *   m[p]    = fmaf((float)sum[p], k[p][oc], b[oc] at the center, else 0)
 *   y       = A^T m A, along y for each px, then along x, by
 *             s12 = m1 + m2, d12 = m1 - m2, s34 = m3 + m4, d34 = m3 - m4,
 *             y0 = (m0 + s12) + s34, y1 = fmaf(d34, 2, d12), y2 = fmaf(s34, 4, s12), y3 = fmaf(d34, 8, d12) + m5
 *   dst     = rne(clamp(fmaf((float)residual, residual_m, y), dst_min, 255)); a NaN gives dst_min */
bool eq_domain_supports(const struct eq_conv_shape *s); /* 3 x 3, stride 1, pad 1, in pixel layout */

/* The tiles of an axis of n outputs: ceil(n / 4), of which the last ones make 3 where that comes out even. Such a tile
 * has no point at infinity. Where it does not come out even (n = 1, 2, 5), tiles make 4 and what lies outside is
 * dropped. */
struct eq_domain_tile {
    int start, outputs;
};
int eq_domain_tiles(int n);
struct eq_domain_tile eq_domain_tile(int n, int i);
/* U = G w G^T of a 3 x 3 kernel. */
void eq_domain_weights(const float w[9], double u[EQ_DOMAIN_POINTS]);
/* The multiplier that gives a point about the scale s_point, of a source of scale s_src: clamp(rne(32768 s_src /
 * s_point), 1, 32767); and the scale that the point then really has: (s_src 32768) / mul. */
int eq_domain_mul(float s_src, float s_point);
float eq_domain_scale(float s_src, int mul);

/* ---- convolution: every family's kernels --------------------------------- */

/* One algorithm on one ISA level. The family says what is multiplied: f32 floats, bf16 floats rounded to BF16, u8s8
 * bytes of activations (u8) with bytes of weights (s8). The name is <family>_<op>_<algorithm>__<isa>, and its C
 * symbol the same after eq_. Packed weights and scratch belong to the caller; sizes are in bytes, blocks 64-byte
 * aligned. */
struct eq_conv_kernel {
    const char *name; /* f32_conv_forward_winograd__avx512, u8s8_conv_direct__avx512vnni */
    enum eq_isa isa;
    bool (*supports)(const struct eq_conv_shape *s);
    /* Whether this kernel beats the ones before it in the list; NULL: wherever it is supported. */
    bool (*prefers)(const struct eq_conv_shape *s);
    /* u8s8: whether the kernel is exact for weights [cout][cin][k][k]; NULL: for all. It may be packed and run only
     * with weights that it accepts. */
    bool (*accepts)(const struct eq_conv_shape *s, const int8_t *weights_oihw, int src_zp);
    /* Bytes of packed weights (0 for backward_weights, which needs none), and of scratch for one call with that many
     * workers. */
    size_t (*packed_bytes)(const struct eq_conv_shape *s);
    size_t (*scratch_bytes)(const struct eq_conv_shape *s, int threads);
    /* weights_oihw [cout][cin][k][k], or the domain's u[EQ_DOMAIN_POINTS][cout][cin], to packed, of packed_bytes. */
    union {
        void (*pack)(const struct eq_conv_shape *s, const float *weights_oihw, void *packed); /* f32, bf16 */
        void (*pack_s8)(const struct eq_conv_shape *s, const int8_t *weights_oihw, int src_zp, void *packed);
        void (*pack_domain)(const struct eq_conv_shape *s, const int8_t *u, const struct eq_domain_points *points,
                            void *packed);
    };
    union eq_conv_run {
        /* dst[b][oh][ow][t][cout] = epilogue(conv(src)); src: [b][h][w][t][cin], or in clip layout [b][t][h][w][cin].
         */
        void (*forward)(const struct eq_conv_shape *s, const float *src, const void *packed,
                        const struct eq_f32_epilogue *epi, float *dst, void *scratch);
        /* diff_src = conv_transposed(diff_dst), + diff_src with accumulate. Both are laid out as src and dst of
         * forward, and s is the forward shape. */
        void (*backward_data)(const struct eq_conv_shape *s, const float *diff_dst, const void *packed, float *diff_src,
                              bool accumulate, void *scratch);
        /* diff_weights[cout][cin][k][k] += sum over clips, frames and pixels. */
        void (*backward_weights)(const struct eq_conv_shape *s, const float *src, const float *diff_dst,
                                 float *diff_weights, void *scratch);
        /* As forward, in integers. */
        void (*u8s8)(const struct eq_conv_shape *s, const uint8_t *src, int src_zp, const void *packed,
                     const struct eq_u8s8_epilogue *epi, uint8_t *dst, void *scratch);
        /* In Winograd's domain, with the points that packed was made with. */
        void (*u8s8_domain)(const struct eq_conv_shape *s, const uint8_t *src, int src_zp, const void *packed,
                            const struct eq_domain_points *points, const struct eq_domain_epilogue *epi, uint8_t *dst,
                            void *scratch);
    } run;
    /* For weights that serve one call, as in training: forward or backward_data with weights_oihw in place of packed,
     * packing what is needed next. The bits are those of pack and run. once_bytes: the scratch of such a call; 0 where
     * pack and run are as fast. NULL: there is none. */
    union eq_conv_run run_once;
    size_t (*once_bytes)(const struct eq_conv_shape *s, int threads);
    /* Whether forward or u8s8 obeys the epilogue's pool_* for this shape; NULL: never, they must be 0. */
    bool (*fuses_maxpool)(const struct eq_conv_shape *s, int pool_k, int pool_stride, int pool_pad);
    /* For `bench --layers`: the instruction that multiplies, named as in a struct eq_peak (NULL: unknown), and the
     * number of its products (NULL: eq_conv_macs). */
    const char *instruction;
    double (*products)(const struct eq_conv_shape *s);
};
enum eq_conv_pass { EQ_CONV_FORWARD, EQ_CONV_BACKWARD_DATA, EQ_CONV_BACKWARD_WEIGHTS, EQ_CONV_PASSES };

/* eq_*_select: the last kernel of the family's list that this CPU and --cpu allow and that supports and prefers the
 * shape: a choice by shape, ISA and (u8s8) weights only, never by timing. Never NULL; kernels are static data.
 * Without weights (NULL) u8s8 leaves out kernels that do not accept all. eq_*_candidates: every kernel that supports
 * the shape here, ref first, for tests and `bench --layers`. Stores at most max in out[max]
 * and returns how many. */
const struct eq_conv_kernel *eq_f32_conv_select(enum eq_conv_pass pass, const struct eq_conv_shape *s);
size_t eq_f32_conv_candidates(enum eq_conv_pass pass, const struct eq_conv_shape *s, const struct eq_conv_kernel **out,
                              size_t max);
/* A forward kernel that sums in one order on every ISA level (taps row by row, channels ascending, a fused
 * multiply-add each; then bias, residual, ReLU): the same bits everywhere, where select's depend on the level. Never
 * NULL. */
const struct eq_conv_kernel *eq_f32_conv_select_ordered(const struct eq_conv_shape *s);

/* bf16: tensors are FP32 on both sides, and so are bias, residual, ReLU and the values that a pass adds to. Only the
 * operands of the products are rounded to BF16 inside the kernel (half to even, subnormals to zero): src, diff_dst
 * and weights, or with Winograd their transforms, which are computed in FP32. Rounding transforms makes the error of
 * the result 5 to 6 times as large. Products of BF16 are exact in FP32 and are summed in FP32. Packed weights are
 * BF16. Results have the same bits for any number of threads; other hardware may round the sums differently. */
enum eq_precision { EQ_PRECISION_FP32, EQ_PRECISION_BF16 };
/* EQ_UNSUPPORTED, with the level that the CPU or --cpu lacks, where a precision has no kernels but ref/. */
enum eq_status eq_precision_check(enum eq_precision precision, struct eq_err *err);
const struct eq_conv_kernel *eq_bf16_conv_select(enum eq_conv_pass pass, const struct eq_conv_shape *s);
size_t eq_bf16_conv_candidates(enum eq_conv_pass pass, const struct eq_conv_shape *s, const struct eq_conv_kernel **out,
                               size_t max);

/* weights_oihw: [cout][cin][k][k] or NULL. */
const struct eq_conv_kernel *eq_u8s8_conv_select(const struct eq_conv_shape *s, int src_zp, const int8_t *weights_oihw);
size_t eq_u8s8_conv_candidates(const struct eq_conv_shape *s, const struct eq_conv_kernel **out, size_t max);
/* For shapes of eq_domain_supports. */
const struct eq_conv_kernel *eq_u8s8_domain_select(const struct eq_conv_shape *s);
size_t eq_u8s8_domain_candidates(const struct eq_conv_shape *s, const struct eq_conv_kernel **out, size_t max);

/* ---- f32: the other loops of training and FP32 inference ----------------- */

/* Max pooling of b clips of h x w pixels over k x k windows to oh x ow; pad < k, k <= 8 in f32 and 15 in u8s8.
 * Padding never wins. A pixel is tc = t * c neighboring values. */
struct eq_pool_shape {
    int b, h, w, tc, k, stride, pad, oh, ow;
};

/* The batch norm of a matrix [rows][c], Ioffe & Szegedy 2015: (x - mean) * inv_std * gamma + beta. */
struct eq_bn {
    size_t rows;
    int c;
    const float *mean, *inv_std, *gamma, *beta; /* [c] */
};

/* Activations in pixel layout are seen as matrices [rows][c], rows = b * h * w * t, or as pixels [b][h][w][tc] of
 * tc = t * c values. */
struct eq_f32_table {
    enum eq_isa isa;
    /* mean[c] and biased var[c] of x[rows][c]; two passes, or Welford pieces merged in a fixed order. */
    void (*bn_stats)(const float *x, size_t rows, int c, float *mean, float *var);
    /* y = act(bn(x) + residual), all [rows][c]; residual NULL: none; y may be x. */
    void (*bn_apply)(const struct eq_bn *bn, const float *x, const float *residual, bool relu, float *y);
    /* The gradient of bn_apply under batch statistics, or fixed ones with batch_stats = false. dy: [rows][c], the
     * gradient of bn_apply's output. The ReLU's mask comes from y, that output (NULL: no ReLU), or with mask_from_x
     * it is computed again from x, which is cheaper than reading y: for a ReLU without residual, y is NULL. Writes dx
     * [rows][c], which may be dy; adds to dgamma and dbeta [c]; and writes the masked dy to dresidual [rows][c]
     * (NULL: not wanted), or with accumulate_residual adds it. */
    void (*bn_backward)(const struct eq_bn *bn, const float *x, const float *y, bool mask_from_x, const float *dy,
                        bool batch_stats, float *dx, float *dgamma, float *dbeta, float *dresidual,
                        bool accumulate_residual);
    void (*relu_forward)(const float *x, size_t n, float *y);                    /* max(0, x), [n]; y may be x */
    void (*relu_backward)(const float *y, const float *dy, size_t n, float *dx); /* y > 0 ? dy : 0; dx may be dy */
    void (*add)(const float *a, const float *b, size_t n, float *y);             /* a + b; y may be a or b */
    /* Max pooling of x[b][h][w][tc] to y[b][oh][ow][tc]. argmax, laid out as y, takes the winning tap's number
     * ky * k + kx (the first one's at a tie) for the backward pass; NULL: not wanted. */
    void (*maxpool_forward)(const struct eq_pool_shape *p, const float *x, float *y, uint8_t *argmax);
    /* bn_apply with ReLU and without residual, then maxpool_forward, in one pass: x[b][h][w][tc] to y[b][oh][ow][tc],
     * the tc values of a pixel being [t][c] with the bn's c, a multiple of 16. argmax as above, not NULL. */
    void (*bn_relu_maxpool_forward)(const struct eq_bn *bn, const struct eq_pool_shape *p, const float *x, float *y,
                                    uint8_t *argmax);
    /* The way back: bn_backward with mask_from_x and without residual, whose dy is maxpool_backward's dx, in one go. x
     * and dx [b][h][w][tc], dy and argmax [b][oh][ow][tc]. */
    void (*bn_relu_maxpool_backward)(const struct eq_bn *bn, const struct eq_pool_shape *p, const float *x,
                                     const float *dy, const uint8_t *argmax, bool batch_stats, float *dx, float *dgamma,
                                     float *dbeta);
    /* Each value of dx[b][h][w][tc] is the sum of dy[b][oh][ow][tc] over the windows that it won, in the order of the
     * taps. */
    void (*maxpool_backward)(const struct eq_pool_shape *p, const float *dy, const uint8_t *argmax, float *dx);
    /* x[b][hw][tc] to y[b][tc], the mean over hw = h * w pixels, and back. */
    void (*global_avg_forward)(const float *x, int b, int hw, int tc, float *y);
    void (*global_avg_backward)(const float *dy, int b, int hw, int tc, float *dx);
    /* One step of AdamW (Loshchilov & Hutter 2019) on n values; w, m and v change. c1 = 1 - b1^t and c2 = 1 - b2^t
     * correct the bias of step t. */
    void (*adamw_step)(float *w, const float *g, float *m, float *v, size_t n, float lr, float b1, float b2, float eps,
                       float decay, float c1, float c2);
    /* One step of PyTorch's SGD on n values: buf = momentum * buf + (g + decay * w); w -= lr * buf. */
    void (*sgd_step)(float *w, const float *g, float *buf, size_t n, float lr, float momentum, float decay);
    /* Fake quantization, one scale for all n: q = clamp(rne(x / scale) + zp, qmin, qmax); y = (q - zp) * scale (Jacob
     * et al. 2018). y may be x. mask[i] = 1 where rne(x / scale) + zp lies in [qmin, qmax] (NULL: not wanted). x /
     * scale is computed as x * (1 / scale), the inverse rounded once to float, as in the integer engine's epilogue. */
    void (*fake_quant)(const float *x, size_t n, float scale, int zp, int qmin, int qmax, float *y, uint8_t *mask);
    void (*mask_backward)(const uint8_t *mask, const float *dy, size_t n, float *dx); /* mask ? dy : 0 */
    void (*minmax)(const float *x, size_t n, float *min, float *max); /* n > 0; a NaN in x gives NaN in both */
    /* hist[bin] += 1 for x in [lo, hi], bin = min((x - lo) * (bins / (hi - lo)), bins - 1); others are left out. min
     * and max are those of all x, as minmax's, from the same pass; n > 0. */
    void (*histogram)(const float *x, size_t n, float lo, float hi, uint64_t *hist, int bins, float *min, float *max);
    double (*sum_squares)(const float *x, size_t n); /* pieces in a fixed order */
};
/* The tables, static data; made on first use, by any thread, or again by eq_kernels_init. */
const struct eq_f32_table *eq_f32_kernels(void);

/* Matrix product through OpenBLAS, single-threaded, row-major: c[m x n] = alpha op(a)[m x k] op(b)[k x n] + beta c,
 * where op transposes with trans_*; ld*: floats between rows. */
void eq_sgemm(bool trans_a, bool trans_b, int m, int n, int k, float alpha, const float *a, int lda, const float *b,
              int ldb, float beta, float *c, int ldc);
/* Before the first product, and after the number of threads has grown: has OpenBLAS take its buffers (128 MiB of
 * address space for each thread), which it would otherwise wait for in eq_sgemm. EQ_NOMEM: there is no room. */
enum eq_status eq_sgemm_prepare(struct eq_err *err);
bool eq_conv_needs_sgemm(const struct eq_conv_kernel *kernel);

/* ---- f32: Winograd's domain, for training and simulation ----------------- */

/* Frames first..end-1 of a tile of a clip: its first output pixel and the number of outputs, 3 or 4, along each axis. A
 * tile of 3 has no point at infinity along its axis. */
struct eq_f32_domain_place {
    int y, x, my, mx, first, end;
};
/* How a transformed source is rounded. whole: as the integer engine does it. The source, times inv_src, is whole then,
 * and so are the results, byte - add. Otherwise v = (clamp(rne(v * inv) + zp, 0, 255) - zp) * scale. */
struct eq_f32_domain_rounding {
    bool whole;
    float inv_src;
    struct eq_domain_points points;
    float inv[EQ_DOMAIN_POINTS], scale[EQ_DOMAIN_POINTS], zp[EQ_DOMAIN_POINTS];
};
enum { EQ_DOMAIN_LANES = 16 };
/* From a clip's source [h][w][t][cin] to v[p][t][cin], rounded; v[p] NULL: not wanted. */
struct eq_f32_domain_src {
    const float *clip;
    const struct eq_f32_domain_rounding *rounding; /* NULL: none */
    float *v[EQ_DOMAIN_POINTS];
    uint8_t *mask[EQ_DOMAIN_POINTS]; /* 1 where the straight-through gradient passes; NULL: not wanted */
    /* NULL, or [2][EQ_DOMAIN_POINTS][EQ_DOMAIN_LANES]: takes in the least and the greatest values before rounding. A
     * NaN stays. */
    float *range;
};
/* The way back: the gradients v[p][t][cin] (NULL: 0), where mask lets them pass, are added to those of the clip's
 * source. */
struct eq_f32_domain_diff_src {
    float *clip;
    const float *v[EQ_DOMAIN_POINTS];
    const uint8_t *mask[EQ_DOMAIN_POINTS];
};
/* From sums m[p][t][cout] (NULL: 0) to a clip's output [oh][ow][t][cout]: bias[cout] (NULL: none), residual, laid out
 * as the output (NULL: none), ReLU. With k, the sums are whole, and what is written is y of the integer engine, before
 * it is clamped and rounded: k[p * k_step + oc] and bias are those of eq_domain_epilogue, residual * inv_residual +
 * residual_zp is whole. */
struct eq_f32_domain_dst {
    float *clip;
    const float *m[EQ_DOMAIN_POINTS];
    const float *bias, *residual, *k;
    size_t k_step;
    float residual_m, inv_residual, residual_zp;
    bool relu;
};
/* Weights w[n][9] times factor to U = G w G^T, in double as eq_domain_weights, u[p * plane + i]; or with absmax only
 * the greatest |u| is noted, absmax[EQ_DOMAIN_POINTS][EQ_DOMAIN_LANES], 0 at first, a NaN stays. scale (NULL: no
 * rounding): u = clamp(rne(u * (1 / s)), qmin, qmax) * s with s = scale[p * scale_step], or with whole without the last
 * factor. mask, laid out as u, as above. */
struct eq_f32_domain_weights {
    const float *w;
    size_t n, plane;
    float factor;
    const float *scale;
    size_t scale_step;
    float qmin, qmax;
    bool whole;
    float *u;
    uint8_t *mask;
    float *absmax;
};
/* The way back: dw[n][9] += factor * G^T du G where mask (NULL: all) lets du pass. */
struct eq_f32_domain_diff_weights {
    const float *du;
    const uint8_t *mask;
    size_t n, plane;
    float factor;
    float *dw;
};
/* m[rows][columns] = v[rows][depth] u[depth][columns]: a multiplication and an addition each, depths ascending. whole:
 * of whole numbers, |v| <= 255 and |u| <= 127, whose sums fit int32; exact, then rounded to float. */
struct eq_f32_domain_product {
    const float *v, *u;
    float *m;
    size_t rows, depth, columns;
    bool whole;
};
/* Shapes are those of eq_domain_supports. The bits are the same on every level. */
struct eq_f32_domain_table {
    enum eq_isa isa;
    void (*src)(const struct eq_conv_shape *s, const struct eq_f32_domain_place *t, const struct eq_f32_domain_src *j);
    void (*diff_src)(const struct eq_conv_shape *s, const struct eq_f32_domain_place *t,
                     const struct eq_f32_domain_diff_src *j);
    void (*dst)(const struct eq_conv_shape *s, const struct eq_f32_domain_place *t, const struct eq_f32_domain_dst *j);
    /* The adjoint of dst without its epilogue: gradients of a clip's output to m[p][t][cout] (NULL: not wanted). */
    void (*diff)(const struct eq_conv_shape *s, const struct eq_f32_domain_place *t, const float *clip,
                 float *const m[EQ_DOMAIN_POINTS]);
    void (*weights)(const struct eq_f32_domain_weights *j);
    void (*diff_weights)(const struct eq_f32_domain_diff_weights *j);
    void (*product)(const struct eq_f32_domain_product *j);
};
const struct eq_f32_domain_table *eq_f32_domain_kernels(void);

/* ---- image: u8 pixels ---------------------------------------------------- */

struct eq_image_table {
    enum eq_isa isa;
    /* dst = ((float)src - mean) * inv_std, n values. */
    void (*normalize)(const uint8_t *src, size_t n, float mean, float inv_std, float *dst);
    /* sum and sum of squares of n bytes, exact. */
    void (*moments)(const uint8_t *src, size_t n, uint64_t *sum, uint64_t *sum_sq);
};
const struct eq_image_table *eq_image_kernels(void);

/* ---- u8s8: the integer engine's loops other than convolutions ------------ */

struct eq_u8s8_table {
    enum eq_isa isa;
    /* Max pooling of x[b][h][w][tc] to y[b][oh][ow][tc]. */
    void (*maxpool)(const struct eq_pool_shape *p, const uint8_t *x, uint8_t *y);
    /* sum[b][c] = sum over hw = h * w pixels and t frames of (x[b][hw][t][c] - zp); exact: the caller ensures
     * hw * t * 255 < 2^31. */
    void (*sum_pixels_frames)(const uint8_t *x, int b, int hw, int t, int c, int zp, int32_t *sum);
};
const struct eq_u8s8_table *eq_u8s8_kernels(void);

/* Fills every table again. To be called after eq_cpu_set_ceiling, before any kernel is selected, by one thread while no
 * other one uses a table. */
void eq_kernels_init(void);

/* ---- peak: register-only loops, for `bench --layers` --------------------- */

/* One instruction of kernels on registers only, in enough chains to hide its latency: no kernel made of it is faster.
 */
struct eq_peak {
    enum eq_isa isa;
    const char *instruction;           /* named as in eq_conv_kernel */
    double (*macs)(size_t iterations); /* runs it; returns the number of products */
};
/* The peaks that this CPU has and --cpu allows. Stores at most max in out[max] and returns how many. */
size_t eq_peaks(const struct eq_peak **out, size_t max);
/* The best rate of all threads together, in 1e9 products a second. Takes about ms milliseconds. */
double eq_peak_gmacs(const struct eq_peak *peak, double ms);

#endif
