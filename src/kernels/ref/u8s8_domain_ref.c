/* The meaning of INT8 in Winograd's domain (kernels.h) in plain C: its kernels are tested against this file, to the
 * bit. */
#include "kernels/conv.h"

#include <math.h>
#include <string.h>

struct job {
    const struct eq_conv_shape *s;
    const uint8_t *src;
    int src_zp;
    const int8_t *u;
    const struct eq_domain_points *points;
    const struct eq_domain_epilogue *epi;
    uint8_t *dst, *scratch;
};

/* A tile's place: clip, and its outputs along each side. */
struct tile {
    int b;
    struct eq_domain_tile y, x;
};

static void pack(const struct eq_conv_shape *s, const int8_t *u, const struct eq_domain_points *points, void *packed)
{
    (void)points;
    memcpy(packed, u, eq_domain_weights_bytes(s));
}

/* A worker's q. */
static size_t worker_bytes(const struct eq_conv_shape *s)
{
    return eq_align64((size_t)EQ_DOMAIN_POINTS * s->cin * sizeof(int16_t));
}

static size_t scratch_bytes(const struct eq_conv_shape *s, int threads)
{
    return worker_bytes(s) * threads;
}

static int source_at(const struct job *j, const struct tile *t, int i, int f, int c)
{
    const struct eq_conv_shape *s = j->s;
    int y = t->y.start - 1 + i / EQ_DOMAIN_IN, x = t->x.start - 1 + i % EQ_DOMAIN_IN;
    bool inside = y >= 0 && y < s->h && x >= 0 && x < s->w;
    return inside ? j->src[eq_conv_src_at(s, t->b, f, y, x) + c] : j->src_zp;
}

/* byte - add at all points, for one frame and channel: q[point][cin]. */
static void transform_source(const struct job *j, const struct tile *t, int f, int c, int16_t *q)
{
    int lines[EQ_DOMAIN_IN][EQ_DOMAIN_IN] = {{0}};
    for (int i = 0; i < EQ_DOMAIN_POINTS; i++)
        for (int py = 0; py < EQ_DOMAIN_IN; py++)
            lines[py][i % EQ_DOMAIN_IN] += eq_domain_bt[py][i / EQ_DOMAIN_IN] * source_at(j, t, i, f, c);
    for (int p = 0; p < EQ_DOMAIN_POINTS; p++) {
        int v = p == EQ_DOMAIN_CENTER ? -36 * j->src_zp : 0, add = j->points->add[p];
        for (int x = 0; x < EQ_DOMAIN_IN; x++)
            v += eq_domain_bt[p % EQ_DOMAIN_IN][x] * lines[p / EQ_DOMAIN_IN][x];
        int byte = ((v * j->points->mul[p] + (1 << 14)) >> 15) + add;
        q[(size_t)p * j->s->cin + c] = (int16_t)((byte < 0 ? 0 : byte > 255 ? 255 : byte) - add);
    }
}

/* m[0], m[step], ... to outputs along an axis. */
static void outputs_of(const float *m, int step, int outputs, float y[EQ_DOMAIN_OUT])
{
    float s12 = m[step] + m[2 * step], d12 = m[step] - m[2 * step];
    float s34 = m[3 * step] + m[4 * step], d34 = m[3 * step] - m[4 * step];
    y[0] = (m[0] + s12) + s34;
    y[1] = fmaf(d34, 2, d12);
    y[2] = fmaf(s34, 4, s12);
    if (outputs == EQ_DOMAIN_OUT)
        y[3] = fmaf(d34, 8, d12) + m[5 * step];
}

static uint8_t requantize(const struct eq_domain_epilogue *epi, float r, size_t at)
{
    if (epi->residual)
        r = fmaf((float)epi->residual[at], epi->residual_m, r);
    r = r > (float)epi->dst_min ? r : (float)epi->dst_min;
    return (uint8_t)nearbyintf(r < 255 ? r : 255);
}

static void transform_outputs(const struct job *j, const struct tile *t, int f, int oc, const float m[EQ_DOMAIN_POINTS])
{
    float columns[EQ_DOMAIN_OUT][EQ_DOMAIN_IN] = {{0}};
    for (int x = 0; x < t->x.outputs + 2; x++) {
        float y[EQ_DOMAIN_OUT];
        outputs_of(m + x, EQ_DOMAIN_IN, t->y.outputs, y);
        for (int i = 0; i < t->y.outputs; i++)
            columns[i][x] = y[i];
    }
    for (int i = 0; i < t->y.outputs && t->y.start + i < j->s->oh; i++) {
        float y[EQ_DOMAIN_OUT];
        outputs_of(columns[i], 1, t->x.outputs, y);
        for (int x = 0; x < t->x.outputs && t->x.start + x < j->s->ow; x++) {
            size_t at = eq_conv_dst_at(j->s, t->b, f, t->y.start + i, t->x.start + x) + oc;
            j->dst[at] = requantize(j->epi, y[x], at);
        }
    }
}

static int32_t dot(const int16_t *q, const int8_t *u, int n)
{
    int32_t sum = 0;
    for (int i = 0; i < n; i++)
        sum += q[i] * u[i];
    return sum;
}

/* One tile, all frames. */
static void conv_tile(void *ctx, size_t piece, int worker)
{
    const struct job *j = ctx;
    const struct eq_conv_shape *s = j->s;
    const int nx = eq_domain_tiles(s->ow), ny = eq_domain_tiles(s->oh), at = (int)(piece % ((size_t)ny * nx));
    const struct tile t = {(int)(piece / ((size_t)ny * nx)), eq_domain_tile(s->oh, at / nx),
                           eq_domain_tile(s->ow, at % nx)};
    int16_t *q = (int16_t *)(void *)(j->scratch + (size_t)worker * worker_bytes(s));
    for (int f = 0; f < s->t; f++) {
        for (int c = 0; c < s->cin; c++)
            transform_source(j, &t, f, c, q);
        for (int oc = 0; oc < s->cout; oc++) {
            float m[EQ_DOMAIN_POINTS];
            for (int p = 0; p < EQ_DOMAIN_POINTS; p++) {
                const size_t row = (size_t)p * s->cout + oc;
                int32_t sum = dot(q + (size_t)p * s->cin, j->u + row * s->cin, s->cin);
                m[p] = fmaf((float)sum, j->epi->k[row], p == EQ_DOMAIN_CENTER ? j->epi->b[oc] : 0);
            }
            transform_outputs(j, &t, f, oc, m);
        }
    }
}

static void run(const struct eq_conv_shape *s, const uint8_t *src, int src_zp, const void *packed,
                const struct eq_domain_points *points, const struct eq_domain_epilogue *epi, uint8_t *dst,
                void *scratch)
{
    struct job job = {s, src, src_zp, packed, points, epi, dst, scratch};
    eq_parallel_for((size_t)s->b * eq_domain_tiles(s->oh) * eq_domain_tiles(s->ow), conv_tile, &job);
}

REF_KERNEL(u8s8_conv_domain, .supports = eq_domain_supports, .packed_bytes = eq_domain_weights_bytes,
           .scratch_bytes = scratch_bytes, .pack_domain = pack, .run.u8s8_domain = run, .products = eq_domain_products)
