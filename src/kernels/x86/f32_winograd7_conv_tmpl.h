/*
 * Template: the first convolution, 7 x 7 at stride 2 over the few channels of a picture, by Winograd
 * (f32_winograd7.h). A piece is a row of tiles, all frames. Vectors run along the row of tiles: transformed inputs
 * lie as [position][phase y, phase x, channel][tile], and the products are A^T * B.
 */
#include "kernels/x86/f32_winograd7_output.h"

static size_t worker_floats(const struct conv7_plan *p)
{
    return input_floats(p) + POSITIONS * (in_stride(p) + sums_stride(p));
}

/* A position's sums of one channel: depth of its phases, a constant. All weights stay in registers. */
ALWAYS_INLINE void multiply_phases(const int depth, const struct conv7_plan *p, const float *in, const float *weights,
                                   float *sums)
{
    vf w[PHASES * PHASES][NV];
    UNROLL for (int k = 0; k < depth; k++) UNROLL for (int j = 0; j < NV; j++) w[k][j] =
        v_load(weights + k * NR + j * VL);
    for (int tile = 0; tile < p->tiles_x; tile++, sums += NR) {
        vf acc[NV];
        UNROLL for (int j = 0; j < NV; j++) acc[j] = v_zero();
        UNROLL for (int k = 0; k < depth; k++)
        {
            vf a = v_set1(in[(size_t)k * p->lanes + tile]);
            UNROLL for (int j = 0; j < NV; j++) acc[j] = v_fma(a, w[k][j], acc[j]);
        }
        UNROLL for (int j = 0; j < NV; j++) v_store(sums + j * VL, acc[j]);
    }
}

/* sums[position][tile][NR] of one panel. */
static void multiply(const struct conv7_plan *p, const float *in, const float *weights, float *sums)
{
    for (int position = 0; position < POSITIONS; position++) {
        const int depth = depth_of(p, position);
        const float *a = in + position * in_stride(p), *b = weights + (size_t)position * DEPTH * NR;
        float *c = sums + position * sums_stride(p);
        struct gemm_segment segment = {a, b, depth};
        struct gemm_tn g = {.segments = &segment,
                            .n_segments = 1,
                            .lda = (size_t)p->lanes,
                            .ldb = NR,
                            .c = c,
                            .ldc = NR,
                            .into = GEMM_TN_SET};
        if (p->s->cin > 1)
            gemm_tn_rows(p->tiles_x, NR, &g);
        else if (depth == PHASES * PHASES)
            multiply_phases(PHASES * PHASES, p, a, b, c);
        else if (depth == PHASES)
            multiply_phases(PHASES, p, a, b, c);
        else
            multiply_phases(1, p, a, b, c);
    }
}

/* A row of tiles. */
static void conv7_piece(void *ctx, size_t piece, int worker)
{
    const struct conv7_job *j = ctx;
    const struct conv7_plan *p = &j->p;
    float *scratch = j->scratch + worker * worker_floats(p);
    struct conv7_input x = input_at(p, scratch);
    float *in = scratch + input_floats(p), *sums = in + POSITIONS * in_stride(p);
    int b = (int)(piece / p->tiles_y), ty = (int)(piece % p->tiles_y);
    for (int f = 0; f < p->s->t; f++) {
        transform_input(p, j->src, b, f, ty, &x, in);
        for (int panel = 0; panel < gemm_panels(p->s->cout); panel++) {
            multiply(p, in, j->packed + (size_t)panel * POSITIONS * DEPTH * NR, sums);
            if (j->epi->pool_k)
                pool_tiles(j, b, f, ty, panel, sums);
            else
                output_tiles(j, b, f, ty, panel, sums);
        }
    }
    if (j->streams)
        v_stream_end();
}

/* ---- the kernel ---------------------------------------------------------- */

static size_t packed_bytes(const struct eq_conv_shape *s)
{
    return (size_t)gemm_panels(s->cout) * POSITIONS * DEPTH * NR * sizeof(float);
}

static size_t scratch_bytes(const struct eq_conv_shape *s, int threads)
{
    struct conv7_plan p = plan_conv7(s);
    return (worker_floats(&p) * threads + edges_floats(&p)) * sizeof(float);
}

/* G w G^T for one phase of one channel pair and position. */
static double transformed_weight(const float *w, int phase_y, int phase_x, int position)
{
    double gy[TILE], gx[TILE], sum = 0;
    winograd7_weight_row(position / POINTS, gy);
    winograd7_weight_row(position % POINTS, gx);
    for (int y = 0; y < TILE; y++)
        for (int x = 0; x < TILE; x++) {
            int ky = winograd7_tap(phase_y, y), kx = winograd7_tap(phase_x, x);
            if (ky >= 0 && kx >= 0)
                sum += gy[y] * gx[x] * w[ky * 7 + kx];
        }
    return sum;
}

/* A position: [phase y, phase x, channel][NR], phases without use left out. */
static void pack_position(const struct eq_conv_shape *s, const float *weights_oihw, int panel, int position, float *out)
{
    for (int py = 0; py < winograd7_phases(position / POINTS); py++)
        for (int px = 0; px < winograd7_phases(position % POINTS); px++)
            for (int c = 0; c < s->cin; c++)
                for (int i = 0; i < NR; i++) {
                    int oc = panel * NR + i;
                    const float *w = weights_oihw + ((size_t)oc * s->cin + c) * 49;
                    *out++ = oc < s->cout ? (float)transformed_weight(w, py, px, position) : 0;
                }
}

struct conv7_pack {
    const struct eq_conv_shape *s;
    const float *weights;
    float *packed;
};

static void pack_piece(void *ctx, size_t piece, int worker)
{
    (void)worker;
    const struct conv7_pack *j = ctx;
    pack_position(j->s, j->weights, (int)(piece / POSITIONS), (int)(piece % POSITIONS), j->packed + piece * DEPTH * NR);
}

static void pack(const struct eq_conv_shape *s, const float *weights_oihw, void *packed)
{
    struct conv7_pack job = {s, weights_oihw, packed};
    eq_parallel_for((size_t)gemm_panels(s->cout) * POSITIONS, pack_piece, &job);
}

static void forward(const struct eq_conv_shape *s, const float *src, const void *packed,
                    const struct eq_f32_epilogue *epi, float *dst, void *scratch)
{
    struct conv7_job job = {.p = plan_conv7(s), .src = src, .packed = packed, .epi = epi, .dst = dst, .edges = scratch};
    job.scratch = job.edges + edges_floats(&job.p);
    /* The halves of a line come a tile apart: streamed, each would go to memory alone. */
    job.streams = VL * sizeof(float) == 64 && v_streams(dst, (size_t)s->b * s->oh * s->ow * s->t * s->cout);
    eq_parallel_for((size_t)s->b * job.p.tiles_y, conv7_piece, &job);
    if (epi->pool_k)
        eq_parallel_for((size_t)s->b * (job.p.tiles_y - 1), join_piece, &job);
}

CONV_KERNEL(conv_forward_winograd7, .supports = conv7_supports, .packed_bytes = packed_bytes,
            .scratch_bytes = scratch_bytes, .pack = pack, .run.forward = forward, .products = conv7_products,
            .fuses_maxpool = eq_conv_pools_3_by_2)
