/*
 * Template: backward by weights of the 7 x 7 convolution at stride 2, in the Winograd domain (f32_winograd7.h). The
 * transformed picture times the transformed gradient is summed over all tiles and frames, then transformed back once.
 * A piece takes a range of tile rows and has its own sums, which are added in the order of the ranges.
 */
#include "kernels/x86/f32_gemm.h"
#include "kernels/x86/f32_winograd7_input.h"

enum { FRAMES = 4, MAX_RANGES = 28 }; /* FRAMES: summed in registers before they meet the piece's sums */

struct weights7_job {
    struct conv7_plan p;
    const float *src, *diff_dst;
    float *diff_weights, *sums, *scratch; /* sums: [range][position][DEPTH][panels * NR] */
    int ranges;
};

static int ranges_of(const struct conv7_plan *p)
{
    int rows = p->s->b * p->tiles_y;
    return rows < MAX_RANGES ? rows : MAX_RANGES;
}

static size_t sums_floats(const struct conv7_plan *p) /* of a range */
{
    return (size_t)POSITIONS * DEPTH * gemm_panels(p->s->cout) * NR;
}

static size_t diff_stride(const struct conv7_plan *p) /* floats between positions */
{
    return (size_t)p->lanes * NR + PAD;
}

static size_t worker_floats(const struct conv7_plan *p)
{
    return input_floats(p) + (size_t)FRAMES * POSITIONS * (in_stride(p) + diff_stride(p));
}

/* ---- a range ------------------------------------------------------------- */

/* One vector of channels of one tile's gradient, to [position]. ahead: what is asked for meanwhile, or NULL. */
ALWAYS_INLINE void diff_vector(const struct eq_conv_shape *s, const float *diff, const float *ahead, int ny, int nx,
                               float *out, size_t stride)
{
    size_t pixel = (size_t)s->t * s->cout;
    vf columns[POINTS][TILE];
    UNROLL for (int x = 0; x < TILE; x++)
    {
        vf d[TILE], v[POINTS];
        UNROLL for (int y = 0; y < TILE; y++)
        {
            bool inside = y < ny && x < nx;
            size_t at = ((size_t)y * s->ow + x) * pixel;
            d[y] = inside ? v_load(diff + at) : v_zero();
            if (inside && ahead)
                v_prefetch(ahead + at);
        }
        winograd7_diff(d, v);
        UNROLL for (int y = 0; y < POINTS; y++) columns[y][x] = v[y];
    }
    UNROLL for (int y = 0; y < POINTS; y++, out += POINTS * v_opaque(stride))
    {
        vf v[POINTS];
        winograd7_diff(columns[y], v);
        UNROLL for (int x = 0; x < POINTS; x++) v_store(out + x * stride, v[x]);
    }
}

/* [position][tile][NR] of one frame and panel; channels beyond the last are 0. */
static void transform_diff(const struct weights7_job *j, int b, int f, int ty, int panel, float *out)
{
    const struct eq_conv_shape *s = j->p.s;
    int ny = s->oh - ty * TILE < TILE ? s->oh - ty * TILE : TILE;
    bool below = f + FRAMES >= s->t, more = !below || (ty + 2) * TILE <= s->oh; /* a next row of tiles may be lower */
    for (int tx = 0; tx < j->p.tiles_x; tx++) {
        int nx = s->ow - tx * TILE < TILE ? s->ow - tx * TILE : TILE;
        const float *diff = j->diff_dst + eq_conv_dst_at(s, b, f, ty * TILE, tx * TILE), *ahead = NULL;
        if (more)
            ahead = j->diff_dst + eq_conv_dst_at(s, b, below ? f % FRAMES : f + FRAMES, (ty + below) * TILE, tx * TILE);
        for (int lane = 0; lane < NR; lane += VL) {
            int c = panel * NR + lane;
            bool exists = c < s->cout;
            diff_vector(s, exists ? diff + c : diff, exists && ahead ? ahead + c : NULL, exists ? ny : 0, nx,
                        out + (size_t)tx * NR + lane, diff_stride(&j->p));
        }
    }
}

/* sums[position][depth][NR of a panel] += in[position][depth][tile] * diff[position][tile][NR], over n frames */
static void add_products(const struct conv7_plan *p, const float *in, const float *diff, int n, int panel, float *sums)
{
    size_t width = (size_t)gemm_panels(p->s->cout) * NR;
    for (int position = 0; position < POSITIONS; position++) {
        struct gemm_segment segments[FRAMES];
        for (int f = 0; f < n; f++)
            segments[f] = (struct gemm_segment){
                in + (size_t)f * POSITIONS * in_stride(p) + position * in_stride(p),
                diff + (size_t)f * POSITIONS * diff_stride(p) + position * diff_stride(p), p->tiles_x};
        float *c = sums + (size_t)position * DEPTH * width + (size_t)panel * NR;
        struct gemm_epilogue add = {.residual = c};
        gemm_rows(depth_of(p, position), NR, n, segments, (size_t)p->lanes, c, width, &add);
    }
}

static void range_piece(void *ctx, size_t range, int worker)
{
    const struct weights7_job *j = ctx;
    const struct conv7_plan *p = &j->p;
    float *scratch = j->scratch + worker * worker_floats(p), *sums = j->sums + range * sums_floats(p);
    struct conv7_input x = input_at(p, scratch);
    float *in = scratch + input_floats(p), *diff = in + (size_t)FRAMES * POSITIONS * in_stride(p);
    size_t rows = (size_t)p->s->b * p->tiles_y;
    memset(sums, 0, sums_floats(p) * sizeof *sums);
    for (size_t row = rows * range / j->ranges; row < rows * (range + 1) / j->ranges; row++)
        for (int f = 0; f < p->s->t; f += FRAMES) {
            int n = p->s->t - f < FRAMES ? p->s->t - f : FRAMES, b = (int)(row / p->tiles_y),
                ty = (int)(row % p->tiles_y);
            for (int i = 0; i < n; i++)
                transform_input(p, j->src, b, f + i, ty, &x, in + (size_t)i * POSITIONS * in_stride(p));
            for (int panel = 0; panel < gemm_panels(p->s->cout); panel++) {
                for (int i = 0; i < n; i++)
                    transform_diff(j, b, f + i, ty, panel, diff + (size_t)i * POSITIONS * diff_stride(p));
                add_products(p, in, diff, n, panel, sums);
            }
        }
}

/* ---- together ------------------------------------------------------------ */

enum { MERGED = 16 }; /* output channels of a piece: one cache line of sums */

/* The gradients of MERGED output channels and one input channel in one phase, G^T sums G, by place in the phase's 4 x 4
 * taps. */
static void transform_back(const struct weights7_job *j, int oc, int c, int phase_y, int phase_x,
                           double taps[TILE][TILE][MERGED])
{
    size_t width = (size_t)gemm_panels(j->p.s->cout) * NR;
    memset(taps, 0, sizeof(double[TILE][TILE][MERGED]));
    for (int position = 0; position < POSITIONS; position++) {
        int phases_y = winograd7_phases(position / POINTS), phases_x = winograd7_phases(position % POINTS);
        if (phase_y >= phases_y || phase_x >= phases_x)
            continue;
        int depth = (phase_y * phases_x + phase_x) * j->p.s->cin + c;
        const float *sums = j->sums + ((size_t)position * DEPTH + depth) * width + oc;
        double gy[TILE], gx[TILE], sum[MERGED] = {0};
        for (int range = 0; range < j->ranges; range++, sums += sums_floats(&j->p))
            for (int i = 0; i < MERGED; i++)
                sum[i] += sums[i];
        winograd7_weight_row(position / POINTS, gy);
        winograd7_weight_row(position % POINTS, gx);
        for (int y = 0; y < TILE; y++)
            for (int x = 0; x < TILE; x++)
                for (int i = 0; i < MERGED; i++)
                    taps[y][x][i] += gy[y] * gx[x] * sum[i];
    }
}

/* MERGED output channels, one input channel, one phase. */
static void merge_piece(void *ctx, size_t piece, int worker)
{
    (void)worker;
    const struct weights7_job *j = ctx;
    int cin = j->p.s->cin, phase = (int)(piece % (PHASES * PHASES)), c = (int)(piece / (PHASES * PHASES)) % cin;
    int oc = (int)(piece / (PHASES * PHASES)) / cin * MERGED;
    double taps[TILE][TILE][MERGED];
    transform_back(j, oc, c, phase / PHASES, phase % PHASES, taps);
    for (int i = 0; i < MERGED; i++) {
        float *w = j->diff_weights + ((size_t)(oc + i) * cin + c) * 49;
        for (int y = 0; y < TILE; y++)
            for (int x = 0; x < TILE; x++) {
                int ky = winograd7_tap(phase / PHASES, y), kx = winograd7_tap(phase % PHASES, x);
                if (ky >= 0 && kx >= 0)
                    w[ky * 7 + kx] = (float)(w[ky * 7 + kx] + taps[y][x][i]);
            }
    }
}

/* ---- the kernel ---------------------------------------------------------- */

static size_t scratch_bytes(const struct eq_conv_shape *s, int threads)
{
    struct conv7_plan p = plan_conv7(s);
    return (ranges_of(&p) * sums_floats(&p) + threads * worker_floats(&p)) * sizeof(float);
}

static void backward_weights(const struct eq_conv_shape *s, const float *src, const float *diff_dst,
                             float *diff_weights, void *scratch)
{
    struct weights7_job job = {
        .p = plan_conv7(s), .src = src, .diff_dst = diff_dst, .diff_weights = diff_weights, .sums = scratch};
    job.ranges = ranges_of(&job.p);
    job.scratch = job.sums + job.ranges * sums_floats(&job.p);
    eq_parallel_for((size_t)job.ranges, range_piece, &job);
    eq_parallel_for((size_t)s->cout / MERGED * s->cin * PHASES * PHASES, merge_piece, &job);
}

CONV_KERNEL(conv_backward_weights_winograd7, .supports = conv7_supports, .packed_bytes = eq_conv_no_packed,
            .scratch_bytes = scratch_bytes, .run.backward_weights = backward_weights, .products = conv7_products)
